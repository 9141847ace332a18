from __future__ import annotations

from tests.api.conftest import people

__all__ = ["people"]
