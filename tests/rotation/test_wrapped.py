"""What lies under the master key is all known, so that none of it is forgotten when another takes its place."""

from __future__ import annotations

from sqlalchemy import LargeBinary
from sqlmodel import SQLModel

import api.tables  # noqa: F401  - fills the metadata
from api.rotation.resealing import key_of
from api.rotation.wrapped import OTHERS, WRAPPED
from api.security import crypto

KEYS = crypto.derive(bytes(range(32)), bytes(range(1, 33)))


def test_every_column_of_bytes_is_known() -> None:
    columns = {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    wrapped = [one.name for one in WRAPPED]
    assert sorted([*wrapped, *OTHERS]) == sorted(columns)


def test_what_a_head_says() -> None:
    assert key_of(KEYS, KEYS.head) == "present"
    assert KEYS.previous is not None
    assert key_of(KEYS, KEYS.previous.head) == "previous"
    assert key_of(KEYS, b"\x01abcd") == "unnamed"
    assert key_of(KEYS, b"\x02\0\0\0\0") == "unknown"
    assert key_of(KEYS.previous, KEYS.head) == "unknown"
