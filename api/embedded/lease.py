"""How a process takes part in the embedded server."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from api.embedded.cluster import DATABASE, OWNER, SERVICE
from api.embedded.errors import EmbeddedError, from_os_error
from api.embedded.layout import Layout, tools

START_SECONDS = 120.0
"""How long a start may take. Recovery after a crash replays at most a gigabyte of log."""

_STOP_SECONDS = 90.0
_RETRY_SECONDS = 0.02


@dataclass(frozen=True)
class Urls:
    """Where the database is, for each of the roles."""

    run: Path

    def of(self, role: str, database: str = DATABASE) -> str:
        """The URL of ``database`` for ``role``, over the socket."""
        return f"postgresql://{role}@/{quote(database)}?host={quote(str(self.run))}"


class Lease:
    """The right to use the server until `close`, or until this process ends in whatever way.

    Should the keeper itself be killed, the lease is taken anew in the background, and the server is back on the same
    socket: a pool that opens a new connection then finds it.
    """

    def __init__(self, data: Path, connection: socket.socket, run: Path) -> None:
        self._data = data
        self._connection = connection
        self._urls = Urls(run)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name="fathomline-lease", daemon=True)
        self._watcher.start()

    @property
    def url_service(self) -> str:
        """URL for the role of the service, confined by row-level security."""
        return self._urls.of(SERVICE)

    @property
    def url_owner(self) -> str:
        """URL for the role that owns the tables."""
        return self._urls.of(OWNER)

    def url(self, role: str, database: str = DATABASE) -> str:
        """URL for any role and database of this server."""
        return self._urls.of(role, database)

    @property
    def tools(self) -> Path:
        """The folder of `psql`, `pg_dump`, `pg_basebackup` and the others."""
        return tools()

    def close(self) -> None:
        """Give the lease back. Returns when the server has stopped, if this was the last lease; may be called twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        with self._lock, suppress(OSError):
            self._connection.sendall(b"release\n")
        self._watcher.join(_STOP_SECONDS)
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _watch(self) -> None:
        """Read until the keeper closes the connection; if that was not asked for, take the lease anew."""
        while True:
            with suppress(OSError):
                while self._connection.recv(4096):
                    pass
            while not self._closing.is_set():
                with suppress(EmbeddedError):
                    connection, _ = _connect(self._data)
                    with self._lock:
                        self._connection.close()
                        self._connection = connection
                        if self._closing.is_set():
                            connection.sendall(b"release\n")
                    break
                self._closing.wait(1.0)
            else:
                return


def acquire(data: Path) -> Lease:
    """Start the embedded server under ``data``, or find it running, and take part in it. Blocks until it is ready.

    Raises
    ------
    EmbeddedError
        It cannot be had; the message says why, and what to do.
    """
    return Lease(data, *_connect(data))


def _connect(data: Path) -> tuple[socket.socket, Path]:
    layout = Layout.of(data)
    layout.prepare(mode=0o711 if os.geteuid() == 0 else 0o700)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        connection = _knock(layout)
        if connection is None:
            connection = _start(layout)
        if connection is None:
            continue
        answer = _listen(connection, deadline)
        if answer.get("status") == "ready":
            connection.settimeout(None)
            return connection, Path(answer["run"])
        connection.close()
        _raise_failed(answer)
        time.sleep(_RETRY_SECONDS)  # that keeper was about to end
    raise EmbeddedError(
        "timeout", f"the database under {layout.root} was not ready within {START_SECONDS:.0f} s; see {layout.log}"
    )


def _knock(layout: Layout) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(layout.keeper_socket))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise from_os_error(error, "reach the database's keeper") from error
    return connection


def _start(layout: Layout) -> socket.socket | None:
    """Start a keeper, unless another process has just done so; connected, or None to try again."""
    try:
        lock = os.open(layout.start_lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise from_os_error(error, "use the data folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (connection := _knock(layout)) is not None:
            return connection
        package = Path(__file__).parents[2]
        verdict = subprocess.run(  # noqa: S603  - our own module in our own interpreter
            [sys.executable, "-m", "api.embedded.keeper", str(layout.root.parent)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            env={"PATH": os.defpath, "PYTHONPATH": str(package), "LC_ALL": "C.UTF-8"},
            start_new_session=True,
            check=False,
        )
        if not verdict.stdout:
            last = verdict.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
            raise EmbeddedError("failed", f"the database's keeper did not start: {last[0]}; see {layout.log}")
        _raise_failed(json.loads(verdict.stdout))
        return _knock(layout)
    finally:
        os.close(lock)


def _listen(connection: socket.socket, deadline: float) -> dict[str, str]:
    """What the keeper says first; nothing if it ends without a word."""
    heard = b""
    try:
        while not heard.endswith(b"\n"):
            connection.settimeout(max(0.1, deadline - time.monotonic()))
            more = connection.recv(4096)
            if not more:
                return {}
            heard += more
    except OSError:
        return {}
    answer: dict[str, str] = json.loads(heard)
    return answer


def _raise_failed(answer: dict[str, str]) -> None:
    if answer.get("status") == "failed":
        raise EmbeddedError(answer["kind"], answer["message"])  # type: ignore[arg-type]  # the keeper sends a Kind
