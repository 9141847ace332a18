"""Every query about erasures. Row-level security confines each to the organisation of the transaction."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from api.audit.related import CLIENTS_OF
from api.db import RawConnection
from api.erasure.certificate import Erased
from api.tables import CLIENT_TABLES, of_client

LONGEST: Final = 600.0
"""Seconds that removing a client may take. All messages that were ever sent are looked through for theirs."""


class Kept(NamedTuple):
    """An erasure with its certificate, and the folders of backups that it has reached."""

    erased: Erased
    statement: str
    key_id: uuid.UUID
    signature: bytes
    public_key: bytes
    reached: Mapping[str, datetime]


async def key_wrapped(connection: RawConnection, organisation_id: uuid.UUID, client_id: uuid.UUID) -> bytes | None:
    """The wrapped key of a client; None where there is no such client."""
    query = "select key_wrapped from client where organisation_id = $1 and id = $2"
    found: bytes | None = await connection.fetchval(query, organisation_id, client_id)
    return found


async def erase(connection: RawConnection, erased: Erased) -> dict[str, int] | None:
    """Remove all that is the client's, and leave ``erased`` in its place. By table the number of rows.

    None where the client is gone already.
    """
    await connection.execute("select set_config('statement_timeout', $1, true)", str(int(LONGEST * 1000)))
    removed: str | None = await connection.fetchval(
        "select erase_client($1, $2, $3, $4, $5, $6, $7)",
        erased.organisation_id,
        erased.client_id,
        erased.id,
        erased.erased_at,
        erased.erased_by,
        erased.reason,
        erased.key_fingerprint,
        timeout=LONGEST,
    )
    return None if removed is None else json.loads(removed)


async def keep_links(connection: RawConnection, organisation_id: uuid.UUID, client_id: uuid.UUID) -> None:
    """Note of audit events that are not sealed yet that they concern the client, as sealing does of others.

    Once the client is erased nobody can tell any more whose response or goal an event names.
    """
    floor = await connection.fetchval(_FLOOR, organisation_id)
    for plan in ("seqscan", "hashjoin", "mergejoin", "bitmapscan"):  # as in sealing
        await connection.execute(f"set local enable_{plan} = off")
    await connection.execute(_LINK, organisation_id, client_id, floor or uuid.UUID(int=0), timeout=LONGEST)
    for plan in ("seqscan", "hashjoin", "mergejoin", "bitmapscan"):
        await connection.execute(f"set local enable_{plan} to default")


_FLOOR: Final = """
select first_uuid_at(h.complete_until) from audit_head h where h.organisation_id = $1 order by h.sequence desc limit 1
"""
_LINK: Final = f"""
insert into audit_client (organisation_id, client_id, event_id)
select e.organisation_id, $2, e.id from audit_event e
where e.organisation_id = $1 and e.id >= $3
  and (select s.sequence from audit_seal s where s.event_id = e.id and s.organisation_id = e.organisation_id) is null
  and exists (select from ({CLIENTS_OF}) c where c.id = $2)
on conflict do nothing
"""  # noqa: S608  - our own constant


async def remaining(
    connection: RawConnection, organisation_id: uuid.UUID, client_id: uuid.UUID
) -> list[dict[str, str | int]]:
    """What is kept of a client all the same: by table the number of rows, and why. Tables without any are left out."""
    found: list[dict[str, str | int]] = []
    for table, owned in sorted(CLIENT_TABLES.items()):
        if owned.kept is not None:
            query = f"select count(*) from {table} where {of_client(table)}"  # noqa: S608  - names from the registry
            if rows := await connection.fetchval(query, organisation_id, client_id):
                found.append({"table": table, "rows": rows, "why": owned.kept})
    return found


async def certify(connection: RawConnection, erased: Erased, text: str, key_id: uuid.UUID, signature: bytes) -> None:
    """Keep the certificate of an erasure."""
    await connection.execute(
        "insert into erasure_certificate (organisation_id, erasure_id, statement, key_id, signature)"
        " values ($1, $2, $3, $4, $5)",
        erased.organisation_id,
        erased.id,
        text,
        key_id,
        signature,
    )


async def queue(connection: RawConnection, task: str) -> None:
    """Queue a job, with the transaction of the connection or not at all. The transaction is then among the jobs."""
    await connection.execute("select set_config('search_path', 'jobs, public', true)")
    await connection.execute(
        "select jobs.procrastinate_defer_jobs_v1(array[row("
        "'default', $1, 0, null, null, '{}', null)::jobs.procrastinate_job_to_defer_v1])",
        task,
    )


async def tombstone(
    connection: RawConnection, organisation_id: uuid.UUID, client_id: uuid.UUID
) -> tuple[uuid.UUID, datetime] | None:
    """The id and the time of a client's erasure, if there was one."""
    query = "select id, erased_at from erasure where client_id = $2 and organisation_id = $1"
    row = await connection.fetchrow(query, organisation_id, client_id)
    return None if row is None else (row["id"], row["erased_at"])


_KEPT: Final = """
select e.*, c.statement, c.key_id, c.signature, k.public_key, (
  select coalesce(jsonb_object_agg(b.folder, b.reached_at), '{}') from erasure_backup b
  where b.organisation_id = e.organisation_id and b.erasure_id = e.id) as reached
from erasure e
join erasure_certificate c on c.organisation_id = e.organisation_id and c.erasure_id = e.id
join audit_key k on k.organisation_id = c.organisation_id and k.id = c.key_id
"""


async def read(connection: RawConnection, organisation_id: uuid.UUID, erasure_id: uuid.UUID) -> Kept | None:
    """One erasure."""
    query = f"{_KEPT} where e.organisation_id = $1 and e.id = $2"
    row = await connection.fetchrow(query, organisation_id, erasure_id)
    return None if row is None else _kept(row)


async def page(
    connection: RawConnection, organisation_id: uuid.UUID, client_id: uuid.UUID | None, after: uuid.UUID, limit: int
) -> Sequence[Kept]:
    """Erasures in the order of their ids, after one of them; those of one client if that is asked for."""
    query = f"{_KEPT} where e.organisation_id = $1 and e.id > $2 and ($3::uuid is null or e.client_id = $3)"
    rows = await connection.fetch(f"{query} order by e.id limit $4", organisation_id, after, client_id, limit)
    return [_kept(row) for row in rows]


def erased_of(row: asyncpg.Record) -> Erased:
    """The tombstone in a row of `erasure`."""
    members: dict[str, Any] = {name: row[name] for name in Erased.__dataclass_fields__}
    return Erased(**members | {"removed": json.loads(row["removed"])})


def _kept(row: asyncpg.Record) -> Kept:
    reached = {folder: datetime.fromisoformat(at) for folder, at in json.loads(row["reached"]).items()}
    return Kept(erased_of(row), row["statement"], row["key_id"], row["signature"], row["public_key"], reached)
