"""What an instrument presumes of a client's recorded situation, as the database holds it against the client's row."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from instruments import Instrument
from scoring.situation import Rule, outside_flags

_KEPT = ("situation-to-record",)


class SituationToRecord(NamedTuple):
    """Organs of which one is presumed, whether a partner is, and the flags (JSON) for who has none: organs, partner."""

    organs: list[str] | None
    partner: bool
    flags: list[str | None]


def situation_of(instrument: Instrument) -> SituationToRecord:
    """What is presumed, and what to say where that is not so; made once for a definition."""
    kept: SituationToRecord | None = instrument.compiled.get(_KEPT)
    if kept is None:
        organs = list(instrument.applicability.organs) or None
        flags = [_flag(instrument, "outside-organs"), _flag(instrument, "outside-partner")]
        kept = SituationToRecord(organs, instrument.applicability.partner != "not-needed", flags)
        instrument.compiled[_KEPT] = kept
    return kept


def _flag(instrument: Instrument, rule: Rule) -> str | None:
    flag = outside_flags(instrument).get(rule)
    return None if flag is None else orjson.dumps(flag.document()).decode("utf-8")
