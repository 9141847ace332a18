"""Every query for references on behalf of a request. What a fit itself asks is in `api.references.jobs`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import func, text, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.references.tables import KEY, ReferenceRow, ReferenceUseRow

TASK: Final = "fit_reference"
_QUEUE: Final = text(
    "select jobs.procrastinate_defer_jobs_v1(array[row("
    "'default', :task, 0, null, null, cast(:args as jsonb), null)::jobs.procrastinate_job_to_defer_v1])"
)
_LOCK: Final = text("select pg_advisory_xact_lock(hashtextextended('references' || :organisation, 0))")


class ReferenceRepository:
    """References of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def alone(self) -> None:
        """Wait until nobody else numbers or activates references of the organisation, to the transaction's end."""
        await (await self.session.connection()).execute(_LOCK, {"organisation": str(self.organisation_id)})

    async def add(self, row: ReferenceRow | ReferenceUseRow) -> None:
        """Insert now, so that a broken constraint is raised here."""
        self.session.add(row)
        await self.session.flush()

    async def save(self) -> None:
        """Write changes of rows that were read, now."""
        await self.session.flush()

    async def get(self, reference_id: uuid.UUID, *, for_update: bool = False) -> ReferenceRow | None:
        """One reference."""
        query = select(ReferenceRow).where(
            col(ReferenceRow.organisation_id) == self.organisation_id, col(ReferenceRow.id) == reference_id
        )
        return (await self.session.exec(query.with_for_update() if for_update else query)).one_or_none()

    async def next_number(self, like: ReferenceRow) -> int:
        """The version that a further reference for the same scale and stratum gets."""
        query = select(func.max(ReferenceRow.number)).where(*_alike(like))
        return ((await self.session.exec(query)).one() or 0) + 1

    async def active(self, like: ReferenceRow) -> ReferenceRow | None:
        """The one in use for the same scale and stratum."""
        return (
            await self.session.exec(select(ReferenceRow).where(*_alike(like), col(ReferenceRow.active)))
        ).one_or_none()

    async def waiting(self) -> int:
        """How many have not been fitted yet."""
        query = select(func.count()).where(
            col(ReferenceRow.organisation_id) == self.organisation_id,
            col(ReferenceRow.state).in_(("queued", "running")),
        )
        return (await self.session.exec(query)).one()

    async def page(
        self, instrument: str | None, before: tuple[datetime, uuid.UUID] | None, limit: int, *, active: bool | None
    ) -> Sequence[ReferenceRow]:
        """References, newest first, from a place in that order on."""
        order = (col(ReferenceRow.created_at), col(ReferenceRow.id))
        query = select(ReferenceRow).where(col(ReferenceRow.organisation_id) == self.organisation_id)
        if instrument is not None:
            query = query.where(col(ReferenceRow.instrument) == instrument)
        if active is not None:
            query = query.where(col(ReferenceRow.active) == active)
        if before is not None:
            query = query.where(tuple_(*order) < tuple_(*before))
        return (await self.session.exec(query.order_by(*(one.desc() for one in order)).limit(limit))).all()

    async def uses(self, reference_id: uuid.UUID) -> Sequence[ReferenceUseRow]:
        """When one was taken into use and out of it, oldest first."""
        query = select(ReferenceUseRow).where(
            col(ReferenceUseRow.organisation_id) == self.organisation_id,
            col(ReferenceUseRow.reference_id) == reference_id,
        )
        return (await self.session.exec(query.order_by(col(ReferenceUseRow.at), col(ReferenceUseRow.id)))).all()

    async def queue(self, reference_id: uuid.UUID) -> None:
        """Let a worker begin at once, if this transaction commits. Without any, the sweep finds it (`jobs`)."""
        connection = await self.session.connection()
        await connection.execute(text("set local search_path = jobs, public"))
        args = orjson.dumps({"organisation_id": str(self.organisation_id), "reference_id": str(reference_id)}).decode()
        await connection.execute(_QUEUE, {"task": TASK, "args": args})
        await connection.execute(text("set local search_path to default"))


def _alike(like: ReferenceRow) -> list[bool]:
    own = col(ReferenceRow.organisation_id) == like.organisation_id
    return [own, *(getattr(ReferenceRow, name).is_not_distinct_from(getattr(like, name)) for name in KEY)]
