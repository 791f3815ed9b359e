"""Rows with known scores that every engine must reproduce: typical ones, and one for each thing that goes wrong.

Rows are text cells as in a customer's file. None is rejected: numbers stay inside the allowed range.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

import description as desc

TYPICAL = 30
UNSEEN = "Something else"
WHOLE_THRESHOLDS, OTHER_THRESHOLDS = 2, 1  # most per feature


def rows(description: desc.Description, sample: pd.DataFrame, thresholds: dict[str, list[float]]) -> pd.DataFrame:
    """Builds the rows from a sample of whole ones; thresholds are the model's split values per number feature."""
    plain = sample.head(TYPICAL).to_dict("records")
    changes = [
        *blanks(description),
        *unseen_categories(description),
        *at_thresholds(description, thresholds),
        *extremes(description),
        *spellings(description),
    ]
    changed = [plain[i % len(plain)] | change for i, change in enumerate(changes)]
    frame = pd.DataFrame(plain + changed)[[c["name"] for c in description.columns]]
    frame[description.fields["id"]] = [f"golden-{i:03d}" for i in range(len(frame))]
    return frame


def blanks(description: desc.Description) -> list[dict]:
    """Each column empty, all optional ones empty, and everything empty."""
    names = description.names
    optional = [n for n, o in zip(names, description.optional, strict=True) if o]
    return [*({n: ""} for n in names), dict.fromkeys(optional, ""), dict.fromkeys(names, "")]


def unseen_categories(description: desc.Description) -> list[dict]:
    return [{c["name"]: UNSEEN} for c in description.features if c["type"] == "category"]


def at_thresholds(description: desc.Description, thresholds: dict[str, list[float]]) -> list[dict]:
    """Some of each feature's split values, exactly; whole numbers above all, because real cells hit those."""
    allowed = {c["name"]: c.get("allowed_max", np.inf) for c in description.features}
    changes = []
    for name, values in thresholds.items():
        values = [
            v for v in values if v <= allowed[name]
        ]  # a split behind the largest value parts missing from present
        whole = [v for v in values if v == int(v)]
        other = [v for v in values if v != int(v)]
        chosen = spread(whole, WHOLE_THRESHOLDS) + spread(other, OTHER_THRESHOLDS)
        changes += [{name: f"{v:.17g}"} for v in chosen if v >= 0]
    return changes


def spread(values: list[float], count: int) -> list[float]:
    """At most `count` values, spread evenly over the list."""
    if len(values) <= count:
        return list(values)
    return [values[i] for i in np.linspace(0, len(values) - 1, count).astype(int)]


def extremes(description: desc.Description) -> list[dict]:
    """The smallest and a very large number that may be scored, and all numbers at once."""
    numbers = [c for c in description.features if c["type"] == "number"]
    low = {c["name"]: f"{c.get('allowed_min', -1e9):.0f}" for c in numbers}
    high = {c["name"]: f"{c.get('allowed_max', 1e9):.0f}" for c in numbers}
    return [low, high, *({n: v} for n, v in high.items())]


def spellings(description: desc.Description) -> list[dict]:
    """Cells that mean the same after trimming, and missing words."""
    padded = {c["name"]: f" {c['categories'][0]} " for c in description.features if c["type"] == "category"}
    spelled = {c["name"]: next(iter(c["spellings"])) for c in description.features if c["type"] == "category"}
    words = {c["name"]: c["missing"][0] for c in description.features}
    return [padded, spelled, words]


def with_scores(
    description: desc.Description, cells: pd.DataFrame, score: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> pd.DataFrame:
    """Adds _raw and _probability, which `score` takes from the training library, with 17 significant digits."""
    raw, probability = score(desc.matrix(description, cells))
    return cells.assign(_raw=[f"{v:.17g}" for v in raw], _probability=[f"{v:.17g}" for v in probability])
