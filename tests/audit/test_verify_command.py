"""`fathomline verify` as it is run: what it prints, writes and exits with."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.audit.trail import Sealed, ago
from tests.conftest import MASTER_KEY, Tenant
from tests.platform.test_serve import COMMAND


def verify(trail: Sealed, folder: Path, *arguments: str, key: str = MASTER_KEY) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FATHOMLINE_")}
    environment |= {"DATABASE_URL": trail.urls.service, "FATHOMLINE_MASTER_KEY": key}
    return subprocess.run(
        [*COMMAND, "verify", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def own(tenant: Tenant) -> tuple[str, str]:
    """The option that confines it to the test's organisation; the others of the run are not our business."""
    return ("--organisation", tenant.slug)


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_an_intact_trail(trail: Sealed, tenant: Tenant, tmp_path: Path, own: tuple[str, str]) -> None:
    await trail.write(3)
    await trail.seal()
    await trail.write(2, at=ago(hours=0.05))
    done = verify(trail, tmp_path, *own)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == f"audit: {tenant.slug}: 3 events sealed, intact"
    assert re.fullmatch(r"audit:   not sealed yet: 2, the oldest for 3\.\d min", second), second
    told = document(verify(trail, tmp_path, "audit", *own, "--json"))
    assert told["sound"] is True
    (found,) = told["checks"]["audit"]
    assert (found["organisation"], found["intact"], found["sealed"], found["unsealed"]) == (tenant.slug, True, 3, 2)
    assert 180 <= found["oldest_unsealed_seconds"] < 240
    assert (found["faults"], found["remarks"]) == ([], [])


async def test_what_was_done_is_named_and_is_the_exit_status(
    trail: Sealed, tenant: Tenant, tmp_path: Path, own: tuple[str, str]
) -> None:
    ids = await trail.write(5)
    await trail.seal()
    await trail.tamper(f"delete from audit_event where id = '{ids[2]}'")  # noqa: S608  - an id that was made here
    done = verify(trail, tmp_path, *own)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        f"audit: {tenant.slug}: 5 events sealed, NOT INTACT",
        f"audit:   event-removed at 3, event {ids[2]}: The event that was sealed here is gone.",
    ]
    told = document(verify(trail, tmp_path, *own, "--json"))
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
    trail: Sealed, tmp_path: Path, own: tuple[str, str]
) -> None:
    await trail.write(4)
    await trail.seal()
    assert verify(trail, tmp_path, *own, "--save-heads", "heads.ndjson").returncode == 0
    kept = json.loads((tmp_path / "heads.ndjson").read_text())
    assert kept["head"]["sequence"] == 4
    assert verify(trail, tmp_path, *own, "--head", "heads.ndjson").returncode == 0
    await trail.tamper("delete from audit_head", "delete from audit_seal where sequence > 2", "delete from audit_event")
    done = verify(trail, tmp_path, *own, "--head", "heads.ndjson")
    assert done.returncode == 1
    assert "chain-truncated at 4" in done.stdout


async def test_another_master_key_is_not_taken_for_tampering_with_events(
    trail: Sealed, tmp_path: Path, own: tuple[str, str]
) -> None:
    await trail.write()
    await trail.seal()
    done = verify(trail, tmp_path, *own, key=secrets.token_hex(32))
    assert done.returncode == 1
    assert [line.split()[1] for line in done.stdout.splitlines()[1:]] == ["head-foreign"]


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
    trail: Sealed, tmp_path: Path, arguments: tuple[str, ...], because: str
) -> None:
    (tmp_path / "broken.json").write_text('{"head": {"sequence": "x"}}\n')
    (tmp_path / "other.json").write_text("[" * 100_000)
    done = verify(trail, tmp_path, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert because in done.stderr or "other.json has a line that is no signed head" in done.stderr


async def test_a_head_of_another_organisation_is_not_overlooked(
    trail: Sealed, other_tenant: Tenant, tmp_path: Path, own: tuple[str, str]
) -> None:
    await trail.write()
    await trail.seal()
    verify(trail, tmp_path, *own, "--save-heads", "heads.ndjson")
    done = verify(trail, tmp_path, "--organisation", other_tenant.slug, "--head", "heads.ndjson")
    assert (done.returncode, done.stdout) == (2, "")
    assert str(trail.organisation_id) in done.stderr


async def test_all_organisations_are_verified_unless_some_are_named(trail: Sealed, tmp_path: Path) -> None:
    await trail.write()
    await trail.seal()
    told = document(verify(trail, tmp_path, "--json"))
    ids = {one["organisation_id"] for one in told["checks"]["audit"]}
    assert ids == {str(row[0]) for row in await trail.superuser.fetch("select organisation_id from organisation")}
