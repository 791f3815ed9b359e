"""Small training sets for the fixtures: five number features, two category features, and a label of every kind."""

import numpy as np

SIGNAL_SEED = 5
CLASSES = 3
GROUP = 20  # rows per query of a ranking


def numbers(count: int, seed: int = SIGNAL_SEED) -> np.ndarray:
    """normal, whole numbers, positive with a fifth missing, half zeros, prices."""
    rng = np.random.default_rng(seed)
    gappy = rng.lognormal(0, 1, count).round(2)
    gappy[rng.random(count) < 0.2] = np.nan
    zeros = np.where(rng.random(count) < 0.5, 0.0, rng.standard_normal(count).round(2))
    return np.column_stack(
        [
            rng.standard_normal(count).round(2),
            rng.integers(-5, 30, count).astype(float),
            gappy,
            zeros,
            rng.uniform(0, 100, count).round(2),
        ]
    )


def codes(count: int, sizes: tuple[int, ...], seed: int = SIGNAL_SEED) -> np.ndarray:
    """Category codes, one column per size, with a tenth missing."""
    rng = np.random.default_rng(seed + 1)
    columns = [rng.integers(0, size, count).astype(float) for size in sizes]
    return np.where(rng.random((count, len(sizes))) < 0.1, np.nan, np.column_stack(columns))


def signal(x: np.ndarray) -> np.ndarray:
    """A smooth score of the number features and an arbitrary one of any further columns, with noise."""
    rng = np.random.default_rng(len(x))
    score = x[:, 0] + np.sin(np.nan_to_num(x[:, 1]) / 4)
    if x.shape[1] >= 5:
        score = (
            score + np.where(np.isnan(x[:, 2]), -0.8, np.log1p(np.nan_to_num(x[:, 2]))) + 0.6 * x[:, 3] + x[:, 4] / 60
        )
    for column in x[:, 5:].T:
        score = score + 1.5 * np.where(np.isnan(column), 0.3, np.sin(3 * np.nan_to_num(column)))
    return score + 0.3 * rng.standard_normal(len(x))


def binary(x: np.ndarray) -> np.ndarray:
    s = signal(x)
    return (s > np.quantile(s, 0.6)).astype(float)


def real(x: np.ndarray) -> np.ndarray:
    return signal(x).round(3)


def positive(x: np.ndarray) -> np.ndarray:
    return np.exp(signal(x) / 2).round(3) + 0.01


def count(x: np.ndarray) -> np.ndarray:
    return np.floor(np.exp(signal(x) / 2))


def share(x: np.ndarray) -> np.ndarray:
    """Labels inside [0, 1]."""
    return (1 / (1 + np.exp(-signal(x)))).round(3)


def classes(x: np.ndarray) -> np.ndarray:
    s = signal(x)
    return np.searchsorted(np.quantile(s, [0.5, 0.8]), s).astype(float)


def two_classes(x: np.ndarray) -> np.ndarray:
    """Only the first two of CLASSES occur."""
    return binary(x)


def relevance(x: np.ndarray) -> np.ndarray:
    """0 to 3, for groups of GROUP rows."""
    s = signal(x)
    return np.searchsorted(np.quantile(s, [0.5, 0.8, 0.95]), s).astype(float)


def groups(x: np.ndarray) -> np.ndarray:
    return np.full(len(x) // GROUP, GROUP)
