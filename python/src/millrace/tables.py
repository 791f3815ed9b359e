"""Tables of pandas, polars and pyarrow: to CSV, and with further columns. The latter two are not imported unless used."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd


class Table(Protocol):
    """A table of one of the libraries."""

    names: list[str]
    rows: int

    def csv(self, columns: list[int], numbered: str) -> bytes:
        """Returns some columns, behind one of that name with the numbers of the rows, with an empty cell for what is missing."""

    def with_columns(self, added: Sequence[tuple[str, Any]]) -> Any:
        """Returns the table with columns added, or replaced: float64 arrays, and lists of texts and None."""


def table_of(table: Any) -> Table:
    """Returns a table by its library; a TypeError for anything else."""
    if isinstance(table, pd.DataFrame):
        return _Pandas(table)
    polars, pyarrow = sys.modules.get("polars"), sys.modules.get("pyarrow")
    if polars is not None and isinstance(table, polars.DataFrame):
        return _Polars(table)
    if pyarrow is not None and isinstance(table, pyarrow.Table):
        return _Arrow(table)
    kind = f"{type(table).__module__}.{type(table).__qualname__}"
    hint = ": collect() it first" if kind.endswith("LazyFrame") else ""
    raise TypeError(f"a table is a pandas or polars DataFrame or a pyarrow Table, not {kind}{hint}")


def _nested(name: str, kind: object) -> TypeError:
    return TypeError(f"column {name!r} holds {kind}, which is no value of a cell")


class _Pandas:
    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame, self.rows = frame, len(frame)
        self.names = [str(c) for c in frame.columns]

    def csv(self, columns: list[int], numbered: str) -> bytes:
        frame = self.frame.iloc[:, columns].reset_index(drop=True)
        return bytes(frame.to_csv(index_label=numbered, lineterminator="\n").encode("utf-8"))

    def with_columns(self, added: Sequence[tuple[str, Any]]) -> pd.DataFrame:
        frame = self.frame.copy()
        for name, values in added:
            frame[name] = values if isinstance(values, np.ndarray) else pd.Series(values, index=frame.index, dtype=object)
        return frame


class _Polars:
    def __init__(self, frame: Any) -> None:
        self.frame, self.rows, self.names = frame, frame.height, list(frame.columns)

    def csv(self, columns: list[int], numbered: str) -> bytes:
        import polars as pl

        frame = self.frame.select([self.names[i] for i in columns])
        for name, kind in frame.schema.items():
            if kind.is_nested() or kind in (pl.Object, pl.Binary):
                raise _nested(name, kind)
        floats = [name for name, kind in frame.schema.items() if kind.is_float()]
        frame = frame.with_columns([pl.col(name).fill_nan(None) for name in floats])
        frame = pl.select(pl.int_range(self.rows).alias(numbered)).hstack(frame.get_columns())
        out = io.BytesIO()
        frame.write_csv(out, quote_style="non_numeric")
        return out.getvalue()

    def with_columns(self, added: Sequence[tuple[str, Any]]) -> Any:
        import polars as pl

        kinds = {name: pl.Float64 if isinstance(values, np.ndarray) else pl.String for name, values in added}
        return self.frame.with_columns([pl.Series(name, values, dtype=kinds[name]) for name, values in added])


class _Arrow:
    def __init__(self, table: Any) -> None:
        self.table, self.rows, self.names = table, table.num_rows, list(table.column_names)

    def csv(self, columns: list[int], numbered: str) -> bytes:
        import pyarrow as pa
        from pyarrow import csv

        arrays = [self._plain(i) for i in columns]
        names = [numbered, *(self.names[i] for i in columns)]
        out = io.BytesIO()
        csv.write_csv(pa.table([pa.array(np.arange(self.rows)), *arrays], names=names), out)
        return out.getvalue()

    def _plain(self, at: int) -> Any:
        """Returns a column without dictionaries, and without numbers that are none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.table.column(at)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if str(column.type) == "string_view":
            column = column.cast(pa.string())
        if pa.types.is_nested(column.type) or "binary" in str(column.type):
            raise _nested(self.names[at], column.type)
        if pa.types.is_float16(column.type):
            column = column.cast(pa.float32())
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        return column

    def with_columns(self, added: Sequence[tuple[str, Any]]) -> Any:
        import pyarrow as pa

        table = self.table
        for name, values in added:
            array = pa.array(values, pa.float64() if isinstance(values, np.ndarray) else pa.string())
            at = table.column_names.index(name) if name in table.column_names else -1
            table = table.append_column(name, array) if at < 0 else table.set_column(at, name, array)
        return table
