"""Scores a table with the millrace program: no server, no database."""

from __future__ import annotations

import io
import os
from typing import Any, Literal

from .program import run


def score(table: Any, model: str | os.PathLike[str], *, explain: Literal["all", "at_risk", "none"] = "all", guard: bool = False) -> Any:
    """Returns the rows of a table with probability, band and, unless explain is none, the reasons.

    table is a pandas or polars data frame or a pyarrow table, and so is what is returned. model is the directory of a
    bundle, a model file, or a baseline (telecom, saas). A row that cannot be scored is a ValueError.
    """
    kind = type(table).__module__.split(".")[0]
    text = _csv_of(table, kind)
    arguments = ["score", "--model", os.fspath(model), "--explain", explain, "--guard", "on" if guard else "off", "--max-rejected", "0", "-"]
    out = run(arguments, stdin=text).stdout
    return _table_of(out, kind, table)


def _csv_of(table: Any, kind: str) -> bytes:
    if kind == "polars":
        return bytes(table.write_csv().encode("utf-8"))
    if kind == "pyarrow":
        from pyarrow import csv

        sink = io.BytesIO()
        csv.write_csv(table, sink)
        return sink.getvalue()
    return bytes(table.to_csv(index=False).encode("utf-8"))


def _table_of(text: bytes, kind: str, table: Any) -> Any:
    added = ["churn_probability", "risk_band", "risk_factors", "protective_factors", "explanation"]
    import pandas as pd

    scored = pd.read_csv(io.BytesIO(text), dtype=str, keep_default_na=False)
    new = [c for c in added if c in scored.columns and c not in _names(table, kind)]
    columns = {c: scored[c].astype("float64") if c == "churn_probability" else scored[c] for c in new}
    if kind == "polars":
        import polars as pl

        return table.with_columns([pl.Series(c, v.to_list()) for c, v in columns.items()])
    if kind == "pyarrow":
        import pyarrow as pa

        for c, v in columns.items():
            table = table.append_column(c, pa.array(v.to_list()))
        return table
    out = table.copy()
    for c, v in columns.items():
        out[c] = v.to_numpy()
    return out


def _names(table: Any, kind: str) -> list[str]:
    return list(table.column_names) if kind == "pyarrow" else [str(c) for c in table.columns]
