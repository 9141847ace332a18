"""The invented people written into a database, by the same statements as the API's own requests.

Every response goes through the validation, the scoring and the database function of `POST /v1/responses`; only ids and
times are those of the invention. An organisation is written in one transaction: it is there whole, or not at all.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time

import asyncpg
import orjson
from sqlmodel import SQLModel

from api.clients.tables import ClientRow, ResearchConsentRow
from api.db import ORGANISATION_SLUG_SETTING, confine
from api.demo import course
from api.demo.clinic import Clinic, OrganisationPlan
from api.demo.invented import add_invented
from api.demo.people import Form, Person, made_id, people
from api.demo.recording import SUBJECT, as_recorded
from api.demo.references import references
from api.demo.stories import Corrected, correct, corrections
from api.organisations.keys import lookup_key
from api.records.tables import AuditEventRow
from api.responses.recording import record_many
from api.security import crypto
from api.security.principal import ROLES, Principal
from api.startup import StartupError

_LOCK = 0x44_45_4D_4F  # "DEMO": of two that load at once, the second finds everything there


@dataclass(frozen=True, slots=True)
class Loaded:
    """An organisation of the demo: what the invention holds, and whether this call wrote it."""

    slug: str
    people: tuple[Person, ...]
    written: bool

    @property
    def forms(self) -> int:
        """Filled-in forms of all its people."""
        return sum(len(person.forms) for person in self.people)


class DemoError(StartupError):
    """The demo cannot be loaded here; the message is one line."""


async def load(pool: asyncpg.Pool[asyncpg.Record], keys: crypto.Keys, clinic: Clinic) -> list[Loaded]:
    """Write the clinic's organisations where they are not there yet.

    Parameters
    ----------
    pool
        Of the service role: row-level security holds for the demo as for everybody.
    keys
        To seal the external identifiers with.
    clinic

    Raises
    ------
    DemoError
        An organisation of that name is there and has clients, but not these.
    """
    loaded = []
    async with pool.acquire() as connection:
        for plan in clinic.organisations:
            invented = tuple(people(clinic, plan.slug, plan.people))
            async with connection.transaction():
                await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
                written = await _write(connection, keys, clinic, plan, invented)
            loaded.append(Loaded(plan.slug, invented, written))
    return loaded


async def _write(
    connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record],
    keys: crypto.Keys,
    clinic: Clinic,
    plan: OrganisationPlan,
    invented: tuple[Person, ...],
) -> bool:
    organisation_id = await _organisation(connection, clinic, plan)
    if plan.invented:
        await add_invented(connection, clinic, organisation_id)
    if await connection.fetchval("select exists (select from client)"):
        found = await connection.fetchval("select count(*) from client where id = any($1)", [p.id for p in invented])
        if found != len(invented):
            raise DemoError(
                f"organisation {plan.slug!r} has clients that are not the demo's (or of another release's demo): "
                "name an empty data folder with FATHOMLINE_DATA"
            )
        return False
    hashed_with = await lookup_key(connection, keys, organisation_id)
    clients = [_client(keys, hashed_with, organisation_id, person) for person in invented]
    await connection.executemany(_insert(ClientRow), [_values(row) for row in clients])
    consents = [_consent(row) for row in clients if row.research_consent]
    await connection.executemany(_insert(ResearchConsentRow), [_values(row) for row in consents])
    events = [_created(organisation_id, clinic, person) for person in invented]
    await connection.executemany(_insert(AuditEventRow), [_values(row) for row in events])
    await _insert_rows(
        connection, (row for person in invented for row in course.before_forms(organisation_id, clinic, person))
    )
    principal = Principal(organisation_id, plan.slug, SUBJECT, "ehr", ROLES["ehr"])
    befell = tuple(corrections(clinic, invented))
    responses = [as_recorded(principal, person, form) for person, form in _in_order(invented, befell)]
    await record_many(connection, responses)
    kept = await connection.fetchval("select count(*) from response")
    if kept != len(responses):
        raise RuntimeError(f"{kept} of {len(responses)} responses were kept")
    for story in befell:
        await correct(connection, keys, principal, {client.id: client for client in clients}, story)
    for client, person in zip(clients, invented, strict=True):
        await _insert_rows(connection, course.beside_forms(keys, client, clinic, person))
    await _insert_rows(connection, course.couples(organisation_id, invented))
    await _insert_rows(connection, course.protocols(organisation_id, clinic, invented))
    if plan.references:
        await _insert_rows(connection, references(organisation_id, clinic))
    await course.make_slots(connection, organisation_id)
    seen_to = [person.id for person in invented if person.external_id in clinic.stories.seen_to]
    await course.acknowledge(connection, organisation_id, clinic, seen_to)
    return True


async def _organisation(
    connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], clinic: Clinic, plan: OrganisationPlan
) -> uuid.UUID:
    """Its id, with the transaction confined to it from here on."""
    began = datetime.combine(clinic.first_day, time(), UTC)
    planned = made_id(began, clinic.seed, "organisation", plan.slug)
    await connection.execute("select set_config($1, $2, true)", ORGANISATION_SLUG_SETTING, plan.slug)
    await confine(connection, planned)
    await connection.execute(
        "insert into organisation (organisation_id, slug, name, created_at) values ($1, $2, $3, $4)"
        " on conflict (slug) do nothing",
        planned,
        plan.slug,
        plan.name,
        began,
    )
    found: uuid.UUID = await connection.fetchval("select organisation_id from organisation where slug = $1", plan.slug)
    await confine(connection, found)
    return found


def _in_order(invented: tuple[Person, ...], befell: tuple[Corrected, ...]) -> Iterator[tuple[Person, Form]]:
    """Forms as they came in over the months, so that the tables grow as a clinic's would; first as they came in."""
    wrong = {story.first.id: (story.person, story.first) for story in befell}
    pairs = [wrong.pop(form.id, (person, form)) for person in invented for form in person.forms]
    pairs += wrong.values()
    return iter(sorted(pairs, key=lambda pair: (pair[1].answered_at, pair[1].id)))


def _client(keys: crypto.Keys, hashed_with: bytes, organisation_id: uuid.UUID, person: Person) -> ClientRow:
    key = crypto.new_client_key()
    return ClientRow(
        organisation_id=organisation_id,
        id=person.id,
        external_id_hash=crypto.external_id_hash(hashed_with, organisation_id, person.external_id),
        external_id_sealed=crypto.seal_external_id(
            key, person.external_id, organisation_id=organisation_id, client_id=person.id
        ),
        key_wrapped=crypto.wrap_client_key(keys, key, organisation_id=organisation_id, client_id=person.id),
        birth_year=person.birth_year,
        gender=person.gender,
        organs=list(person.organs),
        partnered=person.partnered,
        research_consent=person.research_consent,
        created_at=person.created_at,
        updated_at=person.created_at,
        version=1,
    )


def _consent(client: ClientRow) -> ResearchConsentRow:
    return ResearchConsentRow(
        organisation_id=client.organisation_id,
        client_id=client.id,
        sequence=1,
        given=True,
        stated_on=client.created_at.date(),
        recorded_at=client.created_at,
        recorded_by=SUBJECT,
    )


def _created(organisation_id: uuid.UUID, clinic: Clinic, person: Person) -> AuditEventRow:
    return AuditEventRow(
        organisation_id=organisation_id,
        id=made_id(person.created_at, clinic.seed, person.external_id, "event"),
        at=person.created_at,
        subject=SUBJECT,
        role="ehr",
        action="create",
        resource="client",
        resource_id=person.id,
        request_id=f"demo-{person.id}",
        outcome="done",
    )


async def _insert_rows(connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], rows: Iterable[SQLModel]) -> None:
    """Insert rows of several tables; the tables in the order in which they first come."""
    by_table: dict[type[SQLModel], list[list[object]]] = {}
    for row in rows:
        by_table.setdefault(type(row), []).append(_values(row))
    for table, values in by_table.items():
        await connection.executemany(_insert(table), values)


def _insert(table: type[SQLModel]) -> str:
    columns = list(table.model_fields)
    placeholders = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    return f"insert into {table.__tablename__} ({', '.join(columns)}) values ({placeholders})"  # noqa: S608  - names only


def _values(row: SQLModel) -> list[object]:
    # In the order of the columns: model_dump puts what was left out last. The driver takes JSON as text.
    values = (getattr(row, name) for name in type(row).model_fields)
    return [
        orjson.dumps(value).decode() if isinstance(value, list) and value and isinstance(value[0], dict) else value
        for value in values
    ]
