"""Reading the trail: all that was asked for and nothing else, sealed or not, by whoever may, and on record itself."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api.audit import chain
from api.audit.repository import _PLAIN, LAST, Wanted, client_query, events_query
from api.audit.sealing import _NOT_PLANNED, _UNSEALED
from api.responses.recording import record
from tests.api.people import problem, web
from tests.audit.trail import INSERT, Sealed, ago, event
from tests.conftest import Tenant
from tests.factories import make_client, make_episode, make_recording

URL = "/v1/audit"


@pytest.fixture
async def admin(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with web(app, tenant.slug, "admin", "reader") as client:
        yield client


@pytest.fixture
async def ehr(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with web(app, tenant.slug, "ehr") as client:
        yield client


async def pages(client: httpx.AsyncClient, url: str, **params: Any) -> list[dict[str, Any]]:
    """All items, by following `next` and, in turn, the `Link` header, which have to agree."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = await client.get(url, params=params | ({} if cursor is None else {"cursor": cursor}))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        link = answer.headers.get("link")
        assert (page["next"] is None) == (link is None)
        if link is None:
            return found
        assert f"cursor={page['next'].replace('=', '%3D')}" in link
        cursor = page["next"]


def shown(one: chain.Event) -> dict[str, Any]:
    return dict(chain.event_document(one))


@pytest.fixture
async def some(trail: Sealed) -> list[chain.Event]:
    """Events, oldest first: those of weeks ago sealed, those of the last minutes not."""
    dice = random.Random(7)
    made = []
    for number in range(60):
        made.append(
            event(
                trail.organisation_id,
                at=ago(hours=12 * (60 - number)) if number < 40 else ago(seconds=20 * (60 - number)),
                subject=dice.choice(["ehr-1", "ehr-1", "anna", "Ø'Hara; --"]),
                role=dice.choice(["ehr", "clinician", "admin"]),
                action=dice.choice(["read", "list", "change"]),
                resource=dice.choice(["client", "response"]),
                outcome=dice.choice(["done", "done", "created", "not-found", "forbidden"]),
            )
        )
    await trail.superuser.executemany(INSERT, made[:40])
    await trail.seal()
    await trail.superuser.executemany(INSERT, made[40:])
    return made


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"subject": "anna"},
        {"subject": "Ø'Hara; --"},
        {"subject": "nobody"},
        {"role": "clinician"},
        {"action": "change"},
        {"resource": "response"},
        {"outcome": "done"},
        {"outcome": "forbidden"},
        {"subject": "ehr-1", "role": "admin", "action": "read", "resource": "client", "outcome": "done"},
        {"action": "list", "outcome": "not-found"},
    ],
)
@pytest.mark.parametrize("when", [{}, {"from": 400.0}, {"to": 300.0}, {"from": 500.0, "to": 0.05}])
async def test_what_is_asked_for_is_what_comes(
    admin: httpx.AsyncClient, some: list[chain.Event], wanted: dict[str, str], when: dict[str, float]
) -> None:
    at = {name: ago(hours=hours) for name, hours in when.items()}
    expected = [
        shown(one)
        for one in reversed(some)
        if all(getattr(one, name) == value for name, value in wanted.items())
        and at.get("from", one.at) <= one.at
        and ("to" not in at or one.at < at["to"])
    ]
    params = wanted | {name: one.isoformat() for name, one in at.items()} | {"limit": "7"}
    found = await pages(admin, URL, **params)
    found = [one for one in found if one["subject"] != "reader"]  # what reading has itself left
    sealed = {str(one.id): number for number, one in enumerate(some[:40], 1)}
    assert [one.pop("sequence") for one in found] == [sealed.get(one["id"]) for one in expected]
    assert found == expected


async def test_reading_is_itself_on_record(admin: httpx.AsyncClient, some: list[chain.Event]) -> None:
    first = (await admin.get(URL, headers={"X-Request-Id": "reading-the-trail"})).json()
    assert all(one["subject"] != "reader" for one in first["items"])
    (found,) = (await admin.get(URL, params={"subject": "reader"})).json()["items"]
    told = ("action", "resource", "resource_id", "role", "outcome", "request_id", "sequence")
    assert [found[name] for name in told] == ["list", "audit", None, "admin", "done", "reading-the-trail", None]


@pytest.mark.parametrize("path", [URL, f"{URL}/chain", f"{URL}/head", "/v1/clients/{client_id}/audit"])
@pytest.mark.parametrize("role", ["ehr", "clinician", "researcher"])
async def test_only_administrators_may(
    app: FastAPI, trail: Sealed, tenant: Tenant, service: asyncpg.Connection, path: str, role: str
) -> None:
    client_id = await make_client(service, tenant.id)
    async with web(app, tenant.slug, role) as client:
        problem(await client.get(path.format(client_id=client_id)), 403, "forbidden")
    assert [row["outcome"] for row in await trail.rows("select outcome from audit_event")] == ["forbidden"]


async def test_others_trails_are_not_shown(
    app: FastAPI, trail: Sealed, some: list[chain.Event], other_tenant: Tenant
) -> None:
    async with web(app, other_tenant.slug, "admin", "reader") as elsewhere:
        assert (await elsewhere.get(URL)).json() == {"items": [], "next": None}
        assert (await elsewhere.get(URL, params={"role": "ehr"})).json()["items"] == []
        assert (await elsewhere.get(f"{URL}/chain")).json() == {"items": [], "next": None}
        problem(await elsewhere.get(f"{URL}/head"), 404, "not-found")


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-03-01"},
        {"to": "yesterday"},
        {"role": "' or 1=1"},
        {"subject": ""},
        {"cursor": "nonsense"},
        {"limit": 0},
        {"since": "2026-03-01T00:00:00Z"},
        {"client_id": str(uuid.uuid4())},
    ],
)
async def test_what_is_no_question_is_refused(admin: httpx.AsyncClient, params: dict[str, Any]) -> None:
    problem(await admin.get(URL, params=params), 422, "request-invalid")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
async def test_times_beyond_those_of_any_event_are_answered(admin: httpx.AsyncClient, trail: Sealed, at: str) -> None:
    await trail.write()
    for name in ("from", "to"):
        answer = await admin.get(URL, params={name: at, "subject": "ehr-1"})
        assert answer.status_code == 200, answer.text
        everything = (name == "to") == at.startswith("9")
        assert len(answer.json()["items"]) == everything


async def test_who_has_seen_a_record(
    admin: httpx.AsyncClient, ehr: httpx.AsyncClient, trail: Sealed, tenant: Tenant
) -> None:
    """Sealed or not: the client's own row, their responses, their progress, and what was refused; nobody else's."""
    client_id = (await ehr.post("/v1/clients", json={})).json()["id"]
    other = (await ehr.post("/v1/clients", json={})).json()["id"]
    expected = [("create", "client", "ehr-1", "done")]
    for seal in (False, True):
        for one in (client_id, other):
            form = {
                "client_id": one,
                "instrument": "fsfi",
                "answered_at": "2026-03-01T10:00:00Z",
                "answers": {str(item): 5 for item in range(1, 20)},
            }
            response = (await ehr.post("/v1/responses", json=form)).json()["id"]
            assert (await ehr.get(f"/v1/responses/{response}/explain")).status_code == 200
            assert (await ehr.get(f"/v1/clients/{one}/progress")).status_code == 200
            assert (await ehr.get(f"/v1/clients/{one}")).status_code == 200
        async with web(ehr._transport.app, tenant.slug, "researcher") as researcher:  # type: ignore[attr-defined]  # of the fixture
            assert (await researcher.get(f"/v1/clients/{client_id}")).status_code == 403
        expected += [
            ("record", "response", "ehr-1", "created"),
            ("explain", "response", "ehr-1", "done"),
            ("read", "progress", "ehr-1", "done"),
            ("read", "client", "ehr-1", "done"),
            ("readClient", "client", "researcher-1", "forbidden"),
        ]
        if seal:
            await trail.seal()
            await trail.seal(whole=True)
        found = await pages(admin, f"/v1/clients/{client_id}/audit", limit=3)
        told = [tuple(one[name] for name in ("action", "resource", "subject", "outcome")) for one in found]
        told = [one for one in told if one[2] != "reader"]
        assert told == expected[::-1]
    found = await pages(admin, f"/v1/clients/{client_id}/audit", subject="reader")
    assert {(one["action"], one["resource_id"]) for one in found} == {("list-audit", client_id)}
    assert len(await pages(admin, f"/v1/clients/{client_id}/audit", resource="response", action="explain")) == 2


async def test_who_has_seen_the_record_of_nobody(admin: httpx.AsyncClient, trail: Sealed) -> None:
    problem(await admin.get(f"/v1/clients/{uuid.uuid4()}/audit"), 404, "not-found")
    assert [row["outcome"] for row in await trail.rows("select outcome from audit_event")] == ["not-found"]


async def test_the_chain_is_given_in_its_order_and_what_is_gone_as_gone(
    admin: httpx.AsyncClient, trail: Sealed, some: list[chain.Event]
) -> None:
    await trail.tamper(f"delete from audit_event where id = '{some[3].id}'")  # noqa: S608  - an id that was made here
    items: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = (await admin.get(f"{URL}/chain", params={"after": after, "limit": 16})).json()
        items, after = items + page["items"], page["next"]
    assert [one["sequence"] for one in items] == [*range(1, 41)]
    assert [one["event"] for one in items] == [None if at == 3 else shown(one) for at, one in enumerate(some[:40])]
    before = chain.START
    for link, one in zip(items, some[:40], strict=True):
        before = chain.link(one, link["sequence"], before)
        assert link["hash"] == before.hex()


async def test_the_head_is_signed_by_the_key_that_comes_with_it(admin: httpx.AsyncClient, trail: Sealed) -> None:
    await trail.write(3)
    await trail.seal()
    head, signature, public = chain.read_signed_head((await admin.get(f"{URL}/head")).json())
    assert (head.organisation_id, head.sequence) == (trail.organisation_id, 3)
    assert chain.signed_by(head, signature, public)
    assert await trail.found((head, signature, public)) == []


PLANS = [
    Wanted(),
    Wanted(outcome="done"),
    Wanted(subject="rare"),
    Wanted(role="rare"),
    Wanted(action="rare"),
    Wanted(resource="rare"),
    Wanted(outcome="rare"),
    Wanted(subject="often", action="often"),
    Wanted(subject="rare", action="often", outcome="rare"),
    Wanted(since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2026, 1, 2, tzinfo=UTC), action="often"),
]
MANY = 30_000
FILL = """
insert into audit_event
select $1::uuid, (lpad(to_hex(extract(epoch from $3::timestamptz)::bigint * 1000 + n), 12, '0')
       || substr(md5($1::uuid::text || n::text), 1, 20))::uuid,
       $3, w, w, w, w, $4, '', case w when 'often' then 'done' else w end
from generate_series(1, $2::integer) n, lateral (select case when n % 1000 = 0 then 'rare' else 'often' end) k (w)
"""
SEAL = """
insert into audit_seal
select organisation_id, row_number() over (order by id), id, sha256(id::text::bytea), subject, role, action,
       resource, outcome from audit_event where organisation_id = $1
"""
OF_CLIENT = """
insert into audit_client select organisation_id, $2, id from audit_event where organisation_id = $1 order by id limit $3
"""


def rare_client(tenant: Tenant) -> uuid.UUID:
    """The id of somebody whom few events concern; nothing else is known of them."""
    return uuid.uuid5(tenant.id, "rare")


async def analyse(superuser: asyncpg.Connection) -> None:
    for table in ("audit_event", "audit_seal", "audit_client"):
        await superuser.execute(f"analyze {table}")


@pytest.fixture(params=["never", "of nobody", "of others", "links late", "now"])
async def analysed(request: pytest.FixtureRequest) -> str:
    """When the tables were analysed.

    Not for this test (earlier ones may have led to it); while they held none of the rows, or the other organisation's
    alone; then without most of its links; or with all there is.
    """
    return str(request.param)


@pytest.fixture
async def many(
    superuser: asyncpg.Connection, tenant: Tenant, other_tenant: Tenant, service: asyncpg.Connection, analysed: str
) -> AsyncIterator[uuid.UUID]:
    """A trail of thousands of events, beside a younger one of as many that is another's; the id of a client in it.

    The oldest few concern `rare_client` too.
    """
    client_id, rare = await make_client(service, tenant.id), rare_client(tenant)
    transaction = superuser.transaction()
    await transaction.start()
    day = datetime(2026, 1, 1, tzinfo=UTC)
    if analysed == "of nobody":
        await analyse(superuser)
    for one, at in ((other_tenant, day + timedelta(days=1)), (tenant, day)):
        await superuser.execute(FILL, one.id, MANY, at, client_id)
        if analysed == "links late" and one == other_tenant:
            await analyse(superuser)
        await superuser.execute(SEAL, one.id)
        await superuser.execute(OF_CLIENT, one.id, client_id, MANY)
        if analysed == "links late" and one == other_tenant:
            await superuser.execute("analyze audit_seal")
        if analysed == "of others" and one == other_tenant:
            await analyse(superuser)
    await superuser.execute(OF_CLIENT, tenant.id, rare, 30)
    if analysed == "now":
        await analyse(superuser)
    await superuser.execute(
        "insert into audit_head select organisation_id, sequence, 0, hash, now(), $2, gen_random_uuid(), hash || hash "
        "from audit_seal where organisation_id = $1 and sequence = $3",
        tenant.id,
        day + timedelta(days=1),
        MANY,
    )
    yield client_id
    await transaction.rollback()


def touched(plan: dict[str, Any]) -> tuple[int, set[str]]:
    """How many rows a plan has read in all, and the nodes that it is made of."""
    rows = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    nodes = {plan["Node Type"]}
    for inner in plan.get("Plans", ()):
        more, names = touched(inner)
        rows, nodes = rows + more, nodes | names
    return rows, nodes


async def test_no_question_reads_more_than_it_answers_however_long_the_trail(
    superuser: asyncpg.Connection, tenant: Tenant, many: uuid.UUID, analysed: str
) -> None:
    """Few of many and many of many, whatever statistics there are of the tables: always by an index, in its order.

    Which of several indexes is the shortest is all that only statistics tell. And sealing looks each event up once. All
    of it in one test for each kind of statistics: such a trail takes a second or two to make.
    """
    await superuser.execute("set local role fathomline_service")
    await superuser.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
    await superuser.execute(_PLAIN)
    floor = await superuser.fetchval("select first_uuid_at(complete_until) from audit_head")
    wrong = []
    for of, client_id in (("all", many), ("client", many), ("rare client", rare_client(tenant))):
        for one in PLANS[:1] if of == "client" else PLANS:
            values = {"floor": floor, "organisation_id": tenant.id, "before": LAST, "limit": 51, "client_id": client_id}
            values |= one.given() | {"since": one.since, "until": one.until}
            query = events_query(one) if of == "all" else client_query(one)
            said = re.sub(r"(?<!:):([a-z_]+)", lambda match: f"'{values[match[1]]}'", query)  # noqa: B023  - used at once
            (plan,) = json.loads(await superuser.fetchval(f"explain (analyze, format json) {said}"))
            rows, nodes = touched(plan["Plan"])
            most = 1_500 if analysed == "now" or len(one.given()) < 3 else 2 * MANY
            if "Seq Scan" in nodes or not 20 < rows < most:
                wrong.append((of, one, rows, nodes))
    assert wrong == []
    await sealing_looks_each_event_up_once(superuser, tenant)


async def sealing_looks_each_event_up_once(superuser: asyncpg.Connection, tenant: Tenant) -> None:
    """A sweep over a trail that is sealed: two reads for each event, and not one of all links for each."""
    for plan in _NOT_PLANNED:
        await superuser.execute(f"set local enable_{plan} = off")
    values = {"organisation_id": tenant.id, "above": uuid.UUID(int=0), "limit": 100}
    said = re.sub(r"%\((\w+)\)s", lambda match: f"'{values[match[1]]}'", _UNSEALED)
    (plan,) = json.loads(await superuser.fetchval(f"explain (analyze, format json) {said}"))
    rows, nodes = touched(plan["Plan"])
    assert not nodes & {"Seq Scan", "Materialize"}
    assert MANY < rows < 5 * MANY


async def test_an_event_of_an_episode_is_of_its_client(
    admin: httpx.AsyncClient, trail: Sealed, tenant: Tenant, service: asyncpg.Connection, opened: Any
) -> None:
    client_id = await make_client(service, tenant.id)
    episode_id = await make_episode(service, tenant.id, client_id)
    await record(opened.pool, make_recording(tenant.id, client_id))
    await trail.write(resource="episode", resource_id=episode_id)
    await trail.write(resource="episode", resource_id=uuid.uuid4())
    await trail.seal()
    found = await pages(admin, f"/v1/clients/{client_id}/audit")
    assert [one["resource"] for one in found] == ["episode", "response"]
    assert (await trail.verify()).remarks == []
    await trail.tamper("delete from audit_client")
    assert [finding.code for finding in (await trail.verify()).remarks] == ["not-listed"] * 2
