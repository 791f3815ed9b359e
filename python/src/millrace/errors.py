"""What cannot be carried into a bundle, and what cannot be scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class NotSupported(ValueError):
    """A model, or a step before it, that a bundle cannot hold. Nothing has been written."""


class ProgramError(RuntimeError):
    """An error of the millrace program. code is a published one, or empty."""

    def __init__(self, message: str, code: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.message, self.code, self.details = message, code, details or {}


@dataclass(frozen=True)
class RejectedRow:
    """A row that cannot be scored."""

    row: int  # its position in the table, from 0
    code: str  # "ERR-1602"; millrace explain says more
    column: str | None  # None: the whole row
    reason: str


class ScoreError(ValueError):
    """A table that cannot be scored: as a whole, such as one without a column that the model needs, or in some of its rows.

    code is the published code, or empty; column the first column and row the first row that it is about, or None. rows has
    every row that cannot be scored; columns every column that is missing.
    """

    def __init__(
        self, message: str, code: str = "", *, rows: list[RejectedRow] | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.message, self.code, self.details, self.rows = message, code, details or {}, rows or []
        self.columns: list[str] = [c["column"] for c in self.details.get("columns", []) if isinstance(c, dict)]
        self.row: int | None = self.rows[0].row if self.rows else None
        self.column: str | None = self.details.get("column") or (self.columns[0] if self.columns else None)
        if self.rows:
            self.column = self.rows[0].column
