"""Tables of pandas, polars and pyarrow, scored by the program."""

from __future__ import annotations

import pandas as pd
import pytest

import millrace

ROWS = {
    "customerID": ["a", "b"], "tenure": [1, 60], "MonthlyCharges": [95.5, 20.25], "TotalCharges": [95.5, 1200.0],
    "Contract": ["Month-to-month", "Two year"],
}


def test_pandas() -> None:
    frame = pd.DataFrame(ROWS, index=[7, 9])
    scored = millrace.score(frame, "telecom")
    assert list(scored.index) == [7, 9]
    assert list(scored.columns[:5]) == list(frame.columns)
    assert scored["churn_probability"].iloc[0] > scored["churn_probability"].iloc[1]
    assert scored["explanation"].str.contains("risk").all()


def test_polars_and_pyarrow_give_the_same() -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    want = millrace.score(pd.DataFrame(ROWS), "telecom", explain="none")["churn_probability"].tolist()
    assert millrace.score(pl.DataFrame(ROWS), "telecom", explain="none")["churn_probability"].to_list() == want
    assert millrace.score(pa.table(ROWS), "telecom", explain="none")["churn_probability"].to_pylist() == want


def test_row_that_cannot_be_scored_is_an_error() -> None:
    frame = pd.DataFrame({**ROWS, "tenure": ["soon", 3]})
    with pytest.raises(RuntimeError, match="ERR-"):
        millrace.score(frame, "telecom")
