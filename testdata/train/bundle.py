"""Writes a bundle: the folder with a model file, bundle.yaml, golden.csv, MODEL_CARD.md and manifest.sha256."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

import description as desc
import training_profile
from evaluation import Figures

BASELINE = Path(__file__).resolve().parents[2] / "engine" / "baseline"
SHORT_MAP = 90  # characters
HEADER = "# Written by testdata/train/train_{name}.py; what the columns mean comes from {name}_columns.yaml.\n"


@dataclass(frozen=True)
class Training:
    """What bundle.yaml keeps of the training: the rows as they were before any value was taken away."""

    x: np.ndarray
    date: str
    figures: Figures


class Dumper(yaml.SafeDumper):
    """Plain YAML: no anchors; lists of scalars and short maps on one line, everything else in block form."""

    def ignore_aliases(self, data) -> bool:
        return True

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)

    def represent_mapping(self, tag, mapping, flow_style=None):
        short = len(str(mapping)) <= SHORT_MAP and not any(isinstance(v, (dict, list)) for v in mapping.values())
        return super().represent_mapping(tag, mapping, flow_style=short)


def write_description(folder: Path, description: desc.Description, training: Training) -> None:
    """Writes bundle.yaml: the description plus what training measured."""
    fields = description.fields | {"columns": measured_columns(description, training.x)}
    if training.figures.calibrate.fields:
        fields["calibration"] = training.figures.calibrate.fields
    fields["training"] = {
        "rows": len(training.x),
        "date": training.date,
        "auc": round(training.figures.auc, 4),
        "score_shares": training_profile.score_shares(training.figures.out_of_fold),
        "columns": training_profile.columns(description.features, training.x),
    }
    text = yaml.dump(fields, Dumper=Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
    (folder / "bundle.yaml").write_text(HEADER.format(name=description.fields["name"]) + text, encoding="utf-8")


def measured_columns(description: desc.Description, x: np.ndarray) -> list[dict]:
    """The columns with min, max and typical, in the order in which a reader looks for them."""
    measured = [c for c in description.columns if c["type"] == "text"]
    for column, values in zip(description.features, x.T, strict=True):
        present = values[~np.isnan(values)]
        phrases = column["phrases"]
        rest = {k: v for k, v in column.items() if k not in ("phrases", "sensitive", "actionable")}
        if column["type"] == "number":
            rest |= {
                "min": number(present.min()),
                "max": number(present.max()),
                "typical": number(float(f"{np.median(present):.4g}")),
            }
        else:
            rest |= {"unknown": "warn", "typical": column["categories"][np.bincount(present.astype(int)).argmax()]}
        rest |= {k: column.get(k, False) for k in ("sensitive", "actionable")}
        measured.append(rest | {"phrases": phrases})
    return measured


def number(value: float) -> int | float:
    return int(value) if value == int(value) else round(float(value), 4)


def write_golden(folder: Path, golden: pd.DataFrame) -> None:
    golden.to_csv(folder / "golden.csv", index=False, lineterminator="\n")


def write_manifest(folder: Path) -> None:
    """Writes manifest.sha256 over all other files, as `sha256sum -c` reads it."""
    files = sorted(p for p in folder.iterdir() if p.name != "manifest.sha256")
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files]
    (folder / "manifest.sha256").write_text("".join(lines), encoding="utf-8")


def check_golden(folder: Path, description: desc.Description, score) -> None:
    """Scores golden.csv again with the model as saved and demands the same digits."""
    golden = desc.read_cells(folder / "golden.csv")
    again = {c["name"] for c in description.columns}
    fresh = score(desc.matrix(description, golden[[c for c in golden if c in again]]))
    for column, values in zip(("_raw", "_probability"), fresh, strict=True):
        assert [f"{v:.17g}" for v in values] == list(golden[column]), f"{column} differs after a round trip"
