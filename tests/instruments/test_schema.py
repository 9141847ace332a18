"""What a definition offers to scoring."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from instruments.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    CountCondition,
    ItemCondition,
    NotOf,
    ScaleCondition,
    leaves,
)
from instruments.loader import read_definition, read_file
from instruments.schema import Instrument, Item

GOOD = Path(__file__).parent.parent / "definitions_good" / "lamp-3@1.yaml"


@pytest.fixture(scope="module")
def lamp() -> Instrument:
    return read_file(GOOD)


def test_what_each_option_scores(lamp: Instrument) -> None:
    one, _, three, four = lamp.items
    assert one.score_of == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}
    assert three.score_of == {0: 4, 1: 3, 2: 2, 3: 1, 4: 0}
    assert four.score_of == {0: 0, 1: 2, 2: 4}
    assert four.substantive == (0, 1, 2)


def test_a_reversed_item_leaves_its_not_applicable_zero_alone() -> None:
    zero = {"value": 0, "meaning": "no-activity"}
    options = {"id": "1", "topic": "t", "options": (0, 1, 2, 3), "reverse": True}
    scored = Item.model_validate(options | {"not_applicable": ({**zero, "scored": True},)})
    left_out = Item.model_validate(options | {"not_applicable": ({**zero, "scored": False},)})
    assert scored.score_of == {0: 0, 1: 3, 2: 2, 3: 1}
    assert left_out.score_of == {1: 3, 2: 2, 3: 1}


def test_the_rule_of_a_variant_is_the_rule_with_its_changes(lamp: Instrument) -> None:
    ease = lamp.scale("ease")
    assert ease.rule_for("strict").missing.min_answered is None
    changed = ease.rule_for("prorated")
    assert (changed.missing.rule, changed.missing.min_answered, changed.parts) == ("prorate", 2, ("1", "2", "3"))
    assert lamp.scale("total").parts == ("ease", "lamps")
    assert lamp.scale("lamps").rule_for("prorated") == lamp.scale("lamps").rule_for("strict")


def test_the_first_variant_is_the_default_and_there_is_always_one(lamp: Instrument) -> None:
    assert lamp.variant_ids == ("strict", "prorated")
    text = GOOD.read_text().replace("    variants: {prorated: {missing: {rule: prorate, min_answered: 2}}}\n", "")
    start, end = text.index("variants:\n"), text.index("items:\n")
    assert read_definition(text[:start] + text[end:]).variant_ids == ("standard",)


def test_rules_from_memory_are_named_for_review(lamp: Instrument) -> None:
    assert lamp.needs_review == ("scale total", "caseness uneasy")


@pytest.mark.parametrize(
    ("member", "index", "name"),
    [
        ("validity", 0, "validity dark"),
        ("alerts", 0, "alert worry"),
        ("cutoffs", 0, "cutoff low"),
        ("bands", 0, "bands set-a"),
        ("bands", 1, None),  # a set that no result uses
        ("norms", 0, None),  # a figure for progress, which has its evidence beside it there
    ],
)
def test_what_a_result_says_from_memory_is_named(lamp: Instrument, member: str, index: int, name: str | None) -> None:
    content = lamp.model_dump(by_alias=True)
    content[member][index]["evidence"] = "memory"
    made = Instrument.model_validate(content)
    assert set(made.needs_review) - set(lamp.needs_review) == ({name} if name else set())


def test_a_cutoff_that_is_listed_only_is_not_named(lamp: Instrument) -> None:
    content = lamp.model_dump(by_alias=True)
    content["cutoffs"][0].update(evidence="memory", primary=False)
    assert Instrument.model_validate(content).needs_review == lamp.needs_review


def test_a_variant_from_memory_is_named_for_its_own_results_only(lamp: Instrument) -> None:
    content = lamp.model_dump(by_alias=True)
    content["variants"][1]["evidence"] = "memory"
    made = Instrument.model_validate(content)
    assert made.needs_review == made.review_of("prorated") == ("variant prorated", "scale total", "caseness uneasy")
    assert made.review_of("strict") == ("scale total", "caseness uneasy")


def test_an_unknown_scale_is_a_key_error(lamp: Instrument) -> None:
    with pytest.raises(KeyError):
        lamp.scale("joy")


def test_the_checksum_is_of_the_content_and_not_of_the_layout(lamp: Instrument) -> None:
    text = GOOD.read_text()
    assert read_definition(
        "# a remark\n" + text.replace("{id: day, organs: [eye]}", "id: day\n    organs: [eye]")
    ).checksum == (lamp.checksum)
    assert read_definition(text.replace("feeling rested", "feeling slept")).checksum != lamp.checksum
    assert len(lamp.checksum) == 64


def test_a_definition_never_changes(lamp: Instrument) -> None:
    with pytest.raises(ValidationError):
        lamp.version = 2  # type: ignore[misc]  # that it cannot be set is the point
    lamp.compiled["strict"] = "kept"
    assert lamp.compiled == {"strict": "kept"}


def test_leaves_come_in_the_order_of_the_definition(lamp: Instrument) -> None:
    found = list(leaves(lamp.caseness[0].when))
    assert [type(leaf) for leaf in found] == [ScaleCondition, ItemCondition, CountCondition]


def test_conditions_can_be_built_from_models_too() -> None:
    item = ItemCondition(item="1", at_least=Decimal(2))
    tree = AllOf.model_validate({"all": [AnyOf.model_validate({"any": [item]}), NotOf.model_validate({"not": item})]})
    assert list(leaves(tree)) == [item, item]


@pytest.mark.parametrize(
    ("comparison", "name", "operand", "words"),
    [
        (Comparison(at_least=Decimal(2)), "at_least", Decimal(2), "is at least 2"),
        (Comparison(at_most=Decimal("2.5")), "at_most", Decimal("2.5"), "is at most 2.5"),
        (Comparison(above=Decimal(2)), "above", Decimal(2), "is above 2"),
        (Comparison(below=Decimal(0)), "below", Decimal(0), "is below 0"),
        (Comparison(one_of=(Decimal(0), Decimal(9))), "one_of", (Decimal(0), Decimal(9)), "is one of 0, 9"),
    ],
)
def test_a_comparison_in_words(comparison: Comparison, name: str, operand: object, words: str) -> None:
    assert (comparison.comparator, comparison.operand, comparison.in_words()) == (name, operand, words)
