"""Jobs of schedules: one plans those further that go on, so that none ends of itself; one marks what is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from procrastinate import App, JobContext

from api.job_database import organisations, within
from api.protocols.keeping import AHEAD, BATCH, plan_further
from api.protocols.settling import BATCH as MARKED_AT_ONCE
from api.protocols.settling import mark, unmarked
from api.protocols.store import OfJob

DAILY: Final = "11 2 * * *"
PLAN: Final = "plan_schedules"
EVERY_TEN_MINUTES: Final = "*/10 * * * *"
MARK: Final = "mark_answered"


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


async def mark_answered(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Mark the slots of all organisations that were answered since the last time, so that nobody looks at them again.

    What another worker is at is left to that one. ``timestamp`` is when it was due, if it was by the clock.
    """
    marked = 0
    for organisation_id in await organisations(context.app):
        async with within(context.app, organisation_id) as connection:
            followed = await unmarked(OfJob(connection), organisation_id)
        for start in range(0, len(followed), MARKED_AT_ONCE):
            async with within(context.app, organisation_id) as connection:
                some = followed[start : start + MARKED_AT_ONCE]
                marked += await mark(OfJob(connection), organisation_id, some)
    return {"marked": marked}


def register(app: App) -> None:
    """Make the tasks known, and due by the clock."""
    for name, task, cron in ((PLAN, plan_schedules, DAILY), (MARK, mark_answered, EVERY_TEN_MINUTES)):
        app.periodic(cron=cron)(app.task(name=name, pass_context=True)(task))
