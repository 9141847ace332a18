"""The embedded server: shared, stopped by its last user, and back after every kind of death."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from api.embedded import Lease, acquire, tools
from api.embedded.layout import Layout
from tests.platform.embedding import (
    acknowledged,
    keepers,
    kill,
    leave,
    nothing_left,
    postmaster,
    rest,
    rows,
    servers,
    stored,
    user,
    wait_until,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose cluster has been made."""
    folder = tmp_path_factory.mktemp("embedded")
    acquire(folder).close()
    return folder


@pytest.fixture(autouse=True)
def _none_orphaned(data: Path) -> Iterator[None]:
    yield
    nothing_left(data)


async def test_it_is_durable_and_reached_by_its_socket_alone(data: Path) -> None:
    with acquire(data) as lease:
        connection = await asyncpg.connect(lease.url_service)
        wanted = {
            "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
            "listen_addresses": "", "server_encoding": "UTF8",
        }  # fmt: skip
        found = {name: await connection.fetchval("select current_setting($1)", name) for name in wanted}
        rights = await connection.fetchrow(
            "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles"
            " where rolname = current_user"
        )
        await connection.close()
        run = Layout.of(data).run
        assert run.stat().st_mode & 0o777 == 0o700
    assert found == wanted
    assert not any(rights.values())


def test_processes_share_it_and_the_last_one_stops_it(data: Path) -> None:
    with user(data, "hold") as first, user(data, "hold") as second:
        server = postmaster(data)
        assert len(keepers(data)) == 1
        leave(first)
        assert postmaster(data) == server, "one user is left"
        leave(second)
        assert servers(data) == [], "it has stopped when the last user's close returns"


def test_a_warm_start_takes_less_than_a_second(data: Path) -> None:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        lease = acquire(data)
        took.append(time.perf_counter() - began)
        lease.close()
    assert min(took) < 1.0


def test_a_lease_may_be_closed_twice(data: Path) -> None:
    lease = acquire(data)
    lease.close()
    lease.close()


def test_many_first_starts_at_once_make_one_server(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from api.embedded import acquire; lease = acquire(Path(sys.argv[1]));"
        "print((Path(sys.argv[1]) / 'postgres/cluster/postmaster.pid').read_text().split()[0], flush=True);"
        "sys.stdin.read(); lease.close()"
    )
    crowd = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(5)
    ]
    try:
        told = {process.stdout.readline() for process in crowd if process.stdout}
        assert len(told) == 1
        assert told != {b""}
        assert len(keepers(tmp_path)) == 1
    finally:
        for process in crowd:
            process.communicate(timeout=60)
    nothing_left(tmp_path)


def test_a_killed_user_counts_as_gone(data: Path) -> None:
    with user(data, "hold") as process:
        process.kill()
        nothing_left(data)


async def test_a_killed_server_is_started_again(data: Path) -> None:
    with user(data) as process, acquire(data) as lease:
        told = acknowledged(process, 20)
        old = postmaster(data)
        kill(old)
        told += rest(process)
        wait_until(lambda: postmaster_or_none(data) not in (None, old), "a new server")
        kept = await eventually_stored(lease)
    assert set(told) <= set(kept)
    assert len(kept) == len(set(kept))


async def test_a_killed_keeper_stops_the_server_and_the_users_get_another(data: Path) -> None:
    with user(data) as process, acquire(data) as lease:
        told = acknowledged(process, 20)
        old, server = keepers(data)[0], postmaster(data)
        kill(old)
        told += rest(process)
        wait_until(lambda: server not in servers(data), "the server follows its keeper")
        wait_until(lambda: bool(keepers(data)) and keepers(data) != [old], "the lease is taken anew")
        kept = await eventually_stored(lease)
    assert set(told) <= set(kept)


@pytest.mark.parametrize("who", ["user", "keeper and server", "all", "every process"])
async def test_nothing_acknowledged_is_lost(data: Path, who: str) -> None:
    await kill_under_load(data, who)


@pytest.mark.long
@pytest.mark.parametrize("round_", range(10))
async def test_nothing_acknowledged_is_lost_however_often(data: Path, round_: int) -> None:
    for who in ("user", "keeper and server", "all", "every process"):
        await kill_under_load(data, who, rows_first=50 * round_ + 1)


async def kill_under_load(data: Path, who: str, rows_first: int = 30) -> None:
    """Kill some of the processes while rows are acknowledged, start again, and count."""
    with user(data) as process:
        told = acknowledged(process, rows_first)
        victims = {
            "user": [process.pid],
            "keeper and server": [*keepers(data), postmaster(data)],
            "all": [process.pid, *keepers(data), postmaster(data)],
            "every process": [process.pid, *keepers(data), *servers(data)],
        }[who]
        kill(*victims)
        told += rest(process)
    kept = await rows(data)
    assert set(told) <= set(kept)
    assert len(kept) == len(set(kept))
    nothing_left(data)


def test_stale_files_of_a_dead_server_do_not_matter(data: Path) -> None:
    layout = Layout.of(data)
    with user(data, "hold") as process:
        left = (layout.cluster / "postmaster.pid").read_text()
        kill(process.pid, *keepers(data), *servers(data))
    nothing_left(data)
    # The process id is another process's by now, as it soon is in a container.
    stale = "\n".join([str(os.getpid()), *left.splitlines()[1:]]) + "\n"
    (layout.cluster / "postmaster.pid").write_text(stale)
    layout.server_socket.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(layout.server_socket))
    layout.server_socket.with_name(".s.PGSQL.5432.lock").write_text(stale)
    acquire(data).close()


def test_a_first_start_that_was_cut_short_is_begun_again(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    layout.draft.mkdir(parents=True)
    (layout.draft / "PG_VERSION").write_text("18\n")
    acquire(tmp_path).close()
    assert not layout.draft.exists()


def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 20) / "data"
    assert Layout.of(data).run.parent == Path("/tmp")  # noqa: S108  - what is tested
    try:
        acquire(data).close()
    finally:
        Layout.of(data).run.rmdir()


def test_the_server_gets_no_secret_from_the_environment(data: Path) -> None:
    with user(data, "hold") as process:
        for pid in (*keepers(data), postmaster(data)):
            assert b"SECRET" not in Path(f"/proc/{pid}/environ").read_bytes()
        leave(process)


async def test_the_server_logs_no_values(data: Path) -> None:
    with acquire(data) as lease:
        connection = await asyncpg.connect(lease.url_owner)
        await connection.execute("create table if not exists t (a text primary key check (a <> 'bad'), b integer)")
        await connection.execute("delete from t")
        await connection.execute("insert into t values ('person-4711', 1)")
        for values in (("person-4711", 1), ("bad", 4712)):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await connection.execute("insert into t values ($1, $2)", *values)
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.execute("selct 'person-4713'")
        await connection.close()
    logs = "".join(file.read_text() for file in Layout.of(data).server_logs.iterdir())
    assert "violates" in logs
    assert "person-" not in logs  # a bare number may be part of a time or a process id


def test_its_programs_are_at_hand(data: Path) -> None:
    with acquire(data) as lease:
        for name in ("psql", "pg_dump", "pg_basebackup", "pg_restore"):
            assert os.access(lease.tools / name, os.X_OK)
        asked = [tools() / "psql", "-Atc", "select 40 + 2", lease.url_service]
        assert subprocess.run(asked, capture_output=True, check=True).stdout == b"42\n"


def postmaster_or_none(data: Path) -> int | None:
    """The server's process id, or None while there is none."""
    try:
        return postmaster(data)
    except (OSError, IndexError):
        return None


async def eventually_stored(lease: Lease) -> list[int]:
    """The stored rows, once the server takes connections again."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return await stored(lease)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            assert time.monotonic() < deadline
            time.sleep(0.05)
