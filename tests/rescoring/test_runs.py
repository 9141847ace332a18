"""Runs: what they score, what they tell, and that nothing is scored twice or left out, whatever happens to them."""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import Any

import pytest

from api import jobs
from api.rescoring import batch, running
from api.settings import Settings
from tests.api.corrected import correct
from tests.rescoring.sway import CODE, FORMS, SWAY_1, SWAY_2, Clinic, expected, scale, sway


async def test_a_run_adds_the_scores_of_the_other_version_beside_those_there_are(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    ids = await clinic.record(person, *FORMS)
    before = await clinic.superuser.fetch("select * from score where organisation_id = $1", clinic.tenant.id)
    run = await clinic.rescore()
    assert (run["state"], run["total"], run["done"], run["failure"]) == ("done", 6, 6, None)
    assert (run["requested_by"], run["to_checksum"]) == ("admin-1", SWAY_2.checksum)
    assert run["started_at"] <= run["applied_at"] == run["ended_at"]
    stored: dict[str, dict[str, Any]] = {}
    for _, response_id, name, *score in await clinic.rescored():
        stored.setdefault(str(response_id), {})[name] = tuple(score)
    assert stored == {one: expected(SWAY_2, form) for one, form in zip(ids, FORMS, strict=True)}
    after = await clinic.superuser.fetch("select * from score where organisation_id = $1", clinic.tenant.id)
    assert before == after
    assert {row["scale"] for row in after} == {"total"}


async def test_the_report_says_what_changed_and_by_how_much(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    await clinic.record(person, *FORMS)
    report = (await clinic.rescore())["report"]
    assert (report["scored"], report["changed"], report["refused"]) == (6, 6, {})
    total = report["scales"]["total"]
    assert (total["compared"], total["changed"]) == (6, 5)  # the one without a value is as it was
    # by 3, 3, 3, 1 and 1.5
    assert total["change"] == {"responses": 5, "mean": 2.3, "median": 3.0, "median_within": 0.0, "largest": 3.0}
    assert total["statuses"] == []
    assert total["bands"] == [
        {"from": "high", "to": "low", "responses": 1},
        {"from": "high", "to": None, "responses": 1},  # held back
    ]
    assert total["cutoffs"] == {
        "swaying": [
            {"from": "crossed", "to": "not-crossed", "responses": 1},
            {"from": "crossed", "to": None, "responses": 1},
            {"from": "not-crossed", "to": "crossed", "responses": 1},
        ]
    }
    assert (total["held_back"], total["released"]) == (1, 0)
    half = report["scales"]["half"]
    assert (half["compared"], half["changed"], half["change"]) == (6, 6, None)
    assert half["statuses"] == [
        {"from": None, "to": "complete", "responses": 4},
        {"from": None, "to": "insufficient", "responses": 2},
    ]
    assert (report["alerts_not_raised"], report["alerts_no_longer"]) == ({"leans": 1}, {})


async def test_old_answers_raise_no_alert_and_what_was_raised_stays(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    (response,) = await clinic.record(person, FORMS[2])
    alerts = "select rule, status from alert where organisation_id = $1"
    before = await clinic.superuser.fetch(alerts, clinic.tenant.id)
    assert [row["rule"] for row in before] == ["falls"]
    await clinic.rescore()
    assert await clinic.superuser.fetch(alerts, clinic.tenant.id) == before
    shown = (await clinic.people.clinician.http.get(f"/v1/responses/{response}")).json()
    assert len(shown["alerts"]) == 1


async def test_a_run_takes_what_holds_and_nothing_else(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    kept, amended, void, newer = await clinic.record(person, *[FORMS[0]] * 4)
    assert (await correct(clinic.people.ehr, amended, answers=FORMS[1])).status_code == 200
    assert (await correct(clinic.people.ehr, void, "void")).status_code == 200
    assert (await correct(clinic.people.ehr, newer, version=2)).status_code == 200
    run = await clinic.rescore()
    assert run["done"] == 2
    rows = await clinic.superuser.fetch(
        "select r.id, coalesce(r.root_id, r.id) as root, r.revision from rescored s join response r on r.id ="
        " s.response_id where s.organisation_id = $1 and s.scale = 'total'",
        clinic.tenant.id,
    )
    assert {(str(row["root"]), row["revision"]) for row in rows} == {(kept, 1), (amended, 2)}


async def test_another_organisation_and_another_variant_are_left_alone(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    await clinic.record(person, FORMS[0])
    run = await clinic.rescore(variant=SWAY_1.variant_ids[0])
    assert run["done"] == 1
    rows = await clinic.superuser.fetch("select distinct organisation_id from rescored where rescoring_id = $1",
                                        uuid.UUID(run["id"]))  # fmt: skip
    assert [row[0] for row in rows] == [clinic.tenant.id]
    assert (await clinic.people.elsewhere.http.get(f"/v1/rescorings/{run['id']}")).status_code in (403, 404)


async def test_answers_that_are_none_to_the_other_version_are_counted_and_keep_their_scores(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    ids = await clinic.record(person, {"1": 0, "2": 0, "3": 0}, {"1": 3, "2": 0, "3": 0}, {"1": 3, "2": 1, "3": 0})
    items = [
        {"id": "1", "topic": "sway", "options": [0, 1, 2]},
        {"id": "2", "topic": "lean", "options": [0, 1, 2, 3]},
        {"id": "3", "topic": "stand", "options": [0, 1, 2, 3]},
    ]
    more = {
        "scales": [scale("total", ["1", "2", "3"], 8) | {"missing": {"rule": "all"}}],
        "bands": [],
        "alerts": [],
        "validity": [],
    }
    await clinic.publish(sway(3, items=items, **more))
    report = (await clinic.rescore(to_version=3))["report"]
    assert (report["scored"], report["refused"]) == (1, {"not-an-option": {"responses": 2, "first": ids[1:]}})
    assert {str(row[1]) for row in await clinic.rescored()} == {ids[0]}
    shown = (await clinic.people.clinician.http.get(f"/v1/responses/{ids[1]}")).json()
    assert (shown["version"], shown["scores"]["total"]["value"], shown["rescoring"]) == (1, 3.0, None)


async def test_a_dry_run_tells_the_same_and_stores_no_score(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    ids = await clinic.record(person, *FORMS)
    before = await clinic.read(f"/v1/responses/{ids[1]}"), await clinic.read(f"/v1/clients/{person}/progress")
    dry = await clinic.rescore(dry_run=True)
    assert (dry["state"], dry["done"], dry["applied_at"], dry["remaining"]) == ("done", 6, None, None)
    assert await clinic.rescored() == []
    assert before == (await clinic.read(f"/v1/responses/{ids[1]}"), await clinic.read(f"/v1/clients/{person}/progress"))
    assert (await clinic.rescore())["report"] == dry["report"]


async def killed(*_: Any) -> None:
    raise asyncio.CancelledError


async def test_a_run_that_is_killed_at_any_moment_goes_on_with_nothing_twice_and_nothing_left_out(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "WINDOW", 2)
    person = await clinic.people.ehr.client()
    ids = await clinic.record(person, *FORMS, FORMS[0])
    whole = (await clinic.rescore(dry_run=True))["report"]
    run_id = (await clinic.start()).json()["id"]
    for broken in ("_keep", "_stored", "_finish"):
        with monkeypatch.context() as patch:
            patch.setattr(running, broken, killed)
            with pytest.raises(asyncio.CancelledError):
                await clinic.finish(run_id)
        if broken != "_finish":
            assert await clinic.step(run_id) is not None
    assert (await clinic.told(run_id))["applied_at"] is None, "killed in its last moment, it does not count"
    run = await clinic.finish(run_id)
    assert (run["state"], run["done"], run["total"], run["report"]) == ("done", 7, 7, whole)
    scored = [str(row[1]) for row in await clinic.rescored() if row[2] == "total"]
    assert sorted(scored) == sorted(ids)


async def test_several_workers_at_once_do_each_response_once(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "WINDOW", 2)
    person = await clinic.people.ehr.client()
    await clinic.record(person, *FORMS)
    run_id = (await clinic.start()).json()["id"]

    async def worker() -> None:
        for _ in range(100):
            progress = await clinic.step(run_id)
            if progress is not None and not progress.going:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it never ended")

    await asyncio.gather(*(worker() for _ in range(4)))
    run = await clinic.told(run_id)
    assert (run["done"], run["report"]["scored"]) == (6, 6)
    events = "select count(*) from audit_event where organisation_id = $1 and action = 'apply'"
    assert await clinic.superuser.fetchval(events, clinic.tenant.id) == 1


async def test_a_run_that_is_stopped_does_nothing_until_it_is_resumed(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "WINDOW", 2)
    person = await clinic.people.ehr.client()
    ids = await clinic.record(person, *FORMS)
    run_id = (await clinic.start()).json()["id"]
    await clinic.step(run_id)
    assert (await clinic.act(run_id, "stop"))["state"] == "stopped"
    stored = await clinic.rescored()
    assert len(stored) == 4
    assert await clinic.step(run_id) == running.Progress("stopped", 2, 6, going=False)
    assert await clinic.rescored() == stored
    shown = (await clinic.people.clinician.http.get(f"/v1/responses/{ids[0]}")).json()
    assert (shown["version"], shown["rescoring"]) == (1, None), "half a run does not count"
    for action, state in (("stop", "stopped"), ("resume", "queued"), ("resume", "queued")):
        assert (await clinic.act(run_id, action))["state"] == state
    assert (await clinic.finish(run_id))["done"] == 6
    for action in ("stop", "resume"):
        refused = await clinic.act(run_id, action, 409)
        assert (refused["type"], refused["state"]) == ("/problems/rescoring-state", "done")


async def test_what_is_recorded_after_the_snapshot_is_left_to_a_further_run(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    await clinic.record(person, FORMS[0])
    run_id = (await clinic.start()).json()["id"]
    (late,) = await clinic.record(person, FORMS[1])
    run = await clinic.finish(run_id)
    assert (run["done"], run["remaining"]) == (1, {"responses": 1, "complete": True})
    (newest,) = await clinic.record(person, FORMS[1], version=2)
    assert (await clinic.told(run_id))["remaining"]["responses"] == 1
    again = await clinic.rescore()
    assert (again["done"], again["remaining"]["responses"]) == (1, 0)
    assert (await clinic.rescore())["done"] == 0, "nothing is left"
    by = {str(row[1]): str(row[0]) for row in await clinic.rescored()}
    assert by[late] == again["id"]
    assert newest not in by


async def test_a_definition_that_was_corrected_in_place_takes_what_the_former_one_has_scored(clinic: Clinic) -> None:
    person = await clinic.people.ehr.client()
    await clinic.record(person, FORMS[0], version=2)
    await clinic.superuser.execute("alter table response disable trigger append_only")
    await clinic.superuser.execute(
        "update response set definition_checksum = repeat('0', 64) where organisation_id = $1", clinic.tenant.id
    )
    await clinic.superuser.execute("alter table response enable trigger append_only")
    await clinic.record(person, FORMS[1], version=2)
    run = await clinic.rescore(from_version=2, to_version=2, from_checksum="0" * 64)
    assert (run["done"], run["report"]["changed"], len(await clinic.rescored())) == (1, 0, 2)


async def test_a_definition_that_is_another_one_by_then_fails_the_run(clinic: Clinic) -> None:
    run_id = (await clinic.start()).json()["id"]
    await clinic.superuser.execute(
        "update rescoring set to_checksum = repeat('1', 64) where id = $1", uuid.UUID(run_id)
    )
    run = await clinic.finish(run_id)
    assert (run["state"], run["failure"], run["applied_at"]) == ("failed", "definition-changed", None)


async def test_a_fault_of_ours_fails_the_run_and_a_lost_connection_does_not(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise ConnectionResetError

    async def faulty(*_: Any) -> None:
        raise ValueError

    person = await clinic.people.ehr.client()
    await clinic.record(person, FORMS[0])
    run_id = (await clinic.start()).json()["id"]
    for broken, error, state in ((away, ConnectionResetError, "queued"), (faulty, ValueError, "failed")):
        with monkeypatch.context() as patch:
            patch.setattr(running, "_stored", broken)
            with pytest.raises(error):
                await clinic.step(run_id)
        assert (await clinic.told(run_id))["state"] == state
    await clinic.act(run_id, "resume")
    assert (await clinic.finish(run_id))["done"] == 1


async def test_a_worker_takes_what_was_queued_and_tells_of_the_end(clinic: Clinic, settings: Settings) -> None:
    person = await clinic.people.ehr.client()
    await clinic.record(person, *FORMS)
    run_id = (await clinic.start()).json()["id"]
    assert settings.database_url is not None
    app = jobs.application(settings.database_url.get_secret_value(), settings)
    async with app.open_async():
        await app.run_worker_async(wait=False)
    assert (await clinic.told(run_id))["state"] == "done"
    topics = "select count(*) from outbox where organisation_id = $1 and topic = 'rescoring.finished'"
    assert await clinic.superuser.fetchval(topics, clinic.tenant.id) == 1
    events = "select action, subject from audit_event where organisation_id = $1 and resource = 'rescoring' order by id"
    found = [tuple(row) for row in await clinic.superuser.fetch(events, clinic.tenant.id)]
    assert found == [("start", "admin-1"), ("apply", "admin-1"), ("read", "admin-1")]
    assert CODE not in str(await clinic.superuser.fetch("select args from jobs.procrastinate_jobs"))


async def test_who_is_erased_while_a_batch_is_scored_leaves_no_scores_behind(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch has read the responses, and has not stored its scores yet."""
    person = await clinic.people.ehr.client()
    other = await clinic.people.ehr.client()
    await clinic.record(person, *FORMS)
    (kept,) = await clinic.record(other, FORMS[0])
    read, go_on, score = threading.Event(), threading.Event(), batch.rescore

    def waiting(*given: Any) -> Any:
        read.set()
        assert go_on.wait(10)
        return score(*given)

    monkeypatch.setattr(running, "rescore", waiting)
    run_id = (await clinic.start()).json()["id"]
    scoring_it = asyncio.create_task(clinic.step(run_id))
    assert await asyncio.to_thread(read.wait, 10)
    erase = {"reason": "asked-for", "confirm": "no-duty-to-keep"}
    erasing = asyncio.create_task(clinic.admin.delete(f"/v1/clients/{person}", params=erase))
    await asyncio.sleep(0.3)
    go_on.set()
    await scoring_it
    assert (await erasing).status_code == 200
    assert (await clinic.finish(run_id))["state"] == "done"
    assert {str(row[1]) for row in await clinic.rescored()} == {kept}
