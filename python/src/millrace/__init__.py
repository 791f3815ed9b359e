"""Millrace from Python: make a bundle of a trained model, score tables, talk to a server.

    import millrace
    millrace.save(model, X, y, path="churn")           # a bundle: no Python is needed to score with it
    scored = millrace.score(table, "churn")            # a data frame with probability, band and reasons
    client = millrace.Client("https://host", "mr_...") # upload, wait, download
"""

from .client import Client, MillraceError, Prediction
from .errors import NotSupported, ProgramError, RejectedRow, ScoreError
from .saving import Saved, save
from .scoring import score

__all__ = [
    "Client",
    "MillraceError",
    "NotSupported",
    "Prediction",
    "ProgramError",
    "RejectedRow",
    "Saved",
    "ScoreError",
    "save",
    "score",
]
