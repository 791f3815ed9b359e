"""The hand-written description of a bundle's columns, and how text cells become the model's numbers.

These are the rules that the engine follows too: trim; empty or a missing word is NaN; a number is a float64; a category
is the position of its text (or of what its spelling stands for) in the list; an unknown category is NaN.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Description:
    """One <name>_columns.yaml."""

    fields: dict

    @property
    def columns(self) -> list[dict]:
        return self.fields["columns"]

    @property
    def features(self) -> list[dict]:
        """The columns that the model reads, in training order."""
        return [c for c in self.columns if c["type"] != "text"]

    @property
    def names(self) -> list[str]:
        return [c["name"] for c in self.features]

    @property
    def categorical(self) -> list[int]:
        """Positions of the category features."""
        return [i for i, c in enumerate(self.features) if c["type"] == "category"]

    @property
    def optional(self) -> np.ndarray:
        """True for features that a customer's file may lack."""
        return np.array([not c.get("required", False) for c in self.features])


def load(name: str) -> Description:
    """Reads <name>_columns.yaml and adds the upper and lower case of each category as spellings."""
    fields = yaml.safe_load((HERE / f"{name}_columns.yaml").read_text(encoding="utf-8"))
    fields.pop("missing_words")
    for column in fields["columns"]:
        if column["type"] == "category":
            column["spellings"] = all_spellings(column)
    return Description(fields)


def all_spellings(column: dict) -> dict[str, str]:
    """Spellings by hand first, then both cases of each category, never a text that is itself a category."""
    spellings = dict(column.get("spellings", {}))
    for category in column["categories"]:
        for text in (category.lower(), category.upper()):
            spellings.setdefault(text, category)
    return {text: to for text, to in spellings.items() if text not in column["categories"]}


def matrix(description: Description, cells: pd.DataFrame) -> np.ndarray:
    """Turns text cells (as read_cells gives them) into float64 rows x features; an absent column is all NaN."""
    columns = []
    for column in description.features:
        if column["name"] in cells:
            columns.append(np.array([value(column, cell) for cell in cells[column["name"]]], dtype=float))
        else:
            columns.append(np.full(len(cells), np.nan))
    return np.column_stack(columns)


def value(column: dict, cell: str) -> float:
    """The model's value of one cell."""
    text = cell.strip()
    if text == "" or text in column.get("missing", []):
        return np.nan
    if column["type"] == "number":
        return float(text)
    text = column["spellings"].get(text, text)
    return float(column["categories"].index(text)) if text in column["categories"] else np.nan


def read_cells(path: Path) -> pd.DataFrame:
    """Reads a CSV file as text, changing nothing."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)
