"""Wrapping everything of an organisation under the present master key, in batches, each a transaction of its own.

What lies under which key is written at its head, so there is nothing to keep of how far this got: whatever does not
begin with the present key's head is still to be done. A row that changed meanwhile is left as it was changed, and one
that somebody holds is passed over; both are met again, as it goes on until nothing is left.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Final

from api.db import RawConnection, confine
from api.organisations.keys import lookup_key
from api.rotation.wrapped import WRAPPED, Wrapped
from api.security import crypto

BATCH: Final = 200
"""Rows locked at once: some milliseconds, in which a request that changes one of them waits."""
ROUNDS: Final = 100
PAUSE: Final = 0.1
"""Seconds before rows that somebody held are looked at again."""


class NotMoved(Exception):
    """Something cannot be moved to the present master key; the message says what and what to do."""


async def counts(connection: RawConnection, keys: crypto.Keys, organisation_id: uuid.UUID) -> dict[str, dict[str, int]]:
    """By column and by key, how many things of the organisation lie under it.

    The keys are ``present``, ``previous``, ``unnamed`` (wrapped before keys had ids) and ``unknown``.
    """
    found = {}
    async with connection.transaction():
        await confine(connection, organisation_id)
        for wrapped in WRAPPED:
            rows = await connection.fetch(
                f"select substring({wrapped.column} from 1 for {crypto.HEAD_BYTES}) as head, count(*) as number "  # noqa: S608  - names from the registry
                f"from {wrapped.table} where organisation_id = $1 and {wrapped.column} is not null group by 1",
                organisation_id,
            )
            number: dict[str, int] = {}
            for row in rows:
                name = key_of(keys, row["head"])
                number[name] = number.get(name, 0) + row["number"]
            found[wrapped.name] = number
    return found


def key_of(keys: crypto.Keys, head: bytes) -> str:
    """Which of the keys something that begins so lies under."""
    if head[:1] == bytes([crypto.VERSION]):
        return "unnamed"
    if head == keys.head:
        return "present"
    return "previous" if keys.previous is not None and head == keys.previous.head else "unknown"


async def reseal_organisation(
    connection: RawConnection,
    keys: crypto.Keys,
    organisation_id: uuid.UUID,
    moved: Callable[[int], None] = lambda number: None,
) -> int:
    """Wrap everything of the organisation under the present master key; how many things were moved.

    Parameters
    ----------
    connection
        Of the service or of the owner, in no transaction.
    moved
        Told after each batch how many it moved.

    Raises
    ------
    NotMoved
        Something lies under a key that is neither, or somebody keeps holding a row.
    """
    async with connection.transaction():
        await confine(connection, organisation_id)
        try:
            await lookup_key(connection, keys, organisation_id)
        except crypto.Unreadable as error:
            raise NotMoved(f"organisation_key of organisation {organisation_id}: {error}") from None
    total = 0
    for wrapped in WRAPPED:
        for _ in range(ROUNDS):
            number, left = await _pass(connection, keys, organisation_id, wrapped, moved)
            total += number
            if not left:
                break
            await asyncio.sleep(PAUSE)
        else:
            raise NotMoved(f"{left} rows of {wrapped.table} are being held by somebody: run it again")
    return total


async def _pass(
    connection: RawConnection,
    keys: crypto.Keys,
    organisation_id: uuid.UUID,
    wrapped: Wrapped,
    moved: Callable[[int], None],
) -> tuple[int, int]:
    """Once over a column in the order of its rows: how many were moved, and how many are left after it."""
    total, after = 0, uuid.UUID(int=0)
    while True:
        async with connection.transaction():
            await confine(connection, organisation_id)
            rows = await connection.fetch(_statement(wrapped, _TAKE), organisation_id, keys.head, after, BATCH)
            fresh = [_moved(keys, wrapped, organisation_id, row["id"], row["wrapped"]) for row in rows]
            if rows:
                after = rows[-1]["id"]
                ids, old = [row["id"] for row in rows], [row["wrapped"] for row in rows]
                await connection.execute(_statement(wrapped, _PUT), organisation_id, ids, old, fresh)
                total += len(rows)
        if not rows:
            break
        moved(len(rows))
    async with connection.transaction():
        await confine(connection, organisation_id)
        left: int = await connection.fetchval(_statement(wrapped, _LEFT), organisation_id, keys.head)
    return total, left


def _moved(keys: crypto.Keys, wrapped: Wrapped, organisation_id: uuid.UUID, row_id: uuid.UUID, old: bytes) -> bytes:
    try:
        return crypto.rewrap(keys, old, purpose=wrapped.purpose, organisation_id=organisation_id, row_id=row_id)
    except crypto.Unreadable as error:
        raise NotMoved(f"{wrapped.name} of row {row_id} in organisation {organisation_id}: {error}") from None


# The lock is the weakest that an update takes, so that rows may go on being referred to; held rows are passed over.
_TAKE: Final = """
select {row} as id, {column} as wrapped from {table}
where organisation_id = $1 and {column} is not null and substring({column} from 1 for {head}) <> $2 and {row} > $3
order by {row} limit $4 for no key update skip locked
"""
_PUT: Final = """
update {table} set {column} = new.fresh from unnest($2::uuid[], $3::bytea[], $4::bytea[]) as new (id, old, fresh)
where {table}.organisation_id = $1 and {table}.{row} = new.id and {table}.{column} = new.old
"""
_LEFT: Final = """
select count(*) from {table}
where organisation_id = $1 and {column} is not null and substring({column} from 1 for {head}) <> $2
"""


def _statement(wrapped: Wrapped, template: str) -> str:
    return template.format(table=wrapped.table, column=wrapped.column, row=wrapped.row, head=crypto.HEAD_BYTES)
