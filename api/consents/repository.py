"""Every query for consents to research. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.clients.tables import ClientRow, ResearchConsentRow


class ResearchConsentRepository:
    """Consents of the clients of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def client(self, client_id: uuid.UUID, *, lock: bool = False) -> ClientRow | None:
        """A client; with ``lock`` nobody else states anything of them before this transaction has ended."""
        query = select(ClientRow).where(ClientRow.organisation_id == self.organisation_id, ClientRow.id == client_id)
        return (await self.session.exec(query.with_for_update() if lock else query)).one_or_none()

    async def state(
        self, client: ClientRow, *, given: bool, stated_on: date, text_version: str | None, by: str
    ) -> ResearchConsentRow:
        """Add a statement of a client who is locked or new, and let the client's row say the same."""
        last = select(func.coalesce(func.max(ResearchConsentRow.sequence), 0)).where(
            ResearchConsentRow.organisation_id == self.organisation_id, ResearchConsentRow.client_id == client.id
        )
        made = ResearchConsentRow(
            organisation_id=self.organisation_id,
            client_id=client.id,
            sequence=(await self.session.exec(last)).one() + 1,
            given=given,
            stated_on=stated_on,
            text_version=text_version,
            recorded_at=datetime.now(UTC),
            recorded_by=by,
        )
        client.research_consent = given
        self.session.add_all([client, made])
        await self.session.flush()
        return made

    async def stated(self, client_id: uuid.UUID, after: int, limit: int) -> Sequence[ResearchConsentRow]:
        """What a client said, oldest first, after a number."""
        query = select(ResearchConsentRow).where(
            ResearchConsentRow.organisation_id == self.organisation_id,
            ResearchConsentRow.client_id == client_id,
            ResearchConsentRow.sequence > after,
        )
        return (await self.session.exec(query.order_by(col(ResearchConsentRow.sequence)).limit(limit))).all()
