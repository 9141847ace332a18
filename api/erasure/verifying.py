"""Verifying that who was erased is erased: the certificates, the tables, and the key files beside backups."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from api.audit.verifying import trusted_keys
from api.backups import keyfile
from api.backups.errors import BackupError
from api.db import RawConnection
from api.erasure.certificate import differs, signed_by
from api.erasure.repository import erased_of
from api.security import crypto
from api.tables import CLIENT_TABLES


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as a certificate says."""

    code: str
    detail: str
    erasure_id: uuid.UUID | None = None


@dataclass(slots=True)
class Verified:
    """What verifying the erasures of one organisation found."""

    erasures: int = 0
    faults: list[Fault] = field(default_factory=list)
    remarks: list[Fault] = field(default_factory=list)


async def verify_erasures(
    connection: RawConnection, organisation_id: uuid.UUID, keys: crypto.Keys, folders: Sequence[Path] = ()
) -> Verified:
    """Verify the erasures of one organisation. ``connection`` is in a transaction within it."""
    found = Verified()
    trusted, foreign = await trusted_keys(connection, organisation_id, keys)
    taken_in: datetime | None = await connection.fetchval(_TAKEN_IN, organisation_id)
    clients: dict[uuid.UUID, uuid.UUID] = {}
    for row in await connection.fetch(_ERASURES, organisation_id):
        erased = erased_of(row)
        found.erasures += 1
        clients[erased.client_id] = erased.id
        text, key_id = row["statement"], row["key_id"]
        if text is None and taken_in is not None and erased.erased_at < taken_in:
            detail = "It came with an archive; its certificate is where the client was erased."
            found.remarks.append(Fault("certificate-elsewhere", detail, erased.id))
        elif text is None:
            found.faults.append(Fault("certificate-missing", "There is no certificate.", erased.id))
        elif key_id in foreign or key_id not in trusted:
            detail = "The certificate is signed by a key that does not lie under the master key."
            found.faults.append(Fault("certificate-foreign", detail, erased.id))
        elif not signed_by(text, row["signature"], trusted[key_id]):
            found.faults.append(Fault("certificate-invalid", "The signature does not hold.", erased.id))
        elif differs(text, erased):
            found.faults.append(Fault("certificate-differs", "It says another thing than the tombstone.", erased.id))
    async for client_id, table in _back(connection, organisation_id):
        detail = f"There are rows of the client in {table}."
        found.faults.append(Fault("client-back" if table == "client" else "rows-left", detail, clients[client_id]))
    async for table, number in _of_nobody(connection, organisation_id):
        detail = f"{number:,} rows of {table} belong to something that is gone."
        found.faults.append(Fault("rows-of-nobody", detail))
    for folder in folders:
        await _beside(found, organisation_id, clients, folder, keys)
    return found


async def _beside(
    found: Verified, organisation_id: uuid.UUID, clients: dict[uuid.UUID, uuid.UUID], folder: Path, keys: crypto.Keys
) -> None:
    """What the key file of a folder of backups still holds of who was erased."""
    try:
        ring = await asyncio.to_thread(keyfile.read, folder, keys)
    except BackupError as error:
        found.remarks.append(Fault("key-file-unreadable", str(error)))
        return
    kept = set() if ring is None else ring.clients.keys()
    for client_id, erasure_id in clients.items():
        if (organisation_id, client_id) in kept:
            detail = f"The key that was destroyed is still in {folder / keyfile.NAME}."
            found.faults.append(Fault("key-left", detail, erasure_id))


_TAKEN_IN: Final = """
select max(at) from audit_event
where organisation_id = $1 and role = 'operator' and action = 'take-in' and resource = 'organisation'
"""
"""When an archive was taken in. Tombstones come with it, and the certificates of the other installation do not."""
_ERASURES: Final = """
select e.*, c.statement, c.key_id, c.signature
from erasure e left join erasure_certificate c on c.organisation_id = e.organisation_id and c.erasure_id = e.id
where e.organisation_id = $1 order by e.id
"""


async def _back(connection: RawConnection, organisation_id: uuid.UUID) -> AsyncIterator[tuple[uuid.UUID, str]]:
    """Erased clients of whom a table has rows that name them."""
    for table, owned in CLIENT_TABLES.items():
        if owned.kept is None and not owned.parents:
            query = (
                f"select e.client_id from erasure e where e.organisation_id = $1 and exists (select from {table} t "  # noqa: S608  - names from the registry
                f"where t.organisation_id = e.organisation_id and t.{owned.column} = e.client_id) order by e.id"
            )
            for row in await connection.fetch(query, organisation_id):
                yield row["client_id"], table


async def _of_nobody(connection: RawConnection, organisation_id: uuid.UUID) -> AsyncIterator[tuple[str, int]]:
    """Tables with rows that belong to a row which is not there: what is left when only that one was removed."""
    for table, owned in CLIENT_TABLES.items():
        for parent in owned.parents if owned.kept is None else ():
            meant = "" if owned.kind is None else f" and split_part(t.{owned.kind}, '.', 1) = '{parent}'"
            query = (
                f"select count(*) from {table} t where t.organisation_id = $1{meant} and not exists (select from "  # noqa: S608  - names from the registry
                f"{parent} p where p.organisation_id = t.organisation_id and p.{owned.parent_key} = t.{owned.column})"
            )
            if number := await connection.fetchval(query, organisation_id):
                yield table, number
