"""Reading a caseload: one transaction whose statements all see the same moment.

It is one of a session, not of the pool of the hot path: definitions are asked for meanwhile, and those come over that.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text

from api.caseload import statements
from api.db import Database, RawConnection
from api.ids import new_id
from api.security.principal import Principal
from scoring.progress import Measurement

Pair = tuple[uuid.UUID, str, str]
"""A client, an instrument, and a scale of it."""
Floats = list[float | None]


@dataclass(frozen=True, slots=True)
class Whose:
    """The open episodes of a clinician, or of all; of a concern, or of any."""

    clinician: str | None
    concern: str | None

    @property
    def condition(self) -> str:
        """As SQL has it, so that an index can be used for either."""
        return statements.OF_ALL if self.clinician is None else statements.OF_CLINICIAN


class Group(NamedTuple):
    """First and last usable scores of pairs of one instrument, alike in versions and variants. None: there is none."""

    instrument: int
    first_version: int | None
    first_variant: str | None
    version: int | None
    variant: str | None
    single: bool | None
    """First and last are one and the same."""
    places: list[int]
    first: Floats
    last: Floats
    first_at: Floats
    last_at: Floats


class Care(NamedTuple):
    """Of the newest open episode; None where nobody asks for it."""

    format: str | None = None
    modality: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a client has to answer by today: how many are due, and how many overdue."""

    due: int = 0
    overdue: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """Open alerts of a client."""

    number: int = 0
    urgent: int = 0

    @property
    def severity(self) -> str | None:
        """The highest."""
        return None if not self.number else "urgent" if self.urgent else "notice"


class Slot(NamedTuple):
    """One that may be answered or not: told apart by the rule of `api.protocols.matching`."""

    id: uuid.UUID
    client_id: uuid.UUID
    instrument: str
    status: str


@dataclass(slots=True)
class Slots:
    """What is due, as far as the database can tell; and what it cannot."""

    waiting: dict[uuid.UUID, Waiting] = field(default_factory=dict)
    contended: list[Slot] = field(default_factory=list)
    stale: bool = False
    """Schedules are not planned up to this day."""


NOTHING_DUE: Final = Waiting()
NO_ALERT: Final = Open()


@dataclass(frozen=True, slots=True)
class Reading:
    """The statements of one request, over a connection whose transaction is repeatable."""

    connection: RawConnection
    organisation_id: uuid.UUID
    runs: tuple[Any, ...] = ()
    """Runs whose scores count, with their versions and instruments; empty where none does."""

    @classmethod
    @asynccontextmanager
    async def begun(cls, database: Database, organisation_id: uuid.UUID) -> AsyncIterator[Reading]:
        """Within an organisation, with what counts at this moment; commits at the end."""
        async with database.engine.connect() as session:
            await session.execution_options(isolation_level="REPEATABLE READ")
            async with session.begin():
                await session.execute(text("select"))  # the driver begins the transaction with the first statement
                connection: RawConnection | None = (await session.get_raw_connection()).driver_connection
                assert connection is not None  # noqa: S101  - it is open
                await connection.execute(statements.SETTINGS, str(organisation_id))
                found = await connection.fetchrow(statements.RUNS, organisation_id)
                runs = tuple(found) if found is not None and found[0] is not None else ()
                yield cls(connection, organisation_id, runs)

    async def clients(self, whose: Whose) -> tuple[list[uuid.UUID], list[str]]:
        """Their ids in order, and the concerns of each, separated by commas, those of the newest episode first."""
        sql = statements.MINE.format(of=whose.condition)
        rows = await self.connection.fetch(sql, self.organisation_id, whose.clinician, whose.concern)
        return [row[0] for row in rows], [row[1] for row in rows]

    async def care(self, clients: Sequence[uuid.UUID]) -> list[Care]:
        """The care of each of some clients who have an open episode."""
        return [Care(*row) for row in await self.connection.fetch(statements.CARE, clients)]

    async def standings(
        self,
        clients: Sequence[uuid.UUID],
        concerns: Sequence[str],
        instruments: Sequence[str],
        scales: Sequence[str],
        of_instruments: Sequence[str],
    ) -> list[Group]:
        """First and last usable scores; see :func:`api.caseload.statements.standings`."""
        sql = statements.standings(runs=bool(self.runs))
        asked = (clients, concerns, instruments, scales, of_instruments, *self.runs)
        return [Group(*row) for row in await self.connection.fetch(sql, self.organisation_id, *asked)]

    async def first_among(
        self,
        clients: Mapping[int, uuid.UUID],
        instrument: str,
        scale: str,
        versions: Collection[int],
        variants: Collection[str],
    ) -> dict[int, tuple[bool, float, float]]:
        """Of clients by their places: whether the first usable score is also the last, its value, and when it was."""
        sql = statements.first_among(runs=bool(self.runs))
        asked = ([*clients], [*clients.values()], instrument, scale, [*versions], [*variants], *self.runs)
        return {
            row[0]: (row[1], row[2], row[3]) for row in await self.connection.fetch(sql, self.organisation_id, *asked)
        }

    async def series(self, pairs: Sequence[Pair]) -> dict[Pair, list[Measurement]]:
        """All scores of some pairs."""
        found: dict[Pair, list[Measurement]] = {pair: [] for pair in pairs}
        if pairs:
            sql = statements.series(runs=bool(self.runs))
            columns = zip(*pairs, strict=True)
            for row in await self.connection.fetch(sql, self.organisation_id, *map(list, columns), *self.runs):
                found[pairs[row[0]]].append(Measurement._make(row[1:]))
        return found

    async def alerts(self, clients: Sequence[uuid.UUID]) -> dict[uuid.UUID, Open]:
        """Of clients who have open alerts."""
        row = await self.connection.fetchrow(statements.ALERTS, clients)
        return {} if row is None or row[0] is None else {one[0]: Open(*one[1:]) for one in zip(*row, strict=True)}

    async def due(self, clinician: str | None, day: date) -> Slots:
        """What waits to be answered, of everybody of a clinician."""
        found = Slots()
        for client_id, contended, due, overdue, ids, instruments, statuses in await self.connection.fetch(
            statements.DUE, self.organisation_id, clinician, day
        ):
            if statuses[0] == "stale":
                found.stale = True
            elif contended:
                found.contended += [
                    Slot(slot, client_id, code, status)
                    for slot, code, status in zip(ids, instruments, statuses, strict=True)
                ]
            else:
                found.waiting[client_id] = Waiting(due, overdue)
        return found

    async def episodes(self, whose: Whose, clients: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
        """Open episodes of clients, the newest first, each with its last session."""
        sql = statements.EPISODES.format(of=whose.condition)
        found = defaultdict(list)
        for row in await self.connection.fetch(
            sql, self.organisation_id, whose.clinician, datetime.now(UTC), list(clients)
        ):
            found[row[0]].append(row)
        return found

    async def last_answers(self, clients: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
        """Of clients the newest response that holds."""
        rows = await self.connection.fetch(statements.LAST_ANSWERS, self.organisation_id, list(clients))
        return {row[0]: row for row in rows}

    async def shown(self, principal: Principal, request_id: str, clients: Sequence[uuid.UUID]) -> None:
        """Keep who was shown: an event for each, or one of none."""
        whose: Sequence[uuid.UUID | None] = clients or [None]
        await self.connection.execute(
            statements.AUDIT,
            self.organisation_id,
            [new_id() for _ in whose],
            whose,
            datetime.now(UTC),
            principal.subject,
            principal.role,
            request_id,
        )
