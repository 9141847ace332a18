"""From settings to a database that may be served from: reached, migrated if it is ours, and checked."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import asyncpg

import api.tables  # noqa: F401  - a flush needs the metadata whole: foreign keys name tables of other features
from api import embedded, migrate
from api.db import CONNECT_TIMEOUT, Database, confine, driver_url, open_database
from api.organisations.repository import ensure_organisation, find_organisation
from api.rotation.resealing import counts
from api.security import crypto
from api.settings import Settings, SettingsError

LEAST_VERSION = 15
DEVELOPMENT_ORGANISATION = "demo"


class StartupError(Exception):
    """The database must not be served from; the message is one line and says what to do."""


def derived_keys(settings: Settings) -> crypto.Keys:
    """The keys that the master key of the settings gives, with those of the previous one if that is set too.

    Raises
    ------
    SettingsError
        There is none, or one cannot be used.
    """
    previous = settings.previous_master_key()
    try:
        return crypto.derive(
            crypto.parse_master_key(settings.require_master_key().get_secret_value()),
            None if previous is None else crypto.parse_master_key(previous.get_secret_value()),
        )
    except crypto.MasterKeyInvalid as error:
        raise SettingsError(str(error)) from None


@asynccontextmanager
async def service_database(settings: Settings, keys: crypto.Keys) -> AsyncIterator[Database]:
    """The service's database: of ``DATABASE_URL``, or the embedded one, brought to the newest revision first.

    The organisations of the configured issuers are made where they are missing.

    Raises
    ------
    StartupError
        The server cannot be reached, is too old or not durable, its role has too many rights, the schema is not the
        one this release works with, or the master key is not the one that the clients in it were sealed under.
    EmbeddedError
        The embedded server cannot be had.
    """
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_url(settings))
        with _connecting():
            database = await stack.enter_async_context(open_database(url, settings))
        async with database.pool.acquire() as connection:
            await check(connection)
            slugs = [issuer.organisation for issuer in settings.issuers]
            if settings.sign_in is not None:
                theirs = {*settings.sign_in.organisations.values(), settings.sign_in.organisation} - {None}
                slugs += sorted(slug for slug in theirs if slug is not None and slug not in slugs)
            known = [await ensure_organisation(connection, slug, slug) for slug in slugs]
            if settings.development_issuer:
                found = await find_organisation(connection, DEVELOPMENT_ORGANISATION)
                known += [] if found is None else [found]
            for organisation_id in known:
                await check_master_key(connection, organisation_id, keys)
        yield database


@asynccontextmanager
async def checked_url(settings: Settings) -> AsyncIterator[str]:
    """The URL of the same database for the role of the service, once checked, for who brings connections of his own.

    Raises as `service_database`, but for the master key, which is not asked for.
    """
    async with _url(settings) as url:
        with _connecting():
            connection = await asyncpg.connect(
                driver_url(url, "asyncpg").set(drivername="postgresql").render_as_string(hide_password=False),
                timeout=CONNECT_TIMEOUT,
            )
        try:
            await check(connection)
        finally:
            await connection.close()
        yield url


@asynccontextmanager
async def _url(settings: Settings) -> AsyncIterator[str]:
    """Of ``DATABASE_URL``, or of the embedded server, held until the end and brought to the newest revision."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    lease = await asyncio.to_thread(embedded.acquire, settings.data)
    try:
        await asyncio.to_thread(migrate.upgrade, lease.url_owner)
        yield lease.url_service
    finally:
        await asyncio.to_thread(lease.close)


@contextmanager
def _connecting() -> Iterator[None]:
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The driver's own message may quote the URL, and with it the password.
        raise StartupError(f"cannot connect to the database of DATABASE_URL ({type(error).__name__})") from None


async def check(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Raise `StartupError` unless this connection's server, role and schema are fit to serve from."""
    major = connection.get_server_version().major
    if major < LEAST_VERSION:
        raise StartupError(f"the server is PostgreSQL {major}; {LEAST_VERSION} or later is needed")
    found = await connection.fetchrow(_CHECK)
    role = found["role"]
    if found["above_policies"]:
        raise StartupError(
            f"role {role} is, or can become, a superuser or one that bypasses row-level security: "
            "connect as a role that is neither"
        )
    if found["owns"] is not None:
        raise StartupError(f"role {role} owns table {found['owns']}: connect as a role that owns nothing")
    for setting in ("fsync", "synchronous_commit"):
        if found[setting] == "off":
            raise StartupError(f"the server runs with {setting}=off and would lose acknowledged answers: turn it on")
    if not found["migrated"]:
        raise StartupError("the database has no schema yet: run `fathomline migrate` with DATABASE_OWNER_URL set")
    revision = await connection.fetchval("select version_num from alembic_version")
    if revision != migrate.head():
        raise StartupError(
            f"the database is at revision {revision} and this release works with {migrate.head()}: "
            "run `fathomline migrate` of this release, or start the release that belongs to the database"
        )
    if found["unconfined"] is not None:
        raise StartupError(f"row-level security is not enabled and forced on table {found['unconfined']}: restore it")


async def check_master_key(
    connection: asyncpg.Connection[asyncpg.Record], organisation_id: uuid.UUID, keys: crypto.Keys
) -> None:
    """Raise `StartupError` unless everything of the organisation lies under ``keys``, present or previous.

    With other keys no identifier could be read, and, worse, none would be found: every client would be made anew.
    """
    found = [number for columns in (await counts(connection, keys, organisation_id)).values() for number in columns]
    if "unknown" in found:
        if {"present", "previous", "unnamed"} & set(found):
            raise StartupError(
                "a part of this database lies under a master key that was not given: set that one as "
                "FATHOMLINE_MASTER_KEY_PREVIOUS until `fathomline keys rotate` has moved everything"
            )
        raise StartupError(_ANOTHER_KEY)
    async with connection.transaction():
        await confine(connection, organisation_id)
        first = await connection.fetchrow(
            "select id, key_wrapped from client where organisation_id = $1 order by id limit 1", organisation_id
        )
    if first is None:
        return
    try:
        crypto.unwrap_client_key(keys, first["key_wrapped"], organisation_id=organisation_id, client_id=first["id"])
    except crypto.Unreadable:
        raise StartupError(_ANOTHER_KEY) from None


_ANOTHER_KEY = "the master key is not the one that this database's clients were sealed under: set that one"
_OUR_TABLES = """
  pg_class c where c.relkind in ('r', 'p') and c.relnamespace = to_regnamespace('public')
"""
_CHECK = f"""
select current_user as role,
       exists (select from pg_roles r where (r.rolsuper or r.rolbypassrls)
               and pg_has_role(current_user, r.oid, 'member')) as above_policies,
       (select c.relname from {_OUR_TABLES} and pg_has_role(current_user, c.relowner, 'member') limit 1) as owns,
       (select c.relname from {_OUR_TABLES} and c.relname <> 'alembic_version'
               and not (c.relrowsecurity and c.relforcerowsecurity) limit 1) as unconfined,
       current_setting('fsync') as fsync,
       current_setting('synchronous_commit') as synchronous_commit,
       to_regclass('alembic_version') is not null as migrated
"""  # noqa: S608  - nothing but the constant above
