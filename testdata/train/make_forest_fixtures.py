"""Writes testdata/forest: small models of every kind with the outputs of the library that trained them.

    python make_forest_fixtures.py [NAME ...]

With names (such as lightgbm/binary) only those folders are written and the index is left alone.
"""

import shutil
import sys
import warnings

import lightgbm_cases
import xgboost_cases
from fixture_case import FOREST, write_index


def main(wanted: list[str]) -> None:
    warnings.filterwarnings("ignore", category=UserWarning)
    if not wanted and FOREST.exists():
        shutil.rmtree(FOREST)
    entries = []
    for case in [*lightgbm_cases.cases(), *xgboost_cases.cases()]:
        if not wanted or case.name in wanted:
            entries.append(case.write())
            print(case.name)
    if not wanted:
        write_index(entries)


if __name__ == "__main__":
    main(sys.argv[1:])
