"""The jobs of imports: one runs an import, in a process of its own; one removes what nobody will need any more.

Nothing is lost with a job: what waits is found in the tables, by `watch`, also what a killed worker was at.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg
from procrastinate import App, JobContext
from procrastinate.exceptions import AlreadyEnqueued

from api import logging
from api.job_database import connector_of, organisations, within
from api.settings import Settings

CONTEXT: Final = "imports"
RUN: Final = "run_import"
PURGE: Final = "purge_imports"
HOURLY: Final = "37 * * * *"
POLL: Final = 1.0
"""Seconds between two looks at whether anything waits."""
MOST_WAITING: Final = 16
AT_ONCE: Final = 2
"""Imports that a worker runs at once: each takes a processor."""
STALE_UPLOAD: Final = timedelta(hours=24)
"""After which an upload that does not go on is given up, and what came of it removed."""
KEPT_FAULTS: Final = timedelta(days=90)
ALIVE: Final = timedelta(seconds=30)
"""How old the last sign of life of a run may be; `imports_waiting` says the same."""
_TAKE: Final = """
update import_run set state = 'running', changed_at = clock_timestamp()
where organisation_id = %s and id = %s
  and (state = 'queued' or (state = 'running' and changed_at < clock_timestamp() - %s))
returning id
"""
_ABANDONED: Final = """
update import_run set state = 'failed', failure_code = 'upload-abandoned', key_wrapped = null,
  failure_detail = 'its file was never sent to the end', finished_at = now(), changed_at = now()
where state in ('uploading', 'queued', 'running') and changed_at < now() - %s and (state = 'uploading' or not spooled)
returning id
"""
_CHUNKS: Final = "delete from import_chunk where import_id = any(%s)"
_FAULTS: Final = """
delete from import_fault where import_id in (
  select id from import_run where finished_at < now() - %s and faults > 0 and finished_at > now() - %s)
"""


@dataclass(frozen=True, slots=True)
class Importing:
    """What a worker needs to run imports."""

    url: str
    settings: Settings
    at_once: asyncio.Semaphore


async def run_import(context: JobContext, organisation_id: str, import_id: str) -> dict[str, int]:
    """Run an import in a process of its own, so that what it costs holds nothing else up. The table tells how it ended.

    Where this job is cancelled or killed the process goes with it, and another takes the import up.
    """
    importing = _importing(context)
    if importing.at_once.locked():
        return {"busy": 1}  # `watch` sees to it that it is queued again
    async with importing.at_once:
        if not await _taken(context, uuid.UUID(organisation_id), uuid.UUID(import_id)):
            return {"taken": 1}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api.imports.child", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the process has no pipes")
        try:
            process.stdin.write(_told(importing, organisation_id, import_id))
            await process.stdin.drain()
            state = (await process.stdout.read()).decode().strip()
            if await process.wait() != 0:
                raise RuntimeError("the process that ran the import has failed")
        finally:
            process.stdin.close()  # it ends by that, wherever it is
            await process.wait()
    return {state or "unknown": 1}


async def _taken(context: JobContext, organisation_id: uuid.UUID, import_id: uuid.UUID) -> bool:
    """Take an import on, unless another worker has."""
    async with within(context.app, organisation_id) as connection:
        cursor = await connection.execute(_TAKE, (organisation_id, import_id, ALIVE))
        return await cursor.fetchone() is not None


def _told(importing: Importing, organisation_id: str, import_id: str) -> bytes:
    settings = importing.settings
    previous = settings.previous_master_key()
    told = {
        "url": importing.url,
        "master_keys": [
            settings.require_master_key().get_secret_value(),
            None if previous is None else previous.get_secret_value(),
        ],
        "organisation_id": organisation_id,
        "import_id": import_id,
        "largest": settings.import_max_bytes,
        "log_level": settings.log_level,
    }
    return json.dumps(told).encode() + b"\n"


async def purge_imports(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Give up uploads that do not go on, and forget old reports. ``timestamp`` is when it was due, if by the clock."""
    abandoned = forgotten = 0
    for organisation_id in await organisations(context.app):
        async with within(context.app, organisation_id) as connection:
            cursor = await connection.execute(_ABANDONED, (STALE_UPLOAD,))
            ids = [row[0] for row in await cursor.fetchall()]
            await connection.execute(_CHUNKS, (ids,))
            abandoned += len(ids)
            forgotten += (await connection.execute(_FAULTS, (KEPT_FAULTS, KEPT_FAULTS + timedelta(days=7)))).rowcount
    return {"abandoned": abandoned, "forgotten": forgotten}


async def watch(app: App) -> None:
    """Queue the imports that wait, once in a second, until cancelled."""
    while True:
        try:
            for organisation_id, import_id in await _waiting(app):
                given: dict[str, Any] = {"organisation_id": str(organisation_id), "import_id": str(import_id)}
                with suppress(AlreadyEnqueued):
                    await app.configure_task(RUN, queueing_lock=f"{RUN}:{import_id}").defer_async(**given)
        except Exception as error:  # the worker itself notices when its database is gone; anything else may pass
            logging.logger.error("imports", state="not-watched", **logging.describe(error))
            await asyncio.sleep(10 * POLL)
        await asyncio.sleep(POLL)


async def _waiting(app: App) -> list[tuple[uuid.UUID, uuid.UUID]]:
    connection: psycopg.AsyncConnection[Any]
    async with connector_of(app).pool.connection() as connection:
        cursor = await connection.execute("select * from imports_waiting(%s)", (MOST_WAITING,))
        return [(row[0], row[1]) for row in await cursor.fetchall()]


def _importing(context: JobContext) -> Importing:
    found = context.additional_context.get(CONTEXT)
    if not isinstance(found, Importing):
        raise TypeError("this worker was not given what it needs to import")
    return found


def register(app: App) -> None:
    """Make the tasks known, and the one due by the clock."""
    app.task(name=RUN, pass_context=True)(run_import)
    app.periodic(cron=HOURLY)(app.task(name=PURGE, pass_context=True)(purge_imports))
