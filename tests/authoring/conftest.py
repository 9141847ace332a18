from __future__ import annotations

from tests.api.conftest import people, stranger

__all__ = ["people", "stranger"]
