"""Trains small models in many settings with the LightGBM and XGBoost that are installed, and writes what they say.

    python testdata/train/make_model_matrix.py testdata/models [SEEDS]

A case is a folder <library>-<version>/<kind> with the model; rows.csv, which pandas' to_csv wrote, with what the library
says of each row behind it (_raw, _probability); x.tsv, the same rows as the library sees them, with codes for categories;
and case.json: the iterations that were predicted with, and what must be in the error where millrace refuses the file.
`make models` runs this for several versions; those that are committed are tested always.
"""

import json
import pathlib
import sys

import numpy as np
import pandas as pd

try:
    import lightgbm
except ImportError:
    lightgbm = None
try:
    import xgboost
except ImportError:
    xgboost = None

ROWS = 40
LISTS = {
    "text": ["Fiber optic", "DSL", "no"],
    "bool": [True, False],
    "float": [0.0, 1.0, 2.5, 1e-07],
    "int": [3, 10, 7],
    "umlaut": ["Zürich", "Bern", "Genf"],
    "empty": ["", "a", "b"],
    "ordered": ["low", "middle", "high"],
}


def frame(kind, rng, rows):
    """Two numbers, one of them with holes, and a category column of a kind if there is one."""
    x, z = rng.normal(size=rows), np.round(rng.gamma(2.0, 30.0, rows), 2)
    x[rng.random(rows) < 0.1] = np.nan
    data, pull = {"x": x, "z": z}, np.nan_to_num(x) + (z > 50)
    if kind in LISTS:
        values = np.array(LISTS[kind], dtype=object)
        place = rng.integers(0, len(values), rows)
        pull = pull + 1.5 * (place == 0) - (place == 1)
        # A list, so that pandas finds the type of the categories itself.
        column = pd.Categorical(list(values[place]), categories=LISTS[kind] if kind == "ordered" else None,
                                ordered=kind == "ordered")
        data["k"] = column.set_categories(column.categories)
        data["k"] = pd.Series(data["k"]).where(pd.Series(rng.random(rows) > 0.05))
        data["flag"] = (rng.random(rows) < 0.5).astype(int)
    return pd.DataFrame(data), (pull + rng.normal(size=rows) > 0.5).astype(int)


def codes(data):
    """The matrix that model predict takes: a category is its position, a missing one NaN."""
    out = data.copy()
    for name in out:
        if isinstance(out[name].dtype, pd.CategoricalDtype):
            code = out[name].cat.codes.astype(float)
            out[name] = code.where(code >= 0)
    return out.astype(float)


def write(folder, data, raw, probability, case):
    table = data.copy()
    table["_raw"] = [repr(float(v)) for v in raw]
    table["_probability"] = [repr(float(v)) for v in probability]
    table.to_csv(folder / "rows.csv", index=False)
    np.savetxt(folder / "x.tsv", codes(data).to_numpy(), fmt="%.17g", delimiter="\t")
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")


# Settings that only make models trains: they are too many to commit.
LIGHTGBM_WIDE = {
    "goss": {"boosting": "goss"},
    "extra": {"extra_trees": True},
    "fine": {"max_bin": 4000, "min_data_in_bin": 1, "min_data_in_leaf": 1, "num_leaves": 40},
    "zero_missing": {"zero_as_missing": True},
    "no_missing": {"use_missing": False},
    "monotone": {"monotone_constraints": [1, 0], "monotone_constraints_method": "basic"},
    "unbalance": {"is_unbalance": True},
    "sigmoid": {"sigmoid": 2.5},
    "smooth": {"path_smooth": 5.0, "lambda_l1": 0.3, "lambda_l2": 2.0},
    "no_average": {"boost_from_average": False},
    "bagging": {"bagging_freq": 1, "bagging_fraction": 0.5, "feature_fraction_bynode": 0.7},
    "stump": {"num_leaves": 2},
    "one_leaf": {"min_data_in_leaf": 10_000},
    "linear_dart": {"linear_tree": True, "boosting": "dart"},
}
XGBOOST_WIDE = {
    "exact": {"tree_method": "exact"},
    "loss_guide": {"grow_policy": "lossguide", "max_leaves": 20, "max_depth": 0, "tree_method": "hist"},
    "sampled": {"subsample": 0.5, "colsample_bynode": 0.5},
    "pruned": {"gamma": 2.0, "max_depth": 6, "tree_method": "exact"},
    "monotone": {"monotone_constraints": "(1,0)"},
    "weighted": {"scale_pos_weight": 7.3, "max_delta_step": 1},
    "parallel": {"num_parallel_tree": 4, "subsample": 0.6},
    "fine": {"max_bin": 2000, "max_depth": 10, "min_child_weight": 0},
    "one_leaf": {"gamma": 1e9},
    "base_score": {"base_score": 0.148},
    "dart_forest": {"booster": "dart", "rate_drop": 0.3, "normalize_type": "forest", "one_drop": 1},
}


def suffix(seed):
    return f"-{seed}" if seed else ""


def lightgbm_cases(wide):
    yield "numbers", "numbers", {}
    yield "dart", "numbers", {"boosting": "dart", "drop_rate": 0.5}
    yield "rf", "numbers", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
    yield "linear", "numbers", {"linear_tree": True}
    yield "early", "numbers", {"early": True}
    for kind in LISTS:
        yield kind, kind, {"min_data_per_group": 5, "cat_smooth": 1}
    for name, extra in LIGHTGBM_WIDE.items() if wide else ():
        yield name, "numbers", extra


def train_lightgbm(root, seed, wide):
    version = lightgbm.__version__
    for name, kind, extra in lightgbm_cases(wide):
        rng = np.random.default_rng(18 + seed)
        data, y = frame(kind, rng, 600)
        extra = dict(extra)
        early = extra.pop("early", False)
        p = {"objective": "binary", "num_leaves": 6, "verbose": -1, "num_threads": 1, "learning_rate": 0.4, **extra}
        train = lightgbm.Dataset(data[200:], y[200:], params=p)
        more = {}
        if early:
            more = {"valid_sets": [lightgbm.Dataset(data[:200], y[:200], reference=train)],
                    "callbacks": [lightgbm.early_stopping(3, verbose=False)]}
        booster = lightgbm.train(p, train, 60 if early else 6, **more)
        folder = root / f"lightgbm-{version}" / (name + suffix(seed))
        folder.mkdir(parents=True, exist_ok=True)
        booster.save_model(str(folder / "model.txt"))
        rows = data[:ROWS].reset_index(drop=True)
        case = {"library": f"LightGBM {version}", "kind": name, "model": "model.txt"}
        if kind == "ordered":
            case["refused"] = "category lists"
        if kind == "empty":
            case["refused"] = "empty text"
        if name == "rf":
            case["raw_is_sum"] = True
        write(folder, rows, booster.predict(rows, raw_score=True), booster.predict(rows), case)


def xgboost_cases(wide):
    yield "numbers", "numbers", {}
    yield "dart", "numbers", {"booster": "dart", "rate_drop": 0.5}
    yield "approx", "numbers", {"tree_method": "approx"}
    yield "early_best", "numbers", {"early_stopping_rounds": 3, "n_estimators": 60}
    yield "early_all", "numbers", {"early_stopping_rounds": 3, "n_estimators": 60}
    for kind in ("text", "int", "umlaut", "empty", "ordered"):
        yield kind, kind, {"enable_categorical": True, "tree_method": "hist"}
    for name, extra in XGBOOST_WIDE.items() if wide else ():
        yield name, "numbers", extra


def xgboost_refusal(kind, version):
    if kind not in LISTS:
        return ""
    if version < (3, 1):
        return "saves no names of categories"
    if kind == "umlaut" and version < (3, 4):
        return "beyond ASCII"
    return {"empty": "empty text"}.get(kind, "")


def train_xgboost(root, seed, wide):
    version = xgboost.__version__
    for name, kind, extra in xgboost_cases(wide):
        rng = np.random.default_rng(18 + seed)
        data, y = frame(kind, rng, 600)
        settings = {"n_estimators": 6, "max_depth": 3, "learning_rate": 0.6, "n_jobs": 1, **extra}
        model = xgboost.XGBClassifier(**settings)
        watch = {"eval_set": [(data[:200], y[:200])], "verbose": False} if name.startswith("early") else {}
        model.fit(data[200:], y[200:], **watch)
        folder = root / f"xgboost-{version}" / (name + suffix(seed))
        folder.mkdir(parents=True, exist_ok=True)
        model.save_model(str(folder / "model.ubj"))
        # What today's user has is the file, so it is the file that predicts.
        loaded = xgboost.XGBClassifier()
        loaded.load_model(str(folder / "model.ubj"))
        rows = data[:ROWS].reset_index(drop=True)
        case = {"library": f"XGBoost {version}", "kind": name, "model": "model.ubj"}
        # XGBoost before 3.4 adds DART's trees in another order in place, as the wrapper predicts.
        if name == "early_all" or name.startswith("dart"):
            matrix, booster = xgboost.DMatrix(rows), loaded.get_booster()
            raw, probability = booster.predict(matrix, output_margin=True), booster.predict(matrix)
        else:
            raw, probability = loaded.predict(rows, output_margin=True), loaded.predict_proba(rows)[:, 1]
        if name == "early_best":
            case["iterations"] = "best"
        refused = xgboost_refusal(kind, tuple(int(n) for n in version.split(".")[:2]))
        if refused:
            case["refused"] = refused
        write(folder, rows, raw, probability, case)


def main():
    root, seeds = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for seed in range(seeds):
        if lightgbm:
            train_lightgbm(root, seed, seeds > 1)
        if xgboost:
            train_xgboost(root, seed, seeds > 1)


if __name__ == "__main__":
    main()
