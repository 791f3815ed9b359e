"""The client with a server of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import millrace

from server import serving

HEADER = "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[millrace.Client]:
    with serving(tmp_path_factory.mktemp("data")) as (url, token):
        yield millrace.Client(url, token)


def test_upload_wait_download(client: millrace.Client, tmp_path: Path) -> None:
    rows = HEADER + "".join(f"c{i},{i % 70},{20 + i % 90},{i * 10},Month-to-month\n" for i in range(500))
    sent = client.upload(rows.encode(), name="mine.csv", model="telecom")
    done = client.wait(sent)
    assert done.done and done.status == "completed"
    client.download(done, tmp_path / "scored.csv")
    lines = (tmp_path / "scored.csv").read_text().splitlines()
    assert len(lines) == 501 and "churn_probability" in lines[0]
    assert [p.id for p in client.predictions()] == [done.id]


def test_error_has_its_code(client: millrace.Client) -> None:
    with pytest.raises(millrace.MillraceError) as e:
        client.upload(b"a,b\n1,2\n", name="mine.csv", model="telecom")
    assert e.value.code == "ERR-1004" and e.value.status == 400
    with pytest.raises(millrace.MillraceError):
        client.get("no-such-prediction")


def test_server_that_is_gone_is_tried_again_and_then_an_error() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    begin = time.monotonic()
    with pytest.raises(OSError):
        millrace.Client(f"http://127.0.0.1:{port}", "key", retries=2).get("x")
    assert time.monotonic() - begin > 0.2
