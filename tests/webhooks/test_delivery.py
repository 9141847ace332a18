"""From what happened to what was received: handed out, sent, tried again, given up, replayed."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from api.webhooks import jobs as webhook_jobs
from api.webhooks.retries import ATTEMPTS, PAUSES
from benchmarks.receiver import Receiver, answer
from tests.api.people import Person, problem, web
from tests.conftest import Tenant
from tests.webhooks.conftest import Worker, make

ALERTING = {"instrument": "phq-9", "answers": {str(number): 3 for number in range(1, 10)}}
"""Answers that raise an alert."""


async def happen(ehr: Person, number: int = 1, **members: Any) -> list[str]:
    """Record forms; their ids."""
    client_id = await ehr.client()
    recorded = [await ehr.respond(client_id, **members) for _ in range(number)]
    assert {one.status_code for one in recorded} == {201}, recorded[0].text
    return [one.json()["id"] for one in recorded]


async def test_what_happens_is_received_verified_and_only_once(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker
) -> None:
    made = await make(admin, receiver.url)
    responses = await happen(ehr, 3)
    await worker.run()
    assert [got.json["data"] for got in receiver.got] == [{"response_id": one} for one in responses]
    for got in receiver.got:
        assert Webhook(made["secret"]).verify(got.body, got.headers)["type"] == "response.recorded"
    assert await worker.deliveries("id::text", "state", "attempts", "last_status", "last_error", "next_attempt_at") == [
        (got.id, "delivered", 1, 204, None, None) for got in receiver.got
    ]
    await worker.later()
    assert len(receiver.got) == 3
    assert worker.counted("delivered") == 3
    assert await worker.failed() == []


async def test_an_alert_is_told_and_nothing_of_what_was_answered(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker, superuser: asyncpg.Connection
) -> None:
    await make(admin, receiver.url)
    client_id = await ehr.client(external_id="A-17")
    recorded = (await ehr.respond(client_id, **ALERTING)).json()
    await worker.run()
    alert_id = await superuser.fetchval("select id::text from alert where organisation_id = $1", worker.tenant.id)
    told = {got.json["type"]: got.json["data"] for got in receiver.got}
    assert told == {
        "response.recorded": {"response_id": recorded["id"]},
        "alert.raised": {"alert_id": alert_id},
    }
    for got in receiver.got:
        text = json.dumps([got.line, got.headers, got.body.decode()])
        assert len(got.body) < 20_000
        for secret in (client_id, "A-17", "phq", "answers", worker.tenant.slug, str(worker.tenant.id)):
            assert secret not in text


async def test_each_endpoint_gets_what_it_asked_for_with_the_same_id(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker
) -> None:
    async with Receiver.listening() as alerts, Receiver.listening() as off:
        await make(admin, receiver.url)
        await make(admin, alerts.url, types=["alert.raised"])
        await make(admin, off.url, enabled=False)
        await happen(ehr, **ALERTING)
        await worker.run()
        assert sorted(got.json["type"] for got in receiver.got) == ["alert.raised", "response.recorded"]
        assert [got.json["type"] for got in alerts.got] == ["alert.raised"]
        assert alerts.ids[0] in receiver.ids
        assert off.connections == 0
    states = sorted(await worker.deliveries("state"))
    assert states == [("delivered",)] * 3 + [("disabled",)] * 2


async def test_an_endpoint_hears_nothing_of_what_was_before_it(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker, superuser: asyncpg.Connection
) -> None:
    (before,) = await happen(ehr)
    await superuser.execute(
        "update outbox set created_at = now() - interval '6 minutes', "
        "id = first_uuid_at(now() - interval '6 minutes') where organisation_id = $1",
        worker.tenant.id,
    )
    await make(admin, receiver.url)
    (after,) = await happen(ehr)
    await worker.run()
    assert [got.json["data"]["response_id"] for got in receiver.got] == [after]
    assert before != after


async def test_other_organisations_hear_nothing(
    app: FastAPI, admin: httpx.AsyncClient, other_tenant: Tenant, receiver: Receiver, worker: Worker
) -> None:
    await make(admin, receiver.url)
    async with web(app, other_tenant.slug, "ehr") as other:
        await happen(Person(other))
    await worker.run()
    assert receiver.got == []


async def test_a_failure_is_tried_again_with_the_same_id_and_a_fresh_signature(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker, superuser: asyncpg.Connection
) -> None:
    made = await make(admin, receiver.url)
    receiver.always(answer(500), answer(302, "location: /"), None, answer(200))
    await happen(ehr)
    for number, (status, error) in enumerate([(500, None), (302, None), (None, "answer-malformed")], 1):
        before = datetime.now(UTC)
        await (worker.run() if number == 1 else worker.later())
        ((state, attempts, last, why, due),) = await worker.deliveries(
            "state", "attempts", "last_status", "last_error", "next_attempt_at"
        )
        assert (state, attempts, last, why) == ("pending", number, status, error)
        assert PAUSES[number - 1] <= due - before <= PAUSES[number - 1] * 1.2 + timedelta(seconds=5)
        await asyncio.sleep(1.0 if number == 1 else 0)  # timestamps count seconds
    assert (await worker.webhook(made["id"]))["failing_since"] is not None
    await worker.later()
    assert await worker.deliveries("state", "attempts", "last_status") == [("delivered", 4, 200)]
    assert (await worker.webhook(made["id"]))["failing_since"] is None
    assert len(set(receiver.ids)) == 1
    assert len({got.body for got in receiver.got}) == 1
    assert len({got.headers["webhook-timestamp"] for got in receiver.got}) >= 2
    for got in receiver.got:
        Webhook(made["secret"]).verify(got.body, got.headers)
    assert (worker.counted("retried"), worker.counted("delivered")) == (3, 1)


async def test_after_ten_attempts_it_has_failed_and_can_be_replayed(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker
) -> None:
    made = await make(admin, receiver.url)
    path = f"/v1/webhooks/{made['id']}"
    receiver.always(answer(500))
    await happen(ehr)
    await worker.run()
    for _ in range(ATTEMPTS + 2):
        await worker.later()
    assert len(receiver.got) == ATTEMPTS
    ((message_id, state, attempts),) = await worker.deliveries("id::text", "state", "attempts")
    assert (message_id, state, attempts) == (receiver.ids[0], "failed", ATTEMPTS)
    listed = (await admin.get(path + "/deliveries", params={"state": "failed"})).json()["items"]
    assert [one["id"] for one in listed] == [message_id]
    assert listed[0]["last_status"] == 500
    assert (await admin.get(path)).json()["failing_since"] is not None
    receiver.always(answer(200))
    replayed = await admin.post(f"{path}/deliveries/{message_id}/replay")
    assert (replayed.status_code, replayed.json()["state"], replayed.json()["attempts"]) == (202, "pending", 0)
    await worker.run()
    found = (await admin.get(f"{path}/deliveries/{message_id}")).json()
    assert (found["state"], found["attempts"], found["last_status"]) == ("delivered", 1, 200)
    assert set(receiver.ids) == {message_id}


async def test_what_was_delivered_can_be_replayed_too(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker
) -> None:
    made = await make(admin, receiver.url)
    await happen(ehr)
    await worker.run()
    path = f"/v1/webhooks/{made['id']}/deliveries"
    assert (await admin.post(f"{path}/{receiver.ids[0]}/replay")).status_code == 202
    await worker.run()
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    problem(await admin.post(f"{path}/{uuid.uuid4()}/replay"), 404, "not-found")
    problem(await admin.get(f"{path}/{uuid.uuid4()}"), 404, "not-found")


@pytest.mark.parametrize(
    ("status", "lines", "seconds"),
    [
        (429, ["retry-after: 600"], 600),
        (503, ["retry-after: 999999999"], 86_400),
        (502, [], 10),
        (504, ["retry-after: nonsense"], 10),
        (429, ["retry-after: 0"], 0),
        (500, ["retry-after: 600"], None),
    ],
)
async def test_an_endpoint_that_is_overloaded_is_left_alone(
    admin: httpx.AsyncClient,
    ehr: Person,
    receiver: Receiver,
    worker: Worker,
    status: int,
    lines: list[str],
    seconds: int | None,
) -> None:
    made = await make(admin, receiver.url)
    receiver.always(answer(status, *lines))
    await happen(ehr)
    before = datetime.now(UTC)
    await worker.run()
    paused = (await worker.webhook(made["id"]))["paused_until"]
    if seconds is None:
        assert paused is None
    else:
        assert timedelta(seconds=seconds) <= paused - before < timedelta(seconds=seconds + 10)
    ((due,),) = await worker.deliveries("next_attempt_at")
    asked = timedelta(seconds=600 if lines == ["retry-after: 600"] else seconds if seconds == 86_400 else 5)
    assert asked <= due - before < asked * 1.2 + timedelta(seconds=10)
    if seconds:
        await happen(ehr)
        await worker.run()
        assert len(receiver.got) == 1, "while it is paused nothing else is sent either"
        receiver.always(answer(200))
        await worker.later()
        assert len(receiver.got) == 3


async def test_gone_is_gone(
    admin: httpx.AsyncClient,
    ehr: Person,
    receiver: Receiver,
    worker: Worker,
    superuser: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(webhook_jobs.logging.logger, "warning", lambda event, **line: said.append({event: line}))
    async with Receiver.listening() as other:
        made = await make(admin, receiver.url)
        await make(admin, other.url)
        path = f"/v1/webhooks/{made['id']}"
        receiver.always(answer(410))
        await happen(ehr)
        await worker.run()
        found = (await admin.get(path)).json()
        assert (found["enabled"], found["disabled_because"], found["version"]) == (False, "gone", 2)
        await happen(ehr)
        await worker.run()
        assert len(receiver.got) == 1
        assert [got.json["type"] for got in other.got].count("response.recorded") == 2
        told = [got.json["data"] for got in other.got if got.json["type"] == "webhook.disabled"]
        assert told == [{"webhook_id": made["id"]}], "the others are told"
    missed = (await admin.get(path + "/deliveries", params={"state": "disabled"})).json()["items"]
    assert [one["type"] for one in missed] == ["response.recorded"] * 2
    event = await superuser.fetchrow(
        "select subject, role, outcome from audit_event where organisation_id = $1 and action = 'disable'",
        worker.tenant.id,
    )
    assert event is not None
    assert tuple(event) == ("fathomline", "service", "gone")
    assert said == [{"webhook": {"state": "disabled", "because": "gone"}}]
    receiver.always(answer(200))
    await admin.patch(path, json={"enabled": True}, headers={"If-Match": '"2"'})
    answered = await admin.post(path + "/replay", json={"since": "2026-01-01T00:00:00Z"})
    assert (answered.status_code, answered.json()) == (202, {"replayed": 2})
    await worker.run()
    assert [got.json["type"] for got in receiver.got[1:]] == ["response.recorded"] * 2


async def test_patience_ends_after_five_days_without_success(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker, superuser: asyncpg.Connection
) -> None:
    made = await make(admin, receiver.url)
    receiver.always(answer(500))
    await happen(ehr, 2)
    await worker.run()
    for days, enabled in ((4.9, True), (5.1, False)):
        await superuser.execute(
            "update webhook set failing_since = now() - $2::interval where organisation_id = $1",
            worker.tenant.id,
            timedelta(days=days),
        )
        await worker.later()
        assert (await worker.webhook(made["id"]))["enabled"] is enabled
    found = (await admin.get(f"/v1/webhooks/{made['id']}")).json()
    assert found["disabled_because"] == "failing"
    assert {state for (state,) in await worker.deliveries("state")} == {"disabled"}
    again = await admin.patch(f"/v1/webhooks/{made['id']}", json={"enabled": True}, headers={"If-Match": '"2"'})
    assert again.json()["failing_since"] is None, "it starts afresh"


async def test_disabling_puts_off_and_replaying_since_takes_only_what_is_meant(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker
) -> None:
    made = await make(admin, receiver.url)
    path = f"/v1/webhooks/{made['id']}"
    await happen(ehr)
    await worker.run()
    receiver.always(answer(500))
    await happen(ehr, 2)
    await worker.run()
    await admin.patch(path, json={"enabled": False}, headers={"If-Match": "*"})
    assert [state for (state,) in await worker.deliveries("state")] == ["delivered", "disabled", "disabled"]
    await worker.later()
    assert len(receiver.got) == 3
    await admin.patch(path, json={"enabled": True}, headers={"If-Match": "*"})
    times = [at for (at,) in await worker.deliveries("occurred_at")]
    for since, number in ((times[2] + timedelta(seconds=1), 0), (times[2], 1), (times[0], 1)):
        answered = await admin.post(path + "/replay", json={"since": since.isoformat()})
        assert answered.json() == {"replayed": number}
    problem(await admin.post(path + "/replay", json={"since": "2026-01-01"}), 422, "request-invalid")
    receiver.always(answer(200))
    await worker.run()
    assert {state for (state,) in await worker.deliveries("state")} == {"delivered"}


async def test_a_test_is_sent_whatever_the_filter_says(
    admin: httpx.AsyncClient, receiver: Receiver, worker: Worker
) -> None:
    made = await make(admin, receiver.url, types=["alert.raised"])
    answered = await admin.post(f"/v1/webhooks/{made['id']}/test")
    assert answered.status_code == 202
    await worker.run()
    assert receiver.got[0].json["type"] == "webhook.test"
    assert receiver.got[0].json["data"] == {"webhook_id": made["id"]}
    found = (await admin.get(answered.headers["location"])).json()
    assert (found["id"], found["state"]) == (receiver.ids[0], "delivered")


async def test_during_a_rotation_both_secrets_sign_and_afterwards_one(
    admin: httpx.AsyncClient, receiver: Receiver, worker: Worker, superuser: asyncpg.Connection
) -> None:
    made = await make(admin, receiver.url)
    path = f"/v1/webhooks/{made['id']}"
    rotated = (await admin.post(path + "/rotate-secret", json={}, headers={"If-Match": "*"})).json()
    await admin.post(path + "/test")
    await worker.run()
    await superuser.execute("update webhook set previous_until = now() where organisation_id = $1", worker.tenant.id)
    await admin.post(path + "/test")
    await worker.run()
    during, after = receiver.got
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(during.body, during.headers)
    Webhook(rotated["secret"]).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(after.body, after.headers)


async def test_deliveries_come_in_pages_newest_first(
    admin: httpx.AsyncClient, ehr: Person, receiver: Receiver, worker: Worker
) -> None:
    made = await make(admin, receiver.url)
    receiver.always(answer(200), answer(500))
    await happen(ehr, 5)
    await worker.run()
    path: str | None = f"/v1/webhooks/{made['id']}/deliveries?limit=2"
    pages = []
    while path is not None:
        page = await admin.get(path)
        pages.append([one["id"] for one in page.json()["items"]])
        path = page.headers["link"].split(">")[0].lstrip("<") if "link" in page.headers else None
    assert [len(page) for page in pages] == [2, 2, 1]
    ids = [one for page in pages for one in page]
    assert ids == [row[0] for row in await worker.deliveries("id::text")][::-1]
    pending = await admin.get(f"/v1/webhooks/{made['id']}/deliveries", params={"state": "pending", "limit": 3})
    assert len(pending.json()["items"]) == 3
    assert "state=pending" in pending.headers["link"]
