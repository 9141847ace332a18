"""Every query for goals. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.clients.tables import ClientRow
from api.goals.tables import GoalRow, RatingRow


class GoalRepository:
    """Goals and ratings of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def add(self, row: GoalRow | RatingRow) -> None:
        """Insert, or write the changes of a row that was read, now."""
        self.session.add(row)
        await self.session.flush()

    async def client(self, client_id: uuid.UUID) -> ClientRow | None:
        """A client, for the key that texts are sealed with."""
        query = select(ClientRow).where(ClientRow.organisation_id == self.organisation_id, ClientRow.id == client_id)
        return (await self.session.exec(query)).one_or_none()

    async def goal(self, client_id: uuid.UUID, goal_id: uuid.UUID, *, lock: bool = False) -> GoalRow | None:
        """One goal of a client."""
        query = select(GoalRow).where(
            GoalRow.organisation_id == self.organisation_id, GoalRow.id == goal_id, GoalRow.client_id == client_id
        )
        return (await self.session.exec(query.with_for_update() if lock else query)).one_or_none()

    async def goals(self, client_id: uuid.UUID, after: uuid.UUID | None, limit: int | None) -> Sequence[GoalRow]:
        """Goals of a client in the order of their recording, after one of them."""
        query = select(GoalRow).where(GoalRow.organisation_id == self.organisation_id, GoalRow.client_id == client_id)
        if after is not None:
            query = query.where(col(GoalRow.id) > after)
        return (await self.session.exec(query.order_by(col(GoalRow.id)).limit(limit))).all()

    async def ratings(self, goal_ids: Sequence[uuid.UUID]) -> Sequence[RatingRow]:
        """All ratings of some goals, corrected ones too, in the order of their recording."""
        query = (
            select(RatingRow)
            .where(RatingRow.organisation_id == self.organisation_id, col(RatingRow.goal_id).in_(goal_ids))
            .order_by(col(RatingRow.id))
        )
        with self.session.no_autoflush:  # a goal may be being changed, and is not yet known to be good
            return (await self.session.exec(query)).all()
