"""One fixture folder: model files, rows, and what the training library says about them."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

FOREST = Path(__file__).resolve().parents[1] / "forest"


@dataclass
class Case:
    """What the library computed. Outputs are rows x columns; None means that the library does not offer it.

    leaf and contrib may cover fewer rows than raw and probability: then the first ones.
    """

    name: str
    library: str
    about: str
    models: dict[str, bytes]
    x: np.ndarray
    raw: np.ndarray
    probability: np.ndarray
    leaf: np.ndarray | None = None
    contrib: np.ndarray | None = None
    cells: pd.DataFrame | None = None  # the rows as text, where the file maps category texts to codes
    facts: dict = field(default_factory=dict)

    def write(self) -> dict:
        """Writes the folder and returns the case's entry in index.json."""
        folder = FOREST / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.models.items():
            (folder / name).write_bytes(data)
        single = self.library == "xgboost"
        outputs = {"raw": self.raw, "probability": self.probability, "leaf": self.leaf, "contrib": self.contrib}
        outputs = {k: two_dimensional(v) for k, v in outputs.items() if v is not None}
        write_table(folder / "x.tsv", self.x, "%.17g")
        for name, values in outputs.items():
            digits = {"leaf": "%d", "contrib": "%.9g" if single else "%.17g"}.get(name, "%.17g")
            write_table(folder / f"{name}.tsv", values, digits)
        if self.cells is not None:
            self.cells.to_csv(folder / "cells.tsv", sep="\t", index=False, lineterminator="\n")
        return self.entry({k: len(v) for k, v in outputs.items()})

    def entry(self, rows: dict[str, int]) -> dict:
        return {
            "name": self.name,
            "library": self.library,
            "about": self.about,
            "models": list(self.models),
            "rows": len(self.x),
            "features": self.x.shape[1],
            "classes": two_dimensional(self.raw).shape[1],
            "outputs": rows,
            "cells": self.cells is not None,
        } | self.facts


@dataclass
class Refused:
    """A model that must be refused, and the kind of error."""

    name: str
    library: str
    about: str
    models: dict[str, bytes]
    error: str

    def write(self) -> dict:
        folder = FOREST / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.models.items():
            (folder / name).write_bytes(data)
        return {
            "name": self.name,
            "library": self.library,
            "about": self.about,
            "models": list(self.models),
            "refused": self.error,
        }


def two_dimensional(values: np.ndarray) -> np.ndarray:
    """rows x anything; a row's classes lie one after another, each with all of its columns."""
    return np.asarray(values).reshape(len(values), -1)


def write_table(path: Path, values: np.ndarray, digits: str) -> None:
    """Tab-separated without a header; floats read back to the same bits."""
    lines = ["\t".join(digits % v for v in row) + "\n" for row in values]
    path.write_text("".join(lines), encoding="utf-8")


def write_index(entries: list[dict]) -> None:
    lines = ",\n    ".join(json.dumps(e, ensure_ascii=False) for e in sorted(entries, key=lambda e: e["name"]))
    (FOREST / "index.json").write_text(f'{{\n  "cases": [\n    {lines}\n  ]\n}}\n', encoding="utf-8")
