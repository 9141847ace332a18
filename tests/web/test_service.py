"""The assembled service: start, readiness, organisations, issuers from settings, and a real server."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from opentelemetry import trace

from api.app import create_app, trusted_issuers
from api.organisations.repository import find_organisation
from api.security import crypto, tokens
from api.settings import IssuerSettings, Settings, SettingsError
from tests.security import forge
from tests.web.probe import router
from tests.web.service import Service

PINNED = {"keys": [forge.jwk(forge.EC256, "ec256")]}


def issuer_settings(**changes: object) -> IssuerSettings:
    given = {"issuer": forge.ISSUER, "organisation": "demo", "audience": forge.AUDIENCE, "jwks": PINNED} | changes
    return IssuerSettings.model_validate(given)


class TestHealth:
    async def test_alive_and_ready(self, running: Service) -> None:
        async with running.client() as client:
            for path in ("/health/live", "/health/ready"):
                answer = await client.get(path)
                assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    async def test_not_ready_without_a_database(self, running: Service, tmp_path: Path) -> None:
        app = create_app(running.settings)
        nowhere = await asyncpg.create_pool(f"postgresql://nobody@/none?host={tmp_path}", min_size=0, init=None)
        app.state.database = _OnlyPool(nowhere)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            answer = await client.get("/health/ready")
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/service-unavailable")
            assert answer.headers["retry-after"] == "1"
            assert (await client.get("/health/live")).status_code == 200
        await nowhere.close()


async def test_no_tracing_sees_a_path(running: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where OpenTelemetry is set up around the service, as agents do: FastAPI's spans name the whole path."""
    asked: list[str] = []

    class Provider(trace.TracerProvider):
        def get_tracer(self, *names: Any, **more: Any) -> trace.Tracer:
            asked.append(names[0])
            return trace.NoOpTracer()

    monkeypatch.setattr(trace, "get_tracer_provider", Provider)
    async with running.client("clinician") as client:
        assert (await client.get(f"/v1/clients/{uuid.uuid4()}")).status_code == 404
    assert asked == []


class _OnlyPool:
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool


class TestOrganisations:
    async def test_found_by_slug(self, running: Service) -> None:
        async with running.app.state.database.pool.acquire() as connection:
            for slug, organisation_id in running.organisations.items():
                assert await find_organisation(connection, slug) == organisation_id
            assert await find_organisation(connection, "nobody") is None
        assert len(set(running.organisations.values())) == 2

    async def test_lookup_leaves_nothing_behind(self, running: Service) -> None:
        async with running.app.state.database.pool.acquire() as connection:
            assert await connection.fetchval("select count(*) from organisation") == 0

    async def test_token_of_an_unknown_organisation(self, running: Service) -> None:
        async with running.client("clinician", organisation="nobody") as client:
            answer = await client.post("/v1/anything", json={})
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
        assert "organisation" in answer.json()["detail"]


class TestIssuers:
    async def verified(self, *issuers: IssuerSettings, token: str) -> tokens.Claims:
        async with httpx.AsyncClient() as http:
            return await tokens.verify(token, trusted_issuers(Settings(issuers=issuers), None, http))

    async def test_settings_decide_the_organisation(self) -> None:
        token = forge.token(forge.claims(organisation="other"))
        assert (await self.verified(issuer_settings(organisation="clinic-7"), token=token)).organisation == "clinic-7"

    async def test_one_issuers_key_is_not_anothers(self) -> None:
        other = issuer_settings(issuer="https://b.example", organisation="other")
        mine = issuer_settings(jwks={"keys": [forge.jwk(forge.STRANGER, "ec256")]})
        assert (await self.verified(mine, other, token=forge.token(forge.claims(iss="https://b.example")))).subject
        with pytest.raises(tokens.TokenRefused, match="signature"):
            await self.verified(mine, other, token=forge.token())

    async def test_development_tokens_are_refused_unless_asked_for(self, running: Service) -> None:
        with pytest.raises(tokens.TokenRefused, match="issuer"):
            await self.verified(issuer_settings(), token=running.token("admin"))

    @pytest.mark.parametrize(
        ("issuers", "says"),
        [
            ([issuer_settings(), issuer_settings(organisation="other")], "named twice"),
            ([issuer_settings(issuer="urn:fathomline:development:demo")], "development issuer"),
            ([issuer_settings(jwks={"keys": []})], "no key of the set"),
            ([issuer_settings(jwks={"keys": [forge.jwk(forge.EC256, "a", d="AA")]})], "private member"),
            ([issuer_settings(jwks=None, jwks_uri="http://keys.example/jwks.json")], "has to be https"),
        ],
    )
    async def test_unusable_settings(self, issuers: list[IssuerSettings], says: str) -> None:
        async with httpx.AsyncClient() as http:
            with pytest.raises(SettingsError, match=says):
                trusted_issuers(Settings(issuers=tuple(issuers)), None, http)

    @pytest.mark.parametrize("uri", ["https://keys.example/a", "http://127.0.0.1:1/a", "http://localhost/a"])
    async def test_key_addresses(self, uri: str) -> None:
        async with httpx.AsyncClient() as http:
            named = trusted_issuers(Settings(issuers=(issuer_settings(jwks=None, jwks_uri=uri),)), None, http)
        assert named(forge.ISSUER) is not None
        assert named("https://stranger.example") is None


class TestStart:
    async def start(self, settings: Settings) -> None:
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            raise AssertionError("it started")

    async def test_weak_master_key(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="not random"):
            await self.start(Settings(data=tmp_path, master_key="00" * 32))
        assert not list(tmp_path.iterdir()), "nothing was started"

    async def test_key_of_the_development_issuer_open_to_others(self, tmp_path: Path) -> None:
        path = tmp_path / "development-issuer.json"
        path.write_text("{}")
        path.chmod(0o644)
        with pytest.raises(SettingsError, match="chmod 600"):
            await self.start(Settings(data=tmp_path, master_key=crypto.new_master_key(), development_issuer=True))


@pytest.fixture
async def address(running: Service) -> AsyncIterator[str]:
    """The service, and the routes of the probe, behind a real uvicorn on a real port."""
    app: FastAPI = create_app(running.settings)
    app.include_router(router)
    app.state.authenticator = running.app.state.authenticator
    app.state.development_issuer = running.issuer
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    server.should_exit = True
    await serving


class TestRealServer:
    async def test_a_request_and_its_refusals(self, running: Service, address: str) -> None:
        bearer = {"Authorization": f"Bearer {running.token('clinician')}"}
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            good = await client.post("/v1/things", json={"name": "a"}, headers=bearer)
            assert (good.status_code, good.json()) == (200, {"name": "a", "organisation": "demo"})
            assert "server" not in good.headers
            assert (await client.post("/v1/things", json={"name": "a"})).status_code == 401
            assert (await client.post("/v1/things", content=b"{", headers=bearer)).status_code == 415
            assert (await client.get("/fails/somehow")).json()["type"] == "/problems/internal-error"

    @pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", f"Content-Length: {100 * 65_536}"])
    async def test_large_body_gets_its_answer(self, running: Service, address: str, framing: str) -> None:
        """Also while the caller is still sending, and the connection is good for the next request."""
        host, port = address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /v1/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {running.token('ehr')}\r\n"
            f"Content-Type: application/json\r\n{framing}\r\n\r\n"
        )
        writer.write(head.encode())
        chunked = framing.endswith("chunked")
        for _ in range(100):
            writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n" if chunked else b" " * 65_536)
            await writer.drain()
        writer.write((b"0\r\n\r\n" if chunked else b"") + b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413 ")  # Pythons differ in the phrase
            answer = await reader.readuntil(b"HTTP/1.1 200 OK\r\n")
        assert answer.count(b"HTTP/1.1 ") == 1
        writer.close()

    async def test_client_that_hangs_up_in_its_body(self, running: Service, address: str) -> None:
        host, port = address.removeprefix("http://").split(":")
        for _ in range(3):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                f"POST /v1/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {running.token('ehr')}\r\n"
                "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
            )
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            assert (await client.get("/health/live")).status_code == 200
            for _ in range(50):
                found = (await client.get("/metrics")).text
                if 'route="unmatched",status="499"' in found:
                    break
                await asyncio.sleep(0.02)
            assert 'fathomline_requests_total{method="POST",route="unmatched",status="499"} 3.0' in found

    async def test_half_an_answer_is_not_taken_for_whole(self, address: str) -> None:
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/fails/midway")

    async def test_many_at_once(self, running: Service, address: str) -> None:
        bearer = {"Authorization": f"Bearer {running.token('clinician')}"}
        async with httpx.AsyncClient(base_url=address, trust_env=False, headers=bearer) as client:
            paths = [f"/v1/things/{uuid.uuid4()}" for _ in range(100)]
            answers = await asyncio.gather(*(client.get(path) for path in paths))
        assert [answer.json()["id"] for answer in answers] == [path.rpartition("/")[2] for path in paths]
        assert len({answer.headers["x-request-id"] for answer in answers}) == 100
