"""The whole service on a real database: two organisations, their tokens, and ways to ask it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import asyncpg
import httpx
from fastapi import FastAPI

from api.organisations.repository import ensure_organisation
from api.security import issuer
from api.settings import Settings

HERE, ELSEWHERE = "demo", "other"


@dataclass(frozen=True)
class Service:
    """A started application. `organisations` are the ids of both organisations by slug."""

    app: FastAPI
    settings: Settings
    issuer: issuer.DevelopmentIssuer
    organisations: dict[str, uuid.UUID]

    def client(
        self, role: str | None = None, *, organisation: str = HERE, subject: str = "tester"
    ) -> httpx.AsyncClient:
        """An HTTP client of the application in this process, with a token of the role if one is given."""
        headers = {}
        if role is not None:
            headers["Authorization"] = f"Bearer {self.token(role, organisation=organisation, subject=subject)}"
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers)

    def token(self, role: str, *, organisation: str = HERE, subject: str = "tester") -> str:
        return self.issuer.token(organisation=organisation, role=role, subject=subject)


async def service_of(app: FastAPI, settings: Settings) -> Service:
    """A started application with its two organisations."""
    pool: asyncpg.Pool[asyncpg.Record] = app.state.database.pool
    async with pool.acquire() as connection:
        organisations = {slug: await ensure_organisation(connection, slug, slug.title()) for slug in (HERE, ELSEWHERE)}
    return Service(app, settings, issuer.load(settings.data, create=False), organisations)
