"""The database inside a job: connections of the worker's pool, and transactions within one organisation."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector

from api.db import ORGANISATION_SETTING


def connector_of(app: App) -> PsycopgConnector:
    """The connector of a worker's application, with its pool."""
    connector = app.connector
    if not isinstance(connector, PsycopgConnector):
        raise TypeError("jobs need the connector that `api.jobs.application` makes")
    return connector


@asynccontextmanager
async def within(app: App, organisation_id: uuid.UUID) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
    """A transaction within one organisation: commits at the end, rolls back on an error."""
    async with connector_of(app).pool.connection() as connection, connection.transaction():
        await connection.execute("select set_config(%s, %s, true)", (ORGANISATION_SETTING, str(organisation_id)))
        yield connection


async def organisations(app: App) -> list[uuid.UUID]:
    """The ids of all organisations: all that a worker learns beyond the one that it works for."""
    async with connector_of(app).pool.connection() as connection:
        cursor = await connection.execute("select * from organisation_ids()")
        return [row[0] for row in await cursor.fetchall()]
