"""What a model's inputs are made of: functions of one column of the table each.

A step of a pipeline turns a list of features into another. A tree's comparison of a feature becomes one of the column: a
number at the last float that still compares the same way, or a set of categories.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .errors import NotSupported


@dataclass
class Column:
    """A column of the table. It is a category if a step or the model treats it as one."""

    name: str
    categories: list[str] | None = None  # as a CSV file has them; None: numbers
    reject_unknown: bool = False  # the step before the model refuses a category that it has not seen
    not_empty: bool = False  # the model refuses a row without a value


@dataclass(frozen=True)
class Number:
    """A number, or one that rising functions make of it. A missing value stays missing unless it is filled."""

    column: int
    steps: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()
    fill: float | None = None

    def value(self, x: float) -> float:
        """Returns the feature of a cell; NaN is a missing one."""
        if math.isnan(x) and self.fill is not None:
            x = self.fill
        array = np.array([[x]], dtype=np.float64)
        for step in self.steps:
            array = step(array)
        return float(array[0, 0])

    def last(self, goes_left: Callable[[float], bool]) -> float:
        """Returns the largest float whose feature goes left: infinite if all do, minus infinity if none does."""

        def left(key: int) -> bool:
            return goes_left(self.value(float_of(key)))

        low, high = key_of(-math.inf), key_of(math.inf)
        if not left(low + 1):
            return -math.inf
        if left(high - 1):
            return math.inf
        low, high = low + 1, high - 1
        while high - low > 1:
            middle = (low + high) // 2
            if left(middle):
                low = middle
            else:
                high = middle
        return float_of(low)


@dataclass(frozen=True)
class Code:
    """A number for each category of a column, for a missing value and for a category that is not known."""

    column: int
    codes: tuple[float, ...]
    missing: float
    unknown: float | None  # None: such a row is refused

    def mapped(self, step: Callable[[np.ndarray], np.ndarray]) -> Code:
        def f(x: float) -> float:
            return float(step(np.array([[x]], dtype=np.float64))[0, 0])

        return replace(
            self,
            codes=tuple(f(x) for x in self.codes),
            missing=f(self.missing),
            unknown=None if self.unknown is None else f(self.unknown),
        )


Feature = Number | Code


@dataclass
class Inputs:
    """The columns of the table and the features that have been made of them so far."""

    columns: list[Column]
    features: list[Feature] = field(default_factory=list)
    sparse: bool = False  # what is zero is not stored


def key_of(x: float) -> int:
    """Returns an integer that ascends with the float."""
    (bits,) = struct.unpack("<q", struct.pack("<d", x))
    key = int(bits)
    return key if key >= 0 else -(key & 0x7FFF_FFFF_FFFF_FFFF) - 1


def float_of(key: int) -> float:
    """Returns the float of a key."""
    bits = key if key >= 0 else (-key - 1) | -0x8000_0000_0000_0000
    (x,) = struct.unpack("<d", struct.pack("<q", bits))
    return float(x)


def text_of(value: object) -> str:
    """Returns a category as pandas' to_csv writes it."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return str(value)


def is_missing(value: object) -> bool:
    """Tells a missing category: None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124
    except (TypeError, ValueError):  # pandas' NA is neither equal nor unequal
        return True


def category_column(columns: Sequence[Column], at: int, categories: Sequence[object]) -> list[int]:
    """Makes a column one of categories and returns the place of each of the given ones in it; missing ones are -1."""
    texts = [text_of(c) for c in categories if not is_missing(c)]
    column = columns[at]
    if column.categories is None:
        if len(set(texts)) != len(texts):
            raise NotSupported(f"column {column.name!r}: two of its categories read the same in a file")
        if "" in texts:
            raise NotSupported(f"column {column.name!r}: one of its categories is the empty text, which a file cannot tell from a missing value")
        column.categories = texts
    unknown = [t for t in texts if t not in column.categories]
    if unknown:
        raise NotSupported(f"column {column.name!r}: two steps know different categories of it, such as {unknown[0]!r}")
    places = {t: i for i, t in enumerate(column.categories)}
    return [-1 if is_missing(c) else places[text_of(c)] for c in categories]
