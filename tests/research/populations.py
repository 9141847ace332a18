"""Invented people in the database, and the plain reference that answers are held against."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pandas as pd

from api.clients.codes import gender_group
from api.ids import new_id
from instruments import load

THRESHOLD = 11
NAMES = ("calendar_year", "age_band", "gender_group")


@dataclass(frozen=True)
class Person:
    """Somebody with PHQ-9 totals, each a year and a value (in the order in which they were given)."""

    scores: Sequence[tuple[int, float | None]]
    gender: str | None = "woman"
    born: int | None = 1990
    consent: bool = True
    valid: bool = True
    instrument: str = "phq-9"
    version: int = 1
    variant: str = "prorated"
    scale: str = "total"
    """The scale of ``scores``. Further scales: `others`."""
    others: tuple[tuple[str, float], ...] = ()


def people(number: int, person: Person) -> list[Person]:
    """So many alike."""
    return [replace(person) for _ in range(number)]


async def store(owner: asyncpg.Connection, organisation_id: uuid.UUID, persons: Sequence[Person]) -> list[uuid.UUID]:
    """Write them all; their ids."""
    clients, responses, scores = [], [], []
    made = datetime(2019, 1, 1, tzinfo=UTC)
    for person in persons:
        client = new_id()
        clients.append((organisation_id, client, b"\0" * 60, person.born, person.gender, person.consent, made, made, 1))
        checksum = load(person.instrument).checksum
        for number, (year, value) in enumerate(person.scores):
            response, at = new_id(), datetime(year, 1, 2, 12, tzinfo=UTC) + timedelta(hours=number)
            responses.append(
                (
                    organisation_id,
                    response,
                    client,
                    person.instrument,
                    person.version,
                    checksum,
                    person.variant,
                    "{}",
                    at,
                    at,
                    "ehr-1",
                    json.dumps({}),
                    True,
                )
            )
            for scale, given in ((person.scale, value), *person.others):
                status = "complete" if given is not None else "insufficient"
                scores.append((organisation_id, response, scale, given, status, person.valid))
    async with owner.transaction():
        await owner.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await _insert(
            owner,
            "client (organisation_id, id, key_wrapped, birth_year, gender, research_consent, created_at, updated_at, "
            "version)",
            clients,
        )
        await _insert(
            owner,
            "response (organisation_id, id, client_id, instrument, instrument_version, definition_checksum, variant, "
            "answers, answered_at, recorded_at, recorded_by, document, valid)",
            responses,
        )
        await _insert(owner, "score (organisation_id, response_id, scale, value, status, valid)", scores)
    return [client[1] for client in clients]


async def _insert(connection: asyncpg.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        places = ", ".join(f"${number}" for number in range(1, len(rows[0]) + 1))
        await connection.executemany(f"insert into {into} values ({places})", rows)  # noqa: S608  - constants


def age_band(age: float | None) -> str:
    """Written out again, apart from the data file."""
    if age is None or not 0 <= age <= 120:
        return "not-stated"
    for end, name in ((30, "under-30"), (40, "30-39"), (50, "40-49"), (60, "50-59")):
        if age < end:
            return name
    return "60-and-over"


def frame_of(persons: Sequence[Person]) -> pd.DataFrame:
    """The persons' yearly last scores as a plain frame, with first and last of all."""
    rows = []
    for number, person in enumerate(persons):
        usable = [(year, value) for year, value in person.scores if value is not None]
        if not (usable and person.consent and person.valid):
            continue
        first, latest = usable[0][1], usable[-1][0]
        for year, value in dict(usable).items():
            rows.append(
                {
                    "person": number,
                    "calendar_year": str(year),
                    "age_band": age_band(None if person.born is None else year - person.born),
                    "gender_group": gender_group(person.gender),
                    "value": value,
                    "changed": year == latest and len(usable) > 1,
                    "change": value - first,
                }
            )
    columns = ["person", *NAMES, "value", "changed", "change"]
    return pd.DataFrame(rows, columns=columns)


def chosen(frame: pd.DataFrame, levels: dict[str, str]) -> pd.DataFrame:
    """The rows of a cell."""
    for name, level in levels.items():
        frame = frame[frame[name] == level]
    return frame
