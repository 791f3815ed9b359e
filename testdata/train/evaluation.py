"""How good a model is on rows that it has not seen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split

import calibration
from missingness import required_only

Predict = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray], Predict]

FOLDS = 5
HELD_OUT = 0.2
SEED = 20


@dataclass(frozen=True)
class Figures:
    """What the model card says; all probabilities are of rows outside training."""

    fold_auc: list[float]
    fold_auc_required_only: list[float]
    out_of_fold: np.ndarray  # one mapped probability per training row, from the fold that did not see it
    calibrate: calibration.Map  # chosen on the rows out of fold
    auc: float
    auc_required_only: float
    brier: tuple[float, float]  # of the model's probabilities and of the mapped ones
    calibration_error: tuple[float, float]  # likewise
    calibration: list[tuple[int, float, float]]  # of the mapped ones; rows, mean, actual rate; by tenths of the rows


def split(count: int, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training and of the held-out rows, with equal churn rates."""
    train, held_out = train_test_split(np.arange(count), test_size=HELD_OUT, random_state=SEED, stratify=y)
    return np.sort(train), np.sort(held_out)


def measure(fit: Fit, predict: Predict, train: tuple, held_out: tuple, optional: np.ndarray) -> Figures:
    """Cross-validates the recipe `fit` on the training rows, and measures `predict` on the held-out rows."""
    x, y = held_out
    p = predict(x)
    folds, folds_required, out_of_fold = cross_validate(fit, *train, optional)
    calibrate = calibration.choose(out_of_fold, train[1])
    mapped = calibrate(p)
    return Figures(
        fold_auc=folds,
        fold_auc_required_only=folds_required,
        out_of_fold=calibrate(out_of_fold),
        calibrate=calibrate,
        auc=roc_auc_score(y, p),
        auc_required_only=roc_auc_score(y, predict(required_only(x, optional))),
        brier=(brier_score_loss(y, p), brier_score_loss(y, mapped)),
        calibration_error=(calibration.error(p, y), calibration.error(mapped, y)),
        calibration=calibration.table(mapped, y),
    )


def cross_validate(fit: Fit, x: np.ndarray, y: np.ndarray, optional: np.ndarray):
    """AUC per fold with all columns, with the required ones only, and the out-of-fold probabilities."""
    whole, required, out_of_fold = [], [], np.empty(len(y))
    for inside, outside in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(x, y):
        predict = fit(x[inside], y[inside])
        out_of_fold[outside] = predict(x[outside])
        whole.append(roc_auc_score(y[outside], out_of_fold[outside]))
        required.append(roc_auc_score(y[outside], predict(required_only(x[outside], optional))))
    return whole, required, out_of_fold
