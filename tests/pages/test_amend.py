"""A response is put right on a page: with a reason, once, and never over what somebody else has put right."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from tests.pages.clinic import Api, Clinic, make_clinic, path_of
from tests.pages.forms import form_at, sent
from tests.pages.test_enter import answers, fault_of, fields_of
from tests.pages.test_pages import NASTY, holds_together

REASON = {"reason_code": "mistyped", "reason": f"Read wrongly.\r\n{NASTY}"}


async def told(clinic: Clinic, response_id: str, **more: Any) -> Any:
    api = Api(clinic.app, clinic.slug)
    answer = await api.client.get(f"/v1/responses/{response_id}", **more)
    await api.client.aclose()
    return answer.json()


async def test_what_holds_stands_in_the_form_and_what_is_sent_holds_once(
    own: Clinic, superuser: asyncpg.Connection
) -> None:
    path = own.paths["amend"]
    before = await told(own, own.response_id)
    async with own.signed_in() as client:
        assert path in (await client.get(own.paths["history"])).text
        assert path in (await client.get(own.paths["explain"])).text
        form = await form_at(client, path)
        assert (form["day"], form["time"], form["a-1"], form["a-9"]) == ("2026-03-06", "09:00", "2", "2")
        form |= REASON | {"a-1": "0", "a-9": "", "setting": "paper"}
        for _ in range(2):
            answer = await sent(client, path, form)
            assert path_of(answer) == own.paths["recorded"], answer.text
        shown = await client.get(own.paths["recorded"])
        holds_together(shown)
        text = " ".join(shown.text.split())
        assert "is put right." in text
        assert '<td class="n">18</td><td class="n">15.75</td><td class="n">-2.25</td>' in text, "prorated"
        assert "<td>2</td><td>0</td>" in text
        assert "<td>2</td><td>not answered</td>" in text
        assert own.paths["history"] in text
        history = await client.get(own.paths["history"])
        assert "Read wrongly.\n&lt;script&gt;" in history.text
        again = await form_at(client, path) | REASON | {"a-9": "1"}
        assert path_of(await sent(client, path, again)) == own.paths["recorded"]
        text = " ".join((await client.get(own.paths["recorded"])).text.split())
        assert '<td class="n">15.75</td><td class="n">15</td>' in text
    after = await told(own, own.response_id)
    assert after["revision"] == 3
    assert (after["setting"], after["answered_at"], after["episode_id"]) == (
        "paper", before["answered_at"], before["episode_id"],
    )  # fmt: skip
    assert after["scores"]["total"]["value"] == 15
    by = "select subject from audit_event where resource_id::text = $1 and action = 'amend' and outcome = 'done'"
    assert [row["subject"] for row in await superuser.fetch(by, own.response_id)] == ["c-1", "c-1"]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"reason": " "}, "reason"),
        ({"reason_code": ""}, "reason_code"),
        ({"reason_code": "boredom"}, "reason_code"),
        ({"day": "2999-01-01"}, "day"),
        ({"day": ""}, "day"),
        ({"time": "25:00"}, "time"),
        ({"a-3": "7"}, "a-3"),
        ({"setting": "moon"}, "setting"),
        ({"episode_id": "00000000-0000-7000-8000-000000000000"}, "episode_id"),
        ({f"a-{item}": "" for item in range(1, 10)}, "a-1"),
    ],
)
async def test_a_fault_is_told_at_its_field_and_nothing_is_recorded(
    clinic: Clinic, changes: dict[str, str], name: str
) -> None:
    async with clinic.signed_in() as client:
        form = await form_at(client, clinic.paths["amend"]) | REASON | {"a-2": "1"} | changes
        answer = await sent(client, clinic.paths["amend"], form)
    fault_of(answer, name)
    kept = fields_of(answer.text)
    assert kept["a-2"] == form["a-2"]
    assert (kept["tag"], kept["key"]) == (form["tag"], form["key"])
    if name == "time":
        assert "Day: " not in answer.text, "one fault is told once"
    assert (await told(clinic, clinic.response_id))["revision"] == 1


async def test_nothing_is_put_right_where_nothing_is_different(clinic: Clinic) -> None:
    async with clinic.signed_in() as client:
        form = await form_at(client, clinic.paths["amend"]) | REASON
        answer = await sent(client, clinic.paths["amend"], form)
        assert answer.status_code == 422
        holds_together(answer)
        assert "Nothing is different from what holds already" in answer.text
    assert (await told(clinic, clinic.response_id))["revision"] == 1


async def test_what_somebody_put_right_meanwhile_is_told_and_not_overwritten(own: Clinic) -> None:
    path = own.paths["amend"]
    async with own.signed_in() as client, own.signed_in("clinician:c-2") as other:
        mine, theirs = await form_at(client, path) | REASON, await form_at(other, path) | REASON
        assert (await sent(other, path, theirs | {"a-1": "0", "time": "10:00"})).is_redirect
        answer = await sent(client, path, mine | {"a-2": "1"})
        assert answer.status_code == 409
        holds_together(answer)
        text = " ".join(answer.text.split())
        assert "Nothing was recorded" in text
        assert "c-2 put this response right since your form was opened" in text
        assert "Read wrongly. &lt;script&gt;" in text
        assert "<td>2</td><td>0</td>" in text
        assert "<td>6 Mar 2026, 09:00 UTC</td><td>6 Mar 2026, 10:00 UTC</td>" in text
        assert (await told(own, own.response_id))["revision"] == 2
        again = fields_of(answer.text)
        assert (again["a-1"], again["a-2"]) == ("2", "1"), "what was filled in is not lost"
        assert (await sent(client, path, again | {"reason": "once more"})).is_redirect
        found = await told(own, own.response_id)
        assert (found["revision"], found["scores"]["total"]["value"]) == (3, 17)
        for tag in ("", '"', "nothing"):
            form = await form_at(client, path) | REASON | {"a-2": "0", "tag": tag, "revision": "99"}
            assert (await sent(client, path, form)).status_code == 409
        form = await form_at(client, path) | REASON
        assert (await sent(client, path, form | {"a-2": "0"})).is_redirect
        reused = await sent(client, path, form | {"a-2": "3"})
        assert reused.status_code == 409
        assert "What stands here now was not recorded" in reused.text
        assert fields_of(reused.text)["key"] != form["key"]


async def test_of_a_void_response_it_is_told_that_it_is_void(own: Clinic) -> None:
    api = Api(own.app, own.slug)
    async with own.signed_in() as client:
        form = await form_at(client, own.paths["amend"]) | REASON | {"a-1": "0"}
        reason = {"reason_code": "wrong-client", "reason": "another"}
        await api.post(f"/v1/responses/{own.response_id}/void", reason, **{"If-Match": '"1"'})
        answer = await sent(client, own.paths["amend"], form)
        assert answer.status_code == 409
        holds_together(answer)
        assert "entered in error since this form was opened" in answer.text
        assert path_of(await client.get(own.paths["amend"])) == own.paths["history"]
    await api.client.aclose()


async def test_answers_in_two_steps_and_a_way_to_score_are_put_right(own: Clinic) -> None:
    api = Api(own.app, own.slug)
    plain = await api.answered(own.client_id, "menqol", "2026-03-07", {"1": 4, "2": 1})
    female = await api.answered(
        own.client_id, "csfq-14", "2026-03-07", {str(item): 3 for item in range(1, 15)}, variant="female-form"
    )
    await api.client.aclose()
    async with own.signed_in() as client:
        path = f"/app/responses/{plain['id']}/amend"
        form = await form_at(client, path)
        assert (form["a-1.gate"], form["a-1.rating"], form["a-2.gate"], form["a-2.rating"]) == ("1", "2", "0", "")
        assert (await sent(client, path, form | REASON)).status_code == 422, "said otherwise, it is the same"
        assert (await sent(client, path, form | REASON | {"a-1.rating": "3"})).is_redirect
        path = f"/app/responses/{female['id']}/amend"
        form = await form_at(client, path)
        assert form["variant"] == "female-form"
        other = await form_at(client, f"{path}?variant=male-form&form=male-form")
        assert (other["variant"], other["a-1"]) == ("male-form", "3")
        assert (await sent(client, path, other | REASON)).is_redirect
        assert "Way to score" in (await client.get(path.replace("amend", "recorded"))).text
    assert (await told(own, female["id"]))["variant"] == "male-form"


async def test_only_by_a_form_of_ones_own_and_of_ones_own_organisation(pages: FastAPI, clinic: Clinic) -> None:
    stranger = await make_clinic(pages, number="Z-6")
    async with clinic.signed_in() as client, stranger.signed_in() as elsewhere:
        form = await form_at(client, clinic.paths["amend"]) | REASON | answers(1)
        assert (await sent(client, clinic.paths["amend"], form | {"csrf": "wrong"})).status_code == 403
        form = await form_at(elsewhere, stranger.paths["amend"]) | REASON | answers(1)
        answer = await sent(elsewhere, clinic.paths["amend"], form)
        assert answer.status_code == 404
        holds_together(answer)
    assert (await told(clinic, clinic.response_id))["revision"] == 1
