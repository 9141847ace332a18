"""What `deploy/` brings: the entry point hands on secrets from files, and the composition fits what is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
SHOW = 'echo "[$DATABASE_URL] [${DATABASE_OWNER_URL-unset}] [${DATABASE_URL_FILE-unset}]"'


def enter(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": "/usr/bin:/bin"} | environment
    script = DEPLOY / "entrypoint.sh"
    return subprocess.run([script, *command], env=given, capture_output=True, text=True, check=False, timeout=10)


def test_a_secret_comes_from_its_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://a:b $(id) 'c'@db/x\n")
    seen = enter("sh", "-c", SHOW, DATABASE_URL_FILE=str(secret))
    assert seen.stdout == "[postgresql://a:b $(id) 'c'@db/x] [unset] [unset]\n"


def test_without_files_the_command_runs_as_it_is() -> None:
    assert enter("sh", "-c", SHOW, DATABASE_URL="given").stdout == "[given] [unset] [unset]\n"
    assert enter("sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize("name", ["DATABASE_URL_FILE", "DATABASE_OWNER_URL_FILE"])
def test_a_file_that_cannot_be_read_is_named(name: str) -> None:
    refused = enter("sh", "-c", "echo started", **{name: "/nowhere/url"})
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "/nowhere/url" in refused.stderr


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets")))


def make_secrets(folder: Path) -> dict[str, str]:
    subprocess.run([folder / "make-secrets.sh"], check=True, capture_output=True, timeout=10)
    return {path.name: path.read_text() for path in (folder / "secrets").iterdir()}


def test_secrets_are_made_once_random_and_behind_a_closed_folder(copied: Path) -> None:
    made = make_secrets(copied)
    assert make_secrets(copied) == made
    assert (copied / "secrets").stat().st_mode & 0o777 == 0o700
    assert len(made["master_key"]) == 64
    assert len(set(made.values())) == len(made)
    assert f":{made['service_password']}@" in made["database_url"]
    assert f":{made['owner_password']}@" in made["database_owner_url"]


def composition() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return read


def test_the_composition_names_files_that_there_are(copied: Path) -> None:
    make_secrets(copied)
    whole = composition()
    for secret in whole["secrets"].values():
        assert (copied / secret["file"]).is_file()
    for service in whole["services"].values():
        assert set(service.get("secrets", ())) <= whole["secrets"].keys()
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in whole["volumes"] or (copied / source).is_file()


def test_the_worker_works_on_the_migrated_database_and_can_sign_and_deliver() -> None:
    worker = composition()["services"]["worker"]
    assert worker["command"] == ["fathomline", "worker"]
    assert worker["secrets"] == ["database_url", "master_key"]
    assert worker["networks"] == ["inside", "outside"]
    assert worker["environment"]["FATHOMLINE_MASTER_KEY_FILE"] == "/run/secrets/master_key"
    assert composition()["services"]["service"]["environment"]["FATHOMLINE_WORKER"] == "none"
    assert worker["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_only_the_migration_knows_the_owner() -> None:
    services = composition()["services"]
    assert {name for name, each in services.items() if "database_owner_url" in each.get("secrets", ())} == {"migrate"}
    assert "owner_password" not in services["service"]["secrets"]
    assert services["service"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    for name in ("migrate", "service", "worker"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
