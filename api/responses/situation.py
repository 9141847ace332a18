"""What an instrument presumes of a client's situation.

The database holds it against the client's row, and this module against what a response says of itself.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from instruments import Instrument
from scoring.result import Flag
from scoring.situation import Situation, outside, outside_flags

_KEPT = ("situation-to-record",)


class SituationToRecord(NamedTuple):
    """What the client's row is held against: organs of which one is presumed, and whether a partner is.

    With the flags (JSON): for who has none of the organs, for who has no partner, and for anybody.
    """

    organs: list[str] | None
    partner: bool
    flags: list[str | None]


def situation_of(instrument: Instrument, partnered: bool | None, active: bool | None) -> SituationToRecord:
    """What is presumed, and what to say where that is not so.

    ``partnered`` and ``active`` are what the response says; what it says of a partner is not looked up any more.
    """
    kept: SituationToRecord | None = instrument.compiled.get(_KEPT)
    if kept is None:  # made once for a definition
        flags = outside_flags(instrument)
        kept = instrument.compiled[_KEPT] = SituationToRecord(
            list(instrument.applicability.organs) or None,
            "outside-partner" in flags,
            [_json(flags[rule]) if rule in flags else None for rule in ("outside-organs", "outside-partner")] + [None],
        )
    if partnered is None and active is None:
        return kept
    told = ",".join(_json(flag) for flag in outside(instrument, Situation(partnered=partnered, active=active)))
    return kept._replace(partner=kept.partner and partnered is None, flags=[*kept.flags[:2], told or None])


def _json(flag: Flag) -> str:
    return orjson.dumps(flag.document()).decode("utf-8")
