"""What the tests of the embedded server share: users in processes of their own, and a look at what runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from api.embedded import Lease, acquire
from benchmarks.processes import keepers, kill, postmaster, servers

__all__ = [
    "ROOT",
    "acknowledged",
    "keepers",
    "kill",
    "leave",
    "nothing_left",
    "postmaster",
    "rest",
    "rows",
    "servers",
    "stored",
    "user",
    "wait_until",
]

ROOT = Path(__file__).parents[2]


@contextmanager
def user(data: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the server of ``data``; killed at the end if it has not ended."""
    command = [sys.executable, "-m", "tests.platform.user", str(data), *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"SECRET": "hush"}
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def leave(process: subprocess.Popen[str]) -> None:
    """Let a user end in good order."""
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for something that happens soon, or fail with what it was."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


def nothing_left(data: Path) -> None:
    """Fail unless keeper and server of ``data`` end soon."""
    wait_until(lambda: not keepers(data) and not servers(data), "nothing is left running")


async def rows(data: Path) -> list[int]:
    """The numbers that `tests.platform.user` has stored."""
    lease = acquire(data)
    try:
        return await stored(lease)
    finally:
        lease.close()


async def stored(lease: Lease) -> list[int]:
    """The same over a lease one has."""
    connection = await asyncpg.connect(lease.url_owner)
    try:
        return [row[0] for row in await connection.fetch("select n from mark order by n")]
    finally:
        await connection.close()


def acknowledged(process: subprocess.Popen[str], at_least: int) -> list[int]:
    """The rows that a user has been told are kept; waits for some."""
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(at_least)]


def rest(process: subprocess.Popen[str]) -> list[int]:
    """What a killed user had still said. A line cut short by the kill was not told in full."""
    output = process.communicate()[0]
    return [int(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]
