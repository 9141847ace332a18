"""A process that uses the embedded server, for tests that kill it: ``python -m tests.platform.user FOLDER``.

Prints ``ready``, then the number of each row once its commit was acknowledged. ``hold`` as a second argument inserts
nothing; a line on standard input ends it in good order.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncpg

from api.embedded import EmbeddedError, acquire


def say(text: str) -> None:
    """One line, out at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def insert(url: str) -> None:
    """Insert and acknowledge until killed."""
    connection = await asyncpg.connect(url)
    await connection.execute("create table if not exists mark (n bigint generated always as identity)")
    while True:
        say(str(await connection.fetchval("insert into mark default values returning n")))


def main() -> int:
    """Use the server until told or made to end."""
    try:
        lease = acquire(Path(sys.argv[1]))
    except EmbeddedError as error:
        say(f"{error.kind}: {error}")
        return 2
    with lease:
        say("ready")
        if sys.argv[2:] == ["hold"]:
            sys.stdin.readline()
        else:
            asyncio.run(insert(lease.url_owner))
    return 0


if __name__ == "__main__":
    sys.exit(main())
