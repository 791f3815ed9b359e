"""Golden rows: rows of the table, and rows at the places where a model goes wrong first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .features import Column
from .trees import Compare, Leaf, Made

TYPICAL = 60
PER_COLUMN = 12


def thresholds(trees: list[Made], columns: int) -> list[list[float]]:
    """Returns the thresholds of each column, ascending."""
    found: list[set[float]] = [set() for _ in range(columns)]
    stack = list(trees)
    while stack:
        node = stack.pop()
        if isinstance(node, Leaf):
            continue
        if isinstance(node, Compare) and math.isfinite(node.threshold):
            found[node.column].add(node.threshold)
        stack += [node.left, node.right]
    return [sorted(f) for f in found]


def adversarial(frame: Any, columns: list[Column], splits: list[list[float]]) -> Any:
    """Returns rows of a table of which one column after the other is missing, extreme, unknown, or at a threshold."""
    import pandas as pd

    at = np.unique(np.linspace(0, len(frame) - 1, TYPICAL).astype(int))
    typical = frame.iloc[at].reset_index(drop=True)
    rows: list[int] = []
    changes: list[tuple[int, object]] = []
    for i, column in enumerate(columns):
        series = frame.iloc[:, i]
        values: list[object] = [] if column.not_empty else [_missing(series)]
        if column.categories is not None:
            values += list(series.dropna().unique()[:PER_COLUMN])
            if not column.reject_unknown:
                values.append(_unknown(series))
        else:
            picked = splits[i][:: max(1, len(splits[i]) // (PER_COLUMN // 3))][: PER_COLUMN // 3]
            for t in picked:
                values += [t, np.nextafter(t, -math.inf), np.nextafter(t, math.inf)]
            values += [0.0, *([] if series.isna().all() else [float(series.min()), float(series.max())]), 1e15, -1e15]
        for value in values:
            rows.append(len(rows) % len(typical))
            changes.append((i, value))
    extra = typical.iloc[rows].reset_index(drop=True).astype(object)
    for row, (i, value) in enumerate(changes):
        extra.iat[row, i] = value
    both = pd.concat([typical.astype(object), extra], ignore_index=True)
    for i, name in enumerate(frame.columns):
        both[name] = _as(both[name], frame.iloc[:, i], columns[i])
    if len(columns) == 1:
        both = both[both.iloc[:, 0].notna()].reset_index(drop=True)  # a line of nothing is no row
    return both


def _missing(series: Any) -> object:
    """Returns what stands for a missing value in a column: encoders distinguish None and NaN."""
    missing = series[series.isna()]
    return missing.iloc[0] if len(missing) else math.nan


def _unknown(series: Any) -> object:
    if series.dtype.kind in "iuf":
        return series.dtype.type(series.max() + 1000)
    return "a category that no row has"


def _as(values: Any, like: Any, column: Column) -> Any:
    """Gives a column the type that it had in training, as far as it holds the new values."""
    import pandas as pd

    if isinstance(like.dtype, pd.CategoricalDtype):
        return pd.Categorical(values.where(values.isin(like.dtype.categories)), dtype=like.dtype)
    if column.categories is None:
        return pd.to_numeric(values).astype(np.float64)
    if like.dtype.kind in "iu" and values.notna().all():
        return values.astype(like.dtype)
    if like.dtype.kind in "iuf":
        return pd.to_numeric(values)
    return values.astype(object)
