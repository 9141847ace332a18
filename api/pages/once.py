"""What a form has sent twice is kept once."""

from __future__ import annotations

import uuid

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession


async def in_turn(session: AsyncSession, what: str, client_id: uuid.UUID) -> None:
    """Let of two requests that add the same kind of thing to one client the second wait until the first is done."""
    await session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(f"page:{what}:{client_id}", 0))))
