"""Linear models: a sum of one small tree for each column of the table.

A number becomes linear leaves, a category a leaf for each of its terms. The value of a linear leaf is its model at the mean
of its training rows, so that what millrace explains is coefficient * (x - mean), and all of a one-hot encoder's columns are
one column of the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from .errors import NotSupported
from .features import Code, Inputs, Number, text_of
from .sklearn_models import refuse_missing, two_classes
from .trees import Among, Compare, Leaf, Made, Slope

# What a scaler's figures may lose when they are folded into a coefficient, in units of the raw score: a fraction of what
# float32 can tell apart.
LOST = 2.0**-26


@dataclass
class _Term:
    """What the model adds for one column."""

    slope: Fraction = Fraction(0)
    shift: Fraction = Fraction(0)
    numbers: list[tuple[float, Number]] = field(default_factory=list)  # with their coefficients
    codes: list[tuple[float, Code]] = field(default_factory=list)


def logistic_regression(model: Any, inputs: Inputs, frame: Any) -> list[Made]:
    """Returns the trees whose sum is decision_function. frame holds the training rows: its means are the explanations'."""
    two_classes(model)
    if getattr(model, "multi_class", None) == "multinomial":
        raise NotSupported("LogisticRegression with multi_class='multinomial' of two classes, whose probability is another")
    if model.coef_.dtype != np.float64:
        raise NotSupported(f"LogisticRegression trained in {model.coef_.dtype}, whose last digits a table does not have: train it on float64")
    refuse_missing(inputs)
    terms = _terms(model.coef_[0], inputs)
    _refuse_lost_digits(terms, inputs, frame)
    trees = []
    for column, term in terms.items():
        trees.append(_category_tree(column, term, inputs, frame) if term.codes else _number_tree(column, term, inputs, frame))
    return [*trees, Leaf(float(model.intercept_[0]), float(len(frame)))]


def _terms(coefficients: np.ndarray, inputs: Inputs) -> dict[int, _Term]:
    """Gathers by column, in the order in which the model adds; a coefficient of 0 reads nothing."""
    terms: dict[int, _Term] = {}
    for coefficient, feature in zip(map(float, coefficients), inputs.features, strict=True):
        if coefficient == 0:
            continue
        term = terms.setdefault(feature.column, _Term())
        if isinstance(feature, Code):
            term.codes.append((coefficient, feature))
        else:
            slope, shift = _line(feature, inputs)
            term.slope += Fraction(coefficient) * slope
            term.shift += Fraction(coefficient) * shift
            term.numbers.append((coefficient, feature))
        if term.codes and term.numbers:
            raise NotSupported(f"column {inputs.columns[feature.column].name!r} is read as a number and as a category")
    return terms


def _line(feature: Number, inputs: Inputs) -> tuple[Fraction, Fraction]:
    """Returns slope and shift of the steps before a feature."""
    slope, shift = Fraction(1), Fraction(0)
    for step in feature.steps:
        line = getattr(step, "line", lambda: None)()
        if line is None:
            raise NotSupported(f"column {inputs.columns[feature.column].name!r}: MinMaxScaler with clip before a linear model, which is no line")
        slope, shift = slope * line[0], shift * line[0] + line[1]
    return slope, shift


def _refuse_lost_digits(terms: dict[int, _Term], inputs: Inputs, frame: Any) -> None:
    """A scaler subtracts first, which is exact, and a line afterwards, which is not where a column is far from zero."""
    lost = {}
    for column, term in terms.items():
        if any(number.steps for _, number in term.numbers):
            x = _numbers(frame, column)
            size = abs(float(term.slope)) * float(np.nanmax(np.abs(x), initial=0.0)) + abs(float(term.shift))
            lost[column] = size * 2.0**-52
    if sum(lost.values()) > LOST:
        worst = max(lost, key=lambda column: lost[column])
        raise NotSupported(
            f"a scaler of column {inputs.columns[worst].name!r} before a linear model: its values are so far from zero beside their "
            "spread that its figures do not fit in a coefficient. Subtract a round number from the column in the table"
        )


def _numbers(frame: Any, column: int) -> np.ndarray:
    import pandas as pd

    return np.asarray(pd.to_numeric(frame.iloc[:, column]).to_numpy(dtype=np.float64, na_value=math.nan))


def _number_tree(column: int, term: _Term, inputs: Inputs, frame: Any) -> Made:
    """One line on both sides of the mean: so the gain of the split says how much the column matters."""
    x = _numbers(frame, column)
    missing = int(np.isnan(x).sum())
    x = x[~np.isnan(x)]
    middle = float(x.mean()) if len(x) else 0.0

    def line(rows: np.ndarray) -> Slope:
        mean = Fraction(float(rows.mean())) if len(rows) else Fraction(0)
        return Slope(float(term.slope * mean + term.shift), float(len(rows)), column, float(term.slope), float(term.shift))

    low, high = x[x <= middle], x[x > middle]
    tree: Made = Compare(column, middle, True, line(low), line(high), float(len(x))) if len(low) and len(high) else line(x)
    if inputs.columns[column].not_empty:
        return tree
    filled = sum((Fraction(c) * Fraction(number.value(math.nan)) for c, number in term.numbers), Fraction(0))
    return Compare(column, math.inf, False, tree, Leaf(float(filled), float(missing)), float(len(frame)))


@dataclass
class _Group:
    """Categories for which the model adds the same."""

    value: float
    members: list[int]
    count: float = 0.0


def _category_tree(column: int, term: _Term, inputs: Inputs, frame: Any) -> Made:
    c = inputs.columns[column]
    categories = c.categories or []
    texts = [text_of(v) for v in frame.iloc[:, column].dropna()]
    counts = {category: texts.count(category) for category in set(texts)}
    groups: dict[float, _Group] = {}
    for i, category in enumerate(categories):
        value = _sum(term, lambda code, i=i: code.codes[i])
        if math.isnan(value):
            raise NotSupported(f"column {c.name!r}: the model has no number for category {category!r}")
        group = groups.setdefault(value, _Group(value, []))
        group.members.append(i)
        group.count += counts.get(category, 0)
    rest = _rest(column, term, inputs)
    if rest is None:
        return _among(column, list(groups.values()), None)
    same = groups.pop(rest, _Group(rest, []))
    same.count += len(frame) - len(texts)
    return _among(column, list(groups.values()), same)


def _rest(column: int, term: _Term, inputs: Inputs) -> float | None:
    """Returns what the model adds for what is no category: a missing cell, and one that is not known; None if both are refused."""
    c = inputs.columns[column]
    missing = None if c.not_empty else _sum(term, lambda code: code.missing)
    unknown = None
    if not c.reject_unknown and all(code.unknown is not None for _, code in term.codes):
        unknown = _sum(term, lambda code: code.unknown)
    if missing is not None and unknown is not None and missing != unknown:
        c.reject_unknown = True
    return unknown if missing is None else missing


def _sum(term: _Term, of: Any) -> float:
    values = [(coefficient, of(code)) for coefficient, code in term.codes]
    if any(math.isnan(v) for _, v in values):
        return math.nan
    return float(sum((Fraction(coefficient) * Fraction(v) for coefficient, v in values), Fraction(0)))


def _among(column: int, groups: list[_Group], rest: _Group | None) -> Made:
    """Halves the groups until each has its leaf; what is none of them goes right every time, to rest."""
    if not groups and rest is not None:
        return Leaf(rest.value, rest.count)
    if len(groups) == 1 and rest is None:
        return Leaf(groups[0].value, groups[0].count)
    half = max(1, len(groups) // 2)
    count = sum(g.count for g in groups) + (rest.count if rest else 0)
    members = sorted(i for g in groups[:half] for i in g.members)
    return Among(column, members, _among(column, groups[:half], None), _among(column, groups[half:], rest), count)
