"""A receiver on this machine: a real HTTP server that notes what it gets and answers as a test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import orjson


@dataclass(frozen=True)
class Got:
    """A request that came."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


Behave = Callable[[Got], Awaitable[bytes | None]]
"""What is written in answer, as bytes; None closes the connection without a word."""


def answer(status: int, *lines: str, body: bytes = b"") -> bytes:
    """A whole answer."""
    head = "\r\n".join((f"HTTP/1.1 {status} Whatever", *lines, f"content-length: {len(body)}"))
    return head.encode() + b"\r\n\r\n" + body


@dataclass
class Receiver:
    """The server; `behave` may be replaced at any time."""

    port: int = 0
    scheme: str = "http"
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    behave: Behave | None = None
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook?place=1"

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.got]

    def always(self, *answers: bytes | None) -> None:
        """Give these answers in turn, and the last one from then on."""
        left = list(answers)

        async def behave(_: Got) -> bytes | None:
            return left.pop(0) if len(left) > 1 else left[0]

        self.behave = behave

    async def until(self, number: int, seconds: float = 30.0) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(seconds), self.came:
            await self.came.wait_for(lambda: len(self.got) >= number)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await self._head(reader):
                line, *lines = head.decode("latin-1").strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
                got = Got(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
                async with self.came:
                    self.got.append(got)
                    self.came.notify_all()
                said = answer(204) if self.behave is None else await self.behave(got)
                if said is None:
                    break
                writer.write(said)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever sent is gone
        finally:
            writer.close()

    @staticmethod
    async def _head(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""

    @classmethod
    @asynccontextmanager
    async def listening(
        cls, host: str = "127.0.0.1", port: int = 0, certificate: ssl.SSLContext | None = None
    ) -> AsyncIterator[Self]:
        """The server, on a free port unless one is named; with ``certificate`` over TLS."""
        made = cls(scheme="http" if certificate is None else "https")
        running: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            running.add(task)
            try:
                await made._serve(reader, writer)
            except asyncio.CancelledError:
                pass
            finally:
                running.discard(task)

        server = await asyncio.start_server(serve, host, port, ssl=certificate)
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            server.close()
            for task in list(running):
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
