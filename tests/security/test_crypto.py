"""Encryption of identifiers: it opens in its own row with its own key, and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from api.security import crypto

ORGANISATION, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
CLIENT, SIBLING = uuid.UUID(int=11), uuid.UUID(int=12)
KEYS = crypto.derive(bytes(range(32)))
NEW = crypto.derive(bytes(range(1, 33)), bytes(range(32)))
"""Another master key, with that of `KEYS` as the previous one."""


def _hkdf_sha256(master: bytes, info: bytes) -> bytes:
    """RFC 5869 for one block of output, written out."""
    extracted = hmac.new(bytes(32), master, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_keys_are_derived_as_rfc_5869_says() -> None:
    assert KEYS.wrapping == _hkdf_sha256(bytes(range(32)), b"fathomline/1/wrap")
    assert KEYS.lookup == _hkdf_sha256(bytes(range(32)), b"fathomline/1/lookup")
    assert KEYS.backup == _hkdf_sha256(bytes(range(32)), b"fathomline/1/backup")
    assert KEYS.id == _hkdf_sha256(bytes(range(32)), b"fathomline/1/id")[:4]


def test_keys_are_not_shown() -> None:
    assert KEYS.wrapping.hex() not in repr(KEYS)
    assert repr(KEYS) == "Keys()"


@given(text=st.text(max_size=200))
def test_external_id_comes_back(text: str) -> None:
    key = crypto.new_client_key()
    sealed = crypto.seal_external_id(key, text, organisation_id=ORGANISATION, client_id=CLIENT)
    assert crypto.open_external_id(key, sealed, organisation_id=ORGANISATION, client_id=CLIENT) == text


def test_sealed_layout_is_version_nonce_ciphertext() -> None:
    key = crypto.new_client_key()
    sealed = crypto.seal_external_id(key, "A-17", organisation_id=ORGANISATION, client_id=CLIENT)
    bound_to = b"\x01external-id\0" + ORGANISATION.bytes + CLIENT.bytes
    assert sealed[0] == 1
    assert AESGCM(key).decrypt(sealed[1:13], sealed[13:], bound_to) == b"A-17"


def test_sealing_twice_gives_different_bytes() -> None:
    key = crypto.new_client_key()
    twice = {crypto.seal_external_id(key, "A-17", organisation_id=ORGANISATION, client_id=CLIENT) for _ in range(2)}
    assert len(twice) == 2


def test_wrapped_key_comes_back_and_is_not_in_the_clear() -> None:
    key = crypto.new_client_key()
    wrapped = crypto.wrap_client_key(KEYS, key, organisation_id=ORGANISATION, client_id=CLIENT)
    assert key not in wrapped
    assert crypto.unwrap_client_key(KEYS, wrapped, organisation_id=ORGANISATION, client_id=CLIENT) == key


@pytest.mark.parametrize(("organisation_id", "client_id"), [(OTHER, CLIENT), (ORGANISATION, SIBLING), (CLIENT, OTHER)])
def test_nothing_opens_in_another_row(organisation_id: uuid.UUID, client_id: uuid.UUID) -> None:
    key = crypto.new_client_key()
    wrapped = crypto.wrap_client_key(KEYS, key, organisation_id=ORGANISATION, client_id=CLIENT)
    sealed = crypto.seal_external_id(key, "A-17", organisation_id=ORGANISATION, client_id=CLIENT)
    with pytest.raises(crypto.Unreadable):
        crypto.unwrap_client_key(KEYS, wrapped, organisation_id=organisation_id, client_id=client_id)
    with pytest.raises(crypto.Unreadable):
        crypto.open_external_id(key, sealed, organisation_id=organisation_id, client_id=client_id)


def test_purposes_do_not_mix() -> None:
    sealed = crypto.seal_external_id(KEYS.wrapping, "x" * 32, organisation_id=ORGANISATION, client_id=CLIENT)
    with pytest.raises(crypto.Unreadable):
        crypto.unwrap_client_key(KEYS, sealed, organisation_id=ORGANISATION, client_id=CLIENT)


def test_another_master_key_opens_nothing() -> None:
    wrapped = crypto.wrap_client_key(KEYS, crypto.new_client_key(), organisation_id=ORGANISATION, client_id=CLIENT)
    with pytest.raises(crypto.Unreadable):
        crypto.unwrap_client_key(
            crypto.derive(bytes(range(1, 33))), wrapped, organisation_id=ORGANISATION, client_id=CLIENT
        )


def test_every_flipped_bit_is_noticed() -> None:
    key = crypto.new_client_key()
    sealed = crypto.seal_external_id(key, "A-17", organisation_id=ORGANISATION, client_id=CLIENT)
    for bit in range(8 * len(sealed)):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(crypto.Unreadable):
            crypto.open_external_id(key, bytes(altered), organisation_id=ORGANISATION, client_id=CLIENT)


def test_every_truncation_is_noticed() -> None:
    key = crypto.new_client_key()
    sealed = crypto.seal_external_id(key, "A-17", organisation_id=ORGANISATION, client_id=CLIENT)
    for length in range(len(sealed)):
        with pytest.raises(crypto.Unreadable):
            crypto.open_external_id(key, sealed[:length], organisation_id=ORGANISATION, client_id=CLIENT)


def test_too_long_identifier_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 1024 bytes"):
        crypto.seal_external_id(crypto.new_client_key(), "ä" * 513, organisation_id=ORGANISATION, client_id=CLIENT)


def test_wrapped_layout_is_two_the_id_of_the_master_key_nonce_ciphertext() -> None:
    key = crypto.new_client_key()
    wrapped = crypto.wrap_client_key(KEYS, key, organisation_id=ORGANISATION, client_id=CLIENT)
    assert wrapped[:5] == b"\x02" + KEYS.id == KEYS.head
    bound_to = wrapped[:5] + b"client-key\0" + ORGANISATION.bytes + CLIENT.bytes
    assert AESGCM(KEYS.wrapping).decrypt(wrapped[5:17], wrapped[17:], bound_to) == key


def test_every_flipped_bit_and_truncation_of_what_is_wrapped_is_noticed() -> None:
    wrapped = crypto.wrap_lookup_key(NEW, crypto.new_client_key(), organisation_id=ORGANISATION)
    altered = [wrapped[:length] for length in range(len(wrapped))]
    for bit in range(8 * len(wrapped)):
        flipped = bytearray(wrapped)
        flipped[bit // 8] ^= 1 << (bit % 8)
        altered.append(bytes(flipped))
    for given_back in altered:
        with pytest.raises(crypto.Unreadable):
            crypto.unwrap_lookup_key(NEW, given_back, organisation_id=ORGANISATION)


class TestTwoMasterKeys:
    """While one master key replaces another, either is read and only the present one written."""

    def test_what_the_previous_one_wrapped_opens_and_new_things_are_under_the_present_one(self) -> None:
        key = crypto.new_client_key()
        old = crypto.wrap_client_key(KEYS, key, organisation_id=ORGANISATION, client_id=CLIENT)
        new = crypto.wrap_client_key(NEW, key, organisation_id=ORGANISATION, client_id=CLIENT)
        for wrapped in (old, new):
            assert crypto.unwrap_client_key(NEW, wrapped, organisation_id=ORGANISATION, client_id=CLIENT) == key
        assert new.startswith(NEW.head)
        assert not new.startswith(KEYS.head)
        with pytest.raises(crypto.Unreadable, match="was not given"):
            crypto.unwrap_client_key(KEYS, new, organisation_id=ORGANISATION, client_id=CLIENT)

    def test_rewrapping_moves_to_the_present_one_and_stays_bound(self) -> None:
        key = crypto.new_client_key()
        old = crypto.wrap_client_key(KEYS, key, organisation_id=ORGANISATION, client_id=CLIENT)
        row = {"organisation_id": ORGANISATION, "row_id": CLIENT}
        moved = crypto.rewrap(NEW, old, purpose=b"client-key", **row)
        alone = crypto.derive(bytes(range(1, 33)))
        assert moved.startswith(alone.head)
        assert crypto.unwrap_client_key(alone, moved, organisation_id=ORGANISATION, client_id=CLIENT) == key
        with pytest.raises(crypto.Unreadable):
            crypto.rewrap(NEW, old, purpose=b"webhook-secret", **row)
        with pytest.raises(crypto.Unreadable):
            crypto.rewrap(alone, old, purpose=b"client-key", **row)

    @pytest.mark.parametrize("keys", [KEYS, NEW])
    def test_what_was_wrapped_before_keys_had_ids_opens_with_either(self, keys: crypto.Keys) -> None:
        key, head = crypto.new_client_key(), b"\x01"
        bound_to = head + b"client-key\0" + ORGANISATION.bytes + CLIENT.bytes
        nonce = secrets.token_bytes(12)
        wrapped = head + nonce + AESGCM(KEYS.wrapping).encrypt(nonce, key, bound_to)
        assert crypto.unwrap_client_key(keys, wrapped, organisation_id=ORGANISATION, client_id=CLIENT) == key
        with pytest.raises(crypto.Unreadable):
            crypto.unwrap_client_key(
                crypto.derive(bytes(range(9, 41))), wrapped, organisation_id=ORGANISATION, client_id=CLIENT
            )

    def test_the_same_key_twice_is_refused(self) -> None:
        with pytest.raises(crypto.MasterKeyInvalid, match="the same"):
            crypto.derive(bytes(range(32)), bytes(range(32)))


def test_a_fingerprint_names_a_key_and_is_not_the_key() -> None:
    key = crypto.new_client_key()
    assert crypto.key_fingerprint(key) == crypto.key_fingerprint(key) != crypto.key_fingerprint(KEYS.wrapping)
    assert crypto.key_fingerprint(key) == hashlib.sha256(b"fathomline/1/client-key-fingerprint\0" + key).digest()


class TestLookup:
    def test_is_hmac_of_organisation_and_identifier(self) -> None:
        expected = hmac.new(KEYS.lookup, ORGANISATION.bytes + b"A-17", hashlib.sha256).digest()
        assert crypto.external_id_hash(KEYS.lookup, ORGANISATION, "A-17") == expected

    def test_spelling_does_not_matter(self) -> None:
        composed, decomposed = "Zo\u00eb", "  Zoe\u0308 "
        assert crypto.external_id_hash(KEYS.lookup, ORGANISATION, composed) == crypto.external_id_hash(
            KEYS.lookup, ORGANISATION, decomposed
        )

    @pytest.mark.parametrize("other", ["a-17", "A-170", "", "A 17"])
    def test_other_identifiers_differ(self, other: str) -> None:
        assert crypto.external_id_hash(KEYS.lookup, ORGANISATION, other) != crypto.external_id_hash(
            KEYS.lookup, ORGANISATION, "A-17"
        )

    def test_organisations_and_keys_differ(self) -> None:
        here = crypto.external_id_hash(KEYS.lookup, ORGANISATION, "A-17")
        assert crypto.external_id_hash(KEYS.lookup, OTHER, "A-17") != here
        assert crypto.external_id_hash(bytes(range(1, 33)), ORGANISATION, "A-17") != here


class TestMasterKey:
    @pytest.mark.parametrize(
        "write",
        [
            bytes.hex,
            lambda key: key.hex().upper(),
            lambda key: base64.b64encode(key).decode(),
            lambda key: base64.urlsafe_b64encode(key).decode().rstrip("="),
            lambda key: f"  {base64.b64encode(key).decode()}\n",
        ],
    )
    def test_notations(self, write: object) -> None:
        key = secrets.token_bytes(32)
        assert callable(write)
        assert crypto.parse_master_key(write(key)) == key

    def test_a_new_one_is_accepted(self) -> None:
        assert len(crypto.parse_master_key(crypto.new_master_key())) == 32

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "0 bytes"),
            ("00" * 32, "not random"),
            ("0011" * 16, "not random"),
            (bytes(range(31)).hex(), "31 bytes"),
            ("a passphrase with spaces is no key!", "base64 or hex"),
            ("c2hvcnQ", "5 bytes"),
            ("not*base64*" * 8, "base64 or hex"),
        ],
    )
    def test_refused(self, text: str, says: str) -> None:
        with pytest.raises(crypto.MasterKeyInvalid, match=says) as caught:
            crypto.parse_master_key(text)
        assert not text or text not in str(caught.value)
