"""Every query for protocols and the episodes that follow them. Row-level security confines each to the organisation."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.care.tables import EpisodeRow
from api.protocols.tables import EpisodeProtocolRow, ProtocolRow, ProtocolVersionRow, SlotRow

Both = tuple[ProtocolRow, ProtocolVersionRow]


class ProtocolRepository:
    """Protocols of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def add(self, *rows: ProtocolVersionRow | EpisodeProtocolRow | ProtocolRow) -> None:
        """Insert, or write the changes of rows that were read, now."""
        self.session.add_all(rows)
        await self.session.flush()

    async def take(self, row: ProtocolRow) -> bool:
        """Insert a protocol; False where its code is taken, also by one that is being inserted."""
        query = insert(ProtocolRow).values(row.model_dump()).on_conflict_do_nothing().returning(col(ProtocolRow.id))
        return (await (await self.session.connection()).execute(query)).one_or_none() is not None

    async def protocol(self, protocol_id: uuid.UUID, *, lock: bool = False) -> ProtocolRow | None:
        """One protocol."""
        query = select(ProtocolRow).where(
            ProtocolRow.organisation_id == self.organisation_id, ProtocolRow.id == protocol_id
        )
        return (await self.session.exec(query.with_for_update() if lock else query)).one_or_none()

    async def of_code(self, code: str) -> ProtocolRow | None:
        """The protocol of a code."""
        query = select(ProtocolRow).where(ProtocolRow.organisation_id == self.organisation_id, ProtocolRow.code == code)
        return (await self.session.exec(query)).one_or_none()

    async def version(self, protocol_id: uuid.UUID, version: int) -> ProtocolVersionRow | None:
        """One version of a protocol."""
        query = select(ProtocolVersionRow).where(
            ProtocolVersionRow.organisation_id == self.organisation_id,
            ProtocolVersionRow.protocol_id == protocol_id,
            ProtocolVersionRow.version == version,
        )
        return (await self.session.exec(query)).one_or_none()

    async def protocols(self, after: uuid.UUID | None, limit: int) -> Sequence[Both]:
        """Protocols with their newest versions, in the order in which they were made, after one of them."""
        query = (
            select(ProtocolRow, ProtocolVersionRow)
            .join(
                ProtocolVersionRow,
                (col(ProtocolVersionRow.organisation_id) == col(ProtocolRow.organisation_id))
                & (col(ProtocolVersionRow.protocol_id) == col(ProtocolRow.id))
                & (col(ProtocolVersionRow.version) == col(ProtocolRow.version)),
            )
            .where(ProtocolRow.organisation_id == self.organisation_id)
        )
        if after is not None:
            query = query.where(col(ProtocolRow.id) > after)
        return (await self.session.exec(query.order_by(col(ProtocolRow.id)).limit(limit))).all()

    async def versions(self, protocol_id: uuid.UUID, after: int, limit: int) -> Sequence[ProtocolVersionRow]:
        """Versions of a protocol, oldest first, after one of them."""
        query = select(ProtocolVersionRow).where(
            ProtocolVersionRow.organisation_id == self.organisation_id,
            ProtocolVersionRow.protocol_id == protocol_id,
            ProtocolVersionRow.version > after,
        )
        return (await self.session.exec(query.order_by(col(ProtocolVersionRow.version)).limit(limit))).all()

    async def episode(self, client_id: uuid.UUID, episode_id: uuid.UUID, *, lock: bool = False) -> EpisodeRow | None:
        """One episode of a client; with ``lock`` protocols are assigned to it one after the other."""
        query = select(EpisodeRow).where(
            EpisodeRow.organisation_id == self.organisation_id,
            EpisodeRow.id == episode_id,
            EpisodeRow.client_id == client_id,
        )
        return (await self.session.exec(query.with_for_update(key_share=True) if lock else query)).one_or_none()

    async def one_followed(
        self, episode_id: uuid.UUID, followed_id: uuid.UUID, *, lock: bool = False
    ) -> EpisodeProtocolRow | None:
        """That an episode follows a protocol."""
        query = select(EpisodeProtocolRow).where(
            EpisodeProtocolRow.organisation_id == self.organisation_id,
            EpisodeProtocolRow.id == followed_id,
            EpisodeProtocolRow.episode_id == episode_id,
        )
        return (await self.session.exec(query.with_for_update() if lock else query)).one_or_none()

    async def followed(
        self, episode_id: uuid.UUID, after: uuid.UUID | None = None, limit: int | None = None
    ) -> Sequence[EpisodeProtocolRow]:
        """What an episode follows or followed, in the order of assignment, after one of them."""
        query = select(EpisodeProtocolRow).where(
            EpisodeProtocolRow.organisation_id == self.organisation_id, EpisodeProtocolRow.episode_id == episode_id
        )
        if after is not None:
            query = query.where(col(EpisodeProtocolRow.id) > after)
        return (await self.session.exec(query.order_by(col(EpisodeProtocolRow.id)).limit(limit))).all()

    async def slots(self, followed: Collection[uuid.UUID]) -> Sequence[SlotRow]:
        """All slots of some assignments, the first due first."""
        query = select(SlotRow).where(
            SlotRow.organisation_id == self.organisation_id, col(SlotRow.episode_protocol_id).in_(followed)
        )
        return (await self.session.exec(query.order_by(col(SlotRow.due_on), col(SlotRow.id)))).all()

    async def slot(self, slot_id: uuid.UUID) -> SlotRow:
        """One slot, which is known to be there."""
        query = select(SlotRow).where(SlotRow.organisation_id == self.organisation_id, SlotRow.id == slot_id)
        return (await self.session.exec(query)).one()
