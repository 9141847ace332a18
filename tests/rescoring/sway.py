"""An invented instrument whose first version forgot to turn a question round, and what tests do with it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import httpx

import scoring
from api.catalogue.library import Library
from api.catalogue.own import OwnInstruments
from api.db import Database
from api.rescoring import running
from instruments import Instrument
from instruments.loader import definition_from
from tests.api.people import People, Person
from tests.conftest import Tenant
from tests.factories import make_own_instrument

CODE: Final = "own-sway"
PATH: Final = "/v1/rescorings"
BEFORE: Final = "2026-02-01T10:00:00Z"
_BASIS: Final = {"source": "invented", "evidence": "derived"}


def sway(version: int, **changes: Any) -> Instrument:
    """A version; from the second on the third question counts the other way round, and there are further rules."""
    corrected = version > 1
    made: dict[str, Any] = {
        "code": CODE,
        "version": version,
        "name": "Sway Scale (invented)",
        "measures": "Swaying.",
        "concerns": ["well-being"],
        "population": "Nobody.",
        "applicability": {"partner": "not-needed", "activity": "not-needed"},
        "recall": "2 weeks",
        "citation": {"authors": "Nobody N", "year": 2020, "journal": "Invented 1"},
        "licence": {"status": "free-to-use", "holder": "nobody", "terms": "none"},
        "items": [
            {"id": "1", "topic": "sway", "options": [0, 1, 2, 3]},
            {"id": "2", "topic": "lean", "options": [0, 1, 2, 3]},
            {"id": "3", "topic": "stand", "options": [0, 1, 2, 3], "reverse": corrected},
        ],
        "scales": [scale("total", ["1", "2", "3"], 9)] + ([scale("half", ["1", "2"], 6)] if corrected else []),
        "bands": [
            {
                "id": "how-much",
                "scale": "total",
                "bands": [{"label": "low", "min": 0, "max": 4}, {"label": "high", "min": 5, "max": 9}],
            }
            | _BASIS
        ],
        "cutoffs": [{"id": "swaying", "scale": "total", "at_least": 6, "meaning": "sways"} | _BASIS],
        "alerts": [
            {"id": "falls", "meaning": "may fall", "severity": "urgent", "when": {"item": "1", "at_least": 3}} | _BASIS
        ],
    }
    if corrected:
        when = {"scale": "total", "at_least": 8}
        made["alerts"].append({"id": "leans", "meaning": "leans", "severity": "notice", "when": when} | _BASIS)
        odd = {"id": "odd", "meaning": "nobody does", "when": {"item": "2", "at_least": 3}, "scales": ["total"]}
        made["validity"] = [odd | {"suppress": True} | _BASIS]
    return definition_from(made | changes)


def scale(name: str, items: list[str], high: int) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "items": items,
        "method": "sum",
        "min": 0,
        "max": high,
        "higher_is": "worse",
        "missing": {"rule": "prorate", "min_answered": 2},
    } | _BASIS


SWAY_1: Final = sway(1)
SWAY_2: Final = sway(2)
FORMS: Final[list[dict[str, int | None]]] = [
    {"1": 0, "2": 0, "3": 0},  # 0 becomes 3
    {"1": 2, "2": 2, "3": 3},  # 7 becomes 4: from high to low, and no longer over the cutoff
    {"1": 3, "2": 2, "3": 0},  # 5 becomes 8: over the cutoff, and a new alert beside one that was raised
    {"1": 1, "2": 3, "3": 2},  # 6 becomes 5, and means nothing
    {"1": 1, "3": 1},  # 3 (prorated) becomes 4.5
    {"1": 1},  # nothing stays nothing
]


@dataclass
class Clinic:
    """One organisation with both versions of the instrument, and its people."""

    database: Database
    superuser: asyncpg.Connection
    tenant: Tenant
    people: People

    @property
    def admin(self) -> httpx.AsyncClient:
        return self.people.admin.http

    async def publish(self, *instruments: Instrument) -> None:
        for instrument in instruments:
            await make_own_instrument(self.superuser, self.tenant.id, instrument)

    async def record(self, client_id: str, *forms: dict[str, int | None], version: int = 1) -> list[str]:
        """Record forms, a day apart; their ids."""
        made = []
        for number, answers in enumerate(forms):
            at = f"2026-03-{number + 1:02}T10:00:00Z"
            answer = await self.people.ehr.respond(
                client_id, instrument=CODE, version=version, answers=answers, answered_at=at
            )
            assert answer.status_code == 201, answer.text
            made.append(answer.json()["id"])
        return made

    async def start(self, status: int = 202, **members: Any) -> httpx.Response:
        body = {"instrument": CODE, "from_version": 1, "to_version": 2, "reason": "question 3 was not turned round"}
        answer = await self.admin.post(PATH, json=body | members)
        assert answer.status_code == status, answer.text
        return answer

    async def step(self, run_id: str) -> running.Progress | None:
        """One batch, as a worker does it."""
        own = OwnInstruments(self.database.pool)
        library = Library(own)
        try:
            return await running.step(
                self.database.pool,
                self.tenant.id,
                uuid.UUID(run_id),
                lambda code, version: library.get(self.tenant.id, code, version),
            )
        finally:
            own.close()

    async def finish(self, run_id: str) -> dict[str, Any]:
        """All batches; the run as it is told of then."""
        while (progress := await self.step(run_id)) is not None and progress.going:
            pass
        return await self.told(run_id)

    async def told(self, run_id: str) -> dict[str, Any]:
        answer = await self.admin.get(f"{PATH}/{run_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def rescore(self, **members: Any) -> dict[str, Any]:
        """Start a run, and finish it."""
        return await self.finish((await self.start(**members)).json()["id"])

    async def act(self, run_id: str, action: str, status: int = 200, **body: Any) -> dict[str, Any]:
        answer = await self.admin.post(f"{PATH}/{run_id}/{action}", json=body or None)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def rescored(self) -> list[tuple[Any, ...]]:
        """All that runs have stored."""
        rows = await self.superuser.fetch(
            "select rescoring_id, response_id, scale, value, status, valid from rescored where organisation_id = $1"
            " order by 1, 2, 3",
            self.tenant.id,
        )
        return [tuple(row) for row in rows]

    async def read(self, path: str, **query: Any) -> bytes:
        """The body of an answer, byte for byte."""
        answer = await self.people.clinician.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.content

    async def now(self) -> str:
        """A time by which all that was done so far is known, and nothing that is done later."""
        at = await self.superuser.fetchval("select pg_sleep(0.002)::text || clock_timestamp()")
        return str(at).replace(" ", "T").replace("+00", "Z")

    def person(self, role: str) -> Person:
        found: Person = getattr(self.people, role)
        return found


def expected(instrument: Instrument, answers: dict[str, int | None]) -> dict[str, tuple[float | None, str, bool]]:
    """Each score of a form, by the engine for one form."""
    scores = scoring.score(instrument, answers).scores
    return {scale: (score.value, score.status, score.valid) for scale, score in scores.items()}
