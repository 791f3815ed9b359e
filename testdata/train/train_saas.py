"""Trains the saas bundle with XGBoost on synthetic customers (saas_generator.py), whose true churn chance is known.

    python train_saas.py

Same library versions and same --date give the same bytes.
"""

import argparse
import datetime
import json
from pathlib import Path

import numpy as np
import xgboost as xgb
from sklearn.metrics import roc_auc_score

import bundle
import calibration
import card
import description as desc
import evaluation
import golden
import saas_generator
from missingness import with_missing_values

SEED = 12
CUSTOMERS = 24_000
TREES = 400
# Fewer failures, more use and happier answers may never raise the risk: reasons that contradict this are noise.
MONOTONE = {
    "feature_usage_score": -1,
    "usage_change_percent": -1,
    "last_activity_days_ago": 1,
    "support_tickets": 1,
    "nps_score": -1,
    "payment_failures": 1,
}
PARAMETERS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "learning_rate": 0.04,
    "max_depth": 4,
    "min_child_weight": 10,
    "reg_lambda": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
    "max_cat_to_onehot": 4,
    "monotone_constraints": MONOTONE,
}
REPEATABLE = {"seed": SEED, "nthread": 1}


def train(description: desc.Description, x: np.ndarray, y: np.ndarray) -> xgb.Booster:
    rows, labels, weights = with_missing_values(x, y, description.optional, SEED)
    data = dmatrix(description, rows, labels, weights)
    return xgb.train(PARAMETERS | REPEATABLE, data, TREES)


def dmatrix(description: desc.Description, x: np.ndarray, labels=None, weights=None) -> xgb.DMatrix:
    types = ["c" if i in description.categorical else "q" for i in range(x.shape[1])]
    return xgb.DMatrix(
        x,
        labels,
        weight=weights,
        feature_names=description.names,
        feature_types=types,
        enable_categorical=True,
        nthread=1,
    )


def predictor(description: desc.Description, booster: xgb.Booster) -> evaluation.Predict:
    return lambda x: booster.predict(dmatrix(description, x)).astype(float)


def scores(
    description: desc.Description, booster: xgb.Booster, calibrate: calibration.Map, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Margins and mapped probabilities; both are float32 in the library, the map is float64."""
    data = dmatrix(description, x)
    return booster.predict(data, output_margin=True), calibrate(booster.predict(data))


def split_values(booster: xgb.Booster, description: desc.Description) -> dict[str, list[float]]:
    """Each number feature's finite float32 thresholds, ascending; infinite ones part missing from present."""
    model = json.loads(booster.save_raw("json"))
    names = description.names
    values = {name: set() for i, name in enumerate(names) if i not in description.categorical}
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        nodes = zip(
            tree["split_indices"], tree["split_conditions"], tree["left_children"], tree["split_type"], strict=True
        )
        for feature, threshold, left, is_category in nodes:
            if left >= 0 and not is_category and np.isfinite(threshold):
                values[names[feature]].add(float(np.float32(threshold)))
    return {name: sorted(found) for name, found in values.items()}


def main() -> None:
    arguments = parse()
    description = desc.load("saas")
    cells = saas_generator.customers(CUSTOMERS, SEED)
    x, y = desc.matrix(description, cells), cells["churned"].to_numpy().astype(int)
    inside, outside = evaluation.split(len(y), y)

    folder = bundle.BASELINE / "saas"
    folder.mkdir(parents=True, exist_ok=True)
    train(description, x[inside], y[inside]).save_model(folder / "model.ubj")
    saved = xgb.Booster(model_file=folder / "model.ubj")
    saved.set_param({"nthread": 1})

    figures = evaluation.measure(
        fit=lambda rows, labels: predictor(description, train(description, rows, labels)),
        predict=predictor(description, saved),
        train=(x[inside], y[inside]),
        held_out=(x[outside], y[outside]),
        optional=description.optional,
    )
    truth = roc_auc_score(y[outside], cells["churn_chance"].iloc[outside].astype(float))
    bundle.write_description(folder, description, bundle.Training(x[inside], arguments.date, figures))
    write_golden(folder, description, saved, figures.calibrate)
    card.write(folder, model_card(saved, truth, y.mean()), figures, len(inside), len(outside))
    bundle.write_manifest(folder)
    print(f"cross-validated AUC {np.mean(figures.fold_auc):.4f}, held-out {figures.auc:.4f}, of the truth {truth:.4f}")


def write_golden(folder: Path, description: desc.Description, booster: xgb.Booster, calibrate: calibration.Map) -> None:
    sample = saas_generator.customers(golden.TYPICAL, SEED + 1)
    rows = golden.rows(description, sample, split_values(booster, description))
    score = lambda x: scores(description, booster, calibrate, x)  # noqa: E731
    bundle.write_golden(folder, golden.with_scores(description, rows, score))
    bundle.check_golden(folder, description, score)


def model_card(booster: xgb.Booster, truth: float, rate: float) -> card.Card:
    trees = booster.trees_to_dataframe()
    leaves = int((trees["Feature"] == "Leaf").sum())
    return card.Card(
        title="SaaS churn",
        purpose="The probability that a company cancels its subscription of a software service within three months.",
        data=f"{CUSTOMERS:,} synthetic customers, {100 * rate:.1f} % of whom churned, made by "
        "testdata/train/saas_generator.py. The mechanism is written there in one function: plan, billing period, "
        "tenure, "
        "share of seats in use, feature usage and its trend, weeks without activity (worse with monthly billing), "
        "tickets, "
        "survey answer, failed payments, and a hidden health that no column shows whole. Values go missing as in "
        "practice.",
        licence="part of this project.",
        parameters=PARAMETERS
        | {"monotone_constraints": ", ".join(f"{n} {d:+d}" for n, d in MONOTONE.items()), "trees": TREES, "seed": SEED},
        shape=f"XGBoost {xgb.__version__}, {booster.num_boosted_rounds()} trees, {leaves:,} leaves, at most "
        f"{PARAMETERS['max_depth']} tests on a path, saved as UBJSON. Categories are native splits on the position in "
        "`categories`.",
        missing=card.MISSING,
        reading=f"The true churn chance of the generator reaches an AUC of {truth:.4f} on the same held-out rows: no "
        "model "
        "can do better in the long run.",
        limits=[
            "No real customer was seen. The directions of the reasons are sound, their sizes are a guess: treat the "
            "probabilities as a ranking until outcomes have been posted and compared, and train your own bundle then.",
            "The optional columns carry most of the signal: a file with the required columns only is hardly ranked "
            "at all.",
            "Revenue is in one unnamed currency (see min and max in bundle.yaml). Values outside the training range "
            "are "
            "scored as the nearest range and warned about.",
            "A category that training did not know counts as missing.",
            "No survey answer is itself a weak sign of risk, because unhappy customers of the generator answer less "
            "often.",
            "Correlation, not cause.",
        ],
        retrain="```\npython -m pip install -r testdata/train/requirements.txt\npython "
        "testdata/train/train_saas.py\n```\n"
        "Pass `--date` with the date in bundle.yaml to get the same bytes.",
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="date of training for bundle.yaml")
    return parser.parse_args()


if __name__ == "__main__":
    main()
