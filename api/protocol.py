"""HTTP/1.1 on the wire: uvicorn's parser, with the limits and answers that the application cannot set itself.

What is decided before there is a request never reaches the application's layers: how large a head may grow, how long
it may take, text that is not HTTP at all, and a client that offers to change the protocol.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.problems import HeadTooLarge, Problem, RequestMalformed

LARGEST_HEAD: Final = 64 * 1024
"""Bytes of a request line with its headers. One read more may be taken in before the end of it is seen."""
HEAD_TIMEOUT: Final = 30.0
"""Seconds in which a head has to arrive, also the first one of a connection."""


class Protocol(HttpToolsProtocol):
    """One connection.

    An offer to change to another protocol is declined by answering in this one (RFC 9110, 7.8). The parser takes what
    follows such a head for the other protocol and would drop the body, so the head is given to a new parser without it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._reading_head = False
        self._declining = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse what is no HTTP, and a head that is too large or takes too long."""
        self._unset_keepalive_if_required()
        rest: bytes | None = data
        while rest is not None:
            rest = self._feed(rest)
        if self.transport.is_closing():
            return
        nothing_runs = self.cycle is None or self.cycle.response_complete
        if self._reading_head:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self._refuse(HeadTooLarge(f"The request line and the headers have at most {LARGEST_HEAD} bytes."))
                return
        if self._reading_head or nothing_runs:
            self._await_head()

    def _feed(self, data: bytes) -> bytes | None:
        """Give bytes to the parser; what is to be given to it again, if anything."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if not self._declining:  # CONNECT, for which there is nothing that could be answered in its place
                self._refuse(RequestMalformed("This service is no proxy."))
                return None
            self._declining = False
            head = self._head_without_offer()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            return head + data[offer.args[0] :]
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(RequestMalformed("The connection carries something else than HTTP/1.1, or a broken request."))
        return None

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode("ascii")
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                wishes = [wish.strip().lower() for wish in value.split(b",")]
                lines += [b"connection: " + wish for wish in wishes if wish in (b"close", b"keep-alive")]
            elif name != b"upgrade":
                lines.append(name + b": " + value)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_begin(self) -> None:
        """A head begins."""
        self._reading_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there: the request starts, unless it offers another protocol."""
        self._reading_head = False
        self._head_bytes = 0
        self._head_arrived()
        if self.parser.should_upgrade():
            self._declining = self.parser.get_method() != b"CONNECT"
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of a body."""
        if not self.parser.should_upgrade():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for a request that it cannot take."""
        self._refuse(RequestMalformed())

    def _refuse(self, problem: Problem) -> None:
        """Answer and close. A request that is being answered is cut off instead: its answer has to be the next."""
        if self.cycle is None or self.cycle.response_complete:
            response = problem.response()
            headers = [*response.raw_headers, (b"cache-control", b"no-store"), (b"connection", b"close")]
            head = b"".join(b"%b: %b\r\n" % header for header in headers)
            status = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n".encode("ascii")
            self.transport.write(status + head + b"\r\n" + bytes(response.body))
        self.transport.close()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self._head_overdue)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_overdue(self) -> None:
        self._head_timer = None
        self.transport.close()
