"""Bundles of real models give their predict_proba, on the training rows and on rows made to go wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, PolynomialFeatures, StandardScaler
from xgboost import XGBClassifier

import millrace

from conftest import FOUND

N = 400
NUMBERS, TEXTS = ["tenure", "charges", "visits"], ["plan", "region"]


def table(seed: int = 0, n: int = N, missing: bool = True) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "tenure": r.integers(0, 72, n).astype(float),
            "charges": np.round(r.gamma(3, 25, n), 2),
            "visits": r.poisson(4, n).astype(float),
            "plan": r.choice(["basic", "pro, annual", "team"], n),
            "region": r.choice(["north", "süd", "west", "0"], n, p=[0.4, 0.3, 0.28, 0.02]),
        }
    )
    if missing:
        frame.loc[r.random(n) < 0.1, "charges"] = np.nan
        frame.loc[r.random(n) < 0.1, "plan"] = None
    return frame


def churned(frame: pd.DataFrame) -> np.ndarray:
    r = np.random.default_rng(5)
    score = 2 - frame["tenure"] / 20 + frame["charges"].fillna(60) / 60 + (frame["plan"] == "basic") - (frame["region"] == "west")
    return (score + r.normal(size=len(frame)) > 1.5).astype(int).to_numpy()


def before(numbers: object, texts: object, **options: object) -> ColumnTransformer:
    return ColumnTransformer([("n", numbers, NUMBERS), ("t", texts, TEXTS)], **options)


ONE_HOT = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
FILLED = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())

MODELS = {
    "hist": lambda: HistGradientBoostingClassifier(max_iter=12, min_samples_leaf=5),
    "gradient": lambda: GradientBoostingClassifier(n_estimators=12),
    "exponential": lambda: GradientBoostingClassifier(n_estimators=12, loss="exponential"),
    "random forest": lambda: RandomForestClassifier(n_estimators=12, min_samples_leaf=3, random_state=1),
    "extra trees": lambda: ExtraTreesClassifier(n_estimators=12, min_samples_leaf=3, random_state=1),
    "lightgbm": lambda: LGBMClassifier(n_estimators=12, min_child_samples=5, verbose=-1),
    "xgboost": lambda: XGBClassifier(n_estimators=12, max_depth=4),
    "logistic": lambda: LogisticRegression(max_iter=2000),
}
STEPS = {
    "one-hot": lambda: before(SimpleImputer(strategy="median"), ONE_HOT),
    "one-hot, sparse": lambda: before(SimpleImputer(strategy="mean"), OneHotEncoder(handle_unknown="ignore"), sparse_threshold=1.0),
    "one-hot, infrequent": lambda: before(
        SimpleImputer(strategy="median"), OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30, sparse_output=False)
    ),
    "one-hot, first dropped": lambda: before(SimpleImputer(strategy="median"), OneHotEncoder(drop="first", sparse_output=False)),
    "ordinal": lambda: before(SimpleImputer(strategy="median"), ORDINAL),
    "ordinal, texts filled": lambda: before(
        SimpleImputer(strategy="median"),
        make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
    ),
    "scaled": lambda: before(FILLED, ONE_HOT),
    "scaled to one": lambda: before(make_pipeline(SimpleImputer(strategy="constant", fill_value=0.0), MinMaxScaler()), ORDINAL),
    "passthrough": lambda: ColumnTransformer([("t", ORDINAL, TEXTS)], remainder=SimpleImputer(strategy="median")),
}
REFUSED = {("xgboost", "scaled"), ("xgboost", "scaled to one"), ("xgboost", "one-hot, sparse")}


def assert_equal(model: object, bundle: Path, frame: pd.DataFrame, ulps: int) -> int:
    """Compares on a table, and returns the largest distance in units in the last place of float32."""
    scored = millrace.score(frame, bundle, explain="none")
    return distance(scored, model.predict_proba(frame)[:, 1], ulps)


def assert_golden_equal(bundle: Path, ulps: int) -> int:
    """Compares on the golden rows, whose probabilities are the model's own: thresholds, extremes, missing and unknown values."""
    golden = pd.read_csv(bundle / "golden.csv", dtype=str, keep_default_na=False)
    scored = millrace.score(golden.drop(columns=["_raw", "_probability"]), bundle, explain="none")
    return distance(scored, golden["_probability"].astype(float), ulps)


def distance(scored: pd.DataFrame, probability: np.ndarray | pd.Series, ulps: int) -> int:
    expected = np.asarray(probability).astype(np.float32)
    got = scored["churn_probability"].to_numpy().astype(np.float32)
    assert len(got) == len(expected)
    off = np.abs(got.view(np.int32).astype(int) - expected.view(np.int32).astype(int))
    assert off.max() <= ulps, f"{(off > ulps).sum()} of {len(off)} rows differ by up to {off.max()} units in the last place"
    return int(off.max())


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("kind", MODELS)
def test_pipeline_scores_as_predict_proba(kind: str, steps: str, tmp_path: Path) -> None:
    if (kind, steps) == ("hist", "one-hot, sparse"):
        pytest.skip("scikit-learn refuses it")
    frame = table()
    model = Pipeline([("before", STEPS[steps]()), ("model", MODELS[kind]())]).fit(frame, churned(frame))
    path = tmp_path / "mine"
    if (kind, steps) in REFUSED:
        with pytest.raises(millrace.NotSupported):
            millrace.save(model, frame, churned(frame), path=path)
        assert not path.exists()
        FOUND[kind, steps] = "refused"
        return
    saved = millrace.save(model, frame, churned(frame), path=path)
    assert "verified:" in saved.report
    fresh = table(seed=9)
    if steps == "one-hot, first dropped":
        fresh = fresh.dropna(subset=["plan"])
    off = max(assert_equal(model, path, fresh, ulps=1), assert_golden_equal(path, ulps=1))
    FOUND[kind, steps] = "equal" if off == 0 else f"{off} ulp"


@pytest.mark.parametrize("kind", ["hist", "lightgbm", "xgboost", "random forest"])
def test_model_alone(kind: str, tmp_path: Path) -> None:
    frame = table()
    if kind in ("lightgbm", "xgboost"):
        frame = frame.astype({c: "category" for c in TEXTS})
    elif kind == "hist":
        frame = frame.astype({c: "category" for c in TEXTS})
    else:
        frame = frame[NUMBERS]
    model = MODELS[kind]()
    if kind == "xgboost":
        model.set_params(enable_categorical=True)
    if kind == "hist":
        model.set_params(categorical_features="from_dtype")
    model.fit(frame, churned(table()))
    millrace.save(model, frame, churned(table()), path=tmp_path / "mine")
    assert_equal(model, tmp_path / "mine", frame, ulps=0 if kind != "random forest" else 1)


def test_early_stopping(tmp_path: Path) -> None:
    frame = table()[NUMBERS]
    y = churned(table())
    model = XGBClassifier(n_estimators=200, early_stopping_rounds=3, max_depth=4)
    model.fit(frame[:250], y[:250], eval_set=[(frame[250:], y[250:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    millrace.save(model, frame, y, path=tmp_path / "mine")
    assert_equal(model, tmp_path / "mine", frame, ulps=0)


@pytest.mark.parametrize(("kind", "method"), [("hist", "sigmoid"), ("gradient", "sigmoid"), ("random forest", "isotonic")])
def test_calibrated(kind: str, method: str, tmp_path: Path) -> None:
    frame = table(missing=False)[NUMBERS]
    y = churned(table(missing=False))
    inner = MODELS[kind]().fit(frame[:250], y[:250])
    model = CalibratedClassifierCV(FrozenEstimator(inner), method=method, ensemble=False).fit(frame[250:], y[250:])
    millrace.save(model, frame, y, path=tmp_path / "mine")
    assert_equal(model, tmp_path / "mine", frame, ulps=1)


def test_columns_beside_the_model(tmp_path: Path) -> None:
    frame = table()
    model = Pipeline([("before", STEPS["one-hot"]()), ("model", MODELS["hist"]())]).fit(frame, churned(frame))
    frame.insert(0, "customer", [f"c{i}" for i in range(N)])
    saved = millrace.save(model, frame, churned(frame), path=tmp_path / "mine", id="customer", value="charges", title="Mine")
    scored = millrace.score(frame, tmp_path / "mine")
    assert scored["explanation"].str.len().min() > 10
    assert saved.path.endswith("mine")
    text = (tmp_path / "mine" / "bundle.yaml").read_text(encoding="utf-8")
    assert "id: customer" in text and "value: charges" in text and "title: Mine" in text


@pytest.mark.parametrize("kind", ["hist", "random forest", "lightgbm", "xgboost", "logistic"])
def test_columns_that_the_pipeline_drops(kind: str, tmp_path: Path) -> None:
    """They are texts and dates as in any table, the id among them: the bundle does not ask for them."""
    frame = table()
    frame.insert(0, "customer", [f"c{i}" for i in range(N)])
    frame.insert(3, "note", "a text")
    model = Pipeline([("before", STEPS["one-hot"]()), ("model", MODELS[kind]())]).fit(frame, churned(frame))
    millrace.save(model, frame, churned(frame), path=tmp_path / "mine", id="customer")
    fresh = table(seed=9)
    fresh["customer"] = [f"new{i}" for i in range(N)]
    assert_golden_equal(tmp_path / "mine", ulps=1)
    scored = millrace.score(fresh, tmp_path / "mine", explain="none")
    distance(scored, model.predict_proba(fresh.assign(note="")[frame.columns])[:, 1], ulps=1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Pipeline([("p", PolynomialFeatures()), ("m", MODELS["hist"]())]), "PolynomialFeatures"),
        (lambda: Pipeline([("s", StandardScaler()), ("m", RidgeClassifier())]), "RidgeClassifier"),
        (lambda: LogisticRegression(), "LogisticRegression with 3 classes"),
        (lambda: Pipeline([("s", MinMaxScaler(clip=True)), ("m", LogisticRegression())]), "clip"),
        (lambda: HistGradientBoostingClassifier(max_iter=5), "3 classes"),
        (lambda: CalibratedClassifierCV(MODELS["gradient"](), cv=3), "several models"),
        (lambda: XGBClassifier(n_estimators=3, missing=-1), "missing=-1"),
        (lambda: Pipeline([("i", SimpleImputer(add_indicator=True)), ("m", MODELS["hist"]())]), "add_indicator"),
        (lambda: GradientBoostingClassifier(n_estimators=3, init=LogisticRegression()), "init LogisticRegression"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(make: object, said: str, tmp_path: Path) -> None:
    frame = table(missing=said == "add_indicator")[NUMBERS]
    y = churned(table())
    if "3 classes" in said:
        y = np.arange(N) % 3
    model = make().fit(frame, y)
    with pytest.raises(millrace.NotSupported, match=said):
        millrace.save(model, frame, y if "3 classes" not in said else None, path=tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_missing_and_unknown_that_part(tmp_path: Path) -> None:
    """A model file cannot send them separate ways, so a category that is not known is refused, aloud."""
    frame = table()
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99, encoded_missing_value=-1)
    model = Pipeline([("before", before(SimpleImputer(), encoder)), ("model", MODELS["hist"]())]).fit(frame, churned(frame))
    saved = millrace.save(model, frame, churned(frame), path=tmp_path / "mine")
    assert "plan: a row with another category is refused" in " ".join(saved.report.split())
    assert_equal(model, tmp_path / "mine", table(seed=3), ulps=1)
    frame.loc[0, "plan"] = "enterprise"
    with pytest.raises(millrace.ScoreError, match="ERR-1611: 1 row cannot be scored"):
        millrace.score(frame, tmp_path / "mine")


def test_threshold_is_the_last_float() -> None:
    from millrace.features import Number, float_of, key_of

    for x in [0.0, -0.0, 1.5, -1.5, 5e-324, -5e-324, math.inf, -math.inf, 1e308]:
        assert float_of(key_of(x)) == x
    n = Number(0, (lambda a: (a - 0.1) / 3.7,))
    for t in [0.0, -0.3, 1e-20, 123.456]:
        last = n.last(lambda v, t=t: v <= t)
        assert n.value(last) <= t < n.value(float(np.nextafter(last, math.inf)))
