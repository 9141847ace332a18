"""What pages show, to whom, and what is on record of it."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api.audit.related import CLIENTS_OF
from api.pages.access import own_path
from api.pages.routers import ROUTERS
from tests.authoring.definitions import submission
from tests.pages.clinic import BASE, Api, Clinic, browser, make_clinic

PAGES = (
    "caseload", "client", "history", "explain", "alerts", "alert", "due", "enter", "entry", "recorded",
    "goals", "goal", "work", "goal_set", "work_set", "amend", "void",
)  # fmt: skip
LISTS = ("caseload", "alerts", "due")
"""Pages that are about nobody in particular."""
NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def holds_together(answer: httpx.Response) -> Elements:
    """The laws of every page."""
    headers = answer.headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "same-origin")
    page = Elements(answer.text)
    assert page.named("script") == []
    assert not [1 for _, given in page.found for name in given if name.startswith("on") or name in ("style", "srcdoc")]
    assert len(page.named("h1")) == len(page.named("main")) == len(page.named("title")) == 1
    assert page.named("html")[0]["lang"] == "en"
    for tag, name in (("a", "href"), ("img", "src"), ("form", "action"), ("link", "href")):
        for given in page.named(tag):
            where = given[name] or ""
            assert where.startswith(("/", "#", "https://login.test")), where
    forms = [given for given in page.named("form") if given.get("method") == "post"]
    assert len([given for given in page.named("input") if given.get("name") == "csrf"]) == len(forms)
    return page


@pytest.mark.parametrize("name", PAGES)
async def test_every_page_holds_together_and_is_on_record(
    clinic: Clinic, superuser: asyncpg.Connection, name: str
) -> None:
    request_id = uuid.uuid4().hex
    async with clinic.signed_in() as client:
        answer = await client.get(clinic.paths[name], headers={"X-Request-Id": request_id})
    assert answer.status_code == 200, answer.text
    holds_together(answer)
    assert "A-17" in answer.text or name == "due"
    events = await superuser.fetch(
        f"select e.*, array(select c.id::text from ({CLIENTS_OF}) c) as clients "  # noqa: S608  - our own constant
        "from audit_event e where request_id = $1",
        request_id,
    )
    assert events
    assert {(event["subject"], event["role"], event["outcome"]) for event in events} == {("c-1", "clinician", "done")}
    if name != "due":  # where nothing is due, nobody is shown
        assert clinic.client_id in {one for event in events for one in event["clients"]}


def test_every_page_is_walked() -> None:
    """A page that is added gets a path in `Clinic.paths`, or a test of its own and a line here."""
    files = {f"/app/clients/{{client_id}}/{name}" for name in ("chart.png", "goals/chart.png", "report.pdf")}
    elsewhere = {"/app", "/app/", "/app/static/{name}", "/app/signed-out"} | files
    declared = {
        route.path
        for router in ROUTERS
        for route in router.routes
        if "GET" in getattr(route, "methods", ()) and not route.path.startswith("/app/sign-in")
    }
    walked = {
        "/app/caseload", "/app/clients/{client_id}", "/app/clients/{client_id}/history", "/app/responses/{response_id}",
        "/app/alerts", "/app/alerts/{alert_id}", "/app/due", "/app/clients/{client_id}/enter",
        "/app/clients/{client_id}/enter/{code}", "/app/responses/{response_id}/recorded",
        "/app/clients/{client_id}/goals", "/app/clients/{client_id}/goals/{goal_id}",
        "/app/clients/{client_id}/work/{assignment_id}", "/app/responses/{response_id}/amend",
        "/app/responses/{response_id}/void", "/app/clients/{client_id}/goals/new", "/app/clients/{client_id}/work/new",
    }  # fmt: skip
    couples = {
        "/app/couples",
        "/app/couples/{couple_id}",
        "/app/couples/{couple_id}/chart.png",
    }  # tests/pages/test_couple.py
    assert declared == walked | elsewhere | couples
    assert len(walked) == len(PAGES)


@pytest.mark.parametrize("persona", ["researcher:r-1", "admin:a-1"])
async def test_others_land_on_a_page_of_their_own(clinic: Clinic, superuser: asyncpg.Connection, persona: str) -> None:
    request_id = uuid.uuid4().hex
    async with clinic.signed_in(persona) as client:
        answer = await client.get("/app", headers={"X-Request-Id": request_id})
        assert answer.status_code == 200
        holds_together(answer)
        assert "What your role may do" in answer.text
        assert ("/app/caseload" in answer.text) == persona.startswith("admin")
    (event,) = await superuser.fetch("select * from audit_event where request_id = $1", request_id)
    assert (event["action"], event["resource"]) == ("view", "page")


@pytest.mark.parametrize("name", PAGES)
async def test_a_researcher_sees_nobody(clinic: Clinic, superuser: asyncpg.Connection, name: str) -> None:
    request_id = uuid.uuid4().hex
    async with clinic.signed_in("researcher:r-1") as client:
        answer = await client.get(clinic.paths[name], headers={"X-Request-Id": request_id})
        assert answer.status_code == 403
        holds_together(answer)
        assert "A-17" not in answer.text
    (event,) = await superuser.fetch("select * from audit_event where request_id = $1", request_id)
    assert event["outcome"] == "forbidden"


@pytest.fixture(scope="module")
async def stranger(pages: FastAPI) -> Clinic:
    return await make_clinic(pages, number="Z-1")


@pytest.mark.parametrize("name", [name for name in PAGES if name not in LISTS])
async def test_another_organisations_client_is_not_there(
    clinic: Clinic, stranger: Clinic, superuser: asyncpg.Connection, name: str
) -> None:
    request_id = uuid.uuid4().hex
    async with stranger.signed_in() as client:
        answer = await client.get(clinic.paths[name], headers={"X-Request-Id": request_id})
        assert answer.status_code == 404
        page = holds_together(answer)
        assert page.named("title")
        assert "A-17" not in answer.text
        unknown = await client.get(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", str(uuid.uuid4()), clinic.paths[name]))
        assert without_ids(unknown.text) == without_ids(answer.text)
        for file in ("chart.png?instrument=phq-9", "report.pdf"):
            assert (await client.get(f"/app/clients/{clinic.client_id}/{file}")).status_code == 404
    events = await superuser.fetch("select * from audit_event where request_id = $1", request_id)
    assert [event["outcome"] for event in events] == ["not-found"]
    assert events[0]["organisation_id"] == stranger.organisation_id


def without_ids(text: str) -> str:
    """A page without what differs from request to request."""
    return re.sub(r'<code>\w+</code>|value="[^"]+"', "", text)


async def test_what_cannot_be_a_page_is_told_as_one(clinic: Clinic) -> None:
    async with clinic.signed_in() as client:
        for path, status in (
            ("/app/nothing", 404),
            ("/app/clients/not-an-id", 422),
            ("/app/alerts?status=all", 422),
            ("/app/due?cursor=zzz", 422),
            ("/app/static/nothing.css", 404),
            (f"/app/responses/{clinic.response_id}?revision=9", 404),
        ):
            answer = await client.get(path)
            assert answer.status_code == status, path
            holds_together(answer)
        answer = await client.delete("/app/alerts")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_what_only_begins_like_a_page_is_told_as_anywhere_else(clinic: Clinic) -> None:
    async with clinic.signed_in() as client:
        answer = await client.get("/apple")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_pictures_and_the_style_sheet_are_there(clinic: Clinic) -> None:
    async with clinic.signed_in() as client:
        page = Elements((await client.get(clinic.paths["client"])).text)
        (image,) = [given for given in page.named("img") if "phq-9" in str(given["src"])]
        assert "Worse" in str(image["alt"])
        answer = await client.get(str(image["src"]))
        assert (answer.headers["content-type"], answer.content[:4]) == ("image/png", b"\x89PNG")
        assert answer.headers["cache-control"] == "no-store"
        sources = [str(given["srcset"]) for given in page.named("source")]
        assert {re.search(r"theme=(\w+)", one)[1] for one in sources if "theme" in one} == {"dark", "print"}  # type: ignore[index]  # just found
        dark = await client.get(next(one for one in sources if "dark" in one))
        assert dark.status_code == 200
        assert dark.content != answer.content
        assert (await client.get(f"{image['src']}&theme=pink")).status_code == 422
        (sheet,) = [given["href"] for given in page.named("link") if given["rel"] == "stylesheet"]
        answer = await client.get(str(sheet))
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert re.fullmatch(r"/app/static/app\.[0-9a-f]{16}\.css", str(sheet))


async def test_the_report_is_a_file_of_its_own(clinic: Clinic, superuser: asyncpg.Connection) -> None:
    request_id = uuid.uuid4().hex
    async with clinic.signed_in() as client:
        path = next(
            str(given["href"])
            for given in Elements((await client.get(clinic.paths["client"])).text).named("a")
            if str(given["href"]).endswith("report.pdf")
        )
        answer = await client.get(path, headers={"X-Request-Id": request_id})
        assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-")
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["cache-control"] == "no-store"
    assert await superuser.fetchval("select count(*) from audit_event where request_id = $1", request_id) > 0
    async with clinic.signed_in("researcher:r-1") as client:
        assert (await client.get(path)).status_code == 403


@pytest.mark.parametrize("name", PAGES)
async def test_stored_text_is_never_markup(nasty: Clinic, name: str) -> None:
    async with nasty.signed_in() as client:
        answer = await client.get(nasty.paths[name])
    assert answer.status_code == 200
    page = holds_together(answer)
    assert not [given for given in page.named("img") if given.get("src") == "x"]
    assert "alert(1)" not in answer.text.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "")
    if name != "due":
        assert "&lt;script&gt;" in answer.text


@pytest.fixture(scope="module")
async def nasty(pages: FastAPI) -> Clinic:
    """A clinic whose every free text is an attack, its own instrument's name and topics too."""
    made = await make_clinic(pages, number=NASTY, text=NASTY)
    admin, clinician = Api(pages, made.slug, "admin"), Api(pages, made.slug)
    rule = {"instrument": "phq-9", "name": NASTY, "severity": "urgent", "when": {"scale": "total", "at_least": 1}}
    await admin.post("/v1/alert-rules", rule)
    guidance = {"entries": [{"text": NASTY}]}
    answer = await admin.client.put("/v1/alert-guidance", json=guidance, headers={"If-Match": '"0"'})
    assert answer.status_code == 200
    await clinician.answered(made.client_id, "phq-9", "2026-03-07", {str(item): 2 for item in range(1, 10)})
    found = await clinician.client.get(f"/v1/clients/{made.client_id}/alerts?kind=threshold")
    raised = found.json()["items"][0]["id"]
    await clinician.post(f"/v1/alerts/{raised}/acknowledge", {"note": NASTY})
    response_id = await of_own_instrument(admin, clinician, made.client_id)
    for one in (admin, clinician):
        await one.client.aclose()
    return replace(made, alert_id=raised, response_id=response_id)


async def of_own_instrument(admin: Api, clinician: Api, client_id: str) -> str:
    """A response to an instrument of the clinic's own, whose every text is an attack."""
    body = submission(name=f"Lamp {NASTY}", measures=NASTY)
    for named in ("items", "scales"):
        for part in body["definition"][named]:
            part["topic" if named == "items" else "name"] = f"{part['id']} {NASTY}"
    draft = await admin.client.post("/v1/instruments", json=body)
    assert draft.status_code == 201, draft.text
    publish = draft.headers["location"].removesuffix("draft") + "publish"
    answer = await admin.client.post(publish, headers={"If-Match": draft.headers["etag"]})
    assert answer.status_code == 201, answer.text
    for day in ("2026-02-01", "2026-03-01"):
        made = await clinician.answered(client_id, "own-lamp", day, {"1": 3, "2": 3, "3": 0})
    return str(made["id"])


async def test_logs_name_pages_by_their_templates(clinic: Clinic, capfd: pytest.CaptureFixture[str]) -> None:
    from api import logging

    async with clinic.signed_in() as client:
        logging.configure("info")
        for path in clinic.paths.values():
            await client.get(path)
        await client.get("/app/sign-in/callback?code=secret-code&state=secret-state")
        cookie = next(iter(client.cookies.values()))
    told = capfd.readouterr().err
    assert '"route":"/app/clients/{client_id}/history"' in told
    for secret in (clinic.client_id, clinic.alert_id, "secret-code", "secret-state", cookie, "A-17", "c-1"):
        assert secret not in told


async def test_pages_are_under_their_own_address_only(pages: FastAPI, clinic: Clinic) -> None:
    async with clinic.signed_in() as client:
        for host in ("evil.test", "127.0.0.1", ""):
            answer = await client.get("/app/alerts", headers={"Host": host})
            assert answer.status_code == 403
            assert "A-17" not in answer.text
        assert (await client.get("/app/sign-in", headers={"Host": "evil.test"})).status_code == 403


async def test_without_a_setting_pages_are_on_this_machine_only(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app=app)
    for host, status in (("127.0.0.1:8000", 200), ("localhost", 200), ("[::1]:1", 200), ("rebound.evil.test", 403)):
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            assert (await client.get("/app/sign-in")).status_code == status
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/app/sign-in", headers={"Host": "127.0.0.1:80.evil.test"})).status_code == 403


def test_a_path_of_our_own_is_told_from_others() -> None:
    assert own_path("/app/clients/0192f3a1-0000-7000-8000-00000000beef/history?cursor=a%3D") is not None
    assert own_path(None) is None
    assert own_path(f"{BASE}/app") is None


async def test_who_comes_too_often_is_told_on_a_page(pages: FastAPI, clinic: Clinic, monkeypatch: Any) -> None:
    from api.problems import TooManyRequests

    def refuse(_: object) -> None:
        raise TooManyRequests(7)

    async with clinic.signed_in() as client:
        monkeypatch.setattr(pages.state.authenticator._limit, "take", refuse)
        answer = await client.get("/app/alerts")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        holds_together(answer)


async def test_a_failure_is_told_on_a_page_without_its_reason(pages: FastAPI, monkeypatch: Any) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("api.pages.sign_in._personas", fail)
    async with browser(pages) as client:
        answer = await client.get("/app/sign-in")
        assert answer.status_code == 500
        holds_together(answer)
        assert "secret" not in answer.text
