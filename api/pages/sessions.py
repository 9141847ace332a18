"""Who is signed in: kept in PostgreSQL under a hash. Any process knows it, and a copy of the table opens nothing.

The cookie is the organisation's id and 32 random bytes, in base64url. Row-level security asks for the organisation
before a row can be looked for; a wrong one finds no row. Everything else that a session needs is derived from the
secret, and never stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import asyncpg

from api.db import RawConnection, confine
from api.ids import new_id
from api.security.principal import ROLES, Principal

COOKIE: Final = "__Host-fathomline"
SECRET_BYTES: Final = 32
_LENGTH: Final = 16 + SECRET_BYTES
NOTED_EVERY: Final = timedelta(minutes=1)
"""A session's last use is written at most this often: a page view should not cost a write."""

_FIND: Final = """
select s.id, s.subject, s.role, o.slug, o.name, s.seen_at < now() - $3::interval as stale
from page_session s join organisation o on o.organisation_id = s.organisation_id
where s.organisation_id = $1 and s.secret_hash = $2 and s.ends_at > now() and s.seen_at > now() - $4::interval
"""
_START: Final = """
insert into page_session (organisation_id, secret_hash, id, subject, role, started_at, seen_at, ends_at)
values ($1, $2, $3, $4, $5, now(), now(), now() + $6::interval)
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that goes on. Its secret is in no representation."""

    id: uuid.UUID
    principal: Principal
    clinic: str
    """The organisation's name."""
    secret: bytes = field(repr=False)

    @property
    def cookie(self) -> str:
        """What the browser holds."""
        return _text(self.principal.organisation_id.bytes + self.secret)

    @property
    def csrf(self) -> str:
        """What every form of the session carries."""
        return derived(self.secret, "csrf")


def derived(secret: bytes, purpose: str) -> str:
    """A text that only who has the secret can make, another for each purpose.

    Examples
    --------
    >>> len(derived(b"secret", "state")), derived(b"secret", "state") == derived(b"secret", "nonce")
    (43, False)
    """
    return _text(hmac.digest(secret, f"fathomline pages {purpose}".encode(), "sha256"))


def same(given: str, expected: str) -> bool:
    """Whether two texts are the same, told in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _read(cookie: str) -> tuple[uuid.UUID, bytes] | None:
    """Organisation and secret of a cookie, or nothing where it is none of ours."""
    if len(cookie) != len(_text(bytes(_LENGTH))):
        return None
    try:
        data = base64.b64decode(cookie, altchars=b"-_", validate=True)
    except ValueError:
        return None
    return uuid.UUID(bytes=data[:16]), data[16:]


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions of all organisations, each reached through its own."""

    pool: asyncpg.Pool[asyncpg.Record]
    idle: timedelta
    lifetime: timedelta

    async def find(self, cookie: str) -> Session | None:
        """The session of a cookie, unless it is over; that it was used is noted."""
        read = _read(cookie)
        if read is None:
            return None
        organisation_id, secret = read
        async with self.pool.acquire() as connection, connection.transaction():
            await confine(connection, organisation_id)
            noted = min(NOTED_EVERY, self.idle / 10)
            row = await connection.fetchrow(_FIND, organisation_id, _hash(secret), noted, self.idle)
            if row is None or row["role"] not in ROLES:
                return None
            if row["stale"]:
                await connection.execute(
                    "update page_session set seen_at = now() where organisation_id = $1 and secret_hash = $2",
                    organisation_id,
                    _hash(secret),
                )
        who = Principal(organisation_id, row["slug"], row["subject"], row["role"], ROLES[row["role"]])
        return Session(row["id"], who, row["name"], secret)

    async def start(self, connection: RawConnection, principal: Principal) -> Session:
        """A new session, in the transaction of a connection within its organisation. What is over is swept out."""
        secret = secrets.token_bytes(SECRET_BYTES)
        session = Session(new_id(), principal, principal.organisation, secret)
        await connection.execute(
            "delete from page_session "
            "where organisation_id = $1 and (ends_at <= now() or seen_at <= now() - $2::interval)",
            principal.organisation_id,
            self.idle,
        )
        await connection.execute(
            _START,
            principal.organisation_id,
            _hash(session.secret),
            session.id,
            principal.subject,
            principal.role,
            self.lifetime,
        )
        return session

    async def end(self, connection: RawConnection, session: Session) -> None:
        """The end of a session, in the transaction of a connection within its organisation."""
        await connection.execute(
            "delete from page_session where organisation_id = $1 and secret_hash = $2",
            session.principal.organisation_id,
            _hash(session.secret),
        )
