from __future__ import annotations

from tests.api.conftest import admin, ehr, people, stranger

__all__ = ["admin", "ehr", "people", "stranger"]
