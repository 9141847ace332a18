"""How Alembic reaches the database and the metadata. Called by `api.migrate`, and by the `alembic` command."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

import api.tables  # noqa: F401  - fills the metadata
from api.db import JSONText, driver_url
from api.settings import Settings

LOCK_TIMEOUT = "5s"
"""A migration that waits longer for a table gives up: everyone behind it in the queue would wait as well."""


def render_item(type_: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Write our own column types as plain ones: a migration must not import what later code may rename."""
    if type_ == "type" and isinstance(item, JSONText):
        return "sa.JSON()"
    return False


def run(connection: Connection) -> None:
    """Run in one transaction: a migration that fails leaves nothing behind."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_item=render_item,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        connection.exec_driver_sql(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("migrations look at the database they change; there is no offline mode")
given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = Settings().database_owner_url
    if url is None:
        raise SystemExit("set DATABASE_OWNER_URL to the role that owns the tables")
    with create_engine(driver_url(url.get_secret_value(), "psycopg"), poolclass=NullPool).connect() as connection:
        run(connection)
