from __future__ import annotations

import asyncpg
import pytest

from api.db import Database
from tests.api.conftest import people, stranger
from tests.api.people import People
from tests.conftest import Tenant
from tests.rescoring.sway import SWAY_1, SWAY_2, Clinic

__all__ = ["people", "stranger"]


@pytest.fixture
async def clinic(opened: Database, superuser: asyncpg.Connection, tenant: Tenant, people: People) -> Clinic:
    """The test's organisation, in which both versions of the instrument are published."""
    made = Clinic(opened, superuser, tenant, people)
    await made.publish(SWAY_1, SWAY_2)
    return made
