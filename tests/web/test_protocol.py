"""What comes over the wire before there is a request, to a real server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
import uvicorn

import api.protocol
from api.protocol import LARGEST_HEAD
from tests.web.probe import Probe

BODY = b'{"name": "thing"}'


class Wire:
    """A server on a port of its own."""

    def __init__(self, port: int, authorization: str) -> None:
        self.port = port
        self.authorization = authorization.encode()

    async def send(self, *parts: bytes, until: float = 10.0) -> bytes:
        """Send parts with a pause between them, and read until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05)
            async with asyncio.timeout(until):
                return await reader.read()
        finally:
            writer.close()

    def post(self, *headers: bytes, version: bytes = b"1.1") -> bytes:
        lines = [
            b"POST /v1/things HTTP/" + version,
            b"Host: service",
            b"Authorization: " + self.authorization,
            b"Content-Type: application/json",
            *headers,
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n"


@pytest.fixture
async def wire(probe: Probe) -> AsyncIterator[Wire]:
    config = uvicorn.Config(probe.app, port=0, lifespan="off", log_config=None, http=api.protocol.Protocol, ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield Wire(server.servers[0].sockets[0].getsockname()[1], probe.bearer()["Authorization"])
    finally:
        server.should_exit = True
        await serving


def problem(answer: bytes) -> tuple[int, str]:
    """Status and type of an answer, which has to be a whole problem and the only answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"content-length: %d" % len(body) in head
    document = json.loads(body)
    assert int(head.split(b" ")[1]) == document["status"]
    return document["status"], document["type"]


OFFER = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    "offer",
    [OFFER, (b"Connection: keep-alive", b"Connection: upgrade", b"Upgrade: websocket")],
    ids=["h2c", "websocket"],
)
async def test_an_offer_of_another_protocol_is_declined_and_the_body_is_read(
    wire: Wire, offer: tuple[bytes, ...], apart: bool
) -> None:
    head = wire.post(*offer, b"Content-Length: %d" % len(BODY))
    after = b"GET /health/live HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
    parts = (head[:30], head[30:], BODY[:5], BODY[5:], after) if apart else (head + BODY + after,)
    answer = await wire.send(*parts)
    first, second = answer.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200")
    assert b'"name":"thing"' in first
    assert second.startswith(b"200")
    assert second.endswith(b'{"status":"ok"}')


async def test_a_chunked_body_after_an_offer_is_read(wire: Wire) -> None:
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    answer = await wire.send(wire.post(*OFFER, b"Connection: close", b"Transfer-Encoding: chunked") + chunked)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"name":"thing"' in answer


@pytest.mark.parametrize(
    "request_text",
    [
        b"BREW /coffee HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /health/live HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
    ids=["method", "http2", "proxy", "tls", "two lengths"],
)
async def test_what_is_no_http_is_answered_with_a_problem(wire: Wire, request_text: bytes) -> None:
    assert problem(await wire.send(request_text)) == (400, "/problems/request-malformed")


@pytest.mark.parametrize("of_many", [False, True])
async def test_a_head_that_is_too_large_is_refused_while_it_grows(wire: Wire, of_many: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: service\r\nX-Long: ")
    sent = 0
    began = time.monotonic()
    try:
        while sent < 100 * LARGEST_HEAD and not reader.at_eof():
            writer.write(b"a\r\nX-Many: " * 1000 if of_many else b"a" * 10_000)
            sent += 10_000
            await writer.drain()
            await asyncio.sleep(0)
    except ConnectionError:
        pass
    writer.close()
    assert sent < 20 * LARGEST_HEAD  # what the kernel buffers comes on top of the limit
    assert time.monotonic() - began < 5


async def test_the_answer_to_a_large_head_says_so(wire: Wire) -> None:
    answer = await wire.send(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * LARGEST_HEAD)
    assert problem(answer) == (431, "/problems/head-too-large")


async def test_a_large_body_is_no_large_head(wire: Wire) -> None:
    name = b'{"name": "' + b"a" * (2 * LARGEST_HEAD) + b'"}'
    answer = await wire.send(wire.post(b"Connection: close", b"Content-Length: %d" % len(name)), name)
    assert problem(answer) == (422, "/problems/request-invalid")


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /health/li", b"\r\n", b"GET /health/live HTTP/1.1\r\nHost: service\r\n\r\nGET /health/li"],
    ids=["nothing", "half a head", "empty lines", "a request and half a head"],
)
async def test_a_connection_that_does_not_get_to_the_end_of_a_head_is_closed(
    wire: Wire, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.protocol, "HEAD_TIMEOUT", 0.3)
    began = time.monotonic()
    await wire.send(said)
    assert 0.2 < time.monotonic() - began < 5


async def test_a_request_may_take_longer_than_a_head(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.protocol, "HEAD_TIMEOUT", 0.2)
    head = wire.post(b"Connection: close", b"Content-Length: %d" % len(BODY))
    answer = await wire.send(head, *(BODY[at : at + 1] for at in range(len(BODY))))
    assert answer.startswith(b"HTTP/1.1 200")
