"""Up, down and up again on data; several at once; and the two scripts that watch over it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy.exc import OperationalError

from api import migrate
from api.db import create_pool
from api.organisations.repository import ensure_organisation
from api.responses.recording import record
from api.settings import Settings
from tests.conftest import Urls
from tests.factories import make_client, make_episode, make_recording, make_wording


async def fill(url: str, settings: Settings, slug: str) -> None:
    """Record one response, and load one wording pack, in an organisation of its own."""
    connection = await asyncpg.connect(url)
    pool = await create_pool(url, settings)
    try:
        organisation_id = await ensure_organisation(connection, slug, slug)
        client_id = await make_client(connection, organisation_id)
        episode_id = await make_episode(connection, organisation_id, client_id)
        response = make_recording(organisation_id, client_id, episode_id=episode_id)
        assert (await record(pool, response)).outcome == "created"
        await make_wording(connection, organisation_id)
    finally:
        await pool.close()
        await connection.close()


async def test_up_down_and_up_again_on_data(fresh_database: Urls, settings: Settings) -> None:
    await fill(fresh_database.service, settings, "before")
    migrate.downgrade(fresh_database.owner, "base")
    connection = await asyncpg.connect(fresh_database.superuser)
    left = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    await connection.close()
    assert [row[0] for row in left] == ["alembic_version"]
    assert migrate.upgrade(fresh_database.owner) is None
    assert migrate.upgrade(fresh_database.owner) == migrate.head()
    await fill(fresh_database.service, settings, "after")


async def test_several_at_once_migrate_once(fresh_database: Urls) -> None:
    migrate.downgrade(fresh_database.owner, "base")
    with ThreadPoolExecutor(4) as pool:
        # Processes of their own: Alembic's environment is one for the whole process.
        code = "import sys; from api import migrate; print(migrate.upgrade(sys.argv[1]))"
        command_line = [sys.executable, "-c", code, fresh_database.owner]
        runs = [
            pool.submit(subprocess.run, command_line, capture_output=True, text=True, check=False) for _ in range(4)
        ]
        results = [run.result() for run in runs]
    assert [result.returncode for result in results] == [0] * 4, [result.stderr for result in results]
    assert sorted(result.stdout.strip() for result in results) == [migrate.head()] * 3 + ["None"]


async def test_a_migration_gives_up_a_table_that_is_in_use(fresh_database: Urls) -> None:
    connection = await asyncpg.connect(fresh_database.superuser)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("lock table score in access share mode")
    try:
        with pytest.raises(OperationalError, match="lock timeout"):
            migrate.downgrade(fresh_database.owner, "base")
    finally:
        await transaction.rollback()
        await connection.close()
    owner = await asyncpg.connect(fresh_database.owner)
    assert await owner.fetchval("select version_num from alembic_version") == migrate.head(), "all of it, or nothing"
    await owner.close()


async def test_the_check_finds_a_difference(fresh_database: Urls) -> None:
    owner = await asyncpg.connect(fresh_database.owner)
    await owner.execute("alter table client drop column gender")
    await owner.close()
    with migrate.migrating(fresh_database.owner) as connection, pytest.raises(CommandError, match="gender"):
        command.check(migrate.config(connection))


def test_the_check_of_all_migrations_passes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.check_migrations"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "up again"


async def test_our_column_types_are_written_plainly_into_migrations(fresh_database: Urls, tmp_path: Path) -> None:
    owner = await asyncpg.connect(fresh_database.owner)
    await owner.execute("alter table response drop column document")
    await owner.close()
    with migrate.migrating(fresh_database.owner) as connection:
        config = migrate.config(connection)
        config.set_main_option("version_locations", f"{tmp_path}{os.pathsep}{migrate.SCRIPTS / 'versions'}")
        command.revision(config, "trial", autogenerate=True, rev_id="trial", version_path=str(tmp_path))
    written = next(tmp_path.glob("*trial*.py")).read_text()
    assert "sa.Column('document', sa.JSON(), nullable=False)" in written
    assert "api." not in written
