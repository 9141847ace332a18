"""Every query for wording packs. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.wordings.tables import WordingPackRow

State = Literal["held", "expiring", "expired", "not-yet-valid", "withdrawn"]
NO_END: Final = date.max


class Key(NamedTuple):
    """What a pack is the text of. All versions of one pack share it."""

    instrument: str
    instrument_version: int
    language: str
    variant: str


class WordingRepository:
    """Wording packs of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def add(self, row: WordingPackRow) -> None:
        """Insert now, so that a version that somebody else has just written is raised here."""
        self.session.add(row)
        await self.session.flush()

    async def newest(self, key: Key) -> WordingPackRow | None:
        """The newest version of a pack, or its withdrawal."""
        newest = select(WordingPackRow).where(*self._of(key)).order_by(col(WordingPackRow.pack_version).desc()).limit(1)
        return (await self.session.exec(newest)).one_or_none()

    async def version(self, key: Key, number: int) -> WordingPackRow | None:
        """One version of a pack."""
        one = select(WordingPackRow).where(*self._of(key), col(WordingPackRow.pack_version) == number)
        return (await self.session.exec(one)).one_or_none()

    async def history(self, key: Key, after: uuid.UUID | None, limit: int) -> Sequence[WordingPackRow]:
        """Versions of a pack, newest first, after the one with an id."""
        query = select(WordingPackRow).where(*self._of(key))
        if after is not None:
            place = select(col(WordingPackRow.pack_version)).where(*self._of(key), col(WordingPackRow.id) == after)
            query = query.where(col(WordingPackRow.pack_version) < place.scalar_subquery())
        return (await self.session.exec(query.order_by(col(WordingPackRow.pack_version).desc()).limit(limit))).all()

    async def languages(self, instrument: str, version: int, variant: str) -> Sequence[WordingPackRow]:
        """The newest version in each language, withdrawals included."""
        return (
            await self.session.exec(
                select(WordingPackRow)
                .where(
                    col(WordingPackRow.organisation_id) == self.organisation_id,
                    col(WordingPackRow.instrument) == instrument,
                    col(WordingPackRow.instrument_version) == version,
                    col(WordingPackRow.variant) == variant,
                    _NEWEST,
                )
                .order_by(col(WordingPackRow.language))
            )
        ).all()

    async def licences(
        self,
        *,
        today: date,
        within: int,
        state: State | None,
        instrument: str | None,
        after: tuple[date, uuid.UUID] | None,
        limit: int,
    ) -> Sequence[WordingPackRow]:
        """The newest version of every pack, in the order in which they run out; without an end comes last."""
        until = func.coalesce(WordingPackRow.valid_until, NO_END)
        query = select(WordingPackRow).where(col(WordingPackRow.organisation_id) == self.organisation_id, _NEWEST)
        if instrument is not None:
            query = query.where(col(WordingPackRow.instrument) == instrument)
        if state is not None:
            query = query.where(_in_state(state, today, today + timedelta(days=within)))
        if after is not None:
            query = query.where(tuple_(until, col(WordingPackRow.id)) > tuple_(*after))
        return (await self.session.exec(query.order_by(until, col(WordingPackRow.id)).limit(limit))).all()

    def _of(self, key: Key) -> list[ColumnElement[bool]]:
        return [
            col(WordingPackRow.organisation_id) == self.organisation_id,
            *(col(getattr(WordingPackRow, name)) == value for name, value in key._asdict().items()),
        ]


_LATER: Final = aliased(WordingPackRow)
_NEWEST: Final = not_(
    exists().where(
        col(_LATER.organisation_id) == col(WordingPackRow.organisation_id),
        *(col(getattr(_LATER, name)) == col(getattr(WordingPackRow, name)) for name in Key._fields),
        col(_LATER.pack_version) > col(WordingPackRow.pack_version),
    )
)
"""No later version of the same pack."""


def _in_state(state: State, today: date, soon: date) -> ColumnElement[bool]:
    """The same as `service.state_of`, for the database."""
    until, withdrawn = col(WordingPackRow.valid_until), col(WordingPackRow.withdrawn)
    begun = col(WordingPackRow.valid_from) <= today
    if state == "withdrawn":
        return and_(withdrawn)
    there = {
        "expired": until < today,
        "not-yet-valid": not_(begun),
        "expiring": and_(begun, until >= today, until <= soon),
        "held": and_(begun, or_(until.is_(None), until > soon)),
    }
    return and_(not_(withdrawn), there[state])
