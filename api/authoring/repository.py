"""Every query for own instruments. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.authoring.tables import InstrumentDraftRow, OwnInstrumentRetirementRow, OwnInstrumentRow


class InstrumentRepository:
    """Drafts and published versions of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def draft(self, code: str, version: int, *, for_update: bool = False) -> InstrumentDraftRow | None:
        """One draft; with ``for_update`` nobody else changes it before this transaction has ended."""
        query = select(InstrumentDraftRow).where(
            InstrumentDraftRow.organisation_id == self.organisation_id,
            InstrumentDraftRow.code == code,
            InstrumentDraftRow.version == version,
        )
        return (await self.session.exec(query.with_for_update() if for_update else query)).one_or_none()

    async def drafts(self, after: tuple[str, int], limit: int) -> Sequence[InstrumentDraftRow]:
        """Drafts by code and version, those after one."""
        order = (col(InstrumentDraftRow.code), col(InstrumentDraftRow.version))
        query = select(InstrumentDraftRow).where(
            InstrumentDraftRow.organisation_id == self.organisation_id, tuple_(*order) > tuple_(*after)
        )
        return (await self.session.exec(query.order_by(*order).limit(limit))).all()

    async def published(self, code: str, version: int) -> OwnInstrumentRow | None:
        """One published version."""
        query = select(OwnInstrumentRow).where(
            OwnInstrumentRow.organisation_id == self.organisation_id,
            OwnInstrumentRow.code == code,
            OwnInstrumentRow.version == version,
        )
        return (await self.session.exec(query)).one_or_none()

    async def published_versions(self, code: str) -> frozenset[int]:
        """The numbers of all published versions of a code."""
        query = select(OwnInstrumentRow.version).where(
            OwnInstrumentRow.organisation_id == self.organisation_id, OwnInstrumentRow.code == code
        )
        return frozenset((await self.session.exec(query)).all())

    async def retirement(self, code: str, version: int) -> OwnInstrumentRetirementRow | None:
        """That a version was retired, if it was."""
        query = select(OwnInstrumentRetirementRow).where(
            OwnInstrumentRetirementRow.organisation_id == self.organisation_id,
            OwnInstrumentRetirementRow.code == code,
            OwnInstrumentRetirementRow.version == version,
        )
        return (await self.session.exec(query)).one_or_none()

    async def retire(self, code: str, version: int, at: datetime, by: str) -> bool:
        """Keep that a version is retired; whether it was not before."""
        table = OwnInstrumentRetirementRow
        values = {
            "organisation_id": self.organisation_id,
            "code": code,
            "version": version,
            "retired_at": at,
            "retired_by": by,
        }
        insertion = insert(table).values(values).on_conflict_do_nothing().returning(col(table.version))
        return (await (await self.session.connection()).execute(insertion)).one_or_none() is not None

    async def count(self, table: type[InstrumentDraftRow] | type[OwnInstrumentRow]) -> int:
        """How many drafts, or published versions, there are."""
        query: Any = select(func.count()).select_from(table).where(col(table.organisation_id) == self.organisation_id)
        found: int = (await self.session.exec(query)).one()
        return found

    async def add(self, row: InstrumentDraftRow | OwnInstrumentRow) -> None:
        """Insert now, so that a broken constraint is raised here."""
        self.session.add(row)
        await self.session.flush()

    async def delete(self, row: InstrumentDraftRow) -> None:
        """Remove a draft now."""
        await self.session.delete(row)
        await self.session.flush()
