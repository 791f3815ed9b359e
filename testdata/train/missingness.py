"""Training rows with values taken away, so that a model stays honest when a customer's file lacks optional columns.

Each training row is used three times: as it is; with optional columns blanked at random (each row draws its own rate,
so that one missing column and nearly all missing both occur) and required values blanked at 5 %; and with every
optional column blanked, which is the file that has only what is required. The whole row weighs most. Where a file with
some of the optional columns is usual, the rows are used a fourth time with these alone.
"""

import numpy as np

WEIGHTS = (0.6, 0.4, 0.4)  # whole, random, required only
REQUIRED_RATE = 0.05


def with_missing_values(
    x: np.ndarray, y: np.ndarray, optional: np.ndarray, seed: int, usual: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns rows, labels and weights, three times as many as given, or four times where usual is given: the weight
    of rows with required columns only is then shared with that of rows which have the usual optional columns too."""
    rng = np.random.default_rng(seed)
    rate = np.where(optional, rng.random((len(x), 1)), REQUIRED_RATE)
    some = np.where(rng.random(x.shape) < rate, np.nan, x)
    rows = np.vstack([x, some, required_only(x, optional)])
    if usual is None:
        return rows, np.tile(y, 3), np.repeat(WEIGHTS, len(x))
    whole, random, required = WEIGHTS
    rows = np.vstack([rows, required_only(x, optional & ~usual)])
    return rows, np.tile(y, 4), np.repeat((whole, random, required / 2, required / 2), len(x))


def required_only(x: np.ndarray, optional: np.ndarray) -> np.ndarray:
    """The same rows without any optional value."""
    return np.where(optional, np.nan, x)
