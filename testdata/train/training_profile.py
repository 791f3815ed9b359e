"""What the training rows looked like, for data quality and drift (PSI) in production.

A number's bin is the count of edges below it, so bin i holds edges[i-1] < x <= edges[i]. Shares have one entry per bin
(for a category: one per category) and one more at the end for missing; they add up to 1.
"""

import numpy as np

INNER_EDGES = 9
SCORE_BINS = 20


def columns(features: list[dict], x: np.ndarray) -> dict:
    return {c["name"]: column_profile(c, x[:, i]) for i, c in enumerate(features)}


def column_profile(column: dict, values: np.ndarray) -> dict:
    missing = np.isnan(values)
    present = values[~missing]
    profile = {"missing": rounded(missing.mean())}
    if column["type"] == "number":
        edges = np.unique(np.quantile(present, np.linspace(0, 1, INNER_EDGES + 2)[1:-1], method="inverted_cdf"))
        edges = edges[edges < present.max()]  # no empty last bin
        profile["edges"] = [float(e) for e in edges]
        bins, count = np.searchsorted(edges, present, side="left"), len(edges) + 1
    else:
        bins, count = present.astype(int), len(column["categories"])
    counts = np.append(np.bincount(bins, minlength=count), missing.sum())
    profile["shares"] = shares(counts)
    return profile


def score_shares(probability: np.ndarray) -> list[float]:
    """Shares of 20 equal bins of [0, 1]; bin i holds i/20 <= p < (i+1)/20, the last also p = 1."""
    counts, _ = np.histogram(probability, bins=SCORE_BINS, range=(0, 1))
    return shares(counts)


def shares(counts: np.ndarray) -> list[float]:
    return [rounded(c) for c in counts / counts.sum()]


def rounded(x: float) -> float:
    return round(float(x), 6)
