"""Writes MODEL_CARD.md: where the data is from, what was measured, and what the model cannot do."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation import Figures

MISSING = (
    "Optional columns may be absent: each training row was used three times, as it is (weight 0.6), with optional "
    "values blanked at a random rate per row and required ones at 5 % (0.4), and with required columns only (0.4)."
)


@dataclass(frozen=True)
class Card:
    """The parts of a card that differ between models; every text is Markdown."""

    title: str
    purpose: str
    data: str
    licence: str
    parameters: dict
    shape: str
    missing: str
    reading: str
    limits: list[str]
    retrain: str


def write(folder: Path, card: Card, figures: Figures, train_rows: int, held_out_rows: int) -> None:
    parts = [
        f"# {card.title}\n\n{card.purpose}",
        f"## Data\n\n{card.data}\n\n{train_rows:,} rows trained the model, {held_out_rows:,} were held out of it and "
        "of "
        f"every choice.\n\nLicence: {card.licence}",
        f"## Model\n\n{card.shape}\n\n{parameter_table(card.parameters)}\n\n{card.missing}",
        f"## Measured\n\n{figure_table(figures)}\n\n{card.reading}",
        f"## Calibration\n\n{calibration_choice(figures)} Held-out rows in ten groups of equal size by rising probability.\n\n"
        f"{calibration_table(figures)}",
        "## Known limits\n\n" + "\n".join(f"- {limit}" for limit in card.limits),
        f"## Retraining\n\n{card.retrain}",
    ]
    (folder / "MODEL_CARD.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def parameter_table(parameters: dict) -> str:
    rows = [f"| {k} | {v} |" for k, v in parameters.items()]
    return "\n".join(["| parameter | value |", "|---|---|", *rows])


def figure_table(figures: Figures) -> str:
    return "\n".join(
        [
            "| figure | all columns | required columns only |",
            "|---|---|---|",
            f"| AUC, five-fold cross-validation | {spread(figures.fold_auc)} | "
            f"{spread(figures.fold_auc_required_only)} |",
            f"| AUC, held-out rows | {figures.auc:.4f} | {figures.auc_required_only:.4f} |",
            f"| Brier score, held-out rows | {figures.brier[0]:.4f} | |",
            f"| calibration error, held-out rows | {figures.calibration_error[0]:.4f} | |",
        ]
    )


def spread(folds: list[float]) -> str:
    return f"{np.mean(folds):.4f} ({min(folds):.4f} to {max(folds):.4f})"


def calibration_choice(figures: Figures) -> str:
    if not figures.calibrate.fields:
        return (
            "The probabilities are taken as the model gives them: on rows outside training, neither a Platt nor an "
            "isotonic map improved the calibration error and the Brier score by more than half a percent."
        )
    before, after = figures.brier
    error_before, error_after = figures.calibration_error
    return (
        f"A map ({figures.calibrate.fields['method']}), chosen and fitted on rows outside training, corrects the "
        f"probabilities. On the held-out rows the Brier score goes from {before:.4f} to {after:.4f} and the calibration "
        f"error from {error_before:.4f} to {error_after:.4f}."
    )


def calibration_table(figures: Figures) -> str:
    rows = [f"| {i} | {n} | {p:.3f} | {actual:.3f} |" for i, (n, p, actual) in enumerate(figures.calibration, 1)]
    return "\n".join(["| group | rows | mean probability | actual churn rate |", "|---|---|---|---|", *rows])
