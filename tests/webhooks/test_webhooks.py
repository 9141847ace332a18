"""Webhooks over HTTP: made, read, changed, rotated, removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api.clients.codes import EVENTS
from api.security import crypto
from api.settings import Settings
from api.startup import derived_keys
from api.webhooks.sending import written
from api.webhooks.service import MOST_WEBHOOKS
from tests.api.people import faults, problem, web
from tests.conftest import Tenant
from tests.webhooks.conftest import make

URL = "https://receiver.example/hook"


def match(made: dict[str, Any]) -> dict[str, str]:
    """The header that names the version."""
    return {"If-Match": f'"{made["version"]}"'}


async def secrets_of(superuser: asyncpg.Connection, settings: Settings, webhook_id: str) -> list[str | None]:
    """The present and the former secret, opened from their row."""
    row = await superuser.fetchrow("select * from webhook where id::text = $1", webhook_id)
    assert row is not None
    keys = derived_keys(settings)
    return [
        None
        if sealed is None
        else written(
            crypto.open_webhook_secret(keys, sealed, organisation_id=row["organisation_id"], webhook_id=row["id"])
        )
        for sealed in (row["secret_sealed"], row["previous_sealed"])
    ]


async def test_made_with_a_secret_that_is_shown_once_and_kept_sealed(
    admin: httpx.AsyncClient, superuser: asyncpg.Connection, settings: Settings
) -> None:
    answer = await admin.post(
        "/v1/webhooks", json={"url": URL, "description": "Record system", "types": ["alert.raised"]}
    )
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["cache-control"] == "no-store"
    secret = made.pop("secret")
    assert made | {"id": None, "created_at": None, "updated_at": None} == {
        "id": None,
        "url": URL,
        "description": "Record system",
        "types": ["alert.raised"],
        "enabled": True,
        "disabled_because": None,
        "failing_since": None,
        "paused_until": None,
        "rotating_until": None,
        "created_at": None,
        "updated_at": None,
        "version": 1,
    }
    found = await admin.get(answer.headers["location"])
    assert found.json() == made
    assert found.headers["etag"] == '"1"'
    assert (await admin.get("/v1/webhooks")).json() == {"items": [made], "next": None}
    assert await secrets_of(superuser, settings, made["id"]) == [secret, None]
    row = await superuser.fetchval("select webhook::text from webhook where id::text = $1", made["id"])
    assert secret.removeprefix("whsec_") not in row
    assert crypto.base64.b64decode(secret.removeprefix("whsec_")).hex() not in row


async def test_a_secret_opens_for_no_other_row(
    admin: httpx.AsyncClient, superuser: asyncpg.Connection, settings: Settings
) -> None:
    first, second = await make(admin, URL), await make(admin, URL)
    await superuser.execute(
        "update webhook w set secret_sealed = o.secret_sealed from webhook o where w.id::text = $1 and o.id::text = $2",
        first["id"],
        second["id"],
    )
    with pytest.raises(crypto.Unreadable):
        await secrets_of(superuser, settings, first["id"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("/url", "missing")]),
        ({"url": 5}, [("/url", "string-type")]),
        ({"url": "http://receiver.example/"}, [("/url", "url-refused")]),
        ({"url": "http://127.0.0.1/"}, [("/url", "url-refused")]),
        ({"url": "https://127.0.0.1/"}, [("/url", "url-refused")]),
        ({"url": "https://10.0.0.1/"}, [("/url", "url-refused")]),
        ({"url": "https://a@receiver.example/"}, [("/url", "url-refused")]),
        ({"url": URL + "a" * 2000}, [("/url", "string-too-long")]),
        ({"url": URL, "types": []}, [("/types", "too-short")]),
        ({"url": URL, "types": ["response.vanished"]}, [("/types/0", "unknown-code")]),
        ({"url": URL, "types": ["alert.raised", "alert.raised"]}, [("/types", "duplicate-code")]),
        ({"url": URL, "types": "alert.raised"}, [("/types", "list-type")]),
        ({"url": URL, "description": "a" * 201}, [("/description", "string-too-long")]),
        ({"url": URL, "enabled": "yes"}, [("/enabled", "bool-type")]),
        ({"url": URL} | dict.fromkeys(["secret"], "a"), [("/secret", "extra-forbidden")]),
    ],
)
async def test_what_cannot_be_a_webhook(
    admin: httpx.AsyncClient, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    answer = await admin.post("/v1/webhooks", json=body)
    assert faults(answer) == expected
    assert "receiver.example" not in answer.text
    assert (await admin.get("/v1/webhooks")).json()["items"] == []


async def test_the_code_list_names_the_types(admin: httpx.AsyncClient) -> None:
    listed = (await admin.get("/v1/codes")).json()["webhook_event"]
    assert tuple(code["code"] for code in listed) == EVENTS
    assert {"response.recorded", "alert.raised", "webhook.disabled"} <= set(EVENTS)
    assert (await make(admin, URL, types=list(reversed(EVENTS))))["types"] == list(EVENTS)


async def test_every_type_that_the_database_writes_is_in_the_list(superuser: asyncpg.Connection) -> None:
    rows = await superuser.fetch(
        "select distinct m[1] from pg_proc, regexp_matches(prosrc, 'insert into outbox[^;]*?''([a-z_.]+)''', 'g') m"
    )
    topics = {row[0] for row in rows}
    assert {"response.recorded", "alert.raised"} <= topics <= set(EVENTS)


async def test_this_machine_is_reached_by_http_where_a_setting_says_so(
    admin: httpx.AsyncClient, loopback: None
) -> None:
    assert (await make(admin, "http://127.0.0.1:9/"))["url"] == "http://127.0.0.1:9/"
    assert faults(await admin.post("/v1/webhooks", json={"url": "http://10.0.0.1/"})) == [("/url", "url-refused")]


async def test_there_are_so_many_and_no_more(admin: httpx.AsyncClient) -> None:
    first = await make(admin, URL)
    for _ in range(MOST_WEBHOOKS - 1):
        await make(admin, URL)
    problem(await admin.post("/v1/webhooks", json={"url": URL}), 409, "too-many-webhooks")
    page = (await admin.get("/v1/webhooks", params={"limit": 15})).json()
    rest = await admin.get("/v1/webhooks", params={"limit": 15, "cursor": page["next"]})
    ids = [item["id"] for item in page["items"] + rest.json()["items"]]
    assert ids == sorted(ids)
    assert len(set(ids)) == MOST_WEBHOOKS
    assert (rest.json()["next"], "link" in rest.headers) == (None, False)
    assert (await admin.delete(f"/v1/webhooks/{first['id']}", headers=match(first))).status_code == 204
    await make(admin, URL)


async def test_changes_need_the_version_and_make_the_next(admin: httpx.AsyncClient) -> None:
    made = await make(admin, URL, types=["alert.raised"])
    path = f"/v1/webhooks/{made['id']}"
    for method, body in (("PATCH", {"description": "x"}), ("DELETE", None)):
        problem(await admin.request(method, path, json=body), 428, "precondition-required")
        stale = await admin.request(method, path, json=body, headers={"If-Match": '"7"'})
        problem(stale, 412, "precondition-failed")
    problem(await admin.post(path + "/rotate-secret", json={}), 428, "precondition-required")
    answer = await admin.patch(path, json={"url": URL + "/2", "types": None, "description": "x"}, headers=match(made))
    changed = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert (changed["url"], changed["types"], changed["description"]) == (URL + "/2", None, "x")
    assert "secret" not in changed
    same = await admin.patch(path, json={"description": "x"}, headers=match(changed))
    assert same.json() == changed, "what changes nothing makes no version"
    off = (await admin.patch(path, json={"enabled": False}, headers=match(changed))).json()
    assert (off["enabled"], off["disabled_because"], off["version"]) == (False, "administrator", 3)
    problem(await admin.post(path + "/test"), 409, "webhook-disabled")
    problem(await admin.post(path + "/replay", json={"since": "2026-01-01T00:00:00Z"}), 409, "webhook-disabled")
    again = (await admin.patch(path, json={"enabled": True}, headers=match(off))).json()
    assert (again["enabled"], again["disabled_because"]) == (True, None)
    assert (await admin.delete(path, headers=match(again))).status_code == 204
    problem(await admin.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"url": None}, [("/url", "null")]),
        ({"enabled": None}, [("/enabled", "null")]),
        ({"url": "https://127.0.0.1/"}, [("/url", "url-refused")]),
        ({"types": ["x"]}, [("/types/0", "unknown-code")]),
        ({"version": 5}, [("/version", "extra-forbidden")]),
    ],
)
async def test_what_cannot_be_changed(
    admin: httpx.AsyncClient, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    made = await make(admin, URL)
    assert faults(await admin.patch(f"/v1/webhooks/{made['id']}", json=body, headers=match(made))) == expected


async def test_a_rotation_keeps_the_former_secret_for_a_while(
    admin: httpx.AsyncClient, superuser: asyncpg.Connection, settings: Settings
) -> None:
    made = await make(admin, URL)
    path = f"/v1/webhooks/{made['id']}/rotate-secret"
    answer = await admin.post(path, json={}, headers=match(made))
    first = answer.json()
    assert (answer.status_code, answer.headers["etag"], answer.headers["cache-control"]) == (200, '"2"', "no-store")
    until = datetime.fromisoformat(first["rotating_until"])
    assert timedelta(hours=23.9) < until - datetime.now(UTC) <= timedelta(hours=24)
    assert await secrets_of(superuser, settings, made["id"]) == [first["secret"], made["secret"]]
    second = (await admin.post(path, json={"overlap_hours": 1}, headers=match(first))).json()
    assert await secrets_of(superuser, settings, made["id"]) == [second["secret"], first["secret"]]
    third = (await admin.post(path, json={"overlap_hours": 0}, headers=match(second))).json()
    assert third["rotating_until"] is None
    assert await secrets_of(superuser, settings, made["id"]) == [third["secret"], None]
    assert len({one["secret"] for one in (made, first, second, third)}) == 4
    for hours in (-1, 169, "1", 1.5):
        answer = await admin.post(path, json={"overlap_hours": hours}, headers=match(third))
        assert answer.status_code == 422


@pytest.mark.parametrize("role", ["ehr", "clinician", "researcher"])
async def test_it_is_the_business_of_administrators(app: FastAPI, tenant: Tenant, role: str) -> None:
    async with web(app, tenant.slug, role) as somebody:
        problem(await somebody.get("/v1/webhooks"), 403, "forbidden")
        problem(await somebody.post("/v1/webhooks", json={"url": URL}), 403, "forbidden")


async def test_every_step_is_on_record(admin: httpx.AsyncClient, superuser: asyncpg.Connection, tenant: Tenant) -> None:
    made = await make(admin, URL)
    path = f"/v1/webhooks/{made['id']}"
    await admin.get(path)
    await admin.patch(path, json={"description": "x"}, headers={"If-Match": '"9"'})
    await admin.patch(path, json={"description": "x"}, headers=match(made))
    await admin.post(path + "/test")
    await admin.post(path + "/rotate-secret", json={}, headers={"If-Match": "*"})
    await admin.delete(path, headers={"If-Match": "*"})
    rows = await superuser.fetch(
        "select action, outcome from audit_event where organisation_id = $1 and resource = 'webhook' order by id",
        tenant.id,
    )
    assert [tuple(row) for row in rows] == [
        ("create", "done"),
        ("read", "done"),
        ("change", "stale"),
        ("change", "done"),
        ("test", "done"),
        ("rotate-secret", "done"),
        ("delete", "done"),
    ]
