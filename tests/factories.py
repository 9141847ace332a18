"""Rows for tests. Plain functions; a test names only what it is about."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg

from api.corrections.repository import Correction
from api.ids import new_id
from api.responses.recording import ResponseToRecord, ScoreToRecord
from instruments import Instrument

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


async def make_client(connection: asyncpg.Connection, organisation_id: uuid.UUID, **changes: Any) -> uuid.UUID:
    """A client, written over any connection that may; its id."""
    row: dict[str, Any] = {
        "organisation_id": organisation_id,
        "id": new_id(),
        "key_wrapped": b"\0" * 60,
        "created_at": NOON,
        "updated_at": NOON,
    } | changes
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(f"insert into client ({names}) values ({places})", *row.values())  # noqa: S608  - names from tests
    client_id: uuid.UUID = row["id"]
    return client_id


async def make_episode(connection: asyncpg.Connection, organisation_id: uuid.UUID, client_id: uuid.UUID) -> uuid.UUID:
    """An episode that began at `NOON` and goes on, with one session, over any connection that may; its id."""
    episode_id = new_id()
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(
            "insert into episode (organisation_id, id, client_id, started_on, format, concerns, created_at, updated_at)"
            " values ($1, $2, $3, $4::timestamptz::date, 'individual', '{}', $4, $4)",
            organisation_id,
            episode_id,
            client_id,
            NOON,
        )
        await connection.execute(
            "insert into care_session (organisation_id, id, episode_id, held_at, held_on, created_at, updated_at)"
            " values ($1, $2, $3, $4, $4::timestamptz::date, $4, $4)",
            organisation_id,
            new_id(),
            episode_id,
            NOON,
        )
    return episode_id


async def make_wording(connection: asyncpg.Connection, organisation_id: uuid.UUID, **changes: Any) -> uuid.UUID:
    """A wording pack of an invented instrument, written over any connection that may; its id."""
    row: dict[str, Any] = {
        "organisation_id": organisation_id,
        "id": new_id(),
        "instrument": "lamp-3",
        "instrument_version": 1,
        "language": "en",
        "variant": "standard",
        "pack_version": 1,
        "withdrawn": False,
        "pack": "{}",
        "holder": "nobody",
        "licence_reference": "invented",
        "statement": "invented",
        "valid_from": NOON.date(),
        "recorded_at": NOON,
        "recorded_by": "admin-1",
    } | changes
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(f"insert into wording_pack ({names}) values ({places})", *row.values())  # noqa: S608  - names from tests
    wording_id: uuid.UUID = row["id"]
    return wording_id


async def make_own_instrument(
    connection: asyncpg.Connection, organisation_id: uuid.UUID, instrument: Instrument
) -> None:
    """An instrument of an organisation's own, published, over any connection that may."""
    definition = instrument.model_dump_json(by_alias=True, exclude_defaults=True)
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(
            "insert into own_instrument (organisation_id, code, version, id, checksum, definition, golden,"
            " published_at, published_by) values ($1, $2, $3, $4, $5, $6, '[]', $7, 'admin-1')",
            organisation_id,
            instrument.code,
            instrument.version,
            new_id(),
            instrument.checksum,
            definition,
            NOON,
        )


async def make_own_rows(connection: asyncpg.Connection, organisation_id: uuid.UUID) -> None:
    """One row in each table of own instruments: a published version, its retirement, and a draft of the next."""
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        for statement in (
            "insert into own_instrument values ($1, 'own-x', 1, $1, repeat('0', 64), '{}', '[]', now(), 'admin-1')",
            "insert into own_instrument_retirement values ($1, 'own-x', 1, now(), 'admin-1')",
            "insert into instrument_draft values ($1, 'own-x', 2, $1, 1, '{}', '[]', now(), now(), 'admin-1')",
        ):
            await connection.execute(statement, organisation_id)


async def make_webhook(connection: asyncpg.Connection, organisation_id: uuid.UUID, **changes: Any) -> uuid.UUID:
    """An endpoint with one delivery that waits, written over any connection that may; the endpoint's id."""
    row: dict[str, Any] = {
        "organisation_id": organisation_id,
        "id": new_id(),
        "url": "https://receiver.example/",
        "enabled": True,
        "secret_sealed": b"\0" * 60,
        "created_at": NOON,
        "updated_at": NOON,
    } | changes
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(f"insert into webhook ({names}) values ({places})", *row.values())  # noqa: S608  - names from tests
        await connection.execute(
            "insert into webhook_delivery (organisation_id, webhook_id, id, type, resource_id, occurred_at, state,"
            " next_attempt_at) values ($1, $2, $3, 'response.recorded', $3, now(), 'pending', now())",
            organisation_id,
            row["id"],
            new_id(),
        )
    webhook_id: uuid.UUID = row["id"]
    return webhook_id


async def make_audit_rows(connection: asyncpg.Connection, organisation_id: uuid.UUID, client_id: uuid.UUID) -> None:
    """One row in each table of the audit trail's chain, of an event that there is not."""
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        for statement in (
            "insert into audit_key values ($1, $1, sha256('p'), 'sealed', now())",
            "insert into audit_seal values ($1, 1, $1, sha256('h'), 's', 'ehr', 'read', 'client', 'done')",
            "insert into audit_head values ($1, 1, 0, sha256('h'), now(), now(), $1, sha256('s') || sha256('s'))",
        ):
            await connection.execute(statement, organisation_id)
        await connection.execute("insert into audit_client values ($1, $2, $1)", organisation_id, client_id)


async def make_import(connection: asyncpg.Connection, organisation_id: uuid.UUID, **changes: Any) -> uuid.UUID:
    """An import under way with one part of its file and one fault, over any connection that may; its id."""
    row: dict[str, Any] = {
        "organisation_id": organisation_id,
        "id": new_id(),
        "state": "uploading",
        "format": "csv",
        "layout": "wide",
        "compressed": False,
        "on_error": "skip-bad",
        "dry_run": False,
        "alerts": "keep",
        "create_clients": False,
        "spooled": True,
        "key_wrapped": b"\0" * 60,
        "subject": "ehr-1",
        "role": "ehr",
        "request_id": "request-1",
        "created_at": NOON,
        "changed_at": NOON,
    } | changes
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(f"insert into import_run ({names}) values ({places})", *row.values())  # noqa: S608  - names from tests
        for statement in (
            "insert into import_chunk values ($1, $2, 0, 'sealed')",
            "insert into import_fault values ($1, $2, 1, 1, 2, '/answers/1', 'not-an-option', 'is another')",
        ):
            await connection.execute(statement, organisation_id, row["id"])
    import_id: uuid.UUID = row["id"]
    return import_id


def make_recording(organisation_id: uuid.UUID, client_id: uuid.UUID, **changes: Any) -> ResponseToRecord:
    """A response to record, of an invented instrument with two scales."""
    made = ResponseToRecord(
        organisation_id=organisation_id,
        subject="ehr-1",
        role="ehr",
        request_id="request-1",
        idempotency_key=uuid.uuid4().hex,
        request_hash=hashlib.sha256(b"a request").digest(),
        id=new_id(),
        event_id=new_id(),
        client_id=client_id,
        instrument="lamp-3",
        instrument_version=1,
        definition_checksum="0" * 64,
        variant="default",
        answers=json.dumps({"1": 3, "2": 1}),
        setting=None,
        answered_at=NOON,
        recorded_at=NOON,
        document='{"id":  "spaces are kept",\n "b":1, "a":1.80}',
        valid=True,
        scores=(
            ScoreToRecord("total", 10.5, "prorated", valid=True),
            ScoreToRecord("ease", None, "insufficient", valid=True),
        ),
    )
    return replace(made, **changes)


async def make_alert_rows(connection: asyncpg.Connection, organisation_id: uuid.UUID, alert_id: uuid.UUID) -> None:
    """A threshold and guidance of the organisation, and that an open alert was acknowledged, as the service writes."""
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        for statement in (
            "insert into alert_rule values ($1, $2, 'lamp-3', 'invented', 'notice', '{}', now(), 'admin-1')",
            "insert into alert_guidance values ($1, jsonb_build_array($2::uuid), now(), 'admin-1')",
            "select acknowledge_alert($1, $2, now(), 'ehr-1', 'sealed', gen_random_uuid())",
        ):
            await connection.execute(statement, organisation_id, alert_id)


async def make_care_rows(connection: asyncpg.Connection, organisation_id: uuid.UUID, client_id: uuid.UUID) -> None:
    """One row of a client in each table of couples, goals and work between sessions, all of one id."""
    row_id = new_id()
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        for statement in (
            "insert into couple values ($1, $2, now())",
            "insert into couple_member values ($1, $2, $2, $3, '2026-01-01', null, now(), now())",
            "insert into couple_consent values ($1, $2, 2, true, '2026-01-01', now(), 'ehr-1')",
            "insert into goal values ($1, $2, $3, 'levels', 1, null, -1, 's', '2026-01-01', null, null, now(), now())",
            "insert into goal_rating values ($1, $2, $2, null, '2026-01-01', 0, now(), 'ehr-1')",
            "insert into assignment values ($1, $2, $3, 'x', '2026-01-01', '2026-01-01', null, 's', now(), now())",
            "insert into assignment_completion values ($1, $2, 2, 'done', '2026-01-01', 9, 5, 3, 's', now(), 'ehr-1')",
        ):
            more = [client_id] if "$3" in statement else []
            await connection.execute(statement, organisation_id, row_id, *more)


def make_correction(response: ResponseToRecord, **changes: Any) -> Correction:
    """That a response is put right or void, by nobody in particular."""
    made = Correction(
        organisation_id=response.organisation_id,
        subject="ehr-1",
        role="ehr",
        request_id="request-1",
        idempotency_key=None,
        request_hash=hashlib.sha256(b"a correction").digest(),
        root_id=response.id,
        current_id=response.id,
        reason_code="another",
        reason_sealed=b"sealed",
        at=NOON,
        event_id=new_id(),
    )
    return replace(made, **changes)


async def make_protocol_rows(
    connection: asyncpg.Connection, organisation_id: uuid.UUID, client_id: uuid.UUID, episode_id: uuid.UUID
) -> uuid.UUID:
    """A protocol, its version, that an episode follows it, and one slot, all of one id, which is given back."""
    row_id = new_id()
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        for statement, *more in (
            ("insert into protocol values ($1, $2, 'p', 1, null, now(), now())",),
            ("insert into protocol_version values ($1, $2, 1, 'p', '[]', now(), 'admin-1')",),
            (
                "insert into episode_protocol values"
                " ($1, $2, $3, $4, $2, 1, null, '2026-03-01', null, null, null, now(), now())",
                client_id,
                episode_id,
            ),
            (
                "insert into protocol_slot values ($1, $2, $3, $4, $2, null, 'e', 1, 'lamp-3', null, null,"
                " '2026-03-01', '2026-03-01', '2026-03-02', '2026-03-01', '2026-03-01', false, 1001, now(), now())",
                client_id,
                episode_id,
            ),
        ):
            await connection.execute(statement, organisation_id, row_id, *more)
    return row_id


async def make_reference(connection: asyncpg.Connection, organisation_id: uuid.UUID, **changes: Any) -> uuid.UUID:
    """A reference in use, and since when, over any connection that may; its id."""
    row: dict[str, Any] = {
        "organisation_id": organisation_id,
        "id": new_id(),
        "instrument": "lamp-3",
        "instrument_version": 1,
        "variant": "default",
        "scale": "total",
        "number": 1,
        "origin": "parameters",
        "source": "invented",
        "evidence": "memory",
        "requested_by": "admin-1",
        "created_at": NOON,
        "state": "ready",
        "active": True,
        "persons": 400,
        "observations": 2400,
        "horizon": 20.0,
        "model": json.dumps(
            {
                "intercept": 6.0,
                "slope": 0.2,
                "fixed_covariance": [[0.01, 0.0], [0.0, 0.0001]],
                "random_covariance": [[4.0, 0.0], [0.0, 0.01]],
                "residual_variance": 1.0,
            }
        ),
    } | changes
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(f"insert into reference_set ({names}) values ({places})", *row.values())  # noqa: S608  - names from tests
        await connection.execute(
            "insert into reference_use values ($1, $2, $3, 'activated', now(), 'admin-1')",
            organisation_id,
            new_id(),
            row["id"],
        )
    reference_id: uuid.UUID = row["id"]
    return reference_id


async def make_rescoring(
    connection: asyncpg.Connection, organisation_id: uuid.UUID, response_id: uuid.UUID | None = None, **changes: Any
) -> uuid.UUID:
    """A run that is done and counts, with one score, over any connection that may; its id."""
    row: dict[str, Any] = {
        "organisation_id": organisation_id,
        "id": new_id(),
        "instrument": "lamp-3",
        "from_version": 1,
        "to_version": 2,
        "to_checksum": "1" * 64,
        "reason": "invented",
        "dry_run": False,
        "requested_by": "admin-1",
        "created_at": NOON,
        "state": "done",
    } | changes
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(f"insert into rescoring ({names}) values ({places})", *row.values())  # noqa: S608  - names from tests
        for statement in (
            "insert into rescoring_effect values ($1, $2, 'applied', now(), 'admin-1')",
            "insert into rescored values ($1, $3, $2, 'total', 9, 'complete', true)",
        ):
            more = [response_id or new_id()] if "$3" in statement else []
            await connection.execute(statement, organisation_id, row["id"], *more)
    rescoring_id: uuid.UUID = row["id"]
    return rescoring_id


async def make_kept_rows(connection: asyncpg.Connection, organisation_id: uuid.UUID, client_id: uuid.UUID) -> None:
    """An organisation's key and a client's consent to research, over any connection that may."""
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(
            "insert into organisation_key (organisation_id, lookup_wrapped) values ($1, $2) on conflict do nothing",
            organisation_id,
            b"\0" * 65,
        )
        await connection.execute(
            "insert into research_consent (organisation_id, client_id, sequence, given, stated_on, recorded_at,"
            " recorded_by) values ($1, $2, 1, true, now()::date, now(), 'ehr-1')",
            organisation_id,
            client_id,
        )


async def make_page_session(connection: asyncpg.Connection, organisation_id: uuid.UUID) -> uuid.UUID:
    """Somebody who is signed in to the pages, over any connection that may; the session's id."""
    session_id = new_id()
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(
            "insert into page_session (organisation_id, secret_hash, id, subject, role, started_at, seen_at, ends_at)"
            " values ($1, $2, $3, 'tester', 'clinician', $4, $4, $4::timestamptz + interval '1 hour')",
            organisation_id,
            session_id.bytes * 2,
            session_id,
            NOON,
        )
    return session_id


async def make_erasure(
    connection: asyncpg.Connection, organisation_id: uuid.UUID, client_id: uuid.UUID | None = None
) -> uuid.UUID:
    """A client who was erased, with a certificate that nobody signed, over a connection of the service; the erasure."""
    erased, erasure_id = client_id or await make_client(connection, organisation_id), new_id()
    async with connection.transaction():
        await connection.execute("select set_config('fathomline.organisation_id', $1, true)", str(organisation_id))
        await connection.execute(
            "select erase_client($1, $2, $3, now(), 'admin-1', 'asked-for', null)", organisation_id, erased, erasure_id
        )
        await connection.execute(
            "insert into erasure_certificate (organisation_id, erasure_id, statement, key_id, signature)"
            " values ($1, $2, '{}', $2, $3)",
            organisation_id,
            erasure_id,
            b"\0" * 64,
        )
        await connection.execute(
            "insert into erasure_backup (organisation_id, erasure_id, folder, reached_at) values ($1, $2, 'b', now())",
            organisation_id,
            erasure_id,
        )
    return erasure_id
