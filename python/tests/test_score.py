"""Tables of pandas, polars and pyarrow, scored by the program."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

import millrace
from millrace.program import program

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

ROWS: dict[str, list[Any]] = {
    "customerID": ["a", "b", "c"], "tenure": [1, 60, 12], "MonthlyCharges": [95.5, 20.25, 0.1 + 0.2],
    "TotalCharges": [95.5, 1200.0, 1e-7], "Contract": ["Month-to-month", "Two year", "One year"],
}
FORESTS = Path(__file__).parents[2] / "testdata/forest"
REASONS = ["risk_factors", "protective_factors", "explanation"]
ADDED = ["churn_probability", "risk_band", *REASONS]

MAKERS: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "pandas": pd.DataFrame, "polars": lambda rows: pl.DataFrame(rows, strict=False), "pyarrow": pa.table,
}


def rows_of(table: Any) -> dict[str, list[Any]]:
    """Returns the columns of a table as lists, with None for what is missing."""
    if isinstance(table, pd.DataFrame):
        return {str(c): [None if v is pd.NA or v is None else v for v in table[c].tolist()] for c in table.columns}
    found: dict[str, list[Any]] = table.to_pydict() if isinstance(table, pa.Table) else table.to_dict(as_series=False)
    return found


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[dict[str, list[Any]]], Any]:
    """Makes a table of each library."""
    return MAKERS[request.param]


def by_program(rows: dict[str, list[Any]], explain: str = "all") -> dict[str, list[str]]:
    """Scores rows with the program alone, from a CSV file that is written here."""
    frame = pd.DataFrame(rows)
    arguments = [program(), "score", "--model", "telecom", "--explain", explain, "--guard", "off", "-"]
    done = subprocess.run(arguments, input=frame.to_csv(index=False).encode(), capture_output=True, check=True)
    from io import BytesIO

    return {str(c): list(v) for c, v in pd.read_csv(BytesIO(done.stdout), dtype=str, keep_default_na=False).items()}


@pytest.mark.parametrize("explain", ["all", "at_risk", "none"])
def test_table_comes_back_with_what_the_program_says(
    make: Callable[[dict[str, list[Any]]], Any], explain: Literal["all", "at_risk", "none"]
) -> None:
    table = make(ROWS)
    scored = millrace.score(table, "telecom", explain=explain)
    assert type(scored) is type(table)
    found, want = rows_of(scored), by_program(ROWS, explain)
    assert {name: found[name] for name in ROWS} == ROWS
    assert list(found) == [*ROWS, *(ADDED[:2] if explain == "none" else ADDED)]
    assert found["churn_probability"] == [float(p) for p in want["churn_probability"]]
    assert found["risk_band"] == want["risk_band"]
    for name in [] if explain == "none" else REASONS:
        assert [text or "" for text in found[name]] == want[name]
    if explain == "all":
        assert [f["feature"] for f in json.loads(found["risk_factors"][0])] != []
    if explain == "at_risk":
        assert found["explanation"][1] is None and found["explanation"][0] is not None


def test_pandas_keeps_its_index_and_the_table_itself() -> None:
    frame = pd.DataFrame(ROWS, index=[7, 9, 7])
    scored = millrace.score(frame, "telecom")
    assert list(scored.index) == [7, 9, 7]
    assert list(frame.columns) == list(ROWS)
    assert scored["churn_probability"].dtype == np.float64


def test_a_result_is_scored_anew(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    once = millrace.score(make(ROWS), "telecom")
    wrong = {**rows_of(once), "churn_probability": [2.0, 2.0, 2.0]}
    again = millrace.score(make(wrong), "telecom", explain="all")
    assert rows_of(again) == rows_of(once)


def test_categories_and_dictionaries() -> None:
    want = rows_of(millrace.score(pd.DataFrame(ROWS), "telecom", explain="none"))["churn_probability"]
    frame = pd.DataFrame(ROWS).astype({"Contract": "category", "customerID": "string", "tenure": "Int32", "MonthlyCharges": "Float64"})
    assert millrace.score(frame, "telecom", explain="none")["churn_probability"].tolist() == want
    polars = pl.DataFrame(ROWS).with_columns(
        pl.col("Contract").cast(pl.Enum(sorted(set(ROWS["Contract"])))), pl.col("customerID").cast(pl.Categorical), pl.col("tenure").cast(pl.UInt8)
    )
    assert millrace.score(polars, "telecom", explain="none")["churn_probability"].to_list() == want
    table = pa.table({
        "customerID": pa.chunked_array([["a"], ["b", "c"]]).dictionary_encode(),
        "tenure": pa.array(ROWS["tenure"], pa.int8()).dictionary_encode(),
        "MonthlyCharges": ROWS["MonthlyCharges"],
        "TotalCharges": ROWS["TotalCharges"],
        "Contract": pa.array(ROWS["Contract"], pa.large_string()).dictionary_encode(),
    })
    scored = millrace.score(table, "telecom", explain="none")
    assert scored["churn_probability"].to_pylist() == want
    assert scored.schema.field("Contract").type == table.schema.field("Contract").type


def test_missing_values_are_missing_however_they_are_written(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    rows = {**ROWS, "TotalCharges": [95.5, None, math.nan], "gender": [None, "Male", None]}
    found = rows_of(millrace.score(make(rows), "telecom", explain="none"))
    want = by_program({**ROWS, "TotalCharges": [95.5, None, None], "gender": [None, "Male", None]}, "none")
    assert found["churn_probability"] == [float(p) for p in want["churn_probability"]]


def test_large_and_hostile_texts(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    long = "x" * 50_000
    texts = [long, '=1+1,"quoted"\r\nline; two\t|', "ünï 顧客 1.234,5"]
    rows = {**ROWS, "customerID": ["0", "-", "ü"], "note; a, b": texts, "millrace_row": ["7", "8", "9"]}
    found = rows_of(millrace.score(make(rows), "telecom"))
    want = rows_of(millrace.score(make(ROWS), "telecom"))
    assert {name: found[name] for name in rows} == rows
    assert {name: found[name] for name in ADDED} == {name: want[name] for name in ADDED}


def test_large_strings_of_arrow() -> None:
    table = pa.table(ROWS)
    for kind in (pa.large_string(), pa.string_view()):
        at = table.column_names.index("Contract")
        other = table.set_column(at, "Contract", table["Contract"].cast(kind))
        assert millrace.score(other, "telecom").drop(["Contract"]).equals(millrace.score(table, "telecom").drop(["Contract"]))


def test_many_rows_keep_their_order(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    random, n = np.random.default_rng(1), 20_000
    rows: dict[str, list[Any]] = {
        "customerID": [f"c{i}" for i in range(n)], "tenure": random.integers(0, 72, n).tolist(),
        "MonthlyCharges": random.uniform(18, 118, n).tolist(), "TotalCharges": random.uniform(18, 8000, n).tolist(),
        "Contract": random.choice(["Month-to-month", "One year", "Two year"], n).tolist(),
    }
    found = rows_of(millrace.score(make(rows), "telecom", explain="none"))
    assert found["churn_probability"] == [float(p) for p in by_program(rows, "none")["churn_probability"]]


def test_one_row_and_none(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    whole = millrace.score(make(ROWS), "telecom")
    for n in (1, 0):
        part = millrace.score(make(ROWS)[:n] if not isinstance(whole, pa.Table) else make(ROWS).slice(0, n), "telecom")
        assert rows_of(part) == {name: values[:n] for name, values in rows_of(whole).items()}
        if isinstance(part, pa.Table):
            assert part.schema == whole.schema
        else:
            assert list(part.dtypes) == list(whole.dtypes)


@pytest.mark.parametrize("rows", [0, 3])
def test_missing_column(make: Callable[[dict[str, list[Any]]], Any], rows: int) -> None:
    table = make({name: values[:rows] for name, values in ROWS.items() if name not in ("Contract", "tenure")})
    with pytest.raises(millrace.ScoreError, match="Missing required columns 'Tenure' and 'Contract'") as caught:
        millrace.score(table, "telecom")
    e = caught.value
    assert (e.code, e.column, e.columns, e.row, e.rows) == ("ERR-1004", "tenure", ["tenure", "Contract"], None, [])


def test_rows_that_cannot_be_scored_are_all_named(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    rows = {**ROWS, "tenure": ["soon", "3", "never"], "MonthlyCharges": [95.5, math.inf, 20.0]}
    with pytest.raises(millrace.ScoreError, match="3 rows cannot be scored. Row 0: ") as caught:
        millrace.score(make(rows), "telecom")
    e = caught.value
    assert isinstance(e, ValueError) and (e.code, e.row, e.column) == ("ERR-1602", 0, "tenure")
    assert [(r.row, r.code, r.column) for r in e.rows] == [
        (0, "ERR-1602", "tenure"), (1, "ERR-1603", "MonthlyCharges"), (2, "ERR-1602", "tenure"),
    ]
    assert "soon" not in str(e) + repr(e.rows)


def test_a_row_of_nothing_is_a_row(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    rows = {name: [values[0], None, values[2]] for name, values in ROWS.items()}
    with pytest.raises(millrace.ScoreError, match="ERR-1604: 1 row cannot be scored. Row 1: ") as caught:
        millrace.score(make(rows), "telecom")
    assert [r.row for r in caught.value.rows] == [1]
    names = [f"Column_{i}" for i in range(5)]
    numbers: dict[str, list[Any]] = {name: [0.5, None, 1.5] for name in names}
    scored = rows_of(millrace.score(make(numbers), FORESTS / "lightgbm/binary/model.txt", explain="none"))
    assert len({p for p in scored["churn_probability"]}) > 1 and len(scored["churn_probability"]) == 3


def test_useless_column_is_named(make: Callable[[dict[str, list[Any]]], Any]) -> None:
    rows = {name: [*values[:2]] * 100 for name, values in ROWS.items()}
    rows["Contract"] = ["monatlich"] * 200
    with pytest.raises(millrace.ScoreError) as caught:
        millrace.score(make(rows), "telecom")
    assert (caught.value.code, caught.value.column) == ("ERR-1018", "Contract")


def test_model_that_is_none() -> None:
    with pytest.raises(millrace.ScoreError, match="neither a directory, a file, nor a baseline") as caught:
        millrace.score(pd.DataFrame(ROWS), Path("absent"))
    assert caught.value.code == "" and caught.value.column is None


@pytest.mark.parametrize(
    "table", [ROWS, [1], None, "telecom", pl.DataFrame(ROWS).lazy(), pd.Series([1])], ids=lambda t: type(t).__name__
)
def test_what_is_no_table(table: Any) -> None:
    with pytest.raises(TypeError, match="a pandas or polars DataFrame or a pyarrow Table, not "):
        millrace.score(table, "telecom")


def test_column_without_cells() -> None:
    rows = {**ROWS, "tags": [["a"], [], ["b", "c"]]}
    for table in (pl.DataFrame(rows), pa.table(rows)):
        with pytest.raises(TypeError, match="column 'tags' holds "):
            millrace.score(table, "telecom")


def test_the_slim_program_names_the_full_one() -> None:
    done = subprocess.run([program(), "serve"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 64 and "the full millrace" in done.stderr
    assert os.path.getsize(program()) < 15 << 20
