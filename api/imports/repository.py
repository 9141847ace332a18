"""Every query for imports on behalf of a request. What a run asks is in `api.imports.record`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, delete, func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.imports.tables import ImportChunkRow, ImportFaultRow, ImportRow

UNDER_WAY = ("uploading", "queued", "running")


class ImportRepository:
    """Imports of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def under_way(self) -> int:
        """How many have not ended. Whoever else asks waits until this transaction has ended: so a limit holds."""
        await self.session.exec(
            select(func.pg_advisory_xact_lock(func.hashtextextended(f"imports:{self.organisation_id}", 0)))
        )
        query = select(func.count()).select_from(ImportRow)
        mine = (col(ImportRow.organisation_id) == self.organisation_id) & col(ImportRow.state).in_(UNDER_WAY)
        return (await self.session.exec(query.where(mine))).one()

    async def add(self, row: ImportRow) -> None:
        """Insert now."""
        self.session.add(row)
        await self.session.flush()

    async def get(self, import_id: uuid.UUID) -> ImportRow | None:
        """One import."""
        query = select(ImportRow).where(ImportRow.organisation_id == self.organisation_id, ImportRow.id == import_id)
        return (await self.session.exec(query)).one_or_none()

    async def page(self, before: uuid.UUID | None, limit: int) -> Sequence[ImportRow]:
        """Imports, the newest first, before one of them."""
        query = select(ImportRow).where(ImportRow.organisation_id == self.organisation_id)
        if before is not None:
            query = query.where(col(ImportRow.id) < before)
        return (await self.session.exec(query.order_by(col(ImportRow.id).desc()).limit(limit))).all()

    async def append(self, import_id: uuid.UUID, start: int, size: int, sealed: bytes) -> bool:
        """Keep a part of the file, if the upload stands where it begins."""
        grown = (
            update(ImportRow)
            .where(self._open(import_id, start))
            .values(bytes_received=start + size, changed_at=datetime.now(UTC))
        )
        if (await (await self.session.connection()).execute(grown)).rowcount != 1:
            return False
        self.session.add(
            ImportChunkRow(organisation_id=self.organisation_id, import_id=import_id, start=start, sealed=sealed)
        )
        await self.session.flush()
        return True

    async def queue(self, import_id: uuid.UUID, received: int) -> bool:
        """The file is there as a whole: workers may take it."""
        ready = (
            update(ImportRow)
            .where(self._open(import_id, received))
            .values(state="queued", changed_at=datetime.now(UTC))
        )
        return (await (await self.session.connection()).execute(ready)).rowcount == 1

    async def cancel(self, import_id: uuid.UUID) -> bool:
        """End one that has not ended, and remove what was sent of it."""
        now = datetime.now(UTC)
        ended = (
            update(ImportRow)
            .where(
                col(ImportRow.organisation_id) == self.organisation_id,
                col(ImportRow.id) == import_id,
                col(ImportRow.state).in_(UNDER_WAY),
            )
            .values(state="cancelled", finished_at=now, changed_at=now, key_wrapped=None)
        )
        connection = await self.session.connection()
        if (await connection.execute(ended)).rowcount != 1:
            return False
        await connection.execute(
            delete(ImportChunkRow).where(
                col(ImportChunkRow.organisation_id) == self.organisation_id, col(ImportChunkRow.import_id) == import_id
            )
        )
        return True

    async def faults(self, import_id: uuid.UUID, after: int, limit: int) -> Sequence[ImportFaultRow]:
        """Faults in the order in which they were found, after one of them."""
        query = (
            select(ImportFaultRow)
            .where(
                ImportFaultRow.organisation_id == self.organisation_id,
                ImportFaultRow.import_id == import_id,
                col(ImportFaultRow.number) > after,
            )
            .order_by(col(ImportFaultRow.number))
            .limit(limit)
        )
        return (await self.session.exec(query)).all()

    def _open(self, import_id: uuid.UUID, received: int) -> ColumnElement[bool]:
        return and_(
            col(ImportRow.organisation_id) == self.organisation_id,
            col(ImportRow.id) == import_id,
            col(ImportRow.state) == "uploading",
            col(ImportRow.bytes_received) == received,
        )
