"""Every query for assignments. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.assignments.tables import AssignmentRow, CompletionRow
from api.clients.tables import ClientRow


class AssignmentRepository:
    """Assignments of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def add(self, *rows: AssignmentRow | CompletionRow) -> None:
        """Insert, or write the changes of rows that were read, now."""
        self.session.add_all(rows)
        await self.session.flush()

    async def client(self, client_id: uuid.UUID) -> ClientRow | None:
        """A client, for the key that notes are sealed with."""
        query = select(ClientRow).where(ClientRow.organisation_id == self.organisation_id, ClientRow.id == client_id)
        return (await self.session.exec(query)).one_or_none()

    async def assignment(
        self, client_id: uuid.UUID, assignment_id: uuid.UUID, *, lock: bool = False
    ) -> AssignmentRow | None:
        """One assignment of a client."""
        query = select(AssignmentRow).where(
            AssignmentRow.organisation_id == self.organisation_id,
            AssignmentRow.id == assignment_id,
            AssignmentRow.client_id == client_id,
        )
        return (await self.session.exec(query.with_for_update() if lock else query)).one_or_none()

    async def assignments(
        self, client_id: uuid.UUID, after: uuid.UUID | None, limit: int | None
    ) -> Sequence[AssignmentRow]:
        """Assignments of a client in the order of their recording, after one of them."""
        query = select(AssignmentRow).where(
            AssignmentRow.organisation_id == self.organisation_id, AssignmentRow.client_id == client_id
        )
        if after is not None:
            query = query.where(col(AssignmentRow.id) > after)
        return (await self.session.exec(query.order_by(col(AssignmentRow.id)).limit(limit))).all()

    async def last(self, assignment_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, CompletionRow]:
        """What holds of each of some assignments; those of which nothing does are left out."""
        query = (
            select(CompletionRow)
            .where(
                CompletionRow.organisation_id == self.organisation_id,
                col(CompletionRow.assignment_id).in_(assignment_ids),
            )
            .order_by(col(CompletionRow.version))
        )
        found = {row.assignment_id: row for row in (await self.session.exec(query)).all()}
        return {key: row for key, row in found.items() if row.outcome is not None}

    async def completions(self, assignment_id: uuid.UUID, after: int, limit: int) -> Sequence[CompletionRow]:
        """All that was recorded of an assignment, oldest first, after a version of it."""
        query = select(CompletionRow).where(
            CompletionRow.organisation_id == self.organisation_id,
            CompletionRow.assignment_id == assignment_id,
            CompletionRow.version > after,
        )
        return (await self.session.exec(query.order_by(col(CompletionRow.version)).limit(limit))).all()
