"""An application with the real shell and a few routes that behave in every way a route can. Needs no database."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from api.app import MOST_READ, MOST_READ_OF_ONE, create_app
from api.lane import Lane
from api.problems import problems
from api.security import issuer
from api.security.principal import Authenticator, Principal, RateLimit, require
from api.settings import Settings

ORGANISATION = uuid.UUID(int=7)
SENTINEL = "sentinel-4711"
"""Stands for health data: whatever a test sends or a route raises contains it, and no log or answer may."""


class Small(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["small"]
    size: int


class Large(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["large"]
    id: uuid.UUID


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=20)
    answers: dict[str, int] = {}
    ids: list[uuid.UUID] = []
    one: Annotated[Small | Large, Field(discriminator="kind")] | None = None
    either: int | bool | None = None


router = APIRouter()


@router.post("/v1/things", operation_id="makeThing", responses=problems())
async def make(thing: Thing, principal: Annotated[Principal, Depends(require("clients:write"))]) -> dict[str, Any]:
    return {"name": thing.name, "organisation": principal.organisation}


@router.get("/v1/things", operation_id="listThings", responses=problems())
async def listed(
    principal: Annotated[Principal, Depends(require("clients:read"))],
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> dict[str, int]:
    return {"limit": limit}


@router.get("/v1/things/{thing_id}", operation_id="readThing", responses=problems())
async def read(
    thing_id: uuid.UUID, principal: Annotated[Principal, Depends(require("clients:read"))], q: str = ""
) -> dict[str, str]:
    return {"id": str(thing_id), "subject": principal.subject}


@router.put("/v1/things/{thing_id}", operation_id="writeThing", responses=problems())
async def write(
    thing_id: uuid.UUID, request: Request, principal: Annotated[Principal, Depends(require("clients:write"))]
) -> dict[str, Any]:
    return {"parsed": request.scope["state"].get("json"), "body": (await request.body()).decode()}


@router.get("/fails/{how}")
async def fail(how: str) -> StreamingResponse:
    if how == "status":
        raise HTTPException(418, SENTINEL)
    if how == "connection":
        raise ConnectionRefusedError(SENTINEL)
    if how == "midway":
        return StreamingResponse(_breaking_off(), media_type="text/plain")
    try:
        raise KeyError(SENTINEL)
    except KeyError as error:
        raise ValueError(f"could not store {SENTINEL}") from error


async def _breaking_off() -> AsyncIterator[bytes]:
    yield b"first"
    raise ValueError(SENTINEL)


class Probe:
    """The application, its issuer, and how to ask it."""

    def __init__(self, data: Path, **settings: Any) -> None:
        chosen = {"rate_limit": 0.0} | settings
        self.app: FastAPI = create_app(Settings(data=data, development_issuer=True, **chosen))
        self.app.include_router(router)
        self.issuer = issuer.load(data, create=True)
        self.app.state.keep_refusal = None  # the trail lies in a database
        limit = RateLimit(self.app.state.settings.rate_limit, self.app.state.settings.rate_burst)
        self.app.state.development_issuer = self.issuer
        self.app.state.reading = Lane("reading", most=MOST_READ, most_of_one=MOST_READ_OF_ONE)
        self.app.state.authenticator = Authenticator(self.issuer.trusted(), self._organisation_id, limit)

    async def _organisation_id(self, slug: str) -> uuid.UUID | None:
        return ORGANISATION if slug == "demo" else None

    def bearer(self, role: str = "clinician", subject: str = f"dr-{SENTINEL}") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.token(organisation='demo', role=role, subject=subject)}"}

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers)
