"""LightGBM and XGBoost: as their own files, or behind steps as files over the table's columns."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import NotSupported
from .features import Code, Inputs
from .sklearn_models import Forest
from .trees import Leaf, Node, Split, others_go_left


def lightgbm_booster(model: Any) -> tuple[Any, int]:
    """Returns the booster and the number of iterations that predict takes."""
    if hasattr(model, "booster_"):
        booster, best = model.booster_, model.best_iteration_ or 0
    else:
        booster, best = model, model.best_iteration
    return booster, max(best, 0)


def lightgbm_forest(model: Any, inputs: Inputs) -> Forest:
    """Returns the trees of a LightGBM model that reads features."""
    booster, best = lightgbm_booster(model)
    dump = booster.dump_model(num_iteration=best or -1)
    objective = dump.get("objective", "")
    if dump["num_class"] != 1 or dump["num_tree_per_iteration"] != 1 or not objective.startswith("binary"):
        raise NotSupported(f"LightGBM with objective {objective!r}: a bundle gives the probability of one of two classes")

    def node_at(n: dict[str, Any]) -> Node:
        if "leaf_index" not in n and "split_index" not in n or "leaf_value" in n and "split_index" not in n:
            return Leaf(float(n["leaf_value"]), float(n.get("leaf_count", 1)))
        if n["decision_type"] == "==":
            wanted = {float(c) for c in str(n["threshold"]).split("||")}
            goes_left = _one_of(wanted)
        else:
            goes_left = _lightgbm_order(n)
        left, right = node_at(n["left_child"]), node_at(n["right_child"])
        return Split(int(n["split_feature"]), goes_left, left, right, float(n["internal_count"]), n["decision_type"] == "==")

    return Forest([node_at(t["tree_structure"]) for t in dump["tree_info"]], inputs, objective, bool(dump.get("average_output")))


def _one_of(wanted: set[float]) -> Callable[[float], bool]:
    return lambda x: not math.isnan(x) and float(int(x)) in wanted


def _lightgbm_order(n: dict[str, Any]) -> Callable[[float], bool]:
    threshold, default_left, missing = float(n["threshold"]), bool(n["default_left"]), n["missing_type"]
    if missing == "Zero":
        raise NotSupported("LightGBM with zero_as_missing behind other steps")

    def goes_left(x: float) -> bool:
        if math.isnan(x):
            if missing == "NaN":
                return default_left
            x = 0.0
        return x <= threshold

    return goes_left


def xgboost_iterations(model: Any) -> str:
    """Says which iterations predict_proba takes: best for a wrapper that stopped early, else all."""
    booster = model.get_booster() if hasattr(model, "get_booster") else None
    if booster is None:
        return "all"
    try:
        return "best" if booster.best_iteration + 1 < booster.num_boosted_rounds() else "all"
    except AttributeError:
        return "all"


def xgboost_file(model: Any, inputs: Inputs | None, folder: str) -> str:
    """Writes an XGBoost model; over the table's columns if inputs are given."""
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    missing = getattr(model, "missing", math.nan)
    if missing is not None and not (isinstance(missing, float) and math.isnan(missing)):
        raise NotSupported(f"XGBoost with missing={missing!r}, which its file does not say: train with NaN for a missing value")
    if inputs is None:
        booster.save_model(os.path.join(folder, "model.ubj"))
        return "model.ubj"
    text = json.loads(bytes(booster.save_raw("json")))
    learner = text["learner"]
    gradient = learner["gradient_booster"]
    trees = (gradient["gbtree"] if "gbtree" in gradient else gradient)["model"]["trees"]
    for tree in trees:
        _over_columns(tree, inputs)
    columns = inputs.columns
    learner["learner_model_param"]["num_feature"] = str(len(columns))
    learner["feature_names"] = [c.name for c in columns]
    learner["feature_types"] = ["float" if c.categories is None else "c" for c in columns]
    for tree in trees:
        tree["tree_param"]["num_feature"] = str(len(columns))
    with open(os.path.join(folder, "model.json"), "w", encoding="utf-8") as f:
        json.dump(text, f)
    return "model.json"


def _over_columns(tree: dict[str, Any], inputs: Inputs) -> None:
    """Rewrites the splits of one tree. In XGBoost a category of the set goes right, and every other one left."""
    categories: list[int] = []
    nodes: list[int] = []
    starts: list[int] = []
    sizes: list[int] = []
    if any(tree["split_type"]):
        raise NotSupported("XGBoost with categories of its own behind other steps")
    for i, left in enumerate(tree["left_children"]):
        if left < 0:
            continue
        feature = inputs.features[tree["split_indices"][i]]
        goes_left = _xgboost_order(np.float32(tree["split_conditions"][i]), bool(tree["default_left"][i]), inputs.sparse)
        column = inputs.columns[feature.column]
        tree["split_indices"][i] = feature.column
        if isinstance(feature, Code):
            right = [k for k, code in enumerate(feature.codes) if not goes_left(code)]
            tree["default_left"][i] = int(others_go_left(feature, column, goes_left))
            tree["split_type"][i] = 1
            nodes.append(i)
            starts.append(len(categories))
            members = right
            if not right:  # a set is never empty: all of it to the right is the same, with the sides changed
                members, tree["default_left"][i] = list(range(len(feature.codes))), 1 - tree["default_left"][i]
                sides = tree["left_children"], tree["right_children"]
                sides[0][i], sides[1][i] = sides[1][i], sides[0][i]
            sizes.append(len(members))
            categories.extend(members)
            continue
        if feature.steps:
            raise NotSupported(
                f"XGBoost behind a scaler of column {column.name!r}: it rounds to float32 after scaling, which its file cannot "
                "say. Trees need no scaler: leave it out"
            )
        tree["default_left"][i] = int(goes_left(feature.value(math.nan)))
        if inputs.sparse and goes_left(0.0) != bool(np.float32(0) < np.float32(tree["split_conditions"][i])):
            raise NotSupported(
                f"XGBoost on a sparse matrix takes the zeros of column {column.name!r} for missing values: "
                "make the encoder dense (sparse_output=False, sparse_threshold=0)"
            )
    tree["categories"], tree["categories_nodes"] = categories, nodes
    tree["categories_segments"], tree["categories_sizes"] = starts, sizes


def _xgboost_order(threshold: np.float32, default_left: bool, sparse: bool) -> Callable[[float], bool]:
    def goes_left(x: float) -> bool:
        if math.isnan(x) or (sparse and x == 0):
            return default_left
        with np.errstate(over="ignore"):
            return bool(np.float32(x) < threshold)

    return goes_left
