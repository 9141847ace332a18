"""Whatever was recorded, put right, found void, scored anew or scored by other versions: a row says what progress says.

The order of all clients is made by arrays, what is shown by progress; both are held to what other operations answer.
"""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from typing import Any, Final

import asyncpg
import pytest

from api.db import Database
from api.responses.recording import ScoreToRecord, record
from instruments import Instrument
from tests.api.corrected import correct
from tests.api.people import People, Person
from tests.caseload.clinic import NOW, begun, check_against_others, page, rows, totals_of
from tests.conftest import Tenant
from tests.factories import make_recording
from tests.rescoring.sway import CODE, Clinic, sway

BASIS: Final = {"source": "invented", "evidence": "memory"}
PROGRESS: Final = {
    "scale": "total",
    "sd": 2,
    "sd_sample": "nobody",
    "reliability": 0.9,
    "reliability_kind": "test-retest",
    "reliability_sample": "nobody",
} | BASIS
COMPARABLE: Final = [{"version": 2, "why": "the same questions"} | BASIS]
CONCERNS: Final[tuple[list[str], ...]] = (["desire"], ["mood"], ["well-being"], ["mood", "pain"], ["alcohol"], [])
SHIPPED: Final[dict[str, tuple[int, int, int, list[str | None]]]] = {
    "fsfi": (19, 1, 5, [None, None, "strict", "prorated"]),
    "phq-9": (9, 0, 3, [None, None, None, "nhs-talking-therapies"]),
    "gad-7": (7, 0, 3, [None]),
}
"""Items, lowest and highest answer, and variants."""


def version(number: int) -> Instrument:
    """The third may be put beside the second, and the first beside none."""
    return sway(number, progress=[PROGRESS], **({"comparable_with": COMPARABLE} if number == 3 else {}))


class Course:
    """What happens to some clients, by chance."""

    def __init__(self, person: Person, seed: int) -> None:
        self.person, self.chance = person, random.Random(seed)
        self.clients: list[str] = []
        self.recorded: list[tuple[str, str, dict[str, Any]]] = []

    def answers(self, instrument: str) -> dict[str, int]:
        items, low, high, _ = SHIPPED.get(instrument, (3, 0, 3, []))
        level = self.chance.choice((low, low, self.chance.randint(low, high), high))
        given = {
            str(item): min(high, max(low, level + self.chance.choice((-1, 0, 0, 1)))) for item in range(1, items + 1)
        }
        if self.chance.random() < 0.1:  # too little
            given = dict([*given.items()][: items // 3])
        elif instrument == "fsfi" and self.chance.random() < 0.15:  # a validity rule holds it back
            given |= {str(item): 0 for item in range(3, 15)}
        return given

    async def record(self, client_id: str) -> None:
        instrument = self.chance.choice((*SHIPPED, CODE, CODE))
        # days are few, so that some are answered at the same moment
        form: dict[str, Any] = {
            "instrument": instrument,
            "answered_at": (NOW - timedelta(days=self.chance.randint(1, 12))).isoformat(),
            "answers": self.answers(instrument),
        }
        if instrument == CODE:
            form["version"] = self.chance.choice((1, 2, 3, 3))
        elif (variant := self.chance.choice(SHIPPED[instrument][3])) is not None:
            form["variant"] = variant
        answer = await self.person.respond(client_id, **form)
        assert answer.status_code == 201, answer.text
        self.recorded.append((answer.json()["id"], instrument, form))

    async def put_right(self) -> None:
        response_id, instrument, _ = self.recorded.pop(self.chance.randrange(len(self.recorded)))
        if self.chance.random() < 0.5:
            answer = await correct(self.person, response_id, "void", match="*")
        else:
            changes: dict[str, Any] = {"answers": self.answers(instrument)}
            if self.chance.random() < 0.5:
                changes["answered_at"] = (NOW - timedelta(days=self.chance.randint(1, 12))).isoformat()
            answer = await correct(self.person, response_id, match="*", **changes)
        assert answer.status_code in (200, 201), answer.text

    async def happen(self, clients: int, forms: int) -> None:
        self.clients = [await begun(self.person, concerns=self.chance.choice(CONCERNS)) for _ in range(clients)]
        for number in range(forms):
            await self.record(self.chance.choice(self.clients))
            if number % 6 == 5:
                await self.put_right()


async def check(people: People, clients: list[str], *asked: str) -> None:
    """All rows against other operations, by the usual measures and by those that are asked for."""
    for query in ({}, *({"instrument": code} for code in asked)):
        found = await rows(people.clinician, limit=50, **query)
        assert {*found} == {*clients}
        await check_against_others(people.clinician, found)
        assert (await page(people.clinician, **query))["totals"] == totals_of([*found.values()])


@pytest.fixture
async def clinic(opened: Database, superuser: asyncpg.Connection, tenant: Tenant, people: People) -> Clinic:
    """The test's organisation, with three versions of the invented instrument."""
    made = Clinic(opened, superuser, tenant, people)
    await made.publish(*(version(number) for number in (1, 2, 3)))
    return made


async def whole_course(clinic: Clinic, seed: int, clients: int, forms: int) -> set[str | None]:
    """What happens, and checks before, during and after scores of a re-scoring count; the categories there were."""
    course = Course(clinic.people.ehr, seed)
    await course.happen(clients, forms)
    await check(clinic.people, course.clients, "fsfi")
    found = {row["category"] for row in (await rows(clinic.people.clinician)).values()}
    run = await clinic.rescore()
    await course.put_right()
    await course.record(course.clients[0])
    await check(clinic.people, course.clients, CODE)
    await clinic.act(run["id"], "withdraw", reason="invented")
    await check(clinic.people, course.clients)
    return found


async def test_rows_say_what_progress_says(clinic: Clinic) -> None:
    found = await whole_course(clinic, 20260112, clients=6, forms=54)
    assert len(found) > 3, found


async def test_of_several_answers_of_one_moment_the_one_recorded_first_comes_first(
    people: People, opened: Database, tenant: Tenant
) -> None:
    """In whichever order the rows were written: the baseline is what was recorded first, the last what was last."""
    client_id = await begun(people.ehr)
    for days, recorded, value in ((9, 2, 30.0), (9, 1, 10.0), (9, 3, 20.0), (2, 2, 12.0), (2, 3, 28.0), (2, 1, 20.0)):
        at = NOW - timedelta(days=days)
        made = make_recording(
            tenant.id,
            uuid.UUID(client_id),
            instrument="fsfi",
            variant="strict",
            scores=(ScoreToRecord("total", value, "complete", valid=True),),
            answered_at=at,
            recorded_at=at + timedelta(minutes=recorded),
        )
        assert (await record(opened.pool, made)).outcome == "created"
    found = await rows(people.clinician)
    (one,) = found[client_id]["measures"]
    assert (one["baseline"]["value"], one["last"]["value"], found[client_id]["category"]) == (10, 28, "recovered")
    await check_against_others(people.clinician, found)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
async def test_rows_say_what_progress_says_of_much(clinic: Clinic, seed: int) -> None:
    await whole_course(clinic, seed, clients=25, forms=250)
