"""Every query for runs on behalf of a request. What the runs themselves ask is in `api.rescoring.queries`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import text, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.records.tables import OutboxRow
from api.rescoring.tables import RescoringEffectRow, RescoringRow

TASK: Final = "rescore"
_QUEUE: Final = text(
    "select jobs.procrastinate_defer_jobs_v1(array[row("
    "'default', :task, 0, null, null, cast(:args as jsonb), null)::jobs.procrastinate_job_to_defer_v1])"
)


class RescoringRepository:
    """Runs of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def add(self, row: RescoringRow | RescoringEffectRow | OutboxRow) -> None:
        """Insert now, so that a broken constraint is raised here."""
        self.session.add(row)
        await self.session.flush()

    async def save(self) -> None:
        """Write changes of rows that were read, now."""
        await self.session.flush()

    async def get(self, run_id: uuid.UUID, *, for_update: bool = False) -> RescoringRow | None:
        """One run; with ``for_update``, once a batch that is under way has ended, and before the next begins."""
        query = select(RescoringRow).where(
            col(RescoringRow.organisation_id) == self.organisation_id, col(RescoringRow.id) == run_id
        )
        return (await self.session.exec(query.with_for_update() if for_update else query)).one_or_none()

    async def unfinished(self, instrument: str) -> Sequence[RescoringRow]:
        """The runs of an instrument that have not ended, but dry ones: one at most."""
        query = select(RescoringRow).where(
            col(RescoringRow.organisation_id) == self.organisation_id,
            col(RescoringRow.instrument) == instrument,
            col(RescoringRow.state).in_(("queued", "running", "stopped")),
            ~col(RescoringRow.dry_run),
        )
        return (await self.session.exec(query)).all()

    async def page(
        self, instrument: str | None, before: tuple[datetime, uuid.UUID] | None, limit: int
    ) -> Sequence[RescoringRow]:
        """Runs, newest first, from a place in that order on."""
        order = (col(RescoringRow.created_at), col(RescoringRow.id))
        query = select(RescoringRow).where(col(RescoringRow.organisation_id) == self.organisation_id)
        if instrument is not None:
            query = query.where(col(RescoringRow.instrument) == instrument)
        if before is not None:
            query = query.where(tuple_(*order) < tuple_(*before))
        return (await self.session.exec(query.order_by(*(one.desc() for one in order)).limit(limit))).all()

    async def effects(self, run_ids: Sequence[uuid.UUID]) -> dict[tuple[uuid.UUID, str], RescoringEffectRow]:
        """What is kept of whether runs count, by run and effect."""
        query = select(RescoringEffectRow).where(
            col(RescoringEffectRow.organisation_id) == self.organisation_id,
            col(RescoringEffectRow.rescoring_id).in_(run_ids),
        )
        return {(row.rescoring_id, row.effect): row for row in (await self.session.exec(query)).all()}

    async def queue(self, run_id: uuid.UUID) -> None:
        """Let a worker begin at once, if this transaction commits. Without any, the sweep finds the run (`jobs`)."""
        connection = await self.session.connection()
        await connection.execute(text("set local search_path = jobs, public"))
        args = orjson.dumps({"organisation_id": str(self.organisation_id), "rescoring_id": str(run_id)}).decode()
        await connection.execute(_QUEUE, {"task": TASK, "args": args})
        await connection.execute(text("set local search_path to default"))
