"""Every query that reads responses. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import CursorResult, Executable, Text, cast, literal, select, tuple_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from api.care.tables import EpisodeRow
from api.clients.tables import ClientRow
from api.responses.tables import ResponseRow


class Kept(NamedTuple):
    """A response as it lies in the table; `document` and `answers` are JSON text."""

    id: uuid.UUID
    client_id: uuid.UUID
    instrument: str
    instrument_version: int
    variant: str
    answered_at: datetime
    document: str
    answers: str


class Wanted(NamedTuple):
    """Which of a client's responses; None is any."""

    instrument: str | None = None
    episode_id: uuid.UUID | None = None


class ResponseRepository:
    """Responses of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self._organisation_id = organisation_id
        self._kept = select(
            col(ResponseRow.id),
            col(ResponseRow.client_id),
            col(ResponseRow.instrument),
            col(ResponseRow.instrument_version),
            col(ResponseRow.variant),
            col(ResponseRow.answered_at),
            # As text: the driver would parse JSON, and what was written cannot be had back from the parsed value.
            cast(col(ResponseRow.document), Text),
            cast(col(ResponseRow.answers), Text),
        ).where(col(ResponseRow.organisation_id) == organisation_id)

    async def _execute(self, query: Executable) -> CursorResult[Any]:
        """Columns rather than objects: what is read goes out as it is, and a session would only keep it."""
        return await (await self.session.connection()).execute(query)

    async def get(self, response_id: uuid.UUID) -> Kept | None:
        """One response."""
        row = (await self._execute(self._kept.where(col(ResponseRow.id) == response_id))).one_or_none()
        return None if row is None else Kept._make(row)

    async def client_exists(self, client_id: uuid.UUID) -> bool:
        """Whether the organisation has such a client."""
        query = select(literal(1)).where(
            col(ClientRow.organisation_id) == self._organisation_id, col(ClientRow.id) == client_id
        )
        return (await self._execute(query)).one_or_none() is not None

    async def episode_exists(self, client_id: uuid.UUID, episode_id: uuid.UUID) -> bool:
        """Whether the client has such an episode."""
        query = select(literal(1)).where(
            col(EpisodeRow.organisation_id) == self._organisation_id,
            col(EpisodeRow.id) == episode_id,
            col(EpisodeRow.client_id) == client_id,
        )
        return (await self._execute(query)).one_or_none() is not None

    async def newest(
        self, client_id: uuid.UUID, wanted: Wanted, before: tuple[datetime, uuid.UUID] | None, limit: int
    ) -> Sequence[Kept]:
        """Responses of a client in the order of answering, newest first, from a place in that order on."""
        query = self._kept.where(col(ResponseRow.client_id) == client_id)
        if wanted.instrument is not None:
            query = query.where(col(ResponseRow.instrument) == wanted.instrument)
        if wanted.episode_id is not None:
            query = query.where(col(ResponseRow.episode_id) == wanted.episode_id)
        if before is not None:
            place = tuple_(col(ResponseRow.answered_at), col(ResponseRow.id))
            query = query.where(place < tuple_(literal(before[0]), literal(before[1])))
        query = query.order_by(col(ResponseRow.answered_at).desc(), col(ResponseRow.id).desc()).limit(limit)
        return [Kept._make(row) for row in await self._execute(query)]
