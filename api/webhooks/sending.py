"""One attempt to deliver a message: what is sent, how it is signed, and what the answer means.

References
----------
Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`; HMAC-SHA256 (`v1`) over
``<id>.<timestamp>.<body>``; secrets written as ``whsec_`` and base64.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Final, Literal, Self

import httpcore
import httpx
import orjson

from api.webhooks.addresses import AddressRefused, GuardedBackend, Reach, Resolve, resolve
from api.webhooks.retries import retry_after

SECRET_BYTES: Final = 32
PREFIX: Final = "whsec_"
TIMEOUT: Final = 15.0
"""Seconds for a whole attempt, from the look-up of the name to the head of the answer."""
LAST_WORDS: Final = 1.0
"""Seconds more in which the body of an answer may come: read to use the connection again, and thrown away."""
LARGEST_ANSWER: Final = 65_536
CONNECTIONS: Final = 64
KEPT_SECONDS: Final = 20.0

Failure = Literal["timeout", "unreachable", "tls", "address-refused", "answer-malformed"]


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: that something of a type happened to a resource. Never more than ids: whoever gets it asks for
    the rest, with a token, and is in the audit trail for it."""

    id: uuid.UUID
    type: str
    resource_id: uuid.UUID
    occurred_at: datetime

    def body(self) -> bytes:
        """The payload: the same bytes at each attempt."""
        at = self.occurred_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
        member = self.type.partition(".")[0] + "_id"
        return orjson.dumps({"type": self.type, "timestamp": at, "data": {member: str(self.resource_id)}})


@dataclass(frozen=True, slots=True)
class Answer:
    """What an attempt came to: a status, or why there was none."""

    status: int | None = None
    failure: Failure | None = None
    retry_after: timedelta | None = None

    @property
    def taken(self) -> bool:
        """Only 2xx is success: a redirect is not followed, and not taken for one."""
        return self.status is not None and 200 <= self.status < 300


def new_secret() -> bytes:
    """A fresh secret for an endpoint."""
    return secrets.token_bytes(SECRET_BYTES)


def written(secret: bytes) -> str:
    """A secret as the receiver's library takes it.

    Examples
    --------
    >>> written(bytes(24))
    'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    """
    return PREFIX + base64.b64encode(secret).decode("ascii")


def signature(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each secret, the present one first."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode("ascii") for key in keys)


class Sender:
    """Sends messages over connections of its own: no proxy, no cookies, no redirects. Made by `open`."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool
        self._agent = f"fathomline/{version('fathomline')}"

    @classmethod
    @asynccontextmanager
    async def open(
        cls, reach: Reach, *, resolve: Resolve = resolve, trust: ssl.SSLContext | None = None
    ) -> AsyncIterator[Self]:
        """A sender, closed at the end. ``trust`` replaces the usual certificate authorities."""
        async with httpcore.AsyncConnectionPool(
            ssl_context=trust or httpx.create_ssl_context(),
            max_connections=CONNECTIONS,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=GuardedBackend(reach, resolve),
        ) as pool:
            yield cls(pool)

    async def send(self, url: str, keys: Sequence[bytes], message: Message) -> Answer:
        """One attempt, with a fresh timestamp, signed with each of the secrets. It never raises for the endpoint."""
        body = message.body()
        now = int(time.time())
        headers = {
            "host": httpx.URL(url).netloc.decode("ascii"),
            "user-agent": self._agent,
            "accept": "*/*",
            "content-type": "application/json",
            "content-length": str(len(body)),
            "webhook-id": str(message.id),
            "webhook-timestamp": str(now),
            "webhook-signature": signature(keys, str(message.id), now, body),
        }
        try:
            return await self._post(url, list(headers.items()), body)
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(failure="timeout")
        except AddressRefused:
            return Answer(failure="address-refused")
        except httpcore.ConnectError as error:
            return Answer(failure="tls" if _is_tls(error) else "unreachable")
        except httpcore.NetworkError:
            return Answer(failure="unreachable")
        except httpcore.ProtocolError:
            return Answer(failure="answer-malformed")

    async def _post(self, url: str, headers: list[tuple[bytes | str, bytes | str]], body: bytes) -> Answer:
        async with (
            asyncio.timeout(TIMEOUT) as limit,
            self._pool.stream("POST", url, headers=headers, content=body) as got,
        ):
            limit.reschedule(None)  # the status is what counts, and it has come
            with suppress(TimeoutError, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
                await _throw_away(got)
            asked = next(
                (value.decode("latin-1") for name, value in got.headers if name.lower() == b"retry-after"), None
            )
            return Answer(got.status, None, retry_after(asked))


async def _throw_away(answer: httpcore.Response) -> None:
    """Read what the answer still says, to use the connection again; what is long or slow is left unread."""
    read = 0
    async with asyncio.timeout(LAST_WORDS):
        async for part in answer.aiter_stream():
            read += len(part)
            if read > LARGEST_ANSWER:
                return


def _is_tls(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
