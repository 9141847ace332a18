"""A run, batch by batch. A batch is one transaction: its scores, what they changed, and how far the run has come.

So a run that is killed goes on where it was, with nothing twice and nothing left out, and any number of workers may be
at it: the row of the run is locked by the one that is. Over raw connections, in the service's jobs and on the command
line alike.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias, cast

import asyncpg

from api.db import confine
from api.ids import new_id
from api.rescoring import queries
from api.rescoring.batch import NewScores, Stored, rescore
from api.rescoring.report import Report
from instruments import Instrument, UnknownInstrument
from scoring.result import STATUSES

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Load = Callable[[str, int], Awaitable[Instrument]]
"""The definition of a code and version; :class:`UnknownInstrument` where there is none."""

WINDOW: Final = 4_000
"""Responses looked at in one transaction. It holds the scores of them until it commits."""
MOST_COUNTED: Final = 100_000
"""Responses among which those are counted that a run has left."""
OVERLAP: Final = timedelta(hours=1)
"""Before the beginning of a run, from where on is counted what it has left: an id may be older than its record."""
LONGEST: Final = 3_600.0
"""Seconds: to count what a run has before it, all responses of an organisation are looked at in one statement."""
FINISHED: Final = "rescoring.finished"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come. ``going`` is whether there is more to do."""

    state: str
    done: int
    total: int
    going: bool


async def step(
    pool: asyncpg.Pool[asyncpg.Record], organisation_id: uuid.UUID, run_id: uuid.UUID, load: Load
) -> Progress | None:
    """Do one batch of a run; None while somebody else is at it, or where there is no such run.

    Raises
    ------
    Exception
        Whatever went wrong, once the run is noted as failed; a lost connection alone leaves it as it was.
    """
    try:
        async with _within(pool, organisation_id) as connection:
            return await _step(connection, organisation_id, run_id, load)
    except Exception as error:
        if not isinstance(error, _PASSING) or isinstance(error, _LASTING):
            await _fail(pool, organisation_id, run_id, "internal-error")
        raise


_PASSING: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError)
"""What may be otherwise the next time: the database was away, or two got in each other's way."""
_LASTING: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SyntaxOrAccessError,
)
"""Of these, what would be the same again."""


async def _step(connection: Connection, organisation_id: uuid.UUID, run_id: uuid.UUID, load: Load) -> Progress | None:
    run = await connection.fetchrow(queries.RUN, organisation_id, run_id)
    if run is None:
        return None
    if run["state"] not in ("queued", "running"):
        return Progress(run["state"], run["done"], run["total"] or 0, going=False)
    try:
        recorded = await load(run["instrument"], run["from_version"])
        to = await load(run["instrument"], run["to_version"])
    except UnknownInstrument:
        return await _failed(connection, run, "definition-missing")
    if to.checksum != run["to_checksum"]:
        return await _failed(connection, run, "definition-changed")

    await _by_key(connection)
    scope = await _scope(connection, run, run["created_at"])
    total, started_at = run["total"], run["started_at"] or datetime.now(UTC)
    if total is None:
        await connection.execute("set local statement_timeout = 0")
        total = await connection.fetchval(
            queries.COUNT, *scope, run["cursor"] or queries.NIL, queries.LAST, timeout=LONGEST
        )
    cursor = run["cursor"] or queries.NIL
    last = await connection.fetchval(queries.WINDOW, organisation_id, cursor, WINDOW)
    if last is None:
        await _finish(connection, run, started_at)
        return Progress("done", run["done"], run["done"], going=False)
    if not run["dry_run"]:
        await connection.fetch(queries.HOLD, organisation_id, cursor, last, run["instrument"], run["variant"])
    stored = await _stored(connection, scope, cursor, last)
    report = Report.resumed(run["report"])
    if len(stored):
        made = await asyncio.to_thread(rescore, stored, recorded, to, report)
        if not run["dry_run"]:
            for scores in made:
                await _keep(connection, run, scores)
    done = run["done"] + len(stored)
    text = report.kept()
    await connection.execute(
        queries.PROGRESSED, organisation_id, run_id, "running", started_at, last, total, done, text
    )
    return Progress("running", done, max(done, total), going=True)


@asynccontextmanager
async def _within(pool: asyncpg.Pool[asyncpg.Record], organisation_id: uuid.UUID) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection, connection.transaction():
        await confine(connection, organisation_id)
        yield cast("Connection", connection)  # the pool's proxy, which does the same


async def _by_key(connection: Connection) -> None:
    """Let each row be looked up by its key: a plan made while a table was empty would read all of it."""
    for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
        await connection.execute(f"set local {setting} = off")


async def _scope(connection: Connection, run: asyncpg.Record, until: datetime) -> tuple[Any, ...]:
    """What `queries.SCORED_BY` asks for, up to the two ends of a window."""
    applied = await connection.fetch(queries.APPLIED, run["organisation_id"], run["instrument"])
    return (
        run["organisation_id"],
        run["instrument"],
        run["variant"],
        run["from_version"],
        run["from_checksum"],
        run["to_version"],
        run["to_checksum"],
        until,
        [row["id"] for row in applied],
        [row["to_version"] for row in applied],
        [row["to_checksum"] for row in applied],
    )


async def _stored(connection: Connection, scope: tuple[Any, ...], cursor: uuid.UUID, last: uuid.UUID) -> Stored:
    rows = await connection.fetch(queries.STORED, *scope, cursor, last)
    ids = [row[0] for row in rows]
    alerts = await connection.fetch(queries.ALERTS, scope[0], ids) if ids else []
    return Stored(
        ids,
        [row[1] for row in rows],
        [row[2] for row in rows],
        [(row[3], row[4], row[5], row[6]) for row in rows],
        frozenset((row[0], row[1]) for row in alerts),
    )


async def _keep(connection: Connection, run: asyncpg.Record, scores: NewScores) -> None:
    await connection.execute(
        queries.KEEP,
        run["organisation_id"],
        run["id"],
        scores.scale,
        scores.ids,
        scores.values,
        scores.statuses,
        scores.valid,
        list(STATUSES),
    )


async def _finish(connection: Connection, run: asyncpg.Record, started_at: datetime) -> None:
    """The run is done, and from this moment its scores count: all of them, or with a dry run none."""
    own, now = run["organisation_id"], datetime.now(UTC)
    text = run["report"] or Report().kept()
    await connection.execute(
        queries.PROGRESSED, own, run["id"], "done", started_at, run["cursor"], run["done"], run["done"], text
    )
    await connection.execute(queries.ENDED, own, run["id"], now)
    if not run["dry_run"]:
        await connection.execute(queries.APPLY, own, run["id"], now, run["requested_by"])
    await connection.execute(
        queries.EVENT,
        own,
        new_id(),
        now,
        run["requested_by"],
        "finish" if run["dry_run"] else "apply",
        run["id"],
        _trail(run),
    )
    await connection.execute(queries.MESSAGE, own, new_id(), FINISHED, run["id"], now)


async def _failed(connection: Connection, run: asyncpg.Record, why: str) -> Progress:
    await connection.execute(queries.FAILED, run["organisation_id"], run["id"], why, datetime.now(UTC))
    return Progress("failed", run["done"], run["total"] or 0, going=False)


async def _fail(pool: asyncpg.Pool[asyncpg.Record], organisation_id: uuid.UUID, run_id: uuid.UUID, why: str) -> None:
    async with _within(pool, organisation_id) as connection:
        await connection.execute(queries.FAILED, organisation_id, run_id, why, datetime.now(UTC))


def _trail(run: asyncpg.Record) -> str:
    """Under which request events of the run itself are in the audit trail."""
    return f"rescoring-{run['id']}"


async def remaining(
    pool: asyncpg.Pool[asyncpg.Record], organisation_id: uuid.UUID, run_id: uuid.UUID
) -> tuple[int, bool]:
    """How many responses a further run like it would score, of those made since; and whether all were counted."""
    async with _within(pool, organisation_id) as connection:
        run = await connection.fetchrow(
            "select * from rescoring where organisation_id = $1 and id = $2", organisation_id, run_id
        )
        since = (run["created_at"] - OVERLAP).timestamp()
        cursor = uuid.UUID(int=int(since * 1000) << 80)  # ids begin with milliseconds
        last = await connection.fetchval(queries.WINDOW, organisation_id, cursor, MOST_COUNTED)
        if last is None:
            return 0, True
        await _by_key(connection)
        scope = await _scope(connection, run, datetime.now(UTC))
        number: int = await connection.fetchval(queries.COUNT, *scope, cursor, last)
        return number, await connection.fetchval(queries.WINDOW, organisation_id, last, 1) is None
