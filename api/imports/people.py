"""The clients and episodes that rows name, looked up a batch at a time; clients that are made on the way."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg

from api.ids import new_id
from api.imports.faults import RowFault
from api.imports.rows import Row, id_key
from api.responses.recording import EPISODE_MARGIN
from api.security import crypto

_COLUMNS: Final = "id, key_wrapped, organs, partnered, external_id_hash"
_BY_ID: Final = f"select {_COLUMNS} from client where organisation_id = %s and id = any(%s)"  # noqa: S608  - constants
_BY_HASH: Final = f"select {_COLUMNS} from client where organisation_id = %s and external_id_hash = any(%s)"  # noqa: S608  - constants
_LOOKUP: Final = "select lookup_wrapped from organisation_key where organisation_id = %s"
_EPISODES: Final = """
select id, client_id, started_on, ended_on from episode where organisation_id = %s and id = any(%s)
"""
_ERASED: Final = "select client_id from erasure where organisation_id = %s and client_id = any(%s)"
_ERASED_SINCE: Final = "select exists (select from erasure where organisation_id = %s and erased_at >= %s)"
_UNKNOWN: Final = ("unknown-client", "is the id of a client")
_UNKNOWN_BY_EXTERNAL_ID: Final = (
    "unknown-client",
    "is the external id of a client; create_clients makes those that are not known",
)
_WAS_ERASED: Final = ("client-erased", "the client was erased; nothing is kept of them any more")
_MAY_BE_ERASED: Final = (
    "client-may-be-erased",
    "names nobody, and a client was erased since the import was made: it may be this one. If not, import the row again",
)
_MARGIN: Final = timedelta(days=EPISODE_MARGIN)


def lookup_key_of(connection: psycopg.Connection[Any], keys: crypto.Keys, organisation_id: uuid.UUID) -> bytes:
    """What the organisation's external ids are hashed with. It is there: whoever makes an import sees to that."""
    row = connection.execute(_LOOKUP, (organisation_id,)).fetchone()
    if row is None:
        raise RuntimeError("the organisation has no key for external ids yet")
    return crypto.unwrap_lookup_key(keys, bytes(row[0]), organisation_id=organisation_id)


class Person(NamedTuple):
    """What is needed of a client."""

    id: uuid.UUID
    organs: Sequence[str] | None
    partnered: bool | None
    id_key: bytes
    """What the ids of the client's imported responses are made with."""


class NewClient(NamedTuple):
    """A client to be written with the batch."""

    id: uuid.UUID
    external_id_hash: bytes
    external_id_sealed: bytes
    key_wrapped: bytes


@dataclass(slots=True)
class Placed:
    """Rows with their clients, those that are to be made, and what is wrong with the other rows."""

    rows: list[tuple[Row, Person]] = field(default_factory=list)
    made: list[NewClient] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)


class People:
    """The clients of one organisation, for one import."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        organisation_id: uuid.UUID,
        keys: crypto.Keys,
        lookup_key: bytes,
        *,
        create: bool,
        keep_made: bool,
        since: datetime,
    ) -> None:
        self._connection = connection
        self._organisation_id = organisation_id
        self._keys = keys
        self._lookup_key = lookup_key
        self._create = create
        self._keep_made = keep_made
        self._since = since
        """When the import was made: whoever was erased from then on does not come back by it."""
        self._made: dict[bytes, Person] = {}
        """Clients made by this run that may not be seen yet, by the hash of their external id."""
        self._generations: deque[list[bytes]] = deque(maxlen=None if keep_made else 3)
        self._id_keys: dict[uuid.UUID, bytes] = {}

    def place(self, rows: Sequence[Row]) -> Placed:
        """Find the client and the episode of each row."""
        placed = Placed()
        if not self._keep_made and len(self._generations) == 3:  # committed two batches ago
            for digest in self._generations[0]:
                del self._made[digest]
        hashes = self._hashes(rows)
        ids = {row.given.client_id for row in rows if row.given.client_id is not None}
        by_id = {found[0]: self._person(found) for found in self._select(_BY_ID, list(ids))}
        unknown = [digest for digest in set(hashes.values()) if digest not in self._made]
        by_hash = {bytes(found[4]): self._person(found) for found in self._select(_BY_HASH, unknown)}
        # Looked up after the clients: who is not there any more by now was erased by now.
        erased = {found[0] for found in self._select(_ERASED, [one for one in ids if one not in by_id])}
        closed = self._create and len(by_hash) < len(unknown) and self._erased_since()
        episodes = self._episodes(rows)
        today = datetime.now(UTC)
        for row in rows:
            given = row.given
            if given.client_id is not None:
                person = by_id.get(given.client_id)
                fault = row.fault("/client_id", *(_WAS_ERASED if given.client_id in erased else _UNKNOWN))
            else:
                digest = hashes[given.external_id or ""]
                person = by_hash.get(digest) or self._made.get(digest)
                if person is None and self._create and not closed:
                    person = self._new(given.external_id or "", digest, today, placed)
                fault = row.fault("/external_id", *(_MAY_BE_ERASED if closed else _UNKNOWN_BY_EXTERNAL_ID))
            if person is None:
                placed.faults.append(fault)
            elif (of_episode := _of_episode(row, person, episodes)) is not None:
                placed.faults.append(of_episode)
            else:
                placed.rows.append((row, person))
        self._generations.append([made.external_id_hash for made in placed.made])
        return placed

    def _erased_since(self) -> bool:
        """Whether anybody was erased since the import was made; of which external id, nobody can tell any more."""
        row = self._connection.execute(_ERASED_SINCE, (self._organisation_id, self._since)).fetchone()
        return bool(row and row[0])

    def _hashes(self, rows: Iterable[Row]) -> dict[str, bytes]:
        given = {row.given.external_id for row in rows if row.given.external_id is not None}
        return {text: crypto.external_id_hash(self._lookup_key, self._organisation_id, text) for text in given}

    def _select(self, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        if not values:
            return []
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(query, (self._organisation_id, values)).fetchall()

    def _person(self, found: tuple[Any, ...]) -> Person:
        client_id, wrapped, organs, partnered, _ = found
        key = self._id_keys.get(client_id)
        if key is None:
            if len(self._id_keys) >= 200_000:
                self._id_keys.clear()
            whose = {"organisation_id": self._organisation_id, "client_id": client_id}
            key = self._id_keys[client_id] = id_key(crypto.unwrap_client_key(self._keys, bytes(wrapped), **whose))
        return Person(client_id, organs, partnered, key)

    def _new(self, external_id: str, digest: bytes, now: datetime, placed: Placed) -> Person:
        client_id, key = new_id(), crypto.new_client_key()
        whose = {"organisation_id": self._organisation_id, "client_id": client_id}
        sealed = crypto.seal_external_id(key, external_id, **whose)
        placed.made.append(NewClient(client_id, digest, sealed, crypto.wrap_client_key(self._keys, key, **whose)))
        person = self._made[digest] = Person(client_id, None, None, id_key(key))
        return person

    def _episodes(self, rows: Iterable[Row]) -> dict[uuid.UUID, tuple[uuid.UUID, date, date | None]]:
        ids = {row.given.episode_id for row in rows if row.given.episode_id is not None}
        return {found[0]: (found[1], found[2], found[3]) for found in self._select(_EPISODES, list(ids))}


def _of_episode(
    row: Row, person: Person, episodes: dict[uuid.UUID, tuple[uuid.UUID, date, date | None]]
) -> RowFault | None:
    if row.given.episode_id is None:
        return None
    whose, first, last = episodes.get(row.given.episode_id, (None, date.max, None))
    if whose != person.id:
        return row.fault("/episode_id", "unknown-episode", "is the id of an episode of this client")
    day = row.given.answered_at.date()
    if day < first - _MARGIN or (last is not None and day > last + _MARGIN):
        detail = f"is from {EPISODE_MARGIN} days before the first to {EPISODE_MARGIN} days after the last day of it"
        return row.fault("/answered_at", "outside-episode", detail)
    return None
