"""Two series side by side. The PHQ-9 invented here has a standard error of measurement of sqrt(2) points."""

from __future__ import annotations

import math
from typing import Any

import pytest

import instruments
from instruments import Instrument
from scoring.dyads.described import described, not_comparable, occasions, profile
from scoring.progress import Progress, progress
from tests.scoring.test_progress import NORM, PARAMETERS, changed, invented, measured

FSFI = instruments.load("fsfi")
DOMAINS = ("desire", "arousal", "lubrication", "orgasm", "satisfaction", "pain")


def of(
    *given: tuple[float, float | None], who: str = "a", instrument: Instrument | None = None, scale: str = "total"
) -> Progress:
    """A series of (day, score)."""
    made = instrument or invented()
    points = [
        measured(value, day=day, variant=made.variant_ids[0], response_id=f"{who}-{day:g}", version=made.version)
        for day, value in given
    ]
    return progress(made, scale, points)


def code(part: dict[str, Any]) -> str | None:
    assert part["available"] is (part.get("code") is None)
    return part.get("code")


class TestComparable:
    def test_one_definition(self) -> None:
        assert not_comparable(of((0, 5)), of((0, 9))) is None

    def test_versions(self) -> None:
        older, newer = of((0, 5)), of((0, 5), instrument=changed(invented(), version=2))
        declared = {"version": 1, "why": "invented", "source": "invented", "evidence": "derived"}
        beside = of((0, 5), instrument=changed(invented(), version=2, comparable_with=[declared]))
        for pair, reason in (((older, newer), "other-version"), ((older, beside), None), ((beside, older), None)):
            why = not_comparable(*pair)
            assert (why and why.code) == reason

    def test_variants(self) -> None:
        gmsex = instruments.load("gmsex")
        one, other = (progress(gmsex, "total", [measured(5.0, variant=v)], variant=v) for v in gmsex.variant_ids[:2])
        why = not_comparable(one, other)
        assert why is not None
        assert why.code == "other-variant"
        phq = instruments.load("phq-9")
        alike = [v for v in phq.variant_ids if v != phq.variant_ids[0] and phq.scored_alike(phq.variant_ids[0], v)]
        assert alike, "of the variants of the PHQ-9 some only read its scores differently"
        first, second = (progress(phq, "total", [measured(5.0)], variant=v) for v in (phq.variant_ids[0], alike[0]))
        assert not_comparable(first, second) is None
        unknown = progress(phq, "total", [measured(5.0, variant="gone")], variant="gone")
        assert not_comparable(first, unknown) is not None


class TestDescribed:
    def test_by_hand(self) -> None:
        found = described(of((0, 20), (30, 14), (60, 6), (100, 5)), of((3, 8), (29, 8), (61, 7), (140, 9), who="b"))
        assert [one["discrepancy"] for one in found["occasions"]] == [12, 6, -1]
        # lower is better
        assert [one["better_off"] for one in found["occasions"]] == ["second", "second", "first"]
        assert [one["days_apart"] for one in found["occasions"]] == [3, 1, 1]
        # SEM sqrt(2) each: together 2, threshold 3.92
        assert found["error"]["standard_error"] == pytest.approx(2)
        assert found["error"]["threshold"] == pytest.approx(3.919928)
        assert [one["beyond_error"] for one in found["occasions"]] == [True, True, False]
        assert [one["response_id"] for one in found["unpaired"]["first"]] == ["a-100"]
        assert [one["value"] for one in found["unpaired"]["second"]] == [9]
        change = found["change"]
        # from 12 to -1: 13 points, of four scores: sqrt(2) x 2
        assert (change["from"], change["to"], change["points"], change["narrowed"]) == (12, -1, -13, 11)
        assert change["index"] == pytest.approx(-13 / (2 * math.sqrt(2)))
        assert (change["reliable"], change["direction"]) == (True, "closer")
        assert found["agreement"]["mean"] == pytest.approx(17 / 3)

    def test_directions(self) -> None:
        def told(last: tuple[float, float]) -> tuple[str, str]:
            found = described(of((0, 10), (30, last[0])), of((0, 8), (30, last[1]), who="b"))
            return found["change"]["direction"], found["occasions"][-1]["better_off"]

        assert told((10, 5)) == ("further-apart", "second")
        assert told((6, 8)) == ("same", "first")
        assert told((7, 7)) == ("closer", "same")

    def test_without_direction_nobody_is_better_off(self) -> None:
        scales = [{**scale.model_dump(by_alias=True), "higher_is": "neither"} for scale in invented().scales]
        made = changed(invented(), scales=scales, progress=[])
        found = described(of((0, 10), instrument=made), of((0, 5), who="b", instrument=made))
        assert found["occasions"][0]["better_off"] is None
        assert (code(found["error"]), found["occasions"][0]["beyond_error"]) == ("no-error", None)

    def test_higher_is_better(self) -> None:
        found = described(of((0, 30), instrument=FSFI), of((0, 20), who="b", instrument=FSFI))
        assert found["occasions"][0]["better_off"] == "first"

    def test_few_occasions(self) -> None:
        none, one = (described(of((0, 10)), of((day, 8), who="b")) for day in (15, 14))
        assert (code(none["change"]), code(none["agreement"]), none["occasions"]) == (
            "no-occasions",
            "few-occasions",
            [],
        )
        assert [len(none["unpaired"][side]) for side in ("first", "second")] == [1, 1]
        assert (code(one["change"]), code(one["agreement"])) == ("one-occasion", "few-occasions")
        assert described(of((0, 10)), of((15, 8), who="b"), window=15)["occasions"]

    def test_what_is_not_used_is_not_compared(self) -> None:
        found = described(of((0, None), (5, 10)), of((0, 8), who="b"))
        assert [one["days_apart"] for one in found["occasions"]] == [5]
        assert found["unpaired"]["first"] == []

    def test_standardised_each_by_the_functional_sample(self) -> None:
        norms = [{**NORM, "id": "functional-1", "population": "functional", "mean": 4, "sd": 4}]
        made = invented(norms=norms, progress=[{**PARAMETERS, "functional": "functional-1"}])
        found = described(of((0, 20), instrument=made), of((0, 8), who="b", instrument=made))
        assert found["occasions"][0]["standardised"] == pytest.approx(3)  # (20 - 4) / 4 - (8 - 4) / 4
        assert found["norms"]["first"]["id"] == found["norms"]["second"]["id"] == "functional-1"
        bare = described(of((0, 20)), of((0, 8), who="b"))
        assert (bare["norms"], bare["occasions"][0]["standardised"]) == (None, None)

    def test_one_without_errors(self) -> None:
        bare = invented(progress=[])
        for pair in ((of((0, 20)), of((0, 8), instrument=bare)), (of((0, 20), instrument=bare), of((0, 8)))):
            assert code(described(*pair)["error"]) == "no-error"


def forms(who: str, *given: tuple[float, dict[str, float]]) -> dict[str, Progress]:
    """The series of an FSFI's scales, of forms (day, scores)."""
    return {
        scale: of(*((day, scores.get(scale)) for day, scores in given), who=who, instrument=FSFI, scale=scale)
        for scale in (*DOMAINS, "total")
    }


def both(a: dict[str, Progress], b: dict[str, Progress]) -> list[tuple[Progress, Progress]]:
    return [(a[scale], b[scale]) for scale in a]


class TestProfile:
    low = dict.fromkeys(DOMAINS, 2.4) | {"total": 14.4}
    high = dict.fromkeys(DOMAINS, 4.8) | {"desire": 3.6, "total": 27.6}

    def test_of_the_newest_forms(self) -> None:
        found = profile(both(forms("a", (0, self.low), (30, self.high)), forms("b", (1, self.low), (31, self.low))))
        assert (found["first"]["response_id"], found["second"]["response_id"]) == ("a-30", "b-31")
        assert tuple(found["scales"]) == DOMAINS, "not the total, which is made of them"
        # desire is from 1.2 to 6: (3.6 - 1.2) / 4.8 = 50 % against 25 %
        assert found["n"] == 6
        assert found["squared_distance"] == pytest.approx(found["elevation"] + found["scatter"] + found["shape"])

    def test_only_what_both_forms_have(self) -> None:
        few = {"desire": 3.6, "pain": 2.4}
        whole = both(forms("a", (0, self.low), (30, few)), forms("b", (0, self.high), (30, self.high)))
        assert profile(whole)["first"]["response_id"] == "a-0"
        assert code(profile(both(forms("a", (0, few)), forms("b", (0, self.high))))) == "no-profile"

    def test_one_scale_is_no_profile(self) -> None:
        assert code(profile([(of((0, 5)), of((0, 9), who="b"))])) == "no-profile"
        assert code(profile([])) == "no-profile"

    def test_scales_that_share_items_are_not_counted_twice(self) -> None:
        sub = [{**scale.model_dump(by_alias=True)} for scale in invented().scales if scale.id == "total"]
        base = sub[0] | {"variants": {}}
        parts = [
            base | {"id": f"part-{n}", "items": list(items), "max": 3 * len(items), "missing": {"rule": "all"}}
            for n, items in enumerate((("1", "2"), ("3", "4"), ("5", "6"), ("6", "7", "8")))
        ]
        made = changed(invented(), scales=[*sub, *parts])
        pairs = [
            (of((0, 2), instrument=made, scale=scale), of((0, 3), who="b", instrument=made, scale=scale))
            for scale in ("total", "part-0", "part-1", "part-2", "part-3")
        ]
        assert profile(pairs)["scales"] == ["part-0", "part-1", "part-2"]

    def test_distinctive_where_every_scale_has_a_functional_sample(self) -> None:
        found = profile(both(forms("a", (0, self.low)), forms("b", (0, self.high))))
        has = all(
            any(choice.role == "functional" and choice.norm.sd for choice in series.figures.norms)
            for scale, series in forms("a", (0, self.low)).items()
            if scale != "total"
        )
        assert (found["distinctive"] is not None) == has
        bare = changed(FSFI, norms=[], progress=[])
        pairs = [
            (of((0, 2.4), instrument=bare, scale=scale), of((0, 3.6), who="b", instrument=bare, scale=scale))
            for scale in DOMAINS
        ]
        assert profile(pairs)["distinctive"] is None


def test_occasions_are_in_order_of_time() -> None:
    found = occasions(of((0, 1), (7, 2), (40, 3)), of((41, 4), (6, 5), who="b"))
    assert [(one.first["response_id"], one.second["response_id"]) for one in found] == [
        ("a-7", "b-6"),
        ("a-40", "b-41"),
    ]
