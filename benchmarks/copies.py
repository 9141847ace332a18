"""Many rows out of one: what was posted for one client is copied for others, whose rows refer to each other alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import asyncpg

Copy = tuple[str, str, Mapping[str, str]]
"""A table, where its copies come from (the table as ``o``, whom they are for as ``m``), and what is not copied."""


async def copied(url: str, made: str, number: int, copies: Iterable[Copy]) -> None:
    """Copy rows for as many as ``made`` makes of the number: a statement that creates the table of that name.

    As the superuser, and without triggers: the copies refer to each other as what they are copies of does.
    """
    connection = await asyncpg.connect(url, command_timeout=1800)
    try:
        async with connection.transaction():
            await connection.execute("set local session_replication_role = replica")
            await connection.execute(made, number)
            await connection.execute("analyze made")
            for table, origin, members in copies:
                rows = await connection.fetch(
                    "select column_name from information_schema.columns where table_name = $1", table
                )
                columns = [row[0] for row in rows]
                values = ", ".join(members.get(column, f"o.{column}") for column in columns)
                await connection.execute(f"insert into {table} ({', '.join(columns)}) select {values} from {origin}")  # noqa: S608  - names of columns and the benchmark's expressions
                await connection.execute(f"analyze {table}")
    finally:
        await connection.close()
