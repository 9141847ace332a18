"""The floor of the service's benchmarks: the barest FastAPI handlers over asyncpg, on the same server and settings."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
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


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["FLOOR_PORT"]), log_config=None, access_log=False)
