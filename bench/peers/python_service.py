"""The service that millrace stands in for: FastAPI takes a file, pandas and LightGBM score it, asyncpg stores the rows.

    DATABASE_URL=… BUNDLE=… uvicorn python_service:app

`POST /upload?explain=all|none` with the CSV as its body is answered when the rows are committed. The upload itself is not
kept: a service that dies has lost it. There are no users, no limits, no rejected rows and no result file.
"""

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
from fastapi import FastAPI, Request

from python_stack import Scorer

TABLES = """
CREATE TABLE IF NOT EXISTS uploads (id bigserial PRIMARY KEY, status text NOT NULL, rows int);
CREATE TABLE IF NOT EXISTS upload_rows (
    upload_id bigint NOT NULL, row_no int NOT NULL, customer_id text, probability real, risk_band smallint, reasons text,
    PRIMARY KEY (upload_id, row_no))
"""
COLUMNS = ["upload_id", "row_no", "customer_id", "probability", "risk_band", "reasons"]


@contextlib.asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[None]:
    app.state.scorer = Scorer(Path(os.environ["BUNDLE"]))
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=4) as pool:
        await pool.execute(TABLES)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=opened)


@app.post("/upload")
async def upload(request: Request, explain: str = "all") -> dict:
    """The work is done on a thread, so that the service goes on answering others."""
    body = await request.body()
    pool: asyncpg.Pool = app.state.pool
    upload_id = await pool.fetchval("INSERT INTO uploads (status) VALUES ('running') RETURNING id")
    records = await asyncio.to_thread(score, app.state.scorer, body, upload_id, explain == "all")
    async with pool.acquire() as connection, connection.transaction():
        await connection.copy_records_to_table("upload_rows", records=records, columns=COLUMNS)
        await connection.execute(
            "UPDATE uploads SET status = 'completed', rows = $2 WHERE id = $1", upload_id, len(records))
    return {"id": upload_id, "status": "completed", "rows": len(records)}


def score(scorer: Scorer, body: bytes, upload_id: int, explain: bool) -> list[tuple]:
    cells = scorer.read(io.BytesIO(body))
    matrix = scorer.matrix(cells)
    probabilities = scorer.probabilities(matrix)
    bands = scorer.band(probabilities).tolist()
    reasons = scorer.reasons(matrix) if explain else [None] * len(cells)
    numbers = range(1, len(cells) + 1)
    ids = [upload_id] * len(cells)
    return list(zip(ids, numbers, cells[scorer.id].tolist(), probabilities.tolist(), bands, reasons, strict=True))
