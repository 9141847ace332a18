"""The key that an organisation's external identifiers are hashed with: made when first needed, and then never another.

It is random and lies wrapped under the master key. So a new master key wraps it anew and changes no hash, and whoever
looks a client up while that happens finds them.
"""

from __future__ import annotations

import secrets
import uuid
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from api.db import RawConnection
from api.security import crypto

_FIND: Final = "select lookup_wrapped from organisation_key where organisation_id = $1"
_MAKE: Final = "insert into organisation_key (organisation_id, lookup_wrapped) values ($1, $2) on conflict do nothing"
_HASHED: Final = "select exists (select from client where organisation_id = $1 and external_id_hash is not null)"


async def lookup_key(connection: RawConnection, keys: crypto.Keys, organisation_id: uuid.UUID) -> bytes:
    """The key of the organisation, made if there is none. ``connection`` is in a transaction within it.

    Where identifiers are hashed already, which was done with a key derived from the master key, that one is kept.

    Raises
    ------
    Unreadable
        It is wrapped under a master key that this service was not given.
    """
    wrapped: bytes | None = await connection.fetchval(_FIND, organisation_id)
    if wrapped is None:
        made = secrets.token_bytes(crypto.KEY_BYTES)
        if await connection.fetchval(_HASHED, organisation_id):
            made = await _derived(connection, keys, organisation_id)
        sealed = crypto.wrap_lookup_key(keys, made, organisation_id=organisation_id)
        await connection.execute(_MAKE, organisation_id, sealed)  # of several at once, one makes it
        wrapped = await connection.fetchval(_FIND, organisation_id)
        assert wrapped is not None  # noqa: S101  - nobody has the right to remove one
    return crypto.unwrap_lookup_key(keys, wrapped, organisation_id=organisation_id)


async def _derived(connection: RawConnection, keys: crypto.Keys, organisation_id: uuid.UUID) -> bytes:
    """That of the master key which the organisation's clients were made under: it opens the first of them."""
    row = await connection.fetchrow(
        "select id, key_wrapped from client where organisation_id = $1 and external_id_hash is not null"
        " order by id limit 1",
        organisation_id,
    )
    return crypto.master_of(keys, row["key_wrapped"], organisation_id=organisation_id, client_id=row["id"]).lookup


async def lookup_key_of(session: AsyncSession, keys: crypto.Keys, organisation_id: uuid.UUID) -> bytes:
    """The same within the transaction of a session."""
    raw = await (await session.connection()).get_raw_connection()
    if raw.driver_connection is None:
        raise RuntimeError("a session without a connection")
    return await lookup_key(raw.driver_connection, keys, organisation_id)
