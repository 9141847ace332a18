"""The jobs that seal the audit trails of all organisations. A run that is killed has sealed what it had, and no part of
a batch; the next goes on from there."""

from __future__ import annotations

import uuid
from typing import Final

from procrastinate import App, JobContext

from api import logging
from api.audit.sealing import NIL, seal_batch
from api.job_database import organisations, within
from api.security import crypto
from api.settings import Settings
from api.startup import derived_keys

CONTEXT: Final = "audit"
"""Under which the settings are handed to the jobs."""
EVERY_MINUTE: Final = "* * * * *"
DAILY: Final = "43 3 * * *"
SEAL: Final = "seal_audit"
SWEEP: Final = "sweep_audit"


class NotSealed(Exception):
    """Some organisations' trails could not be sealed; each was told of in the log."""


async def seal_audit(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Seal what has come since the last time. ``timestamp`` is when it was due, if it was by the clock."""
    return await _seal_all(context, whole=False)


async def sweep_audit(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Seal what has not been sealed among all events: those too that could be seen only long after they were made."""
    return await _seal_all(context, whole=True)


async def _seal_all(context: JobContext, *, whole: bool) -> dict[str, int]:
    settings = context.additional_context[CONTEXT]
    if not isinstance(settings, Settings):
        raise TypeError("this worker was not given the settings")
    keys = derived_keys(settings)
    sealed = failed = 0
    for organisation_id in await organisations(context.app):
        try:
            sealed += await seal(context.app, keys, organisation_id, whole=whole)
        except crypto.Unreadable:  # no reason to leave the others' unsealed
            failed += 1
            logging.logger.error("audit", state="not-sealed", reason="master-key", organisation=str(organisation_id))
    if failed:
        raise NotSealed(f"{failed} organisations have a signing key that the master key does not open")
    return {"sealed": sealed}


async def seal(app: App, keys: crypto.Keys, organisation_id: uuid.UUID, *, whole: bool) -> int:
    """Seal what waits in one organisation; how many events. Nothing while another worker does."""
    sealed, after, more = 0, NIL, True
    while more:
        async with within(app, organisation_id) as connection:
            batch = await seal_batch(connection, keys, organisation_id, whole=whole, after=after)
        if batch is None:
            break
        sealed, after, more = sealed + batch.sealed, batch.last, batch.more
    return sealed


def register(app: App) -> None:
    """Make the tasks known, and due by the clock."""
    for name, task, cron in ((SEAL, seal_audit, EVERY_MINUTE), (SWEEP, sweep_audit, DAILY)):
        app.periodic(cron=cron)(app.task(name=name, pass_context=True)(task))
