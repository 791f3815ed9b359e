"""The LightGBM fixtures: one small model for every objective and every oddity of the text format."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import lightgbm as lgb
import numpy as np
import pandas as pd

import fixture_data as data
import fixture_rows
import lightgbm_text
from fixture_case import Case

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
    Recipe("regression_sqrt", "objective `regression sqrt`: sign(x)*x*x", {"objective": "regression", "reg_sqrt": True}, data.real),
    Recipe("huber", "huber loss, identity", {"objective": "huber"}, data.real),
    Recipe("quantile", "quantile loss, identity", {"objective": "quantile", "alpha": 0.8}, data.real),
    Recipe("poisson", "exp", {"objective": "poisson"}, data.count),
    Recipe("gamma", "exp", {"objective": "gamma"}, data.positive),
    Recipe("tweedie", "exp", {"objective": "tweedie"}, data.positive),
    Recipe("multiclass", "softmax of three classes", {"objective": "multiclass", "num_class": 3}, data.classes, rounds=4),
    Recipe("multiclassova", "a sigmoid per class", {"objective": "multiclassova", "num_class": 3, "sigmoid": 1.5}, data.classes, rounds=4),
    Recipe("multiclass_absent", "a class without rows has one-leaf trees only", {"objective": "multiclass", "num_class": 3}, data.two_classes, rounds=3),
    Recipe("cross_entropy", "labels in [0, 1], sigmoid", {"objective": "cross_entropy"}, data.share),
    Recipe("cross_entropy_lambda", "log1p(exp(x))", {"objective": "cross_entropy_lambda"}, data.share),
    Recipe("lambdarank", "ranking, identity", {"objective": "lambdarank"}, data.relevance, ranked=True),
    Recipe("rank_xendcg", "ranking, identity", {"objective": "rank_xendcg"}, data.relevance, ranked=True),
    Recipe("dart", "DART weights are already in leaf_value", {"objective": "binary", "boosting": "dart", "drop_rate": 0.5}),
    Recipe("rf_binary", "random forest: average_output, then the sigmoid", {"objective": "binary"} | RANDOM_FOREST, facts=SUM),
    Recipe("rf_regression", "random forest: average_output", {"objective": "regression"} | RANDOM_FOREST, data.real, facts=SUM),
    Recipe("categorical", "category splits on codes; 90 categories need three bitset words", {"objective": "binary", "max_cat_to_onehot": 2}, x=with_codes, categorical=[5, 6]),
    Recipe("categorical_onehot", "category splits of one category", {"objective": "binary", "max_cat_to_onehot": 100}, x=with_codes, categorical=[5, 6]),
    Recipe("linear_tree", "leaves are linear models; NaN falls back to leaf_value", {"objective": "regression", "linear_tree": True, "linear_lambda": 0.1}, data.real, contrib=False, infinite=False, facts={"linear": True}),
    Recipe("zero_as_missing", "missing type Zero", {"objective": "binary", "zero_as_missing": True}),
    Recipe("no_missing", "use_missing=false: missing type None, NaN is 0", {"objective": "binary", "use_missing": False}),
    Recipe("one_leaf", "every tree is a single leaf", {"objective": "regression", "min_data_in_leaf": ROWS}, data.real, rounds=3),
    Recipe("no_trees", "no tree at all", {"objective": "binary"}, rounds=0, contrib=False),
    Recipe("one_feature", "a single feature", {"objective": "regression"}, one_feature_label, one_feature),
    Recipe("odd_names", "feature names with `=`, UTF-8 and punctuation", {"objective": "binary"}, names=["a=b", "=", "größe", "naïve=日本", "x.1"]),
    Recipe("leaves_255", "255 leaves a tree", {"objective": "binary", "num_leaves": 255, "min_data_in_leaf": 2}, x=lambda: data.numbers(3000), rounds=3),
    Recipe("leaves_600", "more leaves than a byte can number", {"objective": "regression", "num_leaves": 600, "min_data_in_leaf": 2}, data.real, lambda: data.numbers(3000), rounds=2),
    Recipe("thresholds_1000", "more than 254 thresholds on a feature", {"objective": "regression", "num_leaves": 400, "max_bin": 4000, "min_data_in_bin": 1, "min_data_in_leaf": 2}, two_feature_label, two_features, rounds=4),
    Recipe("custom_objective", "no objective in the file: raw scores only", {"objective": squared_error}, data.real),
]  # fmt: skip


def cases() -> Iterator[Case]:
    for recipe in RECIPES:
        yield scored(recipe, train(recipe))
    yield mixed_missing()
    yield from text_categories()
    yield from old_text()


def train(recipe: Recipe) -> lgb.Booster:
    x = recipe.x()
    dataset = lgb.Dataset(
        x,
        recipe.label(x),
        group=data.groups(x) if recipe.ranked else None,
        feature_name=recipe.names or "auto",
        categorical_feature=recipe.categorical or "auto",
    )
    params = PARAMETERS | recipe.params
    return lgb.train(params, dataset, recipe.rounds) if recipe.rounds else lgb.Booster(params, dataset)


def scored(recipe: Recipe, booster: lgb.Booster) -> Case:
    x = fixture_rows.rows(recipe.x(), points(recipe, booster), SEED)
    return Case(
        name=f"lightgbm/{recipe.name}",
        library="lightgbm",
        about=recipe.about,
        models={"model.txt": booster.model_to_string().encode()},
        x=x,
        **outputs(booster, x, recipe.contrib),
        facts=recipe.facts,
    )


def outputs(booster: lgb.Booster, x, contrib: bool) -> dict:
    """All that LightGBM says about rows. Without trees it knows no leaves."""
    trees = booster.num_trees() > 0
    return {
        "raw": booster.predict(x, raw_score=True),
        "probability": booster.predict(x),
        "leaf": booster.predict(x, pred_leaf=True) if trees else None,
        "contrib": booster.predict(x, pred_contrib=True) if contrib and trees else None,
    }


def points(recipe: Recipe, booster: lgb.Booster) -> list[list[float]]:
    """The values worth trying, per feature."""
    thresholds = split_values(booster)
    finite = [v for v in fixture_rows.LIGHTGBM_ODD if recipe.infinite or not abs(v) > 1e100]
    found = []
    for feature in range(recipe.x().shape[1]):
        if feature in recipe.categorical:
            found.append([*range(10), *fixture_rows.LIGHTGBM_ODD_CODES])
        else:
            some = fixture_rows.thinned(thresholds.get(feature, []), 25, SEED)
            found.append(finite + [v for t in some for v in fixture_rows.around_float64(t)])
    return found


def split_values(booster: lgb.Booster) -> dict[int, list[float]]:
    """Thresholds of number splits by feature."""
    found: dict[int, list[float]] = {}
    pending = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    while pending:
        node = pending.pop()
        if "split_feature" not in node:
            continue
        pending += [node["left_child"], node["right_child"]]
        if node["decision_type"] == "<=":
            found.setdefault(node["split_feature"], []).append(node["threshold"])
    return found


def mixed_missing() -> Case:
    """Training continued with other settings: one feature then has several missing types."""
    recipe = Recipe("mixed_missing", "continued training: missing types None, Zero and NaN on one feature", {})
    x = recipe.x()
    booster = None
    for change in ({"use_missing": False}, {"zero_as_missing": True}, {}):
        params = PARAMETERS | {"objective": "binary"} | change
        booster = lgb.train(params, lgb.Dataset(x, data.binary(x), params=change), 3, init_model=booster)
    return scored(recipe, booster)


def text_categories() -> Iterator[Case]:
    """Models trained on pandas categories: the file ends with the texts of every category."""
    words = ["red", "green", "blue", "naïve", "two words", "quote\"d", "back\\slash", "日本"]
    yield pandas_case("categorical_text", "pandas_categorical of strings", {"colour": words, "size": ["S", "M", "L", "XL"]})
    mixed = {"whole": [10, -3, 0, 7], "flag": [False, True], "share": [0.5, 1.0, 2.25], "mark": ["0", "1", "x"]}
    yield pandas_case("categorical_mixed", "pandas_categorical of int, bool, float and strings", mixed)


def pandas_case(name: str, about: str, categories: dict[str, list]) -> Case:
    sizes = tuple(len(c) for c in categories.values())
    codes = data.codes(ROWS, sizes)
    x = np.column_stack([data.numbers(ROWS), codes])
    frame = as_frame(x, categories)
    params = PARAMETERS | {"objective": "binary", "max_cat_to_onehot": 2}
    booster = lgb.train(params, lgb.Dataset(frame, data.binary(x)), 8)
    recipe = Recipe(name, about, {}, x=lambda: x)
    number_points = points(recipe, booster)[:5]
    tried = fixture_rows.rows(x, number_points + [[*range(n), np.nan] for n in sizes], SEED)
    case = Case(
        name=f"lightgbm/{name}",
        library="lightgbm",
        about=about + "; cells.tsv has the texts, `never seen` and empty are missing",
        models={"model.txt": booster.model_to_string().encode()},
        x=tried,
        **outputs(booster, tried, contrib=True),
        cells=as_cells(tried, categories),
    )
    assert np.array_equal(booster.predict(as_frame(tried, categories), raw_score=True), case.raw)
    return case


def as_frame(x: np.ndarray, categories: dict[str, list]) -> pd.DataFrame:
    """Numbers as they are, codes as pandas categories."""
    frame = pd.DataFrame(x[:, :5], columns=[f"n{i}" for i in range(5)])
    for values, (name, texts) in zip(x[:, 5:].T, categories.items(), strict=True):
        codes = np.where(np.isnan(values), -1, values).astype(int)
        frame[name] = pd.Categorical.from_codes(codes, pd.Index(texts, dtype=object if name == "flag" else None))
    return frame


def as_cells(x: np.ndarray, categories: dict[str, list]) -> pd.DataFrame:
    """The same rows as text; a missing category is by turns empty and a text that training never saw."""
    cells = pd.DataFrame({f"n{i}": [f"{v:.17g}" for v in x[:, i]] for i in range(5)})
    for values, (name, texts) in zip(x[:, 5:].T, categories.items(), strict=True):
        missing = ["", "never seen"]
        cells[name] = [missing[i % 2] if np.isnan(v) else str(texts[int(v)]) for i, v in enumerate(values)]
    return cells


def old_text() -> Iterator[Case]:
    """The same models as older versions wrote them; the expectations stay those of the original."""
    variants = [
        ("v3", "binary", "version=v3", lightgbm_text.version_3),
        ("v2", "categorical", "version=v2: no is_linear, no weights", lightgbm_text.version_2),
        ("crlf", "binary", "CRLF line ends and no final newline", lightgbm_text.crlf),
    ]
    recipes = {r.name: r for r in RECIPES}
    for name, origin, about, rewrite in variants:
        case = scored(recipes[origin], train(recipes[origin]))
        text = rewrite(case.models["model.txt"].decode())
        case.name, case.about, case.models = f"lightgbm/{name}", about, {"model.txt": text.encode()}
        if name != "crlf":  # LightGBM itself reads LF only
            again = lgb.Booster(model_str=text).predict(case.x, raw_score=True)
            assert np.array_equal(again, case.raw), name
        yield case
