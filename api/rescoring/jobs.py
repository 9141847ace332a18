"""The jobs of re-scoring: one that goes on with a run, and one that finds the runs that nobody is at.

A job holds nothing of a run: a worker that is killed leaves the run where its last batch ended. The sweep then queues
it again, as it does for a run that a command began and left.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from procrastinate import App, JobContext
from procrastinate.exceptions import AlreadyEnqueued

from api.catalogue.library import Library
from api.catalogue.own import OwnInstruments
from api.db import create_pool
from api.job_database import organisations, within
from api.rescoring import running
from api.rescoring.repository import TASK
from api.settings import Settings

CONTEXT: Final = "rescoring"
SWEEP: Final = "sweep_rescorings"
EVERY_MINUTE: Final = "* * * * *"
TURN: Final = 20.0
"""Seconds after which a job lets others have their turn; the run is queued again."""
_WAITING: Final = "select id from rescoring where organisation_id = %s and state in ('queued', 'running') order by id"


@dataclass(frozen=True, slots=True)
class Means:
    """What a worker needs for it: the database, as the role of the service."""

    url: str
    settings: Settings


async def rescore(context: JobContext, organisation_id: str, rescoring_id: str) -> dict[str, int]:
    """Go on with a run for a while. The number of responses that it has done in all."""
    means = context.additional_context.get(CONTEXT)
    if not isinstance(means, Means):
        raise TypeError("this worker was not given what it needs to score")
    own, run_id = uuid.UUID(organisation_id), uuid.UUID(rescoring_id)
    begun = time.monotonic()
    pool = await create_pool(means.url, means.settings.model_copy(update={"write_pool_size": 2}))
    definitions = OwnInstruments(pool)
    library = Library(definitions)
    done = 0
    try:
        while True:
            progress = await running.step(pool, own, run_id, lambda code, version: library.get(own, code, version))
            if progress is None or not progress.going:
                return {"done": done if progress is None else progress.done}
            done = progress.done
            if time.monotonic() - begun > TURN:
                await _queue(context.app, own, run_id)
                return {"done": done}
    finally:
        definitions.close()
        await pool.close()


async def sweep_rescorings(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Queue every run that is not at its end. ``timestamp`` is when it was due, if it was by the clock."""
    queued = 0
    for organisation_id in await organisations(context.app):
        async with within(context.app, organisation_id) as connection:
            cursor = await connection.execute(_WAITING, (organisation_id,))
            waiting = [row[0] for row in await cursor.fetchall()]
        for run_id in waiting:
            await _queue(context.app, organisation_id, run_id)
            queued += 1
    return {"queued": queued}


async def _queue(app: App, organisation_id: uuid.UUID, run_id: uuid.UUID) -> None:
    given = {"organisation_id": str(organisation_id), "rescoring_id": str(run_id)}
    with suppress(AlreadyEnqueued):
        await app.configure_task(TASK, queueing_lock=f"{TASK}:{run_id}").defer_async(**given)


def register(app: App) -> None:
    """Make the tasks known, and the sweep due by the clock."""
    app.task(name=TASK, pass_context=True)(rescore)
    app.periodic(cron=EVERY_MINUTE)(app.task(name=SWEEP, pass_context=True)(sweep_rescorings))
