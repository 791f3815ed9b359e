"""From file to file and from upload to stored rows: millrace beside the Python stack that it stands in for.

    python end_to_end.py ../results/end_to_end.json [--rows 1000000] [--only files|service]

Everything works with the telecom bundle's LightGBM model on the same customers: those of the sample, again and again under
new ids. The ways take turns; a way's time is that of its whole process, from its start to its end (LightGBM's own: without
starting Python), on all cores, and of its rounds the fastest counts. Ends with an error where probabilities differ.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

import services
from compare import machine
from python_stack import Scorer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUNDLE = ROOT / "engine" / "baseline" / "telecom"
SAMPLE = ROOT / "testdata" / "samples" / "telecom_10k.csv"
TOLERANCE = 1e-6  # of probabilities, which millrace writes as float32


@dataclass
class Way:
    """One way from file to file, and what was measured of it."""

    name: str
    rows: int
    command: list
    seconds: list[float]
    cpu: list[float]
    steps: dict | None = None  # of the fastest round

    def run(self) -> None:
        begin = perf_counter()
        process = subprocess.Popen(list(map(str, self.command)), cwd=HERE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        told = json.loads(printed or "{}")
        self.seconds.append(told.get("seconds", perf_counter() - begin))
        self.cpu.append(told.get("cpu_seconds", used.ru_utime + used.ru_stime))
        if self.seconds[-1] == min(self.seconds):
            self.steps = told.get("steps")

    def figures(self) -> dict:
        return {
            "name": self.name, "rows": self.rows, "seconds": self.seconds, "cpu_seconds": self.cpu,
            "rows_per_second": self.rows / min(self.seconds), "rows_per_cpu_second": self.rows / min(self.cpu),
            **({"steps": self.steps} if self.steps else {}),
        }


def main() -> None:
    options = arguments()
    report = json.loads(options.out.read_text()) if options.out.exists() else {}
    report["machine"] = machine() | {name: version(name) for name in ("pandas", "fastapi", "uvicorn", "asyncpg")}
    del report["machine"]["threads_used"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may be another user
        program = folder / "millrace"
        subprocess.run(["go", "build", "-trimpath", "-o", program, "."], cwd=ROOT, check=True,
                       env=os.environ | {"CGO_ENABLED": "0"})
        if options.only != "service":
            report["files"] = files(program, folder, options)
        if options.only != "files":
            report["service"] = services.measure(program, BUNDLE, folder, lambda n: customers(n), options)
    options.out.write_text(json.dumps(report, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="file for the JSON; what is not measured stays as it is")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the file that is scored")
    parser.add_argument("--explained", type=int, default=20_000, help="rows that Python explains; it is slow")
    parser.add_argument("--uploads", type=int, nargs="+", default=[10_000, 100_000], help="rows of an upload")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["files", "service"])
    return parser.parse_args()


def customers(rows: int) -> bytes:
    """The sample's customers, each time under new ids, until there are so many."""
    header, *lines = SAMPLE.read_bytes().splitlines(keepends=True)
    cells = [line.split(b",", 1) for line in lines]
    made = (b"%s-%d,%s" % (*cells[i % len(cells)][:1], i // len(cells), cells[i % len(cells)][1]) for i in range(rows))
    return header + b"".join(made)


def files(program: Path, folder: Path, options: argparse.Namespace) -> dict:
    source, few, matrix = folder / "customers.csv", folder / "few.csv", folder / "matrix.csv"
    source.write_bytes(customers(options.rows))
    few.write_bytes(customers(options.explained))
    scorer = Scorer(BUNDLE)
    write_matrix(scorer, source, matrix)
    ours = [program, "score", "--model", BUNDLE, source, "--out"]
    stack = [sys.executable, "python_stack.py", BUNDLE]
    rows = options.rows
    ways = [Way(name, count, command, [], []) for name, count, command in [
        ("millrace", rows, [*ours, folder / "none.csv", "--explain", "none"]),
        ("LightGBM predict for file", rows,
         [sys.executable, "lightgbm_file.py", BUNDLE / "model.txt", matrix, folder / "lightgbm.txt"]),
        ("pandas + LightGBM", rows, [*stack, source, folder / "pandas.csv"]),
        ("millrace, all explained", rows, [*ours, folder / "all.csv", "--explain", "all"]),
        ("pandas + LightGBM, all explained", options.explained, [*stack, few, folder / "few_scored.csv", "--explain"]),
    ]]
    for _ in range(options.rounds):
        for way in ways:
            way.run()
    difference = compare(folder, options.explained)
    result = {"bytes": source.stat().st_size, "largest_difference": difference, "ways": [w.figures() for w in ways]}
    return result | {"ratios": ratios(ways)}


def write_matrix(scorer: Scorer, source: Path, matrix: Path) -> None:
    """LightGBM's own reader takes numbers only: it is given them, and what this costs is not counted."""
    cells = pd.DataFrame(scorer.matrix(scorer.read(source)), columns=scorer.names)
    whole = [name for name in scorer.names if name in scorer.types or name == "tenure"]
    cells[whole] = cells[whole].astype("Int64")
    cells.to_csv(matrix, index=False, na_rep="nan")


def compare(folder: Path, explained: int) -> float:
    """The largest difference between the probabilities of any two ways."""
    read: Callable[[str], np.ndarray] = lambda name: pd.read_csv(  # noqa: E731
        folder / name, usecols=["churn_probability"])["churn_probability"].to_numpy()
    truth = read("pandas.csv")
    others = [read("none.csv"), read("all.csv"), np.loadtxt(folder / "lightgbm.txt")]
    few = read("few_scored.csv") - truth[:explained]
    largest = max(np.max(np.abs(few)), *(np.max(np.abs(o - truth)) for o in others))
    if largest > TOLERANCE:
        raise ValueError(f"probabilities differ by {largest}")
    return float(largest)


def ratios(ways: list[Way]) -> dict[str, dict[str, float]]:
    """How many times as long the others take for a row."""
    none, file, script, explained, explaining = ways
    return {
        "pandas + LightGBM / millrace": ratio(script, none),
        "LightGBM predict for file / millrace": ratio(file, none),
        "pandas + LightGBM, all explained / millrace": per_row(explaining, explained),
    }


def per_row(script: Way, ours: Way) -> dict[str, float]:
    """Of a script that was given fewer rows. Starting Python is no part of explaining more of them: it is left out."""
    work = [step for name, step in script.steps.items() if name != "load"]
    wall, cpu = (sum(step[clock] for step in work) / script.rows for clock in ("wall", "cpu"))
    return {
        "wall": wall / (min(ours.seconds) / ours.rows), "cpu": cpu / (min(ours.cpu) / ours.rows),
        "rows_explained_by_the_script": script.rows, "its_seconds_per_million_rows": wall * 1e6,
    }


def ratio(above: Way, below: Way) -> dict[str, float]:
    rounds = [a / b for a, b in zip(above.seconds, below.seconds, strict=True)]
    return {
        "wall": min(above.seconds) / min(below.seconds), "wall_median": statistics.median(rounds),
        "cpu": min(above.cpu) / min(below.cpu),
    }


if __name__ == "__main__":
    main()
