"""An organisation whose clients' episodes have ended, and what tests do with its references."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import httpx
import numpy as np
from procrastinate import App

import instruments
from api import jobs
from api.ids import new_id
from api.references import jobs as fitting
from api.settings import Settings
from tests.api.people import People
from tests.conftest import Tenant
from tests.web.test_contract import REFERENCE

PATH: Final = "/v1/references"
START: Final = datetime(2025, 1, 6, 10, 0, tzinfo=UTC)
OWN: Final = {"instrument": "phq-9", "scale": "total", "origin": "episodes"}
TAKEN_IN: Final[dict[str, Any]] = REFERENCE
WEEKS: Final = (0, 2, 4, 6, 9)
VARIANT: Final = instruments.load("phq-9").variant_ids[0]


def courses(number: int, *, seed: int = 3, start: float = 14.0) -> list[list[int]]:
    """Scores of persons at `WEEKS`, 0 to 27, falling by half a point a week on average."""
    random = np.random.default_rng(seed)
    week = np.array(WEEKS)
    level, rate = random.normal(start, 3, (number, 1)), random.normal(-0.5, 0.25, (number, 1))
    made = level + rate * week + random.normal(0, 1.5, (number, len(week)))
    found: list[list[int]] = np.clip(np.round(made), 0, 27).astype(int).tolist()
    return found


def csv_of(scores: list[list[int]]) -> str:
    """As a file to be fitted."""
    rows = [f"p{n},{week},{score}" for n, one in enumerate(scores) for week, score in zip(WEEKS, one, strict=True)]
    return "\n".join(["id,weeks,score", *rows])


@dataclass
class Context:
    """What a task sees of its job."""

    app: App
    additional_context: dict[str, Any]


@dataclass(frozen=True)
class Practice:
    """Whoever asks, and the database behind."""

    superuser: asyncpg.Connection
    tenant: Tenant
    people: People
    settings: Settings

    async def close_episodes(self, scores: list[list[int]], **changes: Any) -> list[uuid.UUID]:
        """One closed episode a person, with a response at each of `WEEKS`; the clients' ids."""
        episode = {"format": "individual", "modality": "telehealth", "ended": True, "version": 1} | changes
        variant = episode.get("variant", VARIANT)
        clients, episodes, responses, values = [], [], [], []
        for n, one in enumerate(scores):
            client_id, episode_id = new_id(), new_id()
            start = START + timedelta(days=n % 50)
            why = "completed" if episode["ended"] else None
            end = (start + timedelta(weeks=12)).date() if episode["ended"] else None
            clients.append((self.tenant.id, client_id, b"\0" * 60, start))
            care: tuple[Any, ...] = (episode["modality"], episode["format"], [])
            episodes.append((self.tenant.id, episode_id, client_id, start.date(), end, why, *care, start))
            for week, score in zip(WEEKS, one, strict=True):
                response_id, at = new_id(), start + timedelta(weeks=week)
                responses.append((self.tenant.id, response_id, client_id, "phq-9", episode["version"], "0" * 64,
                                  variant, "{}", at, "ehr-1", "{}", True, episode_id))  # fmt: skip
                values.append((self.tenant.id, response_id, "total", float(score), "complete", True))
        for statement, rows in (
            ("insert into client (organisation_id, id, key_wrapped, created_at, updated_at)"
             " values ($1, $2, $3, $4, $4)", clients),
            ("insert into episode (organisation_id, id, client_id, started_on, ended_on, end_reason, modality, format,"
             " concerns, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)", episodes),
            ("insert into response (organisation_id, id, client_id, instrument, instrument_version,"
             " definition_checksum, variant, answers, answered_at, recorded_at, recorded_by, document, valid,"
             " episode_id) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12, $13)", responses),
            ("insert into score (organisation_id, response_id, scale, value, status, valid)"
             " values ($1, $2, $3, $4, $5, $6)", values),
        ):  # fmt: skip
            await self.superuser.executemany(statement, rows)
        return [row[1] for row in clients]

    async def create(self, *, role: str = "admin", **members: Any) -> httpx.Response:
        """Ask for a reference: of own episodes unless told otherwise."""
        answer: httpx.Response = await getattr(self.people, role).http.post(PATH, json=OWN | members)
        return answer

    async def made(self, **members: Any) -> dict[str, Any]:
        """The same, which has to work; what is said of it."""
        answer = await self.create(**members)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        assert answer.headers["Location"] == f"{PATH}/{found['id']}"
        return found

    async def taken_in(self, **members: Any) -> dict[str, Any]:
        """A reference made of parameters."""
        return await self.made(**(TAKEN_IN | members))

    async def read(self, reference_id: str) -> dict[str, Any]:
        """What is said of one."""
        answer = await self.people.clinician.http.get(f"{PATH}/{reference_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def act(self, reference_id: str, step: str) -> httpx.Response:
        """Activate or withdraw."""
        return await self.people.admin.http.post(f"{PATH}/{reference_id}/{step}")

    def worker(self) -> App:
        """The jobs, not opened yet."""
        assert self.settings.database_url is not None
        return jobs.application(self.settings.database_url.get_secret_value(), self.settings)

    async def sweep(self) -> None:
        """Do what is queued and what nobody is at, as a worker does."""
        app = self.worker()
        async with app.open_async():
            await app.configure_task(fitting.SWEEP).defer_async()
            await asyncio.wait_for(app.run_worker_async(wait=False), 300)

    async def fit(self, reference_id: str, **changes: Any) -> dict[str, int]:
        """Do one fit, however long it takes on a machine that is busy; ``changes`` of what a worker has for it."""
        app = self.worker()
        means = replace(app.worker_defaults["additional_context"][fitting.CONTEXT], **changes)
        async with app.open_async():
            context = Context(app, {fitting.CONTEXT: means})
            return await fitting.fit_reference(context, str(self.tenant.id), reference_id)  # type: ignore[arg-type]  # all that is used of one

    async def fitted(self, **members: Any) -> dict[str, Any]:
        """A reference that a worker has fitted, or refused."""
        made = await self.made(**members)
        assert made["state"] == "queued"
        await self.fit(made["id"])
        return await self.read(made["id"])
