"""The millrace program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import ProgramError


def program() -> str:
    """Returns the path of millrace: MILLRACE_PROGRAM, that of the wheel (the slim one), or the one on PATH."""
    named = os.environ.get("MILLRACE_PROGRAM")
    if named:
        return named
    packed = Path(__file__).parent / "bin" / ("millrace.exe" if os.name == "nt" else "millrace")
    if packed.exists():
        return str(packed)
    found = shutil.which("millrace")
    if found:
        return found
    raise FileNotFoundError("millrace is neither in this package nor on PATH: set MILLRACE_PROGRAM to its path")


def run(arguments: Sequence[str], *, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Runs millrace and raises a ProgramError with its message, code and details if it fails."""
    done = subprocess.run([program(), "--errors", "json", *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise _error(done.stderr.decode("utf-8", "replace"), done.returncode)
    return done


def _error(messages: str, status: int) -> ProgramError:
    for line in reversed(messages.splitlines()):
        if line.startswith('{"error":'):
            error = json.loads(line)["error"]
            return ProgramError(error["message"], error.get("code", ""), error.get("details"))
    return ProgramError(messages.strip() or f"millrace ended with status {status}")
