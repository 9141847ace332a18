"""The floor of the service's benchmarks: the barest FastAPI handlers over asyncpg, on the same server and settings."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One pool, as large as the service's."""
    async with asyncpg.create_pool(os.environ["FLOOR_DATABASE_URL"], min_size=1, max_size=10) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)


@app.post("/rows")
async def insert(request: Request) -> Response:
    """Insert the body as one row, durably: nothing read, nothing checked."""
    body = await request.body()
    await request.app.state.pool.execute(
        "insert into floor_row (id, body) values ($1, $2)", uuid.uuid4(), body.decode()
    )
    return Response(b"{}", status_code=201, media_type="application/json")


@app.get("/due")
async def select(request: Request, limit: int) -> Response:
    """Select rows of slots by an index, in its order: nobody asked who, nothing matched, nothing kept of it."""
    rows = await request.app.state.pool.fetch(_SLOTS, limit)
    return Response(orjson.dumps([dict(row) for row in rows]), media_type="application/json")


@app.get("/scores")
async def scores(request: Request, client: str, scale: str | None = None) -> Response:
    """Select a client's scores by an index: nobody asked who, nothing judged, nothing kept of it."""
    rows = await request.app.state.pool.fetch(_SCORES, client, scale)
    return Response(orjson.dumps([dict(row) for row in rows]), media_type="application/json")


@app.get("/bytes")
async def constant(size: int) -> Response:
    """So many bytes as a picture: nobody asked who, nothing read, nothing drawn, nothing kept of it."""
    return Response(b"x" * size, media_type="image/svg+xml")


_SCORES = """
select r.instrument, s.scale, r.answered_at, r.recorded_at, r.id::text, r.instrument_version, r.variant, s.value,
       s.status, s.valid
from response r join score s on s.organisation_id = r.organisation_id and s.response_id = r.id
where r.client_id = $1 and ($2::text is null or s.scale = $2) order by s.scale, r.answered_at
"""
_SLOTS = """
select id::text, client_id::text, episode_id::text, episode_protocol_id::text, clinician, entry, occurrence, instrument,
       instrument_version, variant, opens_on, due_on, overdue_on, closes_on, last_on
from protocol_slot where last_on >= current_date and not cancelled and not answered and organisation_id =
(select organisation_id from organisation where slug = 'bench') order by last_on, id limit $1
"""


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["FLOOR_PORT"]), log_config=None, access_log=False)
