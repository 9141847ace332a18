"""Scores that were worked out outside this code, and that nothing in a definition goes unexercised by them.

The format of the cases is in ``tests/golden/README.md``.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

import instruments
import scoring
from instruments.parts import BandSet, Cutoff, Scoped
from instruments.schema import Instrument

GOLDEN = Path(__file__).parent.parent / "golden"
ALLOWED = {"name", "origin", "variant", "answers", "scores", "statuses", "bands", "other_bands", "cutoffs", "caseness"}
ALLOWED |= {"flags", "flagged", "held_back", "alerts", "listed_cutoffs", "counts", "skipped"}

Case = dict[str, Any]
Rule = TypeVar("Rule", bound=Scoped)


def cases_of(code: str) -> list[Case]:
    path = GOLDEN / f"{code}.yaml"
    cases: list[Case] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) if path.exists() else []
    return cases


CODES = instruments.catalogue().codes
BY_CODE = {code: cases_of(code) for code in CODES}


def exact(value: Any) -> float | None:
    """A golden value: a number, or a fraction as text where the decimal would not end."""
    return None if value is None else float(Fraction(str(value)))


def fits(value: float | None, expected: Any, *, has_a_root: bool) -> bool:
    """Whether a score is what a case says; one with a square root to as many decimals as the case gives."""
    decimals = len(str(expected).partition(".")[2])
    if value is None or expected is None or not has_a_root or not decimals:
        return value == exact(expected)
    return abs(Fraction(value) - Fraction(str(expected))) <= Fraction(1, 2 * 10**decimals) + Fraction(1, 10**12)


def variant_of(instrument: Instrument, case: Case) -> str:
    """The way to score of a case: that which it names, else the default."""
    variant: str = case.get("variant", instrument.variant_ids[0])
    return variant


def held(rules: tuple[Rule, ...], instrument: Instrument, case: Case) -> list[Rule]:
    """Those rules or figures that hold under the variant of a case."""
    return [rule for rule in rules if rule.holds_under(variant_of(instrument, case))]


def converted(instrument: Instrument, answers: dict[str, Any]) -> dict[str, Any]:
    """Answers by item: those given as a yes or no and a rating put together."""
    made = {name: answer for name, answer in answers.items() if name in {item.id for item in instrument.items}}
    for item in instrument.items:
        if item.two_step is not None and answers.get(f"{item.id}.gate") is not None:
            rating = answers.get(f"{item.id}.rating")
            yes = None if rating is None else item.two_step.yes[rating]
            made[item.id] = item.two_step.no if answers[f"{item.id}.gate"] == 0 else yes
    return made


def crossed(cutoff: Cutoff, value: float) -> bool:
    if cutoff.at_least is not None:
        return value >= float(cutoff.at_least)
    if cutoff.at_most is not None:
        return value <= float(cutoff.at_most)
    if cutoff.above is not None:
        return value > float(cutoff.above)
    assert cutoff.below is not None
    return value < float(cutoff.below)


def label(bands: BandSet, value: float) -> str | None:
    """The band that a value reaches last, lowest first."""
    found = None
    for band in bands.bands:
        if value >= float(band.min):
            found = band.label
    return found


def out_of_reach(instrument: Instrument, bands: BandSet, value: float) -> bool:
    """Whether no complete form gives a value: bands may be published with odd limits for sums that are doubled."""
    rule = instrument.scale(bands.scale).rule_for((bands.variants or instrument.variant_ids)[0])
    if rule.method != "sum" or rule.items is None or rule.weights is not None or rule.rescale is not None:
        return False
    worths = [worth for item in instrument.items if item.id in rule.items for worth in item.score_of.values()]
    if any(worth != int(worth) for worth in worths):
        return False
    return ((Fraction(str(value)) - Fraction(rule.offset)) / Fraction(rule.factor)).denominator != 1


def holds(instrument: Instrument, case: Case) -> None:
    """What scoring the answers of a case gives is what the case says."""
    result = scoring.score(instrument, case["answers"], variant=case.get("variant"))

    assert list(result.scores) == list(case["scores"])
    for name, score in result.scores.items():
        rooted = instrument.scale(name).goals is not None
        assert fits(score.value, case["scores"][name], has_a_root=rooted), (name, score.value, case["scores"][name])
    assert {name: score.status for name, score in result.scores.items()} == case.get(
        "statuses", dict.fromkeys(case["scores"], "complete")
    )
    items = {name: [score.answered, score.missing, score.not_applicable] for name, score in result.scores.items()}
    assert {name: counts for name, counts in items.items() if counts[1:] != [0, 0]} == case.get("counts", {})
    assert {name: score.band for name, score in result.scores.items() if score.band is not None} == {
        name: band for name, band in case.get("bands", {}).items() if band is not None
    }
    assert list(result.skipped) == case.get("skipped", [])
    assert result.caseness == case.get("caseness", {})
    assert [flag.id for flag in result.flags] == case.get("flags", [])
    assert {name: list(score.flags) for name, score in result.scores.items() if score.flags} == case.get("flagged", {})
    assert [name for name, score in result.scores.items() if not score.valid] == case.get("held_back", [])
    assert [alert.id for alert in result.alerts] == case.get("alerts", [])
    assert {cutoff.id: cutoff.crossed for score in result.scores.values() for cutoff in score.cutoffs} == {
        name: side for name, side in case.get("cutoffs", {}).items() if side is not None
    }


def only_listed_hold(instrument: Instrument, case: Case) -> None:
    """Cutoffs and bands that no result reports still have to be entered the right way round."""
    values = {name: exact(value) for name, value in case["scores"].items()}
    held_back = case.get("held_back", [])
    for cutoff in held(instrument.cutoffs, instrument, case):
        value = values[cutoff.scale]
        side = case["cutoffs" if cutoff.primary else "listed_cutoffs"][cutoff.id]
        assert side == (None if value is None or cutoff.scale in held_back else crossed(cutoff, value)), cutoff.id
    for bands in held(instrument.bands, instrument, case):
        value = values[bands.scale]
        expected = case["bands"][bands.scale] if bands.default else case["other_bands"][bands.id]
        assert expected == (None if value is None or bands.scale in held_back else label(bands, value)), bands.id
        if expected is not None and value is not None and value.is_integer():
            band = next(band for band in bands.bands if band.label == expected)
            assert band.min <= value <= band.max, bands.id


@pytest.mark.parametrize("law", [holds, only_listed_hold], ids=["scores", "listed"])
@pytest.mark.parametrize("code", CODES)
def test_golden(code: str, law: Callable[[Instrument, Case], None]) -> None:
    """All cases of a file in one test, which names each that fails: some thousands of tests cost more than they do."""
    instrument, wrong = instruments.load(code), []
    for case in BY_CODE[code]:
        try:
            law(instrument, case)
        except Exception:
            wrong.append(f"{code}: {case['name']}\n{traceback.format_exc(limit=-3)}")
    assert not wrong, f"{len(wrong)} of {len(BY_CODE[code])} cases\n\n" + "\n".join(wrong[:20])


def test_every_instrument_has_golden_cases_and_every_file_an_instrument() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(CODES)
    assert all(BY_CODE.values())


@pytest.mark.parametrize("code", CODES)
def test_cases_are_well_formed(code: str) -> None:
    instrument = instruments.load(code)
    names = [case["name"] for case in BY_CODE[code]]
    assert len(set(names)) == len(names)
    for case in BY_CODE[code]:
        assert set(case) <= ALLOWED, case["name"]
        assert case["origin"].startswith(("by hand: ", "worked example")), case["name"]
        assert list(case["scores"]) == [scale.id for scale in instrument.scales], case["name"]
        for key, primary in (("cutoffs", True), ("listed_cutoffs", False)):
            cutoffs = held(instrument.cutoffs, instrument, case)
            ids = {cutoff.id for cutoff in cutoffs if cutoff.primary is primary}
            assert set(case.get(key, {})) == ids, case["name"]
        caseness = held(instrument.caseness, instrument, case)
        assert set(case.get("caseness", {})) == {rule.id for rule in caseness}, case["name"]
        sets = held(instrument.bands, instrument, case)
        assert set(case.get("bands", {})) == {bands.scale for bands in sets}, case["name"]
        others = {bands.id for bands in sets if not bands.default}
        assert set(case.get("other_bands", {})) == others, case["name"]


@pytest.mark.parametrize("code", CODES)
def test_golden_cases_leave_nothing_of_a_definition_out(code: str) -> None:
    instrument, cases = instruments.load(code), BY_CODE[code]

    def under(rule: Scoped) -> list[Case]:
        return [case for case in cases if rule.holds_under(variant_of(instrument, case))]

    for scale in instrument.scales:
        values = {exact(case["scores"][scale.id]) for case in cases}
        rule = scale.rule_for(instrument.variant_ids[0])
        ends = {float(rule.min), float(rule.max)}
        if rule.goals is not None:  # its ends are rounded outward: no form reaches them
            made = [value for value in values if value is not None]
            ends = {min(made), max(made)}
            assert min(made) < rule.min + 1 and max(made) > rule.max - 1, scale.id  # noqa: PT018 - one thing: both ends
        assert {*ends, None} <= values, scale.id
    assert {case.get("variant", instrument.variant_ids[0]) for case in cases if instrument.variants} == {
        variant.id for variant in instrument.variants
    }
    for cutoff in instrument.cutoffs:
        key = "cutoffs" if cutoff.primary else "listed_cutoffs"
        assert {True, False} <= {case[key][cutoff.id] for case in under(cutoff)}, cutoff.id
    for bands in instrument.bands:
        key, place = ("bands", bands.scale) if bands.default else ("other_bands", bands.id)
        assert {band.label for band in bands.bands} <= {case[key][place] for case in under(bands)}, bands.id
        ends = {float(end) for band in bands.bands for end in (band.min, band.max)}
        ends -= {end for end in ends if out_of_reach(instrument, bands, end)}
        assert ends <= {exact(case["scores"][bands.scale]) for case in under(bands)}, bands.id
    for finding in instrument.caseness:
        assert {True, False, None} <= {case["caseness"][finding.id] for case in under(finding)}, finding.id
    for skip in instrument.skips:
        filled = {bool(set(skip.items) & set(case.get("skipped", []))) for case in under(skip)}
        assert filled == {True, False}, skip.id
    for validity in instrument.validity:
        assert {validity.id in case.get("flags", []) for case in cases} == {True, False}, validity.id
    for alert in instrument.alerts:
        assert {alert.id in case.get("alerts", []) for case in cases} == {True, False}, alert.id


@pytest.mark.parametrize("code", CODES)
def test_each_item_moves_its_scales_in_some_pair_of_cases(code: str) -> None:
    """Two complete cases that differ in one item only: an item in the wrong scale, or in none, cannot hide."""
    instrument, cases = instruments.load(code), BY_CODE[code]
    used = {part for scale in instrument.scales if scale.items is not None for part in scale.items}
    given = [converted(instrument, case["answers"]) for case in cases]
    complete = [
        answers for answers in given if used <= {name for name, answer in answers.items() if answer is not None}
    ]
    differ_in_one(used, complete)
    # goals are not all in use, so that forms with the same goals unused are compared
    slots = {name for scale in instrument.scales for goal in scale.goals or () for name in goal.items}
    differ_in_one(slots, given)


def differ_in_one(items: set[str], forms: list[dict[str, Any]]) -> None:
    for item in sorted(items):
        rest = [tuple(answers.get(other) for other in sorted(items - {item})) for answers in forms]
        values = {(other, answers.get(item)) for other, answers in zip(rest, forms, strict=True)}
        assert len(values) > len(set(rest)), item
