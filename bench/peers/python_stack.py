"""The script that millrace stands in for: pandas reads a file of customers, LightGBM scores it, pandas writes it back.

    python python_stack.py bundle customers.csv scored.csv [--explain]

It takes what a careful author would: categories as pandas' own type with the categories of training, so that reading
makes codes at once, all cores for LightGBM, and contributions from LightGBM itself (`pred_contrib`, which is what shap's
TreeExplainer calls for such a model). Spellings, rejected rows and formulas in cells are not looked after. Prints the
seconds of every step as JSON, on the wall and of all cores.
"""

import argparse
import json
import time
from pathlib import Path
from typing import IO

import lightgbm
import numpy as np
import pandas as pd
import yaml

REASONS = 3


class Scorer:
    """The bundle's model with the columns that it reads."""

    def __init__(self, bundle: Path) -> None:
        description = yaml.safe_load((bundle / "bundle.yaml").read_text(encoding="utf-8"))
        self.booster = lightgbm.Booster(model_file=bundle / "model.txt")
        self.id = description["id"]
        self.features = [c for c in description["columns"] if c["type"] != "text"]
        self.names = np.array([c["name"] for c in self.features])
        self.types = {c["name"]: pd.CategoricalDtype(c["categories"]) for c in self.features if c["type"] == "category"}
        self.missing = {c["name"]: ["", " ", *c["missing"]] for c in self.features}
        self.bands = [b["name"] for b in description["bands"]]
        self.limits = [b["below"] for b in description["bands"] if "below" in b]

    def read(self, source: Path | IO[bytes]) -> pd.DataFrame:
        types = self.types | {self.id: str}
        return pd.read_csv(source, dtype=types, na_values=self.missing, keep_default_na=False)

    def matrix(self, cells: pd.DataFrame) -> np.ndarray:
        """float64 rows: a category is the place of its text in the list of training, NaN if it is not there."""
        matrix = np.empty((len(cells), len(self.features)))
        for place, name in enumerate(self.names):
            column = cells[name]
            matrix[:, place] = column.cat.codes if name in self.types else column
        categories = [place for place, name in enumerate(self.names) if name in self.types]
        codes = matrix[:, categories]
        codes[codes < 0] = np.nan
        matrix[:, categories] = codes
        return matrix

    def probabilities(self, matrix: np.ndarray) -> np.ndarray:
        return self.booster.predict(matrix)

    def band(self, probabilities: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.limits, probabilities, side="right")

    def reasons(self, matrix: np.ndarray) -> list[str]:
        """The names of the features that moved each row's score most, with their contributions."""
        contributions = self.booster.predict(matrix, pred_contrib=True)[:, :-1]
        strongest = np.argsort(-np.abs(contributions), axis=1)[:, :REASONS]
        values = np.take_along_axis(contributions, strongest, axis=1).round(3).tolist()
        names = self.names[strongest].tolist()
        return ["; ".join(f"{n} {v:+}" for n, v in zip(*row, strict=True)) for row in zip(names, values, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--explain", action="store_true")
    options = parser.parse_args()
    steps, begin = {}, (time.perf_counter(), time.process_time())

    def done(step: str) -> None:
        nonlocal begin
        end = time.perf_counter(), time.process_time()
        steps[step] = {"wall": end[0] - begin[0], "cpu": end[1] - begin[1]}
        begin = end

    scorer = Scorer(options.bundle)
    done("load")
    cells = scorer.read(options.source)
    done("read")
    matrix = scorer.matrix(cells)
    done("convert")
    probabilities = scorer.probabilities(matrix)
    cells["churn_probability"] = probabilities
    cells["risk_band"] = pd.Categorical.from_codes(scorer.band(probabilities), scorer.bands)
    done("score")
    if options.explain:
        cells["reasons"] = scorer.reasons(matrix)
        done("explain")
    cells.to_csv(options.out, index=False)
    done("write")
    print(json.dumps({"steps": steps}))


if __name__ == "__main__":
    main()
