from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import asyncpg
import pytest

from api.exports.rows import Connection, Reader, connected, within
from api.organisations.repository import ensure_organisation
from api.security import crypto, envelope
from tests.api.conftest import people as people  # a fixture
from tests.conftest import MASTER_KEY, Tenant, Urls

OTHER_KEY = bytes(range(40, 72)).hex()
KEYS = crypto.derive(crypto.parse_master_key(MASTER_KEY))
OTHER_KEYS = crypto.derive(crypto.parse_master_key(OTHER_KEY))


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long guessing a passphrase takes is not what these tests are about."""
    monkeypatch.setattr(envelope, "COST", 4)


Look = Callable[[], AbstractContextManager[Reader]]


@contextmanager
def looking(url: str, tenant: Tenant, keys: crypto.Keys) -> Iterator[Reader]:
    """Read an organisation as it is now, over a connection of the service's role."""
    with connected(url) as connection, within(connection, tenant.id, read_only=True):
        yield Reader(connection, keys, tenant.id)


@pytest.fixture
def look(database: Urls, tenant: Tenant) -> Look:
    """Reads the test's own organisation, as it is when it is called."""
    return lambda: looking(database.service, tenant, KEYS)


@pytest.fixture
async def elsewhere_empty(fresh_database: Urls) -> Tenant:
    """An empty organisation in another database."""
    connection = await asyncpg.connect(fresh_database.owner)
    try:
        return Tenant(await ensure_organisation(connection, "moved", "Moved here"), "moved")
    finally:
        await connection.close()


@pytest.fixture
def owner_elsewhere(fresh_database: Urls) -> Iterator[Connection]:
    """The other database's owner."""
    with connected(fresh_database.owner) as connection:
        yield connection
