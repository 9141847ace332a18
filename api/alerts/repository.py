"""Every query for alerts, thresholds and guidance. Row-level security confines each to the session's organisation."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import CursorResult, Executable, and_, func, literal, or_, select, tuple_
from sqlalchemy import exists as exists_
from sqlmodel import col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from api.alerts.schemas import AlertFilters
from api.alerts.tables import AcknowledgementRow, AlertGuidanceRow, AlertRuleRow
from api.care.tables import EpisodeRow
from api.clients.tables import ClientRow
from api.responses.tables import AlertRow, ResponseRow


class Found(NamedTuple):
    """An alert with what is shown of its response and of its acknowledgement."""

    alert: AlertRow
    response_id: uuid.UUID
    revision: int
    episode_id: uuid.UUID | None
    instrument: str
    version: int
    acknowledged: AcknowledgementRow | None


class AlertRepository:
    """Alerts of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    def _found(self) -> Any:
        alert, response, acknowledged = AlertRow, ResponseRow, AcknowledgementRow
        of_response = and_(
            col(response.organisation_id) == col(alert.organisation_id), col(response.id) == col(alert.response_id)
        )
        of_alert = and_(
            col(acknowledged.organisation_id) == col(alert.organisation_id),
            col(acknowledged.alert_id) == col(alert.id),
        )
        return (
            select(
                alert,
                func.coalesce(col(response.root_id), col(response.id)),
                col(response.revision),
                col(response.episode_id),
                col(response.instrument),
                col(response.instrument_version),
                acknowledged,
            )
            .join(response, of_response)
            .outerjoin(acknowledged, of_alert)
            .where(col(alert.organisation_id) == self.organisation_id)
        )

    async def _execute(self, query: Executable) -> CursorResult[Any]:
        """Columns rather than objects."""
        return await (await self.session.connection()).execute(query)

    async def alert(self, alert_id: uuid.UUID) -> Found | None:
        """One alert, as the table has it now."""
        query = self._found().where(col(AlertRow.id) == alert_id).execution_options(populate_existing=True)
        row = (await self.session.exec(query)).one_or_none()
        return None if row is None else Found(*row)

    async def severity(self, alert_id: uuid.UUID) -> str | None:
        """Of one alert, for its place in the order of lists."""
        query = select(col(AlertRow.severity)).where(
            col(AlertRow.organisation_id) == self.organisation_id, col(AlertRow.id) == alert_id
        )
        return (await self._execute(query)).scalar_one_or_none()

    async def alerts(
        self, wanted: AlertFilters, before: tuple[str, datetime, uuid.UUID] | None, limit: int
    ) -> list[Found]:
        """Alerts, urgent ones first and then the newest first, from a place in that order on."""
        query = self._found()
        for name in ("status", "severity", "kind", "client_id"):
            if (value := getattr(wanted, name)) is not None:
                query = query.where(getattr(AlertRow, name) == value)
        if wanted.clinician is not None:
            query = query.where(_of_clinician(wanted.clinician))
        # `urgent` comes after `notice` in the alphabet too: the index is in this order
        order = (col(AlertRow.severity), col(AlertRow.created_at), col(AlertRow.id))
        if before is not None:
            query = query.where(tuple_(*order) < tuple_(*(literal(part) for part in before)))
        rows = await self.session.exec(query.order_by(*(column.desc() for column in order)).limit(limit))
        return [Found(*row) for row in rows]

    async def clients(self, client_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, ClientRow]:
        """Clients by their ids, for the keys that notes are sealed with."""
        query = select_rows(ClientRow).where(
            ClientRow.organisation_id == self.organisation_id, col(ClientRow.id).in_(client_ids)
        )
        return {row.id: row for row in (await self.session.exec(query)).all()}

    async def acknowledge(
        self, alert_id: uuid.UUID, at: datetime, by: str, note_sealed: bytes | None, event_id: uuid.UUID
    ) -> str | None:
        """Acknowledge an open alert; the status that it had, and only where that is `open` anything was done."""
        call = func.acknowledge_alert(self.organisation_id, alert_id, at, by, note_sealed, event_id)
        status: str | None = (await self._execute(select(call))).scalar_one()
        return status

    async def rule_names(self, rule_ids: Collection[uuid.UUID]) -> dict[str, str]:
        """What thresholds mean, by their ids as text; retired ones too."""
        query = select(col(AlertRuleRow.id), col(AlertRuleRow.name)).where(
            col(AlertRuleRow.organisation_id) == self.organisation_id, col(AlertRuleRow.id).in_(rule_ids)
        )
        rows: Sequence[Any] = (await self._execute(query)).all()
        return {str(row[0]): row[1] for row in rows}


class RuleRepository:
    """Thresholds and guidance of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def add(self, row: AlertRuleRow | AlertGuidanceRow) -> None:
        """Insert, or write the changes of a row that was read, now."""
        self.session.add(row)
        await self.session.flush()

    async def rule(self, rule_id: uuid.UUID, *, lock: bool = False) -> AlertRuleRow | None:
        """One threshold, a retired one too."""
        query = select_rows(AlertRuleRow).where(
            AlertRuleRow.organisation_id == self.organisation_id, AlertRuleRow.id == rule_id
        )
        return (await self.session.exec(query.with_for_update() if lock else query)).one_or_none()

    async def rules(self, instrument: str | None, after: uuid.UUID | None, limit: int | None) -> Sequence[AlertRuleRow]:
        """Thresholds in the order of their making, after one of them."""
        query = select_rows(AlertRuleRow).where(AlertRuleRow.organisation_id == self.organisation_id)
        if instrument is not None:
            query = query.where(AlertRuleRow.instrument == instrument)
        if after is not None:
            query = query.where(col(AlertRuleRow.id) > after)
        return (await self.session.exec(query.order_by(col(AlertRuleRow.id)).limit(limit))).all()

    async def alone(self) -> None:
        """Wait for whoever else is changing thresholds or guidance of the organisation, until they are done."""
        lock = func.pg_advisory_xact_lock(func.hashtextextended(f"alert settings {self.organisation_id}", 0))
        await (await self.session.connection()).execute(select(lock))

    async def in_use(self, instrument: str) -> int:
        """How many thresholds of an instrument are not retired."""
        query = select(func.count()).where(
            col(AlertRuleRow.organisation_id) == self.organisation_id,
            col(AlertRuleRow.instrument) == instrument,
            col(AlertRuleRow.retired_at).is_(None),
        )
        return int((await (await self.session.connection()).execute(query)).scalar_one())

    async def guidance(self) -> AlertGuidanceRow | None:
        """The texts of the organisation."""
        query = select_rows(AlertGuidanceRow).where(AlertGuidanceRow.organisation_id == self.organisation_id)
        return (await self.session.exec(query)).one_or_none()


def _of_clinician(clinician: str) -> Any:
    """Alerts of responses in a clinician's episode; of those in none, of clients in such an episode that goes on."""
    episode = EpisodeRow
    return exists_().where(
        col(episode.organisation_id) == col(AlertRow.organisation_id),
        col(episode.client_id) == col(AlertRow.client_id),
        col(episode.clinician) == clinician,
        or_(
            col(episode.id) == col(ResponseRow.episode_id),
            and_(col(ResponseRow.episode_id).is_(None), col(episode.ended_on).is_(None)),
        ),
    )
