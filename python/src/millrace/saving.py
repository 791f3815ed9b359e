"""Bundles of trained models."""

from __future__ import annotations

import json
import math
import os
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import boosters, linear, rows, sklearn_models
from .errors import NotSupported
from .features import Code, Inputs, category_column
from .program import run
from .steps import inputs_of, through, without_unread
from .trees import Made, lightgbm_text, over_columns


@dataclass(frozen=True)
class Saved:
    """A bundle that has been written, with what millrace said of it: what was assumed, and what to look at."""

    path: str
    report: str


def save(
    model: Any,
    X: Any,  # noqa: N803 - as scikit-learn names it
    y: Any = None,
    *,
    path: str | os.PathLike[str],
    id: str | None = None,  # noqa: A002 - as the command line names it
    value: str | None = None,
    name: str | None = None,
    title: str | None = None,
    bands: str | None = None,
) -> Saved:
    """Writes a bundle of a trained model into the directory path, which must not exist.

    model is a LightGBM or XGBoost model, a HistGradientBoosting-, GradientBoosting-, RandomForest- or
    ExtraTreesClassifier, a LogisticRegression, a CalibratedClassifierCV of one of them, or a Pipeline that ends with one. X is the table that
    it was trained on, before every step; y says who left, and is used for bands and figures. id and value name columns
    of X that the model does not read. What a bundle cannot hold raises NotSupported before anything is written.
    """
    if not hasattr(X, "columns"):
        import pandas as pd

        X = pd.DataFrame(X, columns=_names_of(model, np.shape(X)[1]))
    aside = [c for c in (id, value) if c is not None and c in X.columns and not _reads(model, c)]
    frame = X.drop(columns=aside)
    calibrated, base = _calibration_of(model)
    steps, estimator = _split(base)
    with tempfile.TemporaryDirectory() as folder:
        written = _write_model(steps, estimator, frame, folder)
        golden = rows.adversarial(frame.iloc[:, written.read], written.inputs.columns, rows.thresholds(written.trees, len(written.read)))
        _write_golden(folder, model, base, golden, written, id, value, frame, X)
        data = _table(X, y)
        data.to_csv(os.path.join(folder, "data.csv"), index=False, float_format=None)
        facts: dict[str, object] = {
            "golden": "golden.csv",
            "golden_by": _library_of(estimator),
            "probability": written.probability,
            "columns": {c.name: {"not_empty": c.not_empty, "reject_unknown": c.reject_unknown} for c in written.inputs.columns},
        }
        if written.lists_categories:
            facts["categories"] = {c.name: c.categories for c in written.inputs.columns if c.categories is not None}
        if calibrated is not None:
            facts["calibration"] = calibrated
        arguments = [
            "bundle", "create", os.path.join(folder, written.file), "--data", os.path.join(folder, "data.csv"), "--out", os.fspath(path),
            "--name", name or os.path.basename(os.path.normpath(os.fspath(path))), "--iterations", written.iterations,
            "--facts", _json(folder, "facts.json", facts),
        ]
        for flag, text in (("--id", id), ("--value", value), ("--title", title), ("--bands", bands), ("--label", None if y is None else LABEL)):
            if text is not None:
                arguments += [flag, text]
        done = run(arguments)
    return Saved(os.fspath(path), done.stdout.decode("utf-8"))


LABEL = "millrace_label"  # the column of the table that is handed over; it is in no bundle


@dataclass
class _Written:
    file: str
    inputs: Inputs
    trees: list[Made]
    read: list[int]  # the columns of the table that the model reads: those of inputs
    iterations: str = "all"
    probability: bool = False  # the raw score is a probability
    lists_categories: bool = False  # the file does not name the categories


def _json(folder: str, name: str, content: object) -> str:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(content, f)
    return path


def _names_of(model: Any, n: int) -> list[str]:
    names = getattr(model, "feature_names_in_", None)
    return [str(c) for c in names] if names is not None else [f"f{i}" for i in range(n)]


def _reads(model: Any, column: str) -> bool:
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        names = getattr(model, "feature_name_", None) or getattr(model, "feature_names", None)
    return names is not None and column in list(names)


def _split(model: Any) -> tuple[list[Any], Any]:
    """Returns the steps before an estimator, and the estimator."""
    if type(model).__name__ == "Pipeline":
        inner, estimator = _split(model.steps[-1][1])
        return [step for _, step in model.steps[:-1]] + inner, estimator
    return [], model


def _calibration_of(model: Any) -> tuple[dict[str, object] | None, Any]:
    """Returns the calibration of a CalibratedClassifierCV and the model that it corrects."""
    if type(model).__name__ != "CalibratedClassifierCV":
        return None, model
    parts = model.calibrated_classifiers_
    if len(parts) != 1:
        raise NotSupported("CalibratedClassifierCV with several models, whose mean a bundle cannot hold: use ensemble=False")
    base = parts[0].estimator
    if type(base).__name__ == "FrozenEstimator":
        base = base.estimator
    (calibrator,) = parts[0].calibrators
    margin = hasattr(base, "decision_function")
    kind = type(calibrator).__name__
    if kind == "_SigmoidCalibration" and margin:
        return {"method": "platt", "slope": -float(calibrator.a_), "intercept": -float(calibrator.b_)}, base
    if kind == "IsotonicRegression" and not margin:
        x, y = _rising(calibrator)
        return {"method": "isotonic", "x": x, "y": y}, base
    raise NotSupported(f"CalibratedClassifierCV with {kind} of a {'margin' if margin else 'probability'}: sigmoid fits models with a "
                       "decision_function, isotonic those without")


def _rising(calibrator: Any) -> tuple[list[float], list[float]]:
    return [float(x) for x in calibrator.X_thresholds_], [float(y) for y in calibrator.y_thresholds_]


def _kind(estimator: Any) -> str:
    root = type(estimator).__module__.split(".")[0]
    return root if root in ("lightgbm", "xgboost") else type(estimator).__name__


_FORESTS = {
    "HistGradientBoostingClassifier": sklearn_models.hist_gradient_boosting,
    "GradientBoostingClassifier": sklearn_models.gradient_boosting,
    "RandomForestClassifier": sklearn_models.forest,
    "ExtraTreesClassifier": sklearn_models.forest,
}
_LINEAR = ("LogisticRegression", "LogisticRegressionCV")


def _write_model(steps: list[Any], estimator: Any, frame: Any, folder: str) -> _Written:
    kind = _kind(estimator)
    inputs = inputs_of(frame)
    for step in steps:
        inputs = through(step, inputs)
    inputs, read = without_unread(inputs)
    frame = frame.iloc[:, read]
    if kind == "xgboost":
        return _write_xgboost(steps, estimator, inputs, read, frame, folder)
    if kind == "lightgbm":
        if not steps:
            return _write_lightgbm(estimator, inputs, read, frame, folder)
        forest = boosters.lightgbm_forest(estimator, inputs)
    elif kind in _FORESTS:
        forest = _FORESTS[kind](estimator, inputs)
    elif kind in _LINEAR:
        trees = linear.logistic_regression(estimator, inputs, frame)
        _write(lightgbm_text(trees, inputs.columns, sklearn_models.SIGMOID, average=False), folder, "model.txt")
        return _Written("model.txt", inputs, trees, read)
    else:
        known = ", ".join([*_FORESTS, *_LINEAR])
        raise NotSupported(f"{kind} is no model that a bundle can hold: LightGBM, XGBoost, {known} are")
    made = [over_columns(tree, forest.inputs) for tree in forest.trees]
    _write(lightgbm_text(made, forest.inputs.columns, forest.objective, forest.average), folder, "model.txt")
    return _Written("model.txt", forest.inputs, made, read, probability=forest.objective == sklearn_models.IDENTITY)


def _write(text: str, folder: str, name: str) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="\n") as f:
        f.write(text)


def _write_lightgbm(estimator: Any, inputs: Inputs, read: list[int], frame: Any, folder: str) -> _Written:
    """Saves the library's own file: its thresholds are the golden rows'."""
    booster, best = boosters.lightgbm_booster(estimator)
    own = _own_categories(inputs, frame)
    forest = boosters.lightgbm_forest(estimator, own)  # refuses several classes
    booster.save_model(os.path.join(folder, "model.txt"), num_iteration=best or None)
    return _Written("model.txt", own, [over_columns(tree, own) for tree in forest.trees], read)


def _own_categories(inputs: Inputs, frame: Any) -> Inputs:
    """Describes the categories of a data frame's own type, which the libraries encode themselves."""
    import pandas as pd

    for i, name in enumerate(frame.columns):
        dtype = frame[name].dtype
        if isinstance(dtype, pd.CategoricalDtype):
            places = category_column(inputs.columns, i, list(dtype.categories))
            inputs.features[i] = Code(i, tuple(float(p) for p in places), math.nan, math.nan)
    return inputs


def _write_xgboost(steps: list[Any], estimator: Any, inputs: Inputs, read: list[int], frame: Any, folder: str) -> _Written:
    if getattr(estimator, "n_classes_", 2) != 2:
        raise NotSupported("XGBoost with several classes: a bundle gives the probability of one of two")
    iterations = boosters.xgboost_iterations(estimator)
    if steps:
        file = boosters.xgboost_file(estimator, inputs, folder)
        return _Written(file, inputs, [], read, iterations, lists_categories=True)
    own = _own_categories(inputs, frame)
    return _Written(boosters.xgboost_file(estimator, None, folder), own, [], read, iterations, lists_categories=True)


def _library_of(estimator: Any) -> str:
    import importlib

    root = type(estimator).__module__.split(".")[0]
    return f"{'scikit-learn' if root == 'sklearn' else root} {importlib.import_module(root).__version__}"


def _table(X: Any, y: Any) -> Any:  # noqa: N803
    """Returns the table as a CSV file holds it."""
    table = X.copy()
    if y is not None:
        table[LABEL] = [int(v) for v in _labels(y)]
    return table


def _labels(y: Any) -> list[bool]:
    values = np.ravel(np.asarray(y))
    known = sorted(set(values.tolist()))
    if len(known) != 2:
        raise NotSupported(f"y has {len(known)} different values, and should have two")
    return [v == known[1] for v in values.tolist()]


def _write_golden(folder: str, model: Any, base: Any, golden: Any, written: _Written, id: Any, value: Any, like: Any, X: Any) -> None:  # noqa: A002, N803
    """Lets the model itself score the golden rows, as it scores any table: with the columns that it does not read, too."""
    frame = like.iloc[np.arange(len(golden)) % len(like)].reset_index(drop=True)
    for place, i in enumerate(written.read):
        frame[like.columns[i]] = golden.iloc[:, place]
    if not hasattr(model, "feature_names_in_") and _kind(_split(base)[1]) not in ("lightgbm", "xgboost"):
        frame = frame.to_numpy()
    probability = _probability(model, frame)
    raw = _raw(base, frame, written)
    table = golden.copy()
    if id is not None and id not in table.columns:
        table.insert(0, id, [f"golden-{i + 1}" for i in range(len(table))])
    if value is not None and value not in table.columns:
        table[value] = np.resize(X[value].to_numpy(), len(table))
    table["_raw"], table["_probability"] = raw, probability
    for column in ("_raw", "_probability"):
        table[column] = [repr(float(v)) for v in table[column]]
    table.to_csv(os.path.join(folder, "golden.csv"), index=False)


def _probability(model: Any, frame: Any) -> np.ndarray:
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(frame))[:, 1].astype(np.float64)
    if type(model).__module__.split(".")[0] == "xgboost":
        import xgboost

        return np.asarray(model.predict(xgboost.DMatrix(frame, enable_categorical=True))).astype(np.float64)
    return np.asarray(model.predict(frame)).astype(np.float64)


def _raw(base: Any, frame: Any, written: _Written) -> np.ndarray:
    if hasattr(base, "decision_function"):
        return np.asarray(base.decision_function(frame)).astype(np.float64)
    if written.probability:
        return _probability(base, frame)
    steps, estimator = _split(base)
    for step in steps:
        frame = step.transform(frame)
    kind = _kind(estimator)
    if kind == "lightgbm":
        booster, _ = boosters.lightgbm_booster(estimator)
        return np.asarray(booster.predict(frame, raw_score=True)).astype(np.float64)
    if hasattr(estimator, "get_booster"):
        return np.asarray(estimator.predict(frame, output_margin=True)).astype(np.float64)
    import xgboost

    return np.asarray(estimator.predict(xgboost.DMatrix(frame, enable_categorical=True), output_margin=True)).astype(np.float64)

