"""Statements of a caseload that are planned on empty tables look rows up all the same.

A plan outlives the moment in which it was made. One that reads an organisation's scores for each client costs nothing
on empty tables, and minutes on a clinic's.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import pytest

from api.caseload import statements
from tests.conftest import Urls

ORGANISATION: Final = uuid.UUID(int=1)
CLIENTS: Final = [uuid.UUID(int=2), uuid.UUID(int=3)]
RUNS: Final = ([uuid.UUID(int=4)], [2], ["fsfi"])
BY: Final = {
    "response": "client_id",
    "score": "response_id",
    "rescored": "response_id",
    "superseded": "response_id",
    "alert": "client_id",
    "care_session": "episode_id",
}
"""By table the column that each of its rows is looked up by."""
STANDINGS: Final = (ORGANISATION, CLIENTS, ["desire", "mood"], ["fsfi"], ["total"], ["desire,pain"])
FIRST: Final = (ORGANISATION, [0, 1], CLIENTS, "fsfi", "total", [1], ["strict"])
SERIES: Final = (ORGANISATION, CLIENTS, ["fsfi", "fsfi"], ["total", "total"])
ASKED: Final[dict[str, tuple[str, tuple[Any, ...]]]] = {
    "standings": (statements.standings(runs=False), STANDINGS),
    "standings by runs": (statements.standings(runs=True), (*STANDINGS, *RUNS)),
    "first among": (statements.first_among(runs=False), FIRST),
    "first among by runs": (statements.first_among(runs=True), (*FIRST, *RUNS)),
    "series": (statements.series(runs=False), SERIES),
    "series by runs": (statements.series(runs=True), (*SERIES, *RUNS)),
    "alerts": (statements.ALERTS, (CLIENTS,)),
    "episodes": (
        statements.EPISODES.format(of=statements.OF_CLINICIAN),
        (ORGANISATION, "c-1", datetime.now(UTC), CLIENTS),
    ),
    "episodes of all": (
        statements.EPISODES.format(of=statements.OF_ALL),
        (ORGANISATION, None, datetime.now(UTC), CLIENTS),
    ),
    "last answers": (statements.LAST_ANSWERS, (ORGANISATION, CLIENTS)),
}


@pytest.fixture
async def empty(fresh_database: Urls) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(fresh_database.service)
    yield connection
    await connection.close()


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each table that a plan reads, with the condition of the index that it is read by."""
    if "Relation Name" in plan:
        yield plan["Relation Name"], plan.get("Index Cond", "none")
    for part in plan.get("Plans", ()):
        yield from scans(part)


async def test_each_row_is_looked_up(empty: asyncpg.Connection) -> None:
    faults, seen = [], set()
    for name, (sql, arguments) in ASKED.items():
        async with empty.transaction():
            await empty.execute(statements.SETTINGS, str(ORGANISATION))
            plan = await empty.fetchval(f"explain (format json) {sql}", *arguments)
        for table, condition in scans(json.loads(plan)[0]["Plan"]):
            seen.add(table)
            if table in BY and BY[table] not in condition:
                faults.append(f"{name}: {table} by {condition}")
    assert not faults, "\n".join(faults)
    assert BY.keys() <= seen
