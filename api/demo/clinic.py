"""The clinic's description, `clinic.yaml`, read strictly."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

from api.clients.codes import EndReason, Modality
from api.protocols.schemas import Entry

Range = tuple[float, float]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class OrganisationPlan(_Part):
    """One organisation and how many people it has."""

    slug: str
    name: str
    people: int = Field(ge=1)
    invented: bool = Field(default=False, description="it has the demo's own instrument, with its wording")
    references: bool = Field(default=False, description="it has references to hold courses against")


class Trajectory(_Part):
    """How somebody fares: the change by the end of treatment, and for some how many sessions there are at most."""

    name: str
    of_twenty: int = Field(ge=1, le=20)
    change: Range
    sessions: tuple[int, int] | None = None


class Member(_Part):
    """One person of a presentation: forms by instrument code, each with how troubled its first answers are."""

    anatomy: str
    ages: tuple[int, int]
    forms: dict[str, float] = Field(min_length=1)


class Presentation(_Part):
    """What people come with: alone (one member), or as a couple (two)."""

    name: str
    weight: int = Field(ge=1)
    inactive: Share
    avoids: Share = 0.0
    partnered: Share
    members: tuple[Member, ...] = Field(min_length=1, max_length=2)


class Anatomy(_Part):
    """Organs that are present, and how people with them describe their gender."""

    organs: tuple[str, ...]
    genders: dict[str, Share]


class Showcase(_Part):
    """What the demo points at first: somebody of that trajectory, and a form with all answers the same."""

    form: str
    scale: str
    all_answers: int
    trajectory: str


class Correction(_Part):
    """A form that was typed in from the wrong end of every item, and put right some days after."""

    person: str
    form: str
    number: int = Field(description="which of the person's, from 0; below 0 from the last")
    days: int = Field(ge=1)
    reason: str


class Misfiled(_Part):
    """A form that was recorded of somebody else first, and found void there some days after."""

    person: str = Field(description="whose it is not")
    owner: str
    form: str
    number: int
    days: int = Field(ge=1)
    reason: str


class Stories(_Part):
    """What befell single people, by their external ids; who is not among the invented has none."""

    corrected: tuple[Correction, ...]
    misfiled: tuple[Misfiled, ...]
    seen_to: tuple[str, ...] = Field(description="whose alerts have been acknowledged, the newest too")
    clinicians: dict[str, str] = Field(description="who treats somebody, other than whose turn it was")


class ProtocolPlan(_Part):
    """A protocol as it is sent to the API."""

    code: str
    name: str
    entries: tuple[Entry, ...] = Field(min_length=1)


class Clinic(_Part):
    """The whole description."""

    seed: str
    first_day: date = Field(alias="from")
    last_day: date = Field(alias="until")
    organisations: tuple[OrganisationPlan, ...]
    trajectories: tuple[Trajectory, ...]
    presentations: tuple[Presentation, ...]
    anatomies: dict[str, Anatomy]
    research_consent: Share
    leaves_out: tuple[Share, ...] = Field(min_length=1)
    breaks_off: Share
    modalities: dict[Modality, Share]
    settings: dict[Modality, dict[str, Share]] = Field(description="in which forms are filled in, by modality")
    showcase: Showcase
    stories: Stories
    clinicians: int = Field(ge=1)
    in_groups: tuple[str, ...] = Field(description="presentations of which every second comes in a group")
    ends: dict[str, tuple[EndReason, ...]] = Field(description="by trajectory, or as `couple`")
    concerns: dict[str, tuple[str, ...]]
    goals: tuple[str, ...] = Field(min_length=1)
    work: dict[str, tuple[str, ...]]
    protocols: tuple[ProtocolPlan, ...]


@cache
def clinic() -> Clinic:
    """The description that ships with the project."""
    return Clinic.model_validate(yaml.safe_load(Path(__file__).with_name("clinic.yaml").read_text(encoding="utf-8")))
