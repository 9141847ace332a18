"""A clinic of one test: clients with answers, written through the API, and people who are signed in to the pages."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI

from api.organisations.repository import ensure_organisation
from api.security import issuer

BASE = "https://pages.test"
SENT_FROM_HERE = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}


def browser(app: FastAPI) -> httpx.AsyncClient:
    """What a browser is to the pages: it keeps cookies, and goes where it is sent when told to."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE)


def token_in(text: str) -> str:
    """The token of the forms of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', text)
    assert found is not None, text
    return html.unescape(found[1])


async def enter(client: httpx.AsyncClient, persona: str, organisation: str, path: str | None = None) -> httpx.Response:
    """Sign in as a persona; the answer that lets one in."""
    page = await client.get("/app/sign-in", params={"next": path} if path else None)
    assert page.status_code == 200, page.text
    form = {"csrf": token_in(page.text), "persona": persona, "organisation": organisation}
    return await client.post("/app/sign-in/persona", data=form, headers=SENT_FROM_HERE)


@asynccontextmanager
async def signed_in(app: FastAPI, persona: str, organisation: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which somebody is signed in."""
    async with browser(app) as client:
        answer = await enter(client, persona, organisation)
        assert answer.status_code == 303, answer.text
        yield client


@dataclass(frozen=True)
class Clinic:
    """An organisation with one client, who got worse and has an open alert."""

    app: FastAPI
    slug: str
    organisation_id: uuid.UUID
    client_id: str
    alert_id: str
    response_id: str
    goal_id: str
    work_id: str

    def signed_in(self, persona: str = "clinician:c-1") -> Any:
        """A browser in which somebody of this clinic is signed in."""
        return signed_in(self.app, persona, self.slug)

    @property
    def paths(self) -> dict[str, str]:
        """A path for each page that shows something of the client or of lists with the client."""
        return {
            "caseload": "/app/caseload",
            "client": f"/app/clients/{self.client_id}",
            "history": f"/app/clients/{self.client_id}/history",
            "explain": f"/app/responses/{self.response_id}",
            "alerts": "/app/alerts",
            "alert": f"/app/alerts/{self.alert_id}",
            "due": "/app/due",
            "goals": f"/app/clients/{self.client_id}/goals",
            "goal": f"/app/clients/{self.client_id}/goals/{self.goal_id}",
            "work": f"/app/clients/{self.client_id}/work/{self.work_id}",
            "goal_set": f"/app/clients/{self.client_id}/goals/new",
            "work_set": f"/app/clients/{self.client_id}/work/new",
            "enter": f"/app/clients/{self.client_id}/enter",
            "entry": f"/app/clients/{self.client_id}/enter/phq-9",
            "amend": f"/app/responses/{self.response_id}/amend",
            "void": f"/app/responses/{self.response_id}/void",
            "recorded": f"/app/responses/{self.response_id}/recorded",
        }


class Api:
    """The API of the same application, with a token of the development issuer."""

    def __init__(self, app: FastAPI, slug: str, role: str = "clinician") -> None:
        signer: issuer.DevelopmentIssuer = app.state.development_issuer
        token = signer.token(organisation=slug, role=role, subject="c-1")
        transport = httpx.ASGITransport(app=app)
        self.client = httpx.AsyncClient(
            transport=transport, base_url=BASE, headers={"Authorization": f"Bearer {token}"}
        )

    async def post(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        """What is made."""
        answer = await self.client.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def answered(self, client_id: str, instrument: str, day: str, answers: dict[str, int], **more: Any) -> Any:
        """A form that was filled in."""
        body = {"client_id": client_id, "instrument": instrument, "answered_at": f"{day}T09:00:00Z"}
        return await self.post("/v1/responses", {**body, "answers": answers, **more})


async def make_clinic(app: FastAPI, *, number: str = "A-17", text: str = "to sleep through the night") -> Clinic:
    """A clinic with a client who is worse off in mood than at the start, and said something that raises an alert."""
    slug = f"p-{uuid.uuid4().hex}"
    async with app.state.database.pool.acquire() as connection:
        organisation_id = await ensure_organisation(connection, slug, "A clinic of one test")
    api = Api(app, slug)
    client_id = (await api.post("/v1/clients", {"external_id": number, "birth_year": 1980}))["id"]
    episode = {"started_on": "2026-01-05", "format": "individual", "clinician": "c-1", "concerns": ["mood"]}
    await api.post(f"/v1/clients/{client_id}/episodes", episode)
    items = [str(item) for item in range(1, 10)]
    before = dict.fromkeys(items, 0)
    await api.answered(client_id, "phq-9", "2026-01-06", before)
    worse = await api.answered(client_id, "phq-9", "2026-03-06", dict.fromkeys(items, 2))
    kept = await api.answered(client_id, "phq-9", "2026-02-06", {**before, "1": 1})
    await api.post(
        f"/v1/responses/{kept['id']}/amend",
        {"answers": {**before, "1": 2}, "reason_code": "mistyped", "reason": text},
        **{"If-Match": '"1"'},
    )
    goal = {"kind": "target", "wording": text, "target": 8, "baseline": 2, "set_on": "2026-01-12"}
    goal_id = (await api.post(f"/v1/clients/{client_id}/goals", goal))["id"]
    await api.post(f"/v1/clients/{client_id}/goals/{goal_id}/ratings", {"value": 5, "rated_on": "2026-02-12"})
    work = {"kind": "relaxation", "set_on": "2026-02-12", "due_on": "2026-02-19", "note": text}
    work_id = (await api.post(f"/v1/clients/{client_id}/assignments", work))["id"]
    alert = next(one["id"] for one in worse["alerts"] if one["kind"] == "answers")
    await api.client.aclose()
    return Clinic(app, slug, organisation_id, client_id, alert, worse["id"], goal_id, work_id)


def path_of(answer: httpx.Response) -> str:
    """Where an answer sends the browser."""
    parts = urlsplit(answer.headers["location"])
    return parts.path + (f"?{parts.query}" if parts.query else "")
