"""Progress of one scale. Expected figures are worked out in the comments, from the definitions' own parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import instruments
from instruments import Instrument
from scoring.change import critical_value
from scoring.progress import REASONS, Change, Measurement, Progress, progress
from scoring.reliable import Unavailable

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
FSFI, PHQ_9 = instruments.load("fsfi"), instruments.load("phq-9")


def measured(value: float | None, *, day: float = 0, variant: str = "strict", **changes: Any) -> Measurement:
    """A measurement some days after the start, complete and valid unless told otherwise."""
    at = START + timedelta(days=day)
    status = "insufficient" if value is None else "complete"
    made = Measurement(at, at, f"id-{day:07.2f}", 1, variant, value, status, valid=True)
    return made._replace(**changes)


def series(*values: float | None, variant: str = "strict") -> list[Measurement]:
    """One measurement every two weeks."""
    return [measured(value, day=14 * n, variant=variant) for n, value in enumerate(values)]


def changed(instrument: Instrument, **members: Any) -> Instrument:
    """A definition with other members, checked and compiled afresh."""
    return Instrument.model_validate(instrument.model_dump(by_alias=True) | members)


PARAMETERS = {
    "scale": "total", "sd": 2, "sd_sample": "invented", "reliability": 0.5, "reliability_kind": "test-retest",
    "reliability_sample": "invented", "source": "invented", "evidence": "derived",
}  # fmt: skip
CUTOFF = {"id": "ten", "scale": "total", "meaning": "invented", "source": "invented", "evidence": "derived"}
NORM = {"scale": "total", "sample": "invented", "n": 10, "source": "invented", "evidence": "derived"}


def invented(**members: Any) -> Instrument:
    """PHQ-9's scale, 0 to 27 and lower is better, with a standard error of a difference of exactly 2 points."""
    bare = {"progress": [PARAMETERS], "cutoffs": [], "norms": [], "reliabilities": [], "changes": []}
    return changed(PHQ_9, **(bare | members))


def with_norms(*, clinical: tuple[float, float] | None, functional: tuple[float, float] | None) -> dict[str, Any]:
    """Members that name norms (mean, standard deviation) of the two populations."""
    given = {"clinical": clinical, "functional": functional}
    norms = [
        {**NORM, "id": f"{role}-1", "population": role, "mean": moments[0], "sd": moments[1]}
        for role, moments in given.items()
        if moments is not None
    ]
    named = {role: f"{role}-1" for role, moments in given.items() if moments is not None}
    return {"norms": norms, "progress": [PARAMETERS | named]}


def judged(instrument: Instrument, *values: float) -> str | None:
    """The category of the last value against the first."""
    change = progress(instrument, "total", series(*values, variant="prorated")).from_baseline
    assert isinstance(change, Change)
    return change.category


class TestChange:
    def test_better_by_hand(self) -> None:
        found = progress(FSFI, "total", series(16.2, 19.0, 28.4))
        assert isinstance(found.from_baseline, Change)
        assert isinstance(found.from_previous, Change)
        # 28.4 - 16.2 = 12.2; 12.2 / 4.26495111 = 2.86053449; 2 * (1 - Phi(2.8605)) = 0.00423
        assert found.from_baseline.points == 12.2, "as decimals, not 12.199999999999998"
        assert found.from_baseline.rci == pytest.approx(2.8605249, abs=2e-6)
        assert found.from_baseline.p_value == pytest.approx(0.0042295, abs=2e-6)
        assert found.from_baseline.category == "recovered"  # 16.2 < 26.74 < 28.4
        assert (found.from_baseline.direction, found.from_baseline.days) == ("better", 28)
        # 28.4 - 19.0 = 9.4; 9.4 / 4.26495111 = 2.2040
        assert found.from_previous.points == 9.4
        assert found.from_previous.rci == pytest.approx(2.2040111, abs=2e-6)
        assert (found.from_previous.since, found.from_previous.days) == (START + timedelta(days=14), 14)
        # the band: 16.2 -+ 8.35915058
        assert found.band is not None
        assert (found.band.low, found.band.high) == pytest.approx((7.84084942, 24.55915058))
        assert (found.band.can_improve, found.band.can_worsen) == (True, True)

    def test_each_point_against_the_baseline(self) -> None:
        points = progress(FSFI, "total", series(16.2, 19.0, 28.4)).points
        assert [point["change"] for point in points] == [None, 2.8, 12.2]
        assert [point["change_from_previous"] for point in points] == [None, 2.8, 9.4]
        assert [point["category"] for point in points] == [None, "unchanged", "recovered"]
        assert [point["rci"] and round(point["rci"], 4) for point in points] == [None, 0.6565, 2.8605]
        assert points[0]["p_value"] is None
        assert points[1]["p_value"] == pytest.approx(0.5115, abs=1e-4)  # 2 * (1 - Phi(0.6565))

    def test_lower_is_better(self) -> None:
        found = progress(PHQ_9, "total", series(18, 7, variant="prorated"))
        assert isinstance(found.from_baseline, Change)
        # (7 - 18) / 3.28097546 = -3.3526: the index keeps its sign, the words turn it
        assert found.from_baseline.rci == pytest.approx(-3.35266, abs=1e-5)
        assert (found.from_baseline.points, found.from_baseline.benefit) == (-11, 11)
        assert (found.from_baseline.direction, found.from_baseline.category) == ("better", "recovered")
        worse = progress(PHQ_9, "total", series(7, 18, variant="prorated")).from_baseline
        assert isinstance(worse, Change)
        assert (worse.direction, worse.category) == ("worse", "harmed")

    @pytest.mark.parametrize(("step", "category"), [(math.inf, "improved"), (0.0, "unchanged")])
    def test_exactly_at_the_threshold_is_unchanged(self, step: float, category: str) -> None:
        # the error of a difference is 2 * sqrt(2 * (1 - 0.5)) = 2, and doubling is exact
        threshold = 2 * critical_value(0.05)
        drop = math.nextafter(threshold, step) if step else threshold
        assert judged(invented(), drop, 0.0) == category
        assert judged(invented(), 0.0, drop) == {"improved": "deteriorated", "unchanged": "unchanged"}[category]

    @pytest.mark.parametrize(
        ("values", "category"),
        [
            ((20, 8), "recovered"),
            ((20, 9.99), "recovered"),
            ((20, 10), "improved"),  # 10 is still a case
            ((20, 15), "improved"),
            ((9, 2), "improved"),
            ((12, 9), "unchanged"),  # crosses, within error (3.92)
            ((9, 12), "unchanged"),
            ((10, 10), "unchanged"),
            ((12, 20), "deteriorated"),
            ((10, 20), "deteriorated"),  # began as a case
            ((1, 9), "deteriorated"),  # never a case
            ((5, 10), "harmed"),
            ((5, 20), "harmed"),
        ],
    )
    def test_categories_by_a_published_cutoff(self, values: tuple[float, float], category: str) -> None:
        assert judged(invented(cutoffs=[CUTOFF | {"at_least": 10}]), *values) == category

    @pytest.mark.parametrize(
        ("values", "category"),
        [
            ((20, 9), "recovered"),
            ((20, 10), "improved"),  # on the cutoff is on neither side
            ((10, 5), "improved"),
            ((10, 20), "harmed"),
            ((5, 10), "harmed"),
            ((10.5, 20), "deteriorated"),
            ((1, 9), "deteriorated"),
            ((12, 9), "unchanged"),
        ],
    )
    def test_categories_by_cutoff_c(self, values: tuple[float, float], category: str) -> None:
        # equal standard deviations: halfway between 15 and 5
        instrument = invented(**with_norms(clinical=(15, 5), functional=(5, 5)))
        assert judged(instrument, *values) == category

    def test_strict_published_cutoff(self) -> None:
        instrument = invented(cutoffs=[CUTOFF | {"above": 10}])
        assert (judged(instrument, 20, 10), judged(instrument, 5, 10)) == ("recovered", "deteriorated")

    def test_without_a_cutoff_by_reliable_change_alone(self) -> None:
        assert [judged(invented(), 20, after) for after in (5, 18, 27)] == ["improved", "unchanged", "deteriorated"]

    @pytest.mark.parametrize(
        ("baseline", "band", "possible"),
        [
            (2, (2, 10.3592), (True, False)),  # 2 - 8.36 lies below the scale
            (36, (27.6408, 36), (False, True)),
            (20, (11.6408, 28.3592), (True, True)),
        ],
    )
    def test_band_ends_with_the_scale(
        self, baseline: float, band: tuple[float, float], possible: tuple[bool, bool]
    ) -> None:
        found = progress(FSFI, "total", series(baseline)).band
        assert found is not None
        assert (found.low, found.high) == pytest.approx(band, abs=1e-4)
        assert (found.can_improve, found.can_worsen) == possible

    def test_band_where_lower_is_better(self) -> None:
        found = progress(PHQ_9, "total", series(3, variant="prorated")).band
        assert found is not None
        assert (found.low, found.can_improve, found.can_worsen) == (0, False, True)

    def test_band_that_just_reaches_the_end(self) -> None:
        """No score lies beyond it, so no change from here can be an improvement."""
        found = progress(invented(), "total", series(2 * critical_value(0.05), variant="prorated")).band
        assert found is not None
        assert (found.low, found.can_improve) == (0, False)
        above = math.nextafter(2 * critical_value(0.05), math.inf)
        assert progress(invented(), "total", series(above, variant="prorated")).band.can_improve  # type: ignore[union-attr]  # as above

    def test_no_difference(self) -> None:
        found = progress(FSFI, "total", series(20.1, 22, 20.1)).from_baseline
        assert isinstance(found, Change)
        assert (found.points, found.direction, found.rci, found.p_value) == (0, "same", 0, 1)

    @pytest.mark.parametrize(
        ("code", "scale", "value", "side"),
        [
            ("fsfi", "desire", 3.0, "clinical"),  # at most 3
            ("fsfi", "desire", 3.6, "functional"),
            ("iief-5", "total", 21, "clinical"),
            ("csi-16", "total", 51.5, "functional"),  # below 51.5
            ("csi-16", "total", 51, "clinical"),
            ("asex", "total", 19, "clinical"),  # at least 19
        ],
    )
    def test_side_of_a_published_cutoff_itself(self, code: str, scale: str, value: float, side: str) -> None:
        found = progress(instruments.load(code), scale, series(value))
        assert found.side(found.last) == side

    def test_no_parameters(self) -> None:
        found = progress(instruments.load("iief-5"), "total", series(9, 18, variant="standard"))
        assert isinstance(found.figures.reliable_change, Unavailable)
        assert found.document()["reliable_change"] == {
            "available": False, "code": "no-parameters", "detail": found.figures.reliable_change.detail
        }  # fmt: skip
        assert isinstance(found.from_baseline, Change)
        assert (found.from_baseline.points, found.from_baseline.direction) == (9, "better")
        assert (found.from_baseline.rci, found.from_baseline.p_value, found.from_baseline.category) == (None,) * 3
        assert found.band is None
        assert found.side(found.last) == "clinical"  # 21 or less, published

    def test_no_direction(self) -> None:
        found = progress(instruments.load("sdi-2"), "dyadic", series(30, 41, 38, variant="dyadic-9"))
        assert found.document()["reliable_change"]["code"] == "no-direction"
        assert isinstance(found.from_baseline, Change)
        assert (found.from_baseline.points, found.from_baseline.direction) == (8, None)
        assert (found.band, found.side(found.last), found.figures.cutoffs) == (None, None, ())

    def test_sides(self) -> None:
        instrument = invented(**with_norms(clinical=(15, 5), functional=(5, 5)))
        found = progress(instrument, "total", series(9, 10, 11, variant="prorated"))
        assert [found.side(point) for point in found.points] == ["functional", "on-cutoff", "clinical"]
        assert progress(invented(), "total", series(9, variant="prorated")).side(found.last) is None
        assert found.side(None) is None


class TestSeries:
    def test_none(self) -> None:
        found = progress(FSFI, "total", [])
        assert (found.points, found.baseline, found.last, found.band) == ([], None, None, None)
        assert found.variant == "strict", "the instrument's default"
        assert found.document()["change"]["from_baseline"]["code"] == "no-measurement"
        assert found.document()["baseline"] is None

    def test_one(self) -> None:
        found = progress(FSFI, "total", series(16.2))
        assert found.baseline is found.last
        for change in found.document()["change"].values():
            assert (change["available"], change["code"]) == (False, "one-measurement")
        assert found.points[0]["used"]
        assert found.band is not None

    def test_all_left_out(self) -> None:
        found = progress(FSFI, "total", [measured(None), measured(5.0, day=3, valid=False)])
        assert [point["reason"] for point in found.points] == ["no-value", "validity-rule-failed"]
        assert found.document()["change"]["from_baseline"]["code"] == "no-measurement"
        assert found.baseline is None

    def test_left_out_are_shown_with_their_reason(self) -> None:
        given = [
            measured(30.0, day=1, valid=False),
            measured(16.2, day=2),
            measured(None, day=3, valid=False),
            measured(17.0, day=4, version=2),
            measured(17.0, day=5, variant="prorated"),
            measured(18.0, day=6, valid=False, version=2),
            measured(19.0, day=7),
        ]
        found = progress(FSFI, "total", given)
        assert [(p["used"], p["reason"]) for p in found.points] == [
            (False, "validity-rule-failed"),
            (True, None),
            (False, "no-value"),
            (False, "other-version"),
            (False, "other-variant"),
            (False, "validity-rule-failed"),
            (True, None),
        ]
        assert [p["change"] for p in found.points] == [None] * 6 + [2.8]
        assert found.points[6]["change_from_previous"] == 2.8, "from the last one used"
        assert found.left_out == {"validity-rule-failed": 2, "no-value": 1, "other-version": 1, "other-variant": 1}
        assert {entry["reason"]: entry["detail"] for entry in found.document()["left_out"]} == REASONS

    def test_variant_is_that_of_the_newest_usable(self) -> None:
        given = [
            measured(16.0, day=1),
            measured(17.0, day=2, variant="prorated"),
            measured(None, day=3),
            measured(18.0, day=4, valid=False),
            measured(19.0, day=5, version=2),
        ]
        found = progress(FSFI, "total", given)
        assert found.variant == "prorated"
        assert [p["used"] for p in found.points] == [False, True, False, False, False]
        asked = progress(FSFI, "total", given, variant="strict")
        assert [p["used"] for p in asked.points] == [True, False, False, False, False]

    def test_versions_declared_comparable(self) -> None:
        given = [measured(16.0, version=1), measured(30.0, day=9, version=2)]
        assert [p["used"] for p in progress(FSFI, "total", given).points] == [True, False]
        assert [p["used"] for p in progress(FSFI, "total", given, versions={1, 2}).points] == [True, True]

    def test_order_is_of_answering_then_of_recording(self) -> None:
        later = START + timedelta(days=9)
        given = [
            measured(3.0, response_id="0", recorded_at=later),
            measured(2.0, response_id="b"),
            measured(4.0, day=1, recorded_at=START),
            measured(1.0, response_id="a"),
        ]
        found = progress(FSFI, "total", given)
        assert [p["value"] for p in found.points] == [1, 2, 3, 4]

    def test_measurements_of_one_moment_are_all_used(self) -> None:
        found = progress(FSFI, "total", [measured(16.0, response_id="a"), measured(30.0, response_id="b")])
        assert isinstance(found.from_baseline, Change)
        assert (found.from_baseline.days, found.from_baseline.points) == (0, 14)

    @given(
        st.lists(
            st.builds(
                measured,
                st.none() | st.integers(20, 360).map(lambda tenths: tenths / 10),
                day=st.integers(0, 900),
                variant=st.sampled_from(["strict", "prorated"]),
                version=st.sampled_from([1, 1, 1, 2]),
                valid=st.booleans(),
                response_id=st.uuids().map(str),
            ),
            max_size=12,
        ),
        st.randoms(use_true_random=False),
    )
    def test_laws(self, given: list[Measurement], random: Any) -> None:
        found = progress(FSFI, "total", given)
        check_laws(found, given)
        shuffled = list(given)
        random.shuffle(shuffled)
        assert progress(FSFI, "total", shuffled).document() == found.document(), "order of input says nothing"
        used = {p["response_id"] for p in found.points if p["used"]}
        alone = progress(FSFI, "total", [m for m in given if m.response_id in used], variant=found.variant)
        assert (alone.from_baseline, alone.from_previous) == (found.from_baseline, found.from_previous)
        assert alone.points == [p for p in found.points if p["used"]], "what is left out changes nothing"


def check_laws(found: Progress, given: Sequence[Measurement]) -> None:
    assert len(found.points) == len(given), "nothing is dropped"
    used = [p for p in found.points if p["used"]]
    for point in found.points:
        assert point["used"] == (point["reason"] is None)
    assert (found.baseline, found.last) == ((used[0], used[-1]) if used else (None, None))
    if len(used) < 2:
        assert isinstance(found.from_baseline, Unavailable)
        return
    assert isinstance(found.from_baseline, Change)
    for name in ("rci", "p_value", "category"):
        assert getattr(found.from_baseline, name) == used[-1][name]
    assert found.from_baseline.points == used[-1]["change"]
    assert found.band is not None
    for point in used[1:]:
        inside = found.band.low <= (point["value"] or 0) <= found.band.high
        assert inside == (point["category"] == "unchanged"), "the band is where nothing has reliably changed"
