"""What variants change in a definition, and what the loader can only refuse in plain data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from instruments.loader import read_definition, read_file
from instruments.schema import Instrument, Item

GOOD = Path(__file__).parent.parent / "definitions_good" / "lamp-6@2.yaml"


@pytest.fixture(scope="module")
def lamp() -> Instrument:
    return read_file(GOOD)


def test_an_item_is_printed_as_its_variant_says(lamp: Instrument) -> None:
    five, seven = lamp.items_under("five"), lamp.items_under("seven")
    assert five == lamp.items
    assert (five[0].options[-1], seven[0].options[-1]) == (4, 6)
    assert seven[2].substantive == (0, 1, 2, 3, 4, 5, 6)
    assert seven[3] is five[3]
    assert lamp.items_under("seven") is seven, "made once"


@pytest.mark.parametrize(
    ("changed", "score_of"),
    [
        ({"reverse": True}, {0: 2, 1: 1, 2: 0}),
        ({"scored": {0: 5, 1: 6, 2: 7}}, {0: 5, 1: 6, 2: 7}),
        ({"options": [0, 1]}, {0: 0, 1: 1}),
        ({"options": [1, 2, 3], "reverse": True}, {1: 3, 2: 2, 3: 1}),
    ],
)
def test_a_variant_changes_what_it_gives_and_nothing_else(changed: dict[str, Any], score_of: dict[int, int]) -> None:
    item = Item.model_validate({"id": "1", "topic": "t", "options": [0, 1, 2], "variants": {"other": changed}})
    assert item.under("other").score_of == score_of
    assert item.under("other").variants == {}
    assert item.under("standard") is item


def test_rules_from_memory_are_named_under_the_variants_that_they_hold_for(lamp: Instrument) -> None:
    assert lamp.needs_review == ("skip unlit", "caseness uneasy", "cutoff high-seven")
    assert lamp.review_of("five") == ("skip unlit", "caseness uneasy")
    assert lamp.review_of("seven") == ("skip unlit", "cutoff high-seven")


FIRST = "topic: lamps lit at all, options: [0, 1, 2, 3, 4]"
ALIKE = {
    "bands and cutoffs alone": ("", "", True),
    "options": (FIRST, f"{FIRST}, variants: {{seven: {{options: [0, 1, 2, 3, 4, 5]}}}}", False),
    "the order in print": (FIRST, f"{FIRST}, variants: {{seven: {{options: [4, 3, 2, 1, 0]}}}}", True),
    "what an option is worth": (FIRST, f"{FIRST}, variants: {{seven: {{reverse: true}}}}", False),
    "a scale": (
        "missing: {rule: all}",
        "missing: {rule: all}\n    variants: {seven: {offset: 1, min: 2, max: 5}}",
        False,
    ),
    "a skip": ("answer: 0, source", "answer: 0, variants: [five], source", False),
    "a skip under both": ("answer: 0, source", "answer: 0, variants: [seven, five], source", True),
}


@pytest.mark.parametrize(("old", "new", "alike"), ALIKE.values(), ids=ALIKE)
def test_variants_score_alike_where_items_skips_and_scales_are_alike(old: str, new: str, alike: bool) -> None:
    """From a definition whose variants differ in bands, cutoffs and rules only."""
    text = re.sub(r"^    variants: .*\n|, variants: \{seven: \{options: [^}]*\}\}", "", GOOD.read_text(), flags=re.M)
    assert old in text
    made = read_definition(text.replace(old, new, 1))
    assert made.scored_alike("five", "seven") is alike
    assert made.scored_alike("seven", "five") is alike
    assert made.scored_alike("seven", "five") is alike, "from what is kept"
    assert made.scored_alike("five", "five")
