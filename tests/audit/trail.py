"""A trail to tamper with: events in an organisation of the test's own, sealed as the job does it."""

from __future__ import annotations

import itertools
import json
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import psycopg
from pydantic import SecretStr

from api import jobs
from api.audit.chain import Event
from api.audit.sealing import NIL, seal_batch
from api.audit.verifying import KeptHead, Trail, verify_trail
from api.audit.walk import Finding
from api.db import ORGANISATION_SETTING
from api.embedded.cluster import OWNER
from api.settings import Settings
from api.startup import derived_keys
from tests.conftest import Urls

INSERT = "insert into audit_event values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"


_number = itertools.count(1)


def id_at(at: datetime) -> uuid.UUID:
    """An id of that time, above those that were made for it before, and like no other test run's."""
    return uuid.UUID(int=round(at.timestamp() * 1000) << 80 | next(_number) << 40 | secrets.randbits(40))


def event(organisation_id: uuid.UUID, **changes: Any) -> Event:
    """An event of now, or of another time where ``at`` is given."""
    at = changes.get("at", datetime.now(UTC))
    made: dict[str, Any] = {
        "organisation_id": organisation_id,
        "id": id_at(at),
        "at": at,
        "subject": "ehr-1",
        "role": "ehr",
        "action": "read",
        "resource": "client",
        "resource_id": uuid.uuid4(),
        "request_id": "request-1",
        "outcome": "done",
    }
    return Event(**made | changes)


@dataclass(frozen=True)
class Sealed:
    """A database with an organisation, and ways to write, seal and verify its trail."""

    urls: Urls
    settings: Settings
    superuser: asyncpg.Connection
    organisation_id: uuid.UUID

    async def write(self, number: int = 1, **changes: Any) -> list[uuid.UUID]:
        """Add events, one after the other; their ids."""
        ids = []
        for _ in range(number):
            one = event(self.organisation_id, **changes)
            await self.superuser.execute(INSERT, *one)
            ids.append(one.id)
        return ids

    async def seal(self, *, whole: bool = False, **options: Any) -> int:
        """Seal all that the job would, in batches; how many events. ``options`` are those of `seal_batch`."""
        keys = derived_keys(self.settings)
        sealed, after, more = 0, NIL, True
        async with await psycopg.AsyncConnection.connect(self.urls.service, autocommit=True) as connection:
            while more:
                async with connection.transaction():
                    await confine(connection, self.organisation_id)
                    batch = await seal_batch(
                        connection, keys, self.organisation_id, whole=whole, after=after, **options
                    )
                assert batch is not None, "somebody else seals this test's trail"
                sealed, after, more = sealed + batch.sealed, batch.last, batch.more
        return sealed

    async def tamper(self, *statements: str) -> None:
        """Do what only somebody can do who owns the server, past all triggers; to this organisation only."""
        async with self._confined():
            for statement in statements:
                done = await self.superuser.execute(statement)
                assert not done.endswith(" 0"), f"{statement} changed nothing"

    async def rows(self, query: str) -> list[asyncpg.Record]:
        """Rows of this organisation."""
        async with self._confined():
            found: list[asyncpg.Record] = await self.superuser.fetch(query)
        return found

    @asynccontextmanager
    async def _confined(self) -> AsyncIterator[None]:
        """No trigger fires any more, and then row-level security shows the owner of the tables one organisation."""
        async with self.superuser.transaction():
            await self.superuser.execute("set local session_replication_role = replica")
            await self.superuser.execute(
                "select set_config($1, $2, true)", ORGANISATION_SETTING, str(self.organisation_id)
            )
            await self.superuser.execute(f"set local role {OWNER}")
            yield

    async def verify(self, *kept: KeptHead, **changes: Any) -> Trail:
        """Verify the trail as the service's role, with other settings if given."""
        keys = derived_keys(self.settings.model_copy(update=changes))
        service = await asyncpg.connect(self.urls.service)
        try:
            async with service.transaction(isolation="repeatable_read", readonly=True):
                await service.execute(
                    "select set_config($1, $2, true)", ORGANISATION_SETTING, str(self.organisation_id)
                )
                return await verify_trail(service, self.organisation_id, keys, kept)
        finally:
            await service.close()

    async def found(self, *kept: KeptHead, **changes: Any) -> list[tuple[str, int | None, uuid.UUID | None]]:
        """Code, place and event of each fault."""
        return brief((await self.verify(*kept, **changes)).faults)


def brief(findings: list[Finding]) -> list[tuple[str, int | None, uuid.UUID | None]]:
    return [(finding.code, finding.sequence, finding.event_id) for finding in findings]


async def confine(connection: psycopg.AsyncConnection[Any], organisation_id: uuid.UUID) -> None:
    """Put the open transaction into an organisation."""
    await connection.execute("select set_config(%s, %s, true)", (ORGANISATION_SETTING, str(organisation_id)))


async def run_job(settings: Settings, *tasks: str) -> None:
    """Queue tasks and do all that is queued, as a worker does."""
    assert settings.database_url is not None
    app = jobs.application(settings.database_url.get_secret_value(), settings)
    async with app.open_async():
        for task in tasks:
            await app.configure_task(task).defer_async()
        await app.run_worker_async(wait=False)


def own_settings(settings: Settings, urls: Urls) -> Settings:
    """The settings of a test's own database."""
    return settings.model_copy(
        update={"database_url": SecretStr(urls.service), "database_owner_url": SecretStr(urls.owner)}
    )


def ago(**parts: float) -> datetime:
    return datetime.now(UTC) - timedelta(**parts)


def as_file(*heads: dict[str, Any]) -> str:
    return "".join(json.dumps(head) + "\n" for head in heads)
