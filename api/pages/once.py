"""What a form has sent twice is kept once."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from pydantic import BaseModel
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def in_turn(session: AsyncSession, what: str, client_id: uuid.UUID) -> None:
    """Let of two requests that add the same kind of thing to one client the second wait until the first is done."""
    await session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(f"page:{what}:{client_id}", 0))))


class _Row(Protocol):
    id: uuid.UUID


async def kept_already(
    rows: Iterable[_Row], read: Callable[[uuid.UUID], Awaitable[BaseModel]], wanted: Mapping[str, Any], last: str
) -> uuid.UUID | None:
    """Of some things the one that this very form has made already: like it, and made after the form was; ids grow."""
    for row in rows:
        if str(row.id) > last:
            found = (await read(row.id)).model_dump()
            if all(found[name] == value for name, value in wanted.items()):
                return row.id
    return None
