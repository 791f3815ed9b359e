"""Trees of scikit-learn's estimators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import NotSupported
from .features import Code, Inputs, category_column
from .steps import through
from .trees import Leaf, Node, Split

SIGMOID = "binary sigmoid:1"
IDENTITY = "regression"


class Forest:
    """The trees of a model with the objective of LightGBM that has its link, and whether they are averaged."""

    def __init__(self, trees: list[Node], inputs: Inputs, objective: str = SIGMOID, average: bool = False) -> None:
        self.trees, self.inputs, self.objective, self.average = trees, inputs, objective, average


def two_classes(model: Any) -> None:
    """Refuses what has not two classes."""
    classes = getattr(model, "classes_", None)
    if classes is None or len(classes) != 2:
        raise NotSupported(f"{type(model).__name__} with {0 if classes is None else len(classes)} classes: a bundle gives the probability of one of two")


def hist_gradient_boosting(model: Any, inputs: Inputs) -> Forest:
    two_classes(model)
    if model.n_trees_per_iteration_ != 1:
        raise NotSupported("HistGradientBoostingClassifier with several trees per iteration")
    before = getattr(model, "_preprocessor", None)
    if before is not None:
        if any(isinstance(f, Code) for f in inputs.features):
            raise NotSupported("HistGradientBoostingClassifier with categories of its own behind an encoder")
        inputs = _own_categories(before, inputs)
    base = float(np.ravel(model._baseline_prediction)[0])
    trees: list[Node] = [Leaf(base)]
    for (predictor,) in model._predictors:
        trees.append(_hist_tree(predictor, inputs))
    return Forest(trees, inputs)


def _own_categories(before: Any, inputs: Inputs) -> Inputs:
    """Encodes as the model does by itself: a category that it does not know is a missing value."""
    made = through(before, inputs)
    for i, feature in enumerate(made.features):
        if isinstance(feature, Code):
            made.features[i] = Code(feature.column, feature.codes, math.nan, math.nan)
    return made


def _hist_tree(predictor: Any, inputs: Inputs) -> Node:
    nodes, sets = predictor.nodes, predictor.raw_left_cat_bitsets

    def node_at(i: int) -> Node:
        n = nodes[i]
        if n["is_leaf"]:
            return Leaf(float(n["value"]), float(n["count"]))
        missing_left = bool(n["missing_go_to_left"])
        if n["is_categorical"]:
            goes_left = _among(sets[n["bitset_idx"]], missing_left)
            _as_codes(inputs, int(n["feature_idx"]))
        else:
            goes_left = _up_to(float(n["num_threshold"]), missing_left)
        return Split(int(n["feature_idx"]), goes_left, node_at(n["left"]), node_at(n["right"]), float(n["count"]), bool(n["is_categorical"]))

    return node_at(0)


def _as_codes(inputs: Inputs, feature: int) -> None:
    """A column of category codes without an encoder holds its codes as they stand: 0, 1, 2 and so on."""
    f = inputs.features[feature]
    if isinstance(f, Code):
        return
    if f.steps or f.fill is not None:
        raise NotSupported(f"column {inputs.columns[f.column].name!r}: categories behind a scaler or an imputer")
    codes = list(range(256))
    category_column(inputs.columns, f.column, codes)
    inputs.features[feature] = Code(f.column, tuple(float(c) for c in codes), math.nan, math.nan)


def _among(bits: np.ndarray, missing_left: bool) -> Callable[[float], bool]:
    def goes_left(x: float) -> bool:
        if math.isnan(x):
            return missing_left
        i = int(x)
        return bool(bits[i // 32] >> np.uint32(i % 32) & 1) if 0 <= i < 256 else missing_left

    return goes_left


def _up_to(threshold: float, missing_left: bool, narrow: bool = False) -> Callable[[float], bool]:
    def goes_left(x: float) -> bool:
        if math.isnan(x):
            return missing_left
        with np.errstate(over="ignore"):
            return bool((float(np.float32(x)) if narrow else x) <= threshold)

    return goes_left


def gradient_boosting(model: Any, inputs: Inputs) -> Forest:
    two_classes(model)
    if model.estimators_.shape[1] != 1:
        raise NotSupported("GradientBoostingClassifier with several trees per iteration")
    if model.loss not in ("log_loss", "exponential"):
        raise NotSupported(f"GradientBoostingClassifier with loss {model.loss!r}")
    if model.init_ != "zero" and type(model.init_).__name__ != "DummyClassifier":
        raise NotSupported(f"GradientBoostingClassifier with init {type(model.init_).__name__}: its first scores are no constant")
    objective = SIGMOID if model.loss == "log_loss" else "binary sigmoid:2"
    base = float(np.ravel(model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32)))[0])
    trees: list[Node] = [Leaf(base)]
    for (estimator,) in model.estimators_:
        trees.append(_tree(estimator.tree_, lambda value: float(model.learning_rate * value[0][0])))
    refuse_missing(inputs)
    return Forest(trees, inputs, objective)


def refuse_missing(inputs: Inputs) -> None:
    """The estimator refuses a row with a missing value: so does the bundle, unless a step before fills it."""
    for f in inputs.features:
        if math.isnan(f.missing if isinstance(f, Code) else f.value(math.nan)):
            inputs.columns[f.column].not_empty = True


def forest(model: Any, inputs: Inputs) -> Forest:
    """RandomForestClassifier and ExtraTreesClassifier: the mean of the leaves' shares of the second class."""
    two_classes(model)
    if model.n_outputs_ != 1:
        raise NotSupported(f"{type(model).__name__} with several outputs")

    def share(value: np.ndarray) -> float:
        total = float(value[0].sum())
        return float(value[0][1]) if abs(total - 1) < 1e-9 else float(value[0][1] / total)

    reads_missing = all(bool(e.tree_.missing_go_to_left.any()) for e in model.estimators_) if hasattr(
        model.estimators_[0].tree_, "missing_go_to_left") else False
    trees = [_tree(e.tree_, share) for e in model.estimators_]
    if not reads_missing and not _allows_missing(model):
        refuse_missing(inputs)
    return Forest(trees, inputs, IDENTITY, average=True)


def _allows_missing(model: Any) -> bool:
    try:
        probe = np.full((1, model.n_features_in_), np.nan)
        model.predict_proba(probe)
    except ValueError:
        return False
    return True


def _tree(tree: Any, leaf_value: Callable[[np.ndarray], float]) -> Node:
    missing = getattr(tree, "missing_go_to_left", None)

    def node_at(i: int) -> Node:
        count = float(tree.n_node_samples[i])
        if tree.children_left[i] < 0:
            return Leaf(leaf_value(tree.value[i]), count)
        goes_left = _up_to(float(tree.threshold[i]), bool(missing[i]) if missing is not None else False, narrow=True)
        return Split(int(tree.feature[i]), goes_left, node_at(tree.children_left[i]), node_at(tree.children_right[i]), count)

    return node_at(0)
