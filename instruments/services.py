"""Named definitions of the figures that services are judged by: data, in `services.yaml`, over any instrument."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from instruments.conditions import Comparison, Strict
from instruments.parts import Sourced
from instruments.reading import read_yaml

SERVICES = Path(__file__).with_name("services.yaml")

Quantifier = Literal["any", "all", "none"]


class Course(Strict):
    """Which episodes are finished courses."""

    attended_at_least: int = Field(ge=1, description="sessions that took place")


class ServiceMeasure(Sourced):
    """One scale, what a case on it is, and the change in points that is reliable when it is reached."""

    id: str = Field(pattern=r"^[a-z][a-z-]{0,39}$")
    instrument: str
    scale: str
    variants: tuple[str, ...] = Field(min_length=1, description="whose scores count")
    higher_is: Literal["better", "worse"]
    case: Comparison
    reliable_change: float = Field(gt=0)

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if self.case.one_of is not None:
            raise ValueError(f"{self.id}: a case is beyond one limit, not one of several scores")
        return self


class When(Strict):
    """Conditions over the measures; those given hold together."""

    case_at_start: Quantifier | None = None
    case_at_end: Quantifier | None = None
    improved: Quantifier | None = None
    deteriorated: Quantifier | None = None

    @property
    def given(self) -> dict[str, Quantifier]:
        """Those that are asked for."""
        found: dict[str, Quantifier] = self.model_dump(exclude_none=True)
        return found


class Counted(Strict):
    """A denominator; without conditions everybody who was measured."""

    id: str
    meaning: str = Field(min_length=1)
    when: When = When()


class Metric(Strict):
    """A rate: those of a denominator for whom the conditions hold."""

    id: str
    of: str
    meaning: str = Field(min_length=1)
    when: When


class Service(Sourced):
    """One named set of figures. ``measures`` is ``asked`` where it goes by whatever scale is asked about."""

    id: str = Field(pattern=r"^[a-z][a-z-]{0,39}$")
    name: str = Field(min_length=1)
    meaning: str = Field(min_length=1)
    course: Course | None = None
    measures: Literal["asked"] | tuple[ServiceMeasure, ...]
    counted: tuple[Counted, ...] = Field(min_length=1)
    metrics: tuple[Metric, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        known = [one.id for one in self.counted]
        if unknown := [metric.of for metric in self.metrics if metric.of not in known]:
            raise ValueError(f"{self.id}: nobody is counted as {unknown[0]!r}")
        of_measures = [] if self.measures == "asked" else [measure.id for measure in self.measures]
        for ids in (known, [metric.id for metric in self.metrics], of_measures):
            if len(set(ids)) != len(ids):
                raise ValueError(f"{self.id}: an id occurs twice among {', '.join(ids)}")
        return self

    def measure_of(self, instrument: str, scale: str) -> bool:
        """Whether the definition goes by a scale."""
        return self.measures == "asked" or any(
            (measure.instrument, measure.scale) == (instrument, scale) for measure in self.measures
        )


@lru_cache(maxsize=1)
def services() -> dict[str, Service]:
    """Every definition by its id, in the order of the file."""
    return parse(SERVICES.read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, Service]:
    """The definitions of a file.

    Raises
    ------
    ValueError
        A key or a definition occurs twice, or one does not hang together.
    """
    value, twice = read_yaml(text)
    found = TypeAdapter(list[Service]).validate_python(value)
    by_id = {service.id: service for service in found}
    if twice or len(by_id) != len(found):
        raise ValueError(f"{SERVICES.name}: a key or a definition occurs twice")
    return by_id
