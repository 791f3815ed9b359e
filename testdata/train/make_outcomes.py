"""Makes testdata/outcomes: predictions with outcomes, and what scikit-learn says about them.

The figures of the report on outcomes (engine/outcome_report.go) must agree with these.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, precision_score, recall_score, roc_auc_score

ROWS = 3000
SHARES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5]


def draw(seed: int):
    """Draws probabilities, half of them rounded so that there are ties, and outcomes that follow them too boldly."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.8, 2.0, ROWS).astype(np.float32)
    p[::2] = np.round(p[::2], 2).astype(np.float32)
    y = rng.random(ROWS) < 0.1 + 0.6 * p
    group = np.where(rng.random(ROWS) < 0.3, "control", "letter")
    return p, y, group


def figures(p, y):
    """All figures of one cohort; the probabilities are those of float32, reckoned with in float64."""
    p64 = p.astype(np.float64)
    return {
        "customers": len(y),
        "churned": int(y.sum()),
        "actual_rate": float(y.mean()),
        "mean_probability": float(p64.mean()),
        "auc": float(roc_auc_score(y, p64)),
        "brier": float(brier_score_loss(y, p64)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("testdata/outcomes"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    p, y, group = draw(20260331)
    order = np.argsort(-p, kind="stable")
    p64 = p.astype(np.float64)
    rates, means = calibration_curve(y, p64, n_bins=10, strategy="uniform")
    report = figures(p, y)
    report["calibration"] = [{"actual_rate": float(r), "mean_probability": float(m)} for r, m in zip(rates, means)]
    report["deciles"] = [
        {"lift": float(y[order[ROWS * i // 10 : ROWS * (i + 1) // 10]].mean() / y.mean())} for i in range(10)
    ]
    report["contacted"] = []
    for share in SHARES:
        chosen = np.zeros(ROWS, dtype=bool)
        chosen[order[: int(np.ceil(share * ROWS))]] = True
        report["contacted"].append(
            {"precision": float(precision_score(y, chosen)), "recall": float(recall_score(y, chosen))}
        )
    report["experiment_groups"] = [
        {"experiment_group": g, **figures(p[group == g], y[group == g])} for g in ["control", "letter"]
    ]
    with open(out / "observed.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["probability", "churned", "experiment_group"])
        for row in zip(p, y, group):
            writer.writerow([repr(float(row[0])), int(row[1]), row[2]])
    (out / "sklearn.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
