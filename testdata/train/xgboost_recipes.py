"""What each XGBoost fixture is trained on: one small model for every objective and every oddity of the formats."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import xgboost as xgb

import fixture_data as data

ROWS = 600
SEED = 4
PARAMETERS = {"max_depth": 4, "eta": 0.3, "seed": SEED, "nthread": 1, "tree_method": "hist"}
THREE = {"num_class": 3}


@dataclass(frozen=True)
class Recipe:
    """How to train one case."""

    name: str
    about: str
    params: dict
    label: Callable[[np.ndarray], np.ndarray] = data.binary
    x: Callable[[], np.ndarray] = lambda: data.numbers(ROWS)
    rounds: int = 8
    names: list[str] | None = None
    categorical: list[int] = field(default_factory=list)
    ranked: bool = False
    facts: dict = field(default_factory=dict)

    def dmatrix(self, x: np.ndarray, **more) -> xgb.DMatrix:
        """Feature types are set, and so stand in the file, only where there are categories."""
        types = ["c" if i in self.categorical else "q" for i in range(x.shape[1])] if self.categorical else None
        return xgb.DMatrix(
            x, feature_names=self.names, feature_types=types, enable_categorical=bool(types), nthread=1, **more
        )


def with_codes() -> np.ndarray:
    return np.column_stack([data.numbers(ROWS), data.codes(ROWS, (8, 90))])


def two_targets(x: np.ndarray) -> np.ndarray:
    return np.column_stack([data.real(x), -2 * data.real(x) + np.nan_to_num(x[:, 0])])


def two_labels(x: np.ndarray) -> np.ndarray:
    return np.column_stack([data.binary(x), np.nan_to_num(x[:, 1]) > np.nanmedian(x[:, 1])])


def one_feature() -> np.ndarray:
    return data.numbers(ROWS)[:, :1]


def one_feature_label(x: np.ndarray) -> np.ndarray:
    return np.sin(2 * x[:, 0])


def two_features() -> np.ndarray:
    rng = np.random.default_rng(SEED)
    return np.column_stack([rng.standard_normal(3000), rng.uniform(0, 100, 3000).round(2)])


def two_feature_label(x: np.ndarray) -> np.ndarray:
    return np.sin(9 * x[:, 0]) + np.cos(x[:, 1]) + np.random.default_rng(SEED).standard_normal(len(x))


def missing_tells(x: np.ndarray) -> np.ndarray:
    """Only whether the third feature is missing matters."""
    return np.isnan(x[:, 2]) + 0.01 * data.signal(x)


def survival_time(x: np.ndarray) -> np.ndarray:
    """Times; a negative one is censored, as survival:cox reads it."""
    return np.where(np.arange(len(x)) % 4 == 0, -data.positive(x), data.positive(x))


LOGISTIC = {"objective": "binary:logistic"}
MANY = "more than 254 thresholds on a feature"
RECIPES = [
    Recipe("binary_logistic", "binary:logistic, the plain case", {"objective": "binary:logistic"}),
    Recipe("reg_logistic", "sigmoid of labels in [0, 1]", {"objective": "reg:logistic"}, data.share),
    Recipe("binary_logitraw", "identity; base_score is a margin", {"objective": "binary:logitraw"}),
    Recipe("squarederror", "identity", {"objective": "reg:squarederror"}, data.real),
    Recipe("squaredlogerror", "identity", {"objective": "reg:squaredlogerror"}, data.positive),
    Recipe("absoluteerror", "identity", {"objective": "reg:absoluteerror"}, data.real),
    Recipe("pseudohubererror", "identity", {"objective": "reg:pseudohubererror"}, data.real),
    Recipe("quantileerror", "identity", {"objective": "reg:quantileerror", "quantile_alpha": 0.7}, data.real),
    Recipe("poisson", "exp; base_score goes through log", {"objective": "count:poisson"}, data.count),
    Recipe("gamma", "exp; base_score goes through log", {"objective": "reg:gamma"}, data.positive),
    Recipe("tweedie", "exp; base_score goes through log", {"objective": "reg:tweedie"}, data.positive),
    Recipe(
        "softprob", "softmax; a base_score per class", {"objective": "multi:softprob"} | THREE, data.classes, rounds=3
    ),
    Recipe(
        "softmax",
        "probability.tsv holds the class number",
        {"objective": "multi:softmax"} | THREE,
        data.classes,
        rounds=3,
        facts={"probability_is": "class"},
    ),
    Recipe("rank_ndcg", "ranking, identity", {"objective": "rank:ndcg"}, data.relevance, ranked=True),
    Recipe("rank_pairwise", "ranking, identity", {"objective": "rank:pairwise"}, data.relevance, ranked=True),
    Recipe("cox", "exp; base_score goes through log", {"objective": "survival:cox"}, survival_time),
    Recipe("hinge", "0 or 1", {"objective": "binary:hinge"}, facts={"probability_is": "class"}),
    Recipe("dart", "a weight per tree in weight_drop", {"objective": "binary:logistic", "rate_drop": 0.5}),
    Recipe(
        "parallel_trees",
        "a forest: four trees a round",
        {"objective": "binary:logistic", "num_parallel_tree": 4, "subsample": 0.6},
        rounds=2,
    ),
    Recipe(
        "parallel_classes",
        "tree_info is 0,0,1,1,2,2",
        {"objective": "multi:softprob", "num_parallel_tree": 2, "subsample": 0.6} | THREE,
        data.classes,
        rounds=2,
    ),
    Recipe(
        "categorical",
        "category splits on codes: in the set goes right",
        LOGISTIC | {"max_cat_to_onehot": 2},
        x=with_codes,
        categorical=[5, 6],
    ),
    Recipe(
        "categorical_onehot",
        "category splits of one category",
        LOGISTIC | {"max_cat_to_onehot": 100},
        x=with_codes,
        categorical=[5, 6],
    ),
    Recipe("scale_pos_weight", "weighted classes", {"objective": "binary:logistic", "scale_pos_weight": 3.5}),
    Recipe("base_score", "base_score given", {"objective": "binary:logistic", "base_score": 0.2}),
    Recipe(
        "base_score_clipped",
        "base_score beyond the clip of the logit",
        {"objective": "binary:logistic", "base_score": 1e-7, "min_child_weight": 0},
    ),
    Recipe(
        "exact_deep",
        "tree_method exact; " + MANY,
        {"tree_method": "exact", "max_depth": 10, "min_child_weight": 0},
        two_feature_label,
        two_features,
        rounds=3,
    ),
    Recipe(
        "approx_deep",
        "tree_method approx; " + MANY,
        {"tree_method": "approx", "max_depth": 10, "max_bin": 2000},
        two_feature_label,
        two_features,
        rounds=3,
    ),
    Recipe(
        "depth_12",
        "long paths",
        {"objective": "binary:logistic", "max_depth": 12, "min_child_weight": 0},
        x=lambda: data.numbers(2000),
        rounds=3,
    ),
    Recipe(
        "loss_guide",
        "grown leaf by leaf: children far from their parents",
        {"grow_policy": "lossguide", "max_leaves": 40, "max_depth": 0},
        data.real,
        rounds=3,
    ),
    Recipe(
        "pruned",
        "deleted nodes among the others",
        {"tree_method": "exact", "gamma": 3.0, "max_depth": 6},
        data.real,
        rounds=4,
    ),
    Recipe("missing_right", "a threshold above all values parts missing from present", {}, missing_tells, rounds=3),
    Recipe(
        "missing_left",
        "a threshold of -Infinity parts missing from present",
        {"monotone_constraints": "(0,0,-1,0,0)"},
        missing_tells,
        rounds=3,
    ),
    Recipe("one_leaf", "every tree is a single leaf", {"gamma": 1e9}, data.real, rounds=3),
    Recipe("no_trees", "no tree at all", {"objective": "binary:logistic"}, rounds=0),
    Recipe("one_feature", "a single feature", {}, one_feature_label, one_feature),
    Recipe("two_targets", "two targets, a tree for each", {"objective": "reg:squarederror"}, two_targets),
    Recipe("multilabel", "two labels that exclude nothing", {"objective": "binary:logistic"}, two_labels),
    Recipe(
        "quantiles",
        "a list of quantiles, a tree for each",
        {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]},
        data.real,
    ),
    Recipe(
        "odd_names",
        "feature names with `=`, blanks, quotes and UTF-8",
        {"objective": "binary:logistic"},
        names=["a=b", "two words", "größe", "naïve=日本", 'quote"d\\'],
    ),
]
