"""A PostgreSQL of one's own, from 15 on: roles by `deploy/postgres/roles.sql`, then migrate, serve and ask."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx
import pytest

from api.organisations.repository import ensure_organisation
from api.security import crypto, issuer
from tests.deploy.own_server import OWNER_PASSWORD, SERVICE_PASSWORD, OwnServer, installations, running

FATHOMLINE = Path(sys.executable).with_name("fathomline")


@pytest.fixture(scope="module", params=installations().items(), ids=installations().keys())
def server(request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    """A server with our roles and the empty database."""
    with running(request.param[1]) as own:
        own.make_roles()
        yield own


def environment(data: Path, **given: str) -> dict[str, str]:
    """The environment of a command: what the test gives, and nothing of this machine's settings."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FATHOMLINE_", "DATABASE_", "PG"))
    }
    return kept | {"FATHOMLINE_DATA": str(data)} | given


def run(data: Path, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FATHOMLINE, *arguments],
        env=environment(data, **given),
        cwd=data,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def owner_url(server: OwnServer) -> str:
    return server.url("fathomline_owner", OWNER_PASSWORD)


def service_url(server: OwnServer) -> str:
    return server.url("fathomline_service", SERVICE_PASSWORD)


def test_the_roles_have_no_more_rights_than_they_need(server: OwnServer) -> None:
    query = """
        select rolname, rolcanlogin, rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls,
               has_database_privilege(rolname, 'fathomline', 'create'),
               has_database_privilege(rolname, 'fathomline', 'temp')
        from pg_roles where rolname like 'fathomline%' order by 1
    """
    asked = server.psql("-d", "postgres", "-At", "-c", query)
    assert asked.stdout.splitlines() == ["fathomline_owner|t|f|t|t", "fathomline_service|t|f|f|f"]


@pytest.mark.parametrize("missing", ["FATHOMLINE_OWNER_PASSWORD", "FATHOMLINE_SERVICE_PASSWORD"])
def test_no_role_is_made_without_a_password(server: OwnServer, missing: str) -> None:
    given = {"FATHOMLINE_OWNER_PASSWORD": "a", "FATHOMLINE_SERVICE_PASSWORD": "b"}
    del given[missing]
    script = Path(__file__).parents[2] / "deploy" / "postgres" / "roles.sql"
    refused = server.psql("-d", "postgres", "-f", str(script), **given)
    assert refused.returncode == 3
    assert f"set {missing}" in refused.stderr
    assert "already exists" not in refused.stderr  # it did not get as far as the roles


def test_no_password_is_in_the_servers_log(server: OwnServer) -> None:
    log = (server.run.parent / "log").read_text(errors="replace")
    assert "ready to accept connections" in log
    assert "service word" not in log
    assert "owner's" not in log


async def test_migrate_then_serve_and_answer(server: OwnServer, tmp_path: Path) -> None:
    """The whole way of an answer: client, FSFI with all answers 5, its scores read again; nothing for a stranger."""
    before = run(tmp_path, "serve", DATABASE_URL=service_url(server), FATHOMLINE_MASTER_KEY=crypto.new_master_key())
    assert before.returncode != 0
    assert "fathomline migrate" in before.stderr

    migrated = run(tmp_path, "migrate", DATABASE_OWNER_URL=owner_url(server))
    assert (migrated.returncode, migrated.stderr) == (0, "")
    again = run(tmp_path, "migrate", DATABASE_OWNER_URL=owner_url(server))
    assert (again.returncode, again.stderr) == (0, "")

    connection = await asyncpg.connect(service_url(server))
    try:
        await ensure_organisation(connection, "demo", "Demo")
    finally:
        await connection.close()

    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    settings = environment(
        tmp_path,
        DATABASE_URL=service_url(server),
        FATHOMLINE_MASTER_KEY=crypto.new_master_key(),
        FATHOMLINE_DEVELOPMENT_ISSUER="true",
        FATHOMLINE_PORT=port,
    )
    with (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen([FATHOMLINE, "serve"], env=settings, cwd=tmp_path, stderr=log)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            deadline = time.monotonic() + 60
            while True:
                try:
                    if (await http.get("/health/ready")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                assert service.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            token = issuer.load(tmp_path, create=False).token(organisation="demo", role="ehr")
            http.headers["Authorization"] = f"Bearer {token}"
            made = await http.post("/v1/clients", json={"external_id": "A-17", "organs": ["vagina"]})
            assert made.status_code == 201, made.text
            body = {
                "client_id": made.json()["id"],
                "instrument": "fsfi",
                "answered_at": "2026-01-05T10:00:00Z",
                "answers": {str(item): 5 for item in range(1, 20)},
            }
            recorded = await http.post("/v1/responses", json=body, headers={"Idempotency-Key": "form-1"})
            assert recorded.status_code == 201, recorded.text
            assert recorded.json()["scores"]["total"]["value"] == 36.0
            kept = await http.get(f"/v1/responses/{recorded.json()['id']}")
            assert kept.text == recorded.text, (tmp_path / "log").read_text()
            found = await http.get("/v1/clients", params={"external_id": "A-17"})
            assert made.json()["id"] in found.text
            http.headers.pop("Authorization")
            assert (await http.get(f"/v1/responses/{recorded.json()['id']}")).status_code == 401
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) in (0, -signal.SIGTERM)
    assert not (tmp_path / "postgres").exists()  # no embedded server was made beside it


def test_the_owner_is_refused_as_the_services_role(server: OwnServer, tmp_path: Path) -> None:
    refused = run(tmp_path, "serve", DATABASE_URL=owner_url(server), FATHOMLINE_MASTER_KEY=crypto.new_master_key())
    assert refused.returncode != 0
    assert "owns" in refused.stderr
    assert "word" not in refused.stderr  # the password
