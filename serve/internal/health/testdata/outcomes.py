"""Writes outcomes.json: customers with a probability and an outcome, and what scikit-learn says of them.

    python outcomes.py > outcomes.json       # scikit-learn 1.9, numpy 2.4
"""

import json

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score


def calibration_error(p, y):
    # Probabilities at a border belong to the bin below it, as the doubles i / 10 say.
    bins = np.array([next(i for i in range(10) if i == 9 or x <= (i + 1) / 10) for x in p])
    return sum(abs(p[bins == b].sum() - y[bins == b].sum()) for b in range(10)) / len(p)


def lift(p, y):
    """Churn rate of the top tenth by that of all; of equal probabilities at the border each counts by its share."""
    top, taken, left = -(-len(p) // 10), 0, 0.0
    for value in sorted(set(p), reverse=True):
        group = y[p == value]
        room = min(top - taken, len(group))
        left += group.sum() * room / len(group)
        taken += room
        if taken == top:
            break
    return left / top / y.mean()


def cases():
    random = np.random.default_rng(20260301)
    for name, n, digits, rate in [
        ("no ties", 300, None, 1.0), ("ties", 400, 2, 1.0), ("many ties", 500, 1, 1.0), ("few leave", 450, 2, 0.2),
        ("all alike", 250, 0, 1.0), ("opposite", 260, 2, -1.0),
    ]:
        p = random.beta(1.2, 2.5, n)
        if digits is not None:
            p = np.round(p, digits)
        if name == "all alike":
            p[:] = 0.25
        p = p.astype(np.float32)
        chance = p.astype(float) * rate if rate > 0 else 1 - p.astype(float)
        y = (random.random(n) < chance).astype(int)
        wide = p.astype(float)
        yield {
            "name": name, "p": [float(str(x)) for x in p], "churned": y.tolist(),
            "auc": roc_auc_score(y, wide), "brier": brier_score_loss(y, wide),
            "calibration_error": calibration_error(wide, y), "lift": lift(wide, y),
        }


print(json.dumps(list(cases()), separators=(",", ":")))
