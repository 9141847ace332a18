"""Encryption of what identifies a client: one data key a client, wrapped under keys derived from the master key.

Destroying a client's wrapped key makes what was sealed with it unreadable for good, also in backups. Everything sealed
is bound to its row: moved to another client, organisation or purpose it does not open.

Sealed layout, in bytes: version (1), nonce (12), ciphertext with its GCM tag (n + 16). The version names the scheme and
the generation of the keys; there is one today, and rotation adds the next beside it.

References
----------
AES-GCM: NIST SP 800-38D. HKDF: RFC 5869. HMAC: RFC 2104.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import unicodedata
import uuid
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
VERSION: Final = 1
LONGEST_SEALED_TEXT: Final = 1024
_FEWEST_DISTINCT_BYTES: Final = 16
"""32 random bytes have fewer distinct values with a chance below 1e-15; typed passwords and test keys often do."""


class MasterKeyInvalid(ValueError):
    """The master key cannot be used. The message never contains it."""


class Unreadable(Exception):  # the caller decides what that means: a wrong master key, or a damaged row
    """The sealed bytes were not made with this key for this row, or were altered."""


@dataclass(frozen=True)
class Keys:
    """The keys derived from the master key. They are in no representation, so no log can show them."""

    wrapping: bytes = field(repr=False)
    lookup: bytes = field(repr=False)


def parse_master_key(text: str) -> bytes:
    """The bytes of a master key written in hex or base64 (standard or URL-safe, padding optional).

    Raises
    ------
    MasterKeyInvalid
        Neither notation, fewer than 32 bytes, or bytes that are plainly not random.

    Examples
    --------
    >>> len(parse_master_key(bytes(range(32)).hex()))
    32
    """
    text = text.strip()
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text):  # hex first: hex digits are base64 letters too
        key = bytes.fromhex(text)
    else:
        body = text.rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            key = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise MasterKeyInvalid("the master key has to be written in base64 or hex") from None
    if len(key) < KEY_BYTES:
        raise MasterKeyInvalid(f"the master key has {len(key)} bytes, at least {KEY_BYTES} are needed")
    if len(set(key)) < _FEWEST_DISTINCT_BYTES:
        raise MasterKeyInvalid("the master key is not random; make one with: openssl rand -base64 32")
    return key


def new_master_key() -> str:
    """A fresh master key, as text for a settings file."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def derive(master_key: bytes) -> Keys:
    """One key a purpose (HKDF-SHA256), so that no key serves two algorithms."""

    def key(purpose: bytes) -> bytes:
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"fathomline/1/" + purpose).derive(master_key)

    return Keys(wrapping=key(b"wrap"), lookup=key(b"lookup"))


def new_client_key() -> bytes:
    """A data key for one client."""
    return secrets.token_bytes(KEY_BYTES)


def wrap_client_key(keys: Keys, client_key: bytes, *, organisation_id: uuid.UUID, client_id: uuid.UUID) -> bytes:
    """The client's key as it is stored: sealed with the wrapping key, bound to the client's row."""
    return _seal(keys.wrapping, client_key, _row(b"client-key", organisation_id, client_id))


def unwrap_client_key(keys: Keys, wrapped: bytes, *, organisation_id: uuid.UUID, client_id: uuid.UUID) -> bytes:
    """The client's key from its stored form.

    Raises
    ------
    Unreadable
        Another row's key, another master key, or altered bytes.
    """
    return _open(keys.wrapping, wrapped, _row(b"client-key", organisation_id, client_id))


def seal_external_id(client_key: bytes, text: str, *, organisation_id: uuid.UUID, client_id: uuid.UUID) -> bytes:
    """The external identifier, sealed with the client's key and bound to the client's row.

    Raises
    ------
    ValueError
        Longer than 1024 bytes in UTF-8.
    """
    data = text.encode("utf-8")
    if len(data) > LONGEST_SEALED_TEXT:
        raise ValueError(f"an identifier has at most {LONGEST_SEALED_TEXT} bytes, got {len(data)}")
    return _seal(client_key, data, _row(b"external-id", organisation_id, client_id))


def open_external_id(client_key: bytes, sealed: bytes, *, organisation_id: uuid.UUID, client_id: uuid.UUID) -> str:
    """The external identifier again.

    Raises
    ------
    Unreadable
        Another row's bytes, another key, or altered bytes.
    """
    return _open(client_key, sealed, _row(b"external-id", organisation_id, client_id)).decode("utf-8")


def seal_text(
    client_key: bytes, text: str, *, purpose: bytes, organisation_id: uuid.UUID, client_id: uuid.UUID, row_id: uuid.UUID
) -> bytes:
    """Free text about a client, sealed with the client's key and bound to the row that keeps it, and to what it is."""
    return _seal(client_key, text.encode("utf-8"), _row(purpose, organisation_id, client_id) + row_id.bytes)


def open_text(
    client_key: bytes,
    sealed: bytes,
    *,
    purpose: bytes,
    organisation_id: uuid.UUID,
    client_id: uuid.UUID,
    row_id: uuid.UUID,
) -> str:
    """The text again.

    Raises
    ------
    Unreadable
        Another row's bytes, another key, or altered bytes.
    """
    return _open(client_key, sealed, _row(purpose, organisation_id, client_id) + row_id.bytes).decode("utf-8")


def seal_webhook_secret(keys: Keys, secret: bytes, *, organisation_id: uuid.UUID, webhook_id: uuid.UUID) -> bytes:
    """The signing secret of an endpoint as it is stored: sealed with the wrapping key, bound to the endpoint's row."""
    return _seal(keys.wrapping, secret, _row(b"webhook-secret", organisation_id, webhook_id))


def open_webhook_secret(keys: Keys, sealed: bytes, *, organisation_id: uuid.UUID, webhook_id: uuid.UUID) -> bytes:
    """The signing secret of an endpoint again.

    Raises
    ------
    Unreadable
        Another endpoint's secret, another master key, or altered bytes.
    """
    return _open(keys.wrapping, sealed, _row(b"webhook-secret", organisation_id, webhook_id))


def seal_audit_key(keys: Keys, private: bytes, *, organisation_id: uuid.UUID, key_id: uuid.UUID) -> bytes:
    """The private key that signs an organisation's audit trail, sealed with the wrapping key, bound to its row."""
    return _seal(keys.wrapping, private, _row(b"audit-key", organisation_id, key_id))


def open_audit_key(keys: Keys, sealed: bytes, *, organisation_id: uuid.UUID, key_id: uuid.UUID) -> bytes:
    """The private key that signs an organisation's audit trail again.

    Raises
    ------
    Unreadable
        Another row's key, another master key, or altered bytes.
    """
    return _open(keys.wrapping, sealed, _row(b"audit-key", organisation_id, key_id))


def normalise_external_id(text: str) -> str:
    """One spelling of an identifier: Unicode NFC without surrounding space. Case is kept, as it may tell two apart.

    Examples
    --------
    >>> normalise_external_id(" A-17 ")
    'A-17'
    """
    return unicodedata.normalize("NFC", text).strip()


def external_id_hash(keys: Keys, organisation_id: uuid.UUID, external_id: str) -> bytes:
    """Keyed hash (HMAC-SHA256, 32 bytes) under which a client is found; useless without the master key.

    The organisation is part of it, so the same identifier in two organisations has two unrelated hashes.
    """
    text = normalise_external_id(external_id).encode("utf-8")
    return hmac.digest(keys.lookup, organisation_id.bytes + text, "sha256")


def _row(purpose: bytes, organisation_id: uuid.UUID, client_id: uuid.UUID) -> bytes:
    # Unambiguous without lengths: both identifiers have 16 bytes and no purpose contains a zero byte.
    return purpose + b"\0" + organisation_id.bytes + client_id.bytes


def _seal(key: bytes, data: bytes, bound_to: bytes) -> bytes:
    head = bytes([VERSION])
    nonce = secrets.token_bytes(NONCE_BYTES)
    return head + nonce + AESGCM(key).encrypt(nonce, data, head + bound_to)


def _open(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    if len(sealed) < 1 + NONCE_BYTES + TAG_BYTES:
        raise Unreadable("too short to have been sealed here")
    head, nonce, data = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if head[0] != VERSION:
        raise Unreadable(f"sealed with version {head[0]}, this service knows {VERSION}")
    try:
        return AESGCM(key).decrypt(nonce, data, head + bound_to)
    except InvalidTag:
        raise Unreadable("not sealed with this key for this row, or altered") from None
