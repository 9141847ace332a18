"""Whether an instrument was made for somebody in a situation: by organs, partner and sexual activity, never by gender.

Use outside of what an instrument was made for is a visible warning, not a refusal: scores are what they are, and what
they mean for such a person was not studied. What is not known of a person warns of nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from instruments.schema import Instrument
from scoring.result import Flag

Rule = Literal["outside-organs", "outside-partner", "outside-activity"]
RULES: Final[tuple[Rule, ...]] = ("outside-organs", "outside-partner", "outside-activity")


@dataclass(frozen=True, slots=True)
class Situation:
    """What is recorded of a person; None is not known. ``active``: sexually, within the recall period."""

    organs: Collection[str] | None = None
    partnered: bool | None = None
    active: bool | None = None


def outside_flags(instrument: Instrument) -> dict[Rule, Flag]:
    """What is to be said where a person's situation does not meet one of the instrument's conditions."""
    kept: dict[Rule, Flag] | None = instrument.compiled.get(("outside",))
    if kept is None:
        kept = instrument.compiled[("outside",)] = _made(instrument)
    return kept


def _made(instrument: Instrument) -> dict[Rule, Flag]:
    applies = instrument.applicability
    said: dict[Rule, str] = {}
    if applies.organs:
        one_of = " or ".join(organ.replace("-", " ") for organ in applies.organs)
        said["outside-organs"] = f"Presumes {one_of}, which the person is recorded not to have."
    if applies.partner != "not-needed":
        verb = "Needs" if applies.partner == "needed" else "Presumes"
        said["outside-partner"] = f"{verb} a partner; the person is recorded to have none."
    if applies.activity != "not-needed":
        verb = "Needs" if applies.activity == "needed" else "Presumes"
        said["outside-activity"] = f"{verb} sexual activity in the recall period; there was none."
    scales = tuple(scale.id for scale in instrument.scales)
    return {rule: Flag(rule, meaning, scales, suppress=False) for rule, meaning in said.items()}


def outside(instrument: Instrument, situation: Situation) -> tuple[Flag, ...]:
    """The flags of the conditions that a situation does not meet.

    Of several organs one is enough; ``organs`` without any of the instrument's is a situation that does not fit.
    """
    unmet = {
        "outside-organs": situation.organs is not None
        and not set(situation.organs) & {*instrument.applicability.organs},
        "outside-partner": situation.partnered is False,
        "outside-activity": situation.active is False,
    }
    return tuple(flag for rule, flag in outside_flags(instrument).items() if unmet[rule])
