"""Every query for webhooks on behalf of a request. What workers ask is in `api.webhooks.delivery`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Delete, Update, delete, func, literal, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.webhooks.tables import WebhookDeliveryRow, WebhookRow


class WebhookRepository:
    """Webhooks of one organisation, and what became of their messages."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self._organisation_id = organisation_id

    async def count(self) -> int:
        """How many there are. Whoever else asks waits until this transaction has ended: so a limit holds."""
        await self.session.exec(
            select(func.pg_advisory_xact_lock(func.hashtextextended(f"webhook:{self._organisation_id}", 0)))
        )
        query = select(func.count()).select_from(WebhookRow)
        found: int = (await self.session.exec(query.where(self._mine()))).one()
        return found

    async def add(self, row: WebhookRow | WebhookDeliveryRow) -> None:
        """Insert now."""
        self.session.add(row)
        await self.session.flush()

    async def save(self) -> None:
        """Write changes of rows that were read, now."""
        await self.session.flush()

    async def get(self, webhook_id: uuid.UUID, *, for_update: bool = False) -> WebhookRow | None:
        """One webhook; with ``for_update`` nobody else changes it before this transaction has ended."""
        query = select(WebhookRow).where(self._mine(), col(WebhookRow.id) == webhook_id)
        return (await self.session.exec(query.with_for_update() if for_update else query)).one_or_none()

    async def page(self, after: uuid.UUID | None, limit: int) -> Sequence[WebhookRow]:
        """Webhooks in the order of their making, after one of them."""
        query = select(WebhookRow).where(self._mine())
        if after is not None:
            query = query.where(col(WebhookRow.id) > after)
        return (await self.session.exec(query.order_by(col(WebhookRow.id)).limit(limit))).all()

    async def delete(self, row: WebhookRow) -> None:
        """Remove a webhook and what became of its messages."""
        await self._execute(delete(WebhookDeliveryRow).where(self._of(row.id)))
        await self.session.delete(row)
        await self.session.flush()

    async def delivery(self, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> WebhookDeliveryRow | None:
        """One delivery."""
        query = select(WebhookDeliveryRow).where(self._of(webhook_id), col(WebhookDeliveryRow.id) == delivery_id)
        return (await self.session.exec(query)).one_or_none()

    async def deliveries(
        self, webhook_id: uuid.UUID, state: str | None, before: uuid.UUID | None, limit: int
    ) -> Sequence[WebhookDeliveryRow]:
        """Deliveries, newest first, before one of them."""
        query = select(WebhookDeliveryRow).where(self._of(webhook_id))
        if state is not None:  # written out, so that the planner sees that an index of some states will do
            query = query.where(col(WebhookDeliveryRow.state) == literal(state, literal_execute=True))
        if before is not None:
            query = query.where(col(WebhookDeliveryRow.id) < before)
        return (await self.session.exec(query.order_by(col(WebhookDeliveryRow.id).desc()).limit(limit))).all()

    async def put_off(self, webhook_id: uuid.UUID) -> None:
        """Keep what waits as not delivered, since the webhook is disabled."""
        table = WebhookDeliveryRow
        change = update(table).where(self._of(webhook_id), text("state = 'pending'"))
        await self._execute(change.values(state="disabled", next_attempt_at=None))

    async def replay(
        self, webhook_id: uuid.UUID, *, only: uuid.UUID | None = None, since: datetime | None = None
    ) -> int:
        """Have deliveries tried again: one, or those not delivered of what happened since; how many."""
        table = WebhookDeliveryRow
        change = update(table).where(self._of(webhook_id))
        if only is not None:
            change = change.where(col(table.id) == only)
        if since is not None:
            change = change.where(text("state in ('failed', 'disabled')"), col(table.occurred_at) >= since)
        change = change.values(state="pending", attempts=0, next_attempt_at=func.now())
        return await self._execute(change)

    async def _execute(self, statement: Delete | Update) -> int:
        return (await (await self.session.connection()).execute(statement)).rowcount

    def _mine(self) -> ColumnElement[bool]:
        return col(WebhookRow.organisation_id) == self._organisation_id

    def _of(self, webhook_id: uuid.UUID) -> ColumnElement[bool]:
        return (col(WebhookDeliveryRow.organisation_id) == self._organisation_id) & (
            col(WebhookDeliveryRow.webhook_id) == webhook_id
        )
