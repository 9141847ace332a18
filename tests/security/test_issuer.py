"""The development issuer: its key file, and tokens that the verifier takes for no other organisation."""

from __future__ import annotations

import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.security import issuer, tokens
from api.security.keys import read_key_set


async def test_token_is_accepted_for_its_organisation(tmp_path: Path) -> None:
    made = issuer.load(tmp_path, create=True)
    found = await tokens.verify(made.token(organisation="demo", role="ehr", subject="me", minutes=5), made.trusted())
    assert (found.organisation, found.subject, found.role) == ("demo", "me", "ehr")


async def test_token_of_another_data_folder_is_refused(tmp_path: Path) -> None:
    made, other = (issuer.load(tmp_path / name, create=True) for name in ("a", "b"))
    with pytest.raises(tokens.TokenRefused, match="unknown key"):
        await tokens.verify(made.token(organisation="demo", role="ehr"), other.trusted())


async def test_expired_token_is_refused(tmp_path: Path) -> None:
    made = issuer.load(tmp_path, create=True)
    with pytest.raises(tokens.TokenRefused, match="expired"):
        await tokens.verify(made.token(organisation="demo", role="ehr", minutes=-5), made.trusted())


@pytest.mark.parametrize(
    "name", ["", "demo", "urn:fathomline:development:", "urn:fathomline:development:De mo", "x:demo"]
)
def test_other_names_are_not_this_issuer(tmp_path: Path, name: str) -> None:
    assert issuer.load(tmp_path, create=True).trusted()(name) is None


def test_key_is_kept_and_private(tmp_path: Path) -> None:
    first, second = (issuer.load(tmp_path / "data", create=True) for _ in range(2))
    assert first.key_set() == second.key_set()
    path = tmp_path / "data" / issuer.FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [issuer.FILE_NAME], "no draft is left behind"


def test_private_half_is_shown_nowhere(tmp_path: Path) -> None:
    made = issuer.load(tmp_path, create=True)
    secret = json.loads((tmp_path / issuer.FILE_NAME).read_text())["d"]
    assert secret not in json.dumps(made.key_set())
    assert "PRIVATE" not in repr(made)
    assert secret not in repr(made)
    assert list(read_key_set(made.key_set())) == [made.key_id]


def test_of_several_at_once_one_makes_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: issuer.load(tmp_path, create=True).key_id, range(16)))
    assert len(set(made)) == 1


class TestRefused:
    def test_no_key(self, tmp_path: Path) -> None:
        with pytest.raises(issuer.IssuerError, match="does not exist"):
            issuer.load(tmp_path, create=False)
        assert not list(tmp_path.iterdir())

    def test_others_may_read_it(self, tmp_path: Path) -> None:
        issuer.load(tmp_path, create=True)
        (tmp_path / issuer.FILE_NAME).chmod(0o640)
        with pytest.raises(issuer.IssuerError, match="chmod 600"):
            issuer.load(tmp_path, create=True)

    @pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"x": "AA", "y": "AA", "d": "AA", "kid": "a"}', "\x00"])
    def test_not_a_key(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / issuer.FILE_NAME
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(issuer.IssuerError, match="no usable key"):
            issuer.load(tmp_path, create=True)

    def test_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(issuer.IssuerError, match=re.escape(f"cannot write {tmp_path / 'file'}{os.sep}")):
            issuer.load(tmp_path / "file", create=True)

    @pytest.mark.parametrize("slug", ["", "De", "a b", "-a", "a" * 64, "a\n"])
    def test_organisation_that_cannot_be_a_slug(self, tmp_path: Path, slug: str) -> None:
        with pytest.raises(issuer.IssuerError, match="slug"):
            issuer.load(tmp_path, create=True).token(organisation=slug, role="ehr")
