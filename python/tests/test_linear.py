"""Linear models: scores on rows made to go wrong, what explains them, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import millrace
from millrace.program import run

from test_save import NUMBERS, STEPS, TEXTS, assert_equal, assert_golden_equal, churned, table

LOGISTIC = {
    "lasso": lambda: LogisticRegression(l1_ratio=1, solver="liblinear", C=0.05),
    "elastic net": lambda: LogisticRegression(l1_ratio=0.5, solver="saga", C=0.1, max_iter=5000),
    "weights": lambda: LogisticRegression(class_weight={0: 1, 1: 7.5}, max_iter=2000),
    "balanced": lambda: LogisticRegression(class_weight="balanced", max_iter=2000),
    "no intercept": lambda: LogisticRegression(fit_intercept=False, max_iter=2000),
    "unpenalised": lambda: LogisticRegression(C=np.inf, max_iter=5000),
    "cross validated": lambda: LogisticRegressionCV(Cs=3, cv=3, max_iter=2000, l1_ratios=(0,), use_legacy_attributes=False, scoring="neg_log_loss"),
}


def fitted(kind: str, steps: str = "scaled") -> tuple[Pipeline, pd.DataFrame]:
    frame = table()
    return Pipeline([("before", STEPS[steps]()), ("model", LOGISTIC[kind]())]).fit(frame, churned(frame)), frame


@pytest.mark.parametrize("kind", LOGISTIC)
def test_logistic_scores_as_predict_proba(kind: str, tmp_path: Path) -> None:
    model, frame = fitted(kind)
    millrace.save(model, frame, churned(frame), path=tmp_path / "mine")
    assert_equal(model, tmp_path / "mine", table(seed=4, n=3000), ulps=1)
    assert_golden_equal(tmp_path / "mine", ulps=1)


def test_calibrated_logistic(tmp_path: Path) -> None:
    frame = table(missing=False)[NUMBERS]
    y = churned(table(missing=False))
    inner = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame[:250], y[:250])
    model = CalibratedClassifierCV(FrozenEstimator(inner), method="sigmoid", ensemble=False).fit(frame[250:], y[250:])
    millrace.save(model, frame, y, path=tmp_path / "mine")
    assert_equal(model, tmp_path / "mine", frame, ulps=1)


def contributions(bundle: Path, rows: pd.DataFrame) -> np.ndarray:
    """Returns a row's contributions by column of the model, and the bias."""
    rows.to_csv(bundle / "rows.csv", index=False, header=False)
    out = run(["model", "predict", "--kind", "contrib", "--data", str(bundle / "rows.csv"), str(bundle / "model.txt")]).stdout
    return np.loadtxt(io.StringIO(out.decode().replace(",", "\t")), delimiter="\t")


def test_contributions_are_coefficient_times_distance_from_the_mean(tmp_path: Path) -> None:
    """Of every column of the table, an imputer's and all outputs of its encoder included; and they add up."""
    frame = table()
    before = ColumnTransformer([("n", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
                                ("t", OneHotEncoder(sparse_output=False, handle_unknown="ignore"), TEXTS)])
    model = Pipeline([("before", before), ("model", LogisticRegression())]).fit(frame, churned(frame))
    millrace.save(model, frame, churned(frame), path=tmp_path / "mine")
    inside = before.transform(frame)
    each = model[-1].coef_[0] * (inside - inside.mean(axis=0))
    groups = [[0], [1], [2]] + [[i for i, name in enumerate(before.get_feature_names_out()) if f"t__{text}_" in name] for text in TEXTS]
    wanted = np.column_stack([each[:, g].sum(axis=1) for g in groups])

    codes = frame.copy()
    for text, categories in zip(TEXTS, before.named_transformers_["t"].categories_, strict=True):
        codes[text] = [float(list(categories).index(v)) if isinstance(v, str) else np.nan for v in frame[text]]
    found = contributions(tmp_path / "mine", codes)
    np.testing.assert_allclose(found[:, :-1], wanted, atol=2e-6)
    np.testing.assert_allclose(found.sum(axis=1), model.decision_function(frame), atol=4e-6)
    np.testing.assert_allclose(found[:, -1], model.decision_function(frame).mean(), atol=2e-6)


def test_lightgbm_reads_the_same_from_the_file(tmp_path: Path) -> None:
    frame = table()[NUMBERS]
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(frame, churned(table()))
    millrace.save(model, frame, churned(table()), path=tmp_path / "mine")
    booster = lightgbm.Booster(model_file=tmp_path / "mine" / "model.txt")
    np.testing.assert_allclose(booster.predict(frame, raw_score=True), model.decision_function(frame), rtol=1e-12, atol=1e-12)


def test_row_without_a_value_is_refused_where_nothing_fills_it(tmp_path: Path) -> None:
    frame = table(missing=False)
    before = ColumnTransformer([("n", StandardScaler(), NUMBERS), ("t", OneHotEncoder(), TEXTS)])
    model = Pipeline([("before", before), ("model", LogisticRegression())]).fit(frame, churned(frame))
    millrace.save(model, frame, churned(frame), path=tmp_path / "mine")
    assert_equal(model, tmp_path / "mine", table(seed=2, missing=False), ulps=1)
    for column, value in (("charges", np.nan), ("plan", None), ("plan", "enterprise")):
        rows = frame.copy()
        rows.loc[3, column] = value
        with pytest.raises((RuntimeError, ValueError), match="rejected|cannot be scored"):
            millrace.score(rows, tmp_path / "mine")
        with pytest.raises(ValueError, match=r"NaN|unknown categories"):
            model.predict_proba(rows)
    for column in (*NUMBERS, *TEXTS):
        with pytest.raises((RuntimeError, ValueError), match="ERR-1004"):
            millrace.score(frame.drop(columns=column), tmp_path / "mine")


def test_scaler_that_loses_digits_is_refused(tmp_path: Path) -> None:
    """Seconds since 1970 of one day: what is left of 1.7e9 after the mean is subtracted does not fit in a coefficient."""
    frame = table(missing=False)[NUMBERS]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    for far, refused in ((1e6, False), (1e9, True)):
        rows = frame.assign(tenure=far + frame["tenure"] / 72)
        fit = model.fit(rows, churned(table(missing=False)))
        path = tmp_path / f"far-{far:.0f}"
        if refused:
            with pytest.raises(millrace.NotSupported, match="'tenure'.*far from zero"):
                millrace.save(fit, rows, path=path)
            assert not path.exists()
        else:
            millrace.save(fit, rows, path=path)
            assert_equal(fit, path, rows, ulps=1)


def test_float32_is_refused(tmp_path: Path) -> None:
    frame = table(missing=False)[NUMBERS].astype(np.float32)
    model = LogisticRegression(max_iter=2000).fit(frame, churned(table(missing=False)))
    with pytest.raises(millrace.NotSupported, match="float32"):
        millrace.save(model, frame, path=tmp_path / "mine")


def test_column_read_twice(tmp_path: Path) -> None:
    """Scaled, and as it is: one term. As a number and as a category: refused."""
    frame = table(missing=False)[NUMBERS]
    y = churned(table(missing=False))
    twice = ColumnTransformer([("s", StandardScaler(), ["tenure", "visits"]), ("p", "passthrough", ["tenure", "charges"])])
    model = make_pipeline(twice, LogisticRegression(max_iter=2000)).fit(frame, y)
    millrace.save(model, frame, y, path=tmp_path / "mine")
    assert_equal(model, tmp_path / "mine", frame, ulps=1)
    both = ColumnTransformer([("s", StandardScaler(), ["visits"]), ("h", OneHotEncoder(handle_unknown="ignore"), ["visits"])])
    model = make_pipeline(both, LogisticRegression()).fit(frame[["visits"]], y)
    with pytest.raises(millrace.NotSupported, match="as a number and as a category"):
        millrace.save(model, frame[["visits"]], y, path=tmp_path / "other")
