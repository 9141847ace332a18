"""PostgreSQL servers that are not the embedded one: started over TCP with passwords, as somebody's own would be."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from api.embedded import tools
from api.embedded.account import choose

LEAST = 15
ROLES = Path(__file__).parents[2] / "deploy" / "postgres" / "roles.sql"
OWNER_PASSWORD, SERVICE_PASSWORD = 'owner\'s "word" é', "service word"
"""Awkward on purpose: they travel through psql's quoting and through URLs."""


def installations() -> dict[str, Path]:
    """Folders of PostgreSQL programs by a name: the wheel's, and those that systems install, from version 15 on."""
    found = {"wheel": tools()}
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin"):
        for folder in sorted(Path("/").glob(pattern)):
            if all((folder / name).exists() for name in ("postgres", "initdb", "psql")):
                said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
                major = int(said.stdout.split()[2].split(".")[0])
                if major >= LEAST:
                    found[f"system-{major}"] = folder
    return found


@dataclass(frozen=True)
class OwnServer:
    """A running server without our roles yet."""

    programs: Path
    run: Path
    port: int

    def url(self, role: str, password: str, database: str = "fathomline") -> str:
        """Over TCP, with a password, as a service on another machine would come."""
        return f"postgresql://{role}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def psql(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`psql` as the superuser, over the socket."""
        command = [self.programs / "psql", "-X", "-h", self.run, "-p", str(self.port), "-U", "postgres", *arguments]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return subprocess.run(
            command, env=inherited | environment, capture_output=True, text=True, check=False, timeout=60
        )

    def make_roles(self) -> None:
        """What the README says to do on a server of one's own."""
        done = self.psql(
            *("-d", "postgres", "-f", str(ROLES)),
            FATHOMLINE_OWNER_PASSWORD=OWNER_PASSWORD,
            FATHOMLINE_SERVICE_PASSWORD=SERVICE_PASSWORD,
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def running(programs: Path) -> Iterator[OwnServer]:
    """A server of these programs, with a new cluster in a short folder (the path of a socket is limited)."""
    folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    data, run, log = folder / "data", folder / "run", folder / "log"
    account = choose(data, programs / "postgres", (folder,))
    for made in (data, run):
        made.mkdir(mode=0o700)
        account.own(made)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        with log.open("wb") as output:
            access = ["--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256"]
            initdb = [str(programs / "initdb"), f"--pgdata={data}", "--no-sync", "--locale=C", "--encoding=UTF8"]
            assert account.spawn([*initdb, *access], output=output).wait(120) == 0, log.read_text()
            arguments = [str(programs / "postgres"), "-D", str(data), "-k", str(run), "-p", str(port)]
            server = account.spawn([*arguments, "-c", "listen_addresses=127.0.0.1"], output=output)
        try:
            own = OwnServer(programs, run, port)
            deadline = time.monotonic() + 60
            while own.psql("-d", "postgres", "-c", "select 1").returncode != 0:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield own
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
