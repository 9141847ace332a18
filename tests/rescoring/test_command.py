"""`fathomline rescore`: it does the run, tells of it, refuses, and goes on with one that was interrupted."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.catalogue.library import Library
from api.catalogue.own import OwnInstruments
from api.cli import application
from api.cli.errors import UnusableInput
from api.cli.rescore import Command
from api.rescoring import running
from api.rescoring.schemas import RescoringCreate
from api.security.principal import ROLES, Principal
from tests.conftest import MASTER_KEY, Urls
from tests.platform.test_serve import COMMAND
from tests.rescoring.sway import CODE, FORMS, PATH, Clinic


def given(clinic: Clinic, *arguments: str) -> list[str]:
    asked = ["rescore", CODE, "--from", "1", "--to", "2", "--reason", "question 3"]
    return [*asked, "--organisation", clinic.tenant.slug, *arguments]


async def rescore(clinic: Clinic, database: Urls, *arguments: str) -> Result:
    """The command in this process, with an event loop of its own."""
    env = {"DATABASE_URL": database.service, "FATHOMLINE_MASTER_KEY": MASTER_KEY}
    command = application("rescore")
    return await asyncio.to_thread(lambda: CliRunner().invoke(command, given(clinic, *arguments), env=env))


async def test_the_command_does_a_run_and_says_what_has_changed(clinic: Clinic, database: Urls, tmp_path: Path) -> None:
    person = await clinic.people.ehr.client()
    await clinic.record(person, *FORMS)
    dry = await rescore(clinic, database, "--dry-run", "--json")
    assert dry.exit_code == 0, dry.output
    told = json.loads(dry.stdout)
    assert (told["state"], told["done"], told["requested_by"]) == ("done", 6, "command-line")
    assert await clinic.rescored() == []
    done = await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, *given(clinic)],
        env={"DATABASE_URL": database.service, "FATHOMLINE_MASTER_KEY": MASTER_KEY, "PATH": os.defpath},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "6 responses scored anew, 6 with another result" in lines[0]
    assert "  total: 5 of 6 changed, by 3 in the middle and 3 at most" in lines
    assert "    high to low: 1" in lines
    assert "    swaying: not-crossed to crossed: 1" in lines
    assert "  alert 'leans' would be new for 1: none was raised, as the answers are old" in lines
    runs = (await clinic.admin.get(PATH)).json()["items"]
    assert [run["report"] for run in runs] == [told["report"]] * 2


async def test_what_the_service_refuses_the_command_refuses_in_one_line(clinic: Clinic, database: Urls) -> None:
    for arguments, words in (
        (("--to", "9"), "/to_version: has to be one of 1, 2"),
        (("--to", "1"), "/from_checksum: names the definition"),
        (("--reason", " "), "reason: says why"),
        (("--organisation", "nobody"), "there is no organisation 'nobody'"),
    ):
        refused = await rescore(clinic, database, *arguments)
        assert isinstance(refused.exception, UnusableInput)
        assert words in str(refused.exception)
        assert refused.stdout == ""


async def test_a_command_that_is_interrupted_stops_the_run_and_the_same_one_goes_on(
    clinic: Clinic, database: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "WINDOW", 2)
    person = await clinic.people.ehr.client()
    await clinic.record(person, *FORMS)
    own = OwnInstruments(clinic.database.pool)
    principal = Principal(clinic.tenant.id, clinic.tenant.slug, "command-line", "admin", ROLES["admin"])
    command = Command(clinic.database, principal, Library(own))
    asked = RescoringCreate(instrument=CODE, from_version=1, to_version=2, reason="question 3")
    run_id = await command.begun(asked)

    def interrupted(progress: running.Progress) -> None:
        if progress.done == 4:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await command.run(run_id, interrupted)
    own.close()
    told = await clinic.told(str(run_id))
    assert (told["state"], told["done"]) == ("stopped", 4)
    done = await rescore(clinic, database, "--json")
    assert done.exit_code == 0, done.output
    assert [json.loads(done.stdout)[name] for name in ("id", "done", "state")] == [str(run_id), 6, "done"]
