"""docs/audit.md is enough to verify a trail without us: its own lines are run on what the API gives."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import FastAPI

from api.audit import chain, walk
from tests.api.people import web
from tests.audit.trail import Sealed, event
from tests.conftest import Tenant

PAGE: Final = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")


@pytest.fixture
async def files(app: FastAPI, trail: Sealed, tenant: Tenant, tmp_path: Path) -> list[Path]:
    """The head and the pages of a chain, as the API gives them, and the lines that check them."""
    for word in ("plain", "Ø漢\U0001f600", 'quote " \\ \x01\n\x7f'):
        await trail.write(2, subject=word)
    await trail.write(1, resource_id=None)
    await trail.seal(limit=3)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(program.splitlines()) <= 24
    assert "api" not in program
    (tmp_path / "check.py").write_text(program, encoding="utf-8")
    found = [tmp_path / "head.json"]
    async with web(app, tenant.slug, "admin") as admin:
        found[0].write_bytes((await admin.get("/v1/audit/head")).content)
        after: int | None = 0
        while after is not None:
            answer = await admin.get("/v1/audit/chain", params={"after": after, "limit": 4})
            found.append(tmp_path / f"page-{len(found)}.json")
            found[-1].write_bytes(answer.content)
            after = answer.json()["next"]
    assert len(found) == 3
    return found


def check(files: list[Path]) -> subprocess.CompletedProcess[str]:
    folder = files[0].parent
    return subprocess.run(
        [sys.executable, "-I", "check.py", *(path.name for path in files)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_lines_of_the_page_verify_the_trail(files: list[Path]) -> None:
    done = check(files)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "7 events follow from each other, and 7 of them are signed for\n"


def changed(path: Path, change: Any) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


async def test_they_find_a_changed_event(files: list[Path]) -> None:
    changed(files[2], lambda page: page["items"][1]["event"].update(subject="somebody else"))
    done = check(files)
    assert (done.returncode, done.stderr) == (1, "link 6 does not follow from those before it\n")


async def test_they_find_a_removed_event(files: list[Path]) -> None:
    changed(files[1], lambda page: page["items"][0].update(event=None))
    assert "link 1 does not follow" in check(files).stderr


async def test_they_find_a_head_of_another_chain_and_one_that_was_altered(files: list[Path]) -> None:
    changed(files[0], lambda kept: kept["head"].update(hash="0" * 64))
    assert "InvalidSignature" in check(files).stderr


async def test_they_find_a_chain_that_is_shorter_than_its_head(files: list[Path]) -> None:
    assert check(files[:2]).returncode != 0


async def test_the_description_is_of_what_is_hashed(trail: Sealed) -> None:
    """The members that the page lists are those of the JSON, and the first link is worked out by hand."""
    one = event(trail.organisation_id, resource_id=None)
    written = (
        f'{{"action":"read","at":"{one.at:%Y-%m-%dT%H:%M:%S.%f}Z","form":"fathomline-audit-event-1","id":"{one.id}",'
        f'"organisation_id":"{trail.organisation_id}","outcome":"done","previous":"{"0" * 64}",'
        '"request_id":"request-1","resource":"client","resource_id":null,"role":"ehr","sequence":1,"subject":"ehr-1"}'
    )
    assert chain.link(one, 1, chain.START) == hashlib.sha256(written.encode()).digest()
    assert all(f"`{name}`" in PAGE for name in json.loads(written))


def test_every_fault_has_a_line_on_the_page() -> None:
    folder = Path(walk.__file__).parent
    sources = "".join((folder / name).read_text(encoding="utf-8") for name in ("walk.py", "verifying.py"))
    codes = set(re.findall(r'Finding\(\s*"([a-z-]+)"', sources)) | set(re.findall(r'_explain\(\s*"([a-z-]+)"', sources))
    assert len(codes) == 14
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()
