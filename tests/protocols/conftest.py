from __future__ import annotations

from tests.api.conftest import admin, ehr, elsewhere, people

__all__ = ["admin", "ehr", "elsewhere", "people"]
