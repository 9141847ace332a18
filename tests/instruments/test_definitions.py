"""The definitions that ship: each loads, compiles and says where every figure comes from."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import pytest

import instruments
from instruments.catalogue import DEFINITIONS
from instruments.loader import read_definition, read_file
from instruments.parts import BandSet, BaselineRange, ChangeThreshold, Cutoff, Norm, Reliability
from instruments.schema import Instrument, ScaleRule
from scoring.errors import PlanError
from scoring.plan import plan_of

FILES = sorted(DEFINITIONS.glob("*.yaml"))
CODES = instruments.catalogue().codes
GOOD = Path(__file__).parent.parent / "definitions_good" / "lamp-3@1.yaml"


@pytest.fixture(params=CODES)
def instrument(request: pytest.FixtureRequest) -> Instrument:
    return instruments.load(request.param)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_file_loads_and_compiles_under_every_variant(path: Path) -> None:
    instrument = read_file(path)
    for variant in instrument.variant_ids:
        assert plan_of(instrument, variant).variant == variant


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    max: 12\n", "    max: 13\n", "min..max is 0..13, but its parts give 0.0..12.0"),
        ("    min: 0\n    max: 16", "    min: 1\n    max: 16", "min..max is 1..16, but its parts give 0.0..16.0"),
    ],
)
def test_a_range_that_the_items_do_not_give_is_refused(old: str, new: str, words: str) -> None:
    instrument = read_definition(GOOD.read_text().replace(old, new, 1))
    with pytest.raises(PlanError, match=words):
        plan_of(instrument)


def test_numbers_of_people_are_no_smaller_than_two(instrument: Instrument) -> None:
    counted: list[Norm | Reliability | Cutoff] = [*instrument.norms, *instrument.reliabilities, *instrument.cutoffs]
    for part in counted:
        assert part.n is None or part.n >= 2, part.id


def test_ranges_run_upwards(instrument: Instrument) -> None:
    ranged: list[Reliability | ChangeThreshold] = [*instrument.reliabilities, *instrument.changes]
    for part in ranged:
        assert part.upper is None or part.upper > part.value, part.id


def test_a_baseline_belongs_to_one_severity_of_a_change(instrument: Instrument) -> None:
    """Of the same kind, scale and source: where two ranges overlap it could not be told which amount holds."""
    ranged = [change for change in instrument.changes if change.baseline is not None]
    for one, other in combinations(ranged, 2):
        if (one.scale, one.kind, one.source) == (other.scale, other.kind, other.source):
            assert one.baseline is not None
            assert other.baseline is not None
            scale = rule_of(instrument, one)
            scores = range(int(scale.min), int(scale.max) + 1)
            assert not any(one.baseline.holds(score) and other.baseline.holds(score) for score in scores), one.id


def test_a_range_of_scores_at_the_start_holds_its_ends() -> None:
    both = BaselineRange(severity="mild", at_least=Decimal(17), at_most=Decimal(25), evidence="memory")
    assert [both.holds(score) for score in (16, 17, 25, 26)] == [False, True, True, False]
    assert BaselineRange(severity="severe", at_most=Decimal(10), evidence="memory").holds(-5)
    assert BaselineRange(severity="mild", at_least=Decimal(10), evidence="memory").holds(1e6)


def rule_of(instrument: Instrument, figure: Norm | Cutoff | ChangeThreshold | BandSet) -> ScaleRule:
    """The scale's rule under the first of the variants that a figure holds under."""
    return instrument.scale(figure.scale).rule_for((figure.variants or instrument.variant_ids)[0])


def test_means_cutoffs_bands_and_changes_fit_their_scales(instrument: Instrument) -> None:
    """A slip of the decimal point, or a figure under the wrong scale, mostly leaves the scale's range."""
    for norm in instrument.norms:
        scale = rule_of(instrument, norm)
        assert norm.mean is None or scale.min < norm.mean < scale.max, norm.id
        assert norm.sd is None or norm.sd <= (scale.max - scale.min) / 2, norm.id
    for cutoff in instrument.cutoffs:
        scale = rule_of(instrument, cutoff)
        assert isinstance(cutoff.operand, Decimal)
        assert scale.min < cutoff.operand < scale.max, cutoff.id
    for change in instrument.changes:
        scale = rule_of(instrument, change)
        assert 0 < change.value < scale.max - scale.min, change.id
        for limit in () if change.baseline is None else (change.baseline.at_least, change.baseline.at_most):
            assert limit is None or scale.min <= limit <= scale.max, change.id


def test_bands_leave_no_gap_and_end_with_the_scale(instrument: Instrument) -> None:
    for bands in instrument.bands:
        scale = rule_of(instrument, bands)
        for lower, upper in zip(bands.bands, bands.bands[1:], strict=False):
            assert upper.min - lower.max == 1, bands.id
        assert bands.bands[-1].max == scale.max, bands.id
        # where the lowest band starts above the scale, a validity rule speaks about the values below it
        below = {name for rule in instrument.validity for name in rule.scales}
        assert bands.bands[0].min == scale.min or bands.scale in below, bands.id


def test_progress_is_from_sources_that_are_given_as_figures(instrument: Instrument) -> None:
    """The reliability is among the listed coefficients, and an SD that is not derived among the listed norms."""
    for parameters in instrument.progress:
        listed = [r for r in instrument.reliabilities if r.kind == parameters.reliability_kind]
        own = [r.value for r in listed if r.scale == parameters.scale]
        # the total of the FSFI borrows the lowest coefficient of its domains, and says so
        borrowed = (
            [r.value for r in listed if r.scale != parameters.scale]
            if "domain" in parameters.reliability_sample
            else []
        )
        assert parameters.reliability in own + borrowed, parameters.scale
        spreads = [norm.sd for norm in instrument.norms if norm.scale == parameters.scale]
        assert parameters.sd in spreads or "together" in parameters.sd_sample or "computed" in parameters.sd_sample


POOLED = [
    ("fsfi", "8.06", ("sweden-low-desire-2015", "sweden-healthy-2015")),
    ("pedt", "5.14", ("china-cases-2017", "china-controls-2017")),
    ("phq-9", "5.80", ("usa-major-depression-2001", "usa-other-depression-2001", "usa-no-depression-2001")),
    ("gad-7", "5.41", ("usa-gad-2006", "usa-no-gad-2006")),
]


@pytest.mark.parametrize(("code", "sd", "groups"), POOLED, ids=[row[0] for row in POOLED])
def test_a_spread_computed_over_groups_is_computed_rightly(code: str, sd: str, groups: tuple[str, ...]) -> None:
    instrument = instruments.load(code)
    norms = {norm.id: norm for norm in instrument.norms}
    assert instrument.progress[0].sd == Decimal(sd)
    # the figure of the FSFI weights each variance by n and not by n - 1, hence the room in the second decimal
    assert together([norms[name] for name in groups]) == pytest.approx(float(sd), rel=0.003)


def together(norms: list[Norm]) -> float:
    """Standard deviation of several groups as one sample, from the size, mean and SD of each."""
    rows = [(norm.n or 0, float(norm.mean or 0), float(norm.sd or 0)) for norm in norms]
    total = sum(n for n, _, _ in rows)
    mean = sum(n * m for n, m, _ in rows) / total
    squares = sum((n - 1) * s**2 + n * (m - mean) ** 2 for n, m, s in rows)
    return math.sqrt(squares / (total - 1))


def test_derived_reliable_changes_follow_from_their_parameters() -> None:
    """Jacobson and Truax's 95 % threshold, 1.96 * SD * sqrt(2 * (1 - r)), from the figures that the method names."""
    listed = {
        ("fsfi", "total-reliable-sweden"): (8.06, 0.93, 0.86),
        ("iief-15", "total-reliable-derived"): (8.20, 0.91, None),
        ("pedt", "total-reliable-derived"): (5.14, 0.77, None),
        ("asex", "total-reliable-derived"): (5.5, 0.801, None),
        ("gmsex", "total-reliable-derived"): (7.03, 0.957, 0.84),
        ("sqol-f", "total-reliable-derived"): (10.23, 0.88, None),
    }
    found = {
        (code, change.id)
        for code in CODES
        for change in instruments.load(code).changes
        if change.id.endswith(("-derived", "-sweden"))
    }
    assert found == {*listed, ("mrs", "total-reliable-derived")}
    for (code, name), (sd, higher, lower) in listed.items():
        change = next(c for c in instruments.load(code).changes if c.id == name)
        assert float(change.value) == pytest.approx(1.96 * sd * math.sqrt(2 * (1 - higher)), abs=0.006), code
        if lower is not None:
            assert float(change.upper or 0) == pytest.approx(1.96 * sd * math.sqrt(2 * (1 - lower)), abs=0.006), code
    mrs = next(c for c in instruments.load("mrs").changes if c.id == "total-reliable-derived")
    for value, sd in ((mrs.value, 5.7), (mrs.upper, 6.7)):
        assert float(value or 0) == pytest.approx(1.96 * sd * math.sqrt(2 * (1 - 0.86)), abs=0.006)


def test_topics_are_short_and_our_own(instrument: Instrument) -> None:
    for item in instrument.items:
        assert len(item.topic.split()) <= 8, item.id
        assert "?" not in item.topic, item.id


def test_nothing_is_scored_by_gender(instrument: Instrument) -> None:
    assert not {"male", "female", "man", "woman", "men", "women"} & set(instrument.applicability.organs)
    for form in instrument.forms:
        assert form.organs
        assert not {"male", "female"} & set(form.organs)
