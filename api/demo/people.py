"""The invented people of an organisation and the forms they filled in: a pure function of `clinic.yaml`.

Each person draws from a stream of their own, seeded by name, so one person more or one form more changes nobody else.
"""

from __future__ import annotations

import hashlib
import math
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import TypeVar

import instruments
from api.demo.answers import Question, domain_levels, fill_in, normal, questions
from api.demo.clinic import Clinic, Member, Presentation, Trajectory

Thing = TypeVar("Thing")

PERSON_SD = 0.35
"""How far people of one presentation lie apart."""
LEAST_DAYS, MOST_DAYS = 14, 84
"""A form comes back after its recall period, but within these."""
USUAL_DAYS = 28
"""Where a form states no recall period."""
SLOWNESS = 70.0
"""Days after which somebody has gone about two thirds of their way."""


@dataclass(frozen=True, slots=True)
class Form:
    """One filled-in form."""

    id: uuid.UUID
    instrument: str
    answered_at: datetime
    setting: str
    answers: dict[str, int]


@dataclass(frozen=True, slots=True)
class Person:
    """One invented client."""

    id: uuid.UUID
    external_id: str
    created_at: datetime
    birth_year: int
    gender: str | None
    organs: tuple[str, ...]
    partnered: bool
    research_consent: bool
    presentation: str
    trajectory: str
    modality: str
    couple: str | None
    """Shared by two people who come together."""
    forms: tuple[Form, ...]


def made_id(at: datetime, *names: object) -> uuid.UUID:
    """A UUIDv7 of that moment, whose other bits follow from the names instead of from chance."""
    digest = int.from_bytes(hashlib.sha256("/".join(map(str, names)).encode()).digest(), "big")
    milliseconds = round(at.timestamp() * 1000)
    return uuid.UUID(
        int=milliseconds << 80 | 7 << 76 | (digest & 0xFFF) << 64 | 2 << 62 | digest >> 12 & ((1 << 62) - 1)
    )


def people(clinic: Clinic, slug: str, count: int) -> Iterator[Person]:
    """``count`` people of the organisation ``slug``, in the order of their numbers, not of their coming."""
    deck: list[Trajectory] = []
    number = 0
    while number < count:
        chance = random.Random(f"{clinic.seed}/{slug}/{number}")  # noqa: S311  - invention, not a secret
        alone = count - number == 1
        fitting = [p for p in clinic.presentations if not alone or len(p.members) == 1]
        presentation = _pick(chance, [(p, float(p.weight)) for p in fitting])
        if not deck:
            deck = _shuffled(clinic, slug, number)
        yield from _come(clinic, slug, number, presentation, deck.pop(), chance)
        number += len(presentation.members)


def _shuffled(clinic: Clinic, slug: str, number: int) -> list[Trajectory]:
    """Twenty fates in the planned proportion, so that even a small organisation has each of them."""
    chance = random.Random(f"{clinic.seed}/{slug}/fates/{number}")  # noqa: S311  - as above
    cards = [trajectory for trajectory in clinic.trajectories for _ in range(trajectory.of_twenty)]
    return [card for _, card in sorted(((chance.random(), card) for card in cards), key=lambda pair: pair[0])]


def _come(
    clinic: Clinic, slug: str, number: int, presentation: Presentation, trajectory: Trajectory, chance: random.Random
) -> Iterator[Person]:
    """One person, or the two of a couple: same days, same fate, each with their own answers."""
    days = _days(clinic, trajectory, chance)
    gain = _between(chance, trajectory.change)
    name = f"{number + 1:04d}"
    # From a stream of its own, as what was added to the invention since: everything else stays what it was.
    apart = random.Random(f"{clinic.seed}/{slug}/{name}/modality")  # noqa: S311  - as above
    modality = _pick(apart, list(clinic.modalities.items()))
    for place, member in enumerate(presentation.members):
        couple = name if len(presentation.members) > 1 else None
        external_id = f"{slug}-{name}" + (f"-{'ab'[place]}" if couple else "")
        own = random.Random(f"{clinic.seed}/{external_id}")  # noqa: S311  - as above
        yield _person(clinic, external_id, couple, presentation, member, trajectory, modality, days, gain, own)


def _days(clinic: Clinic, trajectory: Trajectory, chance: random.Random) -> list[datetime]:
    """When they come: about every two or four weeks, for four to fourteen months, within the clinic's time."""
    whole = (clinic.last_day - clinic.first_day).days
    first = int(chance.random() * (whole - 60))
    every = 14 if chance.random() < 0.6 else 28
    sessions = (120 + int(chance.random() * 300)) // every
    hour, minute = 8 + int(chance.random() * 11), 5 * int(chance.random() * 12)
    if trajectory.sessions is not None:
        low, high = trajectory.sessions
        sessions = low + int(chance.random() * (high - low + 1))
    start = datetime.combine(clinic.first_day, time(hour, minute), UTC)
    strays = [int(chance.random() * 4) for _ in range(sessions)]
    days = [first + session * every + stray for session, stray in enumerate(strays)]
    return [start + timedelta(days=day) for day in days if day <= whole]


def _person(
    clinic: Clinic,
    external_id: str,
    couple: str | None,
    presentation: Presentation,
    member: Member,
    trajectory: Trajectory,
    modality: str,
    days: Sequence[datetime],
    gain: float,
    chance: random.Random,
) -> Person:
    created_at = days[0] - timedelta(days=1 + int(chance.random() * 6))
    age = member.ages[0] + int(chance.random() * (member.ages[1] - member.ages[0] + 1))
    anatomy = clinic.anatomies[member.anatomy]
    gender = _pick(chance, list(anatomy.genders.items()))
    return Person(
        id=made_id(created_at, clinic.seed, external_id),
        external_id=external_id,
        created_at=created_at,
        birth_year=clinic.first_day.year - age,
        gender=None if gender == "none" else gender,
        organs=anatomy.organs,
        partnered=chance.random() < presentation.partnered,
        research_consent=chance.random() < clinic.research_consent,
        presentation=presentation.name,
        trajectory=trajectory.name,
        modality=modality,
        couple=couple,
        forms=tuple(_forms(clinic, external_id, presentation, member, modality, days, gain, chance)),
    )


def _forms(
    clinic: Clinic,
    external_id: str,
    presentation: Presentation,
    member: Member,
    modality: str,
    days: Sequence[datetime],
    gain: float,
    chance: random.Random,
) -> Iterator[Form]:
    leaves_out = clinic.leaves_out[int(chance.random() * len(clinic.leaves_out))]
    offset = normal(chance, PERSON_SD)
    domains = {code: domain_levels(_asked(code), chance) for code in member.forms}
    due = dict.fromkeys(member.forms, days[0])
    settings = list(clinic.settings[modality].items())
    settling = 1 - math.exp(-(days[-1] - days[0]).days / SLOWNESS) or 1.0
    for day in days:
        absent = set()
        if chance.random() < presentation.inactive:
            absent |= {"no-activity", "no-attempt"}
        if chance.random() < presentation.avoids:
            absent |= {"no-attempt"}
        setting = _pick(chance, settings)
        # Most of a change comes early; by the last session all of it has come.
        progress = (1 - math.exp(-(day - days[0]).days / SLOWNESS)) / settling
        for place, (code, start) in enumerate(member.forms.items()):
            if day < due[code]:
                continue
            due[code] = day + timedelta(days=_pause(code) - 4)  # a session may come some days early
            answered_at = day + timedelta(minutes=6 * place)
            yield Form(
                id=made_id(answered_at, clinic.seed, external_id, code),
                instrument=code,
                answered_at=answered_at,
                setting=setting,
                answers=fill_in(
                    _asked(code),
                    start + offset + gain * progress,
                    domains[code],
                    chance,
                    absent=frozenset(absent),
                    leaves_out=leaves_out,
                    breaks_off=clinic.breaks_off,
                ),
            )


@cache
def _asked(code: str) -> tuple[Question, ...]:
    return questions(instruments.load(code))


def _pause(code: str) -> int:
    recall = instruments.load(code).recall_days
    return min(max(recall if recall is not None else USUAL_DAYS, LEAST_DAYS), MOST_DAYS)


def _between(chance: random.Random, bounds: tuple[float, float]) -> float:
    return bounds[0] + chance.random() * (bounds[1] - bounds[0])


def _pick(chance: random.Random, weighted: Sequence[tuple[Thing, float]]) -> Thing:
    left = chance.random() * sum(weight for _, weight in weighted)
    for thing, weight in weighted:
        left -= weight
        if left < 0:
            return thing
    return weighted[-1][0]
