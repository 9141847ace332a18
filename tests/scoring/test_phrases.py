"""Languages: each says everything, and loses nothing of what is filled in."""

from __future__ import annotations

from datetime import date

import pytest
import yaml

import instruments
from scoring.phrases import ENGLISH, FOLDER, LANGUAGES, language, places
from scoring.progress import REASONS, progress
from scoring.progress_words import CATEGORIES, direction, expectation, headline, summary
from tests.scoring.test_progress import FSFI, measured, series

OTHERS = [tag for tag in LANGUAGES if tag != "en"]


def test_there_are_at_least_these() -> None:
    assert {"en", "de"} <= set(LANGUAGES)


@pytest.mark.parametrize("tag", OTHERS)
class TestLanguage:
    def test_every_phrase_is_there_and_no_other(self, tag: str) -> None:
        assert language(tag).phrases.keys() == ENGLISH.phrases.keys()

    def test_no_place_is_lost(self, tag: str) -> None:
        differ = {
            key: (places(phrase), places(ENGLISH.phrases[key]))
            for key, phrase in language(tag).phrases.items()
            if places(phrase) != places(ENGLISH.phrases[key])
        }
        assert differ == {}

    def test_is_translated(self, tag: str) -> None:
        """Few phrases of more than one word are the same in two languages."""
        same = [key for key, phrase in language(tag).phrases.items() if phrase == ENGLISH.phrases[key]]
        assert len(same) < 12, same

    def test_is_not_reviewed(self, tag: str) -> None:
        assert not language(tag).reviewed

    def test_sentences(self, tag: str) -> None:
        """Everything that can be said of a series is said, with nothing left in braces and nothing in English."""
        spoken = language(tag)
        found = [
            progress(FSFI, "total", [*series(*values), measured(3.0, day=50, valid=False)])
            for values in ((), (16.2,), (16.2, 28.4), (10, 20), (16, 15), (20, 20), (20, 5), (30, 20), (None, None))
        ]
        found.append(progress(instruments.load("iief-5"), "total", series(9, 18, variant="standard")))
        found.append(progress(instruments.load("sdi-2"), "dyadic", series(30, 41, variant="dyadic-9")))
        for one in found:
            said = " ".join([summary(one, spoken), headline(one, spoken), direction(one, spoken)])
            assert "{" not in said
            assert said != " ".join([summary(one), headline(one), direction(one)])


def test_no_key_is_given_twice() -> None:
    for tag in LANGUAGES:
        lines = (FOLDER / f"{tag}.yaml").read_text(encoding="utf-8").splitlines()
        keys = [line.split(":")[0] for line in lines if line.startswith("  ")]
        assert len(keys) == len(set(keys)) == len(yaml.safe_load("\n".join(lines))["phrases"])


def test_unknown_language() -> None:
    with pytest.raises(KeyError):
        language("../en")


def test_numbers_and_days_are_those_of_the_language() -> None:
    german = language("de")
    found = progress(FSFI, "total", series(16.2, 28.4))
    assert "12,2 Punkte besser als zu Beginn" in summary(found, german)
    assert "16,2 am 5. Jan. 2026" in summary(found, german)
    assert german.day(date(2026, 10, 9)) == "9. Okt. 2026"
    assert ENGLISH.day(date(2026, 9, 9)) == "9 Sept 2026"
    assert german.months[2] == "März"
    assert (german.points(1), german.points(1.5), german.points(0)) == ("1 Punkt", "1,5 Punkte", "0 Punkte")


def test_what_is_said_of_data_has_phrases() -> None:
    """Codes that data hold: each of them can be said."""
    needed = {f"left-out.{reason}" for reason in REASONS} | {f"headline.{one}" for one in CATEGORIES}
    needed |= {f"expected.{status}" for status in ("on-track", "watch", "not-on-track")}
    assert needed <= ENGLISH.phrases.keys()


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (None, ""),
        ({"available": False, "code": "no-reference", "reason": "invented"}, ""),
        ({"available": True, "status": None}, ""),
        ({"available": True, "status": "on-track"}, "On track for what was expected."),
        ({"available": True, "status": "not-on-track"}, "Not on track, outside what was expected on the worse side."),
    ],
)
def test_expectation(expected: dict[str, object] | None, said: str) -> None:
    assert expectation(expected) == said
