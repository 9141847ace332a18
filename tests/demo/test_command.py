"""`fathomline demo` as a process: what it prints, that it serves, starts again, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.caseload.attention import REASONS
from api.cli.demo import instructions, showcased
from api.clients.codes import END_REASONS
from api.demo.clinic import clinic
from api.demo.invented import invented
from api.demo.load import Loaded
from api.demo.people import people

TOKENS = {"clinician": "a.b.c", "researcher": "d.e.f", "admin": "g.h.i"}
FATHOMLINE = Path(sys.executable).with_name("fathomline")


def environment(**given: str) -> dict[str, str]:
    """Nothing of this machine's settings; the command has to work without any."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FATHOMLINE_", "DATABASE_"))}
    return kept | given


def run(folder: Path, *command: str, **given: str) -> subprocess.CompletedProcess[str]:
    """A command to its end, in a folder."""
    return subprocess.run(
        command, cwd=folder, env=environment(**given), capture_output=True, text=True, check=False, timeout=120
    )


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def demo(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The command, started in a folder as `make demo` does, and what it prints."""
    out = folder / "out"
    # As from a terminal, where Ctrl-C is not ignored, whatever started the tests.
    with out.open("wb") as output:
        process = subprocess.Popen(
            [FATHOMLINE, "demo", "--port", str(port)],
            cwd=folder,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    try:
        yield process, out
    finally:
        process.kill()
        process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], out: Path, port: int) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, out.read_text()
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200 and "curl" in out.read_text():
                return out.read_text()
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(out.read_text())


def processes_of(folder: Path) -> list[str]:
    """Command lines that name the folder, or processes that work in it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked for in /proc")
def test_it_serves_twice_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    printed = []
    for _ in range(2):
        with demo(tmp_path, port) as (process, out):
            text = wait_until_ready(process, out, port)
            printed.append(text)
            if len(printed) == 1:
                _what_it_prints_works(tmp_path, text)
                _there_is_something_of_everything(tmp_path, text)
                _a_port_in_use_is_one_line(tmp_path, port)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            assert out.read_text().endswith("Stopped, and PostgreSQL with it.\n")
        deadline = time.monotonic() + 10
        while processes_of(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert processes_of(tmp_path) == []
    assert "240 people, 7,087 forms, written" in printed[0]
    assert "240 people, 7,087 forms, there already" in printed[1]
    assert "20 people,   555 forms, there already" in printed[1]


def _what_it_prints_works(folder: Path, text: str) -> None:
    """The lines for the shell are run by a shell, as somebody would who pastes them; and `token` needs no option."""
    script = "set -eu\n" + text[text.index("BASE=") :]
    ran = run(folder, "sh", "-c", script)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count('"headline":"recovered"') == 1
    assert '"attention":["harmed"' in ran.stdout
    assert '"amended":true' in ran.stdout, "a form of the showcased person was corrected"
    assert '"headline":"worse"' in ran.stdout, "and said otherwise before"
    assert '"stayed_against_dropped_out"' in ran.stdout
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert '"value":36.0' in ran.stdout
    assert '"title":"The lantern walk"' in ran.stdout
    assert "/problems/" not in ran.stdout
    assert (folder / "progress.svg").read_text().startswith("<svg")
    base = text[text.index("Ready: ") + 7 :].split()[0]
    for role, path, status in (("ehr", "/v1/clients", 200), ("researcher", "/v1/clients", 403)):
        token = run(folder, str(FATHOMLINE), "token", "--organisation", "demo", "--role", role).stdout.strip()
        assert httpx.get(base + path, headers={"Authorization": f"Bearer {token}"}).status_code == status


def _there_is_something_of_everything(folder: Path, text: str) -> None:
    """Of each kind of client and of each end of an episode, as a clinician and an admin see the whole clinic."""
    base = text[text.index("Ready: ") + 7 :].split()[0]

    def read(role: str, path: str, **query: str | int) -> dict[str, Any]:
        authorization = f"Bearer {re.search(f'^{role}=(.*)$', text, re.M)[1]}"  # type: ignore[index]  # it is printed
        answer = httpx.get(base + path, params=query, headers={"Authorization": authorization}, timeout=30)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    whose_first = read("CLINICIAN", "/v1/caseload", clinician="c-1", limit=200)["items"]
    assert {row["attention"][0] for row in whose_first if row["attention"]} >= {*REASONS} - {"overdue"}, "who signs in"
    everybody = read("CLINICIAN", "/v1/caseload", clinician="all", limit=200)["items"]
    assert {row["attention"][0] for row in everybody if row["attention"]} == {*REASONS}, "each foremost of somebody"
    assert {row["category"] for row in everybody} >= {"recovered", "improved", "unchanged", "deteriorated", "harmed"}
    harmed = [row for row in everybody if row["category"] == "harmed"]
    assert harmed
    assert all(row["alerts"]["open"] == 0 for row in harmed)
    judged = [measure["on_track"] for row in everybody for measure in row["measures"]]
    assert {one["status"] for one in judged if one["available"]} >= {"on-track", "watch", "not-on-track"}

    ended = read("ADMIN", "/v1/organisation/outcomes", instrument="gad-7")["total"]
    assert set(ended["attrition"]["end_reasons"]) == {*END_REASONS} - {"not-taken-up"}
    assert ended["n"]["not_taken_up"] > 0
    for group_by, least in (("modality", 3), ("format", 2), ("concern", 5), ("quarter", 4)):
        groups = read("ADMIN", "/v1/organisation/outcomes", instrument="gad-7", group_by=group_by)["groups"]
        told = [group for group in groups if group["n"]["completers"] >= 5 and group["rates"]["available"]]
        assert len(told) >= least, f"{group_by}: {[(group['levels'], group['n']) for group in groups]}"


def _a_port_in_use_is_one_line(folder: Path, port: int) -> None:
    refused = run(folder, str(FATHOMLINE), "demo", "--port", str(port))
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == f"fathomline: port {port} on 127.0.0.1 is taken; choose another with --port or PORT=\n"


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_OWNER_URL"])
def test_a_database_that_is_somebodys_is_not_filled_with_inventions(tmp_path: Path, name: str) -> None:
    refused = run(tmp_path, str(FATHOMLINE), "demo", **{name: "postgresql://somebody@127.0.0.1:1/clinic"})
    assert refused.returncode == 2
    assert "a database of its own" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_showcased_person_has_a_long_series_and_has_changed() -> None:
    planned = clinic()
    loaded = [Loaded("demo", tuple(people(planned, "demo", 240)), written=True)]
    person = showcased(loaded, planned.showcase)
    assert person.trajectory == "improving"
    assert sum(form.instrument == planned.showcase.form for form in person.forms) >= 8
    lines = "\n".join(instructions(planned, loaded, "http://x:1", TOKENS, "f"))
    assert f"/v1/instruments/{invented()[0].code}/form?" in lines
    assert set(re.findall(r"/clients/([0-9a-f-]{36})", lines)) == {str(person.id)}
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"CLIENT={person.id}\n" in readme
