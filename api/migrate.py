"""The schema brought to the newest revision, by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from api.db import driver_url

_LOCK = 0x46_41_54_48  # "FATH": the advisory lock of migrations
SCRIPTS = Path(__file__).parent.parent / "migrations"


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our scripts; commands use ``connection`` if given."""
    made = Config()
    made.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


@cache
def head() -> str:
    """The newest revision among the scripts."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    if revision is None:
        raise RuntimeError(f"no migrations in {SCRIPTS}")
    return revision


@cache
def revisions() -> frozenset[str]:
    """All revisions that the scripts know."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(config()).walk_revisions())


@contextmanager
def migrating(owner_url: str) -> Iterator[Connection]:
    """A connection of the owner role while no other process migrates this database; others wait here."""
    engine = create_engine(driver_url(owner_url, "psycopg"), poolclass=NullPool, hide_parameters=True)
    try:
        with engine.connect() as connection:
            # Of the session, not of a transaction: migrations commit in between. It ends with the connection.
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
            connection.commit()
            yield connection
    finally:
        engine.dispose()


def current(connection: Connection) -> str | None:
    """The revision of the database; None if it has none yet."""
    with connection.begin():
        if connection.scalar(text("select to_regclass('alembic_version')")) is None:
            return None
        revision: str | None = connection.scalar(text("select version_num from alembic_version"))
        return revision


def upgrade(owner_url: str, revision: str = "head") -> str | None:
    """Bring the database to ``revision``; what it was before, or None for an empty one."""
    with migrating(owner_url) as connection:
        before = current(connection)
        if before is None or before != (head() if revision == "head" else revision):
            command.upgrade(config(connection), revision)
            connection.commit()
        return before


def downgrade(owner_url: str, revision: str) -> str | None:
    """Bring the database back to ``revision`` (``base``: to nothing); what it was before.

    Rows of dropped tables and columns are lost.
    """
    with migrating(owner_url) as connection:
        before = current(connection)
        command.downgrade(config(connection), revision)
        connection.commit()
        return before
