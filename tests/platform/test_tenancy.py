"""Row-level security: what the service's role can reach, and that no table was forgotten."""

from __future__ import annotations

import uuid

import asyncpg
import pytest
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

import api.tables  # noqa: F401  - fills the metadata
from api.clients.tables import ClientRow
from api.corrections.repository import void
from api.db import Database
from api.ids import new_id
from api.responses.recording import AlertToRecord, record
from tests.conftest import Tenant, Urls
from tests.factories import (
    NOON,
    make_alert_rows,
    make_audit_rows,
    make_care_rows,
    make_client,
    make_correction,
    make_episode,
    make_erasure,
    make_import,
    make_kept_rows,
    make_own_rows,
    make_page_session,
    make_protocol_rows,
    make_recording,
    make_reference,
    make_rescoring,
    make_webhook,
    make_wording,
)

EXEMPT = {"alembic_version"}
"""Holds the schema's revision and nothing of anybody."""

APPEND_ONLY = (
    "response",
    "score",
    "superseded",
    "research_consent",
    "erasure",
    "erasure_certificate",
    "erasure_backup",
    "rescored",
    "rescoring_effect",
    "alert_acknowledgement",
    "audit_event",
    "audit_seal",
    "audit_head",
    "audit_client",
    "wording_pack",
    "own_instrument",
    "own_instrument_retirement",
    "couple",
    "couple_consent",
    "goal_rating",
    "assignment_completion",
    "protocol_version",
    "reference_use",
)

FAULTS = """
with ours as (
  select c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity
  from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = to_regnamespace('public')
)
select relname, 'row-level security is not enabled' from ours where not relrowsecurity
union all
select relname, 'row-level security is not forced' from ours where not relforcerowsecurity
union all
select relname, 'no policy confines both reading and writing to the organisation' from ours
where not exists (
  select from pg_policy p where p.polrelid = ours.oid and p.polcmd = '*' and p.polroles = '{0}'
  and pg_get_expr(p.polqual, p.polrelid) like '(organisation_id = %fathomline.organisation_id%'
  and pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid))
union all
select relname, 'the primary key does not begin with organisation_id' from ours
where not exists (
  select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
  where i.indrelid = ours.oid and i.indisprimary and a.attname = 'organisation_id')
union all
select relname, 'a further index begins with organisation_id: ' || i.indexrelid::regclass
from ours join pg_index i on i.indrelid = ours.oid and not i.indisprimary and i.indpred is null
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] and a.attname = 'organisation_id'
"""


async def faults(connection: asyncpg.Connection) -> set[tuple[str, str]]:
    """What is wrong with which table."""
    return {(row[0], row[1]) for row in await connection.fetch(FAULTS) if row[0] not in EXEMPT}


async def test_every_table_is_confined_to_one_organisation(superuser: asyncpg.Connection) -> None:
    tables = await superuser.fetch("select tablename from pg_tables where schemaname = 'public'")
    assert {row[0] for row in tables} == set(SQLModel.metadata.tables) | EXEMPT
    assert await faults(superuser) == set()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("alter table client disable row level security", "is not enabled"),
        ("alter table client no force row level security", "is not forced"),
        ("drop policy tenant on client", "no policy"),
        ("alter policy tenant on client using (true)", "no policy"),
        ("alter policy tenant on client with check (true)", "no policy"),
        ("alter policy tenant on client to fathomline_owner", "no policy"),
        ("create index careless on client (organisation_id, birth_year)", "begins with organisation_id: careless"),
    ],
)
async def test_the_walk_finds_a_table_that_is_not(superuser: asyncpg.Connection, change: str, fault: str) -> None:
    transaction = superuser.transaction()
    await transaction.start()
    try:
        await superuser.execute(change)
        found = await faults(superuser)
    finally:
        await transaction.rollback()
    assert [(name, fault in words) for name, words in found] == [("client", True)]


async def test_the_walk_finds_a_new_table_without_any_of_it(superuser: asyncpg.Connection) -> None:
    transaction = superuser.transaction()
    await transaction.start()
    try:
        await superuser.execute("create table forgotten (id uuid primary key, organisation_id uuid)")
        found = await faults(superuser)
    finally:
        await transaction.rollback()
    assert {name for name, _ in found} == {"forgotten"}
    assert len(found) == 4


async def fill(opened: Database, service: asyncpg.Connection, tenant: Tenant) -> uuid.UUID:
    """One row of the tenant in every table; the client's id."""
    client_id = await make_client(service, tenant.id)
    alert = AlertToRecord(new_id(), "rule", "1", "high")
    recording = make_recording(tenant.id, client_id, alerts=(alert,))
    await record(opened.pool, recording)
    await make_alert_rows(service, tenant.id, alert.id)
    assert (await void(opened.pool, make_correction(recording))).outcome == "created"
    await make_wording(service, tenant.id)
    await make_own_rows(service, tenant.id)
    await make_webhook(service, tenant.id)
    await make_import(service, tenant.id)
    episode_id = await make_episode(service, tenant.id, client_id)
    await make_protocol_rows(service, tenant.id, client_id, episode_id)
    await make_audit_rows(service, tenant.id, client_id)
    await make_care_rows(service, tenant.id, client_id)
    await make_rescoring(service, tenant.id)
    await make_reference(service, tenant.id)
    await make_kept_rows(service, tenant.id, client_id)
    await make_page_session(service, tenant.id)
    await make_erasure(service, tenant.id)
    return client_id


async def confine(connection: asyncpg.Connection, tenant: Tenant) -> None:
    """Put the open transaction into the organisation."""
    await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))


async def execute_within(connection: asyncpg.Connection, tenant: Tenant, statement: str, *values: object) -> None:
    """One statement in a transaction of the organisation."""
    async with connection.transaction():
        await confine(connection, tenant)
        await connection.execute(statement, *values)


TABLES = sorted(SQLModel.metadata.tables)


async def test_the_service_sees_one_organisation_in_every_table(
    opened: Database, service: asyncpg.Connection, tenant: Tenant, other_tenant: Tenant
) -> None:
    for one in (tenant, other_tenant):
        await fill(opened, service, one)
    seen = {table: f"select distinct organisation_id from {table}" for table in TABLES}  # noqa: S608  - our own names
    found = {table: await service.fetch(query) for table, query in seen.items()}
    assert {table: rows for table, rows in found.items() if rows} == {}, "without an organisation nothing is seen"
    async with service.transaction():
        await confine(service, tenant)
        within = {table: [row[0] for row in await service.fetch(query)] for table, query in seen.items()}
    assert {table: rows for table, rows in within.items() if rows != [tenant.id]} == {}


async def test_even_the_owner_of_the_tables_is_confined(
    opened: Database, service: asyncpg.Connection, owner: asyncpg.Connection, tenant: Tenant
) -> None:
    await fill(opened, service, tenant)
    counts = {table: await owner.fetchval(f"select count(*) from {table}") for table in TABLES}  # noqa: S608  - our own
    assert {table: count for table, count in counts.items() if count} == {}


async def test_the_service_cannot_write_into_another_organisation(
    opened: Database, service: asyncpg.Connection, tenant: Tenant, other_tenant: Tenant
) -> None:
    theirs = await fill(opened, service, other_tenant)
    async with service.transaction():
        await confine(service, tenant)
        assert await service.execute("update client set gender = 'x' where id = $1", theirs) == "UPDATE 0"
    for values in (
        f"'{other_tenant.id}', '{new_id()}', 'key', now(), now()",
        f"null, '{new_id()}', 'key', now(), now()",
    ):
        insert = f"insert into client (organisation_id, id, key_wrapped, created_at, updated_at) values ({values})"  # noqa: S608  - made here
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute_within(service, tenant, insert)


async def test_a_row_cannot_be_moved_to_another_organisation(
    service: asyncpg.Connection, tenant: Tenant, other_tenant: Tenant
) -> None:
    client_id = await make_client(service, tenant.id)
    move = "update client set organisation_id = $1 where id = $2"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute_within(service, tenant, move, other_tenant.id, client_id)


async def test_a_reference_cannot_cross_organisations(
    superuser: asyncpg.Connection, service: asyncpg.Connection, tenant: Tenant, other_tenant: Tenant
) -> None:
    theirs = await make_client(service, other_tenant.id)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await superuser.execute(
            "insert into response select $1, $2, $3, 'i', 1, 'c', 'v', '{}', null, $4, $4, 's', '{}', true",
            tenant.id,
            new_id(),
            theirs,
            NOON,
        )


class Undone(Exception):
    """Takes back what should never have been possible, so that one fault is one fault."""


@pytest.mark.parametrize("role", ["service", "owner", "superuser"])
@pytest.mark.parametrize(
    "change", ["update {} set organisation_id = organisation_id", "delete from {}", "truncate {} cascade"]
)
async def test_what_was_recorded_is_changed_by_nobody(database: Urls, role: str, change: str) -> None:
    refused = "denied" if role == "service" else "append-only"
    told = {}
    connection: asyncpg.Connection = await asyncpg.connect(getattr(database, role))
    try:
        for table in APPEND_ONLY:
            told[table] = "done"
            try:
                async with connection.transaction():
                    await connection.execute(change.format(table))
                    raise Undone
            except asyncpg.InsufficientPrivilegeError as error:
                told[table] = str(error)
            except Undone:
                continue
    finally:
        await connection.close()
    assert {table: said for table, said in told.items() if refused not in said} == {}


@pytest.mark.parametrize(
    "statement",
    [
        "alter table client disable row level security",
        "alter table client no force row level security",
        "drop policy tenant on client",
        "create policy mine on client using (true)",
        "alter table response disable trigger append_only",
        "drop trigger append_only on score",
        "set role fathomline_owner",
        "set role postgres",
        "set session_replication_role = replica",
        "alter role fathomline_service bypassrls",
        "create table mine (id integer)",
        "create or replace function record_response() returns void language sql as ''",
        "delete from client",
        "update outbox set topic = 'x'",
        "update alert set rule = 'x'",
        "update alert set status = 'acknowledged'",
        "delete from alert",
        "insert into alert_acknowledgement "
        "values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 'x')",
        "update alert_rule set condition = '{}'",
        "delete from alert_rule",
        "update idempotency_key set response_id = null",
        "update organisation_key set created_at = now()",
        "delete from organisation_key",
        "insert into erasure values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 'x', 'x')",
        "alter table client disable trigger not_erased",
        "create or replace function refuse_change() returns trigger language plpgsql as 'begin return null; end'",
    ],
)
async def test_the_service_cannot_free_itself(service: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute(statement)


async def test_row_security_off_fails_rather_than_shows(service: asyncpg.Connection) -> None:
    await service.execute("set row_security = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.fetch("select * from client")


async def test_a_session_is_confined_again_after_a_commit(
    session: AsyncSession, service: asyncpg.Connection, tenant: Tenant, other_tenant: Tenant
) -> None:
    mine = await make_client(service, tenant.id)
    await make_client(service, other_tenant.id)
    for _ in range(2):
        assert [row.id for row in (await session.exec(select(ClientRow))).all()] == [mine]
        await session.commit()


async def test_a_session_without_an_organisation_is_refused(opened: Database) -> None:
    async with opened.sessions() as session:
        with pytest.raises(RuntimeError, match="before its organisation was known"):
            await session.exec(select(ClientRow))


async def test_an_error_in_the_engine_shows_no_parameters(opened: Database, tenant: Tenant) -> None:
    row = ClientRow(organisation_id=tenant.id, id=new_id(), key_wrapped=b"k", created_at=NOON, updated_at=NOON)
    row.gender, row.birth_year = "a secret", 9999
    with pytest.raises(Exception, match="birth_year") as caught:
        async with opened.session(tenant.id) as session:
            session.add(row)
    assert "parameters hidden" in str(caught.value)
