"""Reading the trail, which is itself put on record."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from api.audit import chain
from api.audit.repository import AuditRepository, Found, Wanted
from api.audit.verifying import made_at
from api.paging import decode_cursor, encode_cursor
from api.problems import NotFound
from api.records.audit import Audit

RESOURCE: Final = "audit"
UNKNOWN_CLIENT: Final = "There is no such client."
NOTHING_SEALED: Final = "Nothing has been sealed yet."


@dataclass(frozen=True, slots=True)
class Trail:
    """The trail of one organisation, for one request."""

    repository: AuditRepository
    audit: Audit

    async def page(self, wanted: Wanted, cursor: str | None, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """A page of events, newest first, and the cursor of the next."""
        before = None if cursor is None else decode_cursor(cursor)[1]
        rows = await self.repository.newest(wanted, before, limit + 1)
        self.audit.record(self.repository.session, "list", RESOURCE)
        return _paged(rows, limit)

    async def of_client(
        self, client_id: uuid.UUID, wanted: Wanted, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of the events that concern a client.

        Raises
        ------
        NotFound
            No such client in this organisation.
        """
        before = None if cursor is None else decode_cursor(cursor)[1]
        if not await self.repository.client_exists(client_id):
            await self.audit.refused("list-audit", "client", client_id, "not-found")
            raise NotFound(UNKNOWN_CLIENT)
        rows = await self.repository.newest(wanted, before, limit + 1, client_id)
        self.audit.record(self.repository.session, "list-audit", "client", client_id)
        return _paged(rows, limit)

    async def links(self, after: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
        """Links in the order of the chain, and the number of the last if there are more."""
        rows = await self.repository.links(after, limit + 1)
        self.audit.record(self.repository.session, "read-chain", RESOURCE)
        items = [
            {
                "sequence": row.sequence,
                "hash": row.hash.hex(),
                "event": None if row.event is None else chain.event_document(row.event),
            }
            for row in rows[:limit]
        ]
        return items, rows[limit - 1].sequence if len(rows) > limit else None

    async def head(self) -> dict[str, Any]:
        """The last head, signed.

        Raises
        ------
        NotFound
            Nothing has been sealed yet.
        """
        found = await self.repository.head()
        if found is None:
            await self.audit.refused("read-head", RESOURCE, None, "not-found")
            raise NotFound(NOTHING_SEALED)
        self.audit.record(self.repository.session, "read-head", RESOURCE)
        return chain.signed_head(*found)


def _paged(rows: list[Found], limit: int) -> tuple[list[dict[str, Any]], str | None]:
    items = [{**chain.event_document(row.event), "sequence": row.sequence} for row in rows[:limit]]
    last = rows[limit - 1].event.id if len(rows) > limit else None
    return items, None if last is None else encode_cursor(made_at(last), last)
