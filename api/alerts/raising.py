"""From a scored form to its alerts: what is recorded of each, and what its caller is told.

Alerts by answers and by thresholds are decided here. Of worsening only the candidates are: the baseline is found, and
the change compared, by the database in the transaction that records (`find_worsening`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson

from api.alerts.settings import AlertSettings
from api.ids import new_id
from api.responses.recording import AlertToRecord, MayBeWorse
from instruments import Instrument
from scoring.alerts import decide
from scoring.plan import plan_of
from scoring.result import AlertResult, Result
from scoring.worsening import Watched, could_be_worse

ANSWERS: Final = "answers"
THRESHOLD: Final = "threshold"
WORSENING: Final = "worsening"
RULE_OF_WORSENING: Final = "reliable-change"
SEVERITY_OF_WORSENING: Final = "notice"

MakeId = Callable[[str], uuid.UUID]
"""The id of an alert, given a label that is its own within the response."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The alerts of a form: as they are recorded, as they are told, and what unanswered items leave open."""

    alerts: list[AlertToRecord]
    told: list[dict[str, Any]]
    undecided: list[dict[str, Any]]


def fresh(_: str) -> uuid.UUID:
    """A new id."""
    return new_id()


def raised(
    settings: AlertSettings,
    instrument: Instrument,
    result: Result,
    answers: Mapping[str, Any],
    *,
    make_id: MakeId = fresh,
    status: str = "open",
) -> Raised:
    """The alerts of a form by the rules of its definition and of its organisation.

    Parameters
    ----------
    answers
        Those that the result was made of.
    status
        That the alerts begin with: `open`, or `historic` for those that are to wait for nobody.
    """
    found = [(ANSWERS, alert) for alert in result.alerts]
    undecided = list(result.undecided)
    tests = settings.tests(instrument, result.variant)
    if tests:
        holds, open_ = decide(plan_of(instrument, result.variant), tests, answers, result)
        found += [(THRESHOLD, alert) for alert in holds]
        undecided += open_
    alerts, told = [], []
    for kind, alert in found:
        alert_id = make_id(f"{kind} {alert.id}")
        items = ",".join(alert.items)
        alerts.append(AlertToRecord(alert_id, alert.id, items, alert.severity, kind, alert.scale))
        told.append({"id": alert_id, **_told(settings, instrument, kind, alert, status)})
        told[-1] |= {"baseline_response_id": None, "change": None}
    return Raised(alerts, told, [alert.document() for alert in undecided])


def may_be_worse(
    settings: AlertSettings, instrument: Instrument, result: Result, *, make_id: MakeId = fresh
) -> list[MayBeWorse]:
    """The scales whose scores could be worse than a baseline by more than measurement error."""
    found = []
    for one, value in could_be_worse(instrument, result):
        told = settings.once((instrument.checksum, one.scale), partial(_told_of_worsening, settings, instrument, one))
        labelled = partial(make_id, f"{WORSENING} {one.scale}")
        found.append(MayBeWorse(labelled, one.scale, value, one.beyond, told))
    return found


def _told_of_worsening(settings: AlertSettings, instrument: Instrument, one: Watched) -> str:
    """The alert as JSON, without its braces and what differs from response to response."""
    alert = AlertResult(RULE_OF_WORSENING, meaning_of_worsening(one.name), SEVERITY_OF_WORSENING, (), one.scale)
    return orjson.dumps(_told(settings, instrument, WORSENING, alert, "open")).decode("utf-8")[1:-1]


def meaning_of_worsening(scale: str) -> str:
    """In words, of a scale by its name."""
    return f"{scale}: worse than at the baseline by more than measurement error"


def _told(
    settings: AlertSettings, instrument: Instrument, kind: str, alert: AlertResult, status: str
) -> dict[str, Any]:
    guidance = settings.guidance.text(kind=kind, severity=alert.severity, instrument=instrument.code, rule=alert.id)
    return {
        "kind": kind,
        "rule": alert.id,
        "meaning": alert.meaning,
        "severity": alert.severity,
        "items": alert.items,
        "scale": alert.scale,
        "status": status,
        "guidance": guidance,
    }
