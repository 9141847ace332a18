"""Verifying an organisation's trail against its chain, its heads and heads that were kept elsewhere.

Whoever owns the database can rewrite all that lies in it, but not sign it: the keys lie under the master key. Whoever
has that as well cannot take back a head that somebody kept.
"""

from __future__ import annotations

import itertools
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from api.audit import chain
from api.audit.related import CLIENTS_OF
from api.audit.walk import MOST_NAMED, Finding, Link, Walk
from api.security import crypto

PAGE: Final = 5_000
SEARCHED: Final = ("subject", "role", "action", "resource", "outcome")

KeptHead = tuple[chain.Head, bytes, bytes]
"""A head, its signature, and the public key that came with it."""


@dataclass(slots=True)
class Trail:
    """What verifying found."""

    organisation_id: uuid.UUID
    sealed: int = 0
    unsealed: int = 0
    oldest_unsealed: datetime | None = None
    head: dict[str, Any] | None = None
    """The last head, as `chain.signed_head` makes it, to be kept elsewhere."""
    faults: list[Finding] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)
    """What is no fault, but a person should know."""

    @property
    def intact(self) -> bool:
        return not self.faults


@dataclass(slots=True)
class _Heads:
    """The heads, in their order: signed, each after the one before, and agreeing with the links."""

    keys: dict[uuid.UUID, bytes]
    foreign: set[uuid.UUID]
    faults: list[Finding] = field(default_factory=list)
    last: tuple[chain.Head, bytes] | None = None

    def step(self, head: chain.Head, signature: bytes, stored: bytes | None) -> None:
        """The next head; ``stored`` is the hash of the link with its number, None where there is none."""
        after = 0 if self.last is None else self.last[0].sequence
        if head.previous != after:
            self.faults.append(Finding("head-removed", f"The head at {head.previous} is gone.", head.sequence))
        self.faults.extend(check_signature(self.keys, self.foreign, head, signature))
        if stored is None:
            self.faults.append(
                Finding("chain-truncated", f"The chain had {head.sequence:,} links; the last are gone.", head.sequence)
            )
        elif stored != head.hash:
            detail = f"The links {head.previous + 1} to {head.sequence} are not those that this head was signed for."
            self.faults.append(Finding("chain-rewritten", detail, head.sequence))
        self.last = head, signature


def check_signature(
    keys: dict[uuid.UUID, bytes], foreign: set[uuid.UUID], head: chain.Head, signature: bytes
) -> Iterable[Finding]:
    """What is wrong with the signature of a head."""
    if head.key_id in foreign or head.key_id not in keys:
        detail = "The head is signed by a key that does not lie under the master key."
        yield Finding("head-foreign", detail, head.sequence)
    elif not chain.signed_by(head, signature, keys[head.key_id]):
        yield Finding("head-invalid", "The signature of the head does not hold.", head.sequence)


async def verify_trail(
    connection: asyncpg.Connection[asyncpg.Record],
    organisation_id: uuid.UUID,
    keys: crypto.Keys,
    kept: Sequence[KeptHead] = (),
) -> Trail:
    """Verify one trail. ``connection`` is in a transaction within the organisation, which sees one state throughout.

    ``kept`` are heads that were kept elsewhere, of any organisation; those of others are passed over.
    """
    trail = Trail(organisation_id)
    heads = _Heads(*await trusted_keys(connection, organisation_id, keys))
    walk = Walk()
    late: list[Finding] = []
    unlisted: list[Finding] = []
    wanted: defaultdict[int, list[KeptHead]] = defaultdict(list)
    for given in kept:
        if given[0].organisation_id == organisation_id:
            wanted[given[0].sequence].append(given)
    sequence = 0
    while page := await connection.fetch(_PAGE, organisation_id, sequence, PAGE):
        for row in page:
            link = _link(organisation_id, row)
            walk.step(link)
            trail.faults.extend(_copies(row, link))
            late.extend(_late(link, None if heads.last is None else heads.last[0]))
            if row["head_hash"] is not None:
                heads.step(_head(organisation_id, row), bytes(row["signature"]), link.hash)
            for given in wanted.pop(link.sequence, ()):
                trail.faults.extend(_as_kept(given, link.hash, heads))
        sequence = page[-1]["sequence"]
        trail.sealed += len(page)
        for row in await connection.fetch(_UNLISTED, organisation_id, [row["event_id"] for row in page]):
            unlisted.append(Finding("not-listed", "The client's own trail does not list the event.", None, row["id"]))
    for row in await connection.fetch(_HEADS_BEYOND, organisation_id):
        heads.step(_head(organisation_id, row), bytes(row["signature"]), None)
    trail.faults.extend(walk.findings())
    trail.faults.extend(heads.faults)
    for given in itertools.chain.from_iterable(wanted.values()):
        trail.faults.extend(_as_kept(given, None, heads))
    await _after_the_last_head(connection, trail, heads, sequence)
    trail.faults = _shortened(trail.faults)
    trail.remarks = _shortened(late) + _shortened(unlisted)
    return trail


# Left joins: what is missing has to be seen. Planned for a page by its key, whatever the tables held before.
_PAGE: Final = """
select s.sequence, s.event_id, s.hash, s.subject as s_subject, s.role as s_role, s.action as s_action,
       s.resource as s_resource, s.outcome as s_outcome,
       e.id, e.at, e.subject, e.role, e.action, e.resource, e.resource_id, e.request_id, e.outcome,
       h.previous, h.hash as head_hash, h.sealed_at, h.complete_until, h.key_id, h.signature
from audit_seal s
left join audit_event e on e.organisation_id = s.organisation_id and e.id = s.event_id
left join audit_head h on h.organisation_id = s.organisation_id and h.sequence = s.sequence
where s.organisation_id = $1 and s.sequence > $2 order by s.sequence limit $3
"""
_HEADS_BEYOND: Final = """
select h.sequence, h.previous, h.hash as head_hash, h.sealed_at, h.complete_until, h.key_id, h.signature
from audit_head h where h.organisation_id = $1
  and not exists (select from audit_seal s where s.organisation_id = h.organisation_id and s.sequence = h.sequence)
order by h.sequence
"""
_UNLISTED: Final = f"""
select e.id from audit_event e cross join lateral ({CLIENTS_OF}) c
where e.organisation_id = $1 and e.id = any ($2::uuid[]) and not exists (
  select from audit_client l where l.organisation_id = e.organisation_id and l.client_id = c.id and l.event_id = e.id)
"""  # noqa: S608  - our own constant
_UNSEALED: Final = """
select count(*) as number, min(e.id::text) as oldest
from audit_event e left join audit_seal s on s.event_id = e.id and s.organisation_id = e.organisation_id
where e.organisation_id = $1 and s.event_id is null
"""
_INSERTED: Final = """
select e.id from audit_event e
where e.organisation_id = $1 and e.id < first_uuid_at($2)
  and (select s.sequence from audit_seal s where s.event_id = e.id and s.organisation_id = e.organisation_id) is null
order by e.id
"""


async def trusted_keys(
    connection: asyncpg.Connection[asyncpg.Record], organisation_id: uuid.UUID, keys: crypto.Keys
) -> tuple[dict[uuid.UUID, bytes], set[uuid.UUID]]:
    """The public keys that the master key vouches for, and the ids of those that it does not."""
    trusted: dict[uuid.UUID, bytes] = {}
    foreign: set[uuid.UUID] = set()
    query = "select id, public_key, private_sealed from audit_key where organisation_id = $1"
    for row in await connection.fetch(query, organisation_id):
        try:
            private = crypto.open_audit_key(
                keys, row["private_sealed"], organisation_id=organisation_id, key_id=row["id"]
            )
        except crypto.Unreadable:
            foreign.add(row["id"])
        else:
            trusted[row["id"]] = chain.public_half(private)
            if trusted[row["id"]] != row["public_key"]:
                foreign.add(row["id"])
    return trusted, foreign


def _link(organisation_id: uuid.UUID, row: asyncpg.Record) -> Link:
    event = None
    if row["id"] is not None:
        event = chain.Event(organisation_id, *(row[name] for name in chain.Event._fields[1:]))
    return Link(row["sequence"], row["event_id"], bytes(row["hash"]), event)


def _head(organisation_id: uuid.UUID, row: asyncpg.Record) -> chain.Head:
    return chain.Head(
        organisation_id,
        row["sequence"],
        row["previous"],
        bytes(row["head_hash"]),
        row["sealed_at"],
        row["complete_until"],
        row["key_id"],
    )


def _copies(row: asyncpg.Record, link: Link) -> Iterable[Finding]:
    """Where the search would find another thing than the event says."""
    if link.event is not None and any(row[f"s_{name}"] != row[name] for name in SEARCHED):
        detail = "The columns that the event is searched by are not the event's."
        yield Finding("search-differs", detail, link.sequence, link.event_id)


def made_at(event_id: uuid.UUID) -> datetime:
    """When an event was made, which its id begins with; never later than now, whatever an id says."""
    return datetime.fromtimestamp(min((event_id.int >> 80) / 1000, datetime.now(UTC).timestamp()), UTC)


def _late(link: Link, head: chain.Head | None) -> Iterable[Finding]:
    if head is not None and made_at(link.event_id) < head.complete_until:
        detail = f"The event was sealed after a head that is complete until {chain.time_text(head.complete_until)}."
        yield Finding("late", detail, link.sequence, link.event_id)


def _as_kept(given: KeptHead, stored: bytes | None, heads: _Heads) -> Iterable[Finding]:
    """Whether the chain still holds what a head says that was kept elsewhere."""
    head, signature, public = given
    yield from check_signature(heads.keys, heads.foreign, head, signature)
    if heads.keys.get(head.key_id, public) != public:
        yield Finding("head-foreign", "The kept head came with another public key.", head.sequence)
    if stored is None:
        detail = f"The kept head was signed for {head.sequence:,} links; the chain is shorter now."
        yield Finding("chain-truncated", detail, head.sequence)
    elif stored != head.hash:
        detail = f"Up to link {head.sequence} the chain is not the one that the kept head was signed for."
        yield Finding("chain-rewritten", detail, head.sequence)


async def _after_the_last_head(
    connection: asyncpg.Connection[asyncpg.Record], trail: Trail, heads: _Heads, sequence: int
) -> None:
    """Links after the last head, which there are never; and events that are not sealed yet."""
    if heads.last is not None:
        head, signature = heads.last
        trail.head = chain.signed_head(head, signature, heads.keys.get(head.key_id, bytes(32)))
        for row in await connection.fetch(_INSERTED, trail.organisation_id, head.complete_until):
            detail = f"The event was added after a head that is complete until {chain.time_text(head.complete_until)}."
            trail.faults.append(Finding("event-inserted", detail, None, row["id"]))
    if sequence > (0 if heads.last is None else heads.last[0].sequence):
        trail.faults.append(Finding("head-removed", "The last links have no signed head.", sequence))
    row = await connection.fetchrow(_UNSEALED, trail.organisation_id)
    trail.unsealed = row["number"]
    trail.oldest_unsealed = made_at(uuid.UUID(row["oldest"])) if row["oldest"] is not None else None


def _shortened(findings: Sequence[Finding]) -> list[Finding]:
    """At most so many of a kind one by one, and then how many more there are."""
    kept: list[Finding] = []
    for code in dict.fromkeys(finding.code for finding in findings):
        same = [finding for finding in findings if finding.code == code and not finding.more]
        more = sum(finding.more for finding in findings if finding.code == code) + len(same[MOST_NAMED:])
        kept += same[:MOST_NAMED]
        if more:
            kept.append(Finding(code, f"The same holds for {more:,} more.", more=more))
    return kept
