"""A database as large as that of many practices over years: copies of single rows that the service has written."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import asyncpg

CLIENTS = 50_000
CLINICIANS = 5_000
SHARES = (0.7, 0.2)
"""Of all responses, in two organisations; what lies between is the rest of a practice that nobody asks about."""


def key(number: str, tag: int) -> str:
    """SQL of an id in the shape and order of the service's own, by a number and what it is the id of."""
    return f"(lpad(to_hex({number}), 12, '0') || '70008000{tag:012x}')::uuid"


CLIENT, EPISODE, RESPONSE, EVENT, ALERT = range(1, 6)
OF = f"(n % {CLIENTS})"
DAY = f"(timestamptz '2010-01-01' + (n / {CLIENTS}) * interval '1 day')"
"""Of the nth response, in which each client answers once a day."""

FILLED: dict[str, tuple[str, int, Mapping[str, str]]] = {
    "client": (
        "id = $client",
        CLIENTS,
        {"id": key("n - 1", CLIENT), "external_id_hash": "sha256(int8send(n))", "external_id_sealed": "'\\x00'"},
    ),
    "episode": (
        "client_id = $client",
        CLIENTS,
        {"id": key("n", EPISODE), "client_id": key("n - 1", CLIENT), "clinician": f"'c-' || n % {CLINICIANS}"},
    ),
    "response": (
        "id = $response",
        1,
        {
            "id": key("n", RESPONSE),
            "client_id": key(OF, CLIENT),
            "answered_at": DAY,
            "recorded_at": DAY,
            "document": "'{}'",
            "answers": "'{}'",
        },
    ),
    "score": ("response_id = $response and scale = 'total'", 1, {"response_id": key("n", RESPONSE)}),
    "audit_event": (
        "resource_id = $response and action = 'record'",
        1,
        {"id": key("n", EVENT), "resource_id": key("n", RESPONSE), "at": DAY},
    ),
    "outbox": (
        "resource_id = $response",
        1,
        {"id": key("n", EVENT), "resource_id": key("n", RESPONSE), "created_at": DAY, "delivered_at": DAY},
    ),
    "idempotency_key": (
        "response_id = $response",
        1,
        {"key": "n::text", "response_id": key("n", RESPONSE), "created_at": DAY},
    ),
    "alert": (
        "client_id = $client",
        -10,
        {"id": key("n", ALERT), "response_id": key("n", RESPONSE), "client_id": key(OF, CLIENT), "created_at": DAY},
    ),
}
"""By table: the row that is copied, how many times (1: one a response; negative: one to so many responses), and what
differs in each copy ``n``."""


ELSEWHERE = {"audit_event"}
"""Not filled in the first organisation: what is not sealed yet is looked through, and sealing millions takes long. That
a sealed trail is not is shown in tests/audit/test_reading.py."""


async def fill(url: str, organisations: Mapping[uuid.UUID, Mapping[str, str]], responses: int) -> None:
    """Copy what organisations have of one client until there are so many responses, and analyse the tables.

    ``url`` is a superuser's, ``organisations`` the ids of what `things` made in each.
    """
    connection = await asyncpg.connect(url, command_timeout=3600)
    try:
        # Foreign keys need not be looked up for what is true by construction, nor each batch be on the disk.
        await connection.execute("set session_replication_role = replica")
        await connection.execute("set synchronous_commit = off")
        first = next(iter(organisations))
        for share, (organisation_id, ids) in zip(SHARES, organisations.items(), strict=True):
            for table, (which, times, changes) in FILLED.items():
                if organisation_id == first and table in ELSEWHERE:
                    continue
                number = times if times > 1 else int(share * responses / abs(times))
                where = which.replace("$client", f"'{ids['client_id']}'").replace(
                    "$response", f"'{ids['response_id']}'"
                )
                await _copy(connection, table, f"organisation_id = '{organisation_id}' and {where}", number, changes)
    finally:
        await connection.close()
    connection = await asyncpg.connect(url, command_timeout=3600)
    try:
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()


async def _copy(
    connection: asyncpg.Connection[asyncpg.Record], table: str, where: str, number: int, changes: Mapping[str, str]
) -> None:
    columns = [
        row["attname"]
        for row in await connection.fetch(
            "select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped", table
        )
    ]
    missing = changes.keys() - set(columns)
    assert not missing, (table, missing)
    values = ", ".join(changes.get(name, f"sample.{name}") for name in columns)
    made = await connection.execute(
        f"insert into {table} ({', '.join(columns)}) select {values}"  # noqa: S608  - names of columns and our own text
        f" from (select * from {table} where {where} limit 1) sample, generate_series(1, {number}) n"
    )
    assert made == f"INSERT 0 {number}", (table, made)
