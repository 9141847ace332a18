"""Goals and work between sessions are set on pages, and closed there: once, with faults at the field."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import pytest
from fastapi import FastAPI

from tests.pages.clinic import Api, Clinic, make_clinic, path_of
from tests.pages.forms import form_at, sent
from tests.pages.test_enter import fault_of, fields_of
from tests.pages.test_pages import NASTY, holds_together

GOALS = "select count(*) from goal where client_id::text = $1"
WORK = "select count(*) from assignment where client_id::text = $1"
LEVELS = {f"levels-{place}": f"level {place} {NASTY}" for place in range(5)}
IN_LEVELS = {"wording": f"to talk of it {NASTY}", "baseline": "-1", "weight": "3", "set_on": "2026-02-01", **LEVELS}
TARGET = {"wording": "to be at ease", "baseline": "7", "target": "2", "set_on": "2026-02-01"}
EXERCISE = {"kind": "sensate-focus", "set_on": "2026-03-01", "due_on": "2026-03-08", "note": f"Twice.\r\n{NASTY}"}


@pytest.fixture(scope="module")
async def own(pages: FastAPI) -> Clinic:
    return await make_clinic(pages)


def last_part(path: str) -> str:
    return path.split("?")[0].rsplit("/", 1)[1]


async def test_a_goal_of_each_kind_is_set_once(own: Clinic, superuser: asyncpg.Connection) -> None:
    path, before = own.paths["goal_set"], await superuser.fetchval(GOALS, own.client_id)
    async with own.signed_in() as client:
        assert f'href="{path}"' in (await client.get(own.paths["goals"])).text
        form = await form_at(client, path)
        assert (form["kind"], form["weight"]) == ("levels", "1")
        form |= IN_LEVELS
        answers = await asyncio.gather(*(sent(client, path, form) for _ in range(2)))
        (made,) = {path_of(answer) for answer in answers}
        assert made.endswith("?said=set")
        shown = await client.get(made)
        holds_together(shown)
        assert "The goal is set." in shown.text
        assert "-1: level 1 &lt;script&gt;" in shown.text
        target = await form_at(client, f"{path}?kind=target") | TARGET
        for _ in range(2):
            assert path_of(await sent(client, path, target)) != made
        again = await form_at(client, path) | IN_LEVELS
        assert path_of(await sent(client, path, again)) != made, "another form sets another"
    assert await superuser.fetchval(GOALS, own.client_id) == before + 3
    api = Api(own.app, own.slug)
    found = (await api.client.get(f"/v1/clients/{own.client_id}/goals/{last_part(made)}")).json()
    await api.client.aclose()
    assert (found["kind"], found["weight"], found["baseline"], found["set_on"]) == ("levels", 3, -1, "2026-02-01")
    assert found["levels"] == [f"level {place} {NASTY}" for place in range(5)]
    event = "select subject from audit_event where resource_id::text = $1 and action = 'create'"
    assert [row["subject"] for row in await superuser.fetch(event, last_part(made))] == ["c-1"]


@pytest.mark.parametrize(
    ("kind", "changes", "name"),
    [
        ("levels", {"wording": " "}, "wording"),
        ("levels", {"levels-3": ""}, "levels-3"),
        ("levels", {"levels-0": "x" * 2001}, "levels-0"),
        ("levels", {"baseline": ""}, "baseline"),
        ("levels", {"baseline": "5"}, "baseline"),
        ("levels", {"weight": "11"}, "weight"),
        ("levels", {"set_on": "2026-02-30"}, "set_on"),
        ("levels", {"set_on": "2999-01-01"}, "set_on"),
        ("target", {"target": ""}, "target"),
        ("target", {"target": "7"}, "target"),
        ("target", {"target": "eleven"}, "target"),
        ("target", {"baseline": "11"}, "baseline"),
    ],
)
async def test_a_goal_with_a_fault_is_shown_again(
    clinic: Clinic, superuser: asyncpg.Connection, kind: str, changes: dict[str, str], name: str
) -> None:
    path, before = clinic.paths["goal_set"], await superuser.fetchval(GOALS, clinic.client_id)
    good = IN_LEVELS if kind == "levels" else TARGET
    async with clinic.signed_in() as client:
        form = await form_at(client, f"{path}?kind={kind}") | good | changes
        answer = await sent(client, path, form)
    fault_of(answer, name)
    kept = fields_of(answer.text)
    assert kept["kind"] == kind
    assert {one: kept[one] for one in good if one in kept and one != name} == {
        one: form[one] for one in good if one in kept and one != name
    }
    assert await superuser.fetchval(GOALS, clinic.client_id) == before


async def test_a_goal_is_dropped_and_taken_up_again(own: Clinic, superuser: asyncpg.Connection) -> None:
    path = own.paths["goal"]
    drop = {"dropped_on": "2026-02-20", "drop_reason": "replaced"}
    async with own.signed_in() as client, own.signed_in("clinician:c-2") as other:
        form, late = await form_at(client, path) | drop, await form_at(other, path) | drop | {"drop_reason": "another"}
        for changes, name in (
            ({"drop_reason": ""}, "drop_reason"),
            ({"dropped_on": ""}, "dropped_on"),
            ({"dropped_on": "2026-02-01"}, "dropped_on"),  # before its last rating
        ):
            fault_of(await sent(client, f"{path}/close", form | changes), name)
        for _ in range(2):
            assert path_of(await sent(client, f"{path}/close", form)) == f"{path}?said=closed"
        shown = await client.get(f"{path}?said=closed")
        holds_together(shown)
        assert "The goal is dropped." in shown.text
        assert "dropped <time" in (await client.get(own.paths["goals"])).text
        answer = await sent(other, f"{path}/close", late)
        assert answer.status_code == 409
        holds_together(answer)
        assert "The goal was changed since this form was opened" in answer.text
        again = fields_of((await client.get(path)).text)
        assert again["again"] == "yes"
        for version in ("x", '"', "99"):
            assert (await sent(client, f"{path}/close", again | drop | {"again": "", "version": version})).is_redirect
            assert (await sent(client, f"{path}/close", again | {"version": version})).status_code == 409
        for _ in range(2):
            assert path_of(await sent(client, f"{path}/close", again)) == f"{path}?said=open"
        assert "Drop this goal" in (await client.get(path)).text
    changed = "select count(*) from audit_event where resource_id::text = $1 and action = 'change' and outcome = 'done'"
    assert await superuser.fetchval(changed, own.goal_id) == 2


async def test_work_is_set_once_and_withdrawn_and_set_again(own: Clinic, superuser: asyncpg.Connection) -> None:
    path, before = own.paths["work_set"], await superuser.fetchval(WORK, own.client_id)
    async with own.signed_in() as client, own.signed_in("clinician:c-2") as other:
        form = await form_at(client, path) | EXERCISE
        answers = await asyncio.gather(*(sent(client, path, form) for _ in range(2)))
        (made,) = {path_of(answer) for answer in answers}
        assert await superuser.fetchval(WORK, own.client_id) == before + 1
        shown = await client.get(made)
        holds_together(shown)
        assert "The work is set." in shown.text
        assert "Twice.\n&lt;script&gt;" in shown.text
        here = made.split("?")[0]
        form = await form_at(client, here) | {"withdrawn_on": "2026-03-02"}
        late = await form_at(other, here) | {"withdrawn_on": "2026-03-03"}
        fault_of(await sent(client, f"{here}/withdraw", form | {"withdrawn_on": "2026-02-01"}), "withdrawn_on")
        fault_of(await sent(client, f"{here}/withdraw", form | {"withdrawn_on": "x"}), "withdrawn_on")
        for _ in range(2):
            assert path_of(await sent(client, f"{here}/withdraw", form)) == f"{here}?said=withdrawn"
        answer = await sent(other, f"{here}/withdraw", late)
        assert answer.status_code == 409
        holds_together(answer)
        assert "Nothing was recorded" in answer.text
        assert "withdrawn <time" in (await client.get(own.paths["goals"])).text
        again = fields_of((await client.get(here)).text)
        assert path_of(await sent(client, f"{here}/withdraw", again)) == f"{here}?said=open"
        shown = await client.get(f"{here}?said=open")
        assert "The work is set again." in shown.text
        done = fields_of(shown.text) | {"outcome": "done", "completed_on": "2026-03-07"}
        assert (await sent(client, here, done)).is_redirect
        assert "Withdraw this work" not in (await client.get(here)).text
        assert (await sent(client, f"{here}/withdraw", form)).status_code == 409, "what became of it is recorded"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"kind": ""}, "kind"),
        ({"kind": "juggling"}, "kind"),
        ({"set_on": ""}, "set_on"),
        ({"due_on": "2026-02-01"}, "due_on"),
        ({"due_on": "2999-01-01"}, "due_on"),
        ({"note": "x" * 2001}, "note"),
    ],
)
async def test_work_to_be_set_with_a_fault_is_shown_again(
    clinic: Clinic, superuser: asyncpg.Connection, changes: dict[str, str], name: str
) -> None:
    path, before = clinic.paths["work_set"], await superuser.fetchval(WORK, clinic.client_id)
    async with clinic.signed_in() as client:
        answer = await sent(client, path, await form_at(client, path) | EXERCISE | changes)
    fault_of(answer, name)
    assert await superuser.fetchval(WORK, clinic.client_id) == before


async def test_nothing_is_set_or_closed_for_others(pages: FastAPI, clinic: Clinic) -> None:
    stranger = await make_clinic(pages, number="Z-7")
    filled = TARGET | EXERCISE | {"kind": "target", "version": "1"}
    async with stranger.signed_in() as client:
        csrf = fields_of((await client.get(stranger.paths["goal_set"])).text)["csrf"]
        for path, kind in (
            (clinic.paths["goal_set"], "target"),
            (clinic.paths["work_set"], "sensate-focus"),
            (f"{clinic.paths['goal']}/close", ""),
            (f"{clinic.paths['work']}/withdraw", ""),
        ):
            more = {"kind": kind, "dropped_on": "2026-03-01", "drop_reason": "replaced", "withdrawn_on": "2026-03-01"}
            answer = await sent(client, path, filled | more | {"csrf": csrf})
            assert answer.status_code == 404, path
            holds_together(answer)
            assert (await sent(client, path, filled | more)).status_code == 403, path
    async with clinic.signed_in() as client:
        assert "Drop this goal" in (await client.get(clinic.paths["goal"])).text
        assert not re.search("withdrawn <time", (await client.get(clinic.paths["goals"])).text)
