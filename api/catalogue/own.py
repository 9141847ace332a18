"""Published definitions of organisations, kept in memory as long as there is room.

What is published never changes, so a kept definition cannot be out of date. Which versions there are and which of them
are retired is read before each use, by one round trip; lists remember it for some seconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncpg

import scoring
from api.db import confine
from api.lane import Lane
from instruments import Instrument
from instruments.loader import definition_from

T = TypeVar("T")

OWN_PREFIX: Final = "own-"
"""Codes of own instruments begin so and no shipped one does, now or later: the two never meet."""
OWN_CODE: Final = re.compile(r"own-[a-z0-9][a-z0-9_-]{0,35}")

MOST_PLANS: Final = 256
"""Compiled plans kept, one a variant. A plan keeps up to `scoring.shortcut.MOST_KEPT` scores, some 2 MB."""
MOST_TEXT: Final = 4 << 20
"""Characters of definitions kept; in memory they are some twenty times that."""
MOST_LISTED: Final = 4_096
"""Versions of which is kept what lists say of them, some kilobytes each."""

FRESH: Final = 5.0
"""Seconds for which lists remember which own instruments there are; what this process changed shows at once."""
MOST_TOLD: Final = 1_024
"""Organisations whose lists are remembered."""

_VERSIONS: Final = "select code, version, checksum, retired from read_own_instrument($1, $2)"
_DEFINITION: Final = (
    "select definition::text from own_instrument where organisation_id = $1 and code = $2 and version = $3"
)


@dataclass(frozen=True, slots=True)
class OwnVersion:
    """A published version; a retired one takes no new responses."""

    version: int
    checksum: str
    retired: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    instrument: Instrument
    plans: int
    text: int


Key = tuple[uuid.UUID, str, int, str]


class OwnInstruments:
    """Definitions by organisation, code, version and checksum. One object a process."""

    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], *, most_plans: int = MOST_PLANS, most_text: int = MOST_TEXT
    ) -> None:
        self._pool = pool
        self._most_plans, self._most_text = most_plans, most_text
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._plans = self._text = 0
        self._listed: OrderedDict[tuple[Key, Any], Any] = OrderedDict()
        self._coming: dict[Key, asyncio.Task[Instrument]] = {}
        self._changes = 0
        self._told: OrderedDict[uuid.UUID, tuple[float, dict[str, list[OwnVersion]]]] = OrderedDict()
        self._lane = Lane("own-instruments", most=1_024, most_of_one=128)

    async def versions(self, organisation_id: uuid.UUID, code: str) -> tuple[OwnVersion, ...]:
        """Every published version of a code, newest first; none where the organisation has no such instrument."""
        if OWN_CODE.fullmatch(code) is None:
            return ()
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(_VERSIONS, organisation_id, code)
        return tuple(OwnVersion(*row[1:]) for row in rows)

    async def all(self, organisation_id: uuid.UUID) -> dict[str, list[OwnVersion]]:
        """Every published version by code, newest first; for lists, as it was at most :data:`FRESH` seconds ago.

        While the database does not answer, as it was when it last did.
        """
        asked_at, told = self._told.get(organisation_id, (-FRESH, None))
        if told is not None and time.monotonic() - asked_at < FRESH:
            return told
        changes = self._changes
        try:
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(_VERSIONS, organisation_id, None)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if told is None:
                raise
            return told
        found: dict[str, list[OwnVersion]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(OwnVersion(*row[1:]))
        if changes != self._changes:  # something was published meanwhile, which these rows may lack
            return found
        self._told[organisation_id] = time.monotonic(), found
        self._told.move_to_end(organisation_id)
        if len(self._told) > MOST_TOLD:
            self._told.popitem(last=False)
        return found

    def changed(self, organisation_id: uuid.UUID) -> None:
        """An organisation has published or retired something: its next list is asked for anew."""
        self._changes += 1
        self._told.pop(organisation_id, None)

    async def definition(self, organisation_id: uuid.UUID, code: str, version: OwnVersion) -> Instrument:
        """The definition of a version that :meth:`versions` told of, ready to score with."""
        key = (organisation_id, code, version.version, version.checksum)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept.instrument
        coming = self._coming.get(key)
        if coming is None:  # whoever asks meanwhile waits for the same
            coming = self._coming[key] = asyncio.create_task(self._load(key))
            coming.add_done_callback(lambda _: self._coming.pop(key))
        return await asyncio.shield(coming)

    async def listed(
        self, organisation_id: uuid.UUID, code: str, version: OwnVersion, tell: Callable[[Instrument], T]
    ) -> T:
        """What a function tells of a version, which is kept by version and function.

        A list of all instruments compiles none of them: it would take minutes, and push out those that are scored with.
        """
        key = (organisation_id, code, version.version, version.checksum)
        if (key, tell) not in self._listed:
            text = await self._read(key)
            told = await self._lane.run(organisation_id, lambda: tell(definition_from(json.loads(text))))
            self._listed[key, tell] = told
            if len(self._listed) > MOST_LISTED:
                self._listed.popitem(last=False)
            return told
        self._listed.move_to_end((key, tell))
        found: T = self._listed[key, tell]
        return found

    async def _read(self, key: Key) -> str:
        organisation_id, code, version, _ = key
        async with self._pool.acquire() as connection, connection.transaction():
            await confine(connection, organisation_id)
            text: str = await connection.fetchval(_DEFINITION, organisation_id, code, version)
        return text

    async def _load(self, key: Key) -> Instrument:
        organisation_id, code, version, checksum = key
        text = await self._read(key)
        instrument = await self._lane.run(organisation_id, read_and_compile, text)
        if (instrument.code, instrument.version, instrument.checksum) != (code, version, checksum):
            raise RuntimeError(f"the stored definition of version {version} is not the one that was published")
        self._keep(key, _Kept(instrument, len(instrument.variant_ids), len(text)))
        return instrument

    def _keep(self, key: Key, kept: _Kept) -> None:
        self._kept[key] = kept
        self._plans += kept.plans
        self._text += kept.text
        while len(self._kept) > 1 and (self._plans > self._most_plans or self._text > self._most_text):
            _, gone = self._kept.popitem(last=False)
            self._plans -= gone.plans
            self._text -= gone.text
            gone.instrument.compiled.clear()  # its plans hold it: else both stay until the next full collection

    def close(self) -> None:
        """Compile no more."""
        self._lane.close()


def read_and_compile(text: str) -> Instrument:
    """A stored definition, compiled under every variant: the first form is scored as quickly as any."""
    instrument = definition_from(json.loads(text))
    for variant in (None, *instrument.variant_ids):
        scoring.score(instrument, {}, variant=variant)
    return instrument
