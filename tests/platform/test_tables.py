"""Whose the rows of each table are: no table is forgotten, and the conditions hold against the schema as it is."""

from __future__ import annotations

import asyncpg
import pytest
from sqlmodel import SQLModel

from api.ids import new_id
from api.tables import CLIENT_TABLES, SHARED, SYSTEM, in_order, of_client


def test_every_table_is_in_exactly_one_of_the_three() -> None:
    named = [*CLIENT_TABLES, *SHARED, *SYSTEM]
    assert sorted(named) == sorted(set(named))
    assert set(named) - SYSTEM == set(SQLModel.metadata.tables)


@pytest.mark.parametrize("table", sorted(CLIENT_TABLES))
def test_columns_are_there_and_parents_are_tables_of_clients(table: str) -> None:
    owned = CLIENT_TABLES[table]
    assert owned.column in SQLModel.metadata.tables[table].columns
    for parent in owned.parents:
        assert parent in CLIENT_TABLES
        assert owned.parent_key in SQLModel.metadata.tables[parent].columns


@pytest.mark.parametrize("table", sorted(SHARED))
def test_a_shared_table_refers_to_nothing_of_a_client(table: str) -> None:
    found = SQLModel.metadata.tables[table]
    assert "client_id" not in found.columns
    assert not {key.column.table.name for key in found.foreign_keys} & set(CLIENT_TABLES)


def test_a_column_named_client_id_is_what_the_table_goes_by() -> None:
    """Rows that name a client themselves are found by that; a longer way could miss one whose parent is gone."""
    named = {name for name, table in SQLModel.metadata.tables.items() if "client_id" in table.columns}
    assert {name for name, owned in CLIENT_TABLES.items() if owned.column == "client_id"} == named


def test_a_table_comes_after_those_it_refers_to() -> None:
    order = in_order()
    assert sorted(order) == sorted(CLIENT_TABLES)
    for name in order:
        referred = {key.column.table.name for key in SQLModel.metadata.tables[name].foreign_keys} - {name}
        assert referred & set(CLIENT_TABLES) <= set(order[: order.index(name)])


@pytest.mark.parametrize("table", sorted(CLIENT_TABLES))
async def test_the_condition_is_sql_that_the_schema_understands(superuser: asyncpg.Connection, table: str) -> None:
    query = f"select count(*) from {table} where {of_client(table)}"  # noqa: S608  - names from the registry
    assert await superuser.fetchval(query, new_id(), new_id()) == 0
    other = f"select count(*) from {table} x where {of_client(table, alias='x')}"  # noqa: S608  - names from the registry
    assert await superuser.fetchval(other, new_id(), new_id()) == 0
