"""What can be wrong with the folder, the user or the disk is told in one line, with the remedy."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.embedded import EmbeddedError, acquire, errors
from api.embedded.account import Account
from api.embedded.layout import Layout
from tests.platform.embedding import ROOT, nothing_left

NOBODY = 65534
READ_ANYWHERE = 2
"""CAP_DAC_READ_SEARCH: lets the ordinary user of these tests read an interpreter that lies below a closed folder."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user, or mount")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose cluster has been made."""
    folder = tmp_path_factory.mktemp("made")
    acquire(folder).close()
    return folder


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path so short that its sockets lie in it: pytest's own are longer in some runs than in others."""
    with tempfile.TemporaryDirectory(prefix="fl", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def data(made: Path, short: Path) -> Iterator[Path]:
    """A copy of it, to be spoilt; nothing may be left running in it."""
    copy = short / "data"
    subprocess.run(["cp", "-a", made, copy], check=True)
    yield copy
    nothing_left(copy)


def refused(data: Path, kind: errors.Kind, because: str) -> None:
    """Assert that a start is refused in one line."""
    with pytest.raises(EmbeddedError, match=because) as caught:
        acquire(data)
    assert caught.value.kind == kind
    assert "\n" not in str(caught.value)
    nothing_left(data)


def as_nobody(data: Path) -> tuple[int, str]:
    """Use the server as an ordinary user; exit status and what was said."""
    account = Account(NOBODY, NOBODY, READ_ANYWHERE)
    code = f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv[1:] = [{str(data)!r}, 'hold']"
    run = "from tests.platform.user import main; sys.exit(main())"
    process = account.spawn([sys.executable, "-c", f"{code}; {run}"], output=subprocess.PIPE)
    output, _ = process.communicate(timeout=100)
    return process.returncode, output.decode()


def test_another_major_version_is_refused(data: Path) -> None:
    (Layout.of(data).cluster / "PG_VERSION").write_text("17\n")
    refused(data, "version", "made by PostgreSQL 17 and this release brings 18: dump it")
    (Layout.of(data).cluster / "PG_VERSION").write_text("18\n")
    acquire(data).close()


def test_a_folder_that_is_no_cluster_is_refused_and_left_alone(tmp_path: Path) -> None:
    cluster = Layout.of(tmp_path).cluster
    cluster.mkdir(parents=True)
    (cluster / "letters.txt").write_text("keep me")
    refused(tmp_path, "failed", "not a PostgreSQL data folder")
    assert (cluster / "letters.txt").read_text() == "keep me"


def test_a_taken_socket_is_refused(data: Path) -> None:
    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(str(Layout.of(data).server_socket))
        squatter.listen()
        refused(data, "socket", "taken by another PostgreSQL server; stop that one")
    acquire(data).close()


def test_a_socket_folder_open_to_others_is_refused(data: Path) -> None:
    Layout.of(data).run.chmod(0o777)
    refused(data, "socket", "not a folder of this user alone")


def test_a_damaged_configuration_is_refused_with_the_reason(data: Path) -> None:
    (Layout.of(data).cluster / "postgresql.conf").write_text("no_such_setting = 1\n")
    refused(data, "failed", "cannot start the database: .*; see .*keeper.log")


def test_lost_write_ahead_log_is_refused_with_the_reason(data: Path) -> None:
    shutil.rmtree(Layout.of(data).cluster / "pg_wal")
    refused(data, "failed", "pg_wal.* does not exist")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    refused(tmp_path / "data", "failed", "cannot use the data folder")


@needs_root
def test_an_ordinary_user_has_a_server_of_his_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, NOBODY, NOBODY)
    for _ in range(2):
        assert as_nobody(data) == (0, "ready\n")
    assert Layout.of(data).cluster.stat().st_uid == NOBODY
    nothing_left(data)


@needs_root
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    status, said = as_nobody(data)
    assert status == 2
    assert said.startswith("permission: cannot use the data folder")
    assert "run as the user who owns the data folder, or choose another folder with FATHOMLINE_DATA" in said


@needs_root
def test_the_servers_folder_of_somebody_else_is_refused(data: Path) -> None:
    status, said = as_nobody(data)
    assert (status, said.split(":")[0]) == (2, "permission")


@needs_root
def test_a_cluster_with_modes_too_open_is_refused(data: Path) -> None:
    Layout.of(data).cluster.chmod(0o777)
    refused(data, "permission", "invalid permissions")


@needs_root
def test_root_gives_the_server_to_an_account_that_may_not_enter_the_folders(data: Path) -> None:
    closed = data.parent
    closed.chmod(0o700)
    with acquire(data):
        pid = int((Layout.of(data).cluster / "postmaster.pid").read_text().split()[0])
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["Uid"].split()[0] != "0"
    allowed = int(status["CapEff"], 16)
    assert allowed & ~((1 << 1) | (1 << 2)) == 0, "no capability but the one to pass through folders"


@needs_root
def test_root_without_an_account_is_told(data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from api.embedded import account

    monkeypatch.setattr(account, "ACCOUNTS", ("no-such-user",))
    with pytest.raises(EmbeddedError, match="none of the users no-such-user exists: add one") as caught:
        account.choose(tmp_path / "none", Path("/bin/true"), (tmp_path,))
    assert caught.value.kind == "privileges"


@needs_root
def test_a_program_below_a_closed_folder_is_found(short: Path) -> None:
    """initdb looks for postgres with access(2), which goes by the real user and leaves out most capabilities."""
    closed = short / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.touch(mode=0o755)
    asks = "import os, sys; sys.exit(not os.access(sys.argv[1], os.X_OK))"
    assert Account(NOBODY, NOBODY, READ_ANYWHERE).spawn([sys.executable, "-c", asks, str(program)]).wait() == 0


@pytest.fixture
def small_disk(short: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = short / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("this environment lets nobody mount a file system")
    yield folder
    nothing_left(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)  # the kernel may hold it a little longer than its users


@needs_root
def test_a_full_disk_is_told_and_room_is_the_remedy(small_disk: Path) -> None:
    refused(small_disk, "disk-full", "the disk is full .*free some space")
    assert not Layout.of(small_disk).cluster.exists(), "nothing half made"
    subprocess.run(["mount", "-o", "remount,size=400m", small_disk], check=True)
    acquire(small_disk).close()


@needs_root
def test_a_disk_that_filled_up_later_is_told(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=400m", small_disk], check=True)
    acquire(small_disk).close()
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 12)) == 1 << 12 and shutil.disk_usage(small_disk).free > 0:
            pass
    refused(small_disk, "disk-full", "the disk is full")
    filler.unlink()
    acquire(small_disk).close()
