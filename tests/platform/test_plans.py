"""With millions of responses stored no request reads a table from end to end, nor most of an index.

What the server counted is what is held against this, so functions of the database are seen into as well, and the plans
are those of the real statements with their real settings.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from api.app import create_app
from api.db import Database
from api.organisations.repository import ensure_organisation
from api.settings import Settings
from tests.audit.test_walk import Walked, ask, body, role_with
from tests.conftest import Urls
from tests.platform.big import SHARES, fill
from tests.web.service import service_of
from tests.web.test_contract import PROTECTED, things

RESPONSES: Final = int(os.environ.get("FATHOMLINE_TEST_RESPONSES", "5000000"))
LARGE: Final = 10_000
"""Rows from which on a table is held to this: the others are read from end to end for good reason."""
MOST_READ: Final = 3_000
"""Rows and entries of indexes of one large table that a request may read: a page, and the series of a client."""
READS_MANY: Final[dict[str, str]] = {
    "eraseClient": "finds keys and deliveries by the response; rare, and indexes for it would slow each recording",
    "exportOrganisation": "reads all that there is",
    "readAggregates": "groups all scores of an instrument",
    "readOutcomes": "pairs the first and last score of every ended episode",
}
"""Operations whose answer is made of most of a table, and why."""

COUNTED: Final = """
select relname, seq_scan, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
  + (select coalesce(sum(idx_tup_read), 0)::bigint from pg_stat_user_indexes i where i.relid = t.relid) as rows
from pg_stat_user_tables t where schemaname = 'public' and n_live_tup > $1
"""
LEAVE: Final = """
select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity
where usename = 'fathomline_service' and datname = current_database()
"""
"""A server process gives its counts away when it leaves."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
Counts = dict[str, tuple[int, int]]


@pytest.fixture
async def app(fresh_database: Urls, settings: Settings) -> AsyncIterator[FastAPI]:
    """The application on a database of its own."""
    urls = {"database_url": SecretStr(fresh_database.service), "database_owner_url": SecretStr(fresh_database.owner)}
    made = create_app(settings.model_copy(update=urls))
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def superuser(fresh_database: Urls) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(fresh_database.superuser)
    yield connection
    await connection.close()


async def counted(database: Database, superuser: asyncpg.Connection) -> Counts:
    """How often each large table was read from end to end, and how many rows and entries of it were read."""
    await database.engine.dispose()
    await superuser.fetchval(LEAVE)
    return {row[0]: (row[1], row[2]) for row in await superuser.fetch(COUNTED, LARGE)}


async def test_no_request_reads_a_large_table_from_end_to_end(
    app: FastAPI, settings: Settings, fresh_database: Urls, superuser: asyncpg.Connection
) -> None:
    service = await service_of(app, settings)
    made: dict[uuid.UUID, Walked] = {}
    for slug in (f"plans-{uuid.uuid4().hex}" for _ in SHARES):
        async with app.state.database.pool.acquire() as connection:
            organisation_id = await ensure_organisation(connection, slug, slug)
        made[organisation_id] = Walked(service, slug, organisation_id, await things(service, slug))
    await fill(fresh_database.superuser, {one: there.ids for one, there in made.items()}, RESPONSES)
    there = next(iter(made.values()))

    before = await counted(app.state.database, superuser)
    assert {"client", "response", "score", "audit_event", "outbox", "idempotency_key", "alert"} <= before.keys()
    async with app.state.database.session(there.organisation_id) as session:
        await (await session.connection()).execute(text("select count(*) from response where recorded_by = 'nobody'"))
    after = await counted(app.state.database, superuser)
    assert after["response"][0] > before["response"][0], "what is looked for is counted, once by each process"

    faults, done = [], 0
    for operation in sorted(PROTECTED, key=lambda one: one.method == "delete"):
        before = after
        answer, _ = await ask(there, operation, there.ids, role_with(operation), **await body(there, operation))
        done += answer.is_success
        after = await counted(app.state.database, superuser)
        for table, (scans, rows) in after.items():
            whole, read = scans - before[table][0], rows - before[table][1]
            if operation.id not in READS_MANY and (whole or read > MOST_READ):
                faults.append(f"{operation.id} ({answer.status_code}): {table} {whole} times whole, {read} rows read")
    assert not faults, "\n".join(faults)
    assert done > len(PROTECTED) / 2, "most were carried out, and not refused"
