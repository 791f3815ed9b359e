"""The table of what was compared, for docs/python.md: written if MILLRACE_TABLE names a file."""

from __future__ import annotations

import os

import pytest

FOUND: dict[tuple[str, str], str] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = os.environ.get("MILLRACE_TABLE")
    if not path or not FOUND:
        return
    steps = list(dict.fromkeys(s for _, s in FOUND))
    kinds = list(dict.fromkeys(k for k, _ in FOUND))
    lines = ["| steps before the model | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for step in steps:
        lines.append(f"| {step} | " + " | ".join(FOUND.get((kind, step), "") for kind in kinds) + " |")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
