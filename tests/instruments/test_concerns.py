"""The vocabulary of concerns and the catalogue fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

import instruments
from instruments.concerns import VOCABULARY, Concern, vocabulary

CATALOGUE = instruments.catalogue()
CONCERNS = vocabulary()
DESCRIBED = {code: CATALOGUE.get(code) for code in CATALOGUE.codes} | CATALOGUE.listed


def test_every_instrument_uses_the_vocabulary() -> None:
    unknown = {code: set(one.concerns) - set(CONCERNS) for code, one in DESCRIBED.items()}
    assert {code: names for code, names in unknown.items() if names} == {}


def test_every_concern_has_an_instrument() -> None:
    assert set(CONCERNS) == {name for one in DESCRIBED.values() for name in one.concerns}


@pytest.mark.parametrize("concern", CONCERNS.values(), ids=list(CONCERNS))
def test_what_is_recommended_can_be_scored_and_is_for_it(concern: Concern) -> None:
    for one in concern.recommended:
        assert concern.id in CATALOGUE.get(one.instrument).concerns, one.instrument
    for other in concern.otherwise:
        assert set(other.use) <= set(CATALOGUE.codes)
    named = [one.instrument for one in concern.recommended]
    assert len(set(named)) == len(named)


def test_measures_for_people_without_a_partner_need_none() -> None:
    for concern in CONCERNS.values():
        for other in concern.otherwise:
            if other.who == "people without a partner":
                needed = {code for code in other.use if CATALOGUE.get(code).applicability.partner == "needed"}
                assert not needed, concern.id


@pytest.mark.parametrize(
    "text",
    [
        "- {id: a, name: A, meaning: x, recommended: [], otherwise: []}",
        "- &a {id: a, name: A, meaning: x, recommended: [{instrument: fsfi, why: x}], otherwise: []}\n- *a",
        "- {id: a, id: b, name: A, meaning: x, recommended: [{instrument: fsfi, why: x}], otherwise: []}",
        "- {id: a, name: A, meaning: x, otherwise: []}",
    ],
    ids=["nothing-to-use", "concern-twice", "key-twice", "no-recommended"],
)
def test_a_broken_vocabulary_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / VOCABULARY.name
    broken.write_text(text, encoding="utf-8")
    monkeypatch.setattr("instruments.concerns.VOCABULARY", broken)
    with pytest.raises(ValueError, match=r"nothing|twice|Field required"):
        vocabulary.__wrapped__()
