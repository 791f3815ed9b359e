"""A server of the real program, with a private PostgreSQL."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from millrace.program import program

NO_POSTGRESQL = 69  # millrace's exit status
BUILT = Path(__file__).parents[2] / "bin" / "millrace"  # the wheel's program has no server


@contextmanager
def serving(data: Path, *flags: str) -> Iterator[tuple[str, str]]:
    """Starts a server and gives its address and a token; skips the test where there is no PostgreSQL."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [str(BUILT) if BUILT.exists() else program(), "serve", "--data-dir", str(data), *flags]
    server = subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}", "--admin-listen", "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 120
        while not _ready(url):
            if server.poll() == NO_POSTGRESQL:
                pytest.skip("no PostgreSQL on this machine")
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"no server: status {server.poll()}")
            time.sleep(0.2)
        yield url, (data / "development-token").read_text().strip()
    finally:
        server.terminate()
        server.wait(30)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/ready", timeout=2) as r:
            return bool(r.status == 200)
    except OSError:
        return False
