"""The rules about clients: identifiers sealed and found by hash, changes merged, each step in the audit trail."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
from sqlalchemy.exc import IntegrityError

from api.clients.repository import ClientRepository
from api.clients.schemas import ClientCreate, ClientPatch, ClientRead
from api.clients.tables import ClientRow
from api.conditional import etag, require_match
from api.consents.repository import ResearchConsentRepository
from api.ids import new_id
from api.organisations.keys import lookup_key_of
from api.paging import decode_cursor, encode_cursor
from api.problems import ExternalIdTaken, NotFound, PreconditionFailed
from api.records.audit import Audit
from api.security import crypto

_EXTERNAL_ID_UNIQUE: Final = "uq_client_external_id_hash_organisation_id"
UNKNOWN: Final = "There is no such client."


def external_id_of(keys: crypto.Keys, row: ClientRow) -> str | None:
    """The identifier that the record system has for a client; None where it has stated none."""
    if row.external_id_sealed is None:
        return None
    whose = {"organisation_id": row.organisation_id, "client_id": row.id}
    return crypto.open_external_id(
        crypto.unwrap_client_key(keys, row.key_wrapped, **whose), row.external_id_sealed, **whose
    )


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients of one organisation, for one request."""

    repository: ClientRepository
    keys: crypto.Keys
    organisation_id: uuid.UUID
    audit: Audit

    async def create(self, body: ClientCreate) -> ClientRead:
        """A new client.

        Raises
        ------
        ExternalIdTaken
            Another client of the organisation has the external identifier.
        """
        now = datetime.now(UTC)
        client_id = new_id()
        client_key = crypto.new_client_key()
        row = ClientRow(
            organisation_id=self.organisation_id,
            id=client_id,
            key_wrapped=crypto.wrap_client_key(
                self.keys, client_key, organisation_id=self.organisation_id, client_id=client_id
            ),
            created_at=now,
            updated_at=now,
            version=1,
            **body.model_dump(exclude={"external_id"}),
        )
        await self._set_external_id(row, body.external_id, client_key)
        try:
            await self.repository.add(row)
        except IntegrityError as error:
            raise await self._taken("create", None, error) from None
        if body.research_consent:
            await self._consent(row, given=True)
        self.audit.record(self.repository.session, "create", "client", client_id)
        return self._read(row)

    async def get(self, client_id: uuid.UUID) -> ClientRead:
        """One client.

        Raises
        ------
        NotFound
            No such client in this organisation.
        """
        row = await self.repository.get(client_id)
        if row is None:
            await self.audit.refused("read", "client", client_id, "not-found")
            raise NotFound(UNKNOWN)
        self.audit.record(self.repository.session, "read", "client", client_id)
        return self._read(row)

    async def named(self, client_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str | None]:
        """External identifiers by client, for lists of what else is theirs; each client shown has an event."""
        rows = await self.repository.some(client_ids) if client_ids else []
        for row in rows:
            self.audit.record(self.repository.session, "list", "client", row.id)
        return {row.id: self._read(row).external_id for row in rows}

    async def find(self, external_id: str) -> list[ClientRead]:
        """The client with an external identifier, or none."""
        row = await self.repository.by_external_id(
            crypto.external_id_hash(await self._lookup_key(), self.organisation_id, external_id)
        )
        self.audit.record(self.repository.session, "find", "client", None if row is None else row.id)
        return [] if row is None else [self._read(row)]

    async def page(self, cursor: str | None, limit: int) -> tuple[list[ClientRead], str | None]:
        """A page of clients and the cursor of the next."""
        rows = await self.repository.page(None if cursor is None else decode_cursor(cursor), limit + 1)
        self.audit.record(self.repository.session, "list", "client")
        more = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
        return [self._read(row) for row in rows[:limit]], more

    async def change(self, client_id: uuid.UUID, body: ClientPatch, if_match: str | None) -> ClientRead:
        """Merge changes into a client. What changes nothing makes no new version.

        Raises
        ------
        NotFound, PreconditionFailed, ExternalIdTaken
        """
        row = await self.repository.get(client_id, for_update=True)
        if row is None:
            await self.audit.refused("change", "client", client_id, "not-found")
            raise NotFound(UNKNOWN)
        try:
            require_match(if_match, etag(row.version))
        except PreconditionFailed:
            await self.audit.refused("change", "client", client_id, "stale")
            raise
        consented = row.research_consent
        if await self._merge(row, body):
            row.version += 1
            row.updated_at = max(datetime.now(UTC), row.updated_at)  # a clock set back breaks no order
            try:
                await self.repository.save()
            except IntegrityError as error:
                raise await self._taken("change", client_id, error) from None
            if row.research_consent != consented:
                await self._consent(row, given=row.research_consent)
        self.audit.record(self.repository.session, "change", "client", client_id)
        return self._read(row)

    async def _merge(self, row: ClientRow, body: ClientPatch) -> bool:
        given: dict[str, Any] = body.model_dump(exclude_unset=True)
        changed = False
        if "external_id" in given:
            external_id = given.pop("external_id")
            client_key = self._client_key(row)
            if external_id != external_id_of(self.keys, row):
                await self._set_external_id(row, external_id, client_key)
                changed = True
        if given.get("research_consent", False) is None:
            given["research_consent"] = False
        for name, value in given.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
                changed = True
        return changed

    async def _lookup_key(self) -> bytes:
        return await lookup_key_of(self.repository.session, self.keys, self.organisation_id)

    async def _consent(self, row: ClientRow, *, given: bool) -> None:
        """Keep what was said of research here as if it had been said today: no other day was given."""
        consents = ResearchConsentRepository(self.repository.session, self.organisation_id)
        by = self.audit.principal.subject
        await consents.state(row, given=given, stated_on=datetime.now(UTC).date(), text_version=None, by=by)

    def _client_key(self, row: ClientRow) -> bytes:
        return crypto.unwrap_client_key(
            self.keys, row.key_wrapped, organisation_id=row.organisation_id, client_id=row.id
        )

    async def _set_external_id(self, row: ClientRow, external_id: str | None, client_key: bytes) -> None:
        if external_id is None:
            row.external_id_hash = row.external_id_sealed = None
            return
        row.external_id_hash = crypto.external_id_hash(await self._lookup_key(), row.organisation_id, external_id)
        row.external_id_sealed = crypto.seal_external_id(
            client_key, external_id, organisation_id=row.organisation_id, client_id=row.id
        )

    def _read(self, row: ClientRow) -> ClientRead:
        return ClientRead(
            id=row.id,
            external_id=external_id_of(self.keys, row),
            birth_year=row.birth_year,
            gender=row.gender,
            organs=row.organs,
            partnered=row.partnered,
            sex_registered_at_birth=row.sex_registered_at_birth,
            orientation=row.orientation,
            relationship_structure=row.relationship_structure,
            neurodivergence=row.neurodivergence,
            languages=row.languages,
            menopausal_stage=row.menopausal_stage,
            research_consent=row.research_consent,
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
        )

    async def _taken(self, action: str, client_id: uuid.UUID | None, error: IntegrityError) -> Exception:
        """The problem for a broken constraint; any but the one on external identifiers is a fault of ours."""
        cause = None if error.orig is None else error.orig.__cause__
        if not (isinstance(cause, asyncpg.UniqueViolationError) and cause.constraint_name == _EXTERNAL_ID_UNIQUE):
            return error
        await self.audit.refused(action, "client", client_id, "external-id-taken")
        return ExternalIdTaken("Find the client with GET /v1/clients?external_id=")
