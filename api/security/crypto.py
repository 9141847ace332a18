"""Encryption of what identifies a client: one data key a client, wrapped under keys derived from the master key.

Destroying a client's wrapped key makes what was sealed with it unreadable for good, also in backups. Everything sealed
is bound to its row: moved to another client, organisation or purpose it does not open.

Two layouts, in bytes. Sealed with a client's key: 1, nonce (12), ciphertext with its GCM tag (n + 16). Wrapped under
the master key: 2, the master key's id (4), nonce (12), ciphertext with its tag. So what lies under which master key is
seen without opening it, and a service that has two of them takes the right one. What was wrapped before keys had ids
has the first layout; it is tried with each key, until `fathomline keys rotate` has wrapped it anew.

References
----------
AES-GCM: NIST SP 800-38D. HKDF: RFC 5869. HMAC: RFC 2104.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import unicodedata
import uuid
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
ID_BYTES: Final = 4
VERSION: Final = 1
WRAPPED: Final = 2
HEAD_BYTES: Final = 1 + ID_BYTES
"""How what is wrapped begins: with `WRAPPED` and the id of the master key."""
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

    id: bytes = field(repr=False)
    """Names the master key, in what is wrapped under it; tells nothing else of it."""
    wrapping: bytes = field(repr=False)
    lookup: bytes = field(repr=False)
    """What external identifiers were hashed with before each organisation had a key of its own for that."""
    backup: bytes = field(repr=False)
    """Seals the file of keys in a folder of backups."""
    previous: Keys | None = field(default=None, repr=False)
    """Those of the other master key that is read, and never written, while one replaces the other."""

    @property
    def head(self) -> bytes:
        """What everything wrapped under this master key begins with."""
        return bytes([WRAPPED]) + self.id

    @property
    def readable(self) -> tuple[Keys, ...]:
        """These keys, and the previous ones if there are any."""
        return (self,) if self.previous is None else (self, self.previous)


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


def derive(master_key: bytes, previous: bytes | None = None) -> Keys:
    """One key a purpose (HKDF-SHA256), so that no key serves two algorithms.

    Raises
    ------
    MasterKeyInvalid
        Both master keys are the same.
    """

    def key(purpose: bytes, length: int = KEY_BYTES) -> bytes:
        return HKDF(hashes.SHA256(), length, salt=None, info=b"fathomline/1/" + purpose).derive(master_key)

    if previous == master_key:
        raise MasterKeyInvalid("the previous master key is the same as the present one")
    return Keys(
        id=key(b"id", ID_BYTES),
        wrapping=key(b"wrap"),
        lookup=key(b"lookup"),
        backup=key(b"backup"),
        previous=None if previous is None else derive(previous),
    )


def new_client_key() -> bytes:
    """A data key for one client, or for one import."""
    return secrets.token_bytes(KEY_BYTES)


def wrap_client_key(keys: Keys, client_key: bytes, *, organisation_id: uuid.UUID, client_id: uuid.UUID) -> bytes:
    """The client's key as it is stored: sealed with the wrapping key, bound to the client's row."""
    return _wrap(keys, client_key, _row(b"client-key", organisation_id, client_id))


def unwrap_client_key(keys: Keys, wrapped: bytes, *, organisation_id: uuid.UUID, client_id: uuid.UUID) -> bytes:
    """The client's key from its stored form.

    Raises
    ------
    Unreadable
        Another row's key, another master key, or altered bytes.
    """
    return _unwrap(keys, wrapped, _row(b"client-key", organisation_id, client_id))


def master_of(keys: Keys, wrapped: bytes, *, organisation_id: uuid.UUID, client_id: uuid.UUID) -> Keys:
    """Those of the keys, present or previous, under which a client's key is wrapped.

    Raises
    ------
    Unreadable
        Neither opens it.
    """
    for one in keys.readable:
        with suppress(Unreadable):
            alone = replace(one, previous=None)
            unwrap_client_key(alone, wrapped, organisation_id=organisation_id, client_id=client_id)
            return one
    raise Unreadable("wrapped under a master key that this service was not given")


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
    return _wrap(keys, secret, _row(b"webhook-secret", organisation_id, webhook_id))


def open_webhook_secret(keys: Keys, sealed: bytes, *, organisation_id: uuid.UUID, webhook_id: uuid.UUID) -> bytes:
    """The signing secret of an endpoint again.

    Raises
    ------
    Unreadable
        Another endpoint's secret, another master key, or altered bytes.
    """
    return _unwrap(keys, sealed, _row(b"webhook-secret", organisation_id, webhook_id))


def seal_audit_key(keys: Keys, private: bytes, *, organisation_id: uuid.UUID, key_id: uuid.UUID) -> bytes:
    """The private key that signs an organisation's audit trail, sealed with the wrapping key, bound to its row."""
    return _wrap(keys, private, _row(b"audit-key", organisation_id, key_id))


def open_audit_key(keys: Keys, sealed: bytes, *, organisation_id: uuid.UUID, key_id: uuid.UUID) -> bytes:
    """The private key that signs an organisation's audit trail again.

    Raises
    ------
    Unreadable
        Another row's key, another master key, or altered bytes.
    """
    return _unwrap(keys, sealed, _row(b"audit-key", organisation_id, key_id))


def wrap_lookup_key(keys: Keys, lookup_key: bytes, *, organisation_id: uuid.UUID) -> bytes:
    """The key that an organisation's external identifiers are hashed with, wrapped and bound to the organisation."""
    return _wrap(keys, lookup_key, _row(b"lookup-key", organisation_id, organisation_id))


def unwrap_lookup_key(keys: Keys, wrapped: bytes, *, organisation_id: uuid.UUID) -> bytes:
    """The key that an organisation's external identifiers are hashed with.

    Raises
    ------
    Unreadable
        Another organisation's key, another master key, or altered bytes.
    """
    return _unwrap(keys, wrapped, _row(b"lookup-key", organisation_id, organisation_id))


def wrap_import_key(keys: Keys, import_key: bytes, *, organisation_id: uuid.UUID, import_id: uuid.UUID) -> bytes:
    """The key that the parts of an import's file are sealed with, wrapped and bound to the import."""
    return _wrap(keys, import_key, _row(b"import-key", organisation_id, import_id))


def unwrap_import_key(keys: Keys, wrapped: bytes, *, organisation_id: uuid.UUID, import_id: uuid.UUID) -> bytes:
    """The key that the parts of an import's file are sealed with.

    Raises
    ------
    Unreadable
        Another import's key, another master key, or altered bytes.
    """
    return _unwrap(keys, wrapped, _row(b"import-key", organisation_id, import_id))


def seal_import_part(
    import_key: bytes, part: bytes, *, organisation_id: uuid.UUID, import_id: uuid.UUID, start: int
) -> bytes:
    """A part of an import's file, sealed with the import's key and bound to its place in the file."""
    return _seal(import_key, part, _row(b"import-part", organisation_id, import_id) + start.to_bytes(8, "big"))


def open_import_part(
    import_key: bytes, sealed: bytes, *, organisation_id: uuid.UUID, import_id: uuid.UUID, start: int
) -> bytes:
    """A part of an import's file again.

    Raises
    ------
    Unreadable
        Another import's part or from another place, another key, or altered bytes.
    """
    return _open(import_key, sealed, _row(b"import-part", organisation_id, import_id) + start.to_bytes(8, "big"))


def rewrap(keys: Keys, wrapped: bytes, *, purpose: bytes, organisation_id: uuid.UUID, row_id: uuid.UUID) -> bytes:
    """What was wrapped under either master key, under the present one.

    Raises
    ------
    Unreadable
        Wrapped under neither, for another purpose or row, or altered.
    """
    bound_to = _row(purpose, organisation_id, row_id)
    return _wrap(keys, _unwrap(keys, wrapped, bound_to), bound_to)


def key_fingerprint(client_key: bytes) -> bytes:
    """What names a client's key (SHA-256 of the key and a purpose, 32 bytes) without telling it."""
    return hashlib.sha256(b"fathomline/1/client-key-fingerprint\0" + client_key).digest()


def normalise_external_id(text: str) -> str:
    """One spelling of an identifier: Unicode NFC without surrounding space. Case is kept, as it may tell two apart.

    Examples
    --------
    >>> normalise_external_id(" A-17 ")
    'A-17'
    """
    return unicodedata.normalize("NFC", text).strip()


def external_id_hash(lookup_key: bytes, organisation_id: uuid.UUID, external_id: str) -> bytes:
    """Keyed hash (HMAC-SHA256, 32 bytes) under which a client is found; useless without the organisation's key for it.

    The organisation is part of it, so the same identifier in two organisations has two unrelated hashes.
    """
    text = normalise_external_id(external_id).encode("utf-8")
    return hmac.digest(lookup_key, organisation_id.bytes + text, "sha256")


def _row(purpose: bytes, organisation_id: uuid.UUID, client_id: uuid.UUID) -> bytes:
    # Unambiguous without lengths: both identifiers have 16 bytes and no purpose contains a zero byte.
    return purpose + b"\0" + organisation_id.bytes + client_id.bytes


def _wrap(keys: Keys, data: bytes, bound_to: bytes) -> bytes:
    return _encrypt(keys.wrapping, data, keys.head, bound_to)


def _unwrap(keys: Keys, wrapped: bytes, bound_to: bytes) -> bytes:
    if wrapped[:1] == bytes([WRAPPED]):
        for one in keys.readable:
            if wrapped.startswith(one.head):
                return _decrypt(one.wrapping, wrapped, HEAD_BYTES, bound_to)
        raise Unreadable("wrapped under a master key that this service was not given")
    if keys.previous is not None:
        with suppress(Unreadable):
            return _open(keys.previous.wrapping, wrapped, bound_to)
    return _open(keys.wrapping, wrapped, bound_to)


def _seal(key: bytes, data: bytes, bound_to: bytes) -> bytes:
    return _encrypt(key, data, bytes([VERSION]), bound_to)


def _open(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    if sealed[:1] not in (b"", bytes([VERSION])):
        raise Unreadable(f"sealed with version {sealed[0]}, this service knows {VERSION}")
    return _decrypt(key, sealed, 1, bound_to)


def _encrypt(key: bytes, data: bytes, head: bytes, bound_to: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return head + nonce + AESGCM(key).encrypt(nonce, data, head + bound_to)


def _decrypt(key: bytes, sealed: bytes, length: int, bound_to: bytes) -> bytes:
    """``length`` is that of the head."""
    if len(sealed) < length + NONCE_BYTES + TAG_BYTES:
        raise Unreadable("too short to have been sealed here")
    head, nonce, data = sealed[:length], sealed[length : length + NONCE_BYTES], sealed[length + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, data, head + bound_to)
    except InvalidTag:
        raise Unreadable("not sealed with this key for this row, or altered") from None
