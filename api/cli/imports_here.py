"""`fathomline import` on the database itself: no service and no worker is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from api.cli.errors import UnusableInput
from api.cli.imports import Job, Told
from api.db import Database, open_database
from api.ids import new_id
from api.imports.connecting import Connect
from api.imports.running import run
from api.imports.service import Imports, Wanted
from api.imports.source import LocalFile
from api.organisations.repository import find_organisation
from api.records.audit import Audit
from api.security.principal import ROLES, Principal
from api.settings import Settings
from api.startup import checked_url, derived_keys

SUBJECT: Final = "command-line"
"""Who did it, in the audit trail."""
ROLE: Final = "admin"

Bar = Callable[[Job, str], AbstractContextManager[Told]]


async def here(job: Job, bar: Bar) -> dict[str, Any]:
    """Import the file; what `GET /v1/imports/{id}` says of it then. Bad rows are listed in a file.

    Raises
    ------
    UnusableInput
        There is no such organisation.
    """
    settings = Settings()
    keys = derived_keys(settings)
    async with checked_url(settings) as url, open_database(url, settings) as database:
        imports = Imports(database, keys, await _audit(database, job.organisation), settings.import_max_bytes)
        wanted = Wanted(compressed=job.compressed, **job.wanted)
        import_id = await imports.create(wanted, spooled=False)
        with bar(job, "importing") as told:
            running = asyncio.to_thread(
                run,
                Connect(url, imports.organisation_id),
                keys,
                imports.organisation_id,
                import_id,
                largest=settings.import_max_bytes,
                source=LocalFile(job.path),
                told=lambda read, _: told(read),
            )
            try:
                await running
            except asyncio.CancelledError:  # the thread sees it within seconds
                await imports.cancel(import_id)
                raise
        found = await imports.get(import_id)
        if found.faults:
            _, report = await imports.report(import_id, as_csv=False)
            with job.errors.open("wb") as file:
                async for piece in report:
                    file.write(piece)
    return found.model_dump(mode="json")


async def _audit(database: Database, slug: str) -> Audit:
    async with database.pool.acquire() as connection:
        organisation_id = await find_organisation(connection, slug)
    if organisation_id is None:
        raise UnusableInput(f"there is no organisation {slug!r} in this database")
    principal = Principal(organisation_id, slug, SUBJECT, ROLE, ROLES[ROLE])
    return Audit(principal, f"command-{new_id()}", database)
