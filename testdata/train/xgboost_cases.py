"""The XGBoost fixtures, as JSON and UBJSON: trains the recipes, adds what needs more than one, scores them all."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xgboost as xgb

import fixture_data as data
import fixture_rows
import xgboost_json
from fixture_case import Case, Refused
from xgboost_recipes import PARAMETERS, RECIPES, ROWS, SEED, THREE, Recipe

INFINITE_ROWS = 6


def cases() -> Iterator[Case | Refused]:
    for recipe in RECIPES:
        yield scored(recipe, train(recipe))
    yield survival_aft()
    yield text_categories()
    yield from old_json()
    yield from refused()


def train(recipe: Recipe) -> xgb.Booster:
    x = recipe.x()
    training = recipe.dmatrix(x, label=recipe.label(x), group=data.groups(x) if recipe.ranked else None)
    return xgb.train(PARAMETERS | recipe.params, training, recipe.rounds)


def files(booster: xgb.Booster) -> dict[str, bytes]:
    return {"model.json": bytes(booster.save_raw("json")), "model.ubj": bytes(booster.save_raw("ubj"))}


def scored(recipe: Recipe, booster: xgb.Booster) -> Case:
    finite = fixture_rows.rows(recipe.x(), points(recipe, booster), SEED)
    x = np.vstack([finite, infinite(finite)])
    return Case(
        name=f"xgboost/{recipe.name}",
        library="xgboost",
        about=recipe.about,
        models=files(booster),
        x=x,
        **outputs(booster, recipe.dmatrix(finite), x),
        facts=recipe.facts,
    )


def outputs(booster: xgb.Booster, finite: xgb.DMatrix, x) -> dict:
    """All that XGBoost says about rows. It refuses infinite ones except in place: they come last and lack the rest."""
    raw = booster.inplace_predict(x, predict_type="margin")
    probability = booster.inplace_predict(x)
    rows = finite.num_row()
    assert np.array_equal(raw[:rows], booster.predict(finite, output_margin=True))
    assert np.array_equal(probability[:rows], booster.predict(finite))
    trees = booster.num_boosted_rounds() > 0
    return {
        "raw": raw,
        "probability": probability,
        "leaf": booster.predict(finite, pred_leaf=True) if trees else None,
        "contrib": booster.predict(finite, pred_contribs=True),
    }


def infinite(finite: np.ndarray) -> np.ndarray:
    """Some of the rows with infinite values in one and in all features."""
    rows = finite[:INFINITE_ROWS].copy()
    for i, row in enumerate(rows):
        value = np.inf if i % 2 else -np.inf
        if i < INFINITE_ROWS - 2:
            row[i % rows.shape[1]] = value
        else:
            row[:] = value
    return rows


def points(recipe: Recipe, booster: xgb.Booster) -> list[list[float]]:
    """The values worth trying, per feature."""
    thresholds = split_values(booster)
    found = []
    for feature in range(recipe.x().shape[1]):
        if feature in recipe.categorical:
            found.append([*range(10), *fixture_rows.XGBOOST_ODD_CODES])
        else:
            some = fixture_rows.thinned(thresholds.get(feature, []), 20, SEED)
            found.append(fixture_rows.XGBOOST_ODD + [v for t in some for v in fixture_rows.around_float32(t)])
    return found


def split_values(booster: xgb.Booster) -> dict[int, list[float]]:
    """Finite thresholds of number splits by feature."""
    found: dict[int, list[float]] = {}
    for tree in model_of(booster)["learner"]["gradient_booster"]["model"]["trees"]:
        nodes = zip(
            tree["split_indices"], tree["split_conditions"], tree["left_children"], tree["split_type"], strict=True
        )
        for feature, threshold, left, is_category in nodes:
            if left >= 0 and not is_category and np.isfinite(threshold):
                found.setdefault(feature, []).append(threshold)
    return found


def model_of(booster: xgb.Booster) -> dict:
    return json.loads(booster.save_raw("json"))


def survival_aft() -> Case:
    """Its labels are intervals."""
    recipe = Recipe("aft", "exp; base_score goes through log", {})
    x = recipe.x()
    training = recipe.dmatrix(x)
    times = data.positive(x)
    training.set_float_info("label_lower_bound", times)
    training.set_float_info("label_upper_bound", np.where(np.arange(ROWS) % 4 == 0, np.inf, times))
    params = PARAMETERS | {"objective": "survival:aft", "aft_loss_distribution": "normal"}
    return scored(recipe, xgb.train(params, training, 8))


def text_categories() -> Case:
    """Trained on pandas categories: the file lists the texts and whole numbers of every category in `cats`."""
    categories = {"colour": ["red", "green", "blue", "naïve", "two words", "日本", ""], "whole": [10, -3, 0, 7]}
    x = np.column_stack([data.numbers(ROWS), data.codes(ROWS, (7, 4))])
    params = PARAMETERS | {"objective": "binary:logistic", "max_cat_to_onehot": 2}
    training = xgb.DMatrix(as_frame(x, categories), data.binary(x), enable_categorical=True, nthread=1)
    booster = xgb.train(params, training, 8)
    number_points = points(Recipe("", "", {}, x=lambda: x), booster)[:5]
    tried = fixture_rows.rows(x, number_points + [[*range(7), np.nan], [*range(4), np.nan]], SEED)
    frame = as_frame(tried, categories)
    finite = xgb.DMatrix(frame, enable_categorical=True, nthread=1)
    return Case(
        name="xgboost/categorical_text",
        library="xgboost",
        about="`cats` of strings and whole numbers; cells.tsv has the texts, `?` is missing",
        models=files(booster),
        x=tried,
        **outputs(booster, finite, frame),
        cells=as_cells(tried, categories),
    )


def as_frame(x: np.ndarray, categories: dict[str, list]) -> pd.DataFrame:
    """Numbers as they are, codes as pandas categories."""
    frame = pd.DataFrame(x[:, :5], columns=[f"n{i}" for i in range(5)])
    for values, (name, texts) in zip(x[:, 5:].T, categories.items(), strict=True):
        codes = np.where(np.isnan(values), -1, values).astype(int)
        frame[name] = pd.Categorical.from_codes(codes, texts)
    return frame


def as_cells(x: np.ndarray, categories: dict[str, list]) -> pd.DataFrame:
    cells = pd.DataFrame({f"n{i}": [f"{v:.17g}" for v in x[:, i]] for i in range(5)})
    for values, (name, texts) in zip(x[:, 5:].T, categories.items(), strict=True):
        cells[name] = ["?" if np.isnan(v) else str(texts[int(v)]) for v in values]
    return cells


def old_json() -> Iterator[Case]:
    """The same models as older versions wrote them; the expectations stay those of the original."""
    recipes = {r.name: r for r in RECIPES}
    one_base = Recipe("", "", {"objective": "multi:softprob", "base_score": 0.5} | THREE, data.classes, rounds=3)
    given = Recipe("", "", {"objective": "binary:logitraw", "base_score": xgboost_json.LOGITRAW_MARGIN})
    variants = [
        (
            "v2_scalar_base",
            recipes["binary_logistic"],
            "2.1: base_score is one number, no cats",
            xgboost_json.version_2,
        ),
        (
            "v1_booleans",
            recipes["binary_logistic"],
            "1.5: default_left is true or false, no iteration_indptr",
            xgboost_json.version_1,
        ),
        ("v1_poisson", recipes["poisson"], "1.5: a scalar base_score through log", xgboost_json.version_1),
        ("v1_classes", one_base, "1.5: a scalar base_score for all classes", xgboost_json.version_1),
        ("v1_3_logitraw", given, "1.3: base_score of binary:logitraw is a margin", xgboost_json.version_1_3),
        (
            "v1_2_logitraw",
            given,
            "1.2: base_score of binary:logitraw is a probability, no categories",
            xgboost_json.version_1_2_logitraw,
        ),
        (
            "v3_0_dart",
            recipes["dart"],
            '3.0: name "dart" with gbtree and weight_drop inside',
            xgboost_json.dart_before_3_4,
        ),
    ]
    for name, recipe, about, rewrite in variants:
        booster = train(recipe)
        case = scored(recipe, booster)
        text = rewrite(model_of(booster))
        if name != "v1_2_logitraw":  # which later versions read otherwise
            assert np.array_equal(reloaded(text).inplace_predict(case.x, predict_type="margin"), case.raw), name
        case.name, case.about, case.models = f"xgboost/{name}", about, {"model.json": text.encode()}
        yield case


def reloaded(text: str) -> xgb.Booster:
    booster = xgb.Booster()
    booster.load_model(bytearray(text.encode()))
    return booster


def refused() -> Iterator[Refused]:
    """Files that are whole and valid, and hold what we do not score."""
    x = data.numbers(ROWS)
    targets = xgb.DMatrix(x, np.column_stack([data.real(x), -data.real(x)]), nthread=1)
    plain = xgb.DMatrix(np.nan_to_num(x), data.real(x), nthread=1)
    models = {
        "gblinear": (plain, {"booster": "gblinear"}, "a linear booster"),
        "vector_leaf": (targets, {"multi_strategy": "multi_output_tree"}, "two targets in every leaf"),
    }
    for name, (training, params, about) in models.items():
        base = {"nthread": 1, "seed": SEED} if name == "gblinear" else PARAMETERS
        booster = xgb.train(base | params, training, 2)
        yield Refused(f"xgboost/refused_{name}", "xgboost", about, files(booster), "unsupported")
