"""Settings: no secret has a default, and contradictions are refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from api.settings import Settings, SettingsError
from api.startup import derived_keys
from tests.conftest import MASTER_KEY

ISSUER = {"issuer": "https://i.example", "organisation": "clinic", "audience": "fathomline", "jwks": {"keys": []}}


def made(**given: object) -> Settings:
    """Settings of nothing but what is given."""
    return Settings(_env_file=None, **given)


def test_without_a_master_key_it_refuses_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"set FATHOMLINE_MASTER_KEY .* or FATHOMLINE_MASTER_KEY_FILE"):
        made(data=tmp_path).require_master_key()
    assert list(tmp_path.iterdir()) == []


def test_a_generated_master_key_is_private_and_stays(tmp_path: Path) -> None:
    settings = made(data=tmp_path / "data", generate_master_key=True)
    with ThreadPoolExecutor(8) as pool:
        keys = {key.get_secret_value() for key in pool.map(lambda _: settings.require_master_key(), range(8))}
    assert len(keys) == 1
    file = tmp_path / "data" / "master.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file], "no draft is left"


def test_a_given_master_key_is_not_generated(tmp_path: Path) -> None:
    settings = made(data=tmp_path, generate_master_key=True, master_key=SecretStr(MASTER_KEY))
    assert settings.require_master_key().get_secret_value() == MASTER_KEY
    assert list(tmp_path.iterdir()) == []


def test_a_master_key_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(MASTER_KEY + "\n")
    assert made(master_key_file=file).require_master_key().get_secret_value() == MASTER_KEY


def test_the_previous_master_key_from_either_place(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(MASTER_KEY + "\n")
    assert made().previous_master_key() is None
    for given in ({"master_key_previous_file": file}, {"master_key_previous": SecretStr(MASTER_KEY)}):
        found = made(**given).previous_master_key()
        assert found is not None
        assert found.get_secret_value() == MASTER_KEY
    with pytest.raises(SettingsError, match="No such file"):
        made(master_key_previous_file=tmp_path / "none").previous_master_key()


def test_the_same_key_twice_is_no_rotation() -> None:
    key = SecretStr(MASTER_KEY)
    with pytest.raises(SettingsError, match="the same as the present"):
        derived_keys(made(master_key=key, master_key_previous=key))


@pytest.mark.parametrize(
    ("content", "because"), [(b"short", "fewer than"), (b"\xff" * 64, "not UTF-8"), (None, "No such file")]
)
def test_an_unusable_key_file_is_refused_without_showing_it(
    tmp_path: Path, content: bytes | None, because: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=because) as caught:
        made(master_key_file=file).require_master_key()
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"smallest_cell": 4},
        {"max_body": 10},
        {"port": 70_000},
        {"log_level": "loud"},
        {"master_key": "short"},
        {"master_key": MASTER_KEY, "master_key_file": "key"},
        {"master_key_previous": "short"},
        {"master_key_previous": MASTER_KEY, "master_key_previous_file": "key"},
        {"log_days": -1},
        {"issuers": [ISSUER | {"algorithms": ["HS256"]}]},
        {"issuers": [ISSUER | {"algorithms": ["none"]}]},
        {"issuers": [ISSUER | {"algorithms": []}]},
        {"issuers": [ISSUER | {"jwks": None}]},
        {"issuers": [ISSUER | {"jwks_uri": "https://i.example/jwks"}]},
        {"issuers": [ISSUER | {"organisation": "Not A Slug"}]},
        {"issuers": [ISSUER | {"role": "admin"}]},
    ],
)
def test_unusable_values_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        made(**given)


def test_they_come_from_the_environment_and_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOMLINE_SMALLEST_CELL", "20")
    monkeypatch.setenv("DATABASE_URL", "postgresql://s:hunter2@db/x")
    monkeypatch.setenv("FATHOMLINE_ISSUERS", json.dumps([ISSUER]))
    settings = made()
    assert (settings.smallest_cell, settings.issuers[0].organisation) == (20, "clinic")
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value().endswith("@db/x")
    assert "hunter2" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.smallest_cell = 5  # type: ignore[misc]  # what is tested


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
