"""`fathomline serve` and `fathomline migrate`, as processes."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import Urls
from tests.platform.embedding import ROOT, keepers, nothing_left, wait_until
from tests.platform.inside import Inside, environment

COMMAND = [sys.executable, "-c", "from api.cli import main; main()"]


def run(data: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, env=environment(data, **more), capture_output=True, text=True, timeout=90
    )


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_it_serves_on_the_embedded_database_and_takes_it_along(tmp_path: Path) -> None:
    port = free_port()
    served = subprocess.Popen([*COMMAND, "serve", "--port", str(port)], cwd=ROOT, env=environment(tmp_path))
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = _ready(port)
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                assert served.poll() is None
                time.sleep(0.1)
        assert answer.status_code == 200
        with socket.create_connection(("127.0.0.1", port)) as broken:
            broken.sendall(b"no request at all\r\n\r\n")
            assert b"/problems/request-malformed" in broken.recv(4096)
    finally:
        served.send_signal(signal.SIGTERM)
        served.wait(60)
    nothing_left(tmp_path)


def test_workers_leave_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    port = free_port()
    command = [*COMMAND, "serve", "--port", str(port), "--workers", "2"]
    served = subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path))
    try:
        wait_until(lambda: _answers(port), "ready", 90)
    finally:
        served.kill()
        served.wait(10)
    wait_until(lambda: not _answers(port), "the port free")
    wait_until(lambda: not keepers(tmp_path), "the keeper gone")
    nothing_left(tmp_path)


def _answers(port: int) -> bool:
    try:
        return _ready(port).status_code == 200
    except httpx.TransportError:
        return False


def _ready(port: int) -> httpx.Response:
    """Without the certificates, which take longer to read than to start half the service."""
    return httpx.get(f"http://127.0.0.1:{port}/health/ready", verify=False)  # noqa: S501 - there is no TLS


def test_a_taken_port_is_one_line_before_anything_starts(tmp_path: Path, inside: Inside) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = inside(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert done.status == 2
    assert re.fullmatch(r"fathomline: port \d+ on 127.0.0.1 is taken; choose another with --port or PORT=\n", done.err)
    assert list(tmp_path.iterdir()) == []


def test_without_a_master_key_it_does_not_start(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--port", "0", FATHOMLINE_MASTER_KEY="x")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("fathomline: unusable settings: master_key:")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"FATHOMLINE_ISSUERS": '[{"issuer": "sesame"'}, "issuers"),
        ({"DATABASE_URL": "mysql://someone:sesame@host/x"}, "DATABASE_URL: .*postgresql://"),
        ({"DATABASE_URL": "sesame"}, "DATABASE_URL: .*postgresql://"),
    ],
    ids=["issuers", "other database", "no url"],
)
def test_a_setting_that_cannot_be_read_is_told_in_one_line(
    tmp_path: Path, wrong: dict[str, str], told: str, inside: Inside
) -> None:
    done = inside(tmp_path, "serve", "--port", "0", **wrong)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert re.search(told, done.err)
    assert "sesame" not in done.out + done.err


def test_a_data_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path, inside: Inside) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    given = {"FATHOMLINE_GENERATE_MASTER_KEY": "true"}
    done = inside(tmp_path / "file" / "data", "serve", "--port", "0", without=("FATHOMLINE_MASTER_KEY",), **given)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "cannot make a master key in" in done.err


def test_it_does_not_serve_as_the_owner(tmp_path: Path, database: Urls) -> None:
    done = run(tmp_path, "serve", "--port", "0", DATABASE_URL=database.owner)
    assert done.returncode == 3
    assert "owns table" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_migrate_goes_up_and_back_and_says_so(tmp_path: Path, fresh_database: Urls, inside: Inside) -> None:
    roles = {"DATABASE_URL": fresh_database.service, "DATABASE_OWNER_URL": fresh_database.owner}
    said = [inside(tmp_path, "migrate", *arguments, **roles).out for arguments in (["--back", "base"], [])]
    said.append(run(tmp_path, "migrate", **roles).stdout)
    assert said[0] == "the database is back at revision base\n"
    assert re.fullmatch(r"the database was empty, and is at \w+\n", said[1])
    assert re.fullmatch(r"the database was at revision (\w+), and is at \1\n", said[2])


def test_migrate_tells_faults_in_one_line(tmp_path: Path, database: Urls, inside: Inside) -> None:
    for more, because in (
        ({"DATABASE_URL": database.service}, "DATABASE_OWNER_URL is not"),
        ({"DATABASE_OWNER_URL": "postgresql://o:hunter2@127.0.0.1:9/x"}, "cannot migrate"),
    ):
        done = inside(tmp_path, "migrate", **more)
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert because in done.err
        assert "hunter2" not in done.err
    done = inside(tmp_path, "migrate", "no-such-revision", DATABASE_OWNER_URL=database.owner)
    assert (done.status, "no-such-revision" in done.err) == (2, True)
