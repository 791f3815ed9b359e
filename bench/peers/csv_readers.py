"""Reads one CSV file with millrace, DuckDB, Polars and pyarrow and compares the CPU seconds that they take.

Every reader turns all 25 columns into typed values: numbers into floats, the id and the categories into strings, which
millrace keeps as codes of known texts. One thread each where the reader allows it; CPU time, so that threads cannot hide.

    python csv_readers.py [--rows 1000000] [results.json]
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import tempfile
from collections.abc import Callable

os.environ["POLARS_MAX_THREADS"] = "1"  # read when Polars is imported

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv

HERE = pathlib.Path(__file__).parent
NUMBERS = ["SeniorCitizen", "tenure", "SupportCalls", "AccountAge", "Logins", "DataUsage", "MonthlyCharges",
           "TotalCharges", "AverageCall", "Discount"]
ROUNDS = 5


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(read: Callable[[], tuple[int, float]]) -> dict:
    """The CPU seconds of every round, and what was read."""
    seconds = []
    for _ in range(ROUNDS):
        begin = cpu_seconds()
        rows, total = read()
        seconds.append(cpu_seconds() - begin)
    return {"seconds": seconds, "rows": rows, "sum": total}


def readers(path: str, names: list[str]) -> dict[str, Callable[[], tuple[int, float]]]:
    """Each reads all columns and gives the number of rows and the sum of MonthlyCharges."""
    types = {n: "DOUBLE" if n in NUMBERS else "VARCHAR" for n in names}
    connection = duckdb.connect(config={"threads": 1})
    every = ", ".join(f"max({n})" for n in names)

    def with_duckdb() -> tuple[int, float]:
        query = f"SELECT count(*), sum(MonthlyCharges), {every} FROM read_csv(?, header=true, nullstr=' ', columns={types})"
        row = connection.execute(query, [path]).fetchone()
        return row[0], row[1]

    def with_polars() -> tuple[int, float]:
        schema = {n: pl.Float64 if n in NUMBERS else pl.String for n in names}
        frame = pl.read_csv(path, schema=schema, null_values=[" "])
        return frame.height, frame["MonthlyCharges"].sum()

    def with_pyarrow() -> tuple[int, float]:
        convert = pacsv.ConvertOptions(
            column_types={n: pa.float64() if n in NUMBERS else pa.string() for n in names}, null_values=[" "])
        table = pacsv.read_csv(path, read_options=pacsv.ReadOptions(use_threads=False), convert_options=convert)
        return table.num_rows, sum(chunk.to_numpy().sum() for chunk in table["MonthlyCharges"].chunks)

    return {"DuckDB": with_duckdb, "Polars": with_polars, "pyarrow": with_pyarrow}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("results", nargs="?")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program, path = f"{folder}/readers", f"{folder}/customers.csv"
        subprocess.run(["go", "build", "-o", program, "./readers"], cwd=HERE, check=True)
        subprocess.run([program, "-write", str(arguments.rows), path], check=True)
        size = pathlib.Path(path).stat().st_size
        names = pathlib.Path(path).open().readline().strip().split(",")
        output = subprocess.run([program, "-rounds", str(ROUNDS), path], check=True, capture_output=True)
        measured = {"millrace": json.loads(output.stdout)}
        for name, read in readers(path, names).items():
            measured[name] = timed(read)
    ours = min(measured["millrace"]["seconds"])
    print(f"{arguments.rows} rows, {size / 1e6:.1f} MB, CPU seconds, best of {ROUNDS}")
    for name, result in measured.items():
        assert result["rows"] == arguments.rows and abs(result["sum"] / measured["millrace"]["sum"] - 1) < 1e-9, name
        best = min(result["seconds"])
        result |= {"mb_per_cpu_second": size / 1e6 / best, "times_millrace": best / ours}
        print(f"{name:10} {best:7.3f} s {size / 1e6 / best:8.0f} MB/s {best / ours:6.1f}x")
    if arguments.results:
        pathlib.Path(arguments.results).write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
