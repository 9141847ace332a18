"""The database as the service sees it: names of constraints, engine, tenant sessions, the pool of the hot path."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import asyncpg
from fastapi import Depends, Request
from sqlalchemy import ColumnElement, Connection, Text, cast, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import SessionTransaction
from sqlalchemy.types import UserDefinedType
from sqlmodel import Session, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from api.inline import inline
from api.settings import Settings

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

RawConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""A connection of the driver, or one that was taken from its pool."""

ORGANISATION_SETTING = "fathomline.organisation_id"
ORGANISATION_SLUG_SETTING = "fathomline.organisation_slug"
"""Settings that the row-level policies read; always set for one transaction only."""


async def confine(connection: RawConnection, organisation_id: uuid.UUID) -> None:
    """Let the transaction of a connection see one organisation, and none of the others."""
    await connection.execute("select set_config($1, $2, true)", ORGANISATION_SETTING, str(organisation_id))


async def organisation_ids(connection: RawConnection) -> list[uuid.UUID]:
    """The ids of all organisations: all that anybody learns beyond the one that they work for."""
    return [row[0] for row in await connection.fetch("select * from organisation_ids()")]


class JSONText(UserDefinedType[str]):
    """PostgreSQL ``json`` taken and given as text: it comes back byte for byte as it went in, unlike ``jsonb``."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[str]:
        """Ask for the text: the driver would give the value that it stands for."""
        return cast(column, Text)


class TenantSession(Session):
    """A session whose every transaction is confined to one organisation.

    ``info["organisation_id"]`` is read when a transaction begins, so a request's session may be made before its token
    has been checked. Without it the transaction is refused: row-level security would hide every row, which looks like
    an empty database rather than like the mistake it is.
    """


@event.listens_for(TenantSession, "after_begin")
def _confine(session: Session, _: SessionTransaction, connection: Connection) -> None:
    organisation_id = session.info.get("organisation_id")
    if organisation_id is None and (request := session.info.get("request")) is not None:
        organisation_id = getattr(request.state, "organisation_id", None)
    if organisation_id is None:
        raise RuntimeError("a session was used before its organisation was known: does the route require a scope?")
    connection.execute(
        text("select set_config(:setting, :organisation_id, true)"),
        {"setting": ORGANISATION_SETTING, "organisation_id": str(organisation_id)},
    )


CONNECT_TIMEOUT = 10.0
"""Seconds in which the server has to take a new connection."""
SILENCE = 5.0
"""Seconds that the server may be silent for after its own limit on a statement has passed."""


@dataclass(frozen=True)
class Database:
    """What a running service holds of its database."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    pool: asyncpg.Pool[asyncpg.Record]
    """Raw connections for the hot path; the called function sets the organisation itself."""

    @asynccontextmanager
    async def session(self, organisation_id: uuid.UUID) -> AsyncIterator[AsyncSession]:
        """One transaction within one organisation: commits at the end, rolls back on an error."""
        async with self.sessions(info={"organisation_id": organisation_id}) as session, session.begin():
            yield session


def driver_url(url: str, driver: str) -> URL:
    """``postgresql://…`` (or ``postgres://…``) for SQLAlchemy, with the driver named."""
    parsed = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    return parsed.set(drivername=f"postgresql+{driver}")


def create_engine(url: str, settings: Settings, **options: Any) -> AsyncEngine:
    """The engine for ordinary requests. ``options`` go to SQLAlchemy and win."""
    chosen: dict[str, Any] = {
        "pool_size": settings.pool_size,
        "max_overflow": 0,
        "pool_pre_ping": True,  # a restarted server costs one round trip, not a failed request
        "hide_parameters": True,  # parameters are health data: never in a log or a traceback
        "connect_args": {"async_creator_fn": _connect, **_connection_options(settings)},
    }
    if "poolclass" in options:
        del chosen["pool_size"], chosen["max_overflow"]
    return create_async_engine(driver_url(url, "asyncpg"), **(chosen | options))


async def create_pool(url: str, settings: Settings) -> asyncpg.Pool[asyncpg.Record]:
    """The pool of the hot path: a statement is prepared once a connection, and every later call only runs it."""
    dsn = driver_url(url, "asyncpg").set(drivername="postgresql").render_as_string(hide_password=False)
    pool = await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=settings.write_pool_size,
        max_inactive_connection_lifetime=0,
        max_queries=0x7FFF_FFFF,  # a connection is not replaced for its age: each new one prepares its statements anew
        reset=_nothing_to_reset,
        connect=_connect,
        **_connection_options(settings),
    )
    assert pool is not None  # noqa: S101  - only `None` for a pool made inside another event loop's `async with`
    return pool


async def _connect(*arguments: Any, **options: Any) -> asyncpg.Connection[asyncpg.Record]:
    """Connect; a server that has taken its socket away with it is refused like one that does not listen."""
    try:
        return await asyncpg.connect(*arguments, **options)
    except FileNotFoundError:
        raise ConnectionRefusedError("the server's socket is not there") from None


async def _nothing_to_reset(_: object) -> None:
    """What the driver does by default (`RESET ALL` and more) is a round trip to the server after every use.

    Whoever takes a connection of this pool changes no session state: settings are made for one transaction, and a
    transaction that is left open is rolled back by the driver in any case.
    """


def _connection_options(settings: Settings) -> dict[str, Any]:
    """What each connection is opened with. A server that answers no more keeps no time, so the driver does too."""
    return {
        "timeout": CONNECT_TIMEOUT,
        "command_timeout": settings.statement_timeout + SILENCE,
        "server_settings": _server_settings(settings),
    }


def _server_settings(settings: Settings) -> dict[str, str]:
    milliseconds = str(int(settings.statement_timeout * 1000))
    return {
        "application_name": "fathomline",
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "jit": "off",  # every statement here is short; compiling one costs more than running it
        "timezone": "UTC",
    }


@asynccontextmanager
async def open_database(url: str, settings: Settings) -> AsyncIterator[Database]:
    """Engine and pool on ``url`` (the service role), closed at the end. Role and schema: see `api.startup`."""
    engine = create_engine(url, settings)
    try:
        pool = await create_pool(url, settings)
        try:
            sessions = async_sessionmaker(
                engine, class_=AsyncSession, sync_session_class=TenantSession, expire_on_commit=False
            )
            yield Database(engine, sessions, pool)
        finally:
            await pool.close()
    finally:
        await engine.dispose()


def get_database(request: Request) -> Database:
    """The database of the application that serves this request (`app.state.database`)."""
    database: Database = request.app.state.database
    return database


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction a request, within ``request.state.organisation_id``, which the token's check sets."""
    async with get_database(request).sessions(info={"request": request}) as session, session.begin():
        yield session


DatabaseDep = Annotated[Database, Depends(inline(get_database))]

SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
"""``scope="function"`` commits before the response goes out; the default would commit after it, and lose the answer
that a client has already been told is kept when that commit fails."""
