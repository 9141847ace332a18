"""A client of whom there is a row in every table of clients, and what must not be found of them afterwards."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import httpx

from api.ids import new_id
from api.tables import CLIENT_TABLES, of_client
from tests.api.people import People, form
from tests.factories import make_protocol_rows, make_rescoring

ERASE: Final = {"reason": "asked-for", "confirm": "no-duty-to-keep"}
ERASED: Final = [table for table, owned in CLIENT_TABLES.items() if owned.kept is None]
_NOT_THEIRS_ALONE: Final = ("client", "couple_member", "episode_protocol", "protocol_slot")
"""Tables whose ids are told of the client, or are in these tests those of a protocol too."""


@dataclass(frozen=True)
class Whole:
    """The client, the partner, and where things of the client are."""

    id: str
    partner: str
    external_id: str
    couple: str
    response: str
    paths: dict[str, str]


def _answers(items: int, options: int) -> dict[str, int]:
    """Answers that no other test gives, as they are looked for in the whole database."""
    return {str(item): 1 + secrets.randbelow(options) for item in range(1, items + 1)}


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code < 300, answer.text
    return answer.json()


async def whole_client(people: People, service: asyncpg.Connection[asyncpg.Record], tenant_id: uuid.UUID) -> Whole:
    """Everything that there can be of a client, made as callers make it where they can."""
    ehr, http = people.ehr, people.ehr.http
    external_id = f"REC-{uuid.uuid4().hex}"
    client = await ehr.client(external_id=external_id, birth_year=1981, gender="woman", research_consent=True)
    partner = await ehr.client(external_id=f"P-{uuid.uuid4().hex}", research_consent=True)
    own = f"/v1/clients/{client}"
    episode = ok(await http.post(f"{own}/episodes", json={"started_on": "2026-02-01", "format": "individual"}))["id"]
    episodes = f"{own}/episodes/{episode}"
    session = ok(await http.post(f"{episodes}/sessions", json={"held_at": "2026-03-01T10:00:00Z"}))["id"]
    goal = {"kind": "target", "wording": "words of the goal", "target": 8, "baseline": 2, "set_on": "2026-01-12"}
    goals = f"{own}/goals/" + ok(await http.post(f"{own}/goals", json=goal))["id"]
    ok(await http.post(f"{goals}/ratings", json={"value": 3, "rated_on": "2026-02-12"}))
    work = {"kind": "reading", "set_on": "2026-01-12", "due_on": "2026-01-19", "note": "words of the work"}
    works = f"{own}/assignments/" + ok(await http.post(f"{own}/assignments", json=work))["id"]
    done = {"outcome": "done", "completed_on": "2026-01-19", "note": "words of its end"}
    ok(await http.post(f"{works}/completions", json=done))
    couple = ok(await http.post("/v1/couples", json={"clients": [client, partner], "joined_on": "2026-01-12"}))
    for member in couple["members"]:
        consents = f"/v1/clients/{member['client_id']}/couples/{member['membership_id']}/consents"
        ok(await http.post(consents, json={"given": True, "stated_on": "2026-01-12"}))
    ok(await people.admin.http.post("/v1/webhooks", json={"url": "https://receiver.example/"}))
    response = ok(await ehr.respond(client, episode_id=episode, answers=_answers(19, 5)))["id"]
    amended = {"reason": "words of the amendment", "answers": _answers(19, 5)}
    ok(await http.post(f"/v1/responses/{response}/amend", json=amended, headers={"If-Match": "*"}))
    void = ok(await ehr.respond(client, answers=_answers(19, 5), answered_at="2026-03-02T10:00:00Z"))["id"]
    ok(await http.post(f"/v1/responses/{void}/void", json={"reason": "duplicate"}, headers={"If-Match": "*"}))
    raised = ok(await ehr.respond(client, instrument="phq-9", answers=_answers(9, 3)))["alerts"]
    assert raised, "an alert"
    ok(await ehr.respond(partner))
    await make_protocol_rows(service, tenant_id, uuid.UUID(client), uuid.UUID(episode))
    await make_rescoring(service, tenant_id, uuid.UUID(response))
    async with service.transaction():
        await service.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant_id))
        await service.execute(
            "select acknowledge_alert($1, $2, now(), 'ehr-1', $4, $3)",
            tenant_id,
            uuid.UUID(raised[0]["id"]),
            new_id(),
            secrets.token_bytes(16),
        )
        await service.execute(
            "insert into webhook_delivery (organisation_id, webhook_id, id, type, resource_id, occurred_at, state)"
            " select organisation_id, id, gen_random_uuid(), 'response.recorded', $2, now(), 'delivered'"
            " from webhook where organisation_id = $1",
            tenant_id,
            uuid.UUID(response),
        )
    paths = {
        "client": own,
        "episode": episodes,
        "session": f"{episodes}/sessions/{session}",
        "goal": goals,
        "assignment": works,
        "consents": f"{own}/research-consent",
        "progress": f"{own}/progress?instrument=fsfi",
        "responses": f"{own}/responses",
        "couples": f"{own}/couples",
    }
    return Whole(client, partner, external_id, couple["id"], response, paths)


async def rows_of(
    superuser: asyncpg.Connection[asyncpg.Record], tenant_id: uuid.UUID, client_id: str
) -> dict[str, list[asyncpg.Record]]:
    """By table, the rows of a client that an erasure removes."""
    return {
        table: await superuser.fetch(f"select * from {table} where {of_client(table)}", tenant_id, uuid.UUID(client_id))  # noqa: S608  - names from the registry
        for table in ERASED
    }


def secrets_of(rows: dict[str, list[asyncpg.Record]], whole: Whole) -> set[str]:
    """What must be found nowhere any more, as it would be written where a whole row is told as text."""
    found = {whole.external_id}
    for table, records in rows.items():
        for record in records:
            for name, value in record.items():
                if isinstance(value, bytes):
                    found.add(value.hex())
                if name in ("document", "answers"):
                    found.add(value)
                if name == "id" and table not in _NOT_THEIRS_ALONE:
                    found.add(str(value))
    return found


async def dump(superuser: asyncpg.Connection[asyncpg.Record], *, but: tuple[str, ...] = ()) -> str:
    """Every row of every table of the database, as text, but those of some tables."""
    tables = await superuser.fetch(
        "select n.nspname || '.' || c.relname as name, c.relname, string_agg(quote_ident(a.attname) || '::text', ', ') "
        "as columns from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') group by 1, 2"
    )
    texts = []
    for table in tables:
        if table["relname"] not in but:
            query = f"select concat_ws(E'\\n', {table['columns']}) from {table['name']}"  # noqa: S608  - names from the catalogue
            texts += [row[0] for row in await superuser.fetch(query)]
    return "\n".join(texts)


def recording(client_id: str) -> dict[str, Any]:
    """A response of the client, as `httpx` takes it."""
    return {"json": form(client_id), "headers": {"Idempotency-Key": uuid.uuid4().hex}}
