"""Rewrites a model of XGBoost 3.4, read as JSON, as older versions wrote it."""

import copy
import json
import math

import numpy as np

LOGITRAW_PROBABILITY = 0.3
# What XGBoost before 1.3 made of that base_score, in float32; since 1.3 the file holds the margin itself.
_P = np.float32(LOGITRAW_PROBABILITY)
LOGITRAW_MARGIN = float(np.float32(-math.log(np.float32(1) / _P - np.float32(1))))


def version_2(model: dict) -> str:
    """2.1: base_score is one number, and nothing about categories' texts."""
    old = copy.deepcopy(model)
    old["version"] = [2, 1, 4]
    learner = old["learner"]
    learner["learner_model_param"]["base_score"] = scalar(learner["learner_model_param"]["base_score"])
    del learner["gradient_booster"]["model"]["cats"]
    return dump(old)


def version_1(model: dict) -> str:
    """1.5: booleans for default_left, rounds not counted."""
    old = json.loads(version_2(model))
    old["version"] = [1, 5, 2]
    learner, booster = old["learner"], old["learner"]["gradient_booster"]["model"]
    del learner["learner_model_param"]["boost_from_average"]
    del booster["iteration_indptr"]
    booster["gbtree_model_param"]["size_leaf_vector"] = "0"
    for tree in booster["trees"]:
        tree["default_left"] = [bool(d) for d in tree["default_left"]]
        tree["tree_param"]["size_leaf_vector"] = "0"
    return dump(old)


def version_1_3(model: dict) -> str:
    """1.3: feature names and targets are not in the file either."""
    old = json.loads(version_1(model))
    old["version"] = [1, 3, 3]
    learner = old["learner"]
    del learner["feature_names"], learner["feature_types"], learner["learner_model_param"]["num_target"]
    return dump(old)


def version_1_2_logitraw(model: dict) -> str:
    """1.2: no categories at all, and binary:logitraw still applied the logit to base_score."""
    old = json.loads(version_1_3(model))
    old["version"] = [1, 2, 1]
    old["learner"]["learner_model_param"]["base_score"] = f"{LOGITRAW_PROBABILITY:E}"
    for tree in old["learner"]["gradient_booster"]["model"]["trees"]:
        for key in ("categories", "categories_nodes", "categories_segments", "categories_sizes", "split_type"):
            del tree[key]
        tree["leaf_child_counts"] = [0] * len(tree["parents"])
    return dump(old)


def dart_before_3_4(model: dict) -> str:
    """3.0: a booster named dart around a gbtree."""
    old = json.loads(version_2(model))
    old["version"] = [3, 0, 5]
    gbtree = old["learner"]["gradient_booster"]
    weights = gbtree["model"].pop("weight_drop")
    old["learner"]["gradient_booster"] = {"gbtree": gbtree, "name": "dart", "weight_drop": weights}
    return dump(old)


def scalar(base_score: str) -> str:
    """[4.57E-1] becomes 4.57E-1; of several equal ones, the first."""
    values = base_score.strip("[]").split(",")
    assert len(set(values)) == 1, base_score
    return values[0]


def dump(model: dict) -> str:
    """Compact; numbers keep the digits that were read, and infinities stay bare words."""
    return json.dumps(model, separators=(",", ":"))
