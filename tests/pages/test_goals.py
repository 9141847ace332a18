"""Goals are rated and work is recorded on pages: once, with faults where they are, by whom may."""

from __future__ import annotations

import uuid

import asyncpg
import pytest
from fastapi import FastAPI

from tests.pages.clinic import SENT_FROM_HERE, Api, Clinic, make_clinic, path_of
from tests.pages.forms import form_at, sent
from tests.pages.test_enter import fault_of, fields_of
from tests.pages.test_pages import NASTY, holds_together

RATINGS = "select count(*) from goal_rating where goal_id::text = $1"
COMPLETIONS = "select count(*) from assignment_completion where assignment_id::text = $1"


async def test_a_rating_is_recorded_once_and_changes_the_picture(own: Clinic, superuser: asyncpg.Connection) -> None:
    path = own.paths["goal"]
    async with own.signed_in() as client, own.signed_in("clinician:c-2") as other:
        page = holds_together(await client.get(own.paths["goals"]))
        (image,) = page.named("img")
        before = await client.get(str(image["src"]))
        assert before.content[:4] == b"\x89PNG"
        form = await form_at(client, path) | {"rated_on": "2026-03-01", "value": "8"}
        late = await form_at(other, path) | {"rated_on": "2026-03-01", "value": "8"}
        for _ in range(2):
            answer = await sent(client, path, form)
            assert path_of(answer) == f"{path}?said=rated"
        assert await superuser.fetchval(RATINGS, own.goal_id) == 2
        shown = await client.get(path_of(answer))
        assert "The rating is recorded." in shown.text
        answer = await sent(other, path, late)
        assert answer.status_code == 409, "another's is not taken for a repetition"
        holds_together(answer)
        assert "Your rating was not recorded" in answer.text
        again = fields_of(answer.text)
        assert (again["rated_on"], again["value"]) == ("2026-03-01", "8")
        assert await superuser.fetchval(RATINGS, own.goal_id) == 2
        assert (await sent(other, path, again)).status_code == 303
        assert await superuser.fetchval(RATINGS, own.goal_id) == 3
        after = await client.get(own.paths["goals"])
        assert "reached" in after.text
        assert (await client.get(str(image["src"]))).content != before.content


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"rated_on": ""}, "rated_on"),
        ({"rated_on": "2026-02-30"}, "rated_on"),
        ({"rated_on": "2999-01-01"}, "rated_on"),
        ({"rated_on": "2020-01-01"}, "rated_on"),
        ({"value": ""}, "value"),
        ({"value": "11"}, "value"),
        ({"value": "much"}, "value"),
    ],
)
async def test_a_rating_with_a_fault_is_shown_again(
    clinic: Clinic, superuser: asyncpg.Connection, changes: dict[str, str], name: str
) -> None:
    async with clinic.signed_in() as client:
        form = await form_at(client, clinic.paths["goal"]) | {"rated_on": "2026-03-03", "value": "7"} | changes
        answer = await sent(client, clinic.paths["goal"], form)
    fault_of(answer, name)
    kept = fields_of(answer.text)
    assert {one: kept[one] for one in ("rated_on", "value") if one != name} == {
        one: form[one] for one in ("rated_on", "value") if one != name
    }
    assert await superuser.fetchval(RATINGS, clinic.goal_id) == 1


async def test_goals_in_levels_have_their_words_and_a_t_score(own: Clinic) -> None:
    api = Api(own.app, own.slug)
    levels = [f"level {NASTY} {value}" for value in range(-2, 3)]
    goal = {"kind": "levels", "wording": NASTY, "levels": levels, "baseline": -1, "set_on": "2026-01-12"}
    path = f"{own.paths['goals']}/{(await api.post(f'/v1/clients/{own.client_id}/goals', goal))['id']}"
    await api.client.aclose()
    async with own.signed_in() as client:
        answer = await client.get(path)
        holds_together(answer)
        assert "-1: level &lt;script&gt;" in answer.text
        assert (await sent(client, path, fields_of(answer.text) | {"rated_on": "2026-03-01", "value": "1"})).is_redirect
        shown = await client.get(own.paths["goals"])
        holds_together(shown)
        assert '<td class="n">60</td>' in shown.text, "50 + 10 of one goal that is one level above"
        assert '<td class="n">40</td>' in shown.text, "at the start"


async def test_what_became_of_work_is_recorded_once_and_what_is_recorded_last_holds(
    own: Clinic, superuser: asyncpg.Connection
) -> None:
    path = own.paths["work"]
    done = {
        "outcome": "partly", "completed_on": "2026-02-18", "minutes": "25",
        "distress_before": "7", "distress_after": "3", "note": f"Only once.\r\n{NASTY}",
    }  # fmt: skip
    async with own.signed_in() as client, own.signed_in("clinician:c-2") as other:
        form, late = await form_at(client, path) | done, await form_at(other, path) | done | {"minutes": "5"}
        for _ in range(2):
            answer = await sent(client, path, form)
            assert path_of(answer) == f"{path}?said=recorded", answer.text
        assert await superuser.fetchval(COMPLETIONS, own.work_id) == 1
        shown = await client.get(path_of(answer))
        holds_together(shown)
        text = " ".join(shown.text.split())
        assert "25 minutes; distress before 7; distress after 3." in text
        assert "Only once. &lt;script&gt;" in text
        answer = await sent(other, path, late)
        assert answer.status_code == 409
        assert "Nothing was recorded" in answer.text
        again = fields_of(answer.text)
        assert again["minutes"] == "5"
        assert (await sent(other, path, again | {"note": ""})).is_redirect
        assert await superuser.fetchval(COMPLETIONS, own.work_id) == 2
        overview = " ".join((await client.get(own.paths["goals"])).text.split())
    assert "Of 1 that were due, 0 done, 1 partly, 0 not done, 0 overdue; 5 minutes in all." in overview
    assert '<td class="n" data-label="Distress before, after">7, 3</td>' in overview


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"outcome": ""}, "outcome"),
        ({"outcome": "lost"}, "outcome"),
        ({"completed_on": ""}, "completed_on"),
        ({"completed_on": "2025-01-01"}, "completed_on"),
        ({"minutes": "an hour"}, "minutes"),
        ({"minutes": "99999"}, "minutes"),
        ({"outcome": "not-done", "minutes": "5"}, "minutes"),
        ({"distress_before": "11"}, "distress_before"),
        ({"distress_after": "-1"}, "distress_after"),
        ({"note": "x" * 2001}, "note"),
    ],
)
async def test_work_with_a_fault_is_shown_again(
    clinic: Clinic, superuser: asyncpg.Connection, changes: dict[str, str], name: str
) -> None:
    good = {"outcome": "done", "completed_on": "2026-02-18", "minutes": "20", "distress_before": "2"}
    async with clinic.signed_in() as client:
        form = await form_at(client, clinic.paths["work"]) | good | changes
        answer = await sent(client, clinic.paths["work"], form)
    fault_of(answer, name)
    kept = fields_of(answer.text)
    assert {one: kept[one] for one in good if one not in (name, *changes)} == {
        one: form[one] for one in good if one not in (name, *changes)
    }
    assert await superuser.fetchval(COMPLETIONS, clinic.work_id) == 0


async def test_withdrawn_work_has_no_form(own: Clinic) -> None:
    api = Api(own.app, own.slug)
    path = f"/v1/clients/{own.client_id}/assignments/{own.work_id}"
    answer = await api.client.patch(path, json={"withdrawn_on": "2026-02-20"}, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    await api.client.aclose()
    async with own.signed_in() as client:
        text = (await client.get(own.paths["work"])).text
        assert "Withdrawn" in text
        assert 'name="outcome"' not in text
        assert "withdrawn <time" in (await client.get(own.paths["goals"])).text


@pytest.mark.parametrize("name", ["goal", "work"])
async def test_without_the_token_or_for_others_nothing_is_recorded(
    pages: FastAPI, clinic: Clinic, superuser: asyncpg.Connection, name: str
) -> None:
    stranger = await make_clinic(pages, number="Z-4")
    filled = {"rated_on": "2026-03-01", "value": "8", "outcome": "done", "completed_on": "2026-02-18"}
    async with clinic.signed_in() as client, stranger.signed_in() as elsewhere:
        form = await form_at(client, clinic.paths[name]) | filled
        for csrf in ("", "wrong"):
            answer = await sent(client, clinic.paths[name], form | {"csrf": csrf})
            assert answer.status_code == 403
        form = await form_at(elsewhere, stranger.paths[name]) | filled
        answer = await sent(elsewhere, clinic.paths[name], form)
        assert answer.status_code == 404
        holds_together(answer)
        mixed = clinic.paths[name].replace(clinic.client_id, stranger.client_id)
        assert (await sent(elsewhere, mixed, form)).status_code == 404, "nor under a client of their own"
        assert (await elsewhere.get(f"/app/clients/{clinic.client_id}/goals/chart.png")).status_code == 404
    assert await superuser.fetchval(RATINGS, clinic.goal_id) == 1
    assert await superuser.fetchval(COMPLETIONS, clinic.work_id) == 0


async def test_a_rating_is_on_record(own: Clinic, superuser: asyncpg.Connection) -> None:
    request_id = uuid.uuid4().hex
    async with own.signed_in() as client:
        form = await form_at(client, own.paths["goal"]) | {"rated_on": "2026-03-01", "value": "8"}
        headers = SENT_FROM_HERE | {"X-Request-Id": request_id}
        assert (await client.post(own.paths["goal"], data=form, headers=headers)).is_redirect
    events = await superuser.fetch("select * from audit_event where request_id = $1", request_id)
    assert ("rate", own.goal_id) in {(event["action"], str(event["resource_id"])) for event in events}
