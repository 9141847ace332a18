"""`fathomline verify` as it is run: what it prints, writes and exits with."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api.organisations.repository import ensure_organisation
from api.settings import Settings
from tests.audit.trail import Sealed, ago
from tests.cli.command import Outcome
from tests.conftest import MASTER_KEY, Tenant, Urls
from tests.platform.inside import Inside
from tests.platform.test_serve import COMMAND


class Verify:
    """The command under a master key, on the database of the trail."""

    def __init__(self, trail: Sealed, folder: Path, inside: Inside) -> None:
        self._trail, self._folder, self._inside = trail, folder, inside

    def environment(self, key: str = MASTER_KEY) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FATHOMLINE_")}
        return kept | {"DATABASE_URL": self._trail.urls.service, "FATHOMLINE_MASTER_KEY": key}

    async def __call__(self, *arguments: str, key: str = MASTER_KEY) -> Outcome:
        return await self._inside.beside(self.environment(key), self._folder, "verify", *arguments)

    def apart(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """In a process of its own."""
        command = [*COMMAND, "verify", *arguments]
        return subprocess.run(
            command, cwd=self._folder, env=self.environment(), capture_output=True, text=True, check=False
        )


@pytest.fixture
def verify(trail: Sealed, tmp_path: Path, inside: Inside) -> Verify:
    return Verify(trail, tmp_path, inside)


@pytest.fixture
def own(tenant: Tenant) -> tuple[str, str]:
    """The option that confines it to the test's organisation; the others of the run are not our business."""
    return ("--organisation", tenant.slug)


def document(done: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out)
    return found


async def test_an_intact_trail(trail: Sealed, tenant: Tenant, own: tuple[str, str], verify: Verify) -> None:
    await trail.write(3)
    await trail.seal()
    await trail.write(2, at=ago(hours=0.05))
    apart = verify.apart(*own)
    assert (apart.returncode, apart.stderr) == (0, "")
    first, second = apart.stdout.splitlines()
    assert first == f"audit: {tenant.slug}: 3 events sealed, intact"
    assert re.fullmatch(r"audit:   not sealed yet: 2, the oldest for 3\.\d min", second), second
    told = document(await verify("audit", *own, "--json"))
    assert told["sound"] is True
    (found,) = told["checks"]["audit"]
    assert (found["organisation"], found["intact"], found["sealed"], found["unsealed"]) == (tenant.slug, True, 3, 2)
    assert 180 <= found["oldest_unsealed_seconds"] < 240
    assert (found["faults"], found["remarks"]) == ([], [])


async def test_what_was_done_is_named_and_is_the_exit_status(
    trail: Sealed, tenant: Tenant, own: tuple[str, str], verify: Verify
) -> None:
    ids = await trail.write(5)
    await trail.seal()
    await trail.tamper(f"delete from audit_event where id = '{ids[2]}'")  # noqa: S608  - an id that was made here
    done = await verify(*own)
    assert (done.status, done.err) == (1, "")
    assert done.out.splitlines() == [
        f"audit: {tenant.slug}: 5 events sealed, NOT INTACT",
        f"audit:   event-removed at 3, event {ids[2]}: The event that was sealed here is gone.",
    ]
    told = document(await verify(*own, "--json"))
    assert told["sound"] is False
    assert told["checks"]["audit"][0]["faults"] == [
        {
            "code": "event-removed",
            "detail": "The event that was sealed here is gone.",
            "sequence": 3,
            "event_id": str(ids[2]),
        }
    ]


async def test_heads_that_are_kept_find_a_chain_that_was_cut(
    trail: Sealed, tmp_path: Path, own: tuple[str, str], verify: Verify
) -> None:
    await trail.write(4)
    await trail.seal()
    assert (await verify(*own, "--save-heads", "heads.ndjson")).status == 0
    kept = json.loads((tmp_path / "heads.ndjson").read_text())
    assert kept["head"]["sequence"] == 4
    assert (await verify(*own, "--head", "heads.ndjson")).status == 0
    await trail.tamper("delete from audit_head", "delete from audit_seal where sequence > 2", "delete from audit_event")
    done = await verify(*own, "--head", "heads.ndjson")
    assert done.status == 1
    assert "chain-truncated at 4" in done.out


async def test_another_master_key_is_not_taken_for_tampering_with_events(
    trail: Sealed, own: tuple[str, str], verify: Verify
) -> None:
    await trail.write()
    await trail.seal()
    done = await verify(*own, key=secrets.token_hex(32))
    assert done.status == 1
    assert [line.split()[1] for line in done.out.splitlines()[1:]] == ["head-foreign"]


@pytest.mark.parametrize(
    ("arguments", "because"),
    [
        (("nothing",), "there is nothing called 'nothing' to verify; there is audit"),
        (("--organisation", "no-such"), "there is no organisation 'no-such'"),
        (("--head", "absent.json"), "cannot read absent.json: No such file"),
        (("--head", "broken.json"), "broken.json has a line that is no signed head"),
        (("--head", "other.json"), "broken"),
    ],
)
async def test_what_it_cannot_work_with_is_told_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], because: str, verify: Verify
) -> None:
    (tmp_path / "broken.json").write_text('{"head": {"sequence": "x"}}\n')
    (tmp_path / "other.json").write_text("[" * 100_000)
    done = await verify(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert because in done.err or "other.json has a line that is no signed head" in done.err


async def test_a_head_of_another_organisation_is_not_overlooked(
    trail: Sealed, other_tenant: Tenant, own: tuple[str, str], verify: Verify
) -> None:
    await trail.write()
    await trail.seal()
    await verify(*own, "--save-heads", "heads.ndjson")
    done = await verify("--organisation", other_tenant.slug, "--head", "heads.ndjson")
    assert (done.status, done.out) == (2, "")
    assert str(trail.organisation_id) in done.err


async def test_all_organisations_are_verified_unless_some_are_named(
    fresh_database: Urls, settings: Settings, tmp_path: Path, inside: Inside
) -> None:
    """In a database of its own: that of the tests has thousands of organisations in the end."""
    service = await asyncpg.connect(fresh_database.service)
    superuser = await asyncpg.connect(fresh_database.superuser)
    ids = [await ensure_organisation(service, slug, slug) for slug in ("one", "two", "three")]
    trail = Sealed(fresh_database, settings, superuser, ids[1])
    await trail.write()
    await trail.seal()
    told = document(await Verify(trail, tmp_path, inside)("--json"))
    for connection in (service, superuser):
        await connection.close()
    assert sorted(one["organisation_id"] for one in told["checks"]["audit"]) == sorted(map(str, ids))
