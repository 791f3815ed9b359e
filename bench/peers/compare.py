"""Scoring throughput of LightGBM, XGBoost, lleaves, tl2cgen, ONNX Runtime, oneDAL, YDF, leaves and millrace: one model
(YDF: one as large), the same rows, one thread.

    pip install -r requirements.txt && python compare.py ../results/peers.json

Writes JSON: nanoseconds per row and per row and tree (fastest and median round), rows per second (median), and how far
each engine's raw scores are from those of the library that trained the model. The same for contributions (SHAP) of
fewer rows, and those of deep trees, of paths up to 14 tests: `--only-deep` measures just these and keeps the rest of the
file. Times are CPU time of the call alone, so that other work on the machine takes little from them: the rows are
in memory in the form that the engine takes, and the model is loaded, compiled and warm.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lightgbm
import numpy as np
import xgboost

import converted
import workload

HERE = Path(__file__).resolve().parent
DEEP = {"trees": 100, "leaves": 255, "depth": 14}
PEERS = [
    "lightgbm", "xgboost", "lleaves", "llvmlite", "treelite", "tl2cgen", "onnxruntime", "onnxmltools", "scikit-learn-intelex",
    "ydf",
]
# How raw scores are had from what an engine gives, after its time was taken.
RAW = {name: converted.log_odds for name in ("ONNX Runtime", "oneDAL")}

Score = Callable[[np.ndarray], np.ndarray]
Timed = tuple[str, list[float], np.ndarray]  # an engine, its seconds per round, its raw scores


def main() -> None:
    options = arguments()
    report = json.loads(options.out.read_text()) if options.only_deep else shallow(options)
    report["deep"] = deep(options)
    options.out.write_text(json.dumps(report, indent=1) + "\n")


def shallow(options: argparse.Namespace) -> dict:
    """Scores and contributions of trees as they are trained for tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = workload.make(folder, options.trees, options.leaves, options.rows)
        results = [
            *measure(work.lightgbm_model, lightgbm_peers(work, folder, options.skip_compiled), work.rows, options),
            *measure(work.xgboost_model, xgboost_peers(work), work.rows, options),
            *own_trees("YDF", converted.ydf(options.trees, options.leaves), work.rows, options),
        ]
        explained = contributions(work, options)
    how = {name: value for name, value in vars(options).items() if name not in ("out", "only_deep")}
    return {"machine": machine(), "options": how, "scores": results, "contributions": explained}


def deep(options: argparse.Namespace) -> dict:
    """Contributions alone: what deep trees cost."""
    with tempfile.TemporaryDirectory() as name:
        work = workload.make(Path(name), DEEP["trees"], DEEP["leaves"], options.explained, DEEP["depth"])
        explained = contributions(work, argparse.Namespace(**vars(options) | DEEP))
    how = DEEP | {"explained": options.explained, "rounds": options.rounds}
    return {"machine": machine(), "options": how, "contributions": explained}


def contributions(work: workload.Workload, options: argparse.Namespace) -> list[dict]:
    few = {"realistic": work.rows["realistic"][: options.explained]}
    return [
        *measure(work.lightgbm_model, lightgbm_contributions(work), few, options, contributions=True),
        *measure(work.xgboost_model, xgboost_contributions(work), few, options, contributions=True),
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="file for the JSON")
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--rows", type=int, default=16_384)
    parser.add_argument("--explained", type=int, default=512, help="rows to compute contributions for")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--skip-compiled", action="store_true", help="leave out lleaves and tl2cgen, slow to compile")
    parser.add_argument("--only-deep", action="store_true", help="measure the deep trees; keep what else is in the file")
    return parser.parse_args()


def lightgbm_peers(work: workload.Workload, folder: Path, skip_compiled: bool) -> dict[str, Score]:
    booster = lightgbm.Booster(model_file=work.lightgbm_model)
    peers: dict[str, Score] = {
        "LightGBM": lambda rows: booster.predict(rows, raw_score=True, num_threads=1),
        "ONNX Runtime": converted.onnx_runtime(booster), "oneDAL": converted.onedal(booster)[0],
    }
    return peers if skip_compiled else peers | compiled_peers(work, folder)


def compiled_peers(work: workload.Workload, folder: Path) -> dict[str, Score]:
    """Those that make machine code of the trees."""
    import lleaves
    import tl2cgen
    import treelite

    compiled = lleaves.Model(model_file=str(work.lightgbm_model))
    compiled.compile(raw_score=True)
    library = folder / "tl2cgen.so"
    model = treelite.frontend.load_lightgbm_model(str(work.lightgbm_model))
    tl2cgen.export_lib(model, toolchain="gcc", libpath=library, params={"parallel_comp": 8})
    predictor = tl2cgen.Predictor(library, nthread=1)
    return {
        "lleaves": lambda rows: compiled.predict(rows, n_jobs=1),
        "tl2cgen": lambda rows: predictor.predict(tl2cgen.DMatrix(rows), pred_margin=True).reshape(-1),
    }


def xgboost_peers(work: workload.Workload) -> dict[str, Score]:
    booster = xgboost.Booster(model_file=work.xgboost_model)
    booster.set_param({"nthread": 1})
    return {
        "XGBoost": lambda rows: booster.inplace_predict(rows, predict_type="margin"),
        "ONNX Runtime": converted.onnx_runtime(booster), "oneDAL": converted.onedal(booster)[0],
    }


def lightgbm_contributions(work: workload.Workload) -> dict[str, Score]:
    booster = lightgbm.Booster(model_file=work.lightgbm_model)
    return {
        "LightGBM": lambda rows: booster.predict(rows, pred_contrib=True, num_threads=1),
        "oneDAL": converted.onedal(booster)[1],
    }


def xgboost_contributions(work: workload.Workload) -> dict[str, Score]:
    booster = xgboost.Booster(model_file=work.xgboost_model)
    booster.set_param({"nthread": 1})
    return {
        "XGBoost": lambda rows: booster.predict(xgboost.DMatrix(rows, nthread=1), pred_contribs=True),
        "oneDAL": converted.onedal(booster)[1],
    }


def measure(model: Path, peers: dict[str, Score], kinds: dict[str, np.ndarray], options: argparse.Namespace,
            contributions: bool = False) -> list[dict]:
    """Times every peer on every kind of rows. The first peer is the library itself: the others are compared with it."""
    results = []
    for kind, rows in kinds.items():
        measured = [(name, *timed(score, rows, options.rounds, RAW.get(name))) for name, score in peers.items()]
        measured += go_engines(model, rows, options.rounds, contributions)
        truth = measured[0][2]
        results += [
            {"model": model.name, "engine": name, "rows": kind} | figures(seconds, raw, truth, options.trees)
            for name, seconds, raw in measured
        ]
    return results


def own_trees(name: str, score: Score, kinds: dict[str, np.ndarray], options: argparse.Namespace) -> list[dict]:
    """Of an engine that scores trees that no other can: only its time means something."""
    results = []
    for kind, rows in kinds.items():
        seconds, raw = timed(score, rows, options.rounds)
        result = {"model": "its own", "engine": name, "rows": kind} | figures(seconds, raw, raw, options.trees)
        del result["rows_that_differ"], result["largest_difference"]
        results.append(result)
    return results


def timed(score: Score, rows: np.ndarray, rounds: int, to_raw: Score | None = None) -> tuple[list[float], np.ndarray]:
    raw = score(rows)
    if to_raw:
        raw = to_raw(raw)
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        score(rows)
        seconds.append(time.process_time() - start)
    return seconds, np.asarray(raw, dtype=np.float64).reshape(len(rows), -1)


def go_engines(model: Path, rows: np.ndarray, rounds: int, contributions: bool) -> list[Timed]:
    """Runs millrace's engines and leaves in one Go process, which reads the rows as columns of float64."""
    columns = model.with_suffix(".columns")
    columns.write_bytes(np.ascontiguousarray(rows.T).tobytes())
    command = ["go", "run", "./engines", "-model", model, "-columns", columns, "-rows", str(len(rows))]
    command += ["-rounds", str(rounds), f"-contributions={contributions}".lower()]
    answer = subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE, env=os.environ | {"GOMAXPROCS": "1"})
    engines = json.loads(answer.stdout)
    return [(e["name"], e["seconds"], np.array(e["raw"]).reshape(len(rows), -1)) for e in engines]


def figures(seconds: list[float], raw: np.ndarray, truth: np.ndarray, trees: int) -> dict:
    rows, median = len(raw), statistics.median(seconds)
    return {
        "ns_per_row_min": round(min(seconds) / rows * 1e9, 1),
        "ns_per_row_median": round(median / rows * 1e9, 1),
        "ns_per_row_and_tree_median": round(median / rows / trees * 1e9, 3),
        "rows_per_second": round(rows / median),
        "rows_that_differ": int(np.count_nonzero(np.any(raw != truth, axis=1))),
        "largest_difference": difference(raw, truth),
    }


def difference(raw: np.ndarray, truth: np.ndarray) -> float | None:
    """None if some are no numbers."""
    largest = float(np.max(np.abs(raw - truth)))
    return largest if np.isfinite(largest) else None


def machine() -> dict:
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    go = subprocess.run(["go", "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout.strip()
    return {
        "cpu": model or platform.processor(), "cores": os.cpu_count(), "threads_used": 1,
        "go": go, "python": platform.python_version(), **versions(),
    }


def versions() -> dict[str, str]:
    """Of the peers that are installed: those that compile need not be."""
    found = {}
    for name in PEERS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


if __name__ == "__main__":
    main()
