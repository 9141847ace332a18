"""The certificate of an erasure: what it states, in the exact text that is signed, and whether a signature holds."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from api.audit.chain import canonical, time_text

FORM: Final = "fathomline-erasure-1"
"""What a signature of this kind of text says first, so that it is never taken for one of another kind."""


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure, as its tombstone tells it."""

    organisation_id: uuid.UUID
    id: uuid.UUID
    client_id: uuid.UUID
    erased_at: datetime
    erased_by: str
    reason: str
    key_fingerprint: bytes | None
    removed: Mapping[str, int]


def statement(
    erased: Erased, *, remains: Sequence[Mapping[str, Any]], folders: Sequence[str], log_days: int | None
) -> str:
    """What is certified, as JSON in the form of RFC 8785.

    Parameters
    ----------
    remains
        What is kept all the same: by table the number of rows, and why.
    folders
        Those of backups that the key is being taken out of.
    log_days
        How long the operator says that archives of the server's log and copies of its disk are kept; None: not said.
    """
    return canonical(told(erased) | {"backups": [*folders], "log_days": log_days, "remains": [*remains]}).decode()


def told(erased: Erased) -> dict[str, Any]:
    """The members of a statement that its tombstone tells as well."""
    return {
        "client_id": str(erased.client_id),
        "erased_at": time_text(erased.erased_at),
        "erased_by": erased.erased_by,
        "form": FORM,
        "id": str(erased.id),
        "key_fingerprint": None if erased.key_fingerprint is None else erased.key_fingerprint.hex(),
        "organisation_id": str(erased.organisation_id),
        "reason": erased.reason,
        "removed": dict(erased.removed),
    }


def sign(text: str, private: bytes) -> bytes:
    """The signature (64 bytes) of a statement."""
    return Ed25519PrivateKey.from_private_bytes(private).sign(text.encode("utf-8"))


def signed_by(text: str, signature: bytes, public: bytes) -> bool:
    """Whether the signature is of this text, by the key with this public half."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text.encode("utf-8"))
    except (InvalidSignature, ValueError):
        return False
    return True


def differs(text: str, erased: Erased) -> bool:
    """Whether a statement says another thing than the tombstone."""
    said = json.loads(text)
    return {name: said.get(name) for name in told(erased)} != told(erased)
