"""What each LightGBM fixture is trained on: one small model for every objective and every oddity of the text format."""

from collections.abc import Callable
from dataclasses import dataclass, field

import lightgbm as lgb
import numpy as np

import fixture_data as data

ROWS = 600
SEED = 3
PARAMETERS = {
    "num_leaves": 10,
    "learning_rate": 0.2,
    "min_data_in_leaf": 10,
    "min_data_per_group": 5,
    "seed": SEED,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
RANDOM_FOREST = {"boosting": "rf", "bagging_fraction": 0.6, "bagging_freq": 1, "feature_fraction": 0.8}


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
    contrib: bool = True
    infinite: bool = True  # try infinite values too
    facts: dict = field(default_factory=dict)


def squared_error(predictions: np.ndarray, dataset: lgb.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """An objective that the file cannot name."""
    return predictions - dataset.get_label(), np.ones_like(predictions)


def with_codes() -> np.ndarray:
    return np.column_stack([data.numbers(ROWS), data.codes(ROWS, (8, 90))])


def one_feature() -> np.ndarray:
    return data.numbers(ROWS)[:, :1]


def two_features() -> np.ndarray:
    rng = np.random.default_rng(SEED)
    return np.column_stack([rng.standard_normal(4000), rng.uniform(0, 100, 4000).round(2)])


def two_feature_label(x: np.ndarray) -> np.ndarray:
    return np.sin(9 * x[:, 0]) + np.cos(x[:, 1]) + np.random.default_rng(SEED).standard_normal(len(x))


def one_feature_label(x: np.ndarray) -> np.ndarray:
    return np.sin(2 * x[:, 0])


def no_label(x: np.ndarray) -> np.ndarray:
    return np.ones(len(x))


SUM = {"raw_is_sum": True, "contrib_is_sum": True}
RECIPES = [
    Recipe("binary", "binary, the plain case", {"objective": "binary"}),
    Recipe("binary_sigmoid", "sigmoid:2.5 in the objective", {"objective": "binary", "sigmoid": 2.5}),
    Recipe("regression", "squared error", {"objective": "regression"}, data.real),
    Recipe("regression_l1", "absolute error, identity", {"objective": "regression_l1"}, data.real),
    Recipe(
        "regression_sqrt",
        "objective `regression sqrt`: sign(x)*x*x",
        {"objective": "regression", "reg_sqrt": True},
        data.real,
    ),
    Recipe("huber", "huber loss, identity", {"objective": "huber"}, data.real),
    Recipe("quantile", "quantile loss, identity", {"objective": "quantile", "alpha": 0.8}, data.real),
    Recipe("poisson", "exp", {"objective": "poisson"}, data.count),
    Recipe("gamma", "exp", {"objective": "gamma"}, data.positive),
    Recipe("tweedie", "exp", {"objective": "tweedie"}, data.positive),
    Recipe(
        "multiclass", "softmax of three classes", {"objective": "multiclass", "num_class": 3}, data.classes, rounds=4
    ),
    Recipe(
        "multiclassova",
        "a sigmoid per class",
        {"objective": "multiclassova", "num_class": 3, "sigmoid": 1.5},
        data.classes,
        rounds=4,
    ),
    Recipe(
        "multiclass_absent",
        "a class without rows has one-leaf trees only",
        {"objective": "multiclass", "num_class": 3},
        data.two_classes,
        rounds=3,
    ),
    Recipe("cross_entropy", "labels in [0, 1], sigmoid", {"objective": "cross_entropy"}, data.share),
    Recipe("cross_entropy_lambda", "log1p(exp(x))", {"objective": "cross_entropy_lambda"}, data.share),
    Recipe("lambdarank", "ranking, identity", {"objective": "lambdarank"}, data.relevance, ranked=True),
    Recipe("rank_xendcg", "ranking, identity", {"objective": "rank_xendcg"}, data.relevance, ranked=True),
    Recipe(
        "dart", "DART weights are already in leaf_value", {"objective": "binary", "boosting": "dart", "drop_rate": 0.5}
    ),
    Recipe(
        "rf_binary",
        "random forest: average_output, then the sigmoid",
        {"objective": "binary"} | RANDOM_FOREST,
        facts=SUM,
    ),
    Recipe(
        "rf_regression",
        "random forest: average_output",
        {"objective": "regression"} | RANDOM_FOREST,
        data.real,
        facts=SUM,
    ),
    Recipe(
        "categorical",
        "category splits on codes; 90 categories need three bitset words",
        {"objective": "binary", "max_cat_to_onehot": 2},
        x=with_codes,
        categorical=[5, 6],
    ),
    Recipe(
        "categorical_onehot",
        "category splits of one category",
        {"objective": "binary", "max_cat_to_onehot": 100},
        x=with_codes,
        categorical=[5, 6],
    ),
    Recipe(
        "linear_tree",
        "leaves are linear models; NaN falls back to leaf_value",
        {"objective": "regression", "linear_tree": True, "linear_lambda": 0.1},
        data.real,
        contrib=False,
        infinite=False,
        facts={"linear": True},
    ),
    Recipe("zero_as_missing", "missing type Zero", {"objective": "binary", "zero_as_missing": True}),
    Recipe(
        "no_missing", "use_missing=false: missing type None, NaN is 0", {"objective": "binary", "use_missing": False}
    ),
    Recipe(
        "one_leaf",
        "every tree is a single leaf",
        {"objective": "regression", "min_data_in_leaf": ROWS},
        data.real,
        rounds=3,
    ),
    Recipe("no_trees", "no tree at all", {"objective": "binary"}, rounds=0, contrib=False),
    Recipe("one_feature", "a single feature", {"objective": "regression"}, one_feature_label, one_feature),
    Recipe(
        "odd_names",
        "feature names with `=`, UTF-8 and punctuation",
        {"objective": "binary"},
        names=["a=b", "=", "größe", "naïve=日本", "x.1"],
    ),
    Recipe(
        "leaves_255",
        "255 leaves a tree",
        {"objective": "binary", "num_leaves": 255, "min_data_in_leaf": 2},
        x=lambda: data.numbers(3000),
        rounds=3,
    ),
    Recipe(
        "leaves_600",
        "more leaves than a byte can number",
        {"objective": "regression", "num_leaves": 600, "min_data_in_leaf": 2},
        data.real,
        lambda: data.numbers(3000),
        rounds=2,
    ),
    Recipe(
        "thresholds_1000",
        "more than 254 thresholds on a feature",
        {"objective": "regression", "num_leaves": 400, "max_bin": 4000, "min_data_in_bin": 1, "min_data_in_leaf": 2},
        two_feature_label,
        two_features,
        rounds=4,
    ),
    Recipe("custom_objective", "no objective in the file: raw scores only", {"objective": squared_error}, data.real),
]
