"""Scores a table with the millrace program: no server, no database."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd

from .errors import ProgramError, RejectedRow, ScoreError
from .program import run
from .tables import table_of

Frame = TypeVar("Frame")

_PROBABILITY, _BAND = "churn_probability", "risk_band"
_REASONS = ["risk_factors", "protective_factors", "explanation"]
ADDED = [_PROBABILITY, _BAND, *_REASONS]


def score(
    table: Frame, model: str | os.PathLike[str], *, explain: Literal["all", "at_risk", "none"] = "all", guard: bool = False
) -> Frame:
    """Returns the rows of a table, in their order, with probability, band and, unless explain is none, the reasons.

    table is a pandas or polars data frame or a pyarrow table, and so is what is returned; columns of these names are
    replaced. model is the directory of a bundle, a model file, or a baseline (telecom, saas). With explain="at_risk" rows
    of the lowest band have no reasons (null). guard=True marks texts that a spreadsheet would run as formulas.

    A table that cannot be scored is a ScoreError, with code, column, and every row that cannot be scored.
    """
    source = table_of(table)
    kept = [i for i, name in enumerate(source.names) if name not in ADDED]
    sent = source.csv(kept, _row_name(source.names))
    if source.rows == 0:  # one row of nothing, so that the columns are checked
        sent += b"0" + b"," * len(kept) + b"\n"
    arguments = ["score", "--model", os.fspath(model), "--explain", explain, "--guard", "on" if guard else "off"]
    scored, rejected = _run(arguments, sent, len(kept))
    if source.rows == 0:
        scored = scored.iloc[:0]
    elif rejected:
        raise _refused(rejected)
    elif len(scored) != source.rows or not np.array_equal(scored.iloc[:, 0].to_numpy(np.int64), np.arange(source.rows)):
        raise ScoreError(f"millrace returned {len(scored)} of {source.rows} rows")
    added: list[tuple[str, Any]] = [(_PROBABILITY, scored[_PROBABILITY].to_numpy(np.float64)), (_BAND, list(scored[_BAND]))]
    if explain != "none":
        added += [(name, [text or None for text in scored[name]]) for name in _REASONS]
    frame: Frame = source.with_columns(added)
    return frame


def _row_name(taken: list[str]) -> str:
    """Returns a name for the column that numbers the rows: it also keeps a row of nothing from being no row."""
    name = "millrace_row"
    while name in taken:
        name += "_"
    return name


def _run(arguments: list[str], sent: bytes, columns: int) -> tuple[pd.DataFrame, list[RejectedRow]]:
    """Scores a CSV file of which the first column numbers the rows, and returns that and the added columns."""
    with tempfile.TemporaryDirectory(prefix="millrace-") as directory:
        rejects = os.path.join(directory, "rejects.csv")
        # Numbers are written as Python writes them, so nothing is to be found out about them.
        fixed = ["--decimal", ".", "--thousands", "none", "--allow-rejects", "--rejects", rejects, "-"]
        try:
            out = run([*arguments, *fixed], stdin=sent).stdout
        except ProgramError as e:
            raise ScoreError(e.message, e.code, details=e.details) from None
        with open(rejects, encoding="utf-8", newline="") as f:
            rejected = [_rejected(line) for line in list(csv.reader(f))[1:]]
    places = [0, *range(columns + 1, columns + 1 + len(ADDED))]
    return pd.read_csv(io.BytesIO(out), usecols=places, dtype=str, keep_default_na=False), rejected


def _rejected(line: list[str]) -> RejectedRow:
    code, column, reason = line[-3:]
    return RejectedRow(int(line[0]), code, column or None, reason)


_SHOWN = 3


def _refused(rejected: list[RejectedRow]) -> ScoreError:
    shown = " ".join(f"Row {r.row}: {r.reason}" for r in rejected[:_SHOWN])
    more = f" And {len(rejected) - _SHOWN} more." if len(rejected) > _SHOWN else ""
    rows = "1 row" if len(rejected) == 1 else f"{len(rejected)} rows"
    return ScoreError(f"{rows} cannot be scored. {shown}{more}", rejected[0].code, rows=rejected)

