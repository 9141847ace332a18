"""Every operation on clients' data leaves an event, done or refused, walked over the OpenAPI document.

A new operation is held to this as it is added: it needs what the walk over the contract asks of it, an example and the
things that its path names (`tests.web.test_contract`), and a line in `body` where its body names a client. What it
leaves has to be found in the trail of the client whom it is about; a new kind of thing needs a line in
`api.audit.related` for that.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import httpx
import pytest

from api.audit.related import CLIENTS_OF
from api.audit.tables import DONE
from api.organisations.repository import ensure_organisation
from api.problems import catalogue
from api.records.refusals import NOT_OF_CLIENTS
from api.security.principal import ROLES
from tests.web.service import HERE, Service, service_of
from tests.web.test_contract import PROTECTED, Operation, example, names, recording, things

NOT_OF_ONE: Final = frozenset({"outcomes:read", "research:read", "audit:read", "webhooks:read", "webhooks:write"})
"""Scopes of operations that are on record too, but are about no client, unless their path names one."""
ABOUT_CLIENTS: Final = [operation for operation in PROTECTED if operation.scope not in NOT_OF_CLIENTS]
WITH_CLIENT: Final = [operation for operation in ABOUT_CLIENTS if "client_id" in operation.id_parameters]
SUBJECT: Final = "walker"


@dataclass(frozen=True)
class Walked:
    """An organisation, and one thing of each kind in it."""

    service: Service
    slug: str
    organisation_id: uuid.UUID
    ids: dict[str, str]


async def walked(app: Any, settings: Any) -> Walked:
    service = await service_of(app, settings)
    slug = f"walk-{uuid.uuid4().hex}"
    async with app.state.database.pool.acquire() as connection:
        organisation_id = await ensure_organisation(connection, slug, "An organisation that is walked over")
    return Walked(service, slug, organisation_id, await things(service, slug))


@pytest.fixture(scope="module")
async def shared(app: Any, settings: Any) -> Walked:
    """Things that are only read, or refused."""
    return await walked(app, settings)


@pytest.fixture(scope="module")
async def changed(app: Any, settings: Any) -> list[Walked]:
    """Things that are changed, with others in their place once an operation has used some of them up."""
    return [await walked(app, settings)]


def role_with(operation: Operation) -> str:
    return next(role for role in ROLES if operation.scope in ROLES[role])


async def ask(
    there: Walked, operation: Operation, ids: dict[str, str], role: str, **request: Any
) -> tuple[httpx.Response, str]:
    """Ask, and the id of the request, by which its events are found."""
    request_id = uuid.uuid4().hex
    given = example(operation) | request
    headers = given.get("headers", {}) | {"X-Request-Id": request_id}
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = request_id
    async with there.service.client(role, organisation=there.slug, subject=SUBJECT) as client:
        answer = await client.request(operation.method.upper(), operation.url(**ids), **given | {"headers": headers})
    assert answer.headers["X-Request-Id"] == request_id
    return answer, request_id


EVENTS: Final = f"""
select e.*, array(select c.id::text from ({CLIENTS_OF}) c) as clients from audit_event e where request_id = $1
"""  # noqa: S608  - our own constant


async def body(there: Walked, operation: Operation) -> dict[str, Any]:
    """What takes the place of an operation's example where that names clients in its body: those have to be known."""
    if operation.id == "recordResponse":
        return recording(there.ids["client_id"])
    if operation.id == "createCouple":
        async with there.service.client("ehr", organisation=there.slug) as client:
            pair = [(await client.post("/v1/clients", json={})).json()["id"] for _ in range(2)]
        return {"json": example(operation)["json"] | {"clients": pair}}
    return {}


async def events(there: Walked, superuser: asyncpg.Connection, request_id: str, role: str) -> list[asyncpg.Record]:
    """The events of a request, which all say who it was."""
    found = await superuser.fetch(EVENTS, request_id)
    for event in found:
        assert event["organisation_id"] == there.organisation_id
        assert (event["subject"], event["role"]) == (SUBJECT, role)
        assert all(event[name] for name in ("action", "resource", "outcome"))
    return list(found)


def test_there_is_something_to_walk() -> None:
    assert {"readClient", "recordResponse", "readProgress", "drawProgress", "listAudit"} <= {
        operation.id for operation in ABOUT_CLIENTS
    }
    assert {operation.scope for operation in PROTECTED if "client_id" in operation.id_parameters}.isdisjoint(
        NOT_OF_CLIENTS
    ), "what a path with a client's id gives is a client's"


@pytest.mark.parametrize("operation", ABOUT_CLIENTS, ids=names)
async def test_what_is_done_is_on_record(
    app: Any, settings: Any, shared: Walked, changed: list[Walked], superuser: asyncpg.Connection, operation: Operation
) -> None:
    role = role_with(operation)

    async def done(there: Walked) -> tuple[httpx.Response, list[asyncpg.Record]]:
        answer, request_id = await ask(there, operation, there.ids, role, **await body(there, operation))
        return answer, await events(there, superuser, request_id, role)

    there = shared if operation.method == "get" else changed[-1]
    answer, found = await done(there)
    if operation.method != "get" and (answer.status_code >= 300 or not found):
        there = await walked(app, settings)  # an operation before this one used up what it needs
        changed.append(there)
        answer, found = await done(there)
    ids = there.ids
    if operation.id == "readAuditHead" and answer.status_code == 404:
        assert [event["outcome"] for event in found] == ["not-found"]  # nothing of it was sealed
        return
    assert answer.status_code < 300, answer.text
    assert found, f"{operation.id} leaves no event"
    assert {event["outcome"] for event in found} <= {*DONE}
    if operation.scope not in NOT_OF_ONE or operation in WITH_CLIENT:
        named = {event["resource_id"] for event in found}
        assert operation.id_parameters == [] or None not in named, "an event about one thing says which"
    if operation in WITH_CLIENT or operation.id == "recordResponse":
        assert all(ids["client_id"] in event["clients"] for event in found), (
            f"the client's own trail does not tell of {operation.id}: give its resource a line in api.audit.related"
        )
    told = json.dumps([dict(event) for event in found], default=str)
    assert "sexual" not in told
    assert "answers" not in told


@pytest.mark.parametrize("operation", ABOUT_CLIENTS, ids=names)
async def test_who_may_not_is_on_record(shared: Walked, superuser: asyncpg.Connection, operation: Operation) -> None:
    role = next((role for role in ROLES if operation.scope not in ROLES[role]), None)
    if role is None:
        return  # open to every role
    answer, request_id = await ask(shared, operation, shared.ids, role)
    assert answer.status_code == 403
    found = await events(shared, superuser, request_id, role)
    assert [(event["action"], event["outcome"]) for event in found] == [(operation.id, "forbidden")]
    innermost = [name for name in operation.id_parameters if name in shared.ids]
    if innermost:
        assert str(found[0]["resource_id"]) in {shared.ids[name] for name in innermost}


@pytest.mark.parametrize("operation", [operation for operation in ABOUT_CLIENTS if operation.id_parameters], ids=names)
async def test_asking_for_what_there_is_not_is_on_record(
    shared: Walked, superuser: asyncpg.Connection, operation: Operation
) -> None:
    ids = {name: str(uuid.uuid4()) for name in operation.id_parameters}
    role = role_with(operation)
    answer, request_id = await ask(shared, operation, ids, role)
    assert answer.status_code == 404
    found = await events(shared, superuser, request_id, role)
    assert len(found) == 1, "once"
    assert found[0]["outcome"] not in DONE
    assert found[0]["clients"] == [], "an id of nobody is in nobody's trail"


@pytest.mark.parametrize("operation", ABOUT_CLIENTS, ids=names)
async def test_a_request_that_is_refused_for_its_shape_is_on_record(
    shared: Walked, superuser: asyncpg.Connection, operation: Operation
) -> None:
    role = role_with(operation)
    answer, request_id = await ask(shared, operation, shared.ids, role, params={"no-such-parameter": "Miller"})
    assert answer.status_code == 422
    found = await events(shared, superuser, request_id, role)
    assert [(event["action"], event["outcome"]) for event in found] == [(operation.id, "request-invalid")]
    assert "Miller" not in str(found)


@pytest.fixture
async def running(app: Any, settings: Any) -> Service:
    return await service_of(app, settings)


async def test_refusals_of_those_without_a_token_are_nobodys(running: Service, superuser: asyncpg.Connection) -> None:
    request_id = uuid.uuid4().hex
    async with running.client() as stranger:
        answer = await stranger.get("/v1/clients", headers={"X-Request-Id": request_id})
    assert answer.status_code == 401
    assert await superuser.fetch("select from audit_event where request_id = $1", request_id) == []


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/v1/instruments/nothing", 0), ("/v1/nothing", 0), ("/v1/clients/not-an-id", 1), ("/problems/nothing", 0)],
)
async def test_what_is_not_about_clients_is_refused_without_an_event(
    running: Service, superuser: asyncpg.Connection, path: str, kept: int
) -> None:
    request_id = uuid.uuid4().hex
    async with running.client("ehr", organisation=HERE) as client:
        answer = await client.get(path, headers={"X-Request-Id": request_id})
    assert 400 <= answer.status_code < 500
    assert len(await superuser.fetch("select from audit_event where request_id = $1", request_id)) == kept


async def test_a_refusal_that_cannot_be_kept_is_no_answer(
    running: Service, monkeypatch: pytest.MonkeyPatch, superuser: asyncpg.Connection
) -> None:
    """Who is refused learns so only when it is on record; so nobody can try without a trace while the table is shut."""
    await superuser.execute("revoke insert on audit_event from fathomline_service")
    try:
        async with running.client("researcher") as client:
            answer = await client.get("/v1/clients")
    finally:
        await superuser.execute("grant insert on audit_event to fathomline_service")
    assert answer.status_code == 500


def test_every_outcome_of_a_refusal_has_a_page() -> None:
    """What refuses before the operation begins is told by the type of problem, which is documented."""
    assert {"forbidden", "request-invalid", "precondition-required", "not-found"} <= catalogue().keys()
