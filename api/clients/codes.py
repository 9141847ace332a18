"""The code lists of the API, read from `codes.yaml`: genders with the groups research may show, organs, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Final, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class Code(BaseModel):
    """One code and what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[a-z][a-z-]{0,39}$")
    meaning: str = Field(min_length=1)


class GenderCode(Code):
    """A gender, and the group under which research output may count it."""

    group: str = Field(pattern=r"^[a-z][a-z-]{0,39}$")


class CodeLists(BaseModel):
    """Every code list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gender: tuple[GenderCode, ...]
    organs: tuple[Code, ...]
    setting: tuple[Code, ...]
    gender_unstated: str = Field(description="The gender group of a client whose gender is not recorded")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        lists: tuple[Iterable[Code], ...] = (self.gender, self.organs, self.setting)
        for codes in lists:
            names = [code.code for code in codes]
            if len(set(names)) != len(names):
                raise ValueError(f"a code occurs twice among {names}")
        return self


CODES: Final = CodeLists.model_validate(
    yaml.safe_load(Path(__file__).with_name("codes.yaml").read_text(encoding="utf-8"))
)
GENDERS: Final = tuple(code.code for code in CODES.gender)
ORGANS: Final = tuple(code.code for code in CODES.organs)
SETTINGS: Final = tuple(code.code for code in CODES.setting)
GENDER_GROUPS: Final = {code.code: code.group for code in CODES.gender}


def gender_group(gender: str | None) -> str:
    """The group under which research output counts a client of this gender.

    Examples
    --------
    >>> gender_group("agender"), gender_group(None)
    ('gender-diverse', 'not-stated')
    """
    return CODES.gender_unstated if gender is None else GENDER_GROUPS[gender]


def _one_of(codes: tuple[str, ...]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in codes:
            raise PydanticCustomError("unknown_code", f"has to be one of {', '.join(codes)}; see /v1/codes")
        return value

    return check


Gender = Annotated[str, AfterValidator(_one_of(GENDERS)), Field(json_schema_extra={"enum": list(GENDERS)})]
Organ = Annotated[str, AfterValidator(_one_of(ORGANS)), Field(json_schema_extra={"enum": list(ORGANS)})]
Setting = Annotated[str, AfterValidator(_one_of(SETTINGS)), Field(json_schema_extra={"enum": list(SETTINGS)})]
