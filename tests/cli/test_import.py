"""`fathomline import` as it is run: straight into the database, and through a service that answers over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import uvicorn
from fastapi import FastAPI

from api.cli import imports_there
from api.imports.connecting import Connect
from api.imports.running import run
from api.settings import Settings
from tests.api.people import FSFI_FIVES
from tests.cli.command import CommandLine, Outcome
from tests.conftest import MASTER_KEY, Tenant, Urls
from tests.imports.conftest import AT, table

HEADER = ["external_id", "answered_at", *FSFI_FIVES]


@pytest.fixture
def import_(
    fathomline: CommandLine, database: Urls, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Run `fathomline import` on the test's database and organisation; in a thread, for it has a loop of its own."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "DATABASE_URL": database.service, "FATHOMLINE_MASTER_KEY": MASTER_KEY, "FATHOMLINE_DATA": str(tmp_path),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    async def called(*arguments: object) -> Outcome:
        return await asyncio.to_thread(fathomline, "import", *arguments, "--organisation", tenant.slug)

    return called


def written(path: Path, *, bad: bool = False) -> Path:
    """A file of three forms of two new clients, and one that is bad."""
    rows = [[name, f"2026-03-0{day}T10:00:00Z", *FSFI_FIVES.values()] for name, day in (("A", 1), ("A", 2), ("B", 1))]
    text = table(HEADER, *rows, *([["B", AT, 9, *list(FSFI_FIVES.values())[1:]]] if bad else []))
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


async def stored(superuser: asyncpg.Connection, tenant: Tenant) -> int:
    number: int = await superuser.fetchval("select count(*) from response where organisation_id = $1", tenant.id)
    return number


async def test_a_file_goes_straight_into_the_database(
    import_: Any, superuser: asyncpg.Connection, tenant: Tenant, tmp_path: Path
) -> None:
    path = written(tmp_path / "forms.csv.gz")
    dry = await import_(path, "--instrument", "fsfi", "--create-clients", "--dry-run")
    assert (dry.status, dry.err) == (0, "3 rows: 3 would be new, 0 already there, 0 bad\n")
    assert await stored(superuser, tenant) == 0
    done = await import_(path, "--instrument", "fsfi", "--create-clients")
    assert (done.status, done.err) == (0, "3 rows: 3 new, 0 already there, 0 bad\n")
    again = await import_(path, "--instrument", "fsfi", "--create-clients", "-q")
    assert (again.status, again.err) == (0, "")
    assert await stored(superuser, tenant) == 3
    who = "select distinct subject, role from audit_event where organisation_id = $1"
    assert [tuple(row) for row in await superuser.fetch(who, tenant.id)] == [("command-line", "admin")]
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


async def test_bad_rows_are_listed_and_are_the_exit_status(
    import_: Any, superuser: asyncpg.Connection, tenant: Tenant, tmp_path: Path
) -> None:
    path = written(tmp_path / "forms.csv", bad=True)
    nothing = await import_(path, "--instrument", "fsfi", "--create-clients")
    assert nothing.status == 1
    assert "1 of 4 rows are bad, so nothing was written" in nothing.err
    assert await stored(superuser, tenant) == 0
    some = await import_(path, "--instrument", "fsfi", "--create-clients", "--skip-bad", "--errors", "bad.ndjson")
    assert some.status == 1
    assert some.err.splitlines() == [
        "4 rows: 3 new, 0 already there, 1 bad", "1 faults are listed in bad.ndjson",
    ]  # fmt: skip
    (fault,) = [json.loads(line) for line in (tmp_path / "bad.ndjson").read_text().splitlines()]
    assert (fault["row"], fault["line"], fault["pointer"], fault["code"]) == (4, 5, "/answers/1", "not-an-option")
    assert await stored(superuser, tenant) == 3


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("forms.xlsx", (), "must end in .csv"),
        ("none.csv", (), "no such file"),
        ("forms.ndjson", ("--layout", "long"), "long is for CSV"),
        ("forms.csv", ("--layout", "tall"), "--layout is wide or long"),
        ("forms.csv", ("--errors", "forms.csv"), "a file of its own"),
        ("forms.csv", ("--url", "http://127.0.0.1:1"), "needs a token"),
        ("forms.csv", ("--instrument", "nothing"), "is a code of /v1/instruments"),
    ],
)
async def test_what_cannot_be_done_is_told_in_one_line(
    import_: Any, tmp_path: Path, name: str, arguments: tuple[str, ...], says: str
) -> None:
    for known in ("forms.csv", "forms.ndjson", "forms.xlsx"):
        (tmp_path / known).write_text("client_id,answered_at,1\n", encoding="utf-8")
    done = await import_(tmp_path / name, *arguments)
    assert done.status == 2
    assert says in done.err
    assert len(done.err.splitlines()) == 1


async def test_an_unknown_organisation(fathomline: CommandLine, import_: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "forms.csv")
    done = await asyncio.to_thread(fathomline, "import", path, "--organisation", "nobody")
    assert (done.status, done.err) == (2, "fathomline: there is no organisation 'nobody' in this database\n")


@pytest.fixture
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The application on a port of this machine; its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await running


async def test_a_file_goes_through_a_service_in_parts(
    import_: Any, app: FastAPI, served: str, tenant: Tenant, settings: Settings, tmp_path: Path,
    superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(imports_there, "PART", 200)
    monkeypatch.setattr(imports_there, "POLL", 0.05)
    path = written(tmp_path / "forms.csv", bad=True)
    token = app.state.development_issuer.token(organisation=tenant.slug, role="ehr")
    sending = asyncio.create_task(
        import_(path, "--instrument", "fsfi", "--create-clients", "--skip-bad", "--url", served, "--token", token)
    )
    import_id = await queued(superuser, tenant)
    assert settings.database_url is not None
    connect = Connect(settings.database_url.get_secret_value(), tenant.id)
    await asyncio.to_thread(run, connect, app.state.keys, tenant.id, import_id, largest=1 << 20)
    done = await sending
    assert (done.status, done.err.splitlines()[0]) == (1, "4 rows: 3 new, 0 already there, 1 bad")
    assert len((tmp_path / "forms.csv.errors.ndjson").read_text().splitlines()) == 1
    refused = await import_(path, "--url", served, "--token", "wrong")
    assert refused.status == 2
    assert "the service refuses: A valid bearer token is needed" in refused.err


async def queued(superuser: asyncpg.Connection, tenant: Tenant) -> uuid.UUID:
    query = "select id from import_run where organisation_id = $1 and state = 'queued'"
    async with asyncio.timeout(20):
        while (found := await superuser.fetchval(query, tenant.id)) is None:
            await asyncio.sleep(0.05)
    import_id: uuid.UUID = found
    return import_id
