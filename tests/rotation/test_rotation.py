"""Another master key in the place of the first, while the service runs and is used; cut short at any moment."""

from __future__ import annotations

import asyncio
import os
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.audit.signing import signing_key
from api.ids import new_id
from api.organisations.keys import lookup_key
from api.organisations.repository import ensure_organisation
from api.rotation.resealing import counts, reseal_organisation
from api.security import crypto
from api.settings import Settings
from api.startup import StartupError, derived_keys
from tests.api.people import web
from tests.cli.command import Outcome
from tests.conftest import MASTER_KEY, Urls
from tests.factories import NOON
from tests.platform.inside import Inside
from tests.platform.test_serve import COMMAND

NEW_KEY = bytes(range(60, 92)).hex()
SLUG = "demo"
CLIENTS = 450


@dataclass(frozen=True)
class Clinic:
    """An organisation in a database of its own, everything in it under the first master key."""

    urls: Urls
    data: Path
    organisation_id: uuid.UUID

    def settings(self, present: str, previous: str | None = None) -> Settings:
        return Settings(
            _env_file=None,
            data=self.data,
            database_url=SecretStr(self.urls.service),
            master_key=SecretStr(present),
            master_key_previous=None if previous is None else SecretStr(previous),
            development_issuer=True,
            worker="none",
        )

    @asynccontextmanager
    async def serving(self, present: str, previous: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """The service with these master keys, asked by an administrator."""
        app: FastAPI = create_app(self.settings(present, previous))
        async with app.router.lifespan_context(app), web(app, SLUG, "admin") as client:
            yield client

    def keys(self, present: str, previous: str | None = None) -> crypto.Keys:
        return derived_keys(self.settings(present, previous))

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(self.urls.service)

    async def lying(self, keys: crypto.Keys) -> dict[str, int]:
        """By key, how much lies under it."""
        connection = await self.connect()
        try:
            found = await counts(connection, keys, self.organisation_id)
        finally:
            await connection.close()
        total: dict[str, int] = {}
        for columns in found.values():
            for key, number in columns.items():
                total[key] = total.get(key, 0) + number
        return total


def name(number: int) -> str:
    return f"EXT-{number:05d}"


def _client(keys: crypto.Keys, hashed_with: bytes, organisation_id: uuid.UUID, number: int) -> tuple[object, ...]:
    client_id, key = new_id(), crypto.new_client_key()
    row: dict[str, Any] = {"organisation_id": organisation_id, "client_id": client_id}
    return (
        organisation_id,
        client_id,
        crypto.wrap_client_key(keys, key, **row),
        crypto.external_id_hash(hashed_with, organisation_id, name(number)),
        crypto.seal_external_id(key, name(number), **row),
        NOON,
    )


@pytest.fixture
async def clinic(fresh_database: Urls, tmp_path: Path) -> Clinic:
    connection = await asyncpg.connect(fresh_database.service)
    organisation_id = await ensure_organisation(connection, SLUG, "Demo")
    made = Clinic(fresh_database, tmp_path, organisation_id)
    keys = made.keys(MASTER_KEY)
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        hashed_with = await lookup_key(connection, keys, organisation_id)
        await signing_key(connection, keys, organisation_id)
        rows = [_client(keys, hashed_with, organisation_id, number) for number in range(CLIENTS)]
        await connection.executemany(
            "insert into client (organisation_id, id, key_wrapped, external_id_hash, external_id_sealed, created_at,"
            " updated_at) values ($1, $2, $3, $4, $5, $6, $6)",
            rows,
        )
    await connection.close()
    async with made.serving(MASTER_KEY) as admin:
        hook = {"url": "https://receiver.example/", "types": ["response.recorded"]}
        answer = await admin.post("/v1/webhooks", json=hook)
        assert answer.status_code == 201, answer.text
        path = f"/v1/webhooks/{answer.json()['id']}"
        assert (
            await admin.post(
                f"{path}/rotate-secret", json={"overlap_hours": 24}, headers={"If-Match": answer.headers["ETag"]}
            )
        ).status_code < 300, "two secrets: present and previous"
    return made


@dataclass
class Load:
    """What is asked all the while."""

    admin: httpx.AsyncClient
    found: int = 0
    refused: int = 0
    made: int = 0

    async def run(self, end: asyncio.Event) -> None:
        number = 0
        while not end.is_set():
            number = (number + 7) % CLIENTS
            answer = await self.admin.get("/v1/clients", params={"external_id": name(number)})
            assert answer.status_code == 200, answer.text
            (client,) = answer.json()["items"]
            assert client["external_id"] == name(number)
            self.found += 1
            again = await self.admin.post("/v1/clients", json={"external_id": name(number)})
            assert again.status_code == 409, again.text
            self.refused += 1
            fresh = f"MADE-{self.made}"
            assert (await self.admin.post("/v1/clients", json={"external_id": fresh})).status_code == 201
            self.made += 1
            path = f"/v1/clients/{client['id']}"
            assert (await self.admin.patch(path, json={"birth_year": 1950 + self.made % 40})).status_code == 200


class Killed(Exception):
    pass


async def cut_short(clinic: Clinic, keys: crypto.Keys, after: int) -> None:
    """Rotate, with the connection torn off after so many things were moved."""
    connection = await clinic.connect()
    moved = 0

    def count(number: int) -> None:
        nonlocal moved
        moved += number
        if moved >= after:
            connection.terminate()
            raise Killed

    with pytest.raises(Killed):
        await reseal_organisation(connection, keys, clinic.organisation_id, count)


async def test_requests_before_during_and_after_all_answer(clinic: Clinic) -> None:
    both = clinic.keys(NEW_KEY, MASTER_KEY)
    async with clinic.serving(MASTER_KEY, NEW_KEY) as first, clinic.serving(NEW_KEY, MASTER_KEY) as second:
        loads, end = [Load(first), Load(second)], asyncio.Event()
        loads[1].made = 100_000
        running = [asyncio.create_task(load.run(end)) for load in loads]
        await asyncio.sleep(0.3)
        before = await clinic.lying(both)
        assert before["previous"] >= CLIENTS + 4, "the organisation's key, that of the trail and two secrets as well"
        await cut_short(clinic, both, 3)
        await cut_short(clinic, both, 250)
        between = await clinic.lying(both)
        assert min(between["previous"], between["present"]) >= 50
        await asyncio.sleep(0.3)
        connection = await clinic.connect()
        await reseal_organisation(connection, both, clinic.organisation_id)
        await asyncio.sleep(0.3)
        end.set()
        await asyncio.gather(*running)
        assert all(load.found > 3 and load.refused > 3 for load in loads)
    # Who still wrote with the old key did so until now; the last run moves that as well.
    await reseal_organisation(connection, both, clinic.organisation_id)
    await connection.close()
    assert (await clinic.lying(both)).keys() == {"present"}
    with pytest.raises(StartupError, match="not the one"):
        async with clinic.serving(MASTER_KEY):
            raise AssertionError("the old key serves still")
    async with clinic.serving(NEW_KEY) as admin:
        (client,) = (await admin.get("/v1/clients", params={"external_id": name(5)})).json()["items"]
        assert client["external_id"] == name(5)
        assert (await admin.post("/v1/clients", json={"external_id": name(5)})).status_code == 409
        assert (await admin.get("/v1/clients", params={"limit": 200})).status_code == 200


async def test_half_way_neither_key_alone_serves(clinic: Clinic) -> None:
    await cut_short(clinic, clinic.keys(NEW_KEY, MASTER_KEY), 250)
    for alone in (MASTER_KEY, NEW_KEY):
        with pytest.raises(StartupError, match="FATHOMLINE_MASTER_KEY_PREVIOUS") as caught:
            async with clinic.serving(alone):
                raise AssertionError("it serves")
        assert "\n" not in str(caught.value)


async def test_two_clients_with_one_identifier_are_refused_across_keys(clinic: Clinic) -> None:
    async with clinic.serving(MASTER_KEY, NEW_KEY) as first, clinic.serving(NEW_KEY, MASTER_KEY) as second:
        answers = await asyncio.gather(
            *(
                one.post("/v1/clients", json={"external_id": f"NEW-{number}"})
                for number in range(10)
                for one in (first, second)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 10


def fathomline(clinic: Clinic, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=clinic.data,
        env=environment(clinic, **settings),
        capture_output=True,
        text=True,
        check=False,
    )


def environment(clinic: Clinic, **settings: str) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("FATHOMLINE_")}
    return (
        plain | {"DATABASE_URL": clinic.urls.service} | {f"FATHOMLINE_{key}": value for key, value in settings.items()}
    )


async def test_the_commands(clinic: Clinic, inside: Inside) -> None:
    async def here(*arguments: str, **settings: str) -> Outcome:
        return await inside.beside(environment(clinic, **settings), clinic.data, *arguments)

    both = {"MASTER_KEY": NEW_KEY, "MASTER_KEY_PREVIOUS": MASTER_KEY}
    wrong = await here("keys", "rotate", MASTER_KEY=NEW_KEY)
    assert (wrong.status, wrong.out) == (2, "")
    assert "FATHOMLINE_MASTER_KEY_PREVIOUS" in wrong.err
    done = await asyncio.to_thread(fathomline, clinic, "keys", "rotate", **both)
    assert done.returncode == 0, done.stderr
    assert f"moved {CLIENTS + 4:,} keys and secrets" in done.stdout
    assert "Nothing lies under the previous master key any more." in done.stdout
    told = await here("keys", "status", "--json", MASTER_KEY=NEW_KEY)
    assert told.status == 0, told.err
    assert f'"present": {CLIENTS + 4}' in told.out
    other = await here("keys", "status", MASTER_KEY=MASTER_KEY)
    assert other.status == 1
    assert f"under a master key that was not given: {CLIENTS + 4}" in other.out
    assert NEW_KEY not in done.stdout + told.out + other.out
    assert crypto.derive(bytes.fromhex(NEW_KEY)).id.hex() in done.stdout


@pytest.mark.long
async def test_killed_at_random_moments_it_ends_when_run_again(clinic: Clinic) -> None:
    both = {"MASTER_KEY": NEW_KEY, "MASTER_KEY_PREVIOUS": MASTER_KEY}
    keys = clinic.keys(NEW_KEY, MASTER_KEY)
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            "keys",
            "rotate",
            cwd=clinic.data,
            env=environment(clinic, **both),
            stderr=asyncio.subprocess.DEVNULL,
        )
        while (await clinic.lying(keys)).get("present", 0) == 0 and process.returncode is None:
            await asyncio.sleep(0.005)
        if process.returncode is None:
            process.kill()
        await process.wait()
    done = await asyncio.to_thread(fathomline, clinic, "keys", "rotate", **both)
    assert done.returncode == 0, done.stderr
    assert (await clinic.lying(keys)).keys() == {"present"}
