"""A client of a millrace server, made of the standard library alone."""

from __future__ import annotations

import json
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

_RETRIED = (408, 425, 429, 500, 502, 503, 504)


class MillraceError(RuntimeError):
    """An answer that is an error: its code leads to a page of the server that says what to do."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any]) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.status, self.code, self.details = status, code, details


@dataclass(frozen=True)
class Prediction:
    """An upload and what became of it."""

    id: str
    status: str  # queued, running, completed, failed, dead or cancelled
    answer: dict[str, Any]  # as the server gives it

    @property
    def done(self) -> bool:
        """Tells whether the status will not change any more."""
        return self.status in ("completed", "failed", "dead", "cancelled")


class Client:
    """Uploads files, waits for them and downloads results. Answers that say so are asked again, with pauses that grow."""

    def __init__(self, url: str, key: str, *, retries: int = 6, timeout: float = 60.0) -> None:
        self.url, self.retries, self.timeout = url.rstrip("/"), retries, timeout
        self._headers = {"Authorization": f"Bearer {key}"}

    def upload(self, file: str | os.PathLike[str] | bytes, *, name: str | None = None, **parameters: str) -> Prediction:
        """Uploads a CSV file (plain, gzip or zstd) and returns its prediction, which may still be waiting.

        parameters are those of POST /upload: model, dataset, explain and others. However often the upload is repeated,
        there is one prediction.
        """
        if isinstance(file, bytes):
            body, name = file, name or "upload.csv"
        else:
            name = name or os.path.basename(os.fspath(file))
            with open(file, "rb") as f:
                body = f.read()
        query = urllib.parse.urlencode({"filename": name, **parameters})
        headers = {"Content-Type": "text/csv", "Idempotency-Key": str(uuid.uuid4())}
        answer = self._json("POST", f"/upload?{query}", body, headers)
        return self.get(answer["prediction_id"])

    def get(self, id: str) -> Prediction:  # noqa: A002
        """Returns a prediction."""
        answer = self._json("GET", f"/predictions/{urllib.parse.quote(id)}")
        return Prediction(answer["id"], answer["status"], answer)

    def wait(self, prediction: Prediction | str, *, patience: float = 3600.0) -> Prediction:
        """Waits until a prediction is done. One that is not completed is a MillraceError."""
        wanted = prediction if isinstance(prediction, str) else prediction.id
        end, pause = time.monotonic() + patience, 0.2
        while True:
            now = self.get(wanted)
            if now.status == "completed":
                return now
            if now.done:
                reason = now.answer.get("error") or {}
                raise MillraceError(0, reason.get("code", ""), reason.get("message", f"the prediction is {now.status}"), reason.get("details", {}))
            if time.monotonic() > end:
                raise TimeoutError(f"prediction {wanted} is still {now.status} after {patience:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 5.0)

    def download(self, prediction: Prediction | str, to: str | os.PathLike[str]) -> None:
        """Downloads the scored CSV into a file, which appears when it is whole."""
        wanted = prediction if isinstance(prediction, str) else prediction.id
        part = f"{os.fspath(to)}.part"
        for attempt in range(self.retries + 1):
            try:
                with self._open("GET", f"/predictions/{urllib.parse.quote(wanted)}/download") as r, open(part, "wb") as f:
                    length = r.headers.get("Content-Length")
                    got = _copy(r, f)
                    if length is not None and got != int(length):
                        raise urllib.error.URLError("the answer was cut short")
                os.replace(part, to)
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if os.path.exists(part):
                    os.remove(part)
                if attempt == self.retries:
                    raise
                time.sleep(_pause(attempt, None))

    def predictions(self, **parameters: str) -> Iterator[Prediction]:
        """Lists the caller's predictions, the newest first."""
        query = dict(parameters)
        while True:
            page = self._json("GET", "/predictions?" + urllib.parse.urlencode(query))
            for p in page["predictions"]:
                yield Prediction(p["id"], p["status"], p)
            if not page.get("next_cursor"):
                return
            query["cursor"] = page["next_cursor"]

    def _json(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        with self._open(method, path, body, headers) as r:
            answer: dict[str, Any] = json.load(r)
            return answer

    def _open(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(self.url + path, data=body, method=method, headers={**self._headers, **(headers or {})})
        for attempt in range(self.retries + 1):
            try:
                return urllib.request.urlopen(request, timeout=self.timeout)
            except urllib.error.HTTPError as e:
                if e.code not in _RETRIED or attempt == self.retries:
                    raise _error_of(e) from None
                pause = _pause(attempt, e.headers.get("Retry-After"))
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if attempt == self.retries:
                    raise
                pause = _pause(attempt, None)
            time.sleep(pause)
        raise AssertionError("unreachable")


def _copy(source: IO[bytes], to: IO[bytes]) -> int:
    total = 0
    while block := source.read(1 << 20):
        to.write(block)
        total += len(block)
    return total


def _pause(attempt: int, retry_after: str | None) -> float:
    if retry_after is not None and retry_after.isdigit():
        return min(float(retry_after), 60.0)
    return float(min(0.2 * 2**attempt, 20.0) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def _error_of(e: urllib.error.HTTPError) -> MillraceError:
    try:
        error = json.load(e)["error"]
        return MillraceError(e.code, error["code"], error["message"], error.get("details", {}))
    except (ValueError, KeyError, TypeError):
        return MillraceError(e.code, "", f"HTTP status {e.code}", {})
