"""Verifying erasures: all as certified, and each thing that is not, by its name; backups that an erasure reaches."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from procrastinate import App

from api import jobs
from api.app import create_app
from api.backups import keyfile
from api.backups.errors import BackupError
from api.erasure.jobs import reach
from api.erasure.verifying import Verified, verify_erasures
from api.security import crypto
from api.settings import Settings
from api.startup import derived_keys
from tests.api.people import People, Person, web
from tests.conftest import Tenant, Urls
from tests.erasure.whole import ERASE, ok
from tests.platform.test_serve import COMMAND

FOREIGN = crypto.derive(bytes(range(90, 122)))


class Erased:
    """An erasure in the test's organisation, and ways to tamper with what it left."""

    def __init__(self, superuser: asyncpg.Connection, tenant: Tenant, settings: Settings, document: Any) -> None:
        self.superuser, self.tenant, self.keys = superuser, tenant, derived_keys(settings)
        self.document = document
        self.client = uuid.UUID(document["client_id"])

    async def verify(self, *folders: Path, keys: crypto.Keys | None = None) -> Verified:
        async with self.superuser.transaction():
            return await verify_erasures(self.superuser, self.tenant.id, keys or self.keys, folders)

    async def found(self, *folders: Path, keys: crypto.Keys | None = None) -> list[tuple[str, bool]]:
        """The codes, and whether each names the erasure."""
        faults = (await self.verify(*folders, keys=keys)).faults
        return [(fault.code, fault.erasure_id == uuid.UUID(self.document["id"])) for fault in faults]

    async def tamper(self, statement: str, *values: object) -> None:
        """As only who owns the server can: no trigger is asked."""
        async with self.superuser.transaction():
            await self.superuser.execute("set local session_replication_role = replica")
            await self.superuser.execute(statement, *values)


@pytest.fixture
async def erased(people: People, superuser: asyncpg.Connection, tenant: Tenant, settings: Settings) -> Erased:
    client = await people.ehr.client(external_id=uuid.uuid4().hex)
    ok(await people.ehr.respond(client))
    document = ok(await people.admin.http.delete(f"/v1/clients/{client}", params=ERASE))
    return Erased(superuser, tenant, settings, document)


async def test_all_is_as_certified(erased: Erased) -> None:
    verified = await erased.verify()
    assert (verified.erasures, verified.faults, verified.remarks) == (1, [], [])


async def test_each_fault_of_a_certificate_is_named(erased: Erased) -> None:
    own = "where organisation_id = $1"
    await erased.tamper(f"update erasure set reason = 'ordered' {own}", erased.tenant.id)  # noqa: S608  - from above
    assert await erased.found() == [("certificate-differs", True)]
    swap = f"update erasure_certificate set statement = replace(statement, 'asked-for', 'ordered') {own}"  # noqa: S608  - from above
    await erased.tamper(swap, erased.tenant.id)
    assert await erased.found() == [("certificate-invalid", True)]
    assert await erased.found(keys=FOREIGN) == [("certificate-foreign", True)]
    await erased.tamper(f"delete from erasure_certificate {own}", erased.tenant.id)  # noqa: S608  - from above
    assert await erased.found() == [("certificate-missing", True)]


@pytest.mark.parametrize(("when", "missing"), [(timedelta(seconds=1), False), (timedelta(seconds=-1), True)])
async def test_the_certificate_of_an_erasure_that_came_with_an_archive_is_elsewhere(
    erased: Erased, when: timedelta, missing: bool
) -> None:
    """One that was made after the archive was taken in has no such excuse."""
    await erased.tamper("delete from erasure_certificate where organisation_id = $1", erased.tenant.id)
    await erased.tamper(
        "insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id,"
        " outcome) select $1, gen_random_uuid(), erased_at + $2::interval, 'fathomline', 'operator', 'take-in',"
        " 'organisation', $1, '', 'done' from erasure where organisation_id = $1",
        erased.tenant.id,
        when,
    )
    found = await erased.verify()
    assert [fault.code for fault in found.faults] == (["certificate-missing"] if missing else [])
    assert [fault.code for fault in found.remarks] == ([] if missing else ["certificate-elsewhere"])


async def test_a_client_who_came_back_is_named(erased: Erased) -> None:
    await erased.tamper(
        "insert into client (organisation_id, id, key_wrapped, created_at, updated_at)"
        " values ($1, $2, 'k', now(), now())",
        erased.tenant.id,
        erased.client,
    )
    assert await erased.found() == [("client-back", True)]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("goal", "kind, target, baseline, words_sealed, set_on, created_at, updated_at"),
        ("research_consent", "sequence, given, stated_on, recorded_at, recorded_by"),
    ],
)
async def test_a_row_that_was_left_is_named(erased: Erased, table: str, columns: str) -> None:
    values = {
        "goal": "$1, $2, gen_random_uuid(), 'target', 8, 2, 's', now(), now(), now()",
        "research_consent": "$1, $2, 1, true, now(), now(), 'x'",
    }[table]
    names = "organisation_id, client_id, " + ("id, " if table == "goal" else "") + columns
    await erased.tamper(f"insert into {table} ({names}) values ({values})", erased.tenant.id, erased.client)  # noqa: S608  - from above
    assert await erased.found() == [("rows-left", True)]
    assert table in (await erased.verify()).faults[0].detail


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("score", "$1, gen_random_uuid(), 'total', 1, 'complete', true"),
        ("goal_rating", "$1, gen_random_uuid(), gen_random_uuid(), null, now(), 1, now(), 'x'"),
        ("outbox", "$1, gen_random_uuid(), 'response.recorded', gen_random_uuid(), now(), null"),
    ],
)
async def test_rows_that_belong_to_nobody_are_named(erased: Erased, table: str, values: str) -> None:
    await erased.tamper(f"insert into {table} values ({values})", erased.tenant.id)  # noqa: S608  - from above
    assert await erased.found() == [("rows-of-nobody", False)]
    assert table in (await erased.verify()).faults[0].detail


async def test_a_message_about_something_else_belongs_to_nobody_and_is_no_fault(erased: Erased) -> None:
    await erased.tamper(
        "insert into outbox values ($1, gen_random_uuid(), 'webhook.disabled', gen_random_uuid(), now(), null)",
        erased.tenant.id,
    )
    assert await erased.found() == []


class TestBackups:
    """The key file beside backups, which the job writes anew."""

    @pytest.fixture
    async def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "backups"

    @pytest.fixture
    async def worker(self, settings: Settings) -> AsyncIterator[App]:
        assert settings.database_url is not None
        app = jobs.application(settings.database_url.get_secret_value(), settings)
        async with app.open_async():
            yield app

    @pytest.fixture
    async def admin(self, settings: Settings, tenant: Tenant, folder: Path) -> AsyncIterator[Person]:
        app: FastAPI = create_app(settings.model_copy(update={"backups": (folder,), "log_days": 30}))
        async with app.router.lifespan_context(app), web(app, tenant.slug, "admin") as http:
            yield Person(http)

    async def test_the_job_takes_the_key_out_and_the_certificate_says_since_when(
        self,
        admin: Person,
        worker: App,
        superuser: asyncpg.Connection,
        tenant: Tenant,
        settings: Settings,
        folder: Path,
    ) -> None:
        client, other = uuid.UUID(await admin.client()), uuid.UUID(await admin.client())
        keys = derived_keys(settings)
        folder.mkdir()
        with keyfile.changing(folder, keys) as ring:
            for one in (client, other):
                ring.learn((tenant.id, one), crypto.new_client_key())
        document = ok(await admin.http.delete(f"/v1/clients/{client}", params=ERASE))
        assert document["backups"] == [{"folder": str(folder), "reached_at": None}]
        assert document["log_days"] == 30
        erased = Erased(superuser, tenant, settings, document)
        assert await erased.found(folder) == [("key-left", True)]
        queued = "select count(*) from jobs.procrastinate_jobs where task_name = 'reach_backups'"
        assert await superuser.fetchval(queued) >= 1

        assert await reach(worker, keys, tenant.id, folder) == 1
        assert await reach(worker, keys, tenant.id, folder) == 0
        assert await erased.found(folder) == []
        kept = keyfile.read(folder, keys)
        assert kept is not None
        assert kept.clients.keys() == {(tenant.id, other)}
        assert set(kept.erased) == {(tenant.id, client)}
        (backup,) = ok(await admin.http.get(f"/v1/erasures/{document['id']}"))["backups"]
        assert backup["reached_at"] > document["erased_at"]

    async def test_a_folder_that_cannot_be_read_is_tried_again(
        self,
        admin: Person,
        worker: App,
        superuser: asyncpg.Connection,
        tenant: Tenant,
        settings: Settings,
        folder: Path,
    ) -> None:
        client = await admin.client()
        folder.mkdir()
        (folder / keyfile.NAME).write_bytes(b"damaged")
        document = ok(await admin.http.delete(f"/v1/clients/{client}", params=ERASE))
        with pytest.raises(BackupError):
            await reach(worker, derived_keys(settings), tenant.id, folder)
        (backup,) = ok(await admin.http.get(f"/v1/erasures/{document['id']}"))["backups"]
        assert backup["reached_at"] is None
        verified = await Erased(superuser, tenant, settings, document).verify(folder)
        assert [(one.code, verified.faults) for one in verified.remarks] == [("key-file-unreadable", [])]
        (folder / keyfile.NAME).unlink()
        assert await reach(worker, derived_keys(settings), tenant.id, folder) == 1, "no backups, nothing to open"


async def test_the_command_names_it_and_says_so_by_its_exit_status(
    erased: Erased, database: Urls, settings: Settings, tmp_path: Path
) -> None:
    assert settings.master_key is not None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FATHOMLINE_")}
    environment |= {"DATABASE_URL": database.service, "FATHOMLINE_MASTER_KEY": settings.master_key.get_secret_value()}

    def verify() -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "verify", "erasures", "--organisation", erased.tenant.slug, "--json"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    done = verify()
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["checks"]["erasures"]
    assert (report["erasures"], report["faults"]) == (1, [])
    signature = base64.urlsafe_b64decode(erased.document["certificate"]["signature"] + "==")
    forged = bytes([signature[0] ^ 1]) + signature[1:]
    await erased.tamper(
        "update erasure_certificate set signature = $2 where organisation_id = $1", erased.tenant.id, forged
    )
    done = verify()
    assert done.returncode == 1
    (report,) = json.loads(done.stdout)["checks"]["erasures"]
    assert [(fault["code"], fault["erasure_id"]) for fault in report["faults"]] == [
        ("certificate-invalid", erased.document["id"])
    ]
