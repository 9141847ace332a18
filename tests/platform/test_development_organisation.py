"""The development issuer has an organisation to speak for, also in an empty service."""

from __future__ import annotations

from pathlib import Path

from api.settings import IssuerSettings, Settings
from api.startup import organisations

ISSUER = IssuerSettings(issuer="https://id.example", organisation="north", audience="a", jwks={"keys": []})


def test_without_the_development_issuer_only_the_issuers_organisations_are_made(tmp_path: Path) -> None:
    assert organisations(Settings(data=tmp_path, issuers=(ISSUER,), development_issuer=False)) == ["north"]


def test_with_it_there_is_one_more(tmp_path: Path) -> None:
    assert organisations(Settings(data=tmp_path, issuers=(ISSUER,), development_issuer=True)) == ["north", "demo"]
