"""Who was erased, read from a database and put back into one, by the means of the feature that erases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import asyncpg

from api.backups.errors import BackupError
from api.db import confine, organisation_ids
from api.erasure.tombstones import Tombstone, put_back, tombstones
from api.rotation.resealing import NotMoved, reseal_organisation
from api.security import crypto


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()


async def read(url: str) -> list[Tombstone]:
    """Who is erased, in all organisations, as of now."""
    async with _connected(url) as connection, connection.transaction(readonly=True):
        return [one for each in await organisation_ids(connection) for one in await tombstones(connection, each)]


async def write(url: str, known: Iterable[Tombstone]) -> None:
    """Have a restored database know of the erasures in its organisations; what it knows already stays as it is."""
    async with _connected(url) as connection:
        organisations = set(await organisation_ids(connection))
        for one in known:
            if one.organisation_id in organisations:
                async with connection.transaction():
                    await confine(connection, one.organisation_id)
                    await put_back(connection, one)


async def reseal(url: str, keys: crypto.Keys) -> None:
    """Seal anew what an earlier master key has sealed, in all organisations."""
    async with _connected(url) as connection:
        for organisation_id in await organisation_ids(connection):
            try:
                await reseal_organisation(connection, keys, organisation_id)
            except NotMoved as error:
                raise BackupError(str(error)) from None
