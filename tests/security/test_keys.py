"""Where public keys come from: pinned, or fetched from an issuer over real HTTP, also when that goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from api.security import keys
from tests.security import forge


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Publisher:
    """An issuer's web server: a few lines of HTTP on a real socket, with an answer that the test sets."""

    def __init__(self) -> None:
        self.status = "200 OK"
        self.body = b""
        self.headers = ""
        self.delay = 0.0
        self.asked = 0

    def publish(self, *jwks: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": jwks}).encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        await asyncio.sleep(self.delay)
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n{self.headers}\r\n"
        writer.write(head.encode() + self.body)
        writer.close()


@pytest.fixture
async def publisher() -> AsyncIterator[tuple[Publisher, str, Callable[[], Awaitable[None]]]]:
    found = Publisher()
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    yield found, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json", stop
    await stop()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


Published = tuple[Publisher, str, Callable[[], Awaitable[None]]]


class TestFetched:
    async def test_is_fetched_once(self, publisher: Published, http: httpx.AsyncClient) -> None:
        issuer, uri, _ = publisher
        issuer.publish(forge.jwk(forge.EC256, "a"), forge.jwk(forge.RSA, "b"))
        source = keys.FetchedKeys(uri, http, clock=Clock())
        for key_id, algorithms in (("a", {"ES256"}), ("b", {"RS256", "RS384"})):
            found = await source.find(key_id)
            assert found is not None
            assert found.algorithms == algorithms
        assert issuer.asked == 1

    async def test_many_at_once_fetch_once(self, publisher: Published, http: httpx.AsyncClient) -> None:
        issuer, uri, _ = publisher
        issuer.publish(forge.jwk(forge.EC256, "a"))
        issuer.delay = 0.05
        source = keys.FetchedKeys(uri, http, clock=Clock())
        assert all(await asyncio.gather(*(source.find("a") for _ in range(20))))
        assert issuer.asked == 1

    async def test_new_key_is_found(self, publisher: Published, http: httpx.AsyncClient) -> None:
        issuer, uri, _ = publisher
        clock = Clock()
        issuer.publish(forge.jwk(forge.EC256, "a"))
        source = keys.FetchedKeys(uri, http, clock=clock)
        await source.find("a")
        issuer.publish(forge.jwk(forge.EC256, "a"), forge.jwk(forge.STRANGER, "b"))
        clock.now += keys.FETCH_INTERVAL
        assert await source.find("b")
        assert issuer.asked == 2

    async def test_unknown_ids_do_not_hammer_the_issuer(self, publisher: Published, http: httpx.AsyncClient) -> None:
        issuer, uri, _ = publisher
        clock = Clock()
        issuer.publish(forge.jwk(forge.EC256, "a"))
        source = keys.FetchedKeys(uri, http, clock=clock)
        for at in range(100):
            assert await source.find(f"unknown-{at}") is None
        assert issuer.asked == 1
        clock.now += keys.FETCH_INTERVAL
        for at in range(100):
            assert await source.find(f"unknown-{at}") is None
        assert issuer.asked == 2

    async def test_withdrawn_key_goes_out_of_use(self, publisher: Published, http: httpx.AsyncClient) -> None:
        issuer, uri, _ = publisher
        clock = Clock()
        issuer.publish(forge.jwk(forge.EC256, "a"), forge.jwk(forge.STRANGER, "b"))
        source = keys.FetchedKeys(uri, http, clock=clock)
        assert await source.find("a")
        issuer.publish(forge.jwk(forge.STRANGER, "b"))
        assert await source.find("a"), "within the age of the set it is still used"
        clock.now += keys.FETCH_AGE + 1
        assert await source.find("a") is None
        assert await source.find("b")

    @pytest.mark.parametrize(
        ("status", "headers", "body"),
        [
            ("500 Internal Server Error", "", b""),
            ("404 Not Found", "", b'{"keys": []}'),
            ("302 Found", "Location: http://127.0.0.1:1/\r\n", b""),
            ("200 OK", "", b"not json"),
            ("200 OK", "", b"[" * 5000),
            ("200 OK", "", b'{"keys": {}}'),
            ("200 OK", "", b'{"keys": [1]}'),
            ("200 OK", "", b'{"keys": [], "keys": []}'),
            ("200 OK", "", b'{"keys": []}' + b" " * keys.LARGEST_SET),
            ("200 OK", "", json.dumps({"keys": [{"kid": str(n)} for n in range(101)]}).encode()),
            ("200 OK", "", json.dumps({"keys": [forge.jwk(forge.EC256, "a", d="AAAA")]}).encode()),
        ],
    )
    async def test_failed_fetch(
        self, publisher: Published, http: httpx.AsyncClient, status: str, headers: str, body: bytes
    ) -> None:
        issuer, uri, _ = publisher
        clock = Clock()
        fresh = keys.FetchedKeys(uri, http, clock=clock)
        issuer.status, issuer.headers, issuer.body = status, headers, body
        with pytest.raises(keys.KeysUnavailable):
            await fresh.find("a")

        issuer.status, issuer.headers = "200 OK", ""
        issuer.publish(forge.jwk(forge.EC256, "a"))
        with pytest.raises(keys.KeysUnavailable):  # not asked again within the interval
            await fresh.find("a")
        assert issuer.asked == 1
        clock.now += keys.FETCH_INTERVAL
        assert await fresh.find("a")

        issuer.status, issuer.headers, issuer.body = status, headers, body
        clock.now += keys.FETCH_AGE + 1
        assert await fresh.find("a"), "the old keys stay"
        assert await fresh.find("b") is None
        assert issuer.asked == 3

    async def test_issuer_gone(self, publisher: Published, http: httpx.AsyncClient) -> None:
        issuer, uri, stop = publisher
        clock = Clock()
        issuer.publish(forge.jwk(forge.EC256, "a"))
        held, fresh = keys.FetchedKeys(uri, http, clock=clock), keys.FetchedKeys(uri, http, clock=clock)
        await held.find("a")
        await stop()
        clock.now += keys.FETCH_AGE + 1
        assert await held.find("a")
        with pytest.raises(keys.KeysUnavailable):
            await fresh.find("a")

    async def test_slow_issuer(
        self, publisher: Published, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        issuer, uri, _ = publisher
        issuer.publish(forge.jwk(forge.EC256, "a"))
        issuer.delay = 0.3
        monkeypatch.setattr(keys, "FETCH_TIMEOUT", 0.05)
        with pytest.raises(keys.KeysUnavailable):
            await keys.FetchedKeys(uri, http, clock=Clock()).find("a")


class TestSet:
    def test_keys_without_use_for_us_are_left_out(self) -> None:
        found = keys.read_key_set(
            {
                "keys": [
                    forge.jwk(forge.EC256, "good"),
                    forge.jwk(forge.EC256, "encrypts", use="enc"),
                    forge.jwk(forge.EC256, "signs", key_ops=["sign"]),
                    forge.jwk(forge.EC256, "other", alg="ES384"),
                    forge.jwk(forge.EC256, ""),
                    forge.jwk(forge.EC256, "k" * 201),
                    {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "AAAA"},
                    {"kty": "EC", "crv": "secp256k1", "kid": "k1", "x": "AAAA", "y": "AAAA"},
                    {name: value for name, value in forge.jwk(forge.RSA, "").items() if name != "kid"},
                    forge.jwk(forge.RSA, "twice"),
                    forge.jwk(forge.EC384, "twice"),
                    forge.jwk(forge.EC384, "twice"),
                ]
            }
        )
        assert sorted(found) == ["good"]
        assert found["good"].pem.encode() == forge.public_pem(forge.EC256)

    @pytest.mark.parametrize(
        ("document", "says"),
        [
            (None, "list of objects"),
            ([], "list of objects"),
            ({}, "list of objects"),
            ({"keys": "a"}, "list of objects"),
            ({"keys": [forge.jwk(forge.EC256, "a") | {"y": forge.b64(bytes(32))}]}, "cannot be used"),
            ({"keys": [forge.jwk(forge.EC256, "a") | {"y": 7}]}, "cannot be used"),
            ({"keys": [forge.jwk(forge.RSA, "a") | {"n": "A" * 9000}]}, "cannot be used"),
            ({"keys": [forge.jwk(forge.RSA, "a") | {"e": forge.b64(bytes([2]))}]}, "cannot be used"),
            ({"keys": [forge.jwk(forge.RSA, "a", key_ops=7)]}, "cannot be used"),
            ({"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}, "private member 'k'"),
            ({"keys": [forge.jwk(forge.RSA, "a", p="AAAA")]}, "private member 'p'"),
        ],
    )
    def test_refused(self, document: object, says: str) -> None:
        with pytest.raises(keys.KeySetInvalid, match=says):
            keys.read_key_set(document)

    def test_pinning_nothing_is_a_mistake(self) -> None:
        with pytest.raises(keys.KeySetInvalid, match="no key of the set"):
            keys.PinnedKeys({"keys": [forge.jwk(forge.EC256, "a", use="enc")]})
