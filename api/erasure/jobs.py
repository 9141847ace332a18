"""The job that takes the keys of erased clients out of the folders of backups, until it has reached all of them.

What is still to be done is read off the tables, so nothing is lost with a job; doing it twice does nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Final

from procrastinate import App, JobContext

from api import logging
from api.backups import keyfile
from api.backups.errors import BackupError
from api.erasure.service import REACH
from api.erasure.tombstones import READ, Tombstone
from api.job_database import organisations, within
from api.security import crypto
from api.settings import Settings
from api.startup import derived_keys

CONTEXT: Final = "erasure"
"""Under which the settings are handed to the job."""
EVERY_MINUTE: Final = "* * * * *"


class NotReached(Exception):
    """Some folders of backups could not be reached; each was told of in the log."""


async def reach_backups(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Take the keys of all who were erased out of each folder of backups. ``timestamp`` is when it was due."""
    settings = context.additional_context[CONTEXT]
    if not isinstance(settings, Settings):
        raise TypeError("this worker was not given the settings")
    if not settings.backups:
        return {"reached": 0}
    keys = derived_keys(settings)
    every = await organisations(context.app)
    reached = failed = 0
    for folder in settings.backups:
        try:
            for organisation_id in every:
                reached += await reach(context.app, keys, organisation_id, folder)
        except BackupError as error:  # no reason to leave the other folders as they are
            failed += 1
            logging.logger.error("erasure", state="backup-not-reached", reason=str(error))
    if failed:
        raise NotReached(f"{failed} folders of backups hold keys of clients who were erased")
    return {"reached": reached}


async def reach(app: App, keys: crypto.Keys, organisation_id: uuid.UUID, folder: Path) -> int:
    """Take the keys of an organisation's erased clients out of a folder, and note that; how many erasures it reached.

    Raises
    ------
    BackupError
        The folder's key file cannot be read or written.
    """
    given = {"organisation": organisation_id, "folder": str(folder)}
    async with within(app, organisation_id) as connection:
        cursor = await connection.execute(_WAITING, given)
        rows = await cursor.fetchall()
    if not rows:
        return 0
    erased = [Tombstone(organisation_id, row[0], row[1], row[2].encode("utf-8")) for row in rows]
    await asyncio.to_thread(keyfile.forget, folder, keys, erased)
    async with within(app, organisation_id) as connection:
        await connection.execute(_REACHED, given | {"erasures": [row[3] for row in rows]})
    return len(rows)


_WAITING: Final = READ.format(organisation="%(organisation)s", folder="%(folder)s")
_REACHED: Final = """
insert into erasure_backup (organisation_id, erasure_id, folder, reached_at)
select %(organisation)s, e.id, %(folder)s, now() from unnest(%(erasures)s::uuid[]) as e (id) on conflict do nothing
"""


def register(app: App) -> None:
    """Make the task known, and due by the clock."""
    app.periodic(cron=EVERY_MINUTE)(app.task(name=REACH, pass_context=True)(reach_backups))
