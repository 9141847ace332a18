"""The dimensions of research output, read from `lattice.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.clients.codes import CODES
from scoring.disclosure import Dimension

NAMES: Final = ("calendar_year", "age_band", "gender_group")


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Years(_Data):
    """A level for each year, and one for all before."""

    derived: str
    earliest: int
    before: str

    def level(self, year: int) -> str:
        """The level of a year."""
        return self.before if year < self.earliest else str(year)

    def levels(self, this_year: int) -> tuple[str, ...]:
        """Every level up to the present."""
        return (self.before, *map(str, range(self.earliest, this_year + 1)))


class Band(_Data):
    """Ages below ``below`` that no earlier band has."""

    level: str
    below: int | None = None


class Ages(_Data):
    """Bands of ages, and one for those who are in none."""

    derived: str
    unknown: str
    oldest: int
    bands: tuple[Band, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        ends = [band.below for band in self.bands[:-1]]
        if None in ends or sorted(set(map(str, ends)), key=int) != list(map(str, ends)):
            raise ValueError("bands come in order, and all but the last have an end")
        if self.bands[-1].below is not None:
            raise ValueError("the last band has no end")
        return self

    def level(self, age: int | None) -> str:
        """The level of an age in years; None is not known."""
        if age is None or not 0 <= age <= self.oldest:
            return self.unknown
        return next(band.level for band in self.bands if band.below is None or age < band.below)

    def levels(self) -> tuple[str, ...]:
        """Every level."""
        return (*(band.level for band in self.bands), self.unknown)


class Genders(_Data):
    """The groups of `api/clients/codes.yaml`, in the order of output."""

    derived: str
    levels: tuple[str, ...]

    @model_validator(mode="after")
    def _the_groups(self) -> Self:
        groups = {code.group for code in CODES.gender} | {CODES.gender_unstated}
        if sorted(self.levels) != sorted(groups):
            raise ValueError(f"levels have to be the gender groups {sorted(groups)}")
        return self


class Lattice(_Data):
    """Every dimension, and how many of them a question may take at once."""

    most_dimensions: int = Field(ge=1, le=len(NAMES))
    calendar_year: Years
    age_band: Ages
    gender_group: Genders

    def dimensions(self, this_year: int) -> tuple[Dimension, ...]:
        """The dimensions with all levels, in the order of `NAMES`."""
        levels: Iterable[tuple[str, ...]] = (
            self.calendar_year.levels(this_year),
            self.age_band.levels(),
            self.gender_group.levels,
        )
        return tuple(Dimension(name, each) for name, each in zip(NAMES, levels, strict=True))

    def derived(self, name: str) -> str:
        """How the levels of a dimension come about, in words."""
        found: str = getattr(self, name).derived
        return found


LATTICE: Final = Lattice.model_validate(
    yaml.safe_load(Path(__file__).with_name("lattice.yaml").read_text(encoding="utf-8"))
)
