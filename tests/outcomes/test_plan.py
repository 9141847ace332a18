"""How the rows behind outcomes are read, when nobody has told the planner how many there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.outcomes import repository
from api.outcomes.repository import Measure, OutcomeRepository, Selection
from tests.conftest import Tenant
from tests.outcomes.clinic import course
from tests.outcomes.conftest import Stores

TABLES = ("episode", "response", "score", "superseded", "care_session")
EVERYBODY = Selection(None, None, None, None, None, 14)
MEASURE = Measure("phq-9", "total", (1,), ("prorated",))


def joins(plan: dict[str, Any]) -> Iterator[str]:
    """The kinds of joins in a plan."""
    if plan["Node Type"] in ("Nested Loop", "Hash Join", "Merge Join"):
        yield plan["Node Type"]
    for part in plan.get("Plans", ()):
        yield from joins(part)


@pytest.mark.parametrize("rows", [0, 1, 1_000_000])
async def test_no_table_is_gone_through_for_each_row_of_another(
    app: FastAPI, tenant: Tenant, stored: Stores, superuser: asyncpg.Connection, rows: int
) -> None:
    """After a load the planner may take the tables for empty: each is read once all the same."""
    await stored([course(18, 12, 9)])
    for table in TABLES:
        await superuser.execute(
            "select pg_restore_relation_stats('schemaname', 'public', 'relname', $1::text, "
            "'relpages', $2::integer, 'reltuples', $3::real)",
            table,
            max(1, rows // 100),
            float(rows),
        )
    try:
        async with app.state.database.session(tenant.id) as session:
            outcomes = OutcomeRepository(session, tenant.id)
            assert len(await outcomes.episodes(EVERYBODY, [MEASURE], by_concern=True)) == 1
            values = outcomes._values(EVERYBODY, [MEASURE]) | {"runs": []}
            query = repository._query(EVERYBODY, [MEASURE], [], by_concern=True)
            found = await (await session.connection()).execute(text(f"explain (format json) {query}"), values)
            plan = found.scalar_one()
    finally:
        await superuser.execute(f"analyze {', '.join(TABLES)}")
    kinds = list(joins((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    assert len(kinds) >= 4
    assert "Nested Loop" not in kinds
