from __future__ import annotations

import asyncpg
import pytest

from api.settings import Settings
from tests.audit.trail import Sealed
from tests.conftest import Tenant, Urls
from tests.platform.conftest import inside

__all__ = ["inside", "trail"]


@pytest.fixture
def trail(database: Urls, settings: Settings, superuser: asyncpg.Connection, tenant: Tenant) -> Sealed:
    """The trail of the test's own organisation, with nothing in it."""
    return Sealed(database, settings, superuser, tenant.id)
