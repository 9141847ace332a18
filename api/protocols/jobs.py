"""The job that plans schedules further which go on, so that none ever ends of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from procrastinate import App, JobContext

from api.audit.jobs import organisations
from api.job_database import within
from api.protocols.keeping import AHEAD, BATCH, plan_further
from api.protocols.store import OfJob

DAILY: Final = "11 2 * * *"
PLAN: Final = "plan_schedules"


async def plan_schedules(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Plan what is not planned far enough ahead, of all organisations, in batches that each are a transaction.

    What another worker is at is left to that one. ``timestamp`` is when it was due, if it was by the clock.
    """
    planned, until = 0, datetime.now(UTC).date() + AHEAD
    for organisation_id in await organisations(context.app):
        number = BATCH
        while number == BATCH:
            async with within(context.app, organisation_id) as connection:
                number = await plan_further(OfJob(connection), organisation_id, until)
            planned += number
    return {"planned": planned}


def register(app: App) -> None:
    """Make the task known, and due by the clock."""
    app.periodic(cron=DAILY)(app.task(name=PLAN, pass_context=True)(plan_schedules))
