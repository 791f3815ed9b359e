"""Rows that stand on every border of a model: its thresholds, zeros, missing, huge and odd values.

A third of the rows is ordinary, a third is ordinary but for one odd value, a third is odd in every feature.
"""

import numpy as np

ROWS = 150
ZEROS = [0.0, -0.0, 1e-36, -1e-36]
# LightGBM's zero is |x| <= float32(1e-35), both ends inclusive.
LIGHTGBM_ZERO = float(np.float32(1e-35))
LIGHTGBM_ODD = [
    *ZEROS,
    LIGHTGBM_ZERO,
    -LIGHTGBM_ZERO,
    np.nextafter(LIGHTGBM_ZERO, 1),
    np.nextafter(-LIGHTGBM_ZERO, -1),
    np.nan,
    np.inf,
    -np.inf,
    1e300,
    -1e300,
]
FLOAT32_MAX = float(np.finfo(np.float32).max)
# Values that change when narrowed to float32, and its smallest and largest.
XGBOOST_ODD = [*ZEROS, 1e-45, -1e-45, 0.1, 70.35, 16777217.0, np.nan, FLOAT32_MAX, -FLOAT32_MAX]
LIGHTGBM_ODD_CODES = [np.nan, -1, -0.5, 0.5, 1.7, 31, 32, 63, 64, 95, 96, 200, 1e10, -1e10, np.inf, -np.inf]
XGBOOST_ODD_CODES = [np.nan, -1, -0.5, 0.5, 1.7, 31, 32, 63, 64, 95, 96, 200, 2.0**24 - 1, 2.0**24, 1e10]


def around_float64(threshold: float) -> list[float]:
    """A threshold and its two neighbours."""
    return [threshold, np.nextafter(threshold, -np.inf), np.nextafter(threshold, np.inf)]


def around_float32(threshold: float) -> list[float]:
    """A float32 threshold, its float32 neighbours, and the float64 neighbours that narrow to the threshold itself."""
    narrow = np.float32(threshold)
    neighbours = [np.nextafter(narrow, np.float32(-np.inf)), np.nextafter(narrow, np.float32(np.inf))]
    return [float(v) for v in (narrow, *neighbours)] + around_float64(float(narrow))[1:]


def rows(ordinary: np.ndarray, points: list[list[float]], seed: int, count: int = ROWS) -> np.ndarray:
    """Builds rows from ordinary ones and, per feature, the values that are worth trying."""
    rng = np.random.default_rng(seed)
    third = count // 3
    plain = ordinary[rng.choice(len(ordinary), count - third, replace=len(ordinary) < count - third)].astype(float)
    for i in range(third, len(plain)):
        feature = i % len(points)
        plain[i, feature] = rng.choice(points[feature])
    all_odd = np.column_stack([pick(rng, p, third) for p in points])
    return np.vstack([plain, all_odd])


def pick(rng: np.random.Generator, points: list[float], count: int) -> np.ndarray:
    """Takes every point about equally often, in random order."""
    return rng.permutation(np.resize(rng.permutation(points), count))


def thinned(values: list[float], count: int, seed: int) -> list[float]:
    """At most `count` of the values, at random."""
    distinct = sorted(set(values))
    if len(distinct) <= count:
        return distinct
    return list(np.random.default_rng(seed).choice(distinct, count, replace=False))
