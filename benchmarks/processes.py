"""The processes of an embedded server, for who wants to kill them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from api.embedded.layout import Layout


def keepers(data: Path) -> list[int]:
    """Process ids of the keepers of ``data``."""
    wanted = [b"-m", b"api.embedded.keeper", os.fsencode(data.resolve())]
    return [pid for pid, command in _commands() if command[1:4] == wanted]


def servers(data: Path) -> list[int]:
    """Process ids of all of PostgreSQL's processes that work in the cluster of ``data``."""
    found = []
    for pid, _ in _commands():
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink() == Layout.of(data).cluster:
                found.append(pid)
    return found


def postmaster(data: Path) -> int:
    """The process id of the running server."""
    return int((Layout.of(data).cluster / "postmaster.pid").read_text().splitlines()[0])


def _commands() -> Iterator[tuple[int, list[bytes]]]:
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if command := (entry / "cmdline").read_bytes():
                yield int(entry.name), command.split(b"\0")


def kill(*pids: int) -> None:
    """kill -9."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
