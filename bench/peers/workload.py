"""The models and rows that every peer scores: the same files and the same numbers for all of them."""

from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import xgboost

FEATURES = 50
TRAINING_ROWS = 60_000
SEED = 1
MISSING_RATE = 0.03
LARGEST = 1e30  # of the thresholds that data can lie around


@dataclass(frozen=True)
class Workload:
    lightgbm_model: Path
    xgboost_model: Path
    rows: dict[str, np.ndarray]  # by kind, row-major float64


def make(folder: Path, trees: int, leaves: int, row_count: int, depth: int = 0) -> Workload:
    """Trains one model per library on the same customers and draws the rows to score. Depth 0 is any depth."""
    rng = np.random.default_rng(SEED)
    customers = realistic(rng, TRAINING_ROWS)
    label = churned(rng, customers)
    lightgbm_model, xgboost_model = folder / "lightgbm.txt", folder / "xgboost.ubj"
    train_lightgbm(customers, label, trees, leaves, depth).save_model(lightgbm_model)
    train_xgboost(customers, label, trees, leaves, depth).save_model(xgboost_model)
    return Workload(lightgbm_model, xgboost_model, {
        "realistic": realistic(rng, row_count),
        "thresholds": at_thresholds(rng, lightgbm_model, row_count),
        "uniform": uniform(rng, customers, row_count),
    })


def training_rows() -> tuple[np.ndarray, np.ndarray]:
    """The customers that the models are trained on, and who of them churned."""
    rng = np.random.default_rng(SEED)
    customers = realistic(rng, TRAINING_ROWS)
    return customers, churned(rng, customers)


def realistic(rng: np.random.Generator, count: int) -> np.ndarray:
    """Customers as they come: skewed amounts, small counts, flags, correlated usage, some cells missing."""
    size = rng.normal(size=(count, 1))  # what makes a customer large moves all of their amounts
    amounts = np.exp(0.6 * size + 0.8 * rng.normal(size=(count, 20)))
    counts = rng.poisson(np.exp(0.4 * size + rng.normal(scale=0.5, size=(count, 15)))).astype(np.float64)
    flags = (rng.random((count, 5)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05])).astype(np.float64)
    shares = rng.beta(0.8, 2.5, size=(count, 10))
    rows = np.hstack([amounts.round(2), counts, flags, shares.round(4)])
    rows[rng.random(rows.shape) < MISSING_RATE] = np.nan
    return np.ascontiguousarray(rows)


def at_thresholds(rng: np.random.Generator, model: Path, count: int) -> np.ndarray:
    """Every cell at one of its feature's thresholds or just above: each branch is a coin toss, the worst case for those
    who branch. Thresholds that only part missing from present are as large as numbers get and left out."""
    thresholds: list[list[float]] = [[] for _ in range(FEATURES)]
    features: list[int] = []
    for line in model.read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "split_feature":
            features = [int(v) for v in value.split()]
        elif key == "threshold":
            for feature, threshold in zip(features, value.split(), strict=True):
                if abs(float(threshold)) < LARGEST:
                    thresholds[feature].append(float(threshold))
    rows = np.column_stack([rng.choice(values or [0.0], count) for values in thresholds])
    return np.where(rng.random(rows.shape) < 0.5, rows, np.nextafter(rows, np.inf))


def uniform(rng: np.random.Generator, like: np.ndarray, count: int) -> np.ndarray:
    """Every feature anywhere in its range: mostly far out, where branches are easy to predict."""
    low, high = np.nanmin(like, axis=0), np.nanmax(like, axis=0)
    return rng.uniform(low, high, size=(count, FEATURES))


def churned(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    x = np.nan_to_num(rows, nan=1.0)
    score = -1.5 + np.log1p(x[:, 0]) - 0.8 * np.log1p(x[:, 1]) + 0.3 * x[:, 20] - 1.2 * x[:, 35] * x[:, 36]
    score += 2.0 * x[:, 40] * np.log1p(x[:, 2]) + 0.4 * np.sin(x[:, 3]) * x[:, 21]
    return (rng.random(len(x)) < 1 / (1 + np.exp(-score))).astype(np.float64)


def train_lightgbm(rows: np.ndarray, label: np.ndarray, trees: int, leaves: int, depth: int) -> lightgbm.Booster:
    parameters = {
        "objective": "binary", "num_leaves": leaves, "max_depth": depth or -1, "learning_rate": 0.03, "min_data_in_leaf": 20,
        "num_threads": 0, "seed": 1, "deterministic": True, "verbosity": -1,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(rows, label), trees)


def train_xgboost(rows: np.ndarray, label: np.ndarray, trees: int, leaves: int, depth: int) -> xgboost.Booster:
    parameters = {
        "objective": "binary:logistic", "grow_policy": "lossguide", "max_leaves": leaves, "max_depth": depth,
        "learning_rate": 0.03, "tree_method": "hist", "seed": 1,
    }
    return xgboost.train(parameters, xgboost.DMatrix(rows, label), trees)
