"""A backup and its restoration on real databases: all of it comes back, and nothing of who was erased."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from api import migrate
from api.backups import contents, keyfile
from api.backups.blocks import opened
from api.backups.comparing import compare
from api.backups.errors import BackupError
from api.backups.making import make, renew_keys
from api.backups.opening import open_backup
from api.backups.programs import environment
from api.embedded import Lease, tools
from api.erasure.tombstones import Tombstone
from api.organisations.repository import ensure_organisation
from api.security import crypto
from tests.backups.conftest import CHART, KEYS, Filled, backed_up, counts, empty_database, restored, seal
from tests.conftest import MASTER_KEY, Urls
from tests.factories import make_client

NOW = datetime(2026, 3, 1, tzinfo=UTC)
UNKNOWN = b'{"erasure": null, "key": null, "certificate": null}'


def schema(urls: Urls) -> str:
    """All that a schema is made of: tables, constraints, indexes, functions, triggers, policies and rights."""
    command = [str(tools() / "pg_dump"), "--schema-only", "--restrict-key=x"]
    return subprocess.run(command, env=environment(urls.superuser), capture_output=True, text=True, check=True).stdout


def differing(backup: Path, urls: Urls) -> dict[str, tuple[int, int | None]]:
    """The tables that are not equal, with the rows expected and found."""
    with contents.connect(urls.service) as connection:
        found = list(compare(open_backup(backup, KEYS), connection))
    return {
        one.label: (one.expected.rows, None if one.found is None else one.found.rows) for one in found if not one.equal
    }


async def test_every_table_comes_back_with_all_that_binds_it(filled: Filled, empty: Urls, tmp_path: Path) -> None:
    made = await backed_up(filled.urls, tmp_path)
    before = await filled.counts()
    assert [name for name, rows in before.items() if not rows] == [], "each table is tried"
    done = await restored(made.path, empty)
    assert await counts(empty) == before | {"import_chunk": 0, "page_session": 0}
    assert done.left_out == 0
    assert schema(empty) == schema(filled.urls)
    assert differing(made.path, empty) == {}
    connection = await asyncpg.connect(empty.owner)
    assert await connection.fetchval("select count(*) from jobs.procrastinate_jobs") == 1
    assert await connection.fetchval("select nextval('jobs.procrastinate_jobs_id_seq')") == 2
    await connection.execute("select set_config('fathomline.organisation_id', $1, false)", str(filled.tenant.id))
    row = await connection.fetchrow("select * from client where id = $1", filled.first)
    ids = {"organisation_id": filled.tenant.id, "client_id": filled.first}
    key = crypto.unwrap_client_key(KEYS, row["key_wrapped"], **ids)
    assert crypto.open_external_id(key, row["external_id_sealed"], **ids) == CHART
    await connection.close()


async def test_a_file_that_waits_to_be_imported_is_in_no_backup_nor_its_key(
    filled: Filled, empty: Urls, tmp_path: Path
) -> None:
    under_way = "select count(*) from import_run where key_wrapped is not null"
    connection = await asyncpg.connect(filled.urls.superuser)
    assert await connection.fetchval(under_way) == 2
    assert await connection.fetchval("select count(*) from import_chunk") == 2
    await connection.close()
    made = await backed_up(filled.urls, tmp_path)
    parts = {part.name: part for part in made.manifest.tables}
    assert "import_chunk" not in parts
    assert "key_wrapped" not in parts["import_run"].columns
    await restored(made.path, empty)
    connection = await asyncpg.connect(empty.superuser)
    assert await connection.fetchval(under_way) == 0
    assert await connection.fetchval("select count(*) from import_run") == 2
    await connection.close()
    assert differing(made.path, empty) == {}


CHANGES = {
    "client": "update client set birth_year = 1950 where birth_year is distinct from 1950",
    "alert": "update alert set status = 'acknowledged'",
    "idempotency_key": "delete from idempotency_key",
    "webhook": "update webhook set url = url || '?'",
    "organisation": "insert into organisation values (gen_random_uuid(), 'another', 'Another')",
}


async def test_any_change_of_a_row_is_seen(filled: Filled, empty: Urls, tmp_path: Path) -> None:
    made = await backed_up(filled.urls, tmp_path)
    await restored(made.path, empty)
    connection = await asyncpg.connect(empty.superuser)
    for number, change in enumerate(CHANGES.values(), 1):
        await connection.execute(change)
        assert differing(made.path, empty).keys() == set(list(CHANGES)[:number])
    await connection.close()


async def test_a_backup_says_nothing_of_anybody_and_holds_no_client_key(filled: Filled, tmp_path: Path) -> None:
    made = await backed_up(filled.urls, tmp_path)
    connection = await asyncpg.connect(filled.urls.superuser)
    rows = await connection.fetch("select id, key_wrapped, external_id_hash from client")
    await connection.close()
    told = [bytes(value) if isinstance(value, bytes) else str(value).encode() for row in rows for value in row.values()]
    told += [one.bytes for one in (filled.first, filled.second)] + [CHART.encode(), b"lamp-3"]
    for file in made.path.iterdir():
        data = file.read_bytes()
        assert [one for one in told if one in data or one.hex().encode() in data] == [], file.name
    row = next(row for row in rows if row["id"] == filled.first)
    raw = crypto.unwrap_client_key(KEYS, row["key_wrapped"], organisation_id=filled.tenant.id, client_id=filled.first)
    assert raw not in b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.rglob("*") if file.is_file())


async def test_a_client_erased_since_does_not_come_back_and_the_others_do(
    filled: Filled, empty: Urls, tmp_path: Path
) -> None:
    made = await backed_up(filled.urls, tmp_path)
    erased = Tombstone(filled.tenant.id, filled.first, NOW, UNKNOWN)
    assert keyfile.forget(tmp_path, KEYS, [erased])
    done = await restored(made.path, empty)
    assert done.left_out == 1
    connection = await asyncpg.connect(empty.superuser)
    assert await connection.fetchval("select count(*) from client where id = $1", filled.first) == 0
    assert await connection.fetchval("select count(*) from response where client_id = $1", filled.first) == 0
    assert await connection.fetchval("select count(*) from client where id = $1", filled.second) == 1
    assert await connection.fetchval("select count(*) from response") == 1, "the other organisation's"
    assert await connection.fetchval("select count(*) from score") > 0
    await connection.close()
    assert differing(made.path, empty) == {}
    later = await backed_up(filled.urls, tmp_path)  # where the client still is: the erasure holds
    ring = keyfile.read(tmp_path, KEYS)
    assert ring is not None
    assert (filled.tenant.id, filled.first) not in ring.clients
    assert later.manifest.clients == 3


async def test_who_has_every_file_but_the_key_cannot_read_the_erased_rows(filled: Filled, tmp_path: Path) -> None:
    made = await backed_up(filled.urls, tmp_path)
    keyfile.forget(tmp_path, KEYS, [Tombstone(filled.tenant.id, filled.first, NOW, UNKNOWN)])
    backup = open_backup(made.path, KEYS)
    part = next(part for part in backup.manifest.tables if part.name == "response")
    with backup.reading(part.file) as reader:
        plain = reader.read_all()
    assert b"answers" not in plain, "the other's are there too, and sealed as well"
    backup.ring.clients[filled.tenant.id, filled.first] = bytes(range(32))
    block = next(block for block in backup.blocks(part) if block.client == filled.first)
    with pytest.raises(BackupError, match="do not open with their client's key"):
        opened(block, part.table, backup.manifest.id, backup.ring.clients)


async def test_writing_goes_on_meanwhile_and_the_backup_is_of_one_moment(
    filled: Filled, empty: Urls, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(filled.urls.superuser)
    loop = asyncio.get_running_loop()

    async def write() -> None:
        await connection.execute(
            "insert into idempotency_key values ($1, 'late', $2, '\\x00', $3, now())",
            filled.tenant.id,
            uuid.uuid4().hex,
            uuid.uuid4(),
        )

    def told(_: str) -> None:
        asyncio.run_coroutine_threadsafe(write(), loop).result(10)

    before = await connection.fetchval("select count(*) from idempotency_key")
    made = await asyncio.to_thread(make, filled.urls.owner, tmp_path, KEYS, told=told)
    assert await connection.fetchval("select count(*) from idempotency_key") > before + 20
    await connection.execute("delete from idempotency_key where subject = 'late'")
    await connection.close()
    await restored(made.path, empty)
    assert (await counts(empty))["idempotency_key"] == before


async def test_so_many_are_kept_as_was_asked_for(filled: Filled, tmp_path: Path) -> None:
    made = [await backed_up(filled.urls, tmp_path, keep=2) for _ in range(2)]
    third = await backed_up(filled.urls, tmp_path, keep=2)
    assert third.removed == (made[0].path,)
    assert not made[0].path.exists()
    ring = keyfile.read(tmp_path, KEYS)
    assert ring is not None
    assert set(ring.backups) == {made[1].manifest.id, third.manifest.id}
    open_backup(made[1].path, KEYS)


async def test_who_is_erased_by_the_key_file_alone_is_named(filled: Filled, tmp_path: Path) -> None:
    await backed_up(filled.urls, tmp_path)
    erased = Tombstone(filled.tenant.id, filled.first, NOW, UNKNOWN)
    known, unknown = await asyncio.to_thread(renew_keys, filled.urls.owner, tmp_path, KEYS)
    assert (known, unknown) == ((await filled.counts())["erasure"], [])
    keyfile.forget(tmp_path, KEYS, [erased])
    assert await asyncio.to_thread(renew_keys, filled.urls.owner, tmp_path, KEYS) == (known, [erased])
    with pytest.raises(BackupError, match=r"has no keys\.fathomline: there are no backups there"):
        await asyncio.to_thread(renew_keys, filled.urls.owner, tmp_path / "nowhere", KEYS)


async def test_a_backup_of_before_a_new_master_key_is_restored_under_the_new_one(
    lease: Lease, empty: Urls, tmp_path: Path
) -> None:
    await asyncio.to_thread(migrate.upgrade, empty.owner)
    service = await asyncpg.connect(empty.service)
    organisation = await ensure_organisation(service, "one", "One")
    client = await make_client(service, organisation)
    await seal(service, organisation, client, CHART)
    await service.close()
    made = await backed_up(empty, tmp_path)
    master, new_master = crypto.parse_master_key(MASTER_KEY), bytes(range(60, 92))
    assert keyfile.reseal(tmp_path, crypto.derive(new_master, master))
    alone, both = crypto.derive(new_master), crypto.derive(new_master, master)
    async with empty_database(lease) as new:
        with pytest.raises(BackupError, match=r"made under another master key .* set that one as the previous"):
            await restored(made.path, new, alone)
        await restored(made.path, new, both)
        connection = await asyncpg.connect(new.superuser)
        row = await connection.fetchrow("select key_wrapped, external_id_sealed from client")
        await connection.close()
        ids = {"organisation_id": organisation, "client_id": client}
        key = crypto.unwrap_client_key(alone, row["key_wrapped"], **ids)
        assert crypto.open_external_id(key, row["external_id_sealed"], **ids) == CHART
