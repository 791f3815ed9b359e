"""Writes testdata/samples: synthetic files in the columns of both bundles, and bad/ (see bad_files.py).

    python make_samples.py

No row is copied from anywhere: telecom_generator.py and saas_generator.py draw every value. Same bytes every time.
"""

import shutil
from pathlib import Path

import bad_files
import description as desc
import saas_generator
import telecom_generator

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
MANY, FEW = 10_000, 20
MANY_SEED, FEW_SEED = 1, 2


def main() -> None:
    SAMPLES.mkdir(parents=True, exist_ok=True)
    write("telecom_10k.csv", telecom_generator.customers(MANY, MANY_SEED))
    write("telecom_sample.csv", telecom_generator.customers(FEW, FEW_SEED))
    write("saas_sample.csv", saas_generator.customers(FEW, FEW_SEED)[promised_columns()])
    shutil.rmtree(SAMPLES / "bad", ignore_errors=True)
    bad_files.write(SAMPLES / "bad")


def promised_columns() -> list[str]:
    """The required columns of the saas bundle and the optional ones that customers usually have."""
    saas = desc.load("saas")
    required = [c["name"] for c in saas.columns if c.get("required")]
    return required + saas.fields["chosen_by"]


def write(name: str, cells) -> None:
    cells.to_csv(SAMPLES / name, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
