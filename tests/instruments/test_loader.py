"""A broken definition is refused, with its line and what would be right; one broken file for each mistake."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from instruments.loader import (
    MOST_FAULTS,
    DefinitionError,
    definition_from,
    read_definition,
    read_file,
    read_listed,
    read_listed_file,
)
from instruments.reading import DEEPEST, LARGEST_FILE, MOST_VALUES

HERE = Path(__file__).parent.parent
BAD = sorted((HERE / "definitions_bad").glob("*.yaml"))
GOOD = HERE / "definitions_good" / "lamp-3@1.yaml"


def refused(text: str, file: str = "definition") -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        read_definition(text, file)
    return caught.value


@pytest.mark.parametrize("path", BAD, ids=[path.stem for path in BAD])
def test_a_mistake_is_refused_with_its_line_and_words(path: Path) -> None:
    """Each file says in its first two lines what the error must hold and which line it must name."""
    text = path.read_bytes().decode()
    expects, line, *_ = text.split("\n")
    words = expects.removeprefix("# expects: ").split("; ")
    error = refused(text, path.name)
    for part in words:
        assert part in str(error)
    assert int(line.removeprefix("# line: ")) in {fault.line for fault in error.faults}
    assert {fault.file for fault in error.faults} == {path.name}
    assert str(error).startswith(f"{path.name}:")


def test_the_same_definition_without_a_mistake_is_read() -> None:
    instrument = read_file(GOOD)
    assert (instrument.code, instrument.version) == ("lamp-3", 1)
    assert [scale.id for scale in instrument.scales] == ["ease", "lamps", "total"]


def test_a_definition_with_every_rule_family_is_read() -> None:
    instrument = read_file(GOOD.parent / "lamp-6@2.yaml")
    assert [skip.items for skip in instrument.skips] == [("2", "3")]
    assert instrument.answer_names[3:6] == ("4", "4.gate", "4.rating")
    assert instrument.languages == ("en", "pt-BR", "sr-Latn")
    assert [earlier.version for earlier in instrument.comparable_with] == [1]
    assert (instrument.norms[0].language, instrument.norms[0].country, instrument.norms[0].organs) == (
        "en",
        "GB",
        ("eye",),
    )


LISTED = """code: fog-9
name: Fog Scale (invented)
measures: Fog.
concerns: [ease]
population: Nobody.
applicability: {partner: not-needed, activity: not-needed}
recall: none
languages: [en]
citation: {authors: Nobody N, year: 2020, journal: Invented 1}
licence: {status: commercial, holder: nobody, terms: none}
missing: ["which items make which scale: in the manual, chapter 4"]
known: A total of 0 to 36.
"""


def test_an_entry_that_cannot_be_scored_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "fog-9.yaml"
    path.write_text(LISTED)
    listed = read_listed_file(path)
    assert (listed.code, listed.known) == ("fog-9", "A total of 0 to 36.")
    assert listed.missing == ("which items make which scale: in the manual, chapter 4",)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('missing: ["which items make which scale: in the manual, chapter 4"]\n', "", "'missing' is missing (add it)"),
        ('["which items make which scale: in the manual, chapter 4"]', "[]", "/missing: tuple should have at least 1"),
        ("known:", "knwon:", "unknown key 'knwon' (did you mean 'known'?)"),
        ("recall: none\n", "recall: none\nitems: []\n", "/items: unknown key 'items'"),
        ("languages: [en]", "languages: [en, en]", "languages: 'en' occurs twice"),
        ("code: fog-9", "code: Fog", "fog-9.yaml:1: /code"),
        ("code: fog-9", "code: fog-8", "rename the file to fog-8.yaml"),
        ("measures: Fog.", "measures: Fog.\nmeasures: Mist.", "the key occurs twice"),
    ],
)
def test_a_faulty_entry_is_refused_with_its_line_and_words(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "fog-9.yaml"
    assert old in LISTED
    path.write_text(LISTED.replace(old, new))
    with pytest.raises(DefinitionError) as caught:
        read_listed_file(path)
    assert words in str(caught.value)


def test_an_entry_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fog-9.yaml"
    path.write_bytes(LISTED.encode().replace(b"Nobody.", b"\xff"))
    with pytest.raises(DefinitionError, match=r"fog-9\.yaml:5: .*not UTF-8"):
        read_listed_file(path)


@pytest.mark.parametrize("tag", ["en", "pt-BR", "sr-Latn", "zh-Hant-TW", "es-419", "de-CH-1996", "sl-rozaj"])
def test_languages_are_tags(tag: str) -> None:
    assert read_listed(LISTED.replace("[en]", f"[{tag}]")).languages == (tag,)


@pytest.mark.parametrize("tag", ["EN", "english", "pt_BR", "pt-br", "e", "en-", "x-own", "en-GB-"])
def test_what_is_no_tag_in_its_usual_letters_is_refused(tag: str) -> None:
    with pytest.raises(DefinitionError, match="/languages/0"):
        read_listed(LISTED.replace("[en]", f"[{tag}]"))


def test_every_fault_is_named_at_once() -> None:
    text = GOOD.read_text().replace("recall: 2 weeks", "recal: 2 weeks").replace('items: ["1", "2", "3"]', "items: [1]")
    error = refused(text)
    assert {fault.path for fault in error.faults} == {"/recal", "/recall", "/scales/0/items/0"}


def test_every_reference_fault_is_named_at_once() -> None:
    text = (
        GOOD.read_text()
        .replace('items: ["1", "2", "3"]', 'items: ["1", "7", "8"]')
        .replace("clinical: clinic,", "clinical: moon,")
    )
    error = refused(text)
    assert [fault.path for fault in error.faults] == ["/scales/0/items/1", "/scales/0/items/2", "/progress/0/clinical"]
    assert [fault.remedy for fault in error.faults] == ["use one of 1, 2, 3, 4"] * 2 + ["use one of clinic, town"]


def test_a_reference_to_what_is_not_declared_at_all_says_so() -> None:
    instrument = yaml.safe_load(GOOD.read_text()) | {"variants": []}
    error = refused(yaml.safe_dump(instrument).replace("'", '"'))
    assert "declare it first" in str(error)


def test_a_long_list_of_choices_is_shortened() -> None:
    extra = "".join(f'  - {{id: "x{n}", topic: more, options: [0, 1]}}\n' for n in range(30))
    text = GOOD.read_text().replace("scales:\n  - id: ease", f"{extra}scales:\n  - id: ease")
    error = refused(
        text.replace('items: ["1", "2", "3"]', 'items: ["7"]').replace("min_answered: 2", "min_answered: 1")
    )
    assert "…" in str(error)
    assert "x29" not in str(error)


@pytest.mark.parametrize("word", ["no", "off", "y", "010", "12:30", "2020-01-01", "1e3", "0x10", "1_000", "=", "<<"])
def test_words_that_plain_yaml_turns_into_something_else_stay_words(word: str) -> None:
    text = GOOD.read_text().replace("topic: feeling rested", f"topic: {word}")
    assert read_definition(text).items[1].topic == word


@pytest.mark.parametrize("quoted", ['"true"', "'7'", '"null"', "|-\n      7"])
def test_what_is_quoted_is_text(quoted: str) -> None:
    text = GOOD.read_text().replace(
        '{id: "2", topic: feeling rested, options: [0, 1, 2, 3, 4]}',
        f'id: "2"\n    topic: {quoted}\n    options: [0, 1, 2, 3, 4]',
    )
    assert read_definition(text).items[1].topic in {"true", "7", "null"}


def test_a_whole_number_beyond_any_use_is_not_a_whole_number() -> None:
    assert "must be a whole number" in str(
        refused(GOOD.read_text().replace("recall_days: 14", f"recall_days: {10**30}"))
    )


def test_decimals_are_exact() -> None:
    instrument = read_definition(GOOD.read_text().replace("sd: 2.1, sd_sample", "sd: 0.1, sd_sample"))
    assert str(instrument.progress[0].sd) == "0.1"


def test_a_tag_does_not_run_anything(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    text = GOOD.read_text().replace("population: Nobody.", f'population: !!python/object/apply:os.mkdir ["{trap}"]')
    assert "must be text" in str(refused(text))
    assert not trap.exists()


def test_a_file_that_is_too_large_is_not_even_parsed() -> None:
    assert "more than" in str(refused("#" * (LARGEST_FILE + 1)))


def test_too_many_values_are_refused() -> None:
    assert str(MOST_VALUES) in str(refused("code: [" + "x," * MOST_VALUES + "]"))


@pytest.mark.parametrize("opened", [" [\n", " {a:\n", " - "])
def test_bottomless_nesting_is_refused_and_does_not_end_the_process(opened: str) -> None:
    assert f"at most {DEEPEST} levels" in str(refused("code:\n" + opened * (LARGEST_FILE // len(opened) - 10)))


@pytest.mark.parametrize("name", ["lamp-3@2.yaml", "lamp-4@1.yaml", "lamp-3.yaml", "lamp-3@01.yaml"])
def test_a_file_is_named_after_what_it_defines(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.copy(GOOD, path)
    with pytest.raises(DefinitionError, match=r"rename the file to lamp-3@1\.yaml"):
        read_file(path)


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "lamp-3@1.yaml"
    path.write_bytes(GOOD.read_bytes().replace(b"Nobody.", b"\xff"))
    with pytest.raises(DefinitionError, match=r"lamp-3@1\.yaml:6: .*not UTF-8"):
        read_file(path)


def test_plain_data_is_checked_like_a_file() -> None:
    value: dict[str, Any] = read_definition(GOOD.read_text()).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert definition_from(value) == read_definition(GOOD.read_text())
    value["scales"][0]["items"] = ["7"]
    with pytest.raises(DefinitionError, match="definition:1: /scales/0/items/0"):
        definition_from(value)


def test_pointers_escape_what_json_pointers_escape() -> None:
    assert "/a~1b~0c" in str(refused(GOOD.read_text() + "a/b~c: 1\n"))


@pytest.mark.parametrize("first", [f"- &a {'x' * 4_000}\n", f"- &a\n  ? {'x' * 4_000}\n  : 1\n"], ids=["value", "key"])
def test_a_long_text_cannot_be_multiplied_by_aliases(first: str) -> None:
    """Each alias is one value, and would be written out in full where the data is checked."""
    assert "too many values" in str(refused(first + "- *a\n" * 9_000))
    assert "too many values" not in str(refused(first + "- *a\n" * 9))


def test_a_file_of_nothing_but_faults_is_not_explained_to_its_end() -> None:
    text = "\n".join(f"unknown{number}: 1" for number in range(MOST_FAULTS + 500))
    assert len(refused(text).faults) == MOST_FAULTS
