from __future__ import annotations

import asyncpg
import pytest

from api.settings import Settings
from tests.api.conftest import people, stranger
from tests.api.people import People
from tests.conftest import Tenant
from tests.references.practice import Practice

__all__ = ["people", "stranger"]


@pytest.fixture
async def practice(superuser: asyncpg.Connection, tenant: Tenant, people: People, settings: Settings) -> Practice:
    """The test's organisation, in which courses of care have ended once a test says so."""
    return Practice(superuser, tenant, people, settings)
