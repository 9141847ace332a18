"""Compiling definitions: those that contradict themselves or would overflow are refused, and none becomes code."""

from __future__ import annotations

import keyword
from itertools import product
from typing import Any

import pandas as pd
import pytest
from hypothesis import given

import scoring
from instruments import DefinitionError
from instruments.loader import definition_from
from instruments.schema import Instrument
from scoring import shortcut
from scoring.engine import _complete, _flagged
from scoring.frame import FEW_RULES
from scoring.goals import LARGEST
from scoring.plan import plan_of
from scoring.progress_figures import figures
from scoring.situation import outside_flags
from tests.scoring.laws import costly
from tests.scoring.strategies import CATALOGUE, invented
from tests.scoring.worlds import instrument, item, scale, sourced


def compiled(world: Instrument) -> None:
    for variant in world.variant_ids:
        plan_of(world, variant)


ITEMS = [item("1"), item("2", (0, 1, 2, 3)), item("3")]
REFUSED = {
    "a maximum that the parts cannot give": (
        [scale("a", items=["1"], min=0, max=3)],
        "0..3, but its parts give 0.0..2.0",
    ),
    "a maximum below what the parts give": ([scale("a", items=["1"], min=0, max="1.5")], "its parts give 0.0..2.0"),
    "a minimum above what the parts give": ([scale("a", items=["1"], min=1, max=2)], "its parts give 0.0..2.0"),
    "limits of a mean given as those of a sum": (
        [scale("a", items=["1", "3"], method="mean", min=0, max=4)],
        "its parts give 0.0..2.0",
    ),
    "limits that ignore the factor": ([scale("a", items=["1"], factor="0.6", min=0, max=2)], "give 0.0..1.2"),
    "limits that ignore a negative factor": ([scale("a", items=["1"], factor=-1, min=0, max=2)], "give -2.0..0.0"),
    "limits that ignore a negative weight": (
        [scale("a", items=["1", "3"], weights={"1": 1, "3": -1}, min=0, max=4)],
        "give -2.0..2.0",
    ),
    "a clamp that reaches beyond the parts": ([scale("a", items=["1"], clamp=True, min=-1, max=2)], "give 0.0..2.0"),
    "prorating parts of different ranges": (
        [scale("a", items=["1", "2"], missing={"rule": "prorate", "min_answered": 1}, min=0, max=5)],
        "say clamp: true",
    ),
    "a mean of parts of different ranges": (
        [scale("a", items=["1", "2"], method="mean", missing={"rule": "prorate", "min_answered": 1}, min=0, max="2.5")],
        "say clamp: true",
    ),
    "prorating scales of different ranges": (
        [
            scale("a", items=["1"], min=0, max=2),
            scale("b", items=["2"], min=0, max=3),
            scale("c", scales=["a", "b"], missing={"rule": "prorate", "min_answered": 1}, min=0, max=5),
        ],
        "say clamp: true",
    ),
    "more than 53 bits": (
        [scale("a", items=["1"], factor="9007199254740993", min=0, max="18014398509481986")],
        "53 bits",
    ),
    "more than 53 bits in the fraction": (
        [scale("a", items=["1"], factor="0.0000000000000001", min=0, max="0.0000000000000002")],
        "53 bits",
    ),
    "more than 53 bits through the denominators of the missing rule": (
        [
            scale(
                "a",
                items=[f"i{n}" for n in range(40)],
                missing={"rule": "prorate", "min_answered": 1},
                min=0,
                max=80,
            )
        ],
        "53 bits",
    ),
    "an offset beyond 53 bits": (
        [scale("a", items=["1"], offset="9007199254740992", min="9007199254740992", max="9007199254740994")],
        "53 bits",
    ),
    "a number of a billion digits": (
        [scale("a", items=["1"], factor="1e999999999", min=0, max=2)],
        "more than 30 digits",
    ),
    "a number of a billion decimals": (
        [scale("a", items=["1"], offset="1e-999999999", min=0, max=2)],
        "more than 30 digits",
    ),
    "a limit of a billion digits": ([scale("a", items=["1"], min=0, max="1e999999999")], "more than 30 digits"),
    "rescaling from nothing": (
        [scale("a", items=["same"], rescale=[0, 100], min=0, max=100)],
        "every form would score the same",
    ),
    "a constant": ([scale("a", items=["same"], clamp=True, min=0, max=1)], "every form would score the same"),
    "a scale named like the status of another": (
        [scale("a", items=["1"], min=0, max=2), scale("a_status", items=["1"], min=0, max=2)],
        "'a_status'",
    ),
    "a scale named like the column of flags": ([scale("flags", items=["1"], min=0, max=2)], "'flags'"),
}
MORE_ITEMS = [item("same", scored={"0": 1, "1": 1, "2": 1}), *(item(f"i{n}") for n in range(40))]


@pytest.mark.parametrize("name", REFUSED)
def test_a_definition_that_would_score_wrongly_is_refused(name: str) -> None:
    scales, words = REFUSED[name]
    with pytest.raises(scoring.PlanError) as error:
        compiled(instrument(items=[*ITEMS, *MORE_ITEMS], scales=scales))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_scales_made_of_each_other_are_refused() -> None:
    circle = [
        scale("sound", items=["1"], min=0, max=2),
        scale("a", scales=["b", "sound"], min=0, max=4),
        scale("b", scales=["c"], min=0, max=4),
        scale("c", scales=["a"], min=0, max=4),
    ]
    with pytest.raises(DefinitionError, match="'a', 'b', 'c' are made of each other"):
        instrument(items=ITEMS, scales=circle)


def test_huge_numbers_in_conditions_bands_and_cutoffs_are_refused() -> None:
    condition = {"id": "c", "meaning": "m", "when": {"scale": "a", "at_least": "1e999999999"}, "source": "s"}
    cutoff = {"id": "c", "meaning": "m", "scale": "a", "below": "1e-999999999", "source": "s", "evidence": "derived"}
    bands = [{"label": "low", "min": "-1e999999999", "max": 0}, {"label": "high", "min": 1, "max": 2}]
    for part in (
        {"caseness": [condition | {"evidence": "derived"}]},
        {"cutoffs": [cutoff]},
        {"bands": [{"id": "b", "scale": "a", "bands": bands, "source": "s", "evidence": "derived"}]},
    ):
        with pytest.raises(scoring.PlanError, match="30 digits"):
            compiled(instrument(items=ITEMS, scales=[scale("a", items=["1"], min=0, max=2)], **part))


def rule(number: int) -> dict[str, Any]:
    when = {"item": "1", "at_least": 1 if number % 3 else 2}
    return {"id": f"v{number}", "meaning": "m", "when": when, "scales": ["a"], "source": "s", "evidence": "derived"}


def test_as_many_validity_rules_as_fit_are_told_apart() -> None:
    scales = [scale("a", items=["1"], min=0, max=2)]
    for most in (1, FEW_RULES, FEW_RULES + 1, 31, 32, 33, 63):
        world = instrument(items=ITEMS, scales=scales, validity=[rule(n) for n in range(most)])
        frame = scoring.score_frame(world, pd.DataFrame({"1": [0, 1, 2]}))
        expected = [";".join(f.id for f in scoring.score(world, {"1": n}).flags) for n in range(3)]
        assert frame["flags"].tolist() == expected
        assert expected[1] != expected[2]
    with pytest.raises(scoring.PlanError, match="63 validity rules"):
        compiled(instrument(items=ITEMS, scales=scales, validity=[rule(n) for n in range(64)]))


@pytest.mark.parametrize("most", [0, FEW_RULES, FEW_RULES + 1])
def test_every_combination_of_validity_rules_is_named(most: int) -> None:
    names = [str(n) for n in range(1, 8)]
    rules = [rule(n) | {"id": f"v{n}", "when": {"item": names[n], "at_least": 1}} for n in range(most)]
    world = instrument(
        items=[item(name) for name in names], scales=[scale("a", items=names, min=0, max=14)], validity=rules
    )
    rows = [row for row in product([1, 0], repeat=7) if row[:2] != (1, 0)]  # so not every combination occurs
    found = scoring.score_frame(world, pd.DataFrame(rows, columns=names))["flags"]
    assert found.tolist() == [";".join(f"v{n}" for n in range(most) if row[n]) for row in rows]
    assert set(found.cat.categories) == set(found)
    found.iloc[0] = found.iloc[-1]
    assert scoring.score_frame(world, pd.DataFrame([], columns=names))["flags"].tolist() == []


def test_the_largest_plan_is_exact_to_its_last_unit() -> None:
    top = LARGEST - 2
    world = instrument(items=ITEMS, scales=[scale("a", items=["1"], factor=top // 2, min=0, max=top)])
    assert scoring.score(world, {"1": 2}).scores["a"].value == top
    assert scoring.score(world, {"1": 1}).scores["a"].value == top // 2
    assert scoring.score_frame(world, pd.DataFrame({"1": [0, 1, 2]}))["a"].tolist() == [0, top // 2, top]


def test_totals_beyond_32_bits_do_not_wrap_around() -> None:
    far = [item(str(n), (0, 10_000)) for n in range(5)]
    scales = [
        scale("a", items=["0", "1", "2", "3", "4"], factor=1000, min=0, max=50_000_000),
        scale("b", items=["0", "1"], factor=1000, min=0, max=20_000_000),
        scale("t", scales=["a", "b"], weights={"a": 1000, "b": 1}, min=0, max=50_020_000_000),
        scale("m", items=["0"], offset=-3_000_000_000, min=-3_000_000_000, max=-2_999_990_000),
    ]
    world = instrument(items=far, scales=scales)
    answers = {str(n): 10_000 for n in range(5)}
    result = scoring.score(world, answers)
    assert (result.scores["t"].value, result.scores["m"].value) == (50_020_000_000, -2_999_990_000)
    frame = scoring.score_frame(world, pd.DataFrame([answers]))
    assert (frame.loc[0, "t"], frame.loc[0, "m"]) == (50_020_000_000, -2_999_990_000)


def test_a_scale_may_stand_before_those_that_it_is_made_of() -> None:
    scales = [
        scale("top", scales=["middle", "low"], min=0, max=6),
        scale("middle", scales=["low"], factor=2, min=0, max=4),
        scale("low", items=["1"], min=0, max=2),
    ]
    result = scoring.score(instrument(items=ITEMS[:1], scales=scales), {"1": 2})
    assert {name: score.value for name, score in result.scores.items()} == {"top": 6, "middle": 4, "low": 2}
    assert list(result.scores) == ["top", "middle", "low"]


def test_a_plan_is_compiled_once_and_an_unknown_variant_is_named() -> None:
    world = CATALOGUE[0]
    assert plan_of(world) is plan_of(world, world.variant_ids[0])
    with pytest.raises(scoring.UnknownVariant) as error:
        scoring.score(world, {}, variant="no-such")
    assert error.value.known == world.variant_ids
    with pytest.raises(scoring.UnknownVariant):
        scoring.score_frame(world, pd.DataFrame({"1": [1]}), variant="no-such")


def test_what_else_is_kept_with_a_definition_is_no_variant() -> None:
    variants = [sourced(id=name, name="n") for name in ("outside", "situation-to-record")]
    world = instrument(items=ITEMS[:1], scales=[scale("a", items=["1"], min=0, max=2)], variants=variants)
    first, second = world.variant_ids
    outside_flags(world)
    world.scored_alike(first, second)
    figures(world, "a", first)
    names = [
        *("outside", "situation-to-record", f"items:{first}", f"alike:{first}:{second}", f"progress:a:{first}:"),
        *(key for key in world.compiled if isinstance(key, str)),
    ]
    for name in names:
        if name in world.variant_ids:
            assert scoring.score(world, {"1": 1}, variant=name).scores["a"].value == 1
        else:
            with pytest.raises(scoring.UnknownVariant):
                scoring.score(world, {}, variant=name)
    assert outside_flags(world) == {}


@pytest.mark.parametrize("bad", ['a"', "a'b", "a\nb", "a{b}", "a)b", "a b", "", "é", "a\\b", "__import__", "a" * 41])
@pytest.mark.parametrize("where", ["item", "scale", "rule"])
def test_ids_with_signs_are_impossible(bad: str, where: str) -> None:
    names = {"item": "1", "scale": "a", "rule": "r"} | {where: bad}
    caseness = {"id": names["rule"], "meaning": "m", "when": {"item": names["item"], "at_least": 1}, "source": "s"}
    with pytest.raises(DefinitionError):
        instrument(
            items=[item(names["item"])],
            scales=[scale(names["scale"], items=[names["item"]], min=0, max=2)],
            caseness=[caseness | {"evidence": "derived"}],
        )


def code_of(world: Instrument) -> str:
    plan = plan_of(world)
    return shortcut.source_of(plan, _complete, _flagged)[0]


def test_words_of_a_definition_never_become_code() -> None:
    """Names and labels that would be code are handed in as objects; the text of the function has none of them."""
    hostile = '"); import os; os.abort() #\n{1/0}' + "'''"
    words = [word for word in keyword.kwlist if word.islower()][:12]
    said = sourced(source=hostile, note=hostile)
    first = {"item": words[0], "at_least": 1}
    world = instrument(
        name=hostile,
        items=[item(word) | {"topic": hostile} for word in words],
        scales=[scale("exec", items=words, min=0, max=24) | said | {"name": hostile}],
        caseness=[{"id": "eval", "meaning": hostile, "when": {"scale": "exec", "at_least": 12}} | said],
        validity=[{"id": "del", "meaning": hostile, "when": first, "scales": ["exec"]} | said],
        alerts=[{"id": "os", "meaning": hostile, "severity": "urgent", "when": first} | said],
    )
    result = scoring.score(world, dict.fromkeys(words, 1))
    assert (result.scores["exec"].value, result.caseness) == (12, {"eval": True})
    text = code_of(world)
    assert all(word not in text for word in ("exec", "eval", "del", "os", "abort", "lamp", "1/0", "#"))
    assert "'" not in text
    assert '"' not in text


@costly(20)
@given(invented())
def test_no_invented_definition_leaves_words_in_the_code(world: Instrument) -> None:
    letters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    assert set(code_of(world)) <= letters | set(" \n()[]{}:,=!*+-.")


def test_definition_from_reads_what_the_tests_write() -> None:
    """The helpers of these tests go through the loader, as a file does."""
    assert definition_from(CATALOGUE[0].model_dump(mode="json", by_alias=True)).checksum == CATALOGUE[0].checksum
