"""That a response was entered in error is said on a page: once, with a reason, and the history tells of it."""

from __future__ import annotations

import asyncpg
import pytest
from fastapi import FastAPI

from tests.pages.clinic import SENT_FROM_HERE, Api, Clinic, make_clinic, path_of
from tests.pages.test_enter import fault_of, fields_of
from tests.pages.test_pages import NASTY, holds_together

VOIDED = "select count(*) from audit_event where resource_id::text = $1 and action = 'void' and outcome = 'done'"
REASON = {"reason_code": "wrong-client", "reason": f"Of somebody else.\r\n{NASTY}"}


async def test_it_is_said_once_and_counts_nowhere_any_more(own: Clinic, superuser: asyncpg.Connection) -> None:
    path = own.paths["void"]
    async with own.signed_in() as client:
        assert "6 Mar 2026" in (await client.get(own.paths["client"])).text
        assert path in (await client.get(own.paths["history"])).text
        form = fields_of((await client.get(path)).text) | REASON
        for _ in range(2):
            answer = await client.post(path, data=form, headers=SENT_FROM_HERE)
            assert path_of(answer) == own.paths["history"], answer.text
        assert await superuser.fetchval(VOIDED, own.response_id) == 1
        history = await client.get(own.paths["history"])
        holds_together(history)
        assert "Of somebody else.\n&lt;script&gt;" in history.text
        assert path not in history.text
        assert "6 Mar 2026" not in (await client.get(own.paths["client"])).text.split("At a glance")[1]
        assert path_of(await client.get(path)) == own.paths["history"], "it is void already"
        other = await client.post(path, data=form | {"key": "0" * 32}, headers=SENT_FROM_HERE)
        assert path_of(other) == own.paths["history"], "whoever comes later is told by the history"
        assert await superuser.fetchval(VOIDED, own.response_id) == 1
    api = Api(own.app, own.slug)
    assert (await api.client.get(f"/v1/responses/{own.response_id}")).json()["status"] == "entered-in-error"
    await api.client.aclose()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 1001}, "reason"),
        ({"reason_code": ""}, "reason_code"),
        ({"reason_code": "boredom"}, "reason_code"),
    ],
)
async def test_a_fault_is_told_and_nothing_is_recorded(
    clinic: Clinic, superuser: asyncpg.Connection, changes: dict[str, str], name: str
) -> None:
    async with clinic.signed_in() as client:
        form = fields_of((await client.get(clinic.paths["void"])).text) | REASON | changes
        answer = await client.post(clinic.paths["void"], data=form, headers=SENT_FROM_HERE)
    fault_of(answer, name)
    assert await superuser.fetchval(VOIDED, clinic.response_id) == 0
    if name == "reason_code":
        assert "Of somebody else." in answer.text, "what was written is not lost"


async def test_what_was_put_right_meanwhile_is_not_void_by_an_old_form(
    own: Clinic, superuser: asyncpg.Connection
) -> None:
    api = Api(own.app, own.slug)
    async with own.signed_in() as client:
        form = fields_of((await client.get(own.paths["void"])).text) | REASON
        amended = {"answers": {str(item): 1 for item in range(1, 10)}, "reason_code": "mistyped", "reason": "a"}
        await api.post(f"/v1/responses/{own.response_id}/amend", amended, **{"If-Match": '"1"'})
        await api.client.aclose()
        for tag in (form["tag"], '"', ""):
            answer = await client.post(own.paths["void"], data=form | {"tag": tag}, headers=SENT_FROM_HERE)
            assert answer.status_code == 409
            holds_together(answer)
        assert await superuser.fetchval(VOIDED, own.response_id) == 0
        again = fields_of(answer.text) | {"reason": "still"}
        assert (await client.post(own.paths["void"], data=again, headers=SENT_FROM_HERE)).is_redirect
    assert await superuser.fetchval(VOIDED, own.response_id) == 1


async def test_only_by_a_form_of_ones_own_and_of_ones_own_organisation(
    pages: FastAPI, clinic: Clinic, superuser: asyncpg.Connection
) -> None:
    stranger = await make_clinic(pages, number="Z-5")
    async with clinic.signed_in() as client, stranger.signed_in() as elsewhere:
        form = fields_of((await client.get(clinic.paths["void"])).text) | REASON
        answer = await client.post(clinic.paths["void"], data=form | {"csrf": "wrong"}, headers=SENT_FROM_HERE)
        assert answer.status_code == 403
        form = fields_of((await elsewhere.get(stranger.paths["void"])).text) | REASON
        answer = await elsewhere.post(clinic.paths["void"], data=form, headers=SENT_FROM_HERE)
        assert answer.status_code == 404
        holds_together(answer)
    assert await superuser.fetchval(VOIDED, clinic.response_id) == 0
