"""An organisation's own thresholds and guidance: held against the definitions before they are kept."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from api.alerts.raising import RULE_OF_WORSENING
from api.alerts.repository import RuleRepository
from api.alerts.schemas import (
    MOST_COMPARISONS,
    AlertRuleCreate,
    AlertRuleRead,
    GuidanceEntry,
    GuidancePut,
    GuidanceRead,
)
from api.alerts.settings import OrganisationAlerts, plain
from api.alerts.tables import AlertGuidanceRow, AlertRuleRow
from api.catalogue.library import Library
from api.db import Database
from api.ids import new_id
from api.lane import Lane
from api.paging import decode_cursor, encode_cursor
from api.records.audit import Audit
from api.records.steps import Fault, Steps
from instruments import Instrument, UnknownInstrument
from instruments.conditions import Condition, CountCondition, leaves
from scoring.alerts import faults

UNKNOWN: Final = "There is no such rule."
MOST_IN_USE: Final = 20
"""Thresholds of one instrument that are not retired: each is asked of every response to it."""
_RULE, _GUIDANCE = "alert_rule", "alert_guidance"
_MOST_NAMES: Final = 500


@dataclass(frozen=True, slots=True)
class Rules:
    """The thresholds and guidance of one organisation, for one request.

    What is changed is committed before the memory of this process is told to ask anew, so sessions are its own.
    """

    database: Database
    audit: Audit
    library: Library
    settings: OrganisationAlerts
    lane: Lane

    @property
    def _organisation_id(self) -> uuid.UUID:
        return self.audit.principal.organisation_id

    def _at(self, session: AsyncSession) -> tuple[RuleRepository, Steps]:
        return RuleRepository(session, self._organisation_id), Steps(self.audit, session)

    async def create(self, body: AlertRuleCreate) -> AlertRuleRead:
        """Make a threshold; it is asked of every response from now on.

        Raises
        ------
        RequestInvalid
            With everything in the condition that the newest definition does not have, or that no form could meet.
        ServiceUnavailable
            Too much is being checked already.
        """
        instrument = await self.library.of_body(self._organisation_id, body.instrument, None)
        found = await self.lane.run(self._organisation_id, _faults, instrument, body.when)
        async with self.database.session(self._organisation_id) as session:
            repository, steps = self._at(session)
            await repository.alone()
            if not found and await repository.in_use(body.instrument) >= MOST_IN_USE:
                detail = f"has at most {MOST_IN_USE} rules that are not retired"
                found = [("instrument", "too-many-rules", detail)]
            await steps.refuse("create", _RULE, None, found)
            row = AlertRuleRow(
                organisation_id=self._organisation_id,
                id=new_id(),
                instrument=body.instrument,
                name=body.name,
                severity=body.severity,
                condition=plain(body.when),
                created_at=datetime.now(UTC),
                created_by=self.audit.principal.subject,
            )
            await repository.add(row)
            steps.done("create", _RULE, row.id)
        self.settings.changed(self._organisation_id)
        return _read(row)

    async def rule(self, rule_id: uuid.UUID) -> AlertRuleRead:
        """One threshold; :class:`NotFound` where there is none."""
        async with self.database.session(self._organisation_id) as session:
            repository, steps = self._at(session)
            row = await repository.rule(rule_id)
            if row is None:
                raise await steps.unknown("read", _RULE, rule_id, UNKNOWN)
            return _read(row)

    async def rules(
        self, instrument: str | None, cursor: str | None, limit: int
    ) -> tuple[list[AlertRuleRead], str | None]:
        """A page of thresholds, retired ones too, and the cursor of the next."""
        after = None if cursor is None else decode_cursor(cursor)[1]
        async with self.database.session(self._organisation_id) as session:
            repository, _ = self._at(session)
            rows = await repository.rules(instrument, after, limit + 1)
        more = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
        return [_read(row) for row in rows[:limit]], more

    async def retire(self, rule_id: uuid.UUID) -> AlertRuleRead:
        """Let a threshold raise nothing from now on; what it raised stays. Once more does nothing more.

        Raises
        ------
        NotFound
        """
        async with self.database.session(self._organisation_id) as session:
            repository, steps = self._at(session)
            row = await repository.rule(rule_id, lock=True)
            if row is None:
                raise await steps.unknown("retire", _RULE, rule_id, UNKNOWN)
            if row.retired_at is None:
                row.retired_at, row.retired_by = datetime.now(UTC), self.audit.principal.subject
                await repository.add(row)
                steps.done("retire", _RULE, rule_id)
        self.settings.changed(self._organisation_id)
        return _read(row)

    async def guidance(self) -> GuidanceRead:
        """All texts of the organisation."""
        async with self.database.session(self._organisation_id) as session:
            repository, _ = self._at(session)
            return _guidance(await repository.guidance())

    async def write_guidance(self, body: GuidancePut, if_match: str | None) -> GuidanceRead:
        """Write all texts anew.

        Raises
        ------
        PreconditionRequired, PreconditionFailed
        RequestInvalid
            Two texts are for the same, or one is for an instrument or a rule that there is not.
        """
        async with self.database.session(self._organisation_id) as session:
            repository, steps = self._at(session)
            await repository.alone()
            row = await repository.guidance()
            await steps.expect(_GUIDANCE, self._organisation_id, 0 if row is None else row.version, if_match)
            await steps.refuse("change", _GUIDANCE, self._organisation_id, await self._entry_faults(repository, body))
            now, entries = datetime.now(UTC), [entry.model_dump(exclude_none=True) for entry in body.entries]
            if row is None:
                row = AlertGuidanceRow(
                    organisation_id=self._organisation_id, entries=[], updated_at=now, updated_by="", version=0
                )
            row.entries, row.updated_at, row.updated_by = entries, now, self.audit.principal.subject
            row.version += 1
            await repository.add(row)
            steps.done("change", _GUIDANCE, self._organisation_id)
        self.settings.changed(self._organisation_id)
        return _guidance(row)

    async def _entry_faults(self, repository: RuleRepository, body: GuidancePut) -> list[Fault]:
        found: list[Fault] = []
        seen: set[tuple[str | None, ...]] = set()
        for number, entry in enumerate(body.entries):
            place = f"entries/{number}"
            if entry.of in seen:
                found.append((place, "duplicate", "is for something that no earlier text is for"))
            seen.add(entry.of)
            if entry.instrument is not None:
                found += [(f"{place}/{member}", code, detail) for member, code, detail in await self._of(entry)]
        return found

    async def _of(self, entry: GuidanceEntry) -> list[Fault]:
        """What is wrong with the instrument or the rule that a text is for."""
        code = entry.instrument or ""
        versions = await self.library.versions(self._organisation_id, code)
        if not versions:
            return [("instrument", "unknown-instrument", "is a code of /v1/instruments")]
        if entry.rule in (None, RULE_OF_WORSENING):
            return []
        known: set[str] = set()
        for version in versions:
            try:
                definition = await self.library.get(self._organisation_id, code, version)
            except UnknownInstrument:
                continue
            known |= {rule.id for rule in definition.alerts}
        async with self.database.session(self._organisation_id) as session:
            rows = await RuleRepository(session, self._organisation_id).rules(code, None, None)
        if entry.rule in known | {str(row.id) for row in rows}:
            return []
        names = ", ".join(sorted({*known, RULE_OF_WORSENING}))
        return [("rule", "unknown-rule", f"is an id of /v1/alert-rules, or one of {names}")]


def _faults(instrument: Instrument, when: Condition) -> list[Fault]:
    """What is wrong with a condition, as faults of the body."""
    return [("/".join(["when", *map(str, place)]), code, detail) for place, code, detail in _places(instrument, when)]


def _places(instrument: Instrument, when: Condition) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    parts = list(leaves(when))
    if len(parts) > MOST_COMPARISONS:
        yield (), "too-long", f"has at most {MOST_COMPARISONS} comparisons"
    elif sum(len(part.count) for part in parts if isinstance(part, CountCondition)) > _MOST_NAMES:
        yield (), "too-long", f"counts at most {_MOST_NAMES} items in all"
    else:
        for fault in faults(instrument, when):
            yield fault.place, fault.code, fault.detail


def _read(row: AlertRuleRow) -> AlertRuleRead:
    given: dict[str, Any] = row.model_dump(exclude={"organisation_id", "condition"})
    return AlertRuleRead(**given, when=row.condition)


def _guidance(row: AlertGuidanceRow | None) -> GuidanceRead:
    if row is None:
        return GuidanceRead(entries=[], updated_at=None, updated_by=None, version=0)
    entries = [GuidanceEntry(**entry) for entry in row.entries]
    return GuidanceRead(entries=entries, updated_at=row.updated_at, updated_by=row.updated_by, version=row.version)
