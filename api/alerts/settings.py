"""What recording has to know of an organisation: its own thresholds and its guidance, remembered for some seconds."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import orjson
from fastapi import Request
from pydantic import TypeAdapter

from instruments import Instrument
from instruments.conditions import Condition
from scoring.alerts import AddedRule, Tests, compile_rules
from scoring.plan import plan_of

FRESH: Final = 5.0
"""Seconds for which a process remembers what another may have changed; its own changes hold at once."""
MOST_KEPT: Final = 1_024
"""Organisations that are remembered; the one asked for longest ago is forgotten first."""
_READ: Final = "select rules, guidance from read_alert_settings($1)"
_CONDITION: Final[TypeAdapter[Condition]] = TypeAdapter(Condition)


@dataclass(frozen=True, slots=True)
class Guidance:
    """Texts of an organisation, each with what it is for; a member that is absent is any."""

    entries: Sequence[Mapping[str, str]] = ()

    def text(self, *, kind: str, severity: str, instrument: str, rule: str) -> str | None:
        """The text for an alert, if there is one: that for its rule goes before that for its instrument, and so on."""
        of = {"rule": rule, "instrument": instrument, "kind": kind, "severity": severity}
        fit = [one for one in self.entries if all(one.get(name, value) == value for name, value in of.items())]
        best = max(fit, key=lambda one: [name in one for name in of], default=None)
        return None if best is None else best["text"]


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Thresholds by instrument, and guidance."""

    rules: Mapping[str, Sequence[AddedRule]] = field(default_factory=dict)
    guidance: Guidance = Guidance()
    _tests: dict[tuple[str, str], Tests] = field(default_factory=dict)
    _texts: dict[tuple[str, str], str] = field(default_factory=dict)

    def tests(self, instrument: Instrument, variant: str) -> Tests:
        """The thresholds for an instrument as tests of its forms, compiled at the first call."""
        rules = self.rules.get(instrument.code)
        if not rules:
            return ()
        key = instrument.checksum, variant
        if key not in self._tests:
            self._tests[key] = compile_rules(plan_of(instrument, variant), rules)
        return self._tests[key]

    def once(self, key: tuple[str, str], make: Callable[[], str]) -> str:
        """A text that only depends on these settings and on a definition's scale (checksum, id): made once."""
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = make()
        return text


NOTHING: Final = AlertSettings()


class OrganisationAlerts:
    """The settings of organisations. One object a process (`app.state.alerts`)."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._kept: OrderedDict[uuid.UUID, tuple[float, tuple[str | None, str | None], AlertSettings]] = OrderedDict()
        self._changes = 0

    async def of(self, organisation_id: uuid.UUID) -> AlertSettings:
        """As they were at most :data:`FRESH` seconds ago."""
        kept = self._kept.get(organisation_id)
        if kept is not None and time.monotonic() - kept[0] < FRESH:
            return kept[2]
        changes = self._changes
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(_READ, organisation_id)
        texts = row["rules"], row["guidance"]
        # What has not changed is kept as it is, with what was compiled of it.
        settings = kept[2] if kept is not None and kept[1] == texts else settings_of(*texts)
        if changes == self._changes:  # else something was changed meanwhile, which this row may lack
            self._kept[organisation_id] = time.monotonic(), texts, settings
            self._kept.move_to_end(organisation_id)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return settings

    def changed(self, organisation_id: uuid.UUID) -> None:
        """The organisation has changed its thresholds or guidance: they are asked for anew."""
        self._changes += 1
        self._kept.pop(organisation_id, None)


def alerts_of(request: Request) -> OrganisationAlerts:
    """Those of the application that serves this request."""
    found: OrganisationAlerts = request.app.state.alerts
    return found


def condition_of(stored: Any) -> Condition:
    """A condition as it was stored."""
    return _CONDITION.validate_python(stored)


def plain(condition: Condition) -> dict[str, Any]:
    """A condition as plain data, with its numbers as numbers."""
    dumped = _CONDITION.dump_python(condition, mode="json", by_alias=True, exclude_defaults=True)
    found: dict[str, Any] = _numbers(dumped)
    return found


_DECIMALS: Final = frozenset({"at_least", "at_most", "above", "below", "one_of"})


def _numbers(part: Any, *, decimal: bool = False) -> Any:
    """Decimals are dumped as texts; whole ones become whole numbers again, the others fractions."""
    if isinstance(part, dict):
        return {name: _numbers(value, decimal=name in _DECIMALS) for name, value in part.items()}
    if isinstance(part, list):
        return [_numbers(value, decimal=decimal) for value in part]
    if decimal:
        number = float(part)
        return int(number) if number.is_integer() else number
    return part


def settings_of(rules: str | None, guidance: str | None) -> AlertSettings:
    """From the texts that `read_alert_settings` gives."""
    by_instrument: dict[str, list[AddedRule]] = {}
    for rule in orjson.loads(rules or "[]"):
        added = AddedRule(rule["id"], rule["name"], rule["severity"], condition_of(rule["when"]))
        by_instrument.setdefault(rule["instrument"], []).append(added)
    return AlertSettings(by_instrument, Guidance(tuple(orjson.loads(guidance or "[]"))))
