"""The steps before a model: pipelines, column transformers, encoders, imputers and scalers of scikit-learn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from .errors import NotSupported
from .features import Code, Column, Feature, Inputs, Number, category_column, is_missing


def inputs_of(frame: Any) -> Inputs:
    """Returns the columns of a table, each a number so far."""
    columns = [Column(str(name)) for name in frame.columns]
    return Inputs(columns, [Number(i) for i in range(len(columns))])


def without_unread(inputs: Inputs) -> tuple[Inputs, list[int]]:
    """Leaves out the columns of which no step makes a feature, such as those that a ColumnTransformer drops.

    Returns the places of the others as well.
    """
    read = sorted({f.column for f in inputs.features})
    features: list[Feature] = [replace(f, column=read.index(f.column)) for f in inputs.features]
    return Inputs([inputs.columns[i] for i in read], features, inputs.sparse), read


def through(step: Any, inputs: Inputs) -> Inputs:
    """Returns what a fitted step makes of its inputs."""
    kind = type(step).__name__
    if step is None or step == "passthrough":
        return inputs
    if kind == "Pipeline":
        for _, part in step.steps:
            inputs = through(part, inputs)
        return inputs
    if kind == "ColumnTransformer":
        return _columns(step, inputs)
    if kind not in _STEPS:
        raise NotSupported(
            f"{kind} before the model: only Pipeline, ColumnTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, "
            "MinMaxScaler, SimpleImputer and passthrough can be carried into a bundle"
        )
    if len(inputs.features) != step.n_features_in_:
        raise NotSupported(f"{kind} was fitted on {step.n_features_in_} columns, and {len(inputs.features)} come in")
    return _STEPS[kind](step, inputs)


def _columns(step: Any, inputs: Inputs) -> Inputs:
    features: list[Feature] = []
    for name, part, picked in step.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        chosen = _picked(step, picked, inputs)
        if not chosen:
            continue
        if isinstance(part, str) and part == "passthrough":
            made = [inputs.features[i] for i in chosen]
        elif type(part).__name__ == "FunctionTransformer" and (part.func is None or name in ("remainder", "numerical")):
            made = [inputs.features[i] for i in chosen]  # passthrough, or the check of HistGradientBoosting
        else:
            made = through(part, Inputs(inputs.columns, [inputs.features[i] for i in chosen])).features
        at = step.output_indices_[name]
        if at.stop - at.start != len(made):
            raise NotSupported(f"ColumnTransformer: step {name!r} gives {at.stop - at.start} columns, {len(made)} were understood")
        features.extend(made)
    return Inputs(inputs.columns, features, sparse=bool(getattr(step, "sparse_output_", False)))


def _picked(step: Any, picked: Any, inputs: Inputs) -> list[int]:
    if isinstance(picked, str) or np.isscalar(picked):
        picked = [picked]
    if isinstance(picked, slice):
        picked = list(range(step.n_features_in_))[picked]
    picked = list(picked)
    if picked and isinstance(picked[0], (bool, np.bool_)):
        return [i for i, yes in enumerate(picked) if yes]
    if picked and isinstance(picked[0], str):
        names = list(step.feature_names_in_)
        return [names.index(name) for name in picked]
    return [int(i) % len(inputs.features) for i in picked]


def _scaler(step: Any, inputs: Inputs) -> Inputs:
    features = []
    for i, feature in enumerate(inputs.features):
        f = _one_column(step, i)
        features.append(feature.mapped(f) if isinstance(feature, Code) else Number(feature.column, (*feature.steps, f), feature.fill))
    return Inputs(inputs.columns, features, inputs.sparse)


def _one_column(step: Any, i: int) -> Standard | MinMax:
    """Returns a rising function: the step's arithmetic on column i alone, in the step's own order."""
    if type(step).__name__ == "StandardScaler":
        return Standard(step.mean_[i] if step.with_mean else None, step.scale_[i] if step.with_std else None)
    if not step.scale_[i] > 0:
        raise NotSupported("MinMaxScaler with a falling range")
    return MinMax(step.scale_[i], step.min_[i], step.feature_range if step.clip else None)


@dataclass(frozen=True)
class Standard:
    """(x - mean) / scale."""

    mean: float | None
    scale: float | None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = x.copy()
        if self.mean is not None:
            x -= self.mean
        if self.scale is not None:
            x /= self.scale
        return x

    def line(self) -> tuple[Fraction, Fraction]:
        """Returns slope and shift, without rounding."""
        scale = Fraction(float(self.scale)) if self.scale is not None else Fraction(1)
        mean = Fraction(float(self.mean)) if self.mean is not None else Fraction(0)
        return 1 / scale, -mean / scale


@dataclass(frozen=True)
class MinMax:
    """x * scale + least, within bounds if there are any."""

    scale: float
    least: float
    bounds: tuple[float, float] | None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x *= self.scale
        x += self.least
        return x if self.bounds is None else np.clip(x, self.bounds[0], self.bounds[1])

    def line(self) -> tuple[Fraction, Fraction] | None:
        """Returns slope and shift, without rounding; None if bounds bend the line."""
        return None if self.bounds is not None else (Fraction(float(self.scale)), Fraction(float(self.least)))


def _imputer(step: Any, inputs: Inputs) -> Inputs:
    if step.add_indicator:
        raise NotSupported("SimpleImputer with add_indicator")
    wanted = step.missing_values
    if not (isinstance(wanted, float) and math.isnan(wanted)) and not is_missing(wanted):
        raise NotSupported(f"SimpleImputer of the value {wanted!r}: replace it by NaN before training")
    kept = [i for i, s in enumerate(step.statistics_) if not is_missing(s) or step.keep_empty_features]
    features: list[Feature] = []
    for i in kept:
        feature, fill = inputs.features[i], step.statistics_[i]
        if isinstance(feature, Code):
            features.append(Code(feature.column, feature.codes, float(fill) if math.isnan(feature.missing) else feature.missing, feature.unknown))
        elif isinstance(fill, str):
            features.append(_Filled(feature.column, fill=math.nan, text=fill))
        elif feature.fill is None and not feature.steps:
            features.append(Number(feature.column, fill=float(fill)))
        else:
            raise NotSupported("SimpleImputer behind a scaler: put it first")
    return Inputs(inputs.columns, features, inputs.sparse)


class _Filled(Number):
    """A column of texts whose missing cells have been filled by one of them; an encoder must follow."""

    text: str

    def __init__(self, column: int, fill: float, text: str) -> None:
        super().__init__(column, (), None)
        object.__setattr__(self, "text", text)


def _plain_column(feature: Feature, kind: str) -> tuple[int, str | None]:
    if isinstance(feature, Code) or feature.steps or feature.fill is not None:
        raise NotSupported(f"{kind} behind another step than an imputer of texts")
    return feature.column, getattr(feature, "text", None)


def _one_hot(step: Any, inputs: Inputs) -> Inputs:
    features: list[Feature] = []
    for i, feature in enumerate(inputs.features):
        column, filled = _plain_column(feature, "OneHotEncoder")
        categories = list(step.categories_[i])
        places = category_column(inputs.columns, column, categories)
        n = len(inputs.columns[column].categories or [])
        refuses = step.handle_unknown == "error"
        inputs.columns[column].reject_unknown |= refuses
        groups, has_rare = _groups(step, i, len(categories))
        dropped = step.drop_idx_[i] if step.drop_idx_ is not None else None
        missing_at = [k for k, place in enumerate(places) if place < 0]
        to_infrequent = step.handle_unknown == "infrequent_if_exist" and has_rare
        for k, group in enumerate(groups):
            if dropped is not None and k == dropped:
                continue
            codes = [0.0] * n
            for member in group:
                if places[member] >= 0:
                    codes[places[member]] = 1.0
            last = to_infrequent and k == len(groups) - 1
            unknown = None if refuses else float(last)
            missing = 1.0 if missing_at and missing_at[0] in group else (0.0 if missing_at else float(last))
            if filled is not None:
                missing = 1.0 if filled in [str(categories[m]) for m in group] else 0.0
            elif not missing_at and refuses:
                inputs.columns[column].not_empty = True  # NaN is an unknown category there
            features.append(Code(column, tuple(codes), missing, unknown))
    return Inputs(inputs.columns, features, sparse=bool(step.sparse_output))


def _groups(step: Any, i: int, n: int) -> tuple[list[list[int]], bool]:
    """Returns the categories behind each output of a one-hot encoder: one each, and the infrequent ones, if any, together, last."""
    rare = getattr(step, "infrequent_categories_", None)
    rare = [] if rare is None or rare[i] is None else list(rare[i])
    members = [k for k, c in enumerate(step.categories_[i]) if any(_same(c, r) for r in rare)]
    groups = [[k] for k in range(n) if k not in members]
    return groups + ([members] if members else []), bool(members)


def _same(a: object, b: object) -> bool:
    return (is_missing(a) and is_missing(b)) or a == b


def _ordinal(step: Any, inputs: Inputs) -> Inputs:
    if getattr(step, "infrequent_categories_", None) is not None and any(r is not None for r in step.infrequent_categories_):
        raise NotSupported("OrdinalEncoder with infrequent categories")
    features: list[Feature] = []
    for i, feature in enumerate(inputs.features):
        column, filled = _plain_column(feature, "OrdinalEncoder")
        categories = list(step.categories_[i])
        places = category_column(inputs.columns, column, categories)
        codes = [math.nan] * len(inputs.columns[column].categories or [])
        for code, place in enumerate(places):
            if place >= 0:
                codes[place] = float(code)
        refuses = step.handle_unknown == "error"
        inputs.columns[column].reject_unknown |= refuses
        unknown = None if refuses else float(step.unknown_value)
        missing = float(step.encoded_missing_value)
        if filled is not None:
            missing = float([str(c) for c in categories].index(filled))
        elif not any(place < 0 for place in places):  # NaN was not there in training
            if refuses:
                inputs.columns[column].not_empty = True
            missing = math.nan if refuses else float(step.unknown_value)
        features.append(Code(column, tuple(codes), missing, unknown))
    return Inputs(inputs.columns, features, inputs.sparse)


_STEPS = {
    "StandardScaler": _scaler,
    "MinMaxScaler": _scaler,
    "SimpleImputer": _imputer,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
}
