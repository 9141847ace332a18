"""The rules about alerts: who sees which, and that each is acknowledged once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from api.alerts.problems import AlertNotOpen
from api.alerts.raising import THRESHOLD, WORSENING, meaning_of_worsening
from api.alerts.repository import AlertRepository, Found
from api.alerts.schemas import AlertAcknowledge, AlertAcknowledgement, AlertFilters, KeptAlert
from api.alerts.settings import OrganisationAlerts
from api.catalogue.library import Library
from api.clients.texts import Sealer
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import RequestInvalid
from api.records.steps import UNKNOWN_CLIENT, Steps
from api.security.crypto import Keys
from instruments import Instrument, UnknownInstrument

UNKNOWN: Final = "There is no such alert."
_PURPOSE: Final = b"alert"
_WHY: Final = {
    "acknowledged": "Somebody has seen to it already.",
    "superseded": "The response that raised it was amended or found void; an amendment raises alerts of its own.",
    "historic": "It was imported as one that waits for nobody.",
}


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts of one organisation's clients, for one request."""

    repository: AlertRepository
    library: Library
    settings: OrganisationAlerts
    keys: Keys
    steps: Steps

    async def alert(self, alert_id: uuid.UUID) -> KeptAlert:
        """One alert; :class:`NotFound` where there is none."""
        found = await self.repository.alert(alert_id)
        if found is None:
            raise await self.steps.unknown("read", "alert", alert_id, UNKNOWN)
        self.steps.done("read", "alert", alert_id)
        return (await self._read([found]))[0]

    async def page(
        self, wanted: AlertFilters, cursor: str | None, limit: int, *, of_client: bool = False
    ) -> tuple[list[KeptAlert], str | None]:
        """A page of alerts and the cursor of the next; each client with one on it has an event of its own.

        Raises
        ------
        NotFound
            Those ``of_client`` are wanted, and the organisation has no such client.
        RequestInvalid
            The cursor was not made by an earlier page.
        """
        before = None if cursor is None else await self._place(cursor)
        if of_client and wanted.client_id is not None and not await self.repository.clients([wanted.client_id]):
            raise await self.steps.unknown("list-alerts", "client", wanted.client_id, UNKNOWN_CLIENT)
        rows = await self.repository.alerts(wanted, before, limit + 1)
        shown = rows[:limit]
        whose = dict.fromkeys(row.alert.client_id for row in shown)
        if of_client and wanted.client_id is not None:
            whose[wanted.client_id] = None
        for client_id in whose:
            self.steps.done("list-alerts", "client", client_id)
        if not whose:
            self.steps.done("list-alerts", "alert", None)
        more = encode_cursor(shown[-1].alert.created_at, shown[-1].alert.id) if len(rows) > limit else None
        return await self._read(shown), more

    async def acknowledge(self, alert_id: uuid.UUID, body: AlertAcknowledge) -> KeptAlert:
        """Say that an open alert has been seen to. Of several at once, one does.

        Raises
        ------
        NotFound
        AlertNotOpen
            With who acknowledged it and when, if anybody did.
        """
        found = await self.repository.alert(alert_id)
        if found is None:
            raise await self.steps.unknown("acknowledge", "alert", alert_id, UNKNOWN)
        note = None if body.note is None else (await self._sealer(found)).seal(body.note, alert_id)
        at = max(datetime.now(UTC), found.alert.created_at)  # a clock set back breaks no order
        by = self.steps.audit.principal.subject
        before = await self.repository.acknowledge(alert_id, at, by, note, new_id())
        found = await self.repository.alert(alert_id)
        assert found is not None  # noqa: S101  - it was there
        if before != "open":
            await self.steps.audit.refused("acknowledge", "alert", alert_id, "not-open")
            done = found.acknowledged
            raise AlertNotOpen(
                _WHY[found.alert.status],
                alert_status=found.alert.status,
                acknowledged_at=None if done is None else done.at.isoformat().replace("+00:00", "Z"),
                acknowledged_by=None if done is None else done.by,
            )
        self.steps.done("acknowledge", "alert", alert_id)
        return (await self._read([found]))[0]

    async def _place(self, cursor: str) -> tuple[str, datetime, uuid.UUID]:
        at, alert_id = decode_cursor(cursor)
        severity = await self.repository.severity(alert_id)
        if severity is None:
            detail = "has to be the `next` of a page"
            raise RequestInvalid(
                errors=[{"parameter": "cursor", "in": "query", "code": "cursor-invalid", "detail": detail}]
            )
        return severity, at, alert_id

    async def _sealer(self, found: Found) -> Sealer:
        clients = await self.repository.clients([found.alert.client_id])
        return Sealer(self.keys, clients[found.alert.client_id], _PURPOSE)

    async def _read(self, rows: Sequence[Found]) -> list[KeptAlert]:
        organisation_id = self.repository.organisation_id
        guidance = (await self.settings.of(organisation_id)).guidance
        thresholds = {uuid.UUID(row.alert.rule) for row in rows if row.alert.kind == THRESHOLD}
        names = await self.repository.rule_names(thresholds) if thresholds else {}
        noted = {row.alert.client_id for row in rows if row.acknowledged is not None and row.acknowledged.note_sealed}
        clients = await self.repository.clients(noted) if noted else {}
        sealers = {client_id: Sealer(self.keys, client, _PURPOSE) for client_id, client in clients.items()}
        definitions: dict[tuple[str, int], Instrument | None] = {}
        for key in dict.fromkeys((row.instrument, row.version) for row in rows):
            try:
                definitions[key] = await self.library.get(organisation_id, *key)
            except UnknownInstrument:
                definitions[key] = None
        return [
            KeptAlert(
                **row.alert.model_dump(
                    include={"id", "client_id", "kind", "rule", "severity", "scale", "status", "origin", "change"}
                ),
                response_id=row.response_id,
                revision=row.revision,
                episode_id=row.episode_id,
                instrument=row.instrument,
                version=row.version,
                meaning=_meaning(row, definitions[row.instrument, row.version], names),
                items=row.alert.item.split(",") if row.alert.item else [],
                raised_at=row.alert.created_at,
                baseline_response_id=row.alert.baseline_id,
                guidance=guidance.text(
                    kind=row.alert.kind,
                    severity=row.alert.severity,
                    instrument=row.instrument,
                    rule=row.alert.rule,
                ),
                acknowledgement=_acknowledgement(row, sealers.get(row.alert.client_id)),
            )
            for row in rows
        ]


def _acknowledgement(row: Found, sealer: Sealer | None) -> AlertAcknowledgement | None:
    done = row.acknowledged
    if done is None:
        return None
    note = None if done.note_sealed is None or sealer is None else sealer.open(done.note_sealed, row.alert.id)
    return AlertAcknowledgement(at=done.at, by=done.by, note=note)


def _meaning(row: Found, definition: Instrument | None, names: dict[str, str]) -> str | None:
    alert = row.alert
    if alert.kind == THRESHOLD:
        return names.get(alert.rule)
    if definition is None:
        return None
    if alert.kind == WORSENING:
        return next((meaning_of_worsening(one.name) for one in definition.scales if one.id == alert.scale), None)
    return next((rule.meaning for rule in definition.alerts if rule.id == alert.rule), None)
