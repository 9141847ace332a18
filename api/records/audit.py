"""Writing the audit trail: who did what to which resource, in the transaction that does it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api.db import Database, RawConnection, confine, get_database
from api.ids import new_id
from api.inline import inline
from api.problems import request_id
from api.records.tables import AuditEventRow
from api.security.principal import Principal


@dataclass(frozen=True, slots=True)
class Audit:
    """The trail of one request."""

    principal: Principal
    request_id: str
    database: Database
    state: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """That of the request, where it is noted that a refusal has been kept: see `api.records.refusals`."""

    def event(self, action: str, resource: str, resource_id: uuid.UUID | None, outcome: str = "done") -> AuditEventRow:
        """An event, to be added to the session that does what it tells of. It never holds content."""
        return AuditEventRow(
            organisation_id=self.principal.organisation_id,
            id=new_id(),
            at=datetime.now(UTC),
            subject=self.principal.subject,
            role=self.principal.role,
            action=action,
            resource=resource,
            resource_id=resource_id,
            request_id=self.request_id,
            outcome=outcome,
        )

    def record(self, session: AsyncSession, action: str, resource: str, resource_id: uuid.UUID | None = None) -> None:
        """Add an event to a session; both are kept, or neither."""
        session.add(self.event(action, resource, resource_id))

    async def refused(self, action: str, resource: str, resource_id: uuid.UUID | None, outcome: str) -> None:
        """Keep an event of something that was refused, in a transaction of its own: the request's is rolled back.

        Over the other pool: a request that holds one connection of a pool and waits for a second of the same could
        wait for others that do likewise.
        """
        async with self.database.pool.acquire() as connection, connection.transaction():
            await confine(connection, self.principal.organisation_id)
            await self.keep(connection, self.event(action, resource, resource_id, outcome))
        self.state["refusal_kept"] = True

    async def keep(self, connection: RawConnection, event: AuditEventRow) -> None:
        """Write an event in the transaction of a connection within the organisation."""
        members = event.model_dump()
        await connection.execute(_INSERT, *(members[name] for name in _COLUMNS))


_COLUMNS: Final = tuple(AuditEventRow.model_fields)
_INSERT: Final = (
    f"insert into audit_event ({', '.join(_COLUMNS)}) "  # noqa: S608  - names of columns and numbered placeholders
    f"values ({', '.join(f'${number}' for number in range(1, len(_COLUMNS) + 1))})"
)


def audit_of(request: Request) -> Audit:
    """The trail of a request whose token has been accepted."""
    principal: Principal | None = request.scope["state"].get("principal")
    if principal is None:
        raise RuntimeError("an audit trail before anybody was authenticated: does the route require a scope?")
    return Audit(principal, request_id(request) or "", get_database(request), request.scope["state"])


AuditDep = Annotated[Audit, Depends(inline(audit_of))]
"""Declare it after the principal: FastAPI resolves dependencies in the order of the parameters."""
