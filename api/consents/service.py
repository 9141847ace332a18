"""The rules about consent to research: what was recorded last holds, and what was said before stays readable."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from api.clients.tables import ClientRow
from api.consents import schemas
from api.consents.repository import ResearchConsentRepository
from api.paging import decode_cursor, encode_cursor
from api.records.steps import UNKNOWN_CLIENT, Steps


@dataclass(frozen=True, slots=True)
class ResearchConsents:
    """The consents of one organisation's clients, for one request."""

    repository: ResearchConsentRepository
    steps: Steps

    async def state(
        self, client_id: uuid.UUID, body: schemas.ResearchConsentCreate
    ) -> tuple[schemas.ResearchConsentRead, int]:
        """Record what a client said, and the client's version then. A withdrawal is never refused.

        Raises
        ------
        NotFound
            No such client in this organisation.
        """
        action = "consent" if body.given else "withdraw-consent"
        client = await self._client(action, client_id, lock=True)
        if client.research_consent != body.given:
            client.version += 1
            client.updated_at = max(datetime.now(UTC), client.updated_at)  # a clock set back breaks no order
        made = await self.repository.state(
            client,
            given=body.given,
            stated_on=body.stated_on,
            text_version=body.text_version,
            by=self.steps.audit.principal.subject,
        )
        self.steps.done(action, "client", client_id)
        return schemas.ResearchConsentRead.model_validate(made, from_attributes=True), client.version

    async def page(self, client_id: uuid.UUID, cursor: str | None, limit: int) -> schemas.ResearchConsentPage:
        """A page of what a client said; :class:`NotFound` for an unknown client."""
        after = 0 if cursor is None else min(decode_cursor(cursor)[1].int, 2**31 - 1)
        client = await self._client("list-consents", client_id)
        rows = await self.repository.stated(client_id, after, limit + 1)
        self.steps.done("list-consents", "client", client_id)
        last = rows[limit - 1] if len(rows) > limit else None
        return schemas.ResearchConsentPage(
            research_consent=client.research_consent,
            items=[schemas.ResearchConsentRead.model_validate(row, from_attributes=True) for row in rows[:limit]],
            next=None if last is None else encode_cursor(last.recorded_at, uuid.UUID(int=last.sequence)),
        )

    async def _client(self, action: str, client_id: uuid.UUID, *, lock: bool = False) -> ClientRow:
        row = await self.repository.client(client_id, lock=lock)
        if row is None:
            raise await self.steps.unknown(action, "client", client_id, UNKNOWN_CLIENT)
        return row
