"""Fits on own episodes and on data, by a worker and the process that it starts."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from datetime import timedelta

import pytest

from api.references import jobs
from api.references.child import fitted
from scoring.growth import MIN_PERSONS, GrowthModel
from tests.references.practice import PATH, WEEKS, Context, Practice, courses, csv_of


async def test_a_reference_is_fitted_on_own_closed_episodes(practice: Practice) -> None:
    await practice.close_episodes(courses(120))
    await practice.close_episodes(courses(30, seed=4), ended=False)
    found = await practice.fitted()
    assert found["state"] == "ready", found
    assert (found["persons"], found["observations"], found["horizon_weeks"]) == (120, 600, 9.0)
    assert found["source"] == "the organisation's own closed episodes"
    assert found["evidence"] == "derived"
    assert found["parameters"]["slope"] == pytest.approx(-0.5, abs=0.15)
    assert found["fit"]["holding"]["within_80"] == pytest.approx(0.8, abs=0.08)
    assert found["started_at"] <= found["ended_at"]
    assert not found["active"]
    row = await practice.superuser.fetchrow(
        "select model, staged from reference_set where id = $1", uuid.UUID(found["id"])
    )
    assert row is not None
    assert row["staged"] is None
    assert GrowthModel.of_document(json.loads(row["model"])).slope == found["parameters"]["slope"]


@pytest.mark.long
async def test_only_episodes_of_the_stratum_count_and_one_of_each_client(practice: Practice) -> None:
    """A hundred clients, each with an episode of the format and a later one of another."""
    clients = await practice.close_episodes(courses(MIN_PERSONS), format="couple")
    await practice.superuser.execute(
        "insert into episode (organisation_id, id, client_id, started_on, ended_on, end_reason, format, concerns,"
        " created_at, updated_at) select organisation_id, gen_random_uuid(), client_id, started_on, ended_on + 9,"
        " end_reason, 'couple', '{}', now(), now() from episode where client_id = any($1)",
        clients,
    )  # without any scores: it does not stand in for the one that has some
    await practice.close_episodes(courses(50, seed=9), format="individual")
    found = await practice.fitted(stratum={"format": "couple", "modality": "telehealth"})
    assert (found["state"], found["persons"]) == ("ready", MIN_PERSONS)
    none = await practice.fitted(stratum={"format": "couple", "modality": "in-person"})
    assert (none["state"], none["failure"]) == ("refused", "too-few-persons")
    assert "0 persons" in none["failure_detail"]


@pytest.mark.long
async def test_an_erased_client_no_longer_counts_and_a_fit_with_too_few_is_refused(practice: Practice) -> None:
    clients = await practice.close_episodes(courses(MIN_PERSONS))
    before = await practice.fitted()
    assert before["persons"] == MIN_PERSONS
    given = {"reason": "asked-for", "confirm": "no-duty-to-keep"}
    erased = await practice.people.admin.http.delete(f"/v1/clients/{clients[0]}", params=given)
    assert erased.status_code in (200, 202, 204), erased.text
    after = await practice.fitted()
    assert (after["number"], after["state"], after["failure"]) == (2, "refused", "too-few-persons")
    assert str(MIN_PERSONS - 1) in after["failure_detail"]
    assert await practice.read(before["id"]) == before, "parameters are nobody's"


@pytest.mark.long
async def test_one_severity_is_by_the_first_score(practice: Practice) -> None:
    scores = courses(400, start=12)
    await practice.close_episodes(scores)
    found = await practice.fitted(stratum={"severity": "moderate"})
    expected = sum(10 <= one[0] <= 14 for one in scores)
    assert f"{expected} persons" in (found["failure_detail"] or f"{found['persons']} persons")


@pytest.mark.long
async def test_other_versions_variants_invalid_and_void_scores_do_not_count(practice: Practice) -> None:
    clients = await practice.close_episodes(courses(MIN_PERSONS + 3))
    await practice.close_episodes(courses(20, seed=8), version=7)
    await practice.close_episodes(courses(20, seed=8), variant="another")
    first, second, third = clients[:3]
    of = "select id from response where client_id = $1"
    await practice.superuser.execute("set session_replication_role = replica")  # rows that are never changed, changed
    await practice.superuser.execute(f"update score set valid = false where response_id in ({of})", first)  # noqa: S608  - our own constant
    await practice.superuser.execute(
        "update score set value = null, status = 'insufficient'"  # noqa: S608  - as above
        f" where response_id in ({of})",
        second,
    )
    await practice.superuser.execute("set session_replication_role = origin")
    await practice.superuser.execute(
        "insert into superseded (organisation_id, response_id, root_id, reason_code, at, by)"
        " select organisation_id, id, id, 'invented', now(), 'ehr-1' from response where client_id = $1",
        third,
    )
    assert (await practice.fitted())["persons"] == MIN_PERSONS


@pytest.mark.long
async def test_data_are_fitted_without_their_ids_and_removed(practice: Practice) -> None:
    scores = courses(110)
    made = await practice.made(origin="data", source="an invented trial", evidence="read", data=csv_of(scores))
    row = await practice.superuser.fetchrow("select staged from reference_set where id = $1", uuid.UUID(made["id"]))
    assert row is not None
    assert "p0" not in row["staged"]
    assert set(json.loads(row["staged"])) == {"ids", "weeks", "values"}
    await practice.fit(made["id"])
    found = await practice.read(made["id"])
    assert (found["state"], found["persons"], found["source"]) == ("ready", 110, "an invented trial")
    left = await practice.superuser.fetchval("select staged from reference_set where id = $1", uuid.UUID(made["id"]))
    assert left is None


@pytest.mark.long
async def test_a_fit_that_nobody_is_at_is_taken_up_again(practice: Practice) -> None:
    made = await practice.made()
    own = uuid.UUID(made["id"])
    begun = "update reference_set set state = 'running', started_at = now() - $2::interval where id = $1"
    await practice.superuser.execute(begun, own, timedelta(minutes=5))
    await practice.sweep()
    assert (await practice.read(made["id"]))["state"] == "running", "somebody may still be at it"
    await practice.superuser.execute(begun, own, timedelta(minutes=13))
    await practice.sweep()
    waiting = "select count(*) from jobs.procrastinate_jobs where task_name = 'fit_reference' and args::text like $1"
    assert await practice.superuser.fetchval(waiting, f"%{own}%") == 1
    assert await practice.fit(made["id"]) == {"refused": 1}
    found = await practice.read(made["id"])
    assert (found["state"], found["failure"]) == ("refused", "too-few-persons")
    assert await practice.fit(made["id"]) == {"taken": 1}
    assert await practice.read(made["id"]) == found, "however often it is queued, it is made once"


WAITS = (sys.executable, "-c", "import sys; sys.stdin.read()")


async def test_a_process_that_fails_is_told(practice: Practice) -> None:
    made = await practice.made()
    with pytest.raises(RuntimeError, match="has failed"):
        await practice.fit(made["id"], command=(sys.executable, "-c", "raise SystemExit(3)"))
    found = await practice.read(made["id"])
    assert (found["state"], found["failure"]) == ("failed", "internal-error")


async def test_a_fit_that_takes_too_long_is_given_up(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LONGEST", 0.2)
    made = await practice.made()
    assert await practice.fit(made["id"], command=WAITS) == {"failed": 1}
    assert (await practice.read(made["id"]))["failure"] == "took-too-long"


async def test_a_worker_that_ends_leaves_it_to_another(practice: Practice) -> None:
    made = await practice.made()
    task = asyncio.create_task(practice.fit(made["id"], command=WAITS))
    while (await practice.read(made["id"]))["state"] != "running":
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await practice.read(made["id"]))["state"] == "queued"


async def test_a_worker_that_was_not_given_what_it_needs_says_so(practice: Practice) -> None:
    with pytest.raises(TypeError, match="to fit references"):
        await jobs.fit_reference(Context(practice.worker(), {}), "a", "b")  # type: ignore[arg-type]  # all that is used of one


async def test_a_definition_that_is_gone_is_told(practice: Practice) -> None:
    made = await practice.made()
    await practice.superuser.execute(
        "update reference_set set instrument_version = 99 where id = $1", uuid.UUID(made["id"])
    )
    assert await practice.fit(made["id"]) == {"failed": 1}
    assert (await practice.read(made["id"]))["failure"] == "definition-missing"


async def test_what_was_done_is_in_the_trail(practice: Practice) -> None:
    made = await practice.taken_in()
    await practice.act(made["id"], "activate")
    await practice.act(made["id"], "withdraw")
    await practice.people.admin.http.get(PATH)
    rows = await practice.superuser.fetch(
        "select action, resource_id from audit_event where organisation_id = $1 and resource = 'reference' order by id",
        practice.tenant.id,
    )
    assert [row["action"] for row in rows] == ["create", "activate", "withdraw", "list"]
    assert {row["resource_id"] for row in rows[:3]} == {uuid.UUID(made["id"])}


def answered(line: bytes) -> tuple[int, bytes, bytes]:
    """Status, output and errors of the process; its input stays open until it has ended, as a worker's does."""
    with subprocess.Popen(
        jobs.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(line)
        process.stdin.flush()
        return process.wait(timeout=120), process.stdout.read(), process.stderr.read()


def test_the_process_answers_one_line_with_another() -> None:
    told = {"ids": [1, 1, 2] * 9000, "weeks": [0, 1, 0] * 9000, "values": [3, 4, 5] * 9000, "low": 0, "high": 27}
    status, output, errors = answered(json.dumps(told).encode() + b"\n")
    assert (status, errors) == (0, b"")
    assert json.loads(output) == fitted(told)
    assert json.loads(output)["refused"] == "too-few-persons"


def test_the_process_tells_nothing_of_what_broke_it() -> None:
    status, output, errors = answered(b'{"ids": [271], "weeks": []}\n')
    assert (status, output) == (1, b"")
    assert errors == b"the fit was broken off by KeyError\n"


def test_weeks_of_the_practice_are_those_of_the_data() -> None:
    assert csv_of([[1, 2, 3, 4, 5]]).count("\n") == len(WEEKS)
