"""The key that signs for an organisation, over a connection of a request."""

from __future__ import annotations

import uuid

from api.audit import chain
from api.audit.sealing import lock_of
from api.db import RawConnection
from api.ids import new_id
from api.security import crypto


async def signing_key(
    connection: RawConnection, keys: crypto.Keys, organisation_id: uuid.UUID
) -> tuple[uuid.UUID, bytes]:
    """The id and the private half of the newest signing key of the organisation, made if there is none.

    ``connection`` is in a transaction within the organisation. Only where there is no key yet does it wait for whoever
    seals the trail at the time, and would make one as well.

    Raises
    ------
    Unreadable
        The master key is not the one under which it is sealed.
    """
    row = await connection.fetchrow(_NEWEST, organisation_id)
    if row is None:
        await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", lock_of(organisation_id))
        row = await connection.fetchrow(_NEWEST, organisation_id)
    if row is not None:
        key_id: uuid.UUID = row["id"]
        sealed: bytes = row["private_sealed"]
        return key_id, crypto.open_audit_key(keys, sealed, organisation_id=organisation_id, key_id=key_id)
    key_id, (private, public) = new_id(), chain.new_key()
    await connection.execute(
        "insert into audit_key (organisation_id, id, public_key, private_sealed, created_at)"
        " values ($1, $2, $3, $4, now())",
        organisation_id,
        key_id,
        public,
        crypto.seal_audit_key(keys, private, organisation_id=organisation_id, key_id=key_id),
    )
    return key_id, private


_NEWEST = "select id, private_sealed from audit_key where organisation_id = $1 order by id desc limit 1"
