"""What tests of corrections ask, and how."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx

from tests.api.people import FSFI_FIVES, Person
from tests.conftest import Tenant

PATH = "/v1/responses"
TABLES = ("response", "score", "alert", "superseded", "outbox", "idempotency_key")


def all_answers(value: int) -> dict[str, int]:
    """The FSFI filled in with one value."""
    return dict.fromkeys(FSFI_FIVES, value)


async def correct(
    person: Person,
    response_id: str,
    action: str = "amend",
    *,
    match: str | None = '"1"',
    key: str | None = None,
    **members: Any,
) -> httpx.Response:
    """Amend (all threes unless told otherwise) or void."""
    body: dict[str, Any] = {"reason": "Typed in wrongly"} | members
    if action == "amend" and not members.keys() - {"reason", "reason_code"}:
        body["answers"] = all_answers(3)
    headers = {name: value for name, value in (("If-Match", match), ("Idempotency-Key", key)) if value is not None}
    return await person.http.post(f"{PATH}/{response_id}/{action}", json=body, headers=headers)


async def rows(connection: asyncpg.Connection, tenant: Tenant) -> dict[str, int]:
    """How many rows the organisation has in each table that corrections write."""
    return {
        table: await connection.fetchval(f"select count(*) from {table} where organisation_id = $1", tenant.id)  # noqa: S608  - names above
        for table in TABLES
    }
