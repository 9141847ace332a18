"""Responses that arrive together are recorded as if each had come alone, and with fewer calls."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api.db import Database
from api.ids import new_id
from api.responses import together
from api.responses.recording import (
    AlertToRecord,
    Comparable,
    MayBeWorse,
    Recorded,
    ResponseToRecord,
    ScoreToRecord,
    record,
)
from api.responses.together import Recorder
from tests.conftest import Tenant
from tests.factories import NOON, make_client, make_episode, make_recording
from tests.platform.test_recording import NOTHING, TABLES, counts

DOCUMENT = '{"id":"%s","alerts":[],"flags":[]}'
BLOCKED = "select pid from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid))"
"""Who waits for what the asking connection holds, and not for a test that runs beside this one."""
TAIL = len('],"flags":[]}')


@pytest.fixture
async def clients(service: asyncpg.Connection, tenant: Tenant) -> list[uuid.UUID]:
    return [await make_client(service, tenant.id) for _ in range(6)]


@pytest.fixture
def recorder(opened: Database) -> Recorder:
    return Recorder(opened.pool)


async def all_at_once(recorder: Recorder, responses: Sequence[ResponseToRecord]) -> list[Recorded]:
    return list(await asyncio.gather(*(recorder.record(one) for one in responses)))


async def transactions(superuser: asyncpg.Connection, tenant: Tenant) -> int:
    """In how many the organisation's responses were written."""
    wanted = "select count(distinct xmin::text) from response where organisation_id = $1"
    found: int = await superuser.fetchval(wanted, tenant.id)
    return found


async def rows(superuser: asyncpg.Connection, tenant: Tenant) -> dict[str, list[tuple[Any, ...]]]:
    """All that is kept of the organisation, without what every row has of its own."""
    kept = {}
    for table in TABLES:
        found = await superuser.fetch(f"select * from {table} where organisation_id = $1", tenant.id)  # noqa: S608  - our names
        kept[table] = sorted(
            tuple(str(value) for value in row.values() if not isinstance(value, uuid.UUID)) for row in found
        )
    return kept


def of_every_kind(tenant: Tenant, clients: Sequence[uuid.UUID], episode_id: uuid.UUID) -> list[ResponseToRecord]:
    """Responses of the first client, who has an episode and no organs of those presumed, and of four others."""
    alerts = (
        AlertToRecord(new_id(), "a", "3,4", "urgent"),
        AlertToRecord(new_id(), "b", "", "notice", "threshold", "x"),
    )
    document = DOCUMENT % "one"
    none_of_these = {"organs": ["penis", 'a "b", c'], "outside": ('{"flag":"o"}', '{"flag":"p"}', None)}
    return [
        make_recording(tenant.id, clients[0], episode_id=episode_id, document=document, **none_of_these),
        make_recording(tenant.id, clients[1], idempotency_key=None, setting="clinic", alerts=alerts),
        make_recording(
            tenant.id, clients[2], subject="ehr-2", role="clinician", request_id="r-2", valid=False, scores=()
        ),
        make_recording(tenant.id, clients[3], document=document, partner=True, **none_of_these),
        make_recording(
            tenant.id, clients[4], document=document, outside=(None, None, '{"flag":"q"}'), instrument="moth-2",
            instrument_version=3, definition_checksum="1" * 64, variant="other", answered_at=NOON - timedelta(days=3),
            recorded_at=NOON + timedelta(days=1), answers='{"1": null}', alerts=alerts[:0],
            scores=(
                ScoreToRecord("null", 0.1 + 0.2, "prorated", valid=False), ScoreToRecord("-1", -1e-7, "complete", True),
                ScoreToRecord("b_2-c", None, "not_applicable", valid=True),
            ),
        ),
    ]  # fmt: skip


async def test_together_writes_what_each_alone_writes(
    opened: Database,
    recorder: Recorder,
    superuser: asyncpg.Connection,
    service: asyncpg.Connection,
    tenant: Tenant,
    other_tenant: Tenant,
) -> None:
    made: dict[Tenant, list[ResponseToRecord]] = {}
    for there in (tenant, other_tenant):
        clients = [await make_client(service, there.id, organs=["vagina"]) for _ in range(5)]
        clients[3] = await make_client(service, there.id, partnered=False)
        made[there] = of_every_kind(there, clients, await make_episode(service, there.id, clients[0]))
    keys = [one.idempotency_key for one in made[tenant]]
    made[other_tenant] = [replace(one, idempotency_key=key) for one, key in zip(made[other_tenant], keys, strict=True)]
    got = await all_at_once(recorder, made[tenant])
    alone = [await record(opened.pool, one) for one in made[other_tenant]]
    assert [one.response_id for one in got] == [one.id for one in made[tenant]]
    assert [(one.outcome, one.document) for one in got] == [(one.outcome, one.document) for one in alone]
    assert [json.loads(got[n].document or "")["flags"] for n in (0, 3, 4)] == [
        [{"flag": "o"}],
        [{"flag": "p"}],
        [{"flag": "q"}],
    ]
    assert await rows(superuser, tenant) == await rows(superuser, other_tenant)
    assert await transactions(superuser, tenant) == 1
    for one in made[tenant]:
        event = "select resource_id from {} where organisation_id = $1 and id = $2"
        for table in ("audit_event", "outbox"):
            assert await superuser.fetchval(event.format(table), tenant.id, one.event_id) == one.id
        for alert in one.alerts:
            of = await superuser.fetchrow("select response_id, client_id from alert where id = $1", alert.id)
            assert tuple(of) == (one.id, one.client_id)
        kept = await superuser.fetch("select scale from score where response_id = $1", one.id)
        assert {row[0] for row in kept} == {score.scale for score in one.scores}
        if one.idempotency_key is not None:
            stands_for = "select response_id from idempotency_key where organisation_id = $1 and key = $2"
            assert await superuser.fetchval(stands_for, tenant.id, one.idempotency_key) == one.id


@pytest.mark.parametrize("long", [0.0, together.LONG, 60.0])
async def test_of_many_none_is_lost_or_doubled(
    recorder: Recorder,
    superuser: asyncpg.Connection,
    tenant: Tenant,
    clients: list[uuid.UUID],
    monkeypatch: pytest.MonkeyPatch,
    long: float,
) -> None:
    """More than one call takes, several of each client, each sent twice at once with its key; however long calls take.

    Every call takes long, some do, none does.
    """
    monkeypatch.setattr(together, "LONG", long)
    made = [make_recording(tenant.id, clients[n % 6], document=f'{{"n": {n}}}') for n in range(90)]
    again = [replace(one, id=new_id(), event_id=new_id(), document='{"another": 1}') for one in made]
    got = await all_at_once(recorder, [one for pair in zip(made, again, strict=True) for one in pair])
    assert sorted(one.outcome for one in got) == ["created"] * 90 + ["replayed"] * 90
    for first, second in zip(got[::2], got[1::2], strict=True):
        assert (first.response_id, first.document) == (second.response_id, second.document)
    written = {"response": 90, "score": 180, "audit_event": 90, "outbox": 90, "idempotency_key": 90}
    assert await counts(superuser, tenant.id) == NOTHING | written
    assert recorder._organisations == {}, "nothing is left of it"


async def test_who_does_not_fit_costs_the_others_nothing(
    opened: Database,
    recorder: Recorder,
    superuser: asyncpg.Connection,
    service: asyncpg.Connection,
    tenant: Tenant,
    other_tenant: Tenant,
    clients: list[uuid.UUID],
) -> None:
    elsewhere = await make_client(service, other_tenant.id)
    episode_id = await make_episode(service, tenant.id, clients[2])
    used = make_recording(tenant.id, clients[0])
    await record(opened.pool, used)
    wanted = {
        "created": make_recording(tenant.id, clients[1]),
        "client_unknown": make_recording(tenant.id, elsewhere),
        "episode_unknown": make_recording(tenant.id, clients[3], episode_id=episode_id),
        "outside_episode": make_recording(
            tenant.id, clients[2], episode_id=episode_id, answered_at=NOON - timedelta(days=31)
        ),
        "conflict": replace(used, id=new_id(), client_id=clients[4], request_hash=hashlib.sha256(b"b").digest()),
        "replayed": replace(used, id=new_id(), client_id=clients[5]),
    }
    got = await all_at_once(recorder, list(wanted.values()))
    assert [one.outcome for one in got] == list(wanted)
    assert [one.response_id for one in got] == [wanted["created"].id, None, None, None, None, used.id]
    assert await counts(superuser, tenant.id) == NOTHING | {
        "response": 2, "score": 4, "audit_event": 2, "outbox": 2, "idempotency_key": 2
    }  # fmt: skip
    assert await counts(superuser, other_tenant.id) == NOTHING
    for refused in ("client_unknown", "episode_unknown", "outside_episode"):
        free = make_recording(tenant.id, clients[1], idempotency_key=wanted[refused].idempotency_key)
        assert (await recorder.record(free)).outcome == "created", "a refused request does not use its key up"


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": (ScoreToRecord("total", None, "complete", valid=True),)},
        {"answers": "[]"},
        {"document": "{not json"},
        {"document": "\ud800"},
        {"setting": "\0"},
        {"alerts": (AlertToRecord(uuid.UUID(int=1), "a", "1", "high"),) * 2},
    ],
)
async def test_what_the_database_refuses_fails_alone(
    recorder: Recorder,
    superuser: asyncpg.Connection,
    tenant: Tenant,
    clients: list[uuid.UUID],
    changes: dict[str, Any],
) -> None:
    made = [make_recording(tenant.id, client_id) for client_id in clients]
    made[2] = replace(made[2], **changes)
    got = await asyncio.gather(*(recorder.record(one) for one in made), return_exceptions=True)
    assert isinstance(got.pop(2), asyncpg.PostgresError)
    assert [one.outcome for one in got if isinstance(one, Recorded)] == ["created"] * 5
    assert (await counts(superuser, tenant.id))["response"] == 5


def held(tenant: Tenant, client_id: uuid.UUID, value: float, **changes: Any) -> ResponseToRecord:
    """A response with one score that is worse than a baseline from five points above it on."""
    worse = MayBeWorse(new_id, "total", value, 5.0, '"kind":"worsening"')
    scores = (ScoreToRecord("total", value, "complete", valid=True),)
    asked = {"worse": (worse,), "comparable": Comparable((1,), ("default",)), "tail": TAIL, "scores": scores}
    return make_recording(tenant.id, client_id, document=DOCUMENT % value, **asked | changes)


def baseline_in(recorded: Recorded) -> list[tuple[str, float]]:
    alerts = json.loads(recorded.document or "")["alerts"]
    return [(alert["baseline_response_id"], alert["change"]) for alert in alerts]


async def test_worse_than_the_baseline_is_told_as_alone(
    recorder: Recorder, superuser: asyncpg.Connection, tenant: Tenant, clients: list[uuid.UUID]
) -> None:
    first = [held(tenant, client_id, 10.0) for client_id in clients]
    first[2] = replace(first[2], scores=(ScoreToRecord("total", None, "insufficient", valid=True),), worse=())
    first[3] = replace(first[3], valid=False, scores=(ScoreToRecord("total", 10.0, "complete", valid=False),), worse=())
    assert all(baseline_in(one) == [] for one in await all_at_once(recorder, first))
    later = NOON + timedelta(days=1)
    second = [held(tenant, clients[n], (15.0, 15.5, 16.0, 30.0)[n], answered_at=later) for n in range(4)]
    got = await all_at_once(recorder, second)
    assert [baseline_in(one) for one in got] == [[], [(str(first[1].id), 5.5)], [], []]
    third = [held(tenant, clients[n], 40.0, answered_at=later + timedelta(days=1)) for n in range(4)]
    got = await all_at_once(recorder, third)
    bases = [(first[0], 10.0), (first[1], 10.0), (second[2], 16.0), (second[3], 30.0)]
    assert [baseline_in(one) for one in got] == [[(str(base.id), 40.0 - value)] for base, value in bases]
    raised = await superuser.fetch("select response_id, kind from alert where organisation_id = $1", tenant.id)
    wanted = {(second[1].id, "worsening")} | {(one.id, "worsening") for one in third}
    assert {tuple(row) for row in raised} == wanted


async def scored_anew(superuser: asyncpg.Connection, response: ResponseToRecord, value: float) -> None:
    """A run that counts, which has given a response another score."""
    own, run = response.organisation_id, new_id()
    await superuser.execute(
        "insert into rescoring (organisation_id, id, instrument, from_version, to_version, to_checksum, reason,"
        " dry_run, requested_by, created_at, state)"
        " values ($1, $2, $3, 1, 1, $4, 'invented', false, 'admin-1', $5, 'done')",
        own, run, response.instrument, "1" * 64, NOON,
    )  # fmt: skip
    await superuser.execute("insert into rescoring_effect values ($1, $2, 'applied', $3, 'admin-1')", own, run, NOON)
    rescored = "insert into rescored values ($1, $2, $3, 'total', $4, 'complete', true)"
    await superuser.execute(rescored, own, response.id, run, value)


async def test_the_baseline_is_the_score_that_counts(
    recorder: Recorder, superuser: asyncpg.Connection, tenant: Tenant, clients: list[uuid.UUID]
) -> None:
    first = [held(tenant, client_id, 30.0) for client_id in clients[:3]]
    await all_at_once(recorder, first)
    await scored_anew(superuser, first[0], 10.0)
    later = NOON + timedelta(days=1)
    got = await all_at_once(recorder, [held(tenant, one.client_id, 16.0, answered_at=later) for one in first])
    assert [baseline_in(one) for one in got] == [[(str(first[0].id), 6.0)], [], []]


async def test_of_one_client_the_later_sees_the_earlier(
    recorder: Recorder, tenant: Tenant, clients: list[uuid.UUID]
) -> None:
    """Neither in one call nor in two at once: each would find no baseline."""
    days = [NOON + timedelta(days=n) for n in range(4)]
    made = [held(tenant, client, 10.0 * n, answered_at=days[n]) for client in clients[:2] for n in range(4)]
    got = await all_at_once(recorder, made)
    for of_one in (got[:4], got[4:]):
        told = [baseline_in(one) for one in of_one]
        assert told == [[], *([(str(of_one[0].response_id), 10.0 * n)] for n in range(1, 4))]


async def test_one_that_waits_for_a_lock_does_not_keep_the_others(
    recorder: Recorder,
    superuser: asyncpg.Connection,
    service: asyncpg.Connection,
    tenant: Tenant,
    clients: list[uuid.UUID],
) -> None:
    episode_id = await make_episode(service, tenant.id, clients[0])
    late = make_recording(tenant.id, clients[0], episode_id=episode_id, answered_at=NOON + timedelta(days=90))
    transaction = superuser.transaction()
    await transaction.start()
    ended = "update episode set ended_on = started_on, end_reason = 'completed' where id = $1"
    await superuser.execute(ended, episode_id)
    waits = asyncio.create_task(recorder.record(late))
    others = [make_recording(tenant.id, client_id) for client_id in clients[1:]]
    async with asyncio.timeout(5):
        assert {one.outcome for one in await all_at_once(recorder, others)} == {"created"}
    assert not waits.done(), "it waits for what the other transaction makes of the episode"
    await transaction.commit()
    assert (await waits).outcome == "outside_episode"


async def test_a_call_that_takes_long_is_not_waited_for(
    recorder: Recorder,
    superuser: asyncpg.Connection,
    service: asyncpg.Connection,
    tenant: Tenant,
    clients: list[uuid.UUID],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As many calls wait as there may be but one, and as many as there may be; then the others do, and are not lost."""
    monkeypatch.setattr(together, "PATIENCE", "20s")
    episodes = {client_id: await make_episode(service, tenant.id, client_id) for client_id in clients[:3]}
    transaction = superuser.transaction()
    await transaction.start()
    await superuser.execute("select from episode where id = any ($1) for update", list(episodes.values()))
    late: list[asyncio.Task[Recorded]] = []
    for number, (client_id, episode_id) in enumerate(episodes.items(), 1):
        late.append(asyncio.create_task(recorder.record(make_recording(tenant.id, client_id, episode_id=episode_id))))
        async with asyncio.timeout(10):
            while len(await superuser.fetch(BLOCKED)) < number:
                await asyncio.sleep(0.01)
        if number < together.MOST_CALLS:
            others = [make_recording(tenant.id, client_id) for client_id in clients[3:]]
            async with asyncio.timeout(5):
                assert {one.outcome for one in await all_at_once(recorder, others)} == {"created"}
    other = asyncio.create_task(recorder.record(make_recording(tenant.id, clients[5])))
    await asyncio.sleep(5 * together.LONG)
    assert not any(one.done() for one in (*late, other))
    await transaction.commit()
    assert {one.outcome for one in await asyncio.gather(*late, other)} == {"created"}
    assert recorder._organisations == {}


async def test_a_caller_that_gives_up_takes_nothing_from_the_others(
    recorder: Recorder, superuser: asyncpg.Connection, tenant: Tenant, clients: list[uuid.UUID]
) -> None:
    made = [make_recording(tenant.id, client_id) for client_id in clients]
    before, *asked = [asyncio.create_task(recorder.record(one)) for one in made]
    await asyncio.sleep(0)  # they wait, and nothing was called yet
    before.cancel()
    while (await counts(superuser, tenant.id))["response"] == 0 and not asked[0].done():
        await asyncio.sleep(0)
    asked.pop().cancel()
    assert [one.outcome for one in await asyncio.gather(*asked)] == ["created"] * 4
    assert await superuser.fetchval("select count(*) from response where client_id = $1", clients[0]) == 0
    assert (await recorder.record(make_recording(tenant.id, clients[0]))).outcome == "created"


@pytest.fixture
async def nowhere(tmp_path: Path) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    pool = await asyncpg.create_pool(f"postgresql://nobody@/none?host={tmp_path}", min_size=0, init=None)
    yield pool
    await pool.close()


async def test_without_a_database_everybody_is_told(
    nowhere: asyncpg.Pool[asyncpg.Record], tenant: Tenant, clients: list[uuid.UUID]
) -> None:
    recorder = Recorder(nowhere)
    for _ in range(2):
        asked = (recorder.record(make_recording(tenant.id, client_id)) for client_id in clients)
        got = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(one, OSError) for one in got)
    assert recorder._organisations == {}


async def test_a_connection_that_ends_is_not_tried_again(
    recorder: Recorder,
    superuser: asyncpg.Connection,
    service: asyncpg.Connection,
    tenant: Tenant,
    clients: list[uuid.UUID],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody knows whether it was committed: what has no key would be there twice."""
    monkeypatch.setattr(together, "PATIENCE", "20s")
    episode_id = await make_episode(service, tenant.id, clients[0])
    made = [make_recording(tenant.id, client_id, idempotency_key=None) for client_id in clients]
    made[0] = replace(made[0], episode_id=episode_id)
    transaction = superuser.transaction()
    await transaction.start()
    await superuser.execute("select from episode where id = $1 for update", episode_id)
    asked = asyncio.gather(*(recorder.record(one) for one in made), return_exceptions=True)
    while (pid := await superuser.fetchval(BLOCKED)) is None:
        await asyncio.sleep(0.01)
    await superuser.execute("select pg_terminate_backend($1)", pid)
    assert all(isinstance(one, asyncpg.PostgresError | OSError) for one in await asked)
    await transaction.rollback()
    assert await counts(superuser, tenant.id) == NOTHING


async def test_the_organisation_does_not_stay_with_the_connection(
    opened: Database, recorder: Recorder, tenant: Tenant, clients: list[uuid.UUID]
) -> None:
    await all_at_once(recorder, [make_recording(tenant.id, client_id) for client_id in clients])
    async with opened.pool.acquire() as connection:
        assert await connection.fetchval("select count(*) from response") == 0
        assert await connection.fetchval("show lock_timeout") == "0"
