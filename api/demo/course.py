"""What else is recorded of the invented people: episodes, sessions, couples, goals, work between sessions, protocols.

It follows from who they are and when they came, so it is the same every time. Slots are made by the statements that
requests make them with, from the day on which the demo is loaded.
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Final
from zlib import crc32

import asyncpg
import orjson
from sqlmodel import SQLModel

from api.assignments.tables import AssignmentRow, CompletionRow
from api.care.tables import EpisodeRow, SessionRow
from api.clients.tables import ClientRow
from api.clients.texts import Sealer
from api.couples.tables import ConsentRow, CoupleRow, MembershipRow
from api.demo.clinic import Clinic
from api.demo.people import Person, made_id
from api.goals.tables import GoalRow, RatingRow
from api.protocols.keeping import replan
from api.protocols.settling import BATCH, mark, unmarked
from api.protocols.tables import EpisodeProtocolRow, ProtocolRow, ProtocolVersionRow
from api.security import crypto

SUBJECT: Final = "demo-clinician"
STILL_COMING: Final = timedelta(days=45)
"""Whoever came this shortly before the clinic's last day has not ended."""
CONSENTED: Final = timedelta(days=28)
"""After which those took their consent back who did."""
REACHED: Final[Mapping[str, int]] = {"improving": 5, "flat": 0, "worsening": -1, "drop-out": 0}
"""By trajectory: how far a goal of 0 to 10 moves until the last session."""
_OUTCOMES: Final = ("done", "done", "partly", "not-done")


def episode_id(person: Person) -> uuid.UUID:
    """The person's one episode."""
    return made_id(person.created_at, person.external_id, "episode")


def _format(clinic: Clinic, person: Person) -> str:
    if person.couple:
        return "couple"
    return "group" if person.presentation in clinic.in_groups and _number(person) % 2 else "individual"


def _end_reason(clinic: Clinic, person: Person) -> str:
    """Both of a couple have the same: it follows from what they share."""
    if person.forms[0].answered_at.date() == person.forms[-1].answered_at.date():
        return "not-taken-up"
    parted = person.couple and person.trajectory in ("flat", "worsening")
    reasons = clinic.ends["couple" if parted else person.trajectory]
    return reasons[crc32((person.couple or person.external_id).encode()) % len(reasons)]


def before_forms(organisation_id: uuid.UUID, clinic: Clinic, person: Person) -> Iterator[SQLModel]:
    """Their episode, which their forms are recorded in."""
    last = person.forms[-1].answered_at.date()
    ended = clinic.last_day - last > STILL_COMING
    at = person.created_at
    yield EpisodeRow(
        organisation_id=organisation_id,
        id=episode_id(person),
        client_id=person.id,
        started_on=at.date(),
        ended_on=last if ended else None,
        end_reason=_end_reason(clinic, person) if ended else None,
        modality=person.modality,
        format=_format(clinic, person),
        concerns=list(clinic.concerns.get(person.presentation, ())),
        clinician=clinic.stories.clinicians.get(person.external_id, f"c-{1 + _number(person) % clinic.clinicians}"),
        created_at=at,
        updated_at=at,
        version=1,
    )
    for day, visit in _visits(person):
        held = visit.answered_at - timedelta(hours=1)
        video = (
            visit.setting in ("telehealth", "remote")
            if person.modality == "hybrid"
            else person.modality == "telehealth"
        )
        yield SessionRow(
            organisation_id=organisation_id,
            id=made_id(held, person.external_id, "session"),
            episode_id=episode_id(person),
            held_at=held,
            held_on=day,
            attendance="attended",
            modality="telehealth" if video else "in-person",
            created_at=held,
            updated_at=held,
            version=1,
        )


def beside_forms(keys: crypto.Keys, client: ClientRow, clinic: Clinic, person: Person) -> Iterator[SQLModel]:
    """A goal and its ratings for every third, work between sessions for every fourth."""
    of = client.organisation_id
    visits = list(_visits(person))
    number, at = _number(person), visits[0][1].answered_at
    if number % 3 == 0:
        goal_id = made_id(at, person.external_id, "goal")
        words = orjson.dumps([clinic.goals[number % len(clinic.goals)], None]).decode()
        yield GoalRow(
            organisation_id=of, id=goal_id, client_id=person.id, kind="target", target=8, baseline=3,
            words_sealed=Sealer(keys, client, b"goal").seal(words, goal_id), set_on=at.date(),
            created_at=at, updated_at=at, version=1,
        )  # fmt: skip
        for place, (day, visit) in enumerate(visits):
            moved = REACHED[person.trajectory] * (place + 1) / len(visits)
            yield RatingRow(
                organisation_id=of, id=made_id(visit.answered_at, person.external_id, "rating"), goal_id=goal_id,
                rated_on=day, value=3 + round(moved), recorded_at=visit.answered_at, recorded_by=SUBJECT,
            )  # fmt: skip
    if number % 4 == 0:
        kinds = clinic.work["partnered" if person.partnered else "alone"]
        for place, ((day, visit), (until, back)) in enumerate(pairwise(visits)):
            work_id = made_id(visit.answered_at, person.external_id, "assignment")
            outcome = _OUTCOMES[(number + place) % len(_OUTCOMES)]
            done = outcome != "not-done"
            yield AssignmentRow(
                organisation_id=of, id=work_id, client_id=person.id, kind=kinds[place % len(kinds)], set_on=day,
                due_on=until, created_at=visit.answered_at, updated_at=back.answered_at, version=2,
            )  # fmt: skip
            yield CompletionRow(
                organisation_id=of, assignment_id=work_id, version=2, outcome=outcome, completed_on=until,
                minutes=15 + 5 * (place % 4) if done else None, distress_before=6 if done else None,
                distress_after=4 if done else None, recorded_at=back.answered_at, recorded_by=SUBJECT,
            )  # fmt: skip


def couples(organisation_id: uuid.UUID, invented: Sequence[Person]) -> Iterator[SQLModel]:
    """Those who come together. Both have consented to the joint view, but in every third couple one of them never did,
    and in some others one took the consent back after the first weeks.
    """
    together: dict[str, list[Person]] = defaultdict(list)
    for person in invented:
        if person.couple is not None:
            together[person.couple].append(person)
    for place, (name, both) in enumerate(together.items()):
        at = max(person.created_at for person in both)
        couple_id = made_id(at, both[0].external_id, "couple")
        yield CoupleRow(organisation_id=organisation_id, id=couple_id, created_at=at)
        for person in both:
            said = [True]
            if person is not both[0]:
                said = [] if place % 3 == 2 else [True, False] if place % 4 == 1 else [True]
            stated = [at + which * CONSENTED for which in range(len(said))]
            member_id = uuid.uuid5(couple_id, f"{name}/{person.external_id}")
            yield MembershipRow(
                organisation_id=organisation_id, id=member_id, couple_id=couple_id, client_id=person.id,
                joined_on=at.date(), created_at=at, updated_at=max([at, *stated]), version=1 + len(said),
            )  # fmt: skip
            for version, (given, when) in enumerate(zip(said, stated, strict=True), 2):
                yield ConsentRow(
                    organisation_id=organisation_id, member_id=member_id, version=version, given=given,
                    stated_on=when.date(), recorded_at=when, recorded_by=SUBJECT,
                )  # fmt: skip


def protocols(organisation_id: uuid.UUID, clinic: Clinic, invented: Sequence[Person]) -> Iterator[SQLModel]:
    """The clinic's protocols, and who follows them: whoever fills in all of a protocol's forms, from the start."""
    at = datetime.combine(clinic.first_day, time(), UTC)
    for plan in clinic.protocols:
        protocol_id = made_id(at, clinic.seed, "protocol", plan.code)
        yield ProtocolRow(
            organisation_id=organisation_id, id=protocol_id, code=plan.code, version=1, created_at=at, updated_at=at,
            revision=1,
        )  # fmt: skip
        yield ProtocolVersionRow(
            organisation_id=organisation_id, protocol_id=protocol_id, version=1, name=plan.name,
            entries=[entry.model_dump() for entry in plan.entries], made_at=at, made_by=SUBJECT,
        )  # fmt: skip
        asked = {entry.instrument for entry in plan.entries}
        for person in invented:
            if asked <= {form.instrument for form in person.forms}:
                yield EpisodeProtocolRow(
                    organisation_id=organisation_id, id=made_id(person.created_at, person.external_id, plan.code),
                    client_id=person.id, episode_id=episode_id(person), protocol_id=protocol_id, protocol_version=1,
                    starts_on=person.created_at.date(), created_at=person.created_at, updated_at=person.created_at,
                    version=1,
                )  # fmt: skip


async def make_slots(connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], organisation_id: uuid.UUID) -> None:
    """All slots of who follows a protocol, and which of them are answered."""
    statements = _OfDriver(connection)
    followed = await statements.rows("select id, episode_id from episode_protocol order by id")
    for one in dict.fromkeys(row[1] for row in followed):
        await replan(statements, organisation_id, one)
    known = await unmarked(statements, organisation_id)
    for start in range(0, len(known), BATCH):
        await mark(statements, organisation_id, known[start : start + BATCH])


async def acknowledge(
    connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record],
    organisation_id: uuid.UUID,
    clinic: Clinic,
    seen_to: Sequence[uuid.UUID],
) -> None:
    """See to the alerts of all but the last weeks, on the day after; of some people, of these weeks too."""
    until = datetime.combine(clinic.last_day, time(), UTC) - STILL_COMING
    open_ = "select id, created_at from alert where status = 'open' and (created_at < $1 or client_id = any($2))"
    for alert in await connection.fetch(f"{open_} order by id", until, seen_to):
        at = alert["created_at"] + timedelta(days=1)
        await connection.execute(
            "select acknowledge_alert($1, $2, $3, $4, null, $5)",
            organisation_id, alert["id"], at, SUBJECT, made_id(at, alert["id"], "acknowledged"),
        )  # fmt: skip


class _OfDriver:
    """Statements of protocols over the driver that the demo is loaded with."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record]) -> None:
        self._connection = connection

    async def rows(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """What a query finds."""
        text, names = _numbered(sql)
        return [tuple(row) for row in await self._connection.fetch(text, *(parameters[name] for name in names))]

    async def each(self, sql: str, many: Sequence[dict[str, Any]]) -> None:
        """Run a statement once for each set of parameters."""
        text, names = _numbered(sql)
        await self._connection.executemany(text, [[given[name] for name in names] for given in many])


def _numbered(sql: str) -> tuple[str, list[str]]:
    names = list(dict.fromkeys(re.findall(r":(\w+)", sql)))
    return re.sub(r":(\w+)", lambda found: f"${names.index(found[1]) + 1}", sql), names


def _visits(person: Person) -> Iterator[tuple[date, Any]]:
    """Each day on which they came, with the first form of that day."""
    seen: date | None = None
    for form in person.forms:
        if form.answered_at.date() != seen:
            seen = form.answered_at.date()
            yield seen, form


def _number(person: Person) -> int:
    return int(re.findall(r"\d+", person.external_id)[0])
