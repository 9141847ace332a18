"""Every query for episodes and sessions. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from sqlalchemy import exists, func, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.care.tables import EpisodeRow, SessionRow
from api.clients.tables import ClientRow
from api.responses.tables import ResponseRow, SupersededRow

CANCELLED = "cancelled"


class CareRepository:
    """Episodes and sessions of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def add(self, row: EpisodeRow | SessionRow) -> None:
        """Insert now, so that a broken constraint is raised here."""
        self.session.add(row)
        await self.session.flush()

    async def save(self) -> None:
        """Write changes of rows that were read, now."""
        await self.session.flush()

    async def client_exists(self, client_id: uuid.UUID, *, lock: bool = False) -> bool:
        """Whether there is such a client; with ``lock`` of several transactions one at a time goes on from here.

        The weaker of the two exclusive locks: what refers to the client is recorded meanwhile without waiting.
        """
        query = select(ClientRow.id).where(ClientRow.organisation_id == self.organisation_id, ClientRow.id == client_id)
        query = query.with_for_update(key_share=True) if lock else query
        return (await self.session.exec(query)).one_or_none() is not None

    async def episode(
        self, client_id: uuid.UUID, episode_id: uuid.UUID, lock: Literal["share", "change"] | None = None
    ) -> EpisodeRow | None:
        """One episode of a client; ``share`` keeps its days as they are until this transaction has ended."""
        query = select(EpisodeRow).where(
            EpisodeRow.organisation_id == self.organisation_id,
            EpisodeRow.id == episode_id,
            EpisodeRow.client_id == client_id,
        )
        if lock is not None:
            query = query.with_for_update(read=lock == "share")
        return (await self.session.exec(query)).one_or_none()

    async def episodes(
        self, client_id: uuid.UUID, after: tuple[date, uuid.UUID] | None, limit: int
    ) -> Sequence[EpisodeRow]:
        """Episodes of a client in the order of their first days, after a place in it."""
        query = select(EpisodeRow).where(
            EpisodeRow.organisation_id == self.organisation_id, EpisodeRow.client_id == client_id
        )
        place = tuple_(col(EpisodeRow.started_on), col(EpisodeRow.id))
        if after is not None:
            query = query.where(place > tuple_(literal(after[0]), literal(after[1])))
        query = query.order_by(col(EpisodeRow.started_on), col(EpisodeRow.id)).limit(limit)
        return (await self.session.exec(query)).all()

    async def overlapped(self, row: EpisodeRow) -> bool:
        """Whether another episode of the same client and format shares more with this one than a first or last day."""
        query = select(EpisodeRow.id).where(
            EpisodeRow.organisation_id == row.organisation_id,
            EpisodeRow.client_id == row.client_id,
            EpisodeRow.format == row.format,
            EpisodeRow.id != row.id,
            col(EpisodeRow.ended_on).is_(None) | (col(EpisodeRow.ended_on) > row.started_on),
        )
        if row.ended_on is not None:
            query = query.where(EpisodeRow.started_on < row.ended_on)
        with self.session.no_autoflush:  # the row may be one that is being changed, and is not yet known to be good
            return (await self.session.exec(query.limit(1))).one_or_none() is not None

    async def session_days(self, episode_id: uuid.UUID) -> tuple[date, date] | None:
        """Days of the first and the last session that was not cancelled."""
        query = select(func.min(col(SessionRow.held_on)), func.max(col(SessionRow.held_on))).where(
            SessionRow.organisation_id == self.organisation_id,
            SessionRow.episode_id == episode_id,
            col(SessionRow.attendance).is_distinct_from(CANCELLED),
        )
        with self.session.no_autoflush:
            first, last = (await self.session.exec(query)).one()
        return None if first is None else (first, last)

    async def answer_days(self, client_id: uuid.UUID, episode_id: uuid.UUID) -> tuple[date, date] | None:
        """Days (UTC) of the first and the last answers that belong to an episode; what was corrected does not count."""
        corrected = select(SupersededRow.response_id).where(
            SupersededRow.organisation_id == ResponseRow.organisation_id, SupersededRow.response_id == ResponseRow.id
        )
        query = select(func.min(col(ResponseRow.answered_at)), func.max(col(ResponseRow.answered_at))).where(
            ResponseRow.organisation_id == self.organisation_id,
            ResponseRow.client_id == client_id,
            ResponseRow.episode_id == episode_id,
            ~exists(corrected),
        )
        with self.session.no_autoflush:
            first, last = (await self.session.exec(query)).one()
        return None if first is None else (first.date(), last.date())

    async def held(self, episode_id: uuid.UUID, session_id: uuid.UUID, *, lock: bool = False) -> SessionRow | None:
        """One session of an episode."""
        query = select(SessionRow).where(
            SessionRow.organisation_id == self.organisation_id,
            SessionRow.id == session_id,
            SessionRow.episode_id == episode_id,
        )
        return (await self.session.exec(query.with_for_update() if lock else query)).one_or_none()

    async def sessions(
        self, episode_id: uuid.UUID, after: tuple[datetime, uuid.UUID] | None, limit: int
    ) -> Sequence[SessionRow]:
        """Sessions of an episode in the order of their times, after a place in it."""
        query = select(SessionRow).where(
            SessionRow.organisation_id == self.organisation_id, SessionRow.episode_id == episode_id
        )
        if after is not None:
            place = tuple_(col(SessionRow.held_at), col(SessionRow.id))
            query = query.where(place > tuple_(literal(after[0]), literal(after[1])))
        query = query.order_by(col(SessionRow.held_at), col(SessionRow.id)).limit(limit)
        return (await self.session.exec(query)).all()
