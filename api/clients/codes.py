"""The code lists of the API, read from `codes.yaml`; for genders also the groups that research may show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class EventCode(Code):
    """A type of event: what it is about, a dot, and what happened to it."""

    code: str = Field(pattern=r"^[a-z][a-z_]*\.[a-z][a-z_]*$", max_length=60)


class CodeLists(BaseModel):
    """Every code list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gender: tuple[GenderCode, ...]
    organs: tuple[Code, ...]
    setting: tuple[Code, ...]
    sex_registered_at_birth: tuple[Code, ...]
    orientation: tuple[Code, ...]
    relationship_structure: tuple[Code, ...]
    neurodivergence: tuple[Code, ...]
    menopausal_stage: tuple[Code, ...]
    modality: tuple[Code, ...]
    episode_format: tuple[Code, ...]
    end_reason: tuple[Code, ...]
    attendance: tuple[Code, ...]
    goal_drop_reason: tuple[Code, ...]
    assignment_kind: tuple[Code, ...]
    assignment_outcome: tuple[Code, ...]
    webhook_event: tuple[EventCode, ...]
    correction: tuple[Code, ...]
    erasure_reason: tuple[Code, ...]
    gender_unstated: str = Field(description="The gender group of a client whose gender is not recorded")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for codes in dict(self).values():
            names = [code.code for code in codes] if isinstance(codes, tuple) else []
            if len(set(names)) != len(names):
                raise ValueError(f"a code occurs twice among {names}")
        return self


CODES: Final = CodeLists.model_validate(
    yaml.safe_load(Path(__file__).with_name("codes.yaml").read_text(encoding="utf-8"))
)


def _codes(listed: Sequence[Code]) -> tuple[str, ...]:
    return tuple(code.code for code in listed)


GENDERS: Final = _codes(CODES.gender)
ORGANS: Final = _codes(CODES.organs)
SETTINGS: Final = _codes(CODES.setting)
SEXES: Final = _codes(CODES.sex_registered_at_birth)
ORIENTATIONS: Final = _codes(CODES.orientation)
RELATIONSHIPS: Final = _codes(CODES.relationship_structure)
NEURODIVERGENCES: Final = _codes(CODES.neurodivergence)
MENOPAUSAL_STAGES: Final = _codes(CODES.menopausal_stage)
MODALITIES: Final = _codes(CODES.modality)
EPISODE_FORMATS: Final = _codes(CODES.episode_format)
END_REASONS: Final = _codes(CODES.end_reason)
ATTENDANCES: Final = _codes(CODES.attendance)
GOAL_DROP_REASONS: Final = _codes(CODES.goal_drop_reason)
ASSIGNMENT_KINDS: Final = _codes(CODES.assignment_kind)
ASSIGNMENT_OUTCOMES: Final = _codes(CODES.assignment_outcome)
EVENTS: Final = _codes(CODES.webhook_event)
CORRECTIONS: Final = _codes(CODES.correction)
ERASURE_REASONS: Final = _codes(CODES.erasure_reason)
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
Sex = Annotated[str, AfterValidator(_one_of(SEXES)), Field(json_schema_extra={"enum": list(SEXES)})]
Orientation = Annotated[
    str, AfterValidator(_one_of(ORIENTATIONS)), Field(json_schema_extra={"enum": list(ORIENTATIONS)})
]
Relationship = Annotated[
    str, AfterValidator(_one_of(RELATIONSHIPS)), Field(json_schema_extra={"enum": list(RELATIONSHIPS)})
]
Neurodivergence = Annotated[
    str, AfterValidator(_one_of(NEURODIVERGENCES)), Field(json_schema_extra={"enum": list(NEURODIVERGENCES)})
]
MenopausalStage = Annotated[
    str, AfterValidator(_one_of(MENOPAUSAL_STAGES)), Field(json_schema_extra={"enum": list(MENOPAUSAL_STAGES)})
]
Modality = Annotated[str, AfterValidator(_one_of(MODALITIES)), Field(json_schema_extra={"enum": list(MODALITIES)})]
EpisodeFormat = Annotated[
    str, AfterValidator(_one_of(EPISODE_FORMATS)), Field(json_schema_extra={"enum": list(EPISODE_FORMATS)})
]
EndReason = Annotated[str, AfterValidator(_one_of(END_REASONS)), Field(json_schema_extra={"enum": list(END_REASONS)})]
Attendance = Annotated[str, AfterValidator(_one_of(ATTENDANCES)), Field(json_schema_extra={"enum": list(ATTENDANCES)})]
Event = Annotated[str, AfterValidator(_one_of(EVENTS)), Field(json_schema_extra={"enum": list(EVENTS)})]
Correction = Annotated[str, AfterValidator(_one_of(CORRECTIONS)), Field(json_schema_extra={"enum": list(CORRECTIONS)})]
ErasureReason = Annotated[
    str, AfterValidator(_one_of(ERASURE_REASONS)), Field(json_schema_extra={"enum": list(ERASURE_REASONS)})
]
GoalDropReason = Annotated[
    str, AfterValidator(_one_of(GOAL_DROP_REASONS)), Field(json_schema_extra={"enum": list(GOAL_DROP_REASONS)})
]
AssignmentKind = Annotated[
    str, AfterValidator(_one_of(ASSIGNMENT_KINDS)), Field(json_schema_extra={"enum": list(ASSIGNMENT_KINDS)})
]
AssignmentOutcome = Annotated[
    str, AfterValidator(_one_of(ASSIGNMENT_OUTCOMES)), Field(json_schema_extra={"enum": list(ASSIGNMENT_OUTCOMES)})
]
