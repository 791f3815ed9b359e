"""millrace and the Python service on one PostgreSQL server, each with a database of its own, in turns."""

import argparse
import contextlib
import http.client
import io
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncio
import asyncpg
import numpy as np
import pandas as pd

import private_postgres

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-6  # of probabilities: both keep float32
HOST = "127.0.0.1"
PATIENCE = 1800  # seconds


@dataclass(frozen=True)
class Service:
    name: str
    port: int
    database: str
    headers: dict[str, str]

    def upload(self, body: bytes, explain: str) -> tuple[float, dict]:
        """Seconds from the first byte sent to the answer that says completed, and the answer."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        begin = time.perf_counter()
        connection.request("POST", f"/upload?explain={explain}", body, self.headers | {"Content-Type": "text/csv"})
        answer = connection.getresponse()
        text = answer.read()
        seconds = time.perf_counter() - begin
        connection.close()
        prediction = json.loads(text)
        if prediction.get("status") != "completed":
            raise ValueError(f"{self.name}: {answer.status}: {text[:300]!r}")
        return seconds, prediction

    def get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        connection.request("GET", path, headers=self.headers)
        return connection.getresponse().read()


def measure(program: Path, bundle: Path, folder: Path, customers: Callable[[int], bytes],
            options: argparse.Namespace) -> list[dict]:
    results = []
    with tempfile.TemporaryDirectory(dir=folder) as name, contextlib.ExitStack() as stack:
        Path(name).chmod(0o755)
        place = Path(name) / "postgres"
        place.mkdir()
        databases = stack.enter_context(private_postgres.running(place, ["millrace", "python"]))
        ours = stack.enter_context(millrace(program, Path(name) / "files", databases["millrace"]))
        theirs = stack.enter_context(python(bundle, databases["python"]))
        for rows in options.uploads:
            body = customers(rows)
            for explain in ("none", "all"):
                results.append(contest(ours, theirs, body, rows, explain, options.rounds))
    return results


def contest(ours: Service, theirs: Service, body: bytes, rows: int, explain: str, rounds: int) -> dict:
    """Both warm up with an upload that is compared row by row."""
    largest = compare(ours, theirs, body, explain) if explain == "none" else None
    seconds = {service.name: [] for service in (ours, theirs)}
    for _ in range(rounds):
        for service in (ours, theirs):
            seconds[service.name].append(service.upload(body, explain)[0])
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "rows": rows, "explain": explain, "seconds": seconds, "median": medians,
        "ratio": medians[theirs.name] / medians[ours.name],
        "ratio_of_minima": min(seconds[theirs.name]) / min(seconds[ours.name]),
        **({"largest_difference": largest} if largest is not None else {}),
    }


def compare(ours: Service, theirs: Service, body: bytes, explain: str) -> float:
    """Both have stored the same customers with the same probabilities."""
    mine = ours.upload(body, explain)[1]["prediction_id"]
    scored = pd.read_csv(io.BytesIO(ours.get(f"/predictions/{mine}/download")), usecols=["customerID", "churn_probability"])
    stored = asyncio.run(fetch(theirs.database, theirs.upload(body, explain)[1]["id"]))
    if list(scored["customerID"]) != [row["customer_id"] for row in stored]:
        raise ValueError("the services have stored other customers")
    difference = scored["churn_probability"].to_numpy() - np.array([row["probability"] for row in stored])
    largest = float(np.max(np.abs(difference)))
    if largest > TOLERANCE:
        raise ValueError(f"probabilities differ by {largest}")
    return largest


async def fetch(database: str, upload: int) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database)
    try:
        return await connection.fetch(
            "SELECT customer_id, probability FROM upload_rows WHERE upload_id = $1 ORDER BY row_no", upload)
    finally:
        await connection.close()


@contextlib.contextmanager
def millrace(program: Path, files: Path, database: str) -> Iterator[Service]:
    """As a user would start it, without limits of rate and without known files that are sent through beside."""
    command = [program, "serve", "--listen", f"{HOST}:0", "--admin-listen", f"{HOST}:0", "--data-dir", files,
               "--rate-default=0", "--rate-upload=0", "--rate-score=0", "--rate-download=0", "--canary=off"]
    with started(command, {"DATABASE_URL": database}, subprocess.PIPE) as process:
        port = token = None
        while token is None and (line := process.stdout.readline().strip()) is not None:
            if process.poll() is not None:
                raise RuntimeError("millrace has ended")
            if line.startswith("API "):
                port = int(line.rsplit(":", 1)[1])
            if line.startswith("export MILLRACE_TOKEN=$(cat "):
                token = Path(line.partition("$(cat ")[2].removesuffix(")")).read_text().strip()
        yield Service("millrace", port, database, {"Authorization": f"Bearer {token}", "Prefer": "wait=60"})


@contextlib.contextmanager
def python(bundle: Path, database: str) -> Iterator[Service]:
    """One worker: uploads come one behind the other, and LightGBM takes all cores by itself."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "python_service:app", "--host", HOST, "--port", port,
               "--log-level", "warning"]
    with started(command, {"DATABASE_URL": database, "BUNDLE": str(bundle)}, None) as process:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError("uvicorn has ended")
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                break
            time.sleep(0.1)
        yield Service("Python", port, database, {})


@contextlib.contextmanager
def started(command: list, environment: dict[str, str], out: int | None) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(list(map(str, command)), cwd=HERE, env=os.environ | environment, stdout=out,
                               stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
