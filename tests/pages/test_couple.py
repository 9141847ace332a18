"""The page of a couple: both, and how far apart they are, while both consent; otherwise that it is closed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import asyncpg
import pytest
from fastapi import FastAPI

from tests.pages.clinic import Api, Clinic, make_clinic
from tests.pages.test_pages import NASTY, holds_together

SINCE = "2026-01-12"


@dataclass(frozen=True)
class Two:
    """A couple of a clinic: its id, and the partner."""

    clinic: Clinic
    id: str
    partner_id: str
    memberships: dict[str, str]

    @property
    def path(self) -> str:
        return f"/app/couples/{self.id}"

    async def say(self, client_id: str, given: bool) -> None:
        api = Api(self.clinic.app, self.clinic.slug)
        path = f"/v1/clients/{client_id}/couples/{self.memberships[client_id]}/consents"
        await api.post(path, {"given": given, "stated_on": SINCE})
        await api.client.aclose()


async def make_couple(clinic: Clinic, *, number: str = "B-18", consent: bool = True) -> Two:
    """The clinic's client, who got worse, and a partner who stayed well, and has answered something else too."""
    api = Api(clinic.app, clinic.slug)
    partner_id = (await api.post("/v1/clients", {"external_id": number}))["id"]
    items = [str(item) for item in range(1, 10)]
    await api.answered(partner_id, "phq-9", "2026-01-08", dict.fromkeys(items, 1))
    await api.answered(partner_id, "phq-9", "2026-03-08", dict.fromkeys(items, 0))
    await api.answered(partner_id, "who-5", "2026-03-08", dict.fromkeys(items[:5], 3))
    made = await api.post("/v1/couples", {"clients": [clinic.client_id, partner_id], "joined_on": SINCE})
    await api.client.aclose()
    two = Two(clinic, made["id"], partner_id, {one["client_id"]: one["membership_id"] for one in made["members"]})
    if consent:
        for client_id in two.memberships:
            await two.say(client_id, True)
    return two


@pytest.fixture(scope="module")
async def two(pages: FastAPI) -> Two:
    return await make_couple(await make_clinic(pages))


async def test_both_are_shown_with_what_became_of_each_and_how_far_apart_they_are(
    two: Two, superuser: asyncpg.Connection
) -> None:
    request_id = uuid.uuid4().hex
    async with two.clinic.signed_in() as client:
        answer = await client.get(two.path, headers={"X-Request-Id": request_id})
        assert answer.status_code == 200, answer.text
        page = holds_together(answer)
        text = " ".join(answer.text.split())
        assert 'A is client <a href="/app/clients/' in text
        assert "A-17</a>, B is client" in text
        assert "B-18</a>" in text
        assert "They have moved further apart, and it is the other way round; A less B has changed by more than" in text
        assert '<td class="n" data-label="A less B">-9</td>' in text, "at the start A had 0 and B had 9"
        assert '<td class="n" data-label="A less B">18</td>' in text, "at the end A has 18 and B has 0"
        assert "WHO-5 Well-Being Index: Only one of the two has answered this instrument." in text
        (image,) = page.named("img")
        assert "A" in str(image["alt"])
        assert "A-17" not in str(image["alt"])
        picture = await client.get(str(image["src"]))
        assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")
        assert picture.headers["cache-control"] == "no-store"
    events = await superuser.fetch("select * from audit_event where request_id = $1", request_id)
    assert {str(event["resource_id"]) for event in events if event["resource"] == "couple"} == {two.id}
    read = {str(event["resource_id"]) for event in events if event["resource"] == "client"}
    assert {two.partner_id, two.clinic.client_id} <= read, "in each one's own trail too"


async def test_a_view_that_is_closed_says_so_and_nothing_else(pages: FastAPI, superuser: asyncpg.Connection) -> None:
    two = await make_couple(await make_clinic(pages), consent=False)
    told = []
    async with two.clinic.signed_in() as client:
        for given in (None, two.partner_id, two.clinic.client_id):
            if given is not None:
                await two.say(given, True)
            answer = await client.get(two.path)
            told.append(answer.status_code)
            if answer.status_code == 403:
                holds_together(answer)
                assert "The joint view of this couple is closed" in answer.text
                assert "A-17" not in answer.text
                assert "B-18" not in answer.text
                assert two.partner_id not in answer.text
                chart = await client.get(f"{two.path}/chart.png?instrument=phq-9")
                assert chart.status_code == 403
        assert told == [403, 403, 200]
        await two.say(two.partner_id, False)
        request_id = uuid.uuid4().hex
        answer = await client.get(two.path, headers={"X-Request-Id": request_id})
        assert answer.status_code == 403, "withdrawn"
    events = await superuser.fetch("select * from audit_event where request_id = $1", request_id)
    assert events
    assert {event["outcome"] for event in events} <= {"forbidden", "refused", "closed", "not-consented"}


async def test_others_do_not_see_a_couple(pages: FastAPI, two: Two) -> None:
    stranger = await make_clinic(pages, number="Z-3")
    async with stranger.signed_in() as client:
        answers = [await client.get(f"/app/couples/{one}") for one in (two.id, uuid.uuid4())]
        for answer in answers:
            assert answer.status_code == 404
            holds_together(answer)
        assert (await client.get(f"{two.path}/chart.png?instrument=phq-9")).status_code == 404
    async with two.clinic.signed_in("researcher:r-1") as client:
        assert (await client.get(two.path)).status_code == 403


async def test_open_views_are_listed_for_the_clinician_of_both(
    pages: FastAPI, two: Two, superuser: asyncpg.Connection
) -> None:
    own = await make_couple(await make_clinic(pages, number="A-20"), number="B-21")
    async with own.clinic.signed_in() as client, own.clinic.signed_in("clinician:c-2") as other:
        empty = await client.get("/app/couples")
        holds_together(empty)
        assert own.id not in empty.text, "the partner has no clinician"
        api = Api(own.clinic.app, own.clinic.slug)
        episode = {"started_on": "2026-01-05", "format": "couple", "clinician": "c-1"}
        await api.post(f"/v1/clients/{own.partner_id}/episodes", episode)
        await api.client.aclose()
        request_id = uuid.uuid4().hex
        answer = await client.get("/app/couples", headers={"X-Request-Id": request_id})
        page = holds_together(answer)
        assert "A-20 and B-21" in answer.text or "B-21 and A-20" in answer.text
        assert [given["href"] for given in page.named("a") if own.id in str(given["href"])] == [own.path]
        assert two.id not in answer.text, "of another organisation"
        assert own.id not in (await other.get("/app/couples")).text, "of another clinician"
        for path in (own.clinic.paths["client"], f"/app/clients/{own.partner_id}", "/app/caseload"):
            assert own.id not in (await client.get(path)).text, "a page of one tells nothing of the couple"
        await own.say(own.partner_id, False)
        assert "B-21" not in (await client.get("/app/couples")).text
    async with own.clinic.signed_in("researcher:r-1") as client:
        assert (await client.get("/app/couples")).status_code == 403
    async with own.clinic.signed_in("admin:a-1") as client:
        assert "/app/couples" not in (await client.get("/app/due")).text
    events = await superuser.fetch(
        "select * from audit_event where request_id = $1 and resource = 'couple'", request_id
    )
    assert [(event["action"], str(event["resource_id"])) for event in events] == [("list", own.id)]


async def test_a_partners_number_is_never_markup(pages: FastAPI) -> None:
    two = await make_couple(await make_clinic(pages, number=NASTY), number=f"B {NASTY}")
    async with two.clinic.signed_in() as client:
        answer = await client.get(two.path)
    assert len(holds_together(answer).named("img")) == 1
    assert "B &lt;script&gt;" in answer.text
