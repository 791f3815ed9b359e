"""Chooses a map from what the model says to how many churn, if one is worth having.

The choice is made on rows outside training (out of fold), each mapped by a map that was fitted on the other rows; the
held-out rows only measure it.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import StratifiedKFold

FOLDS = 5
SEED = 21
GROUPS = 10
POINTS = 20  # most points of an isotonic map
WORTH = 0.995  # of the Brier score: a smaller gain is not worth another thing that can be wrong


@dataclass(frozen=True)
class Map:
    """A map as bundle.yaml describes it; without fields it leaves probabilities as they are."""

    fields: dict

    def __call__(self, p: np.ndarray) -> np.ndarray:
        p = np.asarray(p, dtype=float)
        if not self.fields:
            return p
        if self.fields["method"] == "platt":
            return 1 / (1 + np.exp(-self.fields["slope"] * logit(p) - self.fields["intercept"]))
        return np.interp(p, self.fields["x"], self.fields["y"])


NONE = Map({})


def choose(p: np.ndarray, y: np.ndarray) -> Map:
    """The map with the best Brier score of those that improve it noticeably, and the calibration error; else none."""
    best, best_brier = NONE, WORTH * brier_score_loss(y, p)
    for fit in (platt, isotonic):
        mapped = np.empty(len(p))
        for inside, outside in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(p, y):
            mapped[outside] = fit(p[inside], y[inside])(p[outside])
        brier = brier_score_loss(y, mapped)
        if brier < best_brier and error(mapped, y) < error(p, y):
            best, best_brier = fit(p, y), brier
    return best


def platt(p: np.ndarray, y: np.ndarray) -> Map:
    line = LogisticRegression(C=1e6).fit(logit(p).reshape(-1, 1), y)
    return Map({"method": "platt", "slope": rounded(line.coef_[0, 0]), "intercept": rounded(line.intercept_[0])})


def isotonic(p: np.ndarray, y: np.ndarray) -> Map:
    """Straight lines through the means of groups of equal size: a step function would make too many equals."""
    steps = IsotonicRegression(out_of_bounds="clip").fit(p, y)
    groups = np.array_split(np.sort(p), POINTS)
    x = np.unique([rounded(g.mean()) for g in groups])
    levels = np.maximum.accumulate([rounded(v) for v in steps.predict(x)])
    return Map({"method": "isotonic", "x": [float(v) for v in x], "y": [float(v) for v in levels]})


def table(p: np.ndarray, y: np.ndarray) -> list[tuple[int, float, float]]:
    """Groups of equal size by rising probability: rows, mean probability, actual churn rate."""
    groups = np.array_split(np.argsort(p, kind="stable"), GROUPS)
    return [(len(g), float(p[g].mean()), float(y[g].mean())) for g in groups]


def error(p: np.ndarray, y: np.ndarray) -> float:
    """Expected calibration error: the mean distance of probability and churn rate over the groups of the table."""
    return sum(n * abs(mean - actual) for n, mean, actual in table(p, y)) / len(p)


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


def rounded(x: float) -> float:
    return round(float(x), 6)


