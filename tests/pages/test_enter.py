"""A response that is entered by hand: recorded once, as the API records one, or shown again with its faults."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

import instruments
from tests.api.packs import attestation
from tests.authoring.definitions import submission
from tests.invented import make_pack
from tests.pages.clinic import SENT_FROM_HERE, Api, Clinic, make_clinic, path_of, token_in
from tests.pages.test_pages import NASTY, Elements, holds_together

NOW = datetime.now(UTC)
YESTERDAY = f"{NOW - timedelta(days=1):%Y-%m-%d}"
COUNT = "select count(*) from response where client_id::text = $1"


def fields_of(text: str) -> dict[str, str]:
    """What a browser would send of the page's form as it stands."""
    page, found = Elements(text), {}
    for given in page.named("input"):
        name, kind = given.get("name"), given.get("type")
        if name and name != "q" and (kind != "radio" or "checked" in given):
            found[name] = given.get("value") or ""
    for name, options in re.findall(r'<select id="([^"]+)"[^>]*>(.*?)</select>', text, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected>', options)
        found[name] = chosen[1] if chosen else ""
    return found


async def opened(client: httpx.AsyncClient, clinic: Clinic, code: str = "phq-9", **asked: str) -> dict[str, str]:
    answer = await client.get(f"/app/clients/{clinic.client_id}/enter/{code}", params=asked)
    assert answer.status_code == 200, answer.text
    holds_together(answer)
    return fields_of(answer.text)


async def sent(
    client: httpx.AsyncClient, clinic: Clinic, form: Mapping[str, str], code: str = "phq-9", **headers: str
) -> httpx.Response:
    path = f"/app/clients/{clinic.client_id}/enter/{code}"
    return await client.post(path, data=dict(form), headers=SENT_FROM_HERE | headers)


def answers(value: int, *items: int) -> dict[str, str]:
    return {f"a-{item}": str(value) for item in items or range(1, 10)}


def fault_of(answer: httpx.Response, name: str) -> None:
    """A fault is told at the top with a link, and at its field."""
    assert answer.status_code == 422
    page = holds_together(answer)
    assert "Problem: " in answer.text
    assert [given for given in page.named("a") if given["href"] == f"#{name}"], "linked from the top"
    assert [1 for _, given in page.found if given.get("id") == name], "where the link leads"
    (marked,) = [
        given
        for _, given in page.found
        if given.get("aria-invalid") == "true" and f"{name}-fault" in str(given["aria-describedby"])
    ]
    assert marked
    assert [1 for _, given in page.found if given.get("id") == f"{name}-fault"]


async def test_what_is_entered_is_recorded_as_the_api_records_it(own: Clinic, superuser: asyncpg.Connection) -> None:
    request_id = uuid.uuid4().hex
    async with own.signed_in() as client:
        form = await opened(client, own)
        assert form["day"] == f"{datetime.now(UTC):%Y-%m-%d}"
        assert uuid.UUID(form["episode_id"]), "of the episode that is open"
        form |= answers(1) | {"day": "2026-03-20", "time": "10:15", "setting": "paper", "a-9": "0"}
        answer = await sent(client, own, form, **{"X-Request-Id": request_id})
        assert answer.status_code == 303, answer.text
        response_id = re.fullmatch(r"/app/responses/([0-9a-f-]+)/recorded", path_of(answer))[1]  # type: ignore[index]  # just matched
        shown = await client.get(path_of(answer))
        holds_together(shown)
        assert "is recorded." in shown.text
        assert "Look at this now" not in shown.text
        assert "20 Mar 2026" in (await client.get(own.paths["client"])).text
    api = Api(own.app, own.slug)
    found = (await api.client.get(f"/v1/responses/{response_id}")).json()
    by_api = await api.answered(
        own.client_id, "phq-9", "2026-03-21", {**dict.fromkeys(map(str, range(1, 10)), 1), "9": 0},
        setting="paper", episode_id=form["episode_id"],
    )  # fmt: skip
    await api.client.aclose()
    assert (found["answered_at"], found["setting"]) == ("2026-03-20T10:15:00Z", "paper")
    same = found.keys() - {"id", "answered_at", "recorded_at", "schedule"}
    assert {name: found[name] for name in same} == {name: by_api[name] for name in same}
    (event,) = await superuser.fetch("select * from audit_event where request_id = $1", request_id)
    assert (event["action"], str(event["resource_id"]), event["subject"]) == ("record", response_id, "c-1")


async def test_an_alert_is_shown_at_once_with_its_guidance(own: Clinic) -> None:
    admin = Api(own.app, own.slug, "admin")
    guidance = {"entries": [{"text": f"Ask about it today. {NASTY}"}]}
    put = await admin.client.put("/v1/alert-guidance", json=guidance, headers={"If-Match": '"0"'})
    assert put.status_code == 200
    await admin.client.aclose()
    async with own.signed_in() as client:
        answer = await sent(client, own, await opened(client, own) | answers(3))
        shown = await client.get(path_of(answer))
        page = holds_together(shown)
        assert "Look at this now" in shown.text
        assert "thoughts of death or self-harm" in shown.text
        assert "Ask about it today. &lt;script&gt;" in shown.text
        links = [str(given["href"]) for given in page.named("a") if str(given["href"]).startswith("/app/alerts/")]
        assert (await client.get(links[0])).status_code == 200


async def test_a_form_that_is_sent_twice_is_recorded_once(own: Clinic, superuser: asyncpg.Connection) -> None:
    before = await superuser.fetchval(COUNT, own.client_id)
    async with own.signed_in() as client:
        form = await opened(client, own) | answers(1)
        first, again = await sent(client, own, form), await sent(client, own, form)
        assert first.status_code == again.status_code == 303
        assert path_of(first) == path_of(again)
        assert await superuser.fetchval(COUNT, own.client_id) == before + 1

        other = await sent(client, own, form | {"a-2": "3"})
        assert other.status_code == 409
        holds_together(other)
        assert "What stands here now was not recorded" in other.text
        assert await superuser.fetchval(COUNT, own.client_id) == before + 1
        kept = fields_of(other.text)
        assert kept["a-2"] == "3"
        assert kept["key"] != form["key"]
        assert (await sent(client, own, kept)).status_code == 303
        assert await superuser.fetchval(COUNT, own.client_id) == before + 2


async def test_a_form_may_be_partly_answered_and_what_is_open_is_told(own: Clinic) -> None:
    async with own.signed_in() as client:
        answer = await sent(client, own, await opened(client, own) | answers(1, 1, 2))
        assert answer.status_code == 303
        shown = (await client.get(path_of(answer))).text
    assert "Not answered" in shown
    assert "Cannot be told, as questions were left empty" in shown
    assert "<li>3: " in shown
    assert "<li>2: " not in shown


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"day": "2026-02-30"}, "day"),
        ({"day": ""}, "day"),
        ({"day": f"{NOW + timedelta(days=3):%Y-%m-%d}"}, "day"),
        ({"day": "1870-01-01"}, "day"),
        ({"time": "25:00"}, "time"),
        ({"time": ""}, "time"),
        ({"day": "2019-01-01"}, "day"),
        ({"setting": "moon"}, "setting"),
        ({"episode_id": "here"}, "episode_id"),
        ({"episode_id": str(uuid.uuid4())}, "episode_id"),
        ({"a-3": "7"}, "a-3"),
        ({"a-3": "<b>"}, "a-3"),
        ({f"a-{item}": "" for item in range(1, 10)}, "a-1"),
    ],
)
async def test_a_fault_is_told_at_the_top_and_at_its_field_and_values_are_kept(
    clinic: Clinic, superuser: asyncpg.Connection, changes: dict[str, str], name: str
) -> None:
    before = await superuser.fetchval(COUNT, clinic.client_id)
    async with clinic.signed_in() as client:
        form = await opened(client, clinic) | answers(2) | {"setting": "remote", "day": YESTERDAY, "time": "07:07"}
        form |= changes
        answer = await sent(client, clinic, form)
    fault_of(answer, name)
    kept = fields_of(answer.text)
    chosen = {"a-3"} | ({"setting", "episode_id"} & changes.keys())  # no such option: nothing can be chosen
    assert {one: kept[one] for one in form.keys() - chosen - {"csrf"}} == {
        one: form[one] for one in form.keys() - chosen - {"csrf"}
    }
    assert await superuser.fetchval(COUNT, clinic.client_id) == before


async def test_all_faults_are_told_together(clinic: Clinic) -> None:
    async with clinic.signed_in() as client:
        form = await opened(client, clinic) | answers(9)
        answer = await sent(client, clinic, form)
        for item in range(1, 10):
            fault_of(answer, f"a-{item}")
        answer = await sent(client, clinic, form | {"day": "", "time": "x"})
        fault_of(answer, "day")
        fault_of(answer, "time")
        answer = await sent(client, clinic, form | answers(1) | {"a-77": "1"})
        assert answer.status_code == 422
        assert "The form cannot be recorded" in answer.text, "of what no field has sent"


@pytest.mark.parametrize("csrf", [None, "wrong"])
async def test_without_the_token_nothing_is_recorded(
    clinic: Clinic, superuser: asyncpg.Connection, csrf: str | None
) -> None:
    before = await superuser.fetchval(COUNT, clinic.client_id)
    async with clinic.signed_in() as client:
        form = await opened(client, clinic) | answers(1)
        del form["csrf"]
        answer = await sent(client, clinic, form | ({} if csrf is None else {"csrf": csrf}))
        assert answer.status_code == 403
        holds_together(answer)
        form = await opened(client, clinic) | answers(1)
        answer = await sent(client, clinic, form, Origin="https://evil.test")
        assert answer.status_code == 403
    assert await superuser.fetchval(COUNT, clinic.client_id) == before


async def test_nobody_records_for_a_client_of_another_organisation(
    pages: FastAPI, clinic: Clinic, superuser: asyncpg.Connection
) -> None:
    stranger, before = await make_clinic(pages, number="Z-2"), await superuser.fetchval(COUNT, clinic.client_id)
    async with stranger.signed_in() as client:
        form = await opened(client, stranger) | answers(1) | {"episode_id": ""}
        for changes in ({}, {"a-1": "9"}, {"day": "x"}):
            answer = await sent(client, clinic, form | changes)
            assert answer.status_code == 404
            holds_together(answer)
            assert "A-17" not in answer.text
    async with clinic.signed_in("researcher:r-1") as client:
        form = {"csrf": token_in((await client.get("/app")).text)} | answers(1)
        assert (await sent(client, clinic, form)).status_code == 403
    assert await superuser.fetchval(COUNT, clinic.client_id) == before


async def test_questionnaires_are_found_by_words(clinic: Clinic) -> None:
    async with clinic.signed_in() as client:
        every = Elements((await client.get(clinic.paths["enter"])).text).named("a")
        assert len({given["href"] for given in every if "/enter/" in str(given["href"])}) == len(
            instruments.catalogue().codes
        )
        found = await client.get(clinic.paths["enter"], params={"q": "Patient depression 9"})
        links = [str(given["href"]) for given in holds_together(found).named("a") if "/enter/" in str(given["href"])]
        assert f"{clinic.paths['enter']}/phq-9" in links
        assert len(links) < 5
        none = await client.get(clinic.paths["enter"], params={"q": NASTY})
        holds_together(none)
        assert "No questionnaire has all of these words" in none.text
        listed = next(iter(instruments.catalogue().listed))
        for code in ("nothing", listed):
            assert (await client.get(f"{clinic.paths['enter']}/{code}")).status_code == 404


async def test_a_question_in_two_steps_and_a_long_list_and_what_is_told_of_the_situation(own: Clinic) -> None:
    two = instruments.load("menqol")
    async with own.signed_in() as client:
        form = await opened(client, own, two.code)
        gates = {f"a-{item.id}.gate": "0" for item in two.items}
        assert gates.keys() <= form.keys()
        first = f"a-{two.items[0].id}"
        answer = await sent(client, own, form | gates | {f"{first}.rating": "3"}, two.code)
        assert answer.status_code == 422, "a no with a rating"
        answer = await sent(client, own, form | {f"{first}.rating": "3"}, two.code)
        fault_of(answer, f"{first}.rating")
        answer = await sent(client, own, form | gates | {f"{first}.gate": "1", f"{first}.rating": "3"}, two.code)
        assert answer.status_code == 303, answer.text
        assert "Not answered" not in (await client.get(path_of(answer))).text

        form = await opened(client, own, "fsfi")
        assert form["active"] == ""
        answer = await sent(client, own, form | {"a-1": "3", "active": "no"}, "fsfi")
        assert answer.status_code == 303, answer.text
        assert "Read with care" in (await client.get(path_of(answer))).text


async def test_variants_and_forms_by_anatomy_are_chosen(own: Clinic) -> None:
    async with own.signed_in() as client:
        form = await opened(client, own, "csfq-14", variant="female-form", form="female-form")
        assert (form["variant"], form["form"]) == ("female-form", "female-form")
        answer = await sent(client, own, form | answers(3, *range(1, 15)), "csfq-14")
        shown = await client.get(path_of(answer))
        response_id = path_of(answer).split("/")[3]
        assert shown.status_code == 200
    api = Api(own.app, own.slug)
    assert (await api.client.get(f"/v1/responses/{response_id}")).json()["variant"] == "female-form"
    await api.client.aclose()


async def put_pack(clinic: Clinic, pack: dict[str, Any], language: str = "en") -> None:
    admin = Api(clinic.app, clinic.slug, "admin")
    path = f"/v1/instruments/who-5/versions/1/wordings/{language}"
    answer = await admin.client.put(path, json={"attestation": attestation(), "pack": pack})
    assert answer.status_code == 201, answer.text
    await admin.client.aclose()


async def test_the_wording_is_shown_where_there_is_a_licence_and_topics_elsewhere(own: Clinic) -> None:
    who = instruments.load("who-5")
    path = f"/app/clients/{own.client_id}/enter/who-5"
    pack = make_pack(who)
    pack["title"] = NASTY
    async with own.signed_in() as client:
        text = (await client.get(path)).text
        assert all(item.topic in text for item in who.items)
        assert "A line about" not in text
        await put_pack(own, pack)
        await put_pack(own, make_pack(who), "de")
        answer = await client.get(path)
        page = holds_together(answer)
        assert "A line about 1" in answer.text
        assert "&lt;script&gt;alert(1)" in answer.text
        assert [given for given in page.named("span") if given.get("lang") == "en"]
        german = await client.get(path, params={"language": "de"})
        assert [given for given in holds_together(german).named("span") if given.get("lang") == "de"]
        assert "A line about" not in (await client.get(path, params={"language": "topics"})).text
        assert "A line about" not in (await client.get(path, params={"language": "fr"})).text
        form = fields_of(german.text) | answers(2, *range(1, 6))
        wrong = await sent(client, own, form | {"day": ""}, "who-5")
        assert [given for given in Elements(wrong.text).named("span") if given.get("lang") == "de"], "still so"
        assert (await sent(client, own, form, "who-5")).status_code == 303


async def test_texts_of_an_own_instrument_are_never_markup(own: Clinic) -> None:
    body = submission(name=f"Lamp {NASTY}", measures=NASTY)
    for item in body["definition"]["items"]:
        item["topic"] = f"{item['id']} {NASTY}"
    admin = Api(own.app, own.slug, "admin")
    draft = await admin.client.post("/v1/instruments", json=body)
    publish = draft.headers["location"].removesuffix("draft") + "publish"
    assert (await admin.client.post(publish, headers={"If-Match": draft.headers["etag"]})).status_code == 201
    await admin.client.aclose()
    async with own.signed_in() as client:
        for path in ("", "/own-lamp"):
            answer = await client.get(f"/app/clients/{own.client_id}/enter{path}")
            page = holds_together(answer)
            assert not page.named("img")
            assert "&lt;script&gt;" in answer.text
        answer = await sent(client, own, await opened(client, own, "own-lamp") | answers(1, 1, 2), "own-lamp")
        shown = await client.get(path_of(answer))
        assert not holds_together(shown).named("img")
        assert "Not answered" in shown.text


async def test_a_response_that_was_entered_in_error_is_told_of_by_the_history(own: Clinic) -> None:
    api = Api(own.app, own.slug)
    reason = {"reason_code": "wrong-client", "reason": "another"}
    await api.post(f"/v1/responses/{own.response_id}/void", reason, **{"If-Match": '"1"'})
    await api.client.aclose()
    async with own.signed_in() as client:
        answer = await client.get(own.paths["recorded"])
        assert path_of(answer) == own.paths["history"]
