"""Sessions: what a cookie opens, until when, and what is kept of it."""

from __future__ import annotations

import base64
import uuid
from datetime import timedelta

import asyncpg
import pytest
from fastapi import FastAPI

from api.pages.sessions import COOKIE
from tests.pages.clinic import SENT_FROM_HERE, Clinic, browser, enter, path_of, token_in
from tests.web.test_contract import OPERATIONS


async def moved(superuser: asyncpg.Connection, clinic: Clinic, change: str) -> None:
    """As if time had passed for the clinic's sessions."""
    await superuser.execute(f"update page_session set {change} where organisation_id = $1", clinic.organisation_id)  # noqa: S608  - our own changes


async def test_nobody_comes_in_without_signing_in(pages: FastAPI, clinic: Clinic) -> None:
    async with browser(pages) as client:
        for path in clinic.paths.values():
            answer = await client.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/app/sign-in?next=%2Fapp%2F")
            assert answer.content == b""


async def test_a_token_of_the_api_opens_no_page_and_a_session_no_api(pages: FastAPI, clinic: Clinic) -> None:
    token = pages.state.development_issuer.token(organisation=clinic.slug, role="clinician")
    async with browser(pages) as client:
        answer = await client.get("/app/alerts", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 303
    async with clinic.signed_in() as client:
        assert (await client.get("/app/alerts")).status_code == 200
        assert (await client.get("/v1/alerts")).status_code == 401


async def test_what_is_kept_opens_nothing(pages: FastAPI, clinic: Clinic, superuser: asyncpg.Connection) -> None:
    async with clinic.signed_in() as client:
        cookie = client.cookies[COOKIE]
        rows = await superuser.fetch("select s.*, s::text as shown from page_session s")
        secret = base64.urlsafe_b64decode(cookie)[16:]
        assert rows
        for row in rows:
            assert cookie not in row["shown"]
            assert secret.hex() not in row["shown"]
            opened = base64.urlsafe_b64encode(row["organisation_id"].bytes + row["secret_hash"]).decode().rstrip("=")
            async with browser(pages) as thief:
                thief.cookies.set(COOKIE, opened, domain="pages.test", path="/")
                assert (await thief.get("/app")).status_code == 303


async def test_a_session_that_is_not_used_ends(clinic: Clinic, superuser: asyncpg.Connection) -> None:
    async with clinic.signed_in() as client:
        await moved(superuser, clinic, "started_at = now() - interval '3 h', seen_at = now() - interval '29 minutes'")
        assert (await client.get("/app/alerts")).status_code == 200
        await moved(superuser, clinic, "seen_at = seen_at - interval '29 minutes'")
        assert (await client.get("/app/alerts")).status_code == 200, "its use is noted, so the time began anew"
        await moved(superuser, clinic, "seen_at = seen_at - interval '31 minutes'")
        answer = await client.get("/app/alerts")
        assert path_of(answer) == "/app/sign-in?next=%2Fapp%2Falerts"


async def test_a_session_ends_however_busy_it_is(clinic: Clinic, superuser: asyncpg.Connection) -> None:
    async with clinic.signed_in() as client:
        newest = await superuser.fetchrow(
            "select * from page_session where organisation_id = $1 order by started_at desc", clinic.organisation_id
        )
        assert newest["ends_at"] - newest["started_at"] == timedelta(hours=10)
        await moved(superuser, clinic, "started_at = now() - interval '9 h', ends_at = now() - interval '1 second'")
        assert (await client.get("/app/alerts")).status_code == 303
        await enter(client, "clinician:c-1", clinic.slug)
        left = await superuser.fetchval(
            "select count(*) from page_session where organisation_id = $1 and ends_at < now()", clinic.organisation_id
        )
        assert left == 0, "what is over is swept out"


async def test_a_cookie_that_was_stolen_opens_nothing_after_its_owner_signed_out(
    pages: FastAPI, clinic: Clinic, superuser: asyncpg.Connection
) -> None:
    async with clinic.signed_in() as client, browser(pages) as thief:
        thief.cookies.set(COOKIE, client.cookies[COOKIE], domain="pages.test", path="/")
        page = await thief.get("/app/alerts")
        assert page.status_code == 200
        answer = await client.post("/app/sign-out", data={"csrf": token_in(page.text)}, headers=SENT_FROM_HERE)
        assert path_of(answer) == "/app/signed-out"
        assert COOKIE not in client.cookies
        assert (await thief.get("/app/alerts")).status_code == 303
        told = await superuser.fetchrow(
            "select * from audit_event where organisation_id = $1 and action = 'sign-out'", clinic.organisation_id
        )
        assert (told["subject"], told["resource"], told["outcome"]) == ("c-1", "page-session", "done")


@pytest.mark.parametrize("cookie", ["", "A" * 63, "A" * 64, "!" * 64, "é" * 64, "A" * 5000])
async def test_a_cookie_that_is_none_of_ours_opens_nothing(pages: FastAPI, cookie: str) -> None:
    async with browser(pages) as client:
        answer = await client.get("/app", headers=[(b"cookie", f"{COOKIE}={cookie}".encode())])
        assert answer.status_code == 303


async def test_a_session_opens_its_own_organisation_only(pages: FastAPI, clinic: Clinic) -> None:
    """The organisation in the cookie is a hint where to look; a wrong one finds nothing."""
    async with clinic.signed_in() as client, browser(pages) as thief:
        secret = base64.urlsafe_b64decode(client.cookies[COOKIE])[16:]
        for organisation_id in (uuid.uuid4(), uuid.UUID(int=0)):
            moved = base64.urlsafe_b64encode(organisation_id.bytes + secret).decode().rstrip("=")
            thief.cookies.set(COOKIE, moved, domain="pages.test", path="/")
            assert (await thief.get("/app")).status_code == 303


async def test_personas_are_there_only_with_the_development_issuer(pages: FastAPI, clinic: Clinic) -> None:
    kept, pages.state.development_issuer = pages.state.development_issuer, None
    try:
        async with browser(pages) as client:
            page = await client.get("/app/sign-in")
            assert "persona" not in page.text
            form = {"csrf": "a", "persona": "admin:a", "organisation": clinic.slug}
            answer = await client.post("/app/sign-in/persona", data=form, headers=SENT_FROM_HERE)
            assert answer.status_code == 404
    finally:
        pages.state.development_issuer = kept


@pytest.mark.parametrize("persona", ["ehr:a", "admin:", "admin", "", "clinician:\x07", "root:a", "admin:" + "a" * 300])
async def test_a_persona_is_one_of_those_there_are(pages: FastAPI, clinic: Clinic, persona: str) -> None:
    async with browser(pages) as client:
        answer = await enter(client, persona, clinic.slug)
        assert answer.status_code == 422
        answer = await enter(client, "admin:a", "no-such-organisation")
        assert answer.status_code == 422
        assert COOKIE not in client.cookies


def test_no_page_is_an_operation_of_the_api() -> None:
    assert not [operation.path for operation in OPERATIONS if operation.path.startswith("/app")]
