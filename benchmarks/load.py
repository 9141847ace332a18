"""A load generator in a process of its own: keep-alive connections that send the next request when one is answered.

Reads its order as one line of JSON from standard input and answers with one line of JSON. It does as little as it can
to a reply (status and length), so that it takes little of the processors that it shares with what it measures.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from typing import cast

import uvloop


@dataclass
class Order:
    """What to send. ``{n}`` in a request becomes the number of the request, ``{length}`` its body's length."""

    host: str
    port: int
    method: str
    paths: list[str]
    headers: dict[str, str]
    bodies: list[str]
    connections: int
    seconds: float
    seed: int


@dataclass
class Tally:
    """What came back."""

    answered: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0


class Connection(asyncio.Protocol):
    """One keep-alive connection that always has one request under way."""

    def __init__(self, order: Order, numbers: count[int], tally: Tally, until: float) -> None:
        self._order, self._numbers, self._tally, self._until = order, numbers, tally, until
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        head = f"Host: {order.host}:{order.port}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in order.headers.items())
        self._head = head

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's writes, but is no subclass
        self._send()

    def _send(self) -> None:
        n = next(self._numbers)
        order = self._order
        path = order.paths[n % len(order.paths)]
        body = order.bodies[n % len(order.bodies)] if order.bodies else ""
        head = self._head.replace("{n}", f"{order.seed}-{n}")
        length = f"Content-Length: {len(body)}\r\n" if order.bodies else ""
        self._started = time.perf_counter()
        self._transport.write(f"{order.method} {path} HTTP/1.1\r\n{head}{length}\r\n{body}".encode())

    def data_received(self, data: bytes) -> None:
        """Count a whole reply and send the next request."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        status = self._buffer[9:12].decode()
        self._tally.answered += 1
        self._tally.statuses[status] = self._tally.statuses.get(status, 0) + 1
        self._tally.slowest = max(self._tally.slowest, now - self._started)
        self._buffer = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that the server closed ends the run: the figures would be of fewer connections."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))


async def run(order: Order) -> dict[str, object]:
    """Keep all connections busy for a while; requests per second and what they were answered."""
    loop, tally, numbers = asyncio.get_running_loop(), Tally(), count()
    start = time.perf_counter()
    until = start + order.seconds
    made = [
        await loop.create_connection(lambda: Connection(order, numbers, tally, until), order.host, order.port)
        for _ in range(order.connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    elapsed = time.perf_counter() - start
    return {"per_second": tally.answered / elapsed, "statuses": tally.statuses, "slowest": tally.slowest}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(Order(**json.loads(sys.stdin.readline()))))))
