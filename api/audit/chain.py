"""The chain: the bytes of an event, the hash that links it to those before, and the signed end of it.

All that a verifier elsewhere has to do the same way is here and in docs/audit.md, and depends on nothing of ours.

Both things are hashed or signed as JSON text in the one form that RFC 8785 allows: members sorted by name, no space,
UTF-8, characters escaped only where JSON demands it. Texts, whole numbers and null are all that occurs in them.

References
----------
SHA-256: FIPS 180-4. Ed25519: RFC 8032. Canonical JSON: RFC 8785. JWK of Ed25519: RFC 8037.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

EVENT_FORM: Final = "fathomline-audit-event-1"
HEAD_FORM: Final = "fathomline-audit-head-1"
START: Final = bytes(32)
"""What stands for the hash before the first event."""


class Event(NamedTuple):
    """An audit event, in the order of the table's columns."""

    organisation_id: uuid.UUID
    id: uuid.UUID
    at: datetime
    subject: str
    role: str
    action: str
    resource: str
    resource_id: uuid.UUID | None
    request_id: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Head:
    """What is signed: that the chain had so many events with this hash at its end.

    Every event made until ``complete_until`` that could be seen then was among them.
    """

    organisation_id: uuid.UUID
    sequence: int
    previous: int
    hash: bytes
    sealed_at: datetime
    complete_until: datetime
    key_id: uuid.UUID


def time_text(at: datetime) -> str:
    """A time as it is hashed: UTC, six decimals, ``Z``.

    Examples
    --------
    >>> time_text(datetime(2026, 3, 1, 12, tzinfo=UTC))
    '2026-03-01T12:00:00.000000Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def canonical(document: dict[str, Any]) -> bytes:
    """JSON text of a flat object of texts, whole numbers and null, in the form of RFC 8785.

    Examples
    --------
    >>> canonical({"b": 1, "a": "é\\n"})
    b'{"a":"\\xc3\\xa9\\\\n","b":1}'
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def event_document(event: Event) -> dict[str, str | None]:
    """The members of an event as they are hashed and shown."""
    return {
        "action": event.action,
        "at": time_text(event.at),
        "id": str(event.id),
        "organisation_id": str(event.organisation_id),
        "outcome": event.outcome,
        "request_id": event.request_id,
        "resource": event.resource,
        "resource_id": None if event.resource_id is None else str(event.resource_id),
        "role": event.role,
        "subject": event.subject,
    }


def link(event: Event, sequence: int, previous: bytes) -> bytes:
    """The hash (32 bytes) of the chain with ``event`` as its ``sequence``-th, after what has the hash ``previous``."""
    placed = {"form": EVENT_FORM, "previous": previous.hex(), "sequence": sequence}
    return hashlib.sha256(canonical(event_document(event) | placed)).digest()


def head_document(head: Head) -> dict[str, str | int]:
    """The members of a head as they are signed and shown."""
    return {
        "complete_until": time_text(head.complete_until),
        "form": HEAD_FORM,
        "hash": head.hash.hex(),
        "key_id": str(head.key_id),
        "organisation_id": str(head.organisation_id),
        "previous": head.previous,
        "sealed_at": time_text(head.sealed_at),
        "sequence": head.sequence,
    }


def new_key() -> tuple[bytes, bytes]:
    """A fresh Ed25519 key: its private and its public half, 32 bytes each."""
    private = Ed25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def public_half(private: bytes) -> bytes:
    """The public half of a private key."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def sign(head: Head, private: bytes) -> bytes:
    """The signature (64 bytes) of a head."""
    return Ed25519PrivateKey.from_private_bytes(private).sign(canonical(head_document(head)))


def signed_by(head: Head, signature: bytes, public: bytes) -> bool:
    """Whether the signature of a head is by the key with this public half."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, canonical(head_document(head)))
    except InvalidSignature:
        return False
    return True


def base64url(data: bytes) -> str:
    """Base64 for URLs without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def public_jwk(key_id: uuid.UUID, public: bytes) -> dict[str, str]:
    """The public half of a key as a JSON Web Key (RFC 8037)."""
    return {
        "alg": "EdDSA",
        "crv": "Ed25519",
        "kid": str(key_id),
        "kty": "OKP",
        "use": "sig",
        "x": base64url(public),
    }


def signed_head(head: Head, signature: bytes, public: bytes) -> dict[str, Any]:
    """A head to be kept elsewhere: what was signed, the signature, and the public key as a JWK."""
    return {
        "head": head_document(head),
        "public_key": public_jwk(head.key_id, public),
        "signature": base64url(signature),
    }


class HeadInvalid(ValueError):
    """A document that is no signed head."""


def read_signed_head(document: object) -> tuple[Head, bytes, bytes]:
    """A head that was kept elsewhere, its signature, and the public key that came with it.

    Raises
    ------
    HeadInvalid
        It is not what `signed_head` makes. Whether the signature holds is not asked.
    """
    try:
        given: Any = document
        members = given["head"]
        head = Head(
            organisation_id=uuid.UUID(members["organisation_id"]),
            sequence=int(members["sequence"]),
            previous=int(members["previous"]),
            hash=bytes.fromhex(members["hash"]),
            sealed_at=datetime.fromisoformat(members["sealed_at"]),
            complete_until=datetime.fromisoformat(members["complete_until"]),
            key_id=uuid.UUID(members["key_id"]),
        )
        if head_document(head) != members or len(head.hash) != len(START):
            raise HeadInvalid("it is written in another form")
        signature, public = _bytes(given["signature"], 64), _bytes(given["public_key"]["x"], 32)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise HeadInvalid("it is no signed head of an audit trail") from error
    return head, signature, public


def _bytes(text: str, number: int) -> bytes:
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if len(data) != number:
        raise HeadInvalid("it is written in another form")
    return data
