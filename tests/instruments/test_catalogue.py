"""The definitions on disk, by code and version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import instruments
from instruments.catalogue import LISTED, Catalogue, NotScorable, UnknownInstrument
from instruments.loader import DefinitionError

GOOD = Path(__file__).parent.parent / "definitions_good" / "lamp-3@1.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in (1, 2, 10):
        text = GOOD.read_text().replace("version: 1\n", f"version: {version}\n")
        (tmp_path / f"lamp-3@{version}.yaml").write_text(text)
    (tmp_path / "lamp-3@draft.yaml").write_text("not a version")
    (tmp_path / "notes.yaml").write_text("not a definition")
    return tmp_path


def test_the_newest_version_is_the_one_with_the_highest_number(folder: Path) -> None:
    catalogue = Catalogue(folder)
    assert catalogue.versions == {"lamp-3": (1, 2, 10)}
    assert catalogue.get("lamp-3").version == 10
    assert catalogue.get("lamp-3") is catalogue.get("lamp-3", 10)
    assert catalogue.get("lamp-3") is catalogue.get("lamp-3")


def test_an_older_version_stays(folder: Path) -> None:
    assert Catalogue(folder).get("lamp-3", 2).version == 2


@pytest.mark.parametrize(
    ("code", "version", "words"),
    [
        ("joy", None, "there is no instrument 'joy'"),
        ("joy", 1, "there is no version 1 of 'joy'"),
        ("lamp-3", 3, "there is no version 3 of 'lamp-3'"),
        ("../lamp-3", None, "there is no instrument '../lamp-3'"),
        ("lamp-3", 0, "there is no version 0 of 'lamp-3'"),
    ],
)
def test_what_there_is_not(folder: Path, code: str, version: int | None, words: str) -> None:
    with pytest.raises(UnknownInstrument) as caught:
        Catalogue(folder).get(code, version)
    assert str(caught.value) == words
    assert (caught.value.code, caught.value.version) == (code, version)


def test_a_broken_file_breaks_nothing_but_itself(folder: Path) -> None:
    (folder / "joy@1.yaml").write_text("code: joy\n")
    catalogue = Catalogue(folder)
    assert catalogue.codes == ("joy", "lamp-3")
    assert catalogue.get("lamp-3").code == "lamp-3"
    with pytest.raises(DefinitionError):
        catalogue.get("joy")


def test_threads_share_one_definition(folder: Path) -> None:
    catalogue = Catalogue(folder)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: catalogue.get("lamp-3", 1), range(64)))
    assert all(instrument is found[0] for instrument in found)


def test_the_project_ships_what_can_be_scored_and_lists_what_cannot() -> None:
    shipped = instruments.catalogue()
    assert (len(shipped.codes), len(shipped.listed)) == (78, 11)
    assert not set(shipped.codes) & set(shipped.listed)


@pytest.mark.parametrize("version", [None, 1])
def test_what_is_listed_says_what_is_missing(version: int | None) -> None:
    with pytest.raises(NotScorable, match=r"'griss' cannot be scored\. Missing: Which items") as caught:
        instruments.load("griss", version)
    assert caught.value.listed is instruments.catalogue().listed["griss"]


def test_another_folder_lists_only_what_it_is_given(tmp_path: Path) -> None:
    assert Catalogue(tmp_path).listed == {}
    assert Catalogue(tmp_path, LISTED).listed == instruments.catalogue().listed


def test_an_instrument_is_read_once() -> None:
    assert instruments.load("fsfi") is instruments.load("fsfi", 1)


def test_no_shipped_code_begins_as_those_of_own_instruments_do() -> None:
    """Organisations' own codes begin with own-: a shipped one of that kind would hide somebody's instrument."""
    shipped = instruments.catalogue()
    assert not [code for code in (*shipped.codes, *shipped.listed) if code.startswith("own-")]
