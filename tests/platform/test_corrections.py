"""The database functions of corrections, as the service calls them, and what the service's role may not do."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
import pytest

from api.corrections.repository import amend, void
from api.db import Database
from api.ids import new_id
from api.responses.recording import AlertToRecord, ResponseToRecord, ScoreToRecord, record
from tests.conftest import Tenant
from tests.factories import make_client, make_correction, make_recording
from tests.platform.test_recording import counts
from tests.platform.test_tenancy import execute_within


@pytest.fixture
async def recorded(opened: Database, service: asyncpg.Connection, tenant: Tenant) -> ResponseToRecord:
    """A response that is kept."""
    made = make_recording(tenant.id, await make_client(service, tenant.id))
    assert (await record(opened.pool, made)).outcome == "created"
    return made


def newer(recorded: ResponseToRecord, **changes: Any) -> ResponseToRecord:
    """The same form once more, as another row."""
    return make_recording(recorded.organisation_id, recorded.client_id, idempotency_key=None, **changes)


async def superseded(superuser: asyncpg.Connection, tenant: Tenant) -> int:
    found: int = await superuser.fetchval("select count(*) from superseded where organisation_id = $1", tenant.id)
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": (ScoreToRecord("total", None, "complete", valid=True),)},
        {"scores": (ScoreToRecord("total", 1.0, "complete", valid=True),) * 2},
        {"answers": "[]"},
        {"document": "{not json"},
        {"alerts": (AlertToRecord(uuid.UUID(int=1), "a", "1", "high"),) * 2},
    ],
)
async def test_a_failure_in_the_middle_stores_nothing(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, recorded: ResponseToRecord, changes: dict[str, Any]
) -> None:
    before = await counts(superuser, tenant.id)
    correction = make_correction(recorded, idempotency_key="k")
    with pytest.raises((asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)):
        await amend(opened.pool, correction, newer(recorded, **changes))
    assert await counts(superuser, tenant.id) == before
    assert await superseded(superuser, tenant) == 0
    assert (await amend(opened.pool, correction, newer(recorded))).outcome == "created"


@pytest.mark.parametrize("which", ["root_id", "current_id"])
async def test_another_response_is_not_corrected(
    opened: Database, superuser: asyncpg.Connection, tenant: Tenant, recorded: ResponseToRecord, which: str
) -> None:
    for wrong in (new_id(), uuid.UUID(int=0)):
        correction = make_correction(recorded, **{which: wrong})
        assert (await void(opened.pool, correction)).outcome == "stale"
        assert (await amend(opened.pool, correction, newer(recorded))).outcome == "stale"
    assert await superseded(superuser, tenant) == 0


async def test_another_organisations_response_is_not_corrected(
    opened: Database, superuser: asyncpg.Connection, other_tenant: Tenant, recorded: ResponseToRecord
) -> None:
    correction = make_correction(recorded, organisation_id=other_tenant.id)
    assert (await void(opened.pool, correction)).outcome == "stale"
    assert await superseded(superuser, other_tenant) == 0


async def test_whatever_else_a_response_has_stays_with_it(
    opened: Database, superuser: asyncpg.Connection, recorded: ResponseToRecord
) -> None:
    """Also columns that the function does not know."""
    done = await amend(opened.pool, make_correction(recorded), newer(recorded, subject="other"))
    old, new = [
        dict(await superuser.fetchrow("select * from response where id = $1", id_))
        for id_ in (recorded.id, done.row_id)
    ]
    given = {
        "id", "root_id", "revision", "instrument_version", "definition_checksum", "variant", "answers", "setting",
        "answered_at", "recorded_at", "recorded_by", "document", "valid", "episode_id",
    }  # fmt: skip
    assert {name: value for name, value in old.items() if name not in given} == {
        name: value for name, value in new.items() if name not in given
    }


@pytest.mark.parametrize(
    "statement",
    [
        "update response set answers = '{}'",
        "update response set document = '{}'",
        "update response set root_id = null, revision = 1",
        "update score set value = 0",
        "update superseded set reason_sealed = null",
        "update superseded set at = now()",
        "delete from response",
        "delete from score",
        "delete from superseded",
        "insert into score select * from score",
        "insert into superseded select * from superseded",
        "select supersede_response(null, null, null, null, null, null, null, null, null, null, null, null, null)",
    ],
)
async def test_the_service_cannot_change_what_was_said(
    opened: Database, service: asyncpg.Connection, tenant: Tenant, recorded: ResponseToRecord, statement: str
) -> None:
    await amend(opened.pool, make_correction(recorded), newer(recorded))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="denied"):
        await execute_within(service, tenant, statement)


async def test_the_owner_cannot_either(
    opened: Database, owner: asyncpg.Connection, tenant: Tenant, recorded: ResponseToRecord
) -> None:
    await amend(opened.pool, make_correction(recorded), newer(recorded))
    for table in ("response", "score", "superseded"):
        for statement in (f"update {table} set organisation_id = organisation_id", f"delete from {table}"):  # noqa: S608  - names above
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await execute_within(owner, tenant, statement)
