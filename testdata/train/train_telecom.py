"""Trains the telecom bundle with LightGBM on IBM's "Telco Customer Churn" sample data.

    python train_telecom.py --data PATH/telco-customer-churn.csv

Same data, same library versions and same --date give the same bytes.
"""

import argparse
import datetime
from pathlib import Path

import lightgbm as lgb
import numpy as np

import bundle
import calibration
import card
import description as desc
import evaluation
import golden
import telecom_generator
from missingness import with_missing_values

SEED = 11
TREES = 400
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.02,
    "num_leaves": 8,
    "max_depth": 4,
    "min_data_in_leaf": 60,
    "lambda_l2": 5.0,
    "cat_smooth": 20.0,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
}
REPEATABLE = {"seed": SEED, "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbose": -1}


def train(description: desc.Description, x: np.ndarray, y: np.ndarray) -> lgb.Booster:
    rows, labels, weights = with_missing_values(x, y, description.optional, SEED)
    data = lgb.Dataset(
        rows,
        labels,
        weight=weights,
        feature_name=description.names,
        categorical_feature=description.categorical,
        params=REPEATABLE,
    )
    return lgb.train(PARAMETERS | REPEATABLE, data, TREES)


def scores(booster: lgb.Booster, calibrate: calibration.Map, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Raw scores and mapped probabilities."""
    return booster.predict(x, raw_score=True), calibrate(booster.predict(x))


def split_values(booster: lgb.Booster, description: desc.Description) -> dict[str, list[float]]:
    """The thresholds of each number feature, ascending."""
    trees = booster.trees_to_dataframe()
    numeric = trees[trees["decision_type"] == "<="]
    values = {name: [] for i, name in enumerate(description.names) if i not in description.categorical}
    for name, group in numeric.groupby("split_feature"):
        values[name] = sorted(set(group["threshold"].astype(float)))
    return values


def main() -> None:
    arguments = parse()
    description = desc.load("telecom")
    cells = desc.read_cells(arguments.data)
    x, y = desc.matrix(description, cells), (cells["Churn"] == "Yes").to_numpy(int)
    inside, outside = evaluation.split(len(y), y)

    booster = train(description, x[inside], y[inside])
    folder = bundle.BASELINE / "telecom"
    folder.mkdir(parents=True, exist_ok=True)
    booster.save_model(folder / "model.txt")
    saved = lgb.Booster(model_file=folder / "model.txt")

    figures = evaluation.measure(
        fit=lambda rows, labels: train(description, rows, labels).predict,
        predict=saved.predict,
        train=(x[inside], y[inside]),
        held_out=(x[outside], y[outside]),
        optional=description.optional,
    )
    bundle.write_description(folder, description, bundle.Training(x[inside], arguments.date, figures))
    write_golden(folder, description, saved, figures.calibrate)
    card.write(folder, model_card(saved), figures, len(inside), len(outside))
    bundle.write_manifest(folder)
    print(f"cross-validated AUC {np.mean(figures.fold_auc):.4f}, held-out AUC {figures.auc:.4f}")


def write_golden(folder: Path, description: desc.Description, booster: lgb.Booster, calibrate: calibration.Map) -> None:
    sample = telecom_generator.customers(golden.TYPICAL, SEED)
    rows = golden.rows(description, sample, split_values(booster, description))
    score = lambda x: scores(booster, calibrate, x)  # noqa: E731
    bundle.write_golden(folder, golden.with_scores(description, rows, score))
    bundle.check_golden(folder, description, score)


def model_card(booster: lgb.Booster) -> card.Card:
    trees = booster.trees_to_dataframe()
    leaves = int(trees["split_feature"].isna().sum())
    return card.Card(
        title="Telecom churn",
        purpose="The probability that a subscriber of a telephone and internet company leaves within a month.",
        data='IBM\'s sample data set "Telco Customer Churn": 7,043 fictional customers, 26.5 % of whom churned, from '
        "the "
        "repository IBM/telco-customer-churn-on-icp4d. `TotalCharges` is blank on eleven rows with tenure 0; blank is "
        "missing, never 0. The data itself is not part of this project.",
        licence="the data is under the Apache License 2.0.",
        parameters=PARAMETERS | {"trees": TREES, "seed": SEED},
        shape=f"LightGBM {lgb.__version__}, {booster.num_trees()} trees, {leaves:,} leaves, at most "
        f"{PARAMETERS['max_depth']} tests on a path: small trees with a low learning rate score as well as large "
        "ones here "
        "and are cheap to explain. Categories are native splits on the position in `categories`.",
        missing=card.MISSING,
        reading="Published models of this data reach an AUC of 0.84 to 0.85 with any method; the rest is not in the "
        "columns.",
        limits=[
            "One company, one month, one country, fictional customers: for another company the order of customers may "
            "hold while the level of the probabilities does not. Post outcomes and look at the calibration.",
            "Charges are in the currency and price level of the sample (18 to 119 per month). Values outside the "
            "training "
            "range are scored as the nearest range and warned about.",
            "`gender`, `SeniorCitizen`, `Partner` and `Dependents` are read when present and never shown as a reason. "
            "Leave the columns out of the file to score without them.",
            "A category that training did not know counts as missing.",
            "Correlation, not cause: that customers with a two-year contract stay does not say that a longer contract "
            "would keep the others.",
        ],
        retrain="```\npython -m pip install -r testdata/train/requirements.txt\n"
        "python testdata/train/train_telecom.py --data PATH/telco-customer-churn.csv\n```\n"
        "Pass `--date` with the date in bundle.yaml to get the same bytes.",
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="telco-customer-churn.csv")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="date of training for bundle.yaml")
    return parser.parse_args()


if __name__ == "__main__":
    main()
