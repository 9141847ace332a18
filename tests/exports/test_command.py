"""`fathomline export` and `fathomline import` of an archive, as they are run."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from api.security.envelope import is_sealed
from tests.api.people import People
from tests.cli.command import CommandLine, Outcome
from tests.conftest import MASTER_KEY, Tenant, Urls
from tests.exports.conftest import OTHER_KEY
from tests.exports.practice import lived

Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command on a database, under a master key, in a folder of the test's own."""
    command = CommandLine(monkeypatch, capsys)
    monkeypatch.chdir(tmp_path)

    def ran(urls: Urls, *arguments: str, key: str = MASTER_KEY) -> Outcome:
        monkeypatch.setenv("DATABASE_URL", urls.service)
        monkeypatch.setenv("DATABASE_OWNER_URL", urls.owner)
        monkeypatch.setenv("FATHOMLINE_MASTER_KEY", key)
        monkeypatch.setattr("sys.stdin", io.StringIO())
        return command(*arguments)

    return ran


async def test_an_organisation_moves_to_another_installation(
    people: People, tenant: Tenant, database: Urls, fresh_database: Urls, tmp_path: Path, run: Run
) -> None:
    await lived(people)
    (tmp_path / "words").write_text("a lamp by the window\nand not this line\n")
    (tmp_path / "other").write_text("a lamp by the door\n")
    asked = ("export", "--organisation", tenant.slug)
    taking = ("import", "all.fathomline", "--organisation", "moved", "--passphrase-file")

    def move() -> None:  # beside the test's event loop: the command has one of its own
        done = run(database, *asked, "-o", "all.fathomline", "--passphrase-file", "words")
        assert (done.status, done.out, done.err) == (0, "", "")
        assert is_sealed((tmp_path / "all.fathomline").read_bytes()[:25])
        wrong = run(fresh_database, *taking, "other", key=OTHER_KEY)
        assert wrong.status == 2
        assert wrong.err == "fathomline: the passphrase is not the one that the file was sealed under\n"
        taken = run(fresh_database, *taking, "words", key=OTHER_KEY)
        assert (taken.status, taken.err) == (0, "")
        assert taken.out.startswith("taken into moved and found equal: ")
        again = run(fresh_database, *taking, "words", key=OTHER_KEY)
        assert again.status == 2
        assert "the organisation is not empty" in again.err
        here = run(database, *asked, "--checksums").out.splitlines()
        there = run(fresh_database, "export", "--organisation", "moved", "--checksums", key=OTHER_KEY)
        different = set(here) ^ set(there.out.splitlines())
        assert {line.split()[-1] for line in different} == {"audit_event"}  # it tells that this was taken in
        unreadable = run(fresh_database, "export", "--organisation", "moved", "--checksums")
        assert unreadable.status == 2
        assert "master key" in unreadable.err

    await asyncio.to_thread(move)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "x"), "no passphrase: give --passphrase-file, or --plain"),
        (("-o", "x", "--plain", "--passphrase-file", "words"), "a plain file has no passphrase"),
        (("-o", "x", "--passphrase-file", "short"), "a passphrase has at least 12 characters"),
        (("-o", "x", "--passphrase-file", "missing"), "cannot read the passphrase from missing"),
        (("-o", "no/such/folder/x", "--plain"), "cannot be written"),
        (("-o", "x", "--checksums"), "give either --output FILE or --checksums"),
        ((), "give either --output FILE or --checksums"),
        (("-o", "x", "--plain", "--organisation", "nobody"), "there is no organisation 'nobody' in this database"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(
    database: Urls, tenant: Tenant, tmp_path: Path, run: Run, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "words").write_text("a lamp by the window")
    (tmp_path / "short").write_text("lamp")
    done = run(database, "export", "--organisation", tenant.slug, *arguments)
    assert done.status == 2
    assert words in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "x").exists()
