"""Every query for clients. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.clients.tables import ClientRow


class ClientRepository:
    """Clients of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self._organisation_id = organisation_id

    async def add(self, row: ClientRow) -> None:
        """Insert now, so that a broken constraint is raised here."""
        self.session.add(row)
        await self.session.flush()

    async def save(self) -> None:
        """Write changes of rows that were read, now."""
        await self.session.flush()

    async def get(self, client_id: uuid.UUID, *, for_update: bool = False) -> ClientRow | None:
        """One client; with ``for_update`` nobody else changes it before this transaction has ended."""
        query = select(ClientRow).where(ClientRow.organisation_id == self._organisation_id, ClientRow.id == client_id)
        return (await self.session.exec(query.with_for_update() if for_update else query)).one_or_none()

    async def some(self, client_ids: Collection[uuid.UUID]) -> Sequence[ClientRow]:
        """Those of some ids that there are."""
        query = select(ClientRow).where(
            ClientRow.organisation_id == self._organisation_id, col(ClientRow.id).in_(client_ids)
        )
        return (await self.session.exec(query)).all()

    async def by_external_id(self, external_id_hash: bytes) -> ClientRow | None:
        """The client with the keyed hash of an external identifier."""
        query = select(ClientRow).where(
            ClientRow.organisation_id == self._organisation_id, ClientRow.external_id_hash == external_id_hash
        )
        return (await self.session.exec(query)).one_or_none()

    async def page(self, after: tuple[datetime, uuid.UUID] | None, limit: int) -> Sequence[ClientRow]:
        """Clients in the order of their ids, which is that of their making, after a place in it."""
        query = select(ClientRow).where(ClientRow.organisation_id == self._organisation_id)
        if after is not None:
            query = query.where(col(ClientRow.id) > after[1])
        return (await self.session.exec(query.order_by(col(ClientRow.id)).limit(limit))).all()
