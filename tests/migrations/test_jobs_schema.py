"""The schema of background jobs: what the installed library says it is."""

from __future__ import annotations

import hashlib

import asyncpg
from alembic.script import ScriptDirectory
from procrastinate.schema import SchemaManager

from api import migrate
from tests.conftest import Urls

SHAPE = """
select 'function', proname, regexp_replace(prosrc, '\\s+', ' ', 'g')
from pg_proc where pronamespace = $1::text::regnamespace
union all
select 'trigger', tgname, replace(pg_get_triggerdef(t.oid), $1::text || '.', '')
from pg_trigger t join pg_class c on c.oid = tgrelid and not tgisinternal and c.relnamespace = $1::text::regnamespace
union all
select 'column', table_name || '.' || column_name, concat_ws(' ', udt_name, is_nullable, is_identity)
from information_schema.columns where table_schema = $1::text
union all
select 'index', indexname, replace(indexdef, $1::text || '.', '') from pg_indexes where schemaname = $1::text
union all
select 'constraint', conname, replace(pg_get_constraintdef(oid), $1::text || '.', '')
from pg_constraint where connamespace = $1::text::regnamespace
union all
select 'value', typname, string_agg(enumlabel, ' ' order by enumlabel)
from pg_type t join pg_enum on enumtypid = t.oid where typnamespace = $1::text::regnamespace group by typname
"""


def test_the_installed_library_brings_the_schema_that_our_revision_makes() -> None:
    revision = ScriptDirectory.from_config(migrate.config()).get_revision("0003")
    brought = hashlib.sha256(SchemaManager.get_schema().encode()).hexdigest()
    assert brought == revision.module.SCHEMA_SHA256, "another schema needs a revision of ours"


async def test_it_is_the_schema_that_the_library_expects(fresh_database: Urls) -> None:
    owner = await asyncpg.connect(fresh_database.owner)
    await owner.execute("create schema wanted")
    await owner.execute("set search_path = wanted")
    await owner.execute(SchemaManager.get_schema())
    await owner.execute("set search_path = public")
    made, wanted = [{tuple(row) for row in await owner.fetch(SHAPE, schema)} for schema in ("jobs", "wanted")]
    await owner.close()
    assert len(wanted) > 80
    assert made == wanted
