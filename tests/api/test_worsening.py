"""Alerts of worsening, held against what progress says of the same response at the same time."""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

import instruments
from api.ids import new_id
from scoring.worsening import watched
from tests.api.corrected import correct
from tests.api.people import FSFI_FIVES, People, Person
from tests.conftest import Tenant

WORSE = {"deteriorated", "harmed"}
Found = dict[str, tuple[str, float]]
"""By scale: the id of the baseline, and the change."""


def fsfi(value: int) -> dict[str, Any]:
    return {"instrument": "fsfi", "answers": dict.fromkeys(FSFI_FIVES, value)}


def on(day: int) -> dict[str, str]:
    return {"answered_at": (datetime(2026, 1, 1, 9, tzinfo=UTC) + timedelta(days=day)).isoformat()}


def told(document: dict[str, Any]) -> Found:
    """What a reply says of worsening."""
    found = [alert for alert in document["alerts"] if alert["kind"] == "worsening"]
    return {alert["scale"]: (alert["baseline_response_id"], alert["change"]) for alert in found}


async def by_progress(person: Person, document: dict[str, Any]) -> Found:
    """What progress says of the response: the scales on which it is reliably worse than the baseline."""
    params = {"instrument": document["instrument"], "variant": document["variant"]}
    if document["episode_id"]:
        params["episode"] = document["episode_id"]
    answer = await person.http.get(f"/v1/clients/{document['client_id']}/progress", params=params)
    assert answer.status_code == 200, answer.text
    found: Found = {}
    for series in answer.json()["series"]:
        (point,) = [point for point in series["points"] if point["response_id"] == document["id"]]
        if point["category"] in WORSE:
            found[series["scale"]] = series["baseline"]["response_id"], point["change"]
    return found


def random_form(chance: random.Random, code: str, variant: str, lean: float) -> dict[str, Any]:
    """Answers that lean towards one end, some left out."""
    items = instruments.load(code).items_under(variant)
    answers = {}
    for item in items:
        options = sorted(item.options)
        if chance.random() > 0.03:
            at = min(len(options) - 1, max(0, round(chance.gauss(lean * (len(options) - 1), 0.8))))
            answers[item.id] = options[at]
    return {"instrument": code, "variant": variant, "answers": answers}


@pytest.mark.parametrize(
    ("code", "variants"),
    [
        ("phq-9", ["prorated", "nhs-talking-therapies"]),
        ("gad-7", ["strict", "prorated", "nhs-talking-therapies"]),
        ("dass-21", ["doubled", "outpatients-2013"]),
        ("fsfi", ["strict", "prorated"]),
        ("iief-15", ["all-items"]),
        ("pcl-5", ["computed", "guidance-2013"]),
    ],
)
async def test_a_reply_says_what_progress_says(people: People, code: str, variants: list[str]) -> None:
    """Over random series: answered out of order, on one day, incompletely; amended, and the baseline found void."""
    ehr, chance = people.ehr, random.Random(f"series of {code}")
    client_id, fired, made = await ehr.client(), 0, []
    for _ in range(9):
        form = random_form(chance, code, chance.choice(variants), chance.choice([0.1, 0.5, 0.9]))
        answer = await ehr.respond(client_id, **form, **on(chance.randrange(20)))
        assert answer.status_code == 201, answer.text
        made.append(answer.json())
        assert told(made[-1]) == await by_progress(ehr, made[-1])
        fired += bool(told(made[-1]))
    for document in chance.sample(made, 4):
        form = random_form(chance, code, document["variant"], chance.choice([0.0, 0.5, 1.0]))
        answer = await correct(ehr, document["id"], answers=form["answers"])
        assert answer.status_code == 200, answer.text
        assert told(answer.json()) == await by_progress(ehr, answer.json())
        fired += bool(told(answer.json()))
    first = min(made, key=lambda document: (document["answered_at"], document["recorded_at"]))
    await ehr.http.post(f"/v1/responses/{first['id']}/void", json={"reason": "a"}, headers={"If-Match": "*"})
    for lean in (0.0, 1.0):
        answer = await ehr.respond(client_id, **random_form(chance, code, variants[0], lean), **on(30))
        assert told(answer.json()) == await by_progress(ehr, answer.json())
        assert first["id"] not in {baseline for baseline, _ in told(answer.json()).values()}
        fired += bool(told(answer.json()))
    assert fired > 1, "a comparison of nothing with nothing shows nothing"


class TestBaseline:
    async def test_it_is_the_first_of_the_episode(self, ehr: Person) -> None:
        client_id = await ehr.client()
        episode = {"started_on": "2026-01-10", "format": "individual"}
        made = (await ehr.http.post(f"/v1/clients/{client_id}/episodes", json=episode)).json()
        await ehr.respond(client_id, **fsfi(5), **on(8))
        within = {"episode_id": made["id"]}
        low = (await ehr.respond(client_id, **fsfi(2), **on(9), **within)).json()
        same = (await ehr.respond(client_id, **fsfi(2), **on(10), **within)).json()
        outside = (await ehr.respond(client_id, **fsfi(2), **on(10))).json()
        assert told(low) == told(same) == {}, "the first of the episode, and no change since"
        assert {"total", "desire"} <= told(outside).keys()
        for document in (low, same, outside):
            assert told(document) == await by_progress(ehr, document)

    async def test_it_is_per_scale_the_first_that_can_be_used(self, ehr: Person) -> None:
        client_id = await ehr.client()
        desire = dict.fromkeys(("1", "2"), 5)
        first = (await ehr.respond(client_id, instrument="fsfi", answers=desire, **on(1))).json()
        second = (await ehr.respond(client_id, **fsfi(5), **on(2))).json()
        third = (await ehr.respond(client_id, **fsfi(1), **on(3))).json()
        baselines = {scale: baseline for scale, (baseline, _) in told(third).items()}
        assert (baselines["desire"], baselines["total"]) == (first["id"], second["id"])
        assert told(third) == await by_progress(ehr, third)

    async def test_a_change_for_the_better_is_no_alert(self, ehr: Person) -> None:
        client_id = await ehr.client()
        await ehr.respond(client_id, **fsfi(1), **on(1))
        assert told((await ehr.respond(client_id, **fsfi(5), **on(2))).json()) == {}

    async def test_nobody_elses_scores_count(self, people: People) -> None:
        await people.ehr.respond(await people.ehr.client(), **fsfi(5), **on(1))
        assert told((await people.ehr.respond(await people.ehr.client(), **fsfi(1), **on(2))).json()) == {}

    async def test_a_published_amount_is_enough_when_it_is_reached(self, ehr: Person) -> None:
        client_id = await ehr.client()
        (limit,) = watched(instruments.load("gad-7"), "nhs-talking-therapies")
        assert limit.beyond == pytest.approx(4)
        for day, points in ((1, 4), (2, 7), (3, 8)):
            answers = {str(item): 2 if item <= points // 2 else int(item == 7 and points % 2) for item in range(1, 8)}
            form = {"instrument": "gad-7", "variant": "nhs-talking-therapies", "answers": answers}
            document = (await ehr.respond(client_id, **form, **on(day))).json()
            assert document["scores"]["total"]["value"] == points
            assert [change for _, change in told(document).values()] == ([4.0] if points == 8 else [])
            assert told(document) == await by_progress(ehr, document)


async def test_it_is_kept_and_told_of_without_the_change(
    ehr: Person, tenant: Tenant, superuser: asyncpg.Connection
) -> None:
    client_id = await ehr.client()
    first = (await ehr.respond(client_id, **fsfi(5), **on(1))).json()
    answer = await ehr.respond(client_id, key="k", **fsfi(1), **on(2))
    rows = await superuser.fetch("select * from alert where organisation_id = $1", tenant.id)
    assert {row["scale"]: (str(row["baseline_id"]), row["change"]) for row in rows} == told(answer.json())
    assert {str(row["id"]) for row in rows} == {alert["id"] for alert in answer.json()["alerts"]}
    assert {(row["kind"], row["rule"], row["severity"], row["item"]) for row in rows} == {
        ("worsening", "reliable-change", "notice", "")
    }
    sent = await superuser.fetch(
        "select resource_id from outbox where organisation_id = $1 and topic = 'alert.raised'", tenant.id
    )
    assert {row[0] for row in sent} == {row["id"] for row in rows}
    again = await ehr.respond(client_id, key="k", **fsfi(1), **on(2))
    assert again.text == answer.text
    total = next(alert for alert in answer.json()["alerts"] if alert["scale"] == "total")
    read = (await ehr.http.get(f"/v1/alerts/{total['id']}")).json()
    assert (read["kind"], read["scale"], read["items"]) == ("worsening", "total", [])
    assert (read["baseline_response_id"], read["change"]) == (first["id"], total["change"])
    assert read["meaning"] == total["meaning"]


async def test_alerts_of_answers_worsening_and_the_situation_stand_side_by_side(ehr: Person) -> None:
    """The database adds to both arrays at the document's end."""
    client_id = await ehr.client(organs=["penis"])
    calm, low = ({str(item): value for item in range(1, 10)} for value in (0, 3))
    await ehr.respond(client_id, instrument="phq-9", answers=calm, **on(1))
    document = (await ehr.respond(client_id, instrument="phq-9", answers=low, **on(2))).json()
    assert [alert["kind"] for alert in document["alerts"]] == ["answers", "worsening"]
    await ehr.respond(client_id, **fsfi(5), **on(1))
    document = (await ehr.respond(client_id, **fsfi(1), **on(2))).json()
    assert {alert["kind"] for alert in document["alerts"]} == {"worsening"}
    assert [flag["id"] for flag in document["flags"]] == ["outside-organs"]


async def test_the_baseline_is_of_the_scores_that_are_current(
    people: People, tenant: Tenant, service: asyncpg.Connection
) -> None:
    """A run that counts has given the first response other scores; once it is withdrawn, the recorded ones count."""
    ehr = people.ehr
    client_id = await ehr.client()
    first = (await ehr.respond(client_id, **fsfi(2), **on(1))).json()
    unchanged = (await ehr.respond(client_id, **fsfi(2), **on(2))).json()
    run = new_id()

    async def effect(name: str) -> None:
        await service.execute(
            "insert into rescoring_effect values ($1, $2, $3, now(), 'admin-1', 'invented')", tenant.id, run, name
        )

    async def confined(statement: Callable[[], Awaitable[object]]) -> None:
        async with service.transaction():
            await service.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
            await statement()

    async def rescore() -> None:
        await service.execute(
            "insert into rescoring (organisation_id, id, instrument, from_version, to_version, to_checksum, reason,"
            " dry_run, requested_by, created_at, state)"
            " values ($1, $2, 'fsfi', 1, 1, 'c', 'r', false, 's', now(), 'done')",
            tenant.id,
            run,
        )
        for scale, value in (("desire", 6.0), ("total", 36.0)):
            await service.execute(
                "insert into rescored values ($1, $2, $3, $4, $5, 'complete', true)",
                tenant.id,
                uuid.UUID(first["id"]),
                run,
                scale,
                value,
            )
        await effect("applied")

    await confined(rescore)
    after = (await ehr.respond(client_id, **fsfi(2), **on(3))).json()
    assert told(unchanged) == {}
    assert told(after).keys() == {"desire", "total"}
    assert told(after) == await by_progress(ehr, after)
    await confined(lambda: effect("withdrawn"))
    last = (await ehr.respond(client_id, **fsfi(2), **on(4))).json()
    assert told(last) == await by_progress(ehr, last) == {}
