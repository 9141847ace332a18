"""The revision that gives organisations keys of their own, and consent a history, on data of before."""

from __future__ import annotations

import secrets
from datetime import date

import asyncpg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api import migrate
from api.ids import new_id
from api.organisations.keys import lookup_key
from api.organisations.repository import ensure_organisation
from api.rotation.resealing import counts, reseal_organisation
from api.security import crypto
from tests.conftest import MASTER_KEY, Urls
from tests.factories import make_client

KEYS = crypto.derive(crypto.parse_master_key(MASTER_KEY))


async def test_what_was_hashed_and_consented_before_stays_so(fresh_database: Urls) -> None:
    migrate.downgrade(fresh_database.owner, "0014")
    connection = await asyncpg.connect(fresh_database.service)
    organisation_id = await ensure_organisation(connection, "old", "old")
    consenting, other = new_id(), new_id()
    hashed = crypto.external_id_hash(KEYS.lookup, organisation_id, "OLD-1")
    for client_id, members in ((consenting, {"external_id_hash": hashed, "external_id_sealed": b"s"}), (other, {})):
        # As it was wrapped before master keys had ids.
        bound_to = b"\x01client-key\0" + organisation_id.bytes + client_id.bytes
        nonce, key = secrets.token_bytes(12), crypto.new_client_key()
        wrapped = b"\x01" + nonce + AESGCM(KEYS.wrapping).encrypt(nonce, key, bound_to)
        own = members | {"id": client_id, "key_wrapped": wrapped, "research_consent": client_id == consenting}
        await make_client(connection, organisation_id, **own)

    migrate.upgrade(fresh_database.owner)
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        (said,) = await connection.fetch("select client_id, sequence, given, stated_on from research_consent")
        assert tuple(said) == (consenting, 1, True, date(2026, 3, 1))
        assert await lookup_key(connection, KEYS, organisation_id) == KEYS.lookup, "hashes of before are found still"
    assert (await counts(connection, KEYS, organisation_id))["client.key_wrapped"] == {"unnamed": 2}
    assert await reseal_organisation(connection, KEYS, organisation_id) == 2
    assert (await counts(connection, KEYS, organisation_id))["client.key_wrapped"] == {"present": 2}
    await connection.close()


async def test_the_hashes_of_before_are_kept_also_where_the_master_key_is_replaced_at_once(
    fresh_database: Urls,
) -> None:
    both = crypto.derive(bytes(range(60, 92)), crypto.parse_master_key(MASTER_KEY))
    connection = await asyncpg.connect(fresh_database.service)
    organisation_id, client_id = await ensure_organisation(connection, "old", "old"), new_id()
    hashed = crypto.external_id_hash(KEYS.lookup, organisation_id, "OLD-1")
    wrapped = crypto.wrap_client_key(
        KEYS, crypto.new_client_key(), organisation_id=organisation_id, client_id=client_id
    )
    members = {"external_id_hash": hashed, "external_id_sealed": b"s", "key_wrapped": wrapped}
    await make_client(connection, organisation_id, id=client_id, **members)
    assert await reseal_organisation(connection, both, organisation_id) == 1
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        assert await lookup_key(connection, both, organisation_id) == KEYS.lookup
    await connection.close()
