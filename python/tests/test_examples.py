"""The notebooks of examples/, run as they are, with a server where they ask for one."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from notebooks import code_cells, read, run, write
from server import serving

EXAMPLES = Path(__file__).parents[1] / "examples"
TESTDATA = Path(__file__).parents[2] / "testdata"


@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.glob("*.ipynb")))
def test_notebook(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cell runs, and prints what the file keeps of it, but for figures. MILLRACE_NOTEBOOKS=write keeps what it prints now."""
    folder = tmp_path / "python" / "examples"
    folder.mkdir(parents=True)
    (tmp_path / "testdata").symlink_to(TESTDATA)
    monkeypatch.chdir(folder)
    kept, notebook = read(EXAMPLES / name), read(EXAMPLES / name)
    with ExitStack() as stack:

        def before(source: str) -> None:
            if "millrace.Client(" in source:
                url, token = stack.enter_context(serving(tmp_path_factory.mktemp("data"), "--bundles", "models"))
                monkeypatch.setenv("MILLRACE_URL", url)
                monkeypatch.setenv("MILLRACE_TOKEN", token)

        run(notebook, before)
    if os.environ.get("MILLRACE_NOTEBOOKS") == "write":
        write(EXAMPLES / name, notebook)
        return
    printed = [_words(cell) for cell in code_cells(notebook)]
    assert sum(map(len, printed)) > 10
    assert printed == [_words(cell) for cell in code_cells(kept)]


def _words(cell: dict[str, list[dict[str, object]]]) -> list[str]:
    """Returns what does not depend on the libraries' versions: the kinds of a cell's outputs and, of those that compare, the words."""
    found: list[str] = []
    for output in cell["outputs"]:
        found.append(str(output["output_type"]))
        for line in output.get("text", []):
            if "to the last bit" in line or line.startswith(("verified", "completed")):
                found += [word for word in line.split() if word.isalpha()]
    return found
