"""PostgreSQL's own programs, for the schema: `pg_dump` writes it, `pg_restore` and `psql` make it anew.

They are of the wheel, and of a later version than a server of one's own may be, which they can deal with. Where the
database is they read from their environment: a command line can be read by every user of the machine.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from api.backups.errors import BackupError
from api.embedded import tools
from api.embedded.account import ENVIRONMENT

LONGEST: Final = 600.0
"""Seconds; a schema takes one."""

_PARAMETERS: Final = (
    *("host", "hostaddr", "port", "user", "password", "passfile", "options"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey"),
)
_VARIABLES: Final = {name: f"PG{name.upper()}" for name in _PARAMETERS} | {
    "dbname": "PGDATABASE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
_OF_LATER_SERVERS: Final = (b"SET transaction_timeout",)
"""What `pg_restore` begins with whatever the server is, and servers before 17 do not know."""


def environment(url: str) -> dict[str, str]:
    """The environment in which PostgreSQL's programs find a database.

    Raises
    ------
    BackupError
        The URL has a parameter that cannot be given so.
    """
    found = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    if unknown := sorted(found.keys() - _VARIABLES.keys()):
        raise BackupError(
            f"the database's URL has the parameter {unknown[0]!r}, which PostgreSQL's programs are not given"
        )
    return dict(ENVIRONMENT) | {_VARIABLES[name]: value for name, value in found.items()} | {"PGCLIENTENCODING": "UTF8"}


def dump_schema(url: str, snapshot: str, others: Iterable[str]) -> bytes:
    """The schema at a snapshot that another connection holds, in pg_dump's own format. Some hundred kilobytes.

    ``others`` are schemas of somebody else in the same database.
    """
    options = ["--format=custom", "--schema-only", "--no-owner", f"--snapshot={snapshot}"]
    return _run("pg_dump", [*options, *(f'--exclude-schema="{name}"' for name in others)], url, b"")


def schema_script(dump: bytes, section: str) -> bytes:
    """The statements of a section of a dumped schema: ``pre-data`` makes the tables, ``post-data`` what binds them."""
    script = _run("pg_restore", ["--no-owner", f"--section={section}", "--file=-"], None, dump)
    return b"\n".join(line for line in script.split(b"\n") if not line.startswith(_OF_LATER_SERVERS))


def run_script(url: str, script: bytes) -> None:
    """Run a script in one transaction; the first fault ends it."""
    _run("psql", ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file=-"], url, script)


def _run(program: str, arguments: list[str], url: str | None, given: bytes) -> bytes:
    path: Path = tools() / program
    try:
        done = subprocess.run(  # noqa: S603  - programs of the wheel, arguments of our own
            [str(path), *arguments],
            input=given,
            capture_output=True,
            env=dict(ENVIRONMENT) if url is None else environment(url),
            cwd="/",
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BackupError(f"{program} did not end within {LONGEST:.0f} s") from None
    except OSError as error:
        raise BackupError(f"{program} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        raise BackupError(f"{program} failed: {_reason(done.stderr)}")
    return done.stdout


def _reason(output: bytes) -> str:
    """The first line that says what is wrong; further ones may quote statements."""
    lines = [line for line in output.decode(errors="replace").splitlines() if "error" in line.lower()]
    return (lines or ["no reason given"])[0].strip()[:300]
