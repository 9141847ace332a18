"""What keeps an erased client from coming back with a backup: read from a database, kept beside backups, put back."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any, Final, NamedTuple

from api.db import RawConnection


class Tombstone(NamedTuple):
    """That a client was erased, and what a restored database needs to know of it and to certify it again."""

    organisation_id: uuid.UUID
    client_id: uuid.UUID
    erased_at: datetime
    record: bytes
    """JSON: the rows of `erasure` and `erasure_certificate`, and of the key that signed it."""


async def tombstones(
    connection: RawConnection, organisation_id: uuid.UUID, *, unless_in: str | None = None
) -> list[Tombstone]:
    """All erasures of an organisation, in the order in which they were made.

    ``connection`` is in a transaction, of the service or of the owner; it is within the organisation afterwards.
    ``unless_in`` leaves out those that have reached that folder of backups.
    """
    await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
    rows = await connection.fetch(READ.format(organisation="$1", folder="$2"), organisation_id, unless_in)
    return [Tombstone(organisation_id, row["client_id"], row["erased_at"], row["record"].encode()) for row in rows]


READ: Final = """
select e.client_id, e.erased_at,
       json_build_object('erasure', to_json(e), 'certificate', to_json(c), 'key', to_json(k))::text as record, e.id
from erasure e
left join erasure_certificate c on c.organisation_id = e.organisation_id and c.erasure_id = e.id
left join audit_key k on k.organisation_id = c.organisation_id and k.id = c.key_id
where e.organisation_id = {organisation} and ({folder}::text is null or not exists (
  select from erasure_backup b
  where b.organisation_id = e.organisation_id and b.erasure_id = e.id and b.folder = {folder}))
order by e.id
"""
"""Clients, times, records and ids of an organisation's erasures, but for those that have reached a folder."""


async def put_back(connection: RawConnection, tombstone: Tombstone) -> None:
    """Write what a restored database does not know of an erasure; what it knows stays as it is.

    ``connection`` is the owner's, in a transaction within the tombstone's organisation.
    """
    known: dict[str, dict[str, Any] | None] = json.loads(tombstone.record)
    for table, name in (("erasure", "erasure"), ("audit_key", "key"), ("erasure_certificate", "certificate")):
        if known[name] is not None:
            await connection.execute(
                f"insert into {table} select * from json_populate_record(null::{table}, $1) on conflict do nothing",  # noqa: S608  - names from above
                json.dumps(known[name]),
            )
