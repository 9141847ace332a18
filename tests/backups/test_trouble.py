"""What goes wrong with backups: each told in one line, and never half a backup that looks whole."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from api import migrate
from api.backups import folder, keyfile, manifest
from api.backups.errors import BackupError
from api.backups.making import Made, make
from api.backups.opening import open_backup
from api.backups.restoring import new_data_folder
from api.embedded import Lease
from api.organisations.repository import ensure_organisation
from api.security import crypto
from tests.backups.conftest import KEYS, Filled, backed_up, counts, empty_database, restored
from tests.conftest import Urls

OTHER_KEYS = crypto.derive(bytes(range(100, 132)))
ROOT = Path(__file__).parents[2]
MAKE = """
import sys
from pathlib import Path
from api.backups.making import make
from tests.backups.conftest import KEYS
make(sys.argv[1], Path(sys.argv[2]), KEYS, rate=float(sys.argv[3]), told=lambda what: print(what, flush=True))
"""


def nothing_half(into: Path, *, whole: int = 0) -> None:
    """No backup but those that were whole before, and no drafts."""
    assert len(folder.whole(into)) == whole
    assert list(into.glob(".*.partial")) == []


def making(urls: Urls, into: Path, *, rate: float = 0.0, most: int | None = None) -> subprocess.Popen[str]:
    """A backup in a process of its own, which says each table's name; ``most`` bytes is all that a file may have."""

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    command = [sys.executable, "-c", MAKE, urls.owner, str(into), str(rate)]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit
    )


async def test_a_disk_without_room_is_told_and_leaves_nothing(filled: Filled, tmp_path: Path) -> None:
    process = making(filled.urls, tmp_path, most=20_000)  # of the kernel's limits the one that needs no disk
    _, errors = await asyncio.to_thread(process.communicate)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("api.backups.errors.BackupError: cannot write ")
    assert errors.splitlines()[-1].endswith(": File too large")
    nothing_half(tmp_path)
    assert keyfile.read(tmp_path, KEYS) is None


async def test_a_folder_that_cannot_be_written_is_told(filled: Filled, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupError, match=r"cannot make .*/file/backups: Not a directory"):
        await backed_up(filled.urls, tmp_path / "file" / "backups")
    with pytest.raises(BackupError, match=r"cannot (make|write) /proc/"):
        await backed_up(filled.urls, Path("/proc/backups"))


async def test_a_database_that_goes_away_in_the_middle_is_told(filled: Filled, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    superuser = await asyncpg.connect(filled.urls.superuser)

    async def end() -> None:
        await superuser.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
            " and usename = 'fathomline_owner'"
        )

    def told(what: str) -> None:
        if what == "response":
            asyncio.run_coroutine_threadsafe(end(), loop).result(10)

    with pytest.raises(BackupError, match=r"^the database went away or is not there \(\w+\); no backup was made$"):
        await asyncio.to_thread(make, filled.urls.owner, tmp_path, KEYS, told=told)
    await superuser.close()
    nothing_half(tmp_path)


async def test_a_database_that_is_not_there_is_told_without_its_address(tmp_path: Path) -> None:
    word = "a-secret"
    url = f"postgresql://somebody:{word}@127.0.0.1:1/fathomline"
    with pytest.raises(BackupError, match="cannot connect to the database") as caught:
        await asyncio.to_thread(make, url, tmp_path, KEYS)
    assert word not in str(caught.value)


async def test_killed_in_the_middle_it_is_no_backup_and_the_next_one_clears_it_away(
    filled: Filled, tmp_path: Path
) -> None:
    first = await backed_up(filled.urls, tmp_path)
    process = making(filled.urls, tmp_path, rate=4_000)
    assert process.stdout is not None
    while process.stdout.readline() != "response\n":
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.communicate)
    assert folder.whole(tmp_path) == [first.path]
    assert len(list(tmp_path.glob(".*.partial"))) == 1
    assert open_backup(tmp_path, KEYS).path == first.path
    second = await backed_up(filled.urls, tmp_path)
    nothing_half(tmp_path, whole=2)
    open_backup(second.path, KEYS)


async def test_one_at_a_time(filled: Filled, tmp_path: Path) -> None:
    with folder.making(tmp_path), pytest.raises(BackupError, match="another process is at work in"):
        await backed_up(filled.urls, tmp_path)
    with folder.making(tmp_path):
        assert not keyfile.forget(tmp_path, KEYS, [])  # an erasure does not wait for a backup


async def test_another_master_key_is_refused_before_anything_is_written(filled: Filled, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="the master key is not the one that the clients were sealed under"):
        await asyncio.to_thread(make, filled.urls.owner, tmp_path, OTHER_KEYS)
    made = await backed_up(filled.urls, tmp_path)
    with pytest.raises(BackupError, match=r"keys\.fathomline does not open: another master key, or it was altered"):
        await asyncio.to_thread(make, filled.urls.owner, tmp_path, OTHER_KEYS)
    with pytest.raises(BackupError, match=r"keys\.fathomline does not open"):
        open_backup(made.path, OTHER_KEYS)
    nothing_half(tmp_path, whole=1)


@pytest.fixture(scope="module")
async def kept(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A backup for tests that spoil a copy of it."""
    return await backed_up(filled.urls, tmp_path_factory.mktemp("kept"))


def spoilt(kept: Made, tmp_path: Path, spoil: Callable[[Path], object]) -> Path:
    """A copy of a folder of backups in which something was changed."""
    copy = tmp_path / "copy"
    shutil.copytree(kept.path.parent, copy)
    spoil(copy / kept.path.name)
    return copy / kept.path.name


def changed(path: Path, place: int) -> None:
    """One bit of a file, turned."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def with_members(path: Path, **members: object) -> None:
    """A manifest that says something else."""
    said = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(said | members))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: changed(path / "response.rows", -20), "response.rows is not as it was written"),
        (lambda path: changed(path / "schema.dump", 40), "schema.dump is not as it was written"),
        (lambda path: os.truncate(path / "client.rows", 50), "client.rows is not as it was written: 50 bytes"),
        (lambda path: (path / "score.rows").unlink(), "cannot read .*score.rows: No such file"),
        (lambda path: with_members(path, revision="0001"), "manifest.json was altered"),
        (lambda path: with_members(path, tables=[]), "manifest.json was altered"),
        (lambda path: with_members(path, format=2), "has format 2 and this release reads format 1"),
        (lambda path: with_members(path, more=1), "is not a manifest of format 1"),
        (lambda path: (path / "manifest.json").write_text("[" * 100_000), "is not a manifest"),
        (lambda path: (path / "manifest.json").write_text("null"), "has format None"),
        (lambda path: (path / "manifest.json").unlink(), "is no whole backup and has none in it"),
        (lambda path: (path.parent / "keys.fathomline").unlink(), "has no keys.fathomline"),
        (lambda path: changed(path.parent / "keys.fathomline", -1), "keys.fathomline does not open"),
        (lambda path: os.truncate(path.parent / "keys.fathomline", 10), "keys.fathomline is not a file"),
    ],
)
def test_what_was_altered_is_refused(kept: Made, tmp_path: Path, spoil: Callable[[Path], object], told: str) -> None:
    with pytest.raises(BackupError, match=told) as caught:
        open_backup(spoilt(kept, tmp_path, spoil), KEYS)
    assert "\n" not in str(caught.value)


def test_the_key_file_of_another_folder_is_refused(kept: Made, tmp_path: Path) -> None:
    def swap(path: Path) -> None:
        (path.parent / "keys.fathomline").unlink()
        with keyfile.changing(path.parent, KEYS):
            pass

    with pytest.raises(BackupError, match="has no key for"):
        open_backup(spoilt(kept, tmp_path, swap), KEYS)


async def test_files_put_together_anew_are_refused(kept: Made, filled: Filled, empty: Urls, tmp_path: Path) -> None:
    """Whoever has the backup's key and none of a client's cannot pass one client's rows for another table's."""
    copy = open_backup(spoilt(kept, tmp_path, lambda path: None), KEYS)
    altered = copy.manifest.model_copy(
        update={
            "tables": tuple(
                part.model_copy(update={"file": "superseded.rows"}) if part.name == "score" else part
                for part in copy.manifest.tables
            )
        }
    )
    (copy.path / "manifest.json").write_bytes(altered.sealed(copy.key))
    with pytest.raises(BackupError, match="rows of score do not open with their client's key"):
        await restored(copy.path, empty)


async def test_restored_only_into_an_empty_place(kept: Made, filled: Filled, tmp_path: Path) -> None:
    before = await counts(filled.urls)
    with pytest.raises(BackupError, match="the database is not empty: restore into a new one"):
        await restored(kept.path, filled.urls)
    assert await counts(filled.urls) == before
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "something").write_text("kept")
    with pytest.raises(BackupError, match="data is not empty"), new_data_folder(tmp_path / "data"):
        raise AssertionError("not entered")
    assert (tmp_path / "data" / "something").read_text() == "kept"


async def test_a_newer_schema_is_refused(kept: Made, empty: Urls, tmp_path: Path) -> None:
    copy = open_backup(spoilt(kept, tmp_path, lambda path: None), KEYS)
    newer = copy.manifest.model_copy(update={"revision": "9999", "release": "77.1"})
    (copy.path / manifest.MANIFEST).write_bytes(newer.sealed(copy.key))
    with pytest.raises(BackupError, match=r"revision 9999, which is newer than this release .* with release 77\.1"):
        await restored(copy.path, empty)
    assert await counts(empty) == {}


async def test_a_restoration_that_is_cut_short_is_served_by_nobody(kept: Made, empty: Urls) -> None:
    from api.backups.restoring import restore
    from api.settings import Settings
    from api.startup import StartupError, checked_url

    def told(what: str) -> None:
        if what == "response":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(lambda: restore(open_backup(kept.path, KEYS), empty.owner, KEYS, told=told))
    settings = Settings(_env_file=None, database_url=empty.service)
    with pytest.raises(StartupError):
        async with checked_url(settings):
            raise AssertionError("not entered")
    with pytest.raises(BackupError, match="the database is not empty"):
        await restored(kept.path, empty)


async def test_a_schema_of_before_is_brought_to_the_present_one(
    lease: Lease, empty: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = ScriptDirectory.from_config(migrate.config()).get_revision(migrate.head())
    older = str(newest.down_revision)
    await asyncio.to_thread(migrate.upgrade, empty.owner, older)
    service = await asyncpg.connect(empty.service)
    await ensure_organisation(service, "one", "One")
    await service.close()
    with pytest.raises(BackupError, match=f"the database is at revision {older} and this release works with"):
        await backed_up(empty, tmp_path)
    nothing_half(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "head", lambda: older)  # the release of before
        made = await backed_up(empty, tmp_path)
    async with empty_database(lease) as new:
        assert (await restored(made.path, new)).revision == migrate.head()
        assert (await counts(new))["organisation"] == 1
        owner = await asyncpg.connect(new.owner)
        assert await owner.fetchval("select version_num from alembic_version") == migrate.head()
        await owner.close()


def test_the_pace_is_kept() -> None:
    from api.backups.making import Pace

    pace = Pace(rate=100_000)
    begun = time.monotonic()
    for _ in range(20):
        pace.count(2_000)
    assert 0.3 < time.monotonic() - begun < 2
