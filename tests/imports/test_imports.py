"""What is stored by an import: the same as by recording each response, once, and told of in the trail."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
import pytest

from tests.api.people import FSFI_FIVES, web
from tests.conftest import Tenant
from tests.imports.conftest import AT, Importer, lines, long, table, wide

OWN_ALONE = ("id", "recorded_at")
"""What two responses differ in though they say the same."""


def body(client_id: str, **members: Any) -> dict[str, Any]:
    return {"client_id": client_id, "instrument": "fsfi", "answered_at": AT, "answers": FSFI_FIVES} | members


def forms(client_id: str) -> list[dict[str, Any]]:
    """Forms of every kind: complete, with gaps, with too many, flagged, without any answer, of several instruments."""
    made = [
        body(client_id, answers={item: 1 + int(item) % 5 for item in FSFI_FIVES}),
        body(client_id, answers={item: 5 for item in FSFI_FIVES if item != "3"}, setting="paper"),
        body(client_id, answers=dict.fromkeys(list(FSFI_FIVES)[:4], 5), partnered=True),
        body(client_id, answers=FSFI_FIVES | {str(item): 0 for item in (*range(3, 15), 17, 18, 19)}, active=False),
        body(client_id, answers={}),
        body(client_id, instrument="phq-9", answers={str(item): 0 for item in range(1, 10)}),
        body(client_id, instrument="phq-9", answers={str(item): 1 for item in range(1, 10)}, partnered=False),
        body(client_id, instrument="phq-9", answers={str(item): 3 for item in range(1, 9)}),
        body(client_id, instrument="gad-7", answers={str(item): item % 4 for item in range(1, 8)}, version=1),
    ]
    return [form | {"answered_at": f"2026-03-{day:02}T10:00:00Z"} for day, form in enumerate(made, 1)]


@pytest.mark.parametrize("written", [wide, long, lambda bodies: lines(*bodies)], ids=["wide", "long", "ndjson"])
async def test_what_is_imported_equals_what_is_recorded(importer: Importer, written: Any) -> None:
    members = {"organs": ["penis"], "partnered": False}
    recorded, imported = [await importer.person.client(**members) for _ in range(2)]
    asked = forms(recorded)
    if written is long:  # a response without any answer has no row in the long layout
        asked = [form for form in asked if form["answers"]]
    for form in asked:
        answer = await importer.http.post("/v1/responses", json=form)
        assert answer.status_code == 201, answer.text
    content = written([form | {"client_id": imported} for form in asked])
    state = await importer.take(
        content, format="csv" if isinstance(content, str) else "ndjson", layout="long" if written is long else "wide"
    )
    assert state["state"] == "finished", state
    assert state["rows"] == {
        "read": len(asked), "good": len(asked), "bad": 0, "already_there": 0, "written": len(asked),
    }  # fmt: skip
    expected, found = await importer.responses(recorded), await importer.responses(imported)
    assert [bare(response, imported) for response in found] == [bare(response, imported) for response in expected]
    assert any(response["alerts"] for response in found)
    assert any(flag["id"] == "outside-organs" for response in found for flag in response["flags"])
    one = found[0]
    read = await importer.http.get(f"/v1/responses/{one['id']}")
    assert list(read.json()) == [name for name in expected[0] if name != "answers"]


def bare(response: dict[str, Any], client_id: str) -> dict[str, Any]:
    """A response without what is its own alone; its alerts without the worsening that only recording looks for."""
    alerts = [
        {name: value for name, value in alert.items() if name not in ("id", "status")}
        for alert in response["alerts"]
        if alert["kind"] != "worsening"
    ]
    return response | dict.fromkeys(OWN_ALONE) | {"client_id": client_id, "alerts": alerts}


async def test_the_same_file_twice_adds_nothing(importer: Importer) -> None:
    client_id = await importer.person.client()
    content = wide(forms(client_id))
    first = await importer.take(content)
    ids = [response["id"] for response in await importer.responses(client_id)]
    again = await importer.take(content)
    assert (first["rows"]["written"], first["rows"]["already_there"]) == (9, 0)
    assert (again["rows"]["written"], again["rows"]["already_there"], again["rows"]["good"]) == (0, 9, 9)
    assert [response["id"] for response in await importer.responses(client_id)] == ids
    assert all(uuid.UUID(made).version == 7 for made in ids)


async def test_a_row_twice_in_one_file_is_stored_once(importer: Importer) -> None:
    client_id = await importer.person.client()
    twice = body(client_id)
    as_float = twice | {"answers": dict.fromkeys(FSFI_FIVES, 5.0) | {"1": 5, "extra": None}}
    del as_float["answers"]["extra"]
    other = twice | {"answers": FSFI_FIVES | {"1": 4}}
    state = await importer.take(lines(twice, twice, as_float, other), format="ndjson")
    assert (state["rows"]["written"], state["rows"]["already_there"]) == (2, 2)
    assert len(await importer.responses(client_id)) == 2


async def test_ids_that_were_given_are_kept(importer: Importer) -> None:
    client_id, other = [await importer.person.client() for _ in range(2)]
    own = str(uuid.uuid4())
    state = await importer.take(wide([body(client_id, response_id=own)]))
    assert state["rows"]["written"] == 1
    assert [response["id"] for response in await importer.responses(client_id)] == [own]
    again = await importer.take(wide([body(client_id, response_id=own), body(other, response_id=own)]))
    assert again["rows"] == {"read": 2, "good": 1, "bad": 1, "already_there": 1, "written": 0}
    assert await importer.faults(again["id"]) == [(2, 3, "/response_id", "response-id-taken")]
    elsewhere = await importer.take(wide([body(other, response_id=own)]))
    assert await importer.faults(elsewhere["id"]) == [(1, 2, "/response_id", "response-id-taken")]
    assert await importer.responses(other) == []


async def test_bad_rows_are_left_out_or_hold_back_all(importer: Importer) -> None:
    client_id = await importer.person.client()
    bad = body(client_id, answers=FSFI_FIVES | {"1": 9, "99": 1})
    content = lines(body(client_id), bad, {"client_id": client_id}, body(str(uuid.uuid4())))
    nothing = await importer.take(content, format="ndjson", on_error="all-or-nothing")
    assert (nothing["state"], nothing["failure"]["code"]) == ("failed", "bad-rows")
    assert (nothing["rows"]["bad"], nothing["rows"]["written"]) == (3, 1)
    assert await importer.responses(client_id) == []
    expected = [
        (2, 2, "/answers/1", "not-an-option"),
        (2, 2, "/answers/99", "unknown-item"),
        (3, 3, "/answered_at", "missing"),
        (3, 3, "/answers", "missing"),
        (3, 3, "/instrument", "missing"),
        (4, 4, "/client_id", "unknown-client"),
    ]
    assert sorted(await importer.faults(nothing["id"])) == expected
    some = await importer.take(content, format="ndjson", on_error="skip-bad")
    assert (some["state"], some["rows"]["bad"], some["rows"]["written"]) == ("finished", 3, 1)
    assert sorted(await importer.faults(some["id"])) == expected
    assert len(await importer.responses(client_id)) == 1
    good = await importer.take(lines(body(client_id), body(client_id, answers={})), format="ndjson",
                               on_error="all-or-nothing")  # fmt: skip
    assert (good["state"], good["rows"]["written"], good["rows"]["already_there"]) == ("finished", 1, 1)
    assert len(await importer.responses(client_id)) == 2


async def test_a_dry_run_checks_everything_and_stores_nothing(importer: Importer) -> None:
    client_id = await importer.person.client()
    await importer.take(wide([body(client_id)]))
    content = lines(
        body(client_id), body(client_id, answers={"1": 1}), body(client_id, answers={"1": 9}),
        {name: value for name, value in body("x").items() if name != "client_id"} | {"external_id": "new"},
    )  # fmt: skip
    state = await importer.take(content, format="ndjson", dry_run=True, create_clients=True)
    assert (state["state"], state["dry_run"]) == ("finished", True)
    assert state["rows"] == {"read": 4, "good": 3, "bad": 1, "already_there": 1, "written": 2}
    assert await importer.faults(state["id"]) == [(3, 3, "/answers/1", "not-an-option")]
    assert len(await importer.responses(client_id)) == 1
    found = await importer.http.get("/v1/clients", params={"external_id": "new"})
    assert found.json()["items"] == []


async def test_clients_are_found_by_external_id_or_made(importer: Importer) -> None:
    known = await importer.person.client(external_id="A-1")
    header = ["external_id", "answered_at", *FSFI_FIVES]
    content = table(header, *([name, AT, *FSFI_FIVES.values()] for name in (" A-1", "B-2", "B-2", "Ä")))
    refused = await importer.take(content, instrument="fsfi")
    assert (refused["rows"]["written"], refused["rows"]["bad"]) == (1, 3)
    assert {fault[2:] for fault in await importer.faults(refused["id"])} == {("/external_id", "unknown-client")}
    made = await importer.take(content, instrument="fsfi", create_clients=True)
    assert (made["rows"]["written"], made["rows"]["already_there"], made["clients_created"]) == (2, 2, 2)
    again = await importer.take(content, instrument="fsfi", create_clients=True)
    assert (again["rows"]["written"], again["rows"]["already_there"], again["clients_created"]) == (0, 4, 0)
    for name, number in (("A-1", 1), ("B-2", 1), ("Ä", 1)):
        found = (await importer.http.get("/v1/clients", params={"external_id": name})).json()["items"]
        assert [item["external_id"] for item in found] == [name]
        assert len(await importer.responses(found[0]["id"])) == number
    assert known


async def test_clients_of_another_organisation_are_unknown(
    importer: Importer, elsewhere_client: str, other_tenant: Tenant
) -> None:
    state = await importer.take(wide([body(elsewhere_client)]))
    assert await importer.faults(state["id"]) == [(1, 2, "/client_id", "unknown-client")]
    assert state["rows"]["written"] == 0
    assert other_tenant.id != importer.tenant.id


async def test_alerts_are_on_record_or_raised(importer: Importer, superuser: asyncpg.Connection) -> None:
    client_id = await importer.person.client()
    risk = body(client_id, instrument="phq-9", answers={str(item): 3 for item in range(1, 10)})
    query = "select id, kind, rule, origin, status from alert where client_id = $1 order by created_at"
    topics = "select resource_id from outbox where organisation_id = $1 and topic = $2"
    await importer.take(wide([risk]))
    (kept,) = await superuser.fetch(query, uuid.UUID(client_id))
    assert (kept["kind"], kept["origin"], kept["status"]) == ("answers", "import", "historic")
    assert await superuser.fetch(topics, importer.tenant.id, "alert.raised") == []
    await importer.take(wide([risk | {"answered_at": "2026-03-02T10:00:00Z"}]), alerts="raise")
    _, raised = await superuser.fetch(query, uuid.UUID(client_id))
    assert (raised["origin"], raised["status"]) == ("import", "open")
    assert [row[0] for row in await superuser.fetch(topics, importer.tenant.id, "alert.raised")] == [raised["id"]]
    told = [alert["id"] for response in await importer.responses(client_id) for alert in response["alerts"]]
    assert sorted(told) == sorted([str(kept["id"]), str(raised["id"])])


async def test_episodes_have_to_be_the_clients_and_to_span_the_day(importer: Importer) -> None:
    client_id, other = [await importer.person.client() for _ in range(2)]
    ids = []
    for whose in (client_id, other):
        answer = await importer.http.post(
            f"/v1/clients/{whose}/episodes", json={"started_on": "2026-02-01", "format": "individual"}
        )
        ids.append(answer.json()["id"])
    rows = [
        body(client_id, episode_id=ids[0]),
        body(client_id, episode_id=ids[1]),
        body(client_id, episode_id=ids[0], answered_at="2025-03-01T10:00:00Z"),
    ]
    state = await importer.take(wide(rows))
    assert state["rows"]["written"] == 1
    assert await importer.faults(state["id"]) == [
        (2, 3, "/episode_id", "unknown-episode"), (3, 4, "/answered_at", "outside-episode"),
    ]  # fmt: skip
    (response,) = await importer.responses(client_id)
    assert (response["episode_id"], response["outside_episode"]) == (ids[0], False)


async def test_the_trail_tells_of_the_import_and_of_each_client_once(
    importer: Importer, superuser: asyncpg.Connection
) -> None:
    clients = [await importer.person.client() for _ in range(2)]
    state = await importer.take(wide([*forms(clients[0]), *forms(clients[1])]))
    events = await superuser.fetch(
        "select action, resource, resource_id, subject, role from audit_event"
        " where organisation_id = $1 and (resource = 'import' or action = 'import')",
        importer.tenant.id,
    )
    told = {(row["action"], row["resource"], str(row["resource_id"])) for row in events}
    own = state["id"]
    assert told == {
        ("create", "import", own), ("upload", "import", own), ("finish", "import", own), ("read", "import", own),
        ("import", "client", clients[0]), ("import", "client", clients[1]),
    }  # fmt: skip
    assert {(row["subject"], row["role"]) for row in events} == {("ehr-1", "ehr")}
    async with web(importer.app, importer.tenant.slug, "admin") as admin:
        seen = (await admin.get(f"/v1/clients/{clients[0]}/audit")).json()["items"]
    assert "import" in [event["action"] for event in seen]
    messages = await superuser.fetch(
        "select topic, resource_id from outbox where organisation_id = $1 and topic <> 'alert.raised'",
        importer.tenant.id,
    )
    assert [(row["topic"], str(row["resource_id"])) for row in messages] == [("import.finished", own)]


async def test_nothing_is_left_of_the_file(importer: Importer, superuser: asyncpg.Connection) -> None:
    client_id = await importer.person.client()
    chunks = "select sealed from import_chunk where organisation_id = $1"
    sent = (await importer.send(wide([body(client_id)]))).json()
    (part,) = await superuser.fetch(chunks, importer.tenant.id)
    assert client_id.encode() not in part["sealed"]
    assert (await importer.run(sent["id"]))["state"] == "finished"
    assert await superuser.fetch(chunks, importer.tenant.id) == []
    kept = "select key_wrapped from import_run where organisation_id = $1"
    assert await superuser.fetchval(kept, importer.tenant.id) is None


async def test_the_service_cannot_bring_a_stage_of_its_own(service: asyncpg.Connection, tenant: Tenant) -> None:
    async with service.transaction():
        await service.execute("create temporary table import_stage (row_no bigint) on commit drop")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.fetchrow(
                "select * from import_responses($1, $1, 's', 'ehr', 'r', now(), false, 30)", tenant.id
            )
