"""The controlled vocabulary of concerns: what clients come with, what measures it best, and for whom otherwise."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Self

from pydantic import Field, TypeAdapter, model_validator

from instruments.conditions import Strict
from instruments.reading import read_yaml

VOCABULARY = Path(__file__).with_name("concerns.yaml")


class Recommendation(Strict):
    """A measure for a concern, and why this one."""

    instrument: str
    why: str = Field(min_length=1)


class Alternative(Strict):
    """What to use for people whom the recommended measures were not validated in."""

    who: str = Field(min_length=1)
    use: tuple[str, ...] = Field(min_length=1)
    why: str = Field(min_length=1)


class Concern(Strict):
    """One concern of therapy."""

    id: str = Field(pattern=r"^[a-z][a-z-]{0,39}$")
    name: str = Field(min_length=1, max_length=60)
    meaning: str = Field(min_length=1, max_length=160)
    terms: tuple[str, ...] = Field(default=(), description="further words that a search finds it by")
    recommended: tuple[Recommendation, ...] = Field(description="most fitting first")
    otherwise: tuple[Alternative, ...]

    @model_validator(mode="after")
    def _something_to_use(self) -> Self:
        if not self.recommended and not self.otherwise:
            raise ValueError(f"concern {self.id!r} recommends nothing and says nothing instead")
        return self


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, Concern]:
    """Every concern by its id, in the order of the vocabulary."""
    value, twice = read_yaml(VOCABULARY.read_text(encoding="utf-8"))
    found = TypeAdapter(list[Concern]).validate_python(value)
    by_id = {concern.id: concern for concern in found}
    if twice or len(by_id) != len(found):
        raise ValueError(f"{VOCABULARY.name}: a key or a concern occurs twice")
    return by_id
