"""`fathomline token`, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from api.cli import token as command
from api.security import issuer, tokens
from api.settings import SettingsError

runner = CliRunner()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> typer.Typer:
    """The command in an empty folder, with nothing set."""
    for name in ("FATHOMLINE_DATA", "FATHOMLINE_DEVELOPMENT_ISSUER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    made = typer.Typer()
    command.register(made)
    return made


def refusal(app: typer.Typer, *arguments: str) -> str:
    result = runner.invoke(app, arguments)
    assert isinstance(result.exception, SettingsError), result.output
    assert not result.stdout
    return str(result.exception)


async def test_accepted_by_a_service_on_the_same_folder(app: typer.Typer) -> None:
    made = issuer.load(Path("data"), create=True)  # as the demo leaves it
    result = runner.invoke(app, ["--organisation", "demo", "--role", "clinician", "--subject", "dr-a"])
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    found = await tokens.verify(line, made.trusted())
    assert (found.organisation, found.role, found.subject) == ("demo", "clinician", "dr-a")


async def test_minutes(app: typer.Typer) -> None:
    made = issuer.load(Path("data"), create=True)
    ends = []
    for minutes in ("10", "70"):
        result = runner.invoke(app, ["--organisation", "demo", "--role", "ehr", "--minutes", minutes])
        ends.append((await tokens.verify(result.stdout.strip(), made.trusted())).expires)
    assert ends[1] - ends[0] == pytest.approx(3600, abs=5)


async def test_another_folder(app: typer.Typer, tmp_path: Path) -> None:
    made = issuer.load(tmp_path / "elsewhere", create=True)
    issuer.load(Path("data"), create=True)
    result = runner.invoke(app, ["--organisation", "demo", "--role", "ehr", "--data", str(tmp_path / "elsewhere")])
    assert (await tokens.verify(result.stdout.strip(), made.trusted())).role == "ehr"


def test_key_is_made_only_where_the_issuer_is_on(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not exist" in refusal(app, "--organisation", "demo", "--role", "ehr")
    assert not Path("data").exists()
    monkeypatch.setenv("FATHOMLINE_DEVELOPMENT_ISSUER", "true")
    assert runner.invoke(app, ["--organisation", "demo", "--role", "ehr"]).exit_code == 0
    assert Path("data", issuer.FILE_NAME).exists()


def test_unknown_role(app: typer.Typer) -> None:
    issuer.load(Path("data"), create=True)
    assert "ehr, clinician, researcher, admin" in refusal(app, "--organisation", "demo", "--role", "owner")


def test_impossible_organisation(app: typer.Typer) -> None:
    issuer.load(Path("data"), create=True)
    assert "slug" in refusal(app, "--organisation", "De mo", "--role", "ehr")


@pytest.mark.parametrize("arguments", [[], ["--role", "ehr"], ["--organisation", "demo"], ["--minutes", "0"]])
def test_usage(app: typer.Typer, arguments: list[str]) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert not result.stdout
