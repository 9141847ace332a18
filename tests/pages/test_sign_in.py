"""Signing in at a provider: what it sends is taken only from this attempt, by this browser, once."""

from __future__ import annotations

import asyncio
import base64
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api.pages.provider import Provider, ProviderUnreachable
from api.pages.sessions import COOKIE
from api.settings import SettingsError, SignInSettings
from tests.pages.clinic import BASE, SENT_FROM_HERE, Clinic, browser, path_of, token_in
from tests.pages.conftest import SIGN_IN
from tests.pages.liar import CLIENT_ID, ISSUER, Liar, install, new_key


@pytest.fixture
async def liar(pages: FastAPI, clinic: Clinic) -> AsyncIterator[Liar]:
    made = Liar(clinic.slug)
    http = install(pages, made, SIGN_IN)
    yield made
    await http.aclose()


@pytest.fixture
async def client(pages: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(pages) as made:
        yield made


async def started(client: httpx.AsyncClient, liar: Liar, path: str | None = None) -> dict[str, str]:
    """What the provider would send the browser back with."""
    answer = await client.get("/app/sign-in/start", params={"next": path} if path else None)
    assert answer.status_code == 303, answer.text
    liar.arrive(answer.headers["location"])
    return {"state": liar.asked["state"], "code": "a-code", "iss": ISSUER}


async def back(client: httpx.AsyncClient, given: dict[str, str]) -> httpx.Response:
    return await client.get("/app/sign-in/callback", params=given)


def refused(answer: httpx.Response, words: str, status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    assert words in " ".join(answer.text.split())
    assert COOKIE + "=" not in str(answer.headers.get_list("set-cookie"))


async def events(superuser: asyncpg.Connection, clinic: Clinic, action: str) -> list[asyncpg.Record]:
    return list(
        await superuser.fetch(
            "select * from audit_event where organisation_id = $1 and action = $2 order by at",
            clinic.organisation_id,
            action,
        )
    )


async def test_who_is_known_to_the_provider_is_let_in(
    client: httpx.AsyncClient, liar: Liar, clinic: Clinic, superuser: asyncpg.Connection
) -> None:
    given = await started(client, liar, "/app/alerts?status=open")
    assert (liar.asked["response_type"], liar.asked["code_challenge_method"]) == ("code", "S256")
    assert liar.asked["redirect_uri"] == f"{BASE}/app/sign-in/callback"
    assert len({liar.asked[name] for name in ("state", "nonce", "code_challenge")}) == 3
    answer = await back(client, given)
    assert path_of(answer) == "/app/sign-in/done?next=%2Fapp%2Falerts%3Fstatus%3Dopen"
    held = {cookie.split("=")[0]: cookie for cookie in answer.headers.get_list("set-cookie")}
    assert re.fullmatch(COOKIE + r"=[A-Za-z0-9_-]{64}; Path=/; Secure; HttpOnly; SameSite=Lax", held[COOKIE]), (
        "bound to this host, kept from scripts and from other sites' requests"
    )
    assert "Max-Age=0" in held["__Host-fathomline-sign-in"]
    answer = await client.get(path_of(answer))
    assert path_of(answer) == "/app/alerts?status=open"
    assert (await client.get(path_of(answer))).status_code == 200
    told = (await events(superuser, clinic, "sign-in"))[-1]
    assert (told["subject"], told["role"], told["outcome"]) == ("c-1", "clinician", "done")
    asked = dict(liar.requests)["/token"]
    assert asked["client_id"] == CLIENT_ID, "a public client says who it is in the body"


async def test_a_secret_goes_in_the_header_alone(pages: FastAPI, client: httpx.AsyncClient, clinic: Clinic) -> None:
    liar = Liar(clinic.slug)
    settings = SIGN_IN.model_validate({**SIGN_IN.model_dump(), "client_secret": "a+b/c"})
    http = install(pages, liar, settings)
    assert (await back(client, await started(client, liar))).status_code == 303
    asked = dict(liar.requests)["/token"]
    assert base64.b64decode(asked["authorization"].removeprefix("Basic ")) == b"fathomline:a%2Bb%2Fc"
    assert "client_secret" not in asked
    await http.aclose()


async def test_an_answer_without_an_attempt_of_this_browser_is_refused(
    pages: FastAPI, client: httpx.AsyncClient, liar: Liar
) -> None:
    """Somebody's code, injected into a browser that did not ask for it, signs nobody in as them."""
    given = await started(client, liar)
    async with browser(pages) as victim:
        refused(await back(victim, given), "no such sign-in under way")
        other = await victim.get("/app/sign-in/start")
        assert other.status_code == 303
        refused(await back(victim, given), "no such sign-in under way")
        liar.arrive(other.headers["location"])
        refused(await back(victim, {**given, "state": liar.asked["state"], "code": "another"}), "invalid_grant")
    assert not any(path == "/token" and form.get("code") == "a-code" for path, form in liar.requests)


async def test_an_answer_is_taken_once(client: httpx.AsyncClient, liar: Liar) -> None:
    given = await started(client, liar)
    attempt = client.cookies["__Host-fathomline-sign-in"]
    assert (await back(client, given)).status_code == 303
    refused(await back(client, given), "no such sign-in under way")
    client.cookies.set("__Host-fathomline-sign-in", attempt, domain="pages.test", path="/")
    refused(await back(client, given), "invalid_grant")


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ({"claims": {"nonce": "another"}}, "is not meant for this sign-in"),
        ({"claims": {"nonce": None}}, "is not meant for this sign-in"),
        ({"claims": {"iss": "https://evil.test"}}, "is not meant for this sign-in"),
        ({"claims": {"aud": "another-client"}}, "is not meant for this sign-in"),
        ({"claims": {"aud": [CLIENT_ID, "another"], "azp": "another"}}, "is not meant for this sign-in"),
        ({"claims": {"exp": 1}}, "has expired"),
        ({"claims": {"iat": 10**11}}, "is not meant for this sign-in"),
        ({"claims": {"exp": "never"}}, "is not meant for this sign-in"),
        ({"claims": {"at_hash": "AAAA"}}, "is not meant for this sign-in"),
        ({"header": {"kid": "unknown"}}, "does not publish"),
        ({"header": {"jwk": {"kty": "EC"}}}, "not one that the settings allow"),
        ({"signs_with": new_key("first")}, "has another signature"),
        ({"token": "no-token"}, "not a signed JSON Web Token"),
        ({"token": "e30.e30.AA"}, "not one that the settings allow"),
        ({"token": "x" * 20_000}, "no ID token"),
        ({"token_answer": (200, {"access_token": "opaque"})}, "no ID token"),
        ({"claims": {"sub": "\x07"}}, "cannot be used"),
        ({"token_answer": (400, {"error": "invalid_client", "error_description": "<b>who</b> are you"})},
         "<code>invalid_client</code><br>&lt;b&gt;who&lt;/b&gt; are you"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
async def test_what_a_lying_provider_sends_is_refused(
    client: httpx.AsyncClient, liar: Liar, lie: dict[str, Any], words: str
) -> None:
    given = await started(client, liar)
    for name, value in lie.items():
        setattr(liar, name, value)
    refused(await back(client, given), words)
    assert (await client.get("/app")).status_code == 303


@pytest.mark.parametrize("forge", [Liar.unsigned, Liar.signed_with_public_key])
async def test_algorithms_that_are_not_allowed_are_refused(client: httpx.AsyncClient, liar: Liar, forge: Any) -> None:
    given = await started(client, liar)
    liar.token = forge(liar)
    refused(await back(client, given), "not one that the settings allow")


@pytest.mark.parametrize("iss", ["https://evil.test", None])
async def test_an_answer_of_another_issuer_is_refused(client: httpx.AsyncClient, liar: Liar, iss: str | None) -> None:
    given = await started(client, liar)
    mixed_up = {name: value for name, value in (given | {"iss": iss}).items() if value is not None}
    refused(await back(client, mixed_up), "another sign-in service than the one that was asked")
    assert "/token" not in dict(liar.requests)


async def test_a_refusal_is_told_in_the_providers_words(client: httpx.AsyncClient, liar: Liar) -> None:
    given = await started(client, liar)
    told = {"state": given["state"], "iss": ISSUER, "error": "access_denied", "error_description": "<i>not</i> today"}
    answer = await back(client, told)
    refused(answer, "<code>access_denied</code><br>&lt;i&gt;not&lt;/i&gt; today")


async def test_a_provider_that_cannot_be_reached_is_told(client: httpx.AsyncClient, liar: Liar) -> None:
    liar.down = True
    refused(await client.get("/app/sign-in/start"), "cannot be reached", 503)
    liar.down = False
    given = await started(client, liar)
    liar.down = True
    refused(await back(client, given), "It does not answer.", 503)


async def test_all_who_wait_for_a_provider_ask_it_once() -> None:
    silent, asked = asyncio.Event(), 0

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        await silent.wait()
        raise httpx.ConnectError("nobody is there")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        provider = Provider(SIGN_IN, BASE, http)
        waiting = [asyncio.ensure_future(provider.end_session_url()) for _ in range(20)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        silent.set()
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(told[0], asyncio.CancelledError)
        assert told[1:] == [None] * 19
        assert asked == 1
        with pytest.raises(ProviderUnreachable):
            await provider.metadata()
        assert asked == 2


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"issuer": "https://evil.test"}, "that of another issuer"),
        ({"token_endpoint": "http://login.test/token"}, "no usable token_endpoint"),
        ({"jwks_uri": None}, "no usable jwks_uri"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "no usable authorization_endpoint"),
    ],
)
async def test_a_provider_that_says_what_cannot_be_used_is_told(
    client: httpx.AsyncClient, liar: Liar, metadata: dict[str, Any], words: str
) -> None:
    liar.metadata = metadata
    refused(await client.get("/app/sign-in/start"), words, 503)


async def test_keys_that_the_provider_has_replaced_are_fetched_again(
    client: httpx.AsyncClient, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await back(client, await started(client, liar))).status_code == 303
    liar.keys, liar.spent = [new_key("second")], set()
    refused(await back(client, await started(client, liar)), "does not publish")  # not more often than every minute
    monkeypatch.setattr("api.security.keys.FETCH_INTERVAL", 0.0)
    liar.spent = set()
    assert (await back(client, await started(client, liar))).status_code == 303


@pytest.mark.parametrize("role", ["janitor", None, ["janitor", 7], {"clinician": True}])
async def test_who_has_no_role_here_is_told_so_and_is_on_record(
    client: httpx.AsyncClient, liar: Liar, clinic: Clinic, superuser: asyncpg.Connection, role: Any
) -> None:
    given = await started(client, liar)
    liar.claims = {"role": role}
    refused(await back(client, given), "no role here that pages exist for", 403)
    assert (await events(superuser, clinic, "sign-in"))[-1]["outcome"] == "no-role"


async def test_of_several_roles_the_first_of_the_settings_holds(client: httpx.AsyncClient, liar: Liar) -> None:
    given = await started(client, liar)
    liar.claims = {"role": ["researcher", "boss", "janitor"]}
    assert (await back(client, given)).status_code == 303
    assert "c-1, admin" in (await client.get("/app")).text


@pytest.mark.parametrize("organisation", ["nowhere", None, "../demo", ["demo", "other"]])
async def test_who_belongs_to_no_organisation_is_told_so(
    client: httpx.AsyncClient, liar: Liar, organisation: Any
) -> None:
    given = await started(client, liar)
    liar.claims = {"organisation": organisation}
    refused(await back(client, given), "to which organisation", 403)


async def test_signing_in_makes_a_new_session_and_ends_the_one_before(
    client: httpx.AsyncClient, liar: Liar, pages: FastAPI
) -> None:
    assert (await back(client, await started(client, liar))).status_code == 303
    before = client.cookies[COOKIE]
    liar.spent = set()
    assert (await back(client, await started(client, liar))).status_code == 303
    assert client.cookies[COOKIE] != before
    async with browser(pages) as thief:
        thief.cookies.set(COOKIE, before, domain="pages.test", path="/")
        assert (await thief.get("/app")).headers["location"] == "/app/sign-in"


async def test_a_session_that_somebody_else_planted_is_not_taken_over(
    client: httpx.AsyncClient, liar: Liar, pages: FastAPI
) -> None:
    """Fixation: who put a cookie of their choice into the browser does not come in by it once its owner has."""
    planted = "A" * 64
    client.cookies.set(COOKIE, planted, domain="pages.test", path="/")
    assert (await back(client, await started(client, liar))).status_code == 303
    async with browser(pages) as thief:
        thief.cookies.set(COOKIE, planted, domain="pages.test", path="/")
        assert (await thief.get("/app")).status_code == 303


async def test_who_signs_out_is_sent_to_the_provider_too(client: httpx.AsyncClient, liar: Liar) -> None:
    await back(client, await started(client, liar))
    page = await client.get("/app/alerts")
    answer = await client.post("/app/sign-out", data={"csrf": token_in(page.text)}, headers=SENT_FROM_HERE)
    assert path_of(answer) == "/app/signed-out"
    answer = await client.get("/app/signed-out")
    assert answer.status_code == 200
    url = urlsplit(answer.headers["refresh"].removeprefix("0; url="))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/logout"
    assert parse_qs(url.query) == {"client_id": [CLIENT_ID], "post_logout_redirect_uri": [f"{BASE}/app/sign-in"]}


@pytest.mark.parametrize(
    "where",
    ["https://evil.test/", "//evil.test", "/\\evil.test", "/app//evil.test", "/app/../v1", "javascript:alert(1)",
     "/apple", "/app\nLocation: https://evil.test", "/app/alerts#https://evil.test", "/app/%2f%2fevil.test",
     "/app" + "/a" * 400],
)  # fmt: skip
async def test_nobody_is_sent_elsewhere(client: httpx.AsyncClient, liar: Liar, where: str) -> None:
    assert path_of(await back(client, await started(client, liar, where))) == "/app/sign-in/done"
    answer = await client.get("/app/sign-in/done", params={"next": where})
    assert answer.headers["location"] == "/app"


async def test_a_browser_that_keeps_no_cookie_is_told_so(client: httpx.AsyncClient, liar: Liar) -> None:
    answer = await client.get("/app/sign-in/done")
    refused(answer, "keeps no cookie")


def test_settings_that_let_others_read_along_are_refused(settings: Any) -> None:
    there = SIGN_IN.model_dump() | {"issuer": "http://login.test"}
    for given, url in ((SignInSettings(**there), BASE), (SIGN_IN, "http://pages.test")):
        with pytest.raises(SettingsError, match="has to be https"):
            Provider(given, url, httpx.AsyncClient())


@pytest.mark.parametrize(
    "wrong",
    [
        {"organisation": "a", "organisation_claim": "b"},
        {"organisation": None, "organisation_claim": None},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"algorithms": []},
        {"scopes": "profile"},
        {"roles": {"a": "ehr"}},
        {"client_secret": "a", "client_secret_file": "/b"},
        {"issuer": "https://login.test/?a"},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        SignInSettings.model_validate(SIGN_IN.model_dump() | wrong)


async def test_without_a_provider_there_is_no_way_to_one(pages: FastAPI, client: httpx.AsyncClient) -> None:
    kept, pages.state.sign_in = pages.state.sign_in, None
    try:
        for path in ("start", "callback"):
            answer = await client.get(f"/app/sign-in/{path}", params={"state": str(uuid.uuid4())})
            assert answer.status_code == 404
    finally:
        pages.state.sign_in = kept
