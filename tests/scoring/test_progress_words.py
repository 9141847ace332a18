"""The sentence that a clinician reads."""

from __future__ import annotations

from pathlib import Path

import pytest

import instruments
from instruments.loader import read_file
from scoring.progress import progress
from scoring.progress_words import direction, headline, how_often, left_out, summary, unchecked
from tests.scoring.test_progress import CUTOFF, FSFI, PHQ_9, invented, measured, series


@pytest.mark.parametrize(
    ("values", "words", "sentence"),
    [
        (
            (16.2, 28.4),
            "recovered",
            "Recovered: 12.2 points better than at the start, and from the clinical to the functional side of the "
            "cutoff 26.74 (16.2 on 5 Jan 2026, 28.4 on 19 Jan 2026). That is more than measurement error "
            "(8.36 points); error alone gives a change this large less than once in 100.",
        ),
        (
            (10, 20),
            "improved",
            "Improved: 10 points better than at the start (10 on 5 Jan 2026, 20 on 19 Jan 2026). That is more than "
            "measurement error (8.36 points); error alone gives a change this large 2 times in 100.",
        ),
        (
            (16.2, 15.2),
            "no reliable change",
            "No reliable change: 1 point worse than at the start (16.2 on 5 Jan 2026, 15.2 on 19 Jan 2026). That is "
            "within measurement error (8.36 points); error alone gives a change this large 81 times in 100.",
        ),
        (
            (20, 20),
            "no reliable change",
            "No reliable change: the same as at the start (20 on 5 Jan 2026, 20 on 19 Jan 2026). Only more than "
            "8.36 points would be a reliable change.",
        ),
        (
            (20, 5),
            "worse",
            "Worse: 15 points worse than at the start (20 on 5 Jan 2026, 5 on 19 Jan 2026). That is more than "
            "measurement error (8.36 points); error alone gives a change this large less than once in 1000.",
        ),
        (
            (30, 20),
            "worse, now clinical",
            "Worse: 10 points worse than at the start, and from the functional to the clinical side of the cutoff "
            "26.74 (30 on 5 Jan 2026, 20 on 19 Jan 2026). That is more than measurement error (8.36 points); error "
            "alone gives a change this large 2 times in 100.",
        ),
        ((), "", "No measurement yet."),
        (
            (16.2,),
            "",
            "One usable measurement: 16.2 on 5 Jan 2026, on the clinical side of the cutoff 26.74. "
            "Change needs a second one.",
        ),
        ((None, None), "", "No usable measurement yet. Not used: 2 (no score)."),
    ],
)
def test_fsfi(values: tuple[float | None, ...], words: str, sentence: str) -> None:
    found = progress(FSFI, "total", series(*values))
    assert (headline(found), summary(found)) == (words, sentence)


def test_lower_is_better() -> None:
    found = progress(PHQ_9, "total", series(18, 7, variant="prorated"))
    assert summary(found).startswith("Recovered: 11 points better than at the start, and from the clinical to the ")
    assert direction(found) == "lower is better"


def test_began_functional_and_ended_on_the_cutoff() -> None:
    """Harmed without a norm: the published cutoff is named."""
    found = progress(invented(cutoffs=[CUTOFF | {"at_least": 10}]), "total", series(2, 10, variant="prorated"))
    assert "from the functional to the clinical side of the cutoff 10 " in summary(found)


def test_on_the_cutoff() -> None:
    norm = {"scale": "total", "sample": "invented", "source": "invented", "evidence": "derived", "sd": 5}
    norms = [
        {**norm, "id": "a", "population": "clinical", "mean": 15},
        {**norm, "id": "b", "population": "functional", "mean": 5},
    ]
    parameters = PHQ_9.progress[0].model_dump() | {"clinical": "a", "functional": "b"}
    found = progress(invented(norms=norms, progress=[parameters]), "total", series(10, variant="prorated"))
    assert "10 on 5 Jan 2026, exactly on the cutoff 10. Change" in summary(found)


def test_no_parameters() -> None:
    found = progress(instruments.load("iief-5"), "total", series(9, 18, variant="standard"))
    assert (headline(found), summary(found)) == (
        "",
        "9 points better than at the start (9 on 5 Jan 2026, 18 on 19 Jan 2026). "
        "Whether that is more than measurement error is not known for this scale.",
    )


def test_what_was_amended() -> None:
    found = progress(FSFI, "total", [*series(10), measured(20, day=14, amended=True)])
    assert summary(found).endswith("Amended after recording: 1.")


def test_no_cutoff() -> None:
    gmsex = instruments.load("gmsex")
    found = progress(gmsex, "total", series(9, variant="sum"))
    assert summary(found) == (
        "One usable measurement: 9 on 5 Jan 2026. Change needs a second one. "
        "From memory, to be checked: the measurement error."
    )
    found = progress(gmsex, "total", series(9, 30, variant="sum"))
    assert summary(found).startswith("Improved: 21 points better than at the start (9 on 5 Jan 2026, 30 on ")


@pytest.mark.parametrize(("after", "moved"), [(41, "11 points higher"), (29, "1 point lower"), (30, "The same as")])
def test_no_direction(after: float, moved: str) -> None:
    found = progress(instruments.load("sdi-2"), "dyadic", series(30, after, variant="dyadic-9"))
    assert summary(found).startswith(moved)
    assert "better" not in summary(found)
    assert direction(found) == "higher is neither better nor worse"


@pytest.mark.parametrize(
    ("code", "scale", "unsure"),
    [
        ("iief-15", "erectile_function", "the measurement error"),
        ("iief-15", "sexual_desire", "the measurement error, the cutoff"),
        ("fsds-r", "total", "the cutoff"),
        ("fsfi-6", "total", "how the scale is scored"),
        ("fsfi", "total", ""),
    ],
)
def test_what_rests_on_memory_is_said(code: str, scale: str, unsure: str) -> None:
    instrument = instruments.load(code)
    found = progress(instrument, scale, series(9, 8, variant=instrument.variant_ids[0]))
    assert unchecked(found) == unsure
    assert summary(found).endswith(f" From memory, to be checked: {unsure}.") == bool(unsure)
    assert unchecked(progress(instrument, scale, [])) == "", "nothing is judged yet"


def test_skip_from_memory_is_said() -> None:
    lamp = read_file(Path(__file__).parent.parent / "definitions_good" / "lamp-6@2.yaml")
    given = [measurement._replace(version=lamp.version) for measurement in series(9, 8, variant="five")]
    found = progress(lamp, "ease", given)
    assert unchecked(found) == "what unanswered items count with after a skip"


def test_variant_from_memory_is_said_where_it_made_a_score_up() -> None:
    given = series(12, 11, variant="prorated")
    assert "From memory" not in summary(progress(PHQ_9, "total", given))
    given[0] = given[0]._replace(status="prorated")
    said = summary(progress(PHQ_9, "total", given))
    assert "(12 prorated on 5 Jan 2026, 11 on 19 Jan 2026)" in said
    assert said.endswith("From memory, to be checked: how unanswered items are made up for.")
    ignored = [given[0]._replace(valid=False), *given[1:]]
    assert "From memory" not in summary(progress(PHQ_9, "total", ignored))


def test_what_was_left_out() -> None:
    given = [*series(16.2, 28.4), measured(3.0, day=1, valid=False), measured(4.0, day=2, valid=False)]
    given += [measured(3.0, day=3, version=2), measured(3.0, day=4, variant="prorated")]
    found = progress(FSFI, "total", given)
    assert left_out(found) == "2 (validity rule failed), 1 (another version), 1 (another variant)"
    assert summary(found).endswith(f" Not used: {left_out(found)}.")


@pytest.mark.parametrize(
    ("p_value", "words"),
    [
        (0.0, "less than once in 1000"),
        (0.00099, "less than once in 1000"),
        (0.001, "less than once in 100"),
        (0.00999, "less than once in 100"),
        (0.01, "once in 100"),
        (0.0149, "once in 100"),
        (0.016, "2 times in 100"),
        (0.994, "99 times in 100"),
        (0.996, "more than 99 times in 100"),
        (1.0, "always"),
    ],
)
def test_how_often(p_value: float, words: str) -> None:
    assert how_often(p_value) == words
