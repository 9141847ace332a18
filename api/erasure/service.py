"""Erasing a client: the key destroyed and every row removed in one transaction, and the certificate of it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from api.audit import chain
from api.audit.signing import signing_key
from api.db import RawConnection, confine
from api.erasure import repository, schemas
from api.erasure.certificate import Erased, sign, statement
from api.erasure.problems import ClientErased
from api.erasure.repository import Kept
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import NotFound, ServiceUnavailable
from api.records.audit import Audit
from api.records.steps import UNKNOWN_CLIENT
from api.security import crypto
from api.settings import Settings

REACH: Final = "reach_backups"
"""The job that takes the key out of folders of backups; it runs every minute too, until that is done."""
TRIES: Final = 5
"""Somebody who adds to the client's record at the same moment may make it fail; then it is tried again."""
UNKNOWN: Final = "There is no such erasure."
_NIL: Final = uuid.UUID(int=0)
_COLLIDED: Final = (
    asyncpg.ForeignKeyViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)


@dataclass(frozen=True, slots=True)
class Erasures:
    """The erasures of one organisation, for one request."""

    audit: Audit
    keys: crypto.Keys
    settings: Settings

    @property
    def _organisation_id(self) -> uuid.UUID:
        return self.audit.principal.organisation_id

    async def erase(self, client_id: uuid.UUID, reason: str) -> schemas.ErasureRead:
        """Erase a client for good.

        Raises
        ------
        NotFound, ClientErased
        ServiceUnavailable
            Others kept adding to the record; nothing was done.
        """
        for _ in range(TRIES):
            try:
                async with self.audit.database.pool.acquire() as connection, connection.transaction():
                    kept = await self._erase(connection, client_id, reason)
            except _COLLIDED:
                continue
            if kept is None:
                raise await self._gone(client_id)
            return self._shown(kept)
        raise ServiceUnavailable("Others were adding to the client's record; nothing was erased. Try again.")

    async def _erase(self, connection: RawConnection, client_id: uuid.UUID, reason: str) -> Kept | None:
        own = self._organisation_id
        await confine(connection, own)
        wrapped = await repository.key_wrapped(connection, own, client_id)
        if wrapped is None:
            return None
        principal = self.audit.principal
        erased = Erased(
            organisation_id=own,
            id=new_id(),
            client_id=client_id,
            erased_at=datetime.now(UTC),
            erased_by=principal.subject,
            reason=reason,
            key_fingerprint=self._fingerprint(wrapped, client_id),
            removed={},
        )
        await repository.keep_links(connection, own, client_id)
        removed = await repository.erase(connection, erased)
        if removed is None:
            return None
        await self.audit.keep(connection, self.audit.event("erase", "client", client_id))
        await repository.keep_links(connection, own, client_id)  # this one too, so that what remains is told in full
        key_id, private = await signing_key(connection, self.keys, own)
        erased = replace(erased, removed=removed)
        folders = [str(folder) for folder in self.settings.backups]
        remains = await repository.remaining(connection, own, client_id)
        text = statement(erased, remains=remains, folders=folders, log_days=self.settings.log_days)
        signature = sign(text, private)
        await repository.certify(connection, erased, text, key_id, signature)
        if folders:
            await repository.queue(connection, REACH)
        return Kept(erased, text, key_id, signature, chain.public_half(private), {})

    def _fingerprint(self, wrapped: bytes, client_id: uuid.UUID) -> bytes | None:
        """None for a key that cannot be opened any more: that is no reason to keep the client."""
        try:
            key = crypto.unwrap_client_key(
                self.keys, wrapped, organisation_id=self._organisation_id, client_id=client_id
            )
        except crypto.Unreadable:
            return None
        return crypto.key_fingerprint(key)

    async def _gone(self, client_id: uuid.UUID) -> NotFound | ClientErased:
        await self.audit.refused("erase", "client", client_id, "not-found")
        found = await erased_before(self.audit, client_id)
        return NotFound(UNKNOWN_CLIENT) if found is None else found

    async def read(self, erasure_id: uuid.UUID) -> schemas.ErasureRead:
        """One erasure with its certificate; :class:`NotFound` where there is none."""
        async with self.audit.database.pool.acquire() as connection, connection.transaction():
            await confine(connection, self._organisation_id)
            kept = await repository.read(connection, self._organisation_id, erasure_id)
            if kept is not None:
                await self.audit.keep(connection, self.audit.event("read", "erasure", erasure_id))
        if kept is None:
            await self.audit.refused("read", "erasure", erasure_id, "not-found")
            raise NotFound(UNKNOWN)
        return self._shown(kept)

    async def page(
        self, client_id: uuid.UUID | None, cursor: str | None, limit: int
    ) -> tuple[list[schemas.ErasureRead], str | None]:
        """A page of erasures in their order, and the cursor of the next."""
        after = _NIL if cursor is None else decode_cursor(cursor)[1]
        async with self.audit.database.pool.acquire() as connection, connection.transaction():
            await confine(connection, self._organisation_id)
            rows = await repository.page(connection, self._organisation_id, client_id, after, limit + 1)
            await self.audit.keep(connection, self.audit.event("list", "erasure", None))
        last = rows[limit - 1].erased if len(rows) > limit else None
        more = None if last is None else encode_cursor(last.erased_at, last.id)
        return [self._shown(row) for row in rows[:limit]], more

    def _shown(self, kept: Kept) -> schemas.ErasureRead:
        erased, said = kept.erased, json.loads(kept.statement)
        folders = dict.fromkeys([*said["backups"], *map(str, self.settings.backups), *kept.reached])
        days: int | None = said["log_days"]
        return schemas.ErasureRead(
            id=erased.id,
            client_id=erased.client_id,
            erased_at=erased.erased_at,
            erased_by=erased.erased_by,
            reason=erased.reason,
            key_fingerprint=None if erased.key_fingerprint is None else erased.key_fingerprint.hex(),
            removed=dict(erased.removed),
            remains=[schemas.Remaining(**one) for one in said["remains"]],
            backups=[schemas.BackupReached(folder=one, reached_at=kept.reached.get(one)) for one in folders],
            log_days=days,
            log_until=None if days is None else (erased.erased_at + timedelta(days=days)).date(),
            certificate=schemas.Certificate(
                statement=kept.statement,
                signature=chain.base64url(kept.signature),
                public_key=chain.public_jwk(kept.key_id, kept.public_key),
            ),
        )


async def erased_before(audit: Audit, client_id: uuid.UUID) -> ClientErased | None:
    """The problem for a client who was erased; None for one who was not, or never was."""
    async with audit.database.pool.acquire() as connection, connection.transaction():
        organisation_id = audit.principal.organisation_id
        await confine(connection, organisation_id)
        found = await repository.tombstone(connection, organisation_id, client_id)
    return None if found is None else ClientErased(*found)
