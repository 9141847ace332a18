"""A reference: a fitted growth model, what it was fitted on, and for whom it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from scoring.growth.model import GrowthModel

Origin = Literal["episodes", "data", "parameters"]

MIN_PERSONS: Final = 100
"""Persons with a first score and at least one later; fewer make bands that are off by more than they tell."""
MIN_WITH_THREE: Final = 50
"""Of these, persons with three scores or more: without them slopes cannot be told from chance."""
MIN_AT_HORIZON: Final = 20
"""Persons who were still seen at the last week that a reference speaks of."""

NO_REFERENCE: Final = "no-reference"


@dataclass(frozen=True)
class Reference:
    """What a client's course is held against.

    Parameters
    ----------
    number
        Its version: 1, 2, ... among the references for the same scale and stratum.
    stratum
        Whom it holds for, by `format`, `modality` and `severity`; what is not named may be any.
    persons, observations
        It was fitted on.
    horizon
        The last week that it speaks of.
    """

    id: str
    number: int
    instrument: str
    version: int
    variant: str
    scale: str
    model: GrowthModel
    persons: int
    observations: int
    horizon: float
    origin: Origin
    source: str
    evidence: str
    singular: bool = False
    stratum: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def document(self) -> dict[str, Any]:
        """As plain data, without the parameters."""
        return {
            "id": self.id,
            "version": self.number,
            "n": self.persons,
            "observations": self.observations,
            "horizon_weeks": self.horizon,
            "stratum": {name: self.stratum.get(name) for name in ("format", "modality", "severity")},
            "origin": self.origin,
            "source": self.source,
            "evidence": self.evidence,
            "singular": self.singular,
        }
