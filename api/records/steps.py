"""The steps of a service over one kind of thing: what was done, and what was refused, is in the audit trail."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from api.conditional import etag, require_match
from api.problems import NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid
from api.records.audit import Audit

UNKNOWN_CLIENT: Final = "There is no such client."

Fault = tuple[str, str, str]
"""JSON Pointer without its first slash, code, and what would have been right."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The trail of one request over the session that does what it tells of."""

    audit: Audit
    session: AsyncSession

    def done(self, action: str, resource: str, resource_id: uuid.UUID | None) -> None:
        """Tell of something that is kept with the session's transaction, or not at all."""
        self.audit.record(self.session, action, resource, resource_id)

    async def unknown(self, action: str, resource: str, resource_id: uuid.UUID, words: str) -> NotFound:
        """The problem for something that there is not, once it has been told of."""
        await self.audit.refused(action, resource, resource_id, "not-found")
        return NotFound(words)

    async def refuse(self, action: str, resource: str, resource_id: uuid.UUID | None, faults: Iterable[Fault]) -> None:
        """Raise :class:`RequestInvalid` with the faults, if there are any."""
        errors = [{"pointer": f"/{member}", "code": code, "detail": detail} for member, code, detail in faults]
        if errors:
            await self.audit.refused(action, resource, resource_id, "refused")
            raise RequestInvalid(errors=errors)

    async def expect(self, resource: str, resource_id: uuid.UUID, version: int, if_match: str | None) -> None:
        """Raise :class:`PreconditionRequired` without `If-Match`, :class:`PreconditionFailed` for another version."""
        try:
            if if_match is None:
                raise PreconditionRequired("Send If-Match with the ETag of the version that is meant.")
            require_match(if_match, etag(version))
        except (PreconditionFailed, PreconditionRequired):
            await self.audit.refused("change", resource, resource_id, "stale")
            raise
