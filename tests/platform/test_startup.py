"""A database that must not be served from is refused, in one line."""

from __future__ import annotations

import asyncpg
import pytest
from pydantic import SecretStr

from api import migrate
from api.ids import new_id
from api.organisations.repository import ensure_organisation
from api.security import crypto
from api.settings import IssuerSettings, Settings
from api.startup import StartupError, check, service_database
from tests.conftest import MASTER_KEY, Urls
from tests.factories import make_client

KEYS = crypto.derive(crypto.parse_master_key(MASTER_KEY))
OTHER_KEYS = crypto.derive(crypto.parse_master_key(bytes(range(40, 72)).hex()))


async def refused(url: str, because: str) -> None:
    """Assert that a connection to ``url`` is refused for the reason."""
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises(StartupError, match=because) as caught:
            await check(connection)
    finally:
        await connection.close()
    assert "\n" not in str(caught.value)


async def test_the_service_role_is_fit(service: asyncpg.Connection) -> None:
    await check(service)


async def test_a_superuser_is_refused(database: Urls) -> None:
    await refused(database.superuser, "superuser or one that bypasses")


async def test_the_owner_of_the_tables_is_refused(database: Urls) -> None:
    await refused(database.owner, "owns table")


async def test_a_member_of_the_owning_role_is_refused(database: Urls, superuser: asyncpg.Connection) -> None:
    await superuser.execute("create role wolf login in role fathomline_owner")
    try:
        await refused(database.owner.replace("fathomline_owner", "wolf"), "owns table")
    finally:
        await superuser.execute("drop role wolf")


async def test_a_role_that_bypasses_row_level_security_is_refused(
    database: Urls, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("create role ghost login bypassrls in role fathomline_service")
    try:
        await refused(database.owner.replace("fathomline_owner", "ghost"), "bypasses")
    finally:
        await superuser.execute("drop role ghost")


async def test_an_empty_database_is_refused(fresh_database: Urls) -> None:
    migrate.downgrade(fresh_database.owner, "base")
    owner = await asyncpg.connect(fresh_database.owner)
    await owner.execute("drop table alembic_version")
    await owner.close()
    await refused(fresh_database.service, "fathomline migrate")


async def test_another_revision_is_refused(fresh_database: Urls) -> None:
    owner = await asyncpg.connect(fresh_database.owner)
    await owner.execute("update alembic_version set version_num = 'ffff'")
    await owner.close()
    await refused(fresh_database.service, "at revision ffff")


async def test_row_level_security_taken_off_is_refused(fresh_database: Urls) -> None:
    owner = await asyncpg.connect(fresh_database.owner)
    await owner.execute("alter table score no force row level security")
    await owner.close()
    await refused(fresh_database.service, "table score")


async def test_a_server_that_is_not_durable_is_refused(service: asyncpg.Connection) -> None:
    await service.execute("set synchronous_commit = off")
    with pytest.raises(StartupError, match="synchronous_commit=off"):
        await check(service)


async def test_an_unreachable_server_is_told_without_its_password(settings: Settings) -> None:
    url = SecretStr("postgresql://someone:hunter2@127.0.0.1:9/x")
    with pytest.raises(StartupError, match="cannot connect") as caught:
        async with service_database(settings.model_copy(update={"database_url": url}), KEYS):
            raise AssertionError("it opened")
    assert "hunter2" not in str(caught.value)


async def test_the_organisations_of_issuers_are_made_once(settings: Settings, superuser: asyncpg.Connection) -> None:
    issuer = IssuerSettings(issuer="https://i.example", organisation="made-at-start", audience="a", jwks={"keys": []})
    for _ in range(2):
        async with service_database(settings.model_copy(update={"issuers": (issuer,)}), KEYS):
            pass
    assert await superuser.fetchval("select count(*) from organisation where slug = 'made-at-start'") == 1


async def test_another_master_key_than_the_clients_were_sealed_under_is_refused(
    settings: Settings, service: asyncpg.Connection
) -> None:
    issuer = IssuerSettings(issuer="https://s.example", organisation="sealed", audience="a", jwks={"keys": []})
    # Without the development issuer, whose organisation other tests may have filled by now.
    changed = settings.model_copy(update={"issuers": (issuer,), "development_issuer": False})
    async with service_database(changed, OTHER_KEYS):
        pass  # nobody was sealed yet
    organisation_id, client_id = await ensure_organisation(service, "sealed", "sealed"), new_id()
    wrapped = crypto.wrap_client_key(
        KEYS, crypto.new_client_key(), organisation_id=organisation_id, client_id=client_id
    )
    await make_client(service, organisation_id, id=client_id, key_wrapped=wrapped)
    async with service_database(changed, KEYS):
        pass
    with pytest.raises(StartupError, match="master key is not the one") as caught:
        async with service_database(changed, OTHER_KEYS):
            raise AssertionError("it opened")
    assert "\n" not in str(caught.value)
