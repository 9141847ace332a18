"""Callers of the API, and what they usually do."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

FSFI_FIVES = {str(number): 5 for number in range(1, 20)}
ANSWERED_AT = "2026-03-01T10:00:00Z"


def web(app: FastAPI, organisation: str | None, role: str | None, subject: str | None = None) -> httpx.AsyncClient:
    """An HTTP client of the application in this process, with a token if a role is given."""
    headers = {}
    if organisation is not None and role is not None:
        token = app.state.development_issuer.token(organisation=organisation, role=role, subject=subject or f"{role}-1")
        headers["Authorization"] = f"Bearer {token}"
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers)


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem that an answer is, which has to be this one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (found["type"], found["status"]) == (f"/problems/{slug}", status)
    return found


def faults(answer: httpx.Response, slug: str = "request-invalid") -> list[tuple[str, str]]:
    """Where each fault of a 422 lies, and its code."""
    return [
        (error.get("pointer", error.get("parameter")), error["code"]) for error in problem(answer, 422, slug)["errors"]
    ]


@dataclass(frozen=True)
class Person:
    """Somebody with a token."""

    http: httpx.AsyncClient

    async def client(self, **members: Any) -> str:
        """A new client's id."""
        answer = await self.http.post("/v1/clients", json=members)
        assert answer.status_code == 201, answer.text
        made: str = answer.json()["id"]
        return made

    async def respond(self, client_id: str, *, key: str | None = None, **members: Any) -> httpx.Response:
        """Post a form: all answers 5 of the FSFI unless told otherwise."""
        return await self.http.post(
            "/v1/responses",
            json=form(client_id, **members),
            headers={"Idempotency-Key": key or uuid.uuid4().hex},
        )


def form(client_id: str, **members: Any) -> dict[str, Any]:
    """The body of a response."""
    body = {"client_id": client_id, "instrument": "fsfi", "answered_at": ANSWERED_AT, "answers": FSFI_FIVES}
    return body | members


@dataclass(frozen=True)
class People:
    """One person a role, all of one organisation but the last."""

    ehr: Person
    clinician: Person
    researcher: Person
    admin: Person
    elsewhere: Person
