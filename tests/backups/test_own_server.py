"""A PostgreSQL of one's own: backed up and restored by URL, and brought back to a moment by the documented steps."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from api import migrate
from api.backups.making import make
from api.backups.opening import open_backup
from api.backups.restoring import restore
from api.embedded import tools
from api.embedded.account import choose
from api.settings import Settings
from tests.backups.conftest import CHART, KEYS, counts, fill_database
from tests.conftest import MASTER_KEY, Urls
from tests.deploy.own_server import OWNER_PASSWORD, SERVICE_PASSWORD, OwnServer, running

STEPS = Path(__file__).parents[2] / "docs" / "examples" / "point-in-time.sh"


def urls(server: OwnServer, database: str) -> Urls:
    """A database of the server, over TCP with passwords."""
    return Urls(
        server.url("fathomline_service", SERVICE_PASSWORD, database),
        server.url("fathomline_owner", OWNER_PASSWORD, database),
        f"postgresql://postgres@/{database}?host={server.run}&port={server.port}",
    )


async def test_backed_up_and_restored_over_tcp_as_the_owner_of_the_tables(tmp_path: Path) -> None:
    with running(tools()) as server:
        server.make_roles()
        old, new = urls(server, "fathomline"), urls(server, "restored")
        await asyncio.to_thread(migrate.upgrade, old.owner)
        settings = Settings(_env_file=None, database_url=SecretStr(old.service), master_key=SecretStr(MASTER_KEY))
        await fill_database(old, settings)
        made = await asyncio.to_thread(make, old.owner, tmp_path, KEYS)
        assert server.psql("-d", "postgres", "-c", "create database restored owner fathomline_owner").returncode == 0
        done = await asyncio.to_thread(lambda: restore(open_backup(made.path, KEYS), new.owner, KEYS))
        assert done.left_out == 0
        assert await counts(new) == await counts(old) | {"import_chunk": 0, "page_session": 0}
        for file in made.path.iterdir():
            assert CHART.encode() not in file.read_bytes()


def step(server: OwnServer, *arguments: object) -> None:
    """One step of the script, as the user who owns the server's files."""
    account = choose(server.run.parent / "data", tools() / "postgres", (server.run.parent,))
    environment = {"TOOLS": str(tools()), "PGHOST": str(server.run), "PGPORT": str(server.port), "PGUSER": "postgres"}
    settings = [f"{name}={value}" for name, value in environment.items()]
    log = server.run.parent / "steps.log"
    with log.open("ab") as output:
        ended = account.spawn(["/usr/bin/env", *settings, "/bin/sh", str(STEPS), *map(str, arguments)], output=output)
        assert ended.wait(120) == 0, log.read_text()


@contextmanager
def started(server: OwnServer, data: Path) -> Iterator[None]:
    """The server on a data folder, with the socket of the first."""
    account = choose(data, tools() / "postgres", (server.run.parent,))
    arguments = [str(tools() / "postgres"), "-D", str(data), "-k", str(server.run), "-p", str(server.port)]
    log = server.run.parent / "log"
    with log.open("ab") as output:
        process = account.spawn([*arguments, "-c", "listen_addresses="], output=output)
    try:
        deadline = time.monotonic() + 60
        while server.psql("-d", "postgres", "-c", "select 1").returncode != 0 or ask(server, RECOVERING) == "t":
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)


RECOVERING = "select pg_is_in_recovery()"


def ask(server: OwnServer, query: str) -> str:
    """One value."""
    done = server.psql("-d", "postgres", "-At", "-c", query)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.long
def test_back_to_a_moment_with_the_documented_steps() -> None:
    with running(tools()) as server:
        folder = server.run.parent
        data, archive, base, new = (folder / name for name in ("data", "archive", "base", "new"))
        ask(server, "select pg_reload_conf()")
        os.chmod(folder, 0o777)  # where the server's user makes the folders  # noqa: S103, PTH101
        step(server, "archive", data, archive)
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        subprocess.run(["kill", "-INT", str(pid)], check=True)
        while (data / "postmaster.pid").exists():
            time.sleep(0.1)
        with started(server, data):
            ask(server, "create table kept (n integer)")
            step(server, "base", base)
            ask(server, "insert into kept values (1)")
            moment = ask(server, "select clock_timestamp()")
            time.sleep(0.2)
            ask(server, "insert into kept values (2)")
            ask(server, "drop table kept")  # the mistake
            last = ask(server, "select pg_walfile_name(pg_switch_wal())")
            deadline = time.monotonic() + 30
            while not (archive / last).exists():
                assert time.monotonic() < deadline, "the log is not archived"
                time.sleep(0.1)
        step(server, "recover", base, new, archive, moment)
        with started(server, new):
            assert ask(server, "select array_agg(n) from kept") == "{1}"
            ask(server, "insert into kept values (3)")
        before = len(list(archive.iterdir()))
        step(server, "prune", base, archive)
        assert 0 < len(list(archive.iterdir())) <= before
