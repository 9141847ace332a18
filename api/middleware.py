"""What every request passes: an id, limits on its body, security headers, one log line, metrics, errors as problems.

Pure ASGI and only two layers, since each costs every request; nothing here may wait for anything but the body.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import logging
from api.lane import Lane
from api.metrics import METHODS, Metrics
from api.problems import (
    BodyMalformed,
    BodyTooLarge,
    MediaTypeUnsupported,
    Problem,
    RequestInvalid,
    RequestTimeout,
    pointer,
    problem_for,
)
from api.security import strict
from api.security.principal import Principal
from instruments.reading import NotReadable, read_yaml

BODY_TIMEOUT: Final = 30.0
"""Seconds in which a body has to arrive."""
LARGE: Final = 1 << 16
"""Bytes from which on a body is read in a thread: a megabyte takes up to a quarter of a second."""
PROTECTED: Final = "/v1/"
"""Below this path a body is read only from somebody whose token has been accepted."""
QUIET_PATHS: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked every few seconds by machines; counted, and logged only when they fail."""
CLIENT_GONE: Final = 499
"""Status in log and metrics of a request whose client hung up, or that was cut off when the service stopped."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_YAML = re.compile(rb"application/(?:x-)?yaml(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)
FORMS: Final = "/app/"
"""Below this path a body is what a form of a page sends."""
LARGEST_FORM: Final = 1 << 16
MOST_FIELDS: Final = 500

_FORM = re.compile(rb"application/x-www-form-urlencoded(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)
_JSON = re.compile(rb"application/(?:json|[a-z0-9.-]+\+json)(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)

_SECURITY_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


def _header(scope: Scope, name: bytes) -> bytes | None:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def route_template(scope: Scope) -> str:
    """The path as its route declares it, without ids; a path that no route knows is `unmatched`."""
    template = getattr(scope.get("route"), "path_format", None)
    return template if isinstance(template, str) else "unmatched"


class Shell:
    """The outermost layer: request id, headers, log line and metrics; no exception gets past it."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, problem_page: Callable[[Request, Problem], Response | None]
    ) -> None:
        self.app = app
        self.metrics = metrics
        self.problem_page = problem_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        given = _header(scope, b"x-request-id")
        request_id = given if given is not None and _REQUEST_ID.fullmatch(given) else secrets.token_hex(16).encode()
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id.decode("ascii")
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                present = {key for key, _ in headers}
                headers += [header for header in _SECURITY_HEADERS if header[0] not in present]
                headers.append((b"x-request-id", request_id))
                message["headers"] = headers
            await send(message)

        self.metrics.running.inc()
        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except Exception as error:
            problem = problem_for(error)
            if problem.status >= 500:
                logging.logger.error(
                    "failed", request_id=state["request_id"], route=route_template(scope), **logging.describe(error)
                )
            if status:
                raise  # half an answer is out; the server has to cut the connection so that nobody takes it for whole
            answer = self.problem_page(Request(scope), problem) or problem.response(state["request_id"])
            await answer(scope, receive, send_with_headers)
        finally:
            self.metrics.running.dec()
            self._record(scope, status or CLIENT_GONE, time.perf_counter() - began)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route, method = route_template(scope), scope["method"]
        self.metrics.observe(method, route, status, seconds)
        if scope["path"] in QUIET_PATHS and status < 400:
            return
        state = scope["state"]
        principal = state.get("principal")
        who = {} if principal is None else {"organisation": principal.organisation, "role": principal.role}
        logging.logger.info(
            "request",
            method=method if method in METHODS else "other",
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 2),
            request_id=state["request_id"],
            **who,
        )


class BodyGuard:
    """Takes a body in only if it is JSON of an acceptable size that has one meaning and can be stored.

    Where one of ``yaml`` matches the whole path, a body may be YAML instead, read as strictly, from those who have the
    scope that stands beside it. The parsed body is left in the request's state as `json`, so that the hot path need not
    parse it again; `yaml` is there too where it was YAML. A body under `/v1/` is not even read before the token has
    been accepted.

    Under `/app/` a body is a form, which is left in the state as `form`: names and values in their order.

    ``streams`` are operations (method and path) whose body is a file: it is neither limited nor read here, but left to
    the operation, which takes nothing of it before it has seen the caller's scope.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        largest: int,
        deepest: int,
        yaml: Mapping[re.Pattern[str], str],
        streams: Collection[tuple[str, re.Pattern[str]]] = (),
    ) -> None:
        self.app = app
        self.streams = streams
        self.largest = largest
        self.deepest = deepest
        self.yaml = yaml

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            length = _header(scope, b"content-length")
            if (length is not None and length.strip() != b"0") or _header(scope, b"transfer-encoding") is not None:
                receive = await self._admit(scope, receive, length)
        await self.app(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, length: bytes | None) -> Receive:
        if scope["path"].startswith(PROTECTED):
            await scope["app"].state.authenticator.authenticate(scope)
        if any(method == scope["method"] and path.fullmatch(scope["path"]) for method, path in self.streams):
            return receive
        form = scope["path"].startswith(FORMS)
        largest = min(self.largest, LARGEST_FORM) if form else self.largest
        if length is not None and length.isdigit() and int(length[:20]) > largest:
            raise self._too_large(largest)
        body: bytes | None = await self._read(receive, largest)
        if body and form:
            scope["state"]["form"] = _read_form(scope, body)
        elif body:
            await self._check(scope, body)

        async def replay() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            whole, body = body, None
            return {"type": "http.request", "body": whole, "more_body": False}

        return replay

    async def _read(self, receive: Receive, largest: int) -> bytes:
        data = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    data += message.get("body", b"")
                    if len(data) > largest:
                        raise self._too_large(largest)
                    if not message.get("more_body", False):
                        return bytes(data)
        except TimeoutError:
            raise RequestTimeout(f"A body has to arrive within {BODY_TIMEOUT:.0f} s.") from None

    def _too_large(self, largest: int) -> Problem:
        # The connection stays open: closing it with unread data resets it, and the caller would never see this answer.
        # The server reads on and throws away what still comes.
        return BodyTooLarge(f"A body has at most {largest} bytes.")

    async def _check(self, scope: Scope, body: bytes) -> None:
        coding = _header(scope, b"content-encoding")
        if coding is not None and coding.strip().lower() != b"identity":
            raise MediaTypeUnsupported(
                "Send the body without a content coding.", headers={"Accept-Encoding": "identity"}
            )
        media_type = _header(scope, b"content-type") or b""
        if _JSON.fullmatch(media_type) is None:
            allowed = next((of for path, of in self.yaml.items() if path.fullmatch(scope["path"])), None)
            if _YAML.fullmatch(media_type) is not None and allowed is not None:
                # it takes some hundred times as long as JSON: in a thread, and from nobody who is refused afterwards
                principal: Principal = scope["state"]["principal"]
                principal.allow(allowed)
                scope["state"] |= {"json": await self._apart(scope, _read_yaml, body), "yaml": True}
                return
            raise MediaTypeUnsupported(
                "Send the body as application/json in UTF-8.", headers={"Accept": "application/json"}
            )
        large = len(body) > LARGE
        scope["state"]["json"] = await self._apart(scope, _read_json, body) if large else _read_json(body, self.deepest)

    async def _apart(self, scope: Scope, read: Callable[[bytes, int], Any], body: bytes) -> Any:
        """Read in a thread what would keep all other requests waiting."""
        reading: Lane = scope["app"].state.reading
        return await reading.run(scope["state"].get("organisation_id"), read, body, self.deepest)


def _read_form(scope: Scope, body: bytes) -> list[tuple[str, str]]:
    if _FORM.fullmatch(_header(scope, b"content-type") or b"") is None:
        raise MediaTypeUnsupported("A page takes what a form sends.")
    try:
        text = body.decode("ascii")
        read = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BodyMalformed("The form cannot be read.") from None
    if any("\0" in text for field in read for text in field):
        raise BodyMalformed("Text has no NUL character.")
    return read


def _read_json(body: bytes, deepest: int) -> Any:
    try:
        value, found = strict.read(body, deepest)
    except strict.NotStrict as error:
        raise RequestInvalid(errors=[{"pointer": "", "code": error.code, "detail": str(error)}]) from None
    except json.JSONDecodeError as error:
        raise BodyMalformed(f"The JSON breaks off at line {error.lineno}, column {error.colno}.") from None
    except ValueError:
        raise BodyMalformed("The body is not UTF-8.") from None
    if found:
        raise RequestInvalid(errors=found)
    return value


def _read_yaml(body: bytes, deepest: int) -> Any:
    try:
        value, twice = read_yaml(body.decode("utf-8"))
    except NotReadable as error:
        raise BodyMalformed(f"The YAML cannot be read from line {error.line} on.") from None
    except UnicodeDecodeError:
        raise BodyMalformed("The body is not UTF-8.") from None
    detail = "an object has the same member twice"
    found = [{"pointer": pointer(key.path), "code": "duplicate-member", "detail": detail} for key in twice]
    if found or (found := strict.unfit(value, deepest)):
        raise RequestInvalid(errors=found)
    return value
