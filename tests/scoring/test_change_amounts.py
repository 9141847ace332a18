"""Amounts of change: detectable, minimal important by severity at the start, in percent. By hand in the comments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import instruments
from scoring.change_amounts import AT_MINIMUM, NO_AMOUNT, percentage
from scoring.progress import Change, Progress, progress
from scoring.reliable import NO_DIRECTION, NO_PARAMETERS
from tests.scoring.test_progress import FSFI, PARAMETERS, PHQ_9, invented, series

IIEF = instruments.load("iief-15")
AMOUNT = {"id": "five", "scale": "total", "kind": "minimal-important-change", "value": 5, "method": "asked",
          "source": "invented", "evidence": "read"}  # fmt: skip
LOW = {"severity": "low", "at_most": 9, "evidence": "memory"}


def made(*values: float, **members: Any) -> Progress:
    return progress(invented(**members), "total", series(*values, variant="prorated"))


def amounts(found: Progress) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in found.minimal_change["amounts"]}


class TestDetectable:
    def test_by_hand(self) -> None:
        # SD 2, r 0.5: SEM = 2 sqrt(0.5) = 1.41421356, error of a difference = 2
        told = made(20.0, 15.0).detectable_change
        assert told["standard_error_of_measurement"] == pytest.approx(1.41421356)
        assert told["standard_error_of_difference"] == pytest.approx(2)
        assert told["mdc_90"] == pytest.approx(1.6448536 * 2)
        assert told["mdc_95"] == pytest.approx(1.9599640 * 2)
        assert (told["sd"]["value"], told["reliability"]["value"], told["evidence"]) == (2, 0.5, "derived")

    @pytest.mark.parametrize(
        ("last", "beyond"),
        [(20.0, (False, False)), (16.8, (False, False)), (16.5, (True, False)), (16.0, (True, True))],
    )
    def test_a_change_says_whether_it_is_beyond(self, last: float, beyond: tuple[bool, bool]) -> None:
        change = made(20.0, last).from_baseline
        assert isinstance(change, Change)
        told = change.document()
        assert (told["beyond_mdc_90"], told["beyond_mdc_95"]) == beyond
        assert told["probability"] == pytest.approx(1 - told["p_value"] / 2)

    def test_exactly_at_it_is_not_beyond(self) -> None:
        limit = made(20.0).detectable_change["mdc_95"]
        change = made(0.0, round(limit, 10)).from_baseline
        assert isinstance(change, Change)
        assert change.document()["beyond_mdc_95"] is (round(limit, 10) > limit)

    def test_without_parameters_there_is_none(self) -> None:
        found = made(20.0, 5.0, progress=[])
        assert found.detectable_change == NO_PARAMETERS.document
        assert isinstance(found.from_baseline, Change)
        told = found.from_baseline.document()
        assert (told["beyond_mdc_90"], told["beyond_mdc_95"], told["probability"]) == (None, None, None)

    def test_it_is_there_whichever_method_judges(self) -> None:
        found = progress(FSFI, "total", series(16.2, 28.4), method="published-threshold")
        assert found.detectable_change == progress(FSFI, "total", series(16.2)).detectable_change
        assert isinstance(found.from_baseline, Change)
        assert found.from_baseline.document()["beyond_mdc_95"] is True


class TestMinimal:
    @pytest.mark.parametrize(
        ("values", "reached"),
        [
            ((20, 15), "better"),
            ((20, 15.01), None),
            ((15, 20), "worse"),
            ((20, 20), None),
            ((20, 3), "better"),
        ],
    )
    def test_reached_with_its_direction(self, values: tuple[float, float], reached: str | None) -> None:
        told = amounts(made(*values, changes=[AMOUNT]))["five"]
        assert (told["reached"], told["applies"], told["decides"]) == (reached, True, True)
        assert (told["warnings"], told["range"], told["baseline"]) == ([], None, None)

    def test_one_below_the_detectable_change_warns(self) -> None:
        # MDC95 = 3.92: an amount of 3 classifies noise, one of 3.92 rounded up does not
        assert amounts(made(20, 10, changes=[AMOUNT | {"value": 3}]))["five"]["warnings"] == ["below-detectable-change"]
        assert amounts(made(20, 10, changes=[AMOUNT | {"value": 3.92}]))["five"]["warnings"] == []
        unknown = made(20, 10, changes=[AMOUNT | {"value": 1}], progress=[])
        assert amounts(unknown)["five"]["warnings"] == []

    def test_of_a_range_the_larger_end_has_to_be_reached(self) -> None:
        ranged = [AMOUNT | {"upper": 8}]
        assert amounts(made(20, 13, changes=ranged))["five"]["reached"] is None
        told = amounts(made(20, 12, changes=ranged))["five"]
        assert (told["reached"], told["value"], told["range"]) == ("better", 8, {"min": 5, "max": 8})

    def test_one_for_the_severity_at_the_start_decides(self) -> None:
        changes = [AMOUNT, AMOUNT | {"id": "two", "value": 2, "baseline": LOW}]
        told = amounts(made(9, 6, changes=changes))
        assert [(each["applies"], each["decides"], each["reached"]) for each in told.values()] == [
            (True, False, None), (True, True, "better"),
        ]  # fmt: skip
        told = amounts(made(10, 6, changes=changes))
        assert [(each["applies"], each["decides"]) for each in told.values()] == [(True, True), (False, False)]
        assert told["two"]["baseline"] == {"severity": "low", "at_least": None, "at_most": 9, "evidence": "memory"}

    def test_what_was_read_decides_before_memory(self) -> None:
        changes = [AMOUNT | {"evidence": "memory"}, AMOUNT | {"id": "six", "value": 6}]
        assert [each["decides"] for each in amounts(made(20, 10, changes=changes)).values()] == [False, True]

    def test_where_none_applies_none_decides(self) -> None:
        told = amounts(made(20, 10, changes=[AMOUNT | {"baseline": LOW}]))["five"]
        assert (told["applies"], told["decides"], told["reached"]) == (False, False, "better")

    def test_without_a_baseline_nothing_is_said_of_applying(self) -> None:
        told = amounts(made(changes=[AMOUNT]))["five"]
        assert (told["applies"], told["decides"], told["reached"]) == (None, False, None)
        told = amounts(made(20.0, changes=[AMOUNT]))["five"]
        assert (told["applies"], told["decides"], told["reached"]) == (True, True, None)

    @pytest.mark.parametrize(
        ("start", "severity", "value"), [(25, "mild", 2), (17, "mild", 2), (16, "moderate", 5), (10, "severe", 7)]
    )
    def test_the_iief_by_severity(self, start: float, severity: str, value: float) -> None:
        """Rosen 2011: 2, 5 and 7 points; the limits of the groups are from memory, and say so."""
        found = progress(IIEF, "erectile_function", series(start, start + 2, variant=IIEF.variant_ids[0]))
        (chosen,) = [each for each in found.minimal_change["amounts"] if each["decides"]]
        assert (chosen["baseline"]["severity"], chosen["value"]) == (severity, value)
        assert (chosen["evidence"], chosen["baseline"]["evidence"]) == ("read", "memory")
        # SD 7.6, retest 0.84: MDC95 = 1.96 * 7.6 * sqrt(0.32) = 8.43, more than any of them
        assert chosen["warnings"] == ["below-detectable-change"]

    def test_beyond_every_severity_the_general_amount_decides(self) -> None:
        found = progress(IIEF, "erectile_function", series(28, 24, variant=IIEF.variant_ids[0]))
        (chosen,) = [each for each in found.minimal_change["amounts"] if each["decides"]]
        assert (chosen["id"], chosen["reached"]) == ("erectile-minimal-2011", "worse")

    def test_without_a_published_one_there_is_none(self) -> None:
        assert made(20, 10).minimal_change == NO_AMOUNT.document
        assert progress(IIEF, "orgasmic_function", ()).minimal_change == NO_AMOUNT.document

    def test_without_a_direction_there_is_none(self) -> None:
        catalogue = instruments.catalogue()
        every = ((catalogue.get(code), scale) for code in catalogue.codes for scale in catalogue.get(code).scales)
        instrument, scale = next(pair for pair in every if pair[1].higher_is == "neither")
        assert progress(instrument, scale.id, ()).minimal_change == NO_DIRECTION.document
        assert progress(instrument, scale.id, ()).detectable_change == NO_DIRECTION.document


class TestPercentage:
    def test_by_hand(self) -> None:
        assert made(20, 5).percentage == {
            "available": True,
            "formula": "100 x (last - baseline) / (baseline - minimum)",
            "value": -75.0,
            "minimum": 0.0,
        }

    def test_the_lowest_score_is_subtracted_first(self) -> None:
        # FSFI total runs from 2: (20 - 11) / (11 - 2) = 100 %, not 81.8 %
        told = progress(FSFI, "total", series(11.0, 20.0)).percentage
        assert (told["value"], told["minimum"]) == (pytest.approx(100), 2)

    def test_of_the_lowest_score_it_is_not_defined(self) -> None:
        assert made(0, 5).percentage == AT_MINIMUM.document
        assert progress(FSFI, "total", series(2.0, 20.0)).percentage == AT_MINIMUM.document

    def test_without_a_change_it_says_why(self) -> None:
        assert made().percentage["code"] == "no-measurement"
        assert made(20.0).percentage["code"] == "one-measurement"

    @given(st.integers(1, 27), st.integers(0, 27), st.integers(-30, 30))
    def test_the_origin_of_a_scale_does_not_matter(self, first: int, last: int, shift: int) -> None:
        told = percentage(first, last - first, 0.0)["value"]
        assert percentage(first + shift, last - first, float(shift))["value"] == pytest.approx(told)
        assert told >= -100
        assert (told > 0) == (last > first)


def test_the_parameters_of_the_invented_scale() -> None:
    assert (PARAMETERS["sd"], PARAMETERS["reliability"], PHQ_9.scale("total").higher_is) == (2, 0.5, "worse")
