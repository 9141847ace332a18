"""Rows of one organisation as they are handed out: opened, in a fixed order, each a dictionary for JSON.

Over a connection of psycopg, with a cursor on the server: a table is never in memory whole.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import psycopg

from api.db import CONNECT_TIMEOUT, ORGANISATION_SETTING, driver_url
from api.exports.columns import Plan, owner_of, plan_of
from api.ids import new_id
from api.security import crypto
from api.tables import of_client

Connection = psycopg.Connection[tuple[Any, ...]]
BATCH: Final = 2_000
"""Rows fetched at once."""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection of its own: not of the service's pools, and without their limit on the time of a statement."""
    plain = driver_url(url, "psycopg").set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(
        plain,
        connect_timeout=round(CONNECT_TIMEOUT),
        options="-c application_name=fathomline-export -c timezone=UTC -c statement_timeout=0 -c jit=off",
        autocommit=True,
    ) as connection:
        yield connection


@contextmanager
def within(connection: Connection, organisation_id: uuid.UUID, *, read_only: bool) -> Iterator[None]:
    """A transaction in one organisation; one that only reads sees everything as it was at one moment."""
    with connection.transaction():
        if read_only:
            connection.execute("set transaction isolation level repeatable read read only")
        connection.execute("select set_config(%s, %s, true)", (ORGANISATION_SETTING, str(organisation_id)))
        yield


def tell(connection: Connection, organisation_id: uuid.UUID, action: str) -> None:
    """Keep in the trail what was done on the command line, where there is no token to say by whom."""
    with connection.transaction():
        connection.execute("select set_config(%s, %s, true)", (ORGANISATION_SETTING, str(organisation_id)))
        connection.execute(
            "insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id,"
            " request_id, outcome) values (%s, %s, %s, 'fathomline', 'operator', %s, 'organisation', %s, '', 'done')",
            (organisation_id, new_id(), datetime.now(UTC), action, organisation_id),
        )


@dataclass(frozen=True)
class Reader:
    """Reads rows of one organisation; ``only`` restricts them to one client."""

    connection: Connection
    keys: crypto.Keys
    organisation_id: uuid.UUID
    only: uuid.UUID | None = None

    def rows(self, table: str, *, further: str = "true", **values: Any) -> Iterator[dict[str, Any]]:
        """The rows of a table that are the organisation's, or the client's.

        Parameters
        ----------
        further
            SQL of what else has to hold of ``row_``, with ``values`` for its placeholders.

        Raises
        ------
        Unreadable
            A text was sealed under another master key, or altered.
        """
        plan = plan_of(table)
        condition, given = "row_.organisation_id = %(organisation)s", {"organisation": self.organisation_id} | values
        if self.only is not None:
            condition = of_client(table, organisation="%(organisation)s", client="%(client)s", alias="row_")
            given["client"] = self.only
        selected = [form.select.format(f"row_.{name}") for name, form in plan.columns]
        joined = ""
        if plan.sealed:
            selected += [f"row_.{name}" for name, _ in plan.sealed] + ["key_.id", "key_.key_wrapped"]
            owner = owner_of(table) if self.only is None else "%(client)s"  # found anew for each row it would cost all
            joined = f"left join client key_ on key_.organisation_id = row_.organisation_id and key_.id = {owner}"
        query = (
            f"select {', '.join(selected)} from {table} row_ {joined} "  # noqa: S608  - names of tables and columns
            f"where {condition} and {further} order by {plan.order}"
        )
        with self.connection.cursor(name=f"export_{table}") as cursor:
            cursor.itersize = BATCH
            cursor.execute(query, given)
            for row in cursor:
                yield self._written(plan, row)

    def lines(self, table: str, *, further: str = "true") -> Iterator[bytes]:
        """The same as lines of NDJSON: one text for one content."""
        for row in self.rows(table, further=further):
            yield orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)

    def _written(self, plan: Plan, row: tuple[Any, ...]) -> dict[str, Any]:
        written = {
            name: None if value is None else form.write(value)
            for (name, form), value in zip(plan.columns, row, strict=False)
        }
        if plan.sealed:
            plain = {name: value for (name, _), value in zip(plan.columns, row, strict=False)}
            sealed, (client_id, wrapped) = row[len(plan.columns) : -2], row[-2:]
            for (_, how), value in zip(plan.sealed, sealed, strict=True):
                written[how.opened] = None
                if value is not None:
                    whose = {"organisation_id": self.organisation_id, "client_id": client_id}
                    key = crypto.unwrap_client_key(self.keys, bytes(wrapped), **whose)
                    written[how.opened] = how.open(key, bytes(value), **whose, row=plain)
        return written
