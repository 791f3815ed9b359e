"""The LightGBM fixtures: trains the recipes, adds those that need more than a recipe, and scores them all."""

from collections.abc import Iterator

import lightgbm as lgb
import numpy as np
import pandas as pd

import fixture_data as data
import fixture_rows
import lightgbm_text
from fixture_case import Case
from lightgbm_recipes import PARAMETERS, RECIPES, ROWS, SEED, Recipe


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
    words = ["red", "green", "blue", "naïve", "two words", 'quote"d', "back\\slash", "日本"]
    yield pandas_case(
        "categorical_text", "pandas_categorical of strings", {"colour": words, "size": ["S", "M", "L", "XL"]}
    )
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
