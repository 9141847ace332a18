"""Background jobs: what they do, how little they can reach, and `fathomline worker` as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlmodel import SQLModel

from api import jobs
from api.db import create_pool
from api.embedded import Lease
from api.organisations.repository import ensure_organisation
from api.responses.recording import record
from api.settings import Settings
from tests.conftest import Urls
from tests.factories import make_client, make_recording
from tests.platform.embedding import ROOT, nothing_left
from tests.platform.inside import Inside, environment
from tests.platform.test_serve import COMMAND

AGES = {"new": 0.0, "nearly": 29.9, "old": 30.1, "ancient": 900.0}
"""Days since each key of an organisation was used first."""


@dataclass(frozen=True)
class Filled:
    """A database with the same keys in two organisations."""

    urls: Urls
    settings: Settings
    superuser: asyncpg.Connection

    async def keys(self) -> list[tuple[str, str]]:
        """Organisation and key of all that are kept."""
        rows = await self.superuser.fetch(
            "select slug, key from idempotency_key join organisation using (organisation_id) order by 1, 2"
        )
        return [tuple(row) for row in rows]

    async def failed(self) -> list[str]:
        """Tasks whose runs have failed; those that have not are gone."""
        rows = await self.superuser.fetch("select task_name from jobs.procrastinate_jobs where status = 'failed'")
        return [row[0] for row in rows]


@pytest.fixture
async def filled(fresh_database: Urls, settings: Settings) -> Any:
    own = settings.model_copy(update={"database_url": SecretStr(fresh_database.service)})
    service = await asyncpg.connect(fresh_database.service)
    superuser = await asyncpg.connect(fresh_database.superuser)
    pool = await create_pool(fresh_database.service, own)
    for slug in ("one", "two"):
        organisation_id = await ensure_organisation(service, slug, slug)
        client_id = await make_client(service, organisation_id)
        for key, days in AGES.items():
            at = datetime.now(UTC) - timedelta(days=days)
            await record(pool, make_recording(organisation_id, client_id, idempotency_key=key, recorded_at=at))
    await pool.close()
    await service.close()
    yield Filled(fresh_database, own, superuser)
    await superuser.close()


async def run_jobs(settings: Settings, *tasks: str) -> None:
    """Queue the tasks and do all that is queued, as a worker does."""
    assert settings.database_url is not None
    app = jobs.application(settings.database_url.get_secret_value(), settings)
    async with app.open_async():
        for task in tasks:
            await app.configure_task(task).defer_async()
        await app.run_worker_async(wait=False)


@pytest.mark.parametrize(
    ("days", "kept"),
    [(30, ["nearly", "new"]), (31, ["nearly", "new", "old"]), (1, ["new"]), (900, ["nearly", "new", "old"])],
)
async def test_old_keys_go_and_young_ones_stay_in_every_organisation(
    filled: Filled, days: int, kept: list[str]
) -> None:
    settings = filled.settings.model_copy(update={"idempotency_days": days})
    for _ in range(2):  # the second time there is nothing left to do
        await run_jobs(settings, "forget_idempotency_keys")
        assert await filled.keys() == [(slug, key) for slug in ("one", "two") for key in kept]
    assert await filled.superuser.fetchval("select count(*) from response") == 8, "only keys are forgotten"
    assert await filled.failed() == []


async def add_old_keys(filled: Filled, number: int) -> None:
    await filled.superuser.execute(
        "insert into idempotency_key "
        "select organisation_id, 's', n::text, '', gen_random_uuid(), now() - interval '99 days' "
        "from organisation, generate_series(1, $1::integer) n where slug = 'one'",
        number,
    )


async def test_more_keys_than_a_batch_all_go(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH", 7)
    await add_old_keys(filled, 7 * 5 - 4)  # four more are there: a last batch that is full
    await run_jobs(filled.settings, "forget_idempotency_keys")
    assert await filled.keys() == [(slug, key) for slug in ("one", "two") for key in ("nearly", "new")]


async def test_several_workers_at_once_forget_the_same_and_fail_none(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "BATCH", 50)
    await add_old_keys(filled, 2_000)
    await asyncio.gather(*(run_jobs(filled.settings, "forget_idempotency_keys") for _ in range(3)))
    assert await filled.keys() == [(slug, key) for slug in ("one", "two") for key in ("nearly", "new")]
    assert await filled.failed() == []


async def test_who_comes_second_leaves_it_to_the_first(filled: Filled) -> None:
    forget = "select forget_idempotency_keys(30, 1)"
    first, second = [await asyncpg.connect(filled.urls.service) for _ in range(2)]
    async with first.transaction():
        assert await first.fetchval(forget) == 1
        assert await second.fetchval(forget) is None
    assert await second.fetchval(forget) == 1
    await first.close()
    await second.close()


async def test_a_key_that_was_forgotten_can_be_used_anew(filled: Filled) -> None:
    await run_jobs(filled.settings, "forget_idempotency_keys")
    service = await asyncpg.connect(filled.urls.service)
    organisation_id = await ensure_organisation(service, "one", "one")
    client_id = await make_client(service, organisation_id)
    pool = await create_pool(filled.urls.service, filled.settings)
    outcomes = [
        (await record(pool, make_recording(organisation_id, client_id, idempotency_key=key))).outcome
        for key in ("old", "nearly")
    ]
    await pool.close()
    await service.close()
    assert outcomes == ["created", "replayed"]


@pytest.mark.parametrize("role", ["service", "owner"])
async def test_the_setting_alone_opens_nothing_but_old_keys_and_to_the_owner_only(filled: Filled, role: str) -> None:
    await filled.superuser.execute(
        "update idempotency_key set created_at = now() - interval '23 hours' where key = 'nearly'"
    )
    connection = await asyncpg.connect(getattr(filled.urls, role))
    await connection.execute("set fathomline.forgetting = 'on'")
    seen = {
        table: await connection.fetchval(f"select count(*) from {table}")  # noqa: S608  - our own table names
        for table in SQLModel.metadata.tables
    }
    keys = {row[0] for row in await connection.fetch("select key from idempotency_key")}
    changed = await connection.execute("delete from idempotency_key where key in ('new', 'nearly')")
    await connection.close()
    assert {table for table, number in seen.items() if number} == ({"idempotency_key"} if role == "owner" else set())
    assert keys == ({"old", "ancient"} if role == "owner" else set())
    assert changed == "DELETE 0"


async def test_only_these_policies_go_beyond_one_organisation(filled: Filled) -> None:
    beyond = await filled.superuser.fetch(
        "select tablename, cmd, roles::text from pg_policies "
        "where qual not like '(organisation_id = %' order by 1, 2, 3"
    )
    assert [tuple(row) for row in beyond] == [
        ("idempotency_key", "DELETE", "{fathomline_owner}"),
        ("idempotency_key", "SELECT", "{fathomline_owner}"),
        ("import_run", "SELECT", "{fathomline_owner}"),
        ("organisation", "SELECT", "{fathomline_owner}"),
        ("organisation", "SELECT", "{public}"),
        ("outbox", "SELECT", "{fathomline_owner}"),
        ("webhook", "SELECT", "{fathomline_owner}"),
        ("webhook_delivery", "SELECT", "{fathomline_owner}"),
    ]


async def test_the_function_forgets_nothing_younger_than_a_day_and_leaves_the_door_closed(filled: Filled) -> None:
    service = await asyncpg.connect(filled.urls.service)
    async with service.transaction():
        assert await service.fetchval("select forget_idempotency_keys(-5, 100)") == 6
        assert await service.fetchval("select current_setting('fathomline.forgetting')") == ""
    await service.close()
    assert await filled.keys() == [("one", "new"), ("two", "new")]


@pytest.mark.parametrize(
    "statement",
    [
        "drop table jobs.procrastinate_events",
        "truncate jobs.procrastinate_jobs cascade",
        "create table jobs.mine (id integer)",
        "alter table jobs.procrastinate_jobs add column answers text",
        "delete from jobs.procrastinate_events",
        "drop schema jobs cascade",
    ],
)
async def test_the_service_owns_no_jobs(service: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute(statement)


async def test_what_a_killed_worker_was_at_is_run_by_another(filled: Filled) -> None:
    worker_id = await filled.superuser.fetchval(
        "insert into jobs.procrastinate_workers (last_heartbeat) values (now() - interval '1 minute') returning id"
    )
    await filled.superuser.execute("set search_path = jobs, public")  # where the triggers of the table look
    await filled.superuser.execute(
        "insert into procrastinate_jobs (queue_name, task_name, status, worker_id) "
        "values ('default', 'forget_idempotency_keys', 'doing', $1)",
        worker_id,
    )
    assert len(await filled.keys()) == 8
    await run_jobs(filled.settings, "resume_jobs")
    await run_jobs(filled.settings)  # it may have been queued when the first had found nothing more to do
    assert len(await filled.keys()) == 4
    assert await filled.failed() == []


async def test_what_has_been_queued_since_is_not_queued_twice(filled: Filled) -> None:
    worker_id = await filled.superuser.fetchval(
        "insert into jobs.procrastinate_workers (last_heartbeat) values (now() - interval '1 minute') returning id"
    )
    await filled.superuser.execute("set search_path = jobs, public")  # where the triggers of the table look
    for status, taken_by in (("doing", worker_id), ("todo", None)):
        await filled.superuser.execute(
            "insert into procrastinate_jobs (queue_name, task_name, status, worker_id, queueing_lock) "
            "values ('default', 'forget_idempotency_keys', $1::procrastinate_job_status, $2, 'same')",
            status,
            taken_by,
        )
    await run_jobs(filled.settings, *["resume_jobs"] * 5)  # all at once
    await run_jobs(filled.settings)
    assert await filled.failed() == []
    assert await filled.superuser.fetchval("select count(*) from procrastinate_jobs") == 0
    assert len(await filled.keys()) == 4


@contextmanager
def worker(data: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A worker in a process of its own, killed at the end if it has not ended."""
    process = subprocess.Popen(
        [*COMMAND, "worker"], cwd=ROOT, env=environment(data, **more), text=True, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def line(process: subprocess.Popen[str], **wanted: str) -> dict[str, Any]:
    """The next line of the log that says what is wanted."""
    assert process.stderr is not None
    for text in process.stderr:
        found: dict[str, Any] = json.loads(text)
        if wanted.items() <= found.items():
            return found
    raise AssertionError(f"the worker ended without {wanted}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_catches_up_when_it_starts_and_stops_when_told(
    tmp_path: Path, filled: Filled, number: signal.Signals
) -> None:
    with worker(tmp_path, DATABASE_URL=filled.urls.service) as process:
        told = line(process, event="job", task="forget_idempotency_keys")
        process.send_signal(number)
        _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    assert told.keys() == {"event", "level", "timestamp", "task", "outcome", "forgotten", "milliseconds"}
    assert (told["outcome"], told["forgotten"]) == ("done", 4)
    assert len(await filled.keys()) == 4
    assert await filled.superuser.fetchval("select count(*) from jobs.procrastinate_workers") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_worker_shares_the_embedded_database_and_takes_it_along(tmp_path: Path) -> None:
    with worker(tmp_path) as first, worker(tmp_path) as second:
        for process in (first, second):
            line(process, event="worker", state="ready")
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
        assert second.poll() is None
        second.send_signal(signal.SIGTERM)
        assert second.wait(60) == 0
    nothing_left(tmp_path)


async def test_a_run_that_fails_is_told_without_its_message_and_the_worker_goes_on(
    tmp_path: Path, filled: Filled
) -> None:
    await filled.superuser.execute("revoke execute on function forget_idempotency_keys from fathomline_service")
    with worker(tmp_path, DATABASE_URL=filled.urls.service) as process:
        told = line(process, event="job", task="forget_idempotency_keys")
        assert (told["outcome"], told["level"]) == ("failed", "error")
        assert told["exceptions"][0] == "psycopg.errors.InsufficientPrivilege"
        assert "permission denied" not in json.dumps(told)
        await filled.superuser.execute("grant execute on function forget_idempotency_keys to fathomline_service")
        service = await asyncpg.connect(filled.urls.service, server_settings={"search_path": "jobs"})
        await service.execute(
            "insert into procrastinate_jobs (queue_name, task_name) values ('default', 'forget_idempotency_keys')"
        )
        await service.close()
        assert line(process, event="job", outcome="done", task="forget_idempotency_keys")["forgotten"] == 4
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert set(await filled.failed()) == {"forget_idempotency_keys"}


async def test_a_worker_that_loses_its_database_ends_and_says_so(tmp_path: Path, filled: Filled, lease: Lease) -> None:
    with worker(tmp_path, DATABASE_URL=filled.urls.service) as process:
        line(process, event="job", task="forget_idempotency_keys")
        name = await filled.superuser.fetchval("select current_database()")
        other = await asyncpg.connect(lease.url("postgres", "postgres"))
        await other.execute(f"alter database {name} with allow_connections false")
        await other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'fathomline-worker' and datname = $1",
            name,
        )
        await other.close()
        _, rest = await asyncio.to_thread(process.communicate, timeout=90)
    assert process.returncode == 2
    assert rest.splitlines()[-1] == ("fathomline: the worker has lost its database: start it again when that is back")
    assert "Traceback" not in rest


def test_a_worker_tells_what_it_cannot_work_on_in_one_line(tmp_path: Path, database: Urls, inside: Inside) -> None:
    word = "hunter2"
    for url, because in (
        (f"postgresql://o:{word}@127.0.0.1:9/x", "cannot connect to the database of DATABASE_URL"),
        (database.owner, "owns table"),
        (f"{database.service.replace('fathomline_service@', 'nobody-' + uuid.uuid4().hex + '@')}", "cannot connect"),
    ):
        done = inside(tmp_path, "worker", DATABASE_URL=url)
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert because in done.err
        assert word not in done.err
