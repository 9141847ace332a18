"""Forms: taken from our own pages only, once, and with each fault told where it is."""

from __future__ import annotations

import re
import uuid

import asyncpg
import pytest
from fastapi import FastAPI

from tests.pages.clinic import SENT_FROM_HERE, Clinic, make_clinic, path_of, token_in
from tests.pages.test_pages import holds_together


@pytest.mark.parametrize(
    ("headers", "form", "words"),
    [
        (SENT_FROM_HERE, {"csrf": "wrong"}, "not from a page of this session"),
        (SENT_FROM_HERE, {}, "not from a page of this session"),
        ({**SENT_FROM_HERE, "Origin": "https://evil.test"}, None, "sent from another site"),
        ({**SENT_FROM_HERE, "Origin": "null"}, None, "sent from another site"),
        ({**SENT_FROM_HERE, "Sec-Fetch-Site": "same-site"}, None, "sent from another site"),
        ({"Sec-Fetch-Site": "cross-site"}, None, "sent from another site"),
        ({}, None, "does not say from which site"),
    ],
)
async def test_a_form_that_is_not_ours_does_nothing(
    clinic: Clinic, superuser: asyncpg.Connection, headers: dict[str, str], form: dict[str, str] | None, words: str
) -> None:
    request_id = uuid.uuid4().hex
    async with clinic.signed_in() as client:
        page = await client.get(clinic.paths["alert"])
        given = {"csrf": token_in(page.text)} if form is None else form
        answer = await client.post(
            f"{clinic.paths['alert']}/acknowledge", data=given, headers={**headers, "X-Request-Id": request_id}
        )
        assert answer.status_code == 403
        assert words in answer.text
        assert "Acknowledge this alert" in (await client.get(clinic.paths["alert"])).text
    (event,) = await superuser.fetch("select * from audit_event where request_id = $1", request_id)
    assert (event["outcome"], str(event["resource_id"])) == ("forbidden", clinic.alert_id)


async def test_a_token_of_another_session_does_nothing(clinic: Clinic) -> None:
    async with clinic.signed_in() as client, clinic.signed_in("clinician:c-2") as other:
        token = token_in((await other.get(clinic.paths["alert"])).text)
        answer = await client.post("/app/sign-out", data={"csrf": token}, headers=SENT_FROM_HERE)
        assert answer.status_code == 403
        assert (await client.get("/app/alerts")).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"csrf": "a"}', "application/json", 415),
        (b"csrf=a", "text/plain", 415),
        (b"csrf=%ff", "application/x-www-form-urlencoded", 400),
        (b"csrf=\xff", "application/x-www-form-urlencoded", 400),
        (b"csrf=a%00b", "application/x-www-form-urlencoded", 400),
        (b"csrf", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 501 + b"a=1", "application/x-www-form-urlencoded", 400),
        (b"csrf=" + b"a" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"csrf=a&csrf=b", "application/x-www-form-urlencoded", 422),
    ],
)
async def test_what_no_form_sends_is_refused(clinic: Clinic, content: bytes, kind: str, status: int) -> None:
    async with clinic.signed_in() as client:
        answer = await client.post("/app/sign-out", content=content, headers={**SENT_FROM_HERE, "Content-Type": kind})
        assert answer.status_code == status
        holds_together(answer)


async def test_an_alert_is_acknowledged_once(pages: FastAPI, superuser: asyncpg.Connection) -> None:
    clinic = await make_clinic(pages)
    path = clinic.paths["alert"]
    async with clinic.signed_in() as first, clinic.signed_in("clinician:c-2") as second:
        forms = [
            {"csrf": token_in((await one.get(path)).text), "note": "Called her.\r\nSafe."} for one in (first, second)
        ]
        answer = await first.post(f"{path}/acknowledge", data=forms[0], headers=SENT_FROM_HERE)
        assert path_of(answer) == f"{path}?said=acknowledged"
        shown = (await first.get(path_of(answer))).text
        assert "The alert is acknowledged." in shown
        assert "Called her.\nSafe." in shown
        answer = await second.post(f"{path}/acknowledge", data=forms[1], headers=SENT_FROM_HERE)
        assert answer.status_code == 409
        holds_together(answer)
        assert re.search(r"c-1 had acknowledged this alert already, <time [^>]+>\d", answer.text)
        assert "Your note, in case it belongs into the record" in answer.text
    rows = await superuser.fetch("select * from alert_acknowledgement where alert_id = $1", uuid.UUID(clinic.alert_id))
    assert [row["by"] for row in rows] == ["c-1"]
    assert b"Called" not in rows[0]["note_sealed"]


@pytest.mark.parametrize("note", ["x" * 2001, "bell \x07"])
async def test_a_fault_is_told_at_the_top_and_at_the_field(clinic: Clinic, note: str) -> None:
    path = clinic.paths["alert"]
    async with clinic.signed_in() as client:
        form = {"csrf": token_in((await client.get(path)).text), "note": note}
        answer = await client.post(f"{path}/acknowledge", data=form, headers=SENT_FROM_HERE)
        assert answer.status_code == 422
        page = holds_together(answer)
        assert "Problem: Alert" in answer.text
        (field,) = page.named("textarea")
        assert field["aria-invalid"] == "true"
        assert "note-fault" in str(field["aria-describedby"])
        assert [given for given in page.named("a") if given["href"] == "#note"]
        assert note.replace("\x07", "") in answer.text.replace("\x07", ""), "what was written is not lost"


@pytest.mark.parametrize(
    ("page", "to", "form", "about"),
    [
        ("alert", "/acknowledge", {"note": "bell \x07"}, "alert"),
        ("amend", "", {"tag": "r1"}, "response"),
        ("void", "", {}, "response"),
        ("entry", "", {}, "client"),
        ("goal_set", "", {"wording": ""}, "client"),
        ("goal", "", {"value": "eleven"}, "goal"),
        ("work_set", "", {"kind": "nothing"}, "client"),
        ("work", "", {"outcome": "nothing"}, "assignment"),
        ("work", "/withdraw", {"withdrawn_on": "never"}, "assignment"),
    ],
)
async def test_a_form_that_is_shown_again_is_kept_as_refused(
    clinic: Clinic, superuser: asyncpg.Connection, page: str, to: str, form: dict[str, str], about: str
) -> None:
    """As what the API refuses is, with who it was and nothing of what was written."""
    request_id = uuid.uuid4().hex
    async with clinic.signed_in() as client:
        form = {"csrf": token_in((await client.get(clinic.paths[page])).text)} | form
        headers = {**SENT_FROM_HERE, "X-Request-Id": request_id}
        answer = await client.post(clinic.paths[page] + to, data=form, headers=headers)
    assert answer.status_code in (409, 422)
    kept = "select subject, resource, outcome from audit_event where request_id = $1 and outcome <> 'done'"
    (event,) = await superuser.fetch(kept, request_id)
    outcome = "request-invalid" if answer.status_code == 422 else "precondition-failed"
    assert tuple(event) == ("c-1", about, outcome)
