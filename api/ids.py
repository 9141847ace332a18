"""Identifiers: UUIDv7, so that rows made one after another lie side by side in an index."""

from __future__ import annotations

import uuid

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """A new UUIDv7: milliseconds since 1970 first, then random bits."""
    return uuid7()
