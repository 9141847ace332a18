# ruff: noqa: S608  - statements of the tests, about ids and hashes that they made themselves
"""Whoever owns the server can do anything to the tables. What they did is found, and named."""

from __future__ import annotations

import dataclasses
import json
import secrets
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from api.audit import chain
from api.security import crypto
from api.startup import derived_keys
from tests.audit.trail import INSERT, Sealed, ago, brief, event

EVENTS = 12


@pytest.fixture
async def ids(trail: Sealed) -> list[uuid.UUID]:
    """Events in three batches of four; the first is number 1."""
    made: list[uuid.UUID] = []
    for _ in range(3):
        made += await trail.write(EVENTS // 3)
        await trail.seal()
    return made


async def test_a_trail_that_nobody_touched_is_intact(trail: Sealed, ids: list[uuid.UUID]) -> None:
    found = await trail.verify()
    assert (found.faults, found.remarks) == ([], [])
    assert (found.sealed, found.unsealed, found.oldest_unsealed) == (EVENTS, 0, None)
    rows = await trail.rows("select sequence, event_id from audit_seal order by 1")
    assert [tuple(row) for row in rows] == list(enumerate(ids, 1))
    heads = await trail.rows("select sequence, previous from audit_head order by 1")
    assert [tuple(row) for row in heads] == [(4, 0), (8, 4), (12, 8)]


async def test_an_empty_trail_is_intact(trail: Sealed) -> None:
    await trail.seal()
    found = await trail.verify()
    assert (found.faults, found.sealed, found.unsealed, found.head) == ([], 0, 0, None)


@pytest.mark.parametrize("number", [1, 4, 6, 12])
async def test_an_event_that_was_removed(trail: Sealed, ids: list[uuid.UUID], number: int) -> None:
    await trail.tamper(f"delete from audit_event where id = '{ids[number - 1]}'")
    assert await trail.found() == [("event-removed", number, ids[number - 1])]


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "subject = 'ehr-2'",
        "role = 'admin'",
        "action = 'list'",
        "resource = 'progress'",
        "resource_id = gen_random_uuid()",
        "resource_id = null",
        "request_id = ''",
        "outcome = 'not-found'",
    ],
)
async def test_an_event_that_was_changed(trail: Sealed, ids: list[uuid.UUID], change: str) -> None:
    await trail.tamper(f"update audit_event set {change} where id = '{ids[5]}'")
    found = await trail.found()
    assert ("event-changed", 6, ids[5]) in found
    assert {(number, which) for _, number, which in found} == {(6, ids[5])}, "no other event is suspected"


async def test_events_that_have_changed_places(trail: Sealed, ids: list[uuid.UUID]) -> None:
    """Two links that give each other their events; the one column is unique, so it takes three steps."""
    await trail.tamper(
        f"update audit_seal set event_id = '{uuid.uuid4()}' where sequence = 3",
        f"update audit_seal set event_id = '{ids[2]}' where sequence = 9",
        f"update audit_seal set event_id = '{ids[8]}' where sequence = 3",
    )
    assert await trail.found() == [("events-reordered", 3, ids[8]), ("events-reordered", 9, ids[2])]


async def test_links_that_have_changed_places(trail: Sealed, ids: list[uuid.UUID]) -> None:
    """Whole links, hash and all; the heads tell as well where they stand there."""
    await trail.tamper(
        "update audit_seal set sequence = 99 where sequence = 2",
        "update audit_seal set sequence = 2 where sequence = 6",
        "update audit_seal set sequence = 6 where sequence = 99",
    )
    assert await trail.found() == [("events-reordered", 2, ids[5]), ("events-reordered", 6, ids[1])]


async def test_an_event_that_was_inserted_and_not_sealed(trail: Sealed) -> None:
    await trail.write(3, at=ago(hours=2))
    await trail.seal()
    inserted = event(trail.organisation_id, at=ago(hours=1))
    await trail.superuser.execute(INSERT, *inserted)
    assert await trail.found() == [("event-inserted", None, inserted.id)]
    await trail.seal(whole=True)
    found = await trail.verify()
    assert found.faults == []
    assert brief(found.remarks) == [("late", 4, inserted.id)], "once sealed it is told that it came late"


async def test_a_link_that_was_inserted_among_the_others(trail: Sealed, ids: list[uuid.UUID]) -> None:
    inserted = event(trail.organisation_id)
    await trail.superuser.execute(INSERT, *inserted)
    await trail.tamper(
        "update audit_seal set sequence = sequence + 1000 where sequence >= 6",
        "update audit_seal set sequence = sequence - 999 where sequence >= 1006",
        "insert into audit_seal select organisation_id, 6, "
        f"'{inserted.id}', sha256('x'), subject, role, action, resource, outcome from audit_seal where sequence = 1",
    )
    found = await trail.found()
    assert ("link-inserted", 6, inserted.id) in found
    assert "event-changed" not in {code for code, *_ in found}
    assert ("chain-rewritten", 8, None) in found


async def test_a_link_that_was_removed(trail: Sealed, ids: list[uuid.UUID]) -> None:
    await trail.tamper("delete from audit_seal where sequence = 6")
    assert await trail.found() == [("link-removed", 6, None)]


async def test_an_event_that_was_removed_with_its_link(trail: Sealed, ids: list[uuid.UUID]) -> None:
    await trail.tamper(
        f"delete from audit_event where id = '{ids[5]}'",
        "delete from audit_seal where sequence = 6",
        "update audit_seal set sequence = sequence + 1000 where sequence > 6",
        "update audit_seal set sequence = sequence - 1001 where sequence > 1006",
    )
    found = await trail.found()
    assert ("link-removed", 6, None) in found
    assert "event-changed" not in {code for code, *_ in found}
    assert ("chain-truncated", 12, None) in found


async def reseal(trail: Sealed, first: int) -> None:
    """Compute all hashes anew from a number on, as somebody would who knows how, but has no key."""
    rows = await trail.rows(
        "select s.sequence, s.hash, e.* from audit_seal s join audit_event e on e.id = s.event_id order by s.sequence"
    )
    before = chain.START
    for row in rows:
        digest = bytes(row["hash"])
        if row["sequence"] >= first:
            digest = chain.link(chain.Event(*(row[name] for name in chain.Event._fields)), row["sequence"], before)
            await trail.tamper(f"update audit_seal set hash = '\\x{digest.hex()}' where sequence = {row['sequence']}")
        before = digest


async def test_a_chain_that_was_computed_anew(trail: Sealed, ids: list[uuid.UUID]) -> None:
    """No link tells; the signed heads from the batch of the changed event on do."""
    await trail.tamper(f"update audit_event set request_id = 'another' where id = '{ids[5]}'")
    await reseal(trail, 6)
    assert await trail.found() == [("chain-rewritten", 8, None), ("chain-rewritten", 12, None)]


async def resign(trail: Sealed, private: bytes, key_id: uuid.UUID) -> None:
    """Sign all heads anew for the chain as it is."""
    for row in await trail.rows(
        "select h.*, s.hash as now from audit_head h join audit_seal s using (organisation_id, sequence)"
    ):
        head = chain.Head(
            row["organisation_id"],
            row["sequence"],
            row["previous"],
            bytes(row["now"]),
            row["sealed_at"],
            row["complete_until"],
            key_id,
        )
        signature = chain.sign(head, private).hex()
        await trail.tamper(
            f"update audit_head set hash = '\\x{head.hash.hex()}', key_id = '{key_id}', signature = '\\x{signature}' "
            f"where sequence = {head.sequence}"
        )


@pytest.mark.parametrize("key", ["in the place of the old one", "beside it", "nowhere"])
async def test_heads_that_were_signed_by_another_key(trail: Sealed, ids: list[uuid.UUID], key: str) -> None:
    await trail.tamper(f"update audit_event set request_id = 'another' where id = '{ids[5]}'")
    await reseal(trail, 6)
    private, public = chain.new_key()
    old: uuid.UUID = (await trail.rows("select id from audit_key"))[0]["id"]
    key_id = old if key == "in the place of the old one" else uuid.uuid4()
    await resign(trail, private, key_id)
    if key_id == old:
        await trail.tamper(f"update audit_key set public_key = '\\x{public.hex()}'")
    elif key == "beside it":
        await trail.tamper(
            f"insert into audit_key select organisation_id, '{key_id}', '\\x{public.hex()}', private_sealed, now() "
            "from audit_key"
        )
    assert await trail.found() == [("head-foreign", number, None) for number in (4, 8, 12)]


async def test_a_signature_that_does_not_hold(trail: Sealed, ids: list[uuid.UUID]) -> None:
    await trail.tamper("update audit_head set sealed_at = sealed_at - interval '1 second' where sequence = 8")
    assert await trail.found() == [("head-invalid", 8, None)]


async def test_another_master_key_vouches_for_nothing(trail: Sealed, ids: list[uuid.UUID]) -> None:
    other = SecretStr(secrets.token_hex(32))
    assert await trail.found(master_key=other) == [("head-foreign", number, None) for number in (4, 8, 12)]


async def test_heads_that_were_removed(trail: Sealed, ids: list[uuid.UUID]) -> None:
    await trail.tamper("delete from audit_head where sequence = 8")
    assert await trail.found() == [("head-removed", 12, None)]
    await trail.tamper("delete from audit_head where sequence = 12")
    assert await trail.found() == [("head-removed", 12, None)]


async def test_a_chain_that_ends_before_its_head(trail: Sealed, ids: list[uuid.UUID]) -> None:
    await trail.tamper("delete from audit_seal where sequence > 10")
    found = await trail.found()
    assert ("chain-truncated", 12, None) in found


async def kept_head(trail: Sealed) -> tuple[chain.Head, bytes, bytes]:
    """The present head, as somebody keeps it: through JSON text."""
    return chain.read_signed_head(json.loads(json.dumps((await trail.verify()).head)))


async def test_a_chain_that_was_truncated_with_its_heads_is_seen_by_a_head_that_was_kept(
    trail: Sealed, ids: list[uuid.UUID]
) -> None:
    early = await kept_head(trail)
    await trail.write(4)
    await trail.seal()
    late = await kept_head(trail)
    await trail.tamper(
        f"delete from audit_event where id > '{ids[-1]}'",
        "delete from audit_seal where sequence > 12",
        "delete from audit_head where sequence > 12",
    )
    assert await trail.found() == [], "nothing in the database tells"
    assert await trail.found(early) == []
    assert await trail.found(early, late) == [("chain-truncated", 16, None)]
    await trail.tamper("delete from audit_event", "delete from audit_seal", "delete from audit_head")
    assert await trail.found() == []
    assert await trail.found(early) == [("chain-truncated", 12, None)]


async def test_a_head_that_was_kept_is_against_whoever_has_the_master_key(trail: Sealed, ids: list[uuid.UUID]) -> None:
    kept = await kept_head(trail)
    await trail.tamper(f"update audit_event set request_id = 'another' where id = '{ids[5]}'")
    await reseal(trail, 6)
    (row,) = await trail.rows("select * from audit_key")
    private = crypto.open_audit_key(
        derived_keys(trail.settings),
        row["private_sealed"],
        organisation_id=trail.organisation_id,
        key_id=row["id"],
    )
    await resign(trail, private, row["id"])
    assert await trail.found() == []
    assert await trail.found(kept) == [("chain-rewritten", 12, None)]


async def test_a_kept_head_that_was_made_up_is_told(trail: Sealed, ids: list[uuid.UUID]) -> None:
    head, signature, public = await kept_head(trail)
    forged = dataclasses.replace(head, sequence=99)
    assert [code for code, *_ in await trail.found((forged, signature, public))] == ["head-invalid", "chain-truncated"]
    private, other = chain.new_key()
    assert await trail.found((head, chain.sign(head, private), other)) == [
        ("head-invalid", 12, None),
        ("head-foreign", 12, None),
    ]
    assert await trail.found((dataclasses.replace(forged, organisation_id=uuid.uuid4()), signature, public)) == []


async def test_columns_that_the_search_reads_are_compared(trail: Sealed, ids: list[uuid.UUID]) -> None:
    await trail.tamper("update audit_seal set subject = 'nobody' where sequence = 5")
    assert await trail.found() == [("search-differs", 5, ids[4])]


async def test_very_many_changes_are_counted(trail: Sealed) -> None:
    await trail.write(400)
    await trail.seal()
    await trail.tamper("update audit_event set request_id = 'another'")
    found = (await trail.verify()).faults
    assert [finding.code for finding in found] == ["event-changed"] * 21
    assert [finding.sequence for finding in found] == [*range(1, 21), None]
    assert "380 more" in found[-1].detail


async def test_what_is_not_sealed_yet_is_told_with_its_age(trail: Sealed, ids: list[uuid.UUID]) -> None:
    at = datetime.now(UTC) - timedelta(seconds=100)
    await trail.write(2, at=at)
    await trail.write(1)
    found = await trail.verify()
    assert found.faults == []
    assert found.unsealed == 3
    assert found.oldest_unsealed is not None
    assert abs(found.oldest_unsealed - at) < timedelta(milliseconds=2)
