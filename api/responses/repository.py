"""Every query that reads responses. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import CursorResult, Executable, Text, cast, func, literal, select, true, tuple_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from api.care.tables import EpisodeRow
from api.clients.tables import ClientRow
from api.responses import rescored
from api.responses.rescored import Rescored, Stored
from api.responses.tables import ResponseRow, SupersededRow


class Superseded(NamedTuple):
    """That a row no longer holds. ``by_response_id`` is None where the response was entered in error."""

    by_response_id: uuid.UUID | None
    reason_code: str
    reason_sealed: bytes | None
    at: datetime
    by: str


class Kept(NamedTuple):
    """A version of a response as it lies in the table; `document` and `answers` are JSON text.

    ``row_id`` is its own key, ``id`` the public one, which all versions share.
    """

    row_id: uuid.UUID
    id: uuid.UUID
    client_id: uuid.UUID
    instrument: str
    instrument_version: int
    variant: str
    setting: str | None
    episode_id: uuid.UUID | None
    answered_at: datetime
    recorded_at: datetime
    recorded_by: str
    revision: int
    document: str
    answers: str
    superseded: Superseded | None
    definition_checksum: str = ""
    """Of the definition that it was recorded with."""
    rescored: Rescored | None = None
    """The run whose scores count in place of the recorded ones."""

    @property
    def scored_version(self) -> int:
        """Of the instrument, by which the current scores were made."""
        return self.instrument_version if self.rescored is None else self.rescored.version

    @property
    def tag(self) -> str:
        """What its `ETag` holds: another one for each content that it is given out with."""
        revision = self.revision + self.void
        return str(revision) if self.rescored is None or self.void else f"{revision}.{self.rescored.id}"

    @property
    def void(self) -> bool:
        """Whether the response was entered in error and this is the last that it said."""
        return self.superseded is not None and self.superseded.by_response_id is None


class Wanted(NamedTuple):
    """Which of a client's responses; None is any.

    Those that hold, unless the ``history`` is wanted; now, or as they were known at a time.
    """

    instrument: str | None = None
    episode_id: uuid.UUID | None = None
    history: bool = False
    as_of: datetime | None = None


class ResponseRepository:
    """Responses of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self._organisation_id = organisation_id

    def _kept(self, as_of: datetime | None = None) -> Any:
        """Every version with what supersedes it; with a time, as far as either was recorded by it."""
        superseded = (col(SupersededRow.organisation_id) == col(ResponseRow.organisation_id)) & (
            col(SupersededRow.response_id) == col(ResponseRow.id)
        )
        if as_of is not None:
            superseded &= col(SupersededRow.at) <= as_of
        run = rescored.current(as_of)
        query = (
            select(
                col(ResponseRow.id),
                func.coalesce(col(ResponseRow.root_id), col(ResponseRow.id)),
                col(ResponseRow.client_id),
                col(ResponseRow.instrument),
                col(ResponseRow.instrument_version),
                col(ResponseRow.variant),
                col(ResponseRow.setting),
                col(ResponseRow.episode_id),
                col(ResponseRow.answered_at),
                col(ResponseRow.recorded_at),
                col(ResponseRow.recorded_by),
                col(ResponseRow.revision),
                # As text: the driver would parse JSON, and what was written cannot be had back from the parsed value.
                cast(col(ResponseRow.document), Text),
                cast(col(ResponseRow.answers), Text),
                col(SupersededRow.by_response_id),
                col(SupersededRow.reason_code),
                col(SupersededRow.reason_sealed),
                col(SupersededRow.at),
                col(SupersededRow.by),
                col(ResponseRow.definition_checksum),
                *run.c,
            )
            .outerjoin(SupersededRow, superseded)
            .outerjoin(run, true())
            .where(col(ResponseRow.organisation_id) == self._organisation_id)
        )
        return query if as_of is None else query.where(col(ResponseRow.recorded_at) <= as_of)

    async def _execute(self, query: Executable) -> CursorResult[Any]:
        """Columns rather than objects: what is read goes out as it is, and a session would only keep it."""
        return await (await self.session.connection()).execute(query)

    async def _all(self, query: Executable) -> list[Kept]:
        return [_made(row) for row in await self._execute(query)]

    async def row(self, row_id: uuid.UUID) -> Kept | None:
        """One version by its own key."""
        return next(iter(await self._all(self._kept().where(col(ResponseRow.id) == row_id))), None)

    async def root(self, response_id: uuid.UUID) -> Kept | None:
        """A response as it was first recorded."""
        found = await self.row(response_id)
        return found if found is not None and found.row_id == found.id else None

    async def amendments(self, response_id: uuid.UUID) -> list[Kept]:
        """The further versions of a response, oldest first."""
        query = self._kept().where(col(ResponseRow.root_id) == response_id).order_by(col(ResponseRow.revision))
        return await self._all(query)

    async def last(self, response_id: uuid.UUID) -> Kept | None:
        """What a response says now, or said before it was found to be void."""
        found = await self.root(response_id)
        if found is None or found.superseded is None or found.void:
            return found
        return (await self.amendments(response_id))[-1]

    async def versions(self, response_id: uuid.UUID) -> list[Kept]:
        """All versions of a response, oldest first; none where there is no such response."""
        found = await self.root(response_id)
        return [] if found is None else [found, *await self.amendments(response_id)]

    async def runs(self, row_id: uuid.UUID) -> list[Rescored]:
        """The runs that have scores of one version and were applied, newest first; those that were withdrawn too."""
        query = rescored.every(self._organisation_id, row_id)
        return [Rescored._make(row) for row in await self._execute(query)]

    async def scores_by(self, pairs: list[tuple[uuid.UUID, uuid.UUID]]) -> dict[uuid.UUID, dict[str, Stored]]:
        """The scores of some versions, each by a run: by the version's own key and scale."""
        found: dict[uuid.UUID, dict[str, Stored]] = {}
        if pairs:
            rows: Any = await self._execute(rescored.scores(self._organisation_id, pairs))
            for response_id, scale, *score in rows:
                found.setdefault(response_id, {})[scale] = Stored._make(score)
        return found

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

    async def key_wrapped(self, client_id: uuid.UUID) -> bytes:
        """The key of a client, as it is stored."""
        query = select(col(ClientRow.key_wrapped)).where(
            col(ClientRow.organisation_id) == self._organisation_id, col(ClientRow.id) == client_id
        )
        wrapped: bytes = (await self._execute(query)).scalar_one()
        return wrapped

    async def newest(
        self, client_id: uuid.UUID, wanted: Wanted, before: tuple[datetime, uuid.UUID] | None, limit: int
    ) -> Sequence[Kept]:
        """Responses of a client in the order of answering, newest first, from a place in that order on."""
        query = self._kept(wanted.as_of).where(col(ResponseRow.client_id) == client_id)
        if not wanted.history:
            query = query.where(col(SupersededRow.response_id).is_(None))
        if wanted.instrument is not None:
            query = query.where(col(ResponseRow.instrument) == wanted.instrument)
        if wanted.episode_id is not None:
            query = query.where(col(ResponseRow.episode_id) == wanted.episode_id)
        if before is not None:
            place = tuple_(col(ResponseRow.answered_at), col(ResponseRow.id))
            query = query.where(place < tuple_(literal(before[0]), literal(before[1])))
        query = query.order_by(col(ResponseRow.answered_at).desc(), col(ResponseRow.id).desc()).limit(limit)
        return await self._all(query)


def _made(row: Any) -> Kept:
    kept, superseded, checksum, run = row[:14], row[14:19], row[19], row[20:]
    by = None if superseded[3] is None else Superseded._make(superseded)
    return Kept._make((*kept, by, checksum, None if run[0] is None else Rescored._make(run)))
