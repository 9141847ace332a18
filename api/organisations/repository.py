"""Organisations, found and made by their slug."""

from __future__ import annotations

import uuid

import asyncpg

from api.ids import new_id


async def ensure_organisation(connection: asyncpg.Connection[asyncpg.Record], slug: str, name: str) -> uuid.UUID:
    """The id of the organisation ``slug``, made with ``name`` if it is not there; safe when several do so at once."""
    new = new_id()
    async with connection.transaction():
        await connection.execute(
            "select set_config('fathomline.organisation_slug', $1, true),"
            " set_config('fathomline.organisation_id', $2, true)",
            slug,
            str(new),
        )
        await connection.execute(
            "insert into organisation (organisation_id, slug, name) values ($1, $2, $3) on conflict (slug) do nothing",
            new,
            slug,
            name,
        )
        found: uuid.UUID = await connection.fetchval("select organisation_id from organisation where slug = $1", slug)
    return found


async def find_organisation(
    connection: asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record], slug: str
) -> uuid.UUID | None:
    """The id of the organisation ``slug``: the only row of that table that a process may see without being in it."""
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_slug', $1, true)", slug)
        found: uuid.UUID | None = await connection.fetchval(
            "select organisation_id from organisation where slug = $1", slug
        )
    return found
