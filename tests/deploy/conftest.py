from __future__ import annotations

from tests.platform.conftest import inside

__all__ = ["inside"]
