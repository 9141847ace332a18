"""The figures that progress rests on, worked out in the comments from the definitions' own."""

from __future__ import annotations

from pathlib import Path

import pytest

import instruments
from instruments import Instrument
from instruments.loader import read_file
from scoring.progress_figures import figures
from scoring.reliable import ReliableChange
from tests.scoring.test_progress import CUTOFF, FSFI, PARAMETERS, PHQ_9, invented, with_norms


def test_fsfi_total() -> None:
    found = figures(FSFI, "total", "strict")
    reliable = found.reliable_change
    assert isinstance(reliable, ReliableChange)
    document = reliable.document
    # SD 8.06, reliability 0.86: 8.06 * sqrt(0.14) = 8.06 * 0.37416574 = 3.01577585
    assert document["standard_error_of_measurement"] == pytest.approx(3.01577585, abs=5e-8)
    # 8.06 * sqrt(0.28) = 8.06 * 0.52915026 = 4.26495111; times 1.95996398 = 8.35915058
    assert document["standard_error_of_difference"] == pytest.approx(4.26495111, abs=5e-8)
    assert document["threshold"] == pytest.approx(8.35915058, abs=5e-8)
    assert (document["sd"]["value"], document["reliability"]["value"]) == (8.06, 0.86)
    assert (document["source"], document["evidence"]) == ("10.1111/jsm.12778", "derived")
    assert "Swedish" in document["sd"]["sample"]
    assert document["reliability"]["kind"] == "test-retest"
    # clinical 17.47 (5.33), functional 31.37 (2.66)
    assert {c.id: c.value for c in found.cutoffs} == pytest.approx(
        {
            "jacobson-truax-a": 17.47 + 2 * 5.33,  # 28.13
            "jacobson-truax-b": 31.37 - 2 * 2.66,  # 26.05
            "jacobson-truax-c": 213.6723 / 7.99,  # (5.33 * 31.37 + 2.66 * 17.47) / (5.33 + 2.66)
            "dysfunction": 26.55,
        }
    )
    assert found.deciding is not None
    assert found.deciding.id == "jacobson-truax-c"


def test_cutoffs_say_what_they_rest_on() -> None:
    by_id = {c["id"]: c for c in figures(FSFI, "total", "strict").document["cutoffs"]}
    computed, published = by_id["jacobson-truax-c"], by_id["dysfunction"]
    assert [(norm["population"], norm["n"], norm["mean"]) for norm in computed["norms"]] == [
        ("clinical", 50, 17.47),
        ("functional", 58, 31.37),
    ]
    assert {norm["source"] for norm in computed["norms"]} == {"10.1111/jsm.12778"}
    assert [norm["id"] for norm in by_id["jacobson-truax-a"]["norms"]] == ["sweden-low-desire-2015"]
    assert [norm["id"] for norm in by_id["jacobson-truax-b"]["norms"]] == ["sweden-healthy-2015"]
    assert (computed["decides"], published["decides"]) == (True, False)
    assert (computed["clinical_side"], published["clinical_side"]) == ("below", "at_most")
    assert (published["source"], published["evidence"]) == ("10.1080/00926230590475206", "read")
    assert (published["sensitivity"], published["specificity"]) == (0.707, 0.881)
    assert published["accuracy_evidence"] == "memory", "the cutoff was read, these were not"
    assert computed["accuracy_evidence"] is None
    assert published["norms"] == []
    assert (computed["source"], computed["evidence"]) == ("10.1111/jsm.12778", "derived")
    assert [norm["evidence"] for norm in computed["norms"]] == ["read", "read"]


@pytest.mark.parametrize(
    ("members", "evidence"),
    [
        ({}, None),
        ({"sensitivity": 0.8}, "derived"),
        ({"specificity": 0.8}, "derived"),
        ({"specificity": 0.8, "accuracy_evidence": "read"}, "read"),
    ],
)
def test_accuracy_is_as_well_known_as_its_cutoff_unless_told_otherwise(
    members: dict[str, object], evidence: str | None
) -> None:
    found = figures(invented(cutoffs=[CUTOFF | {"at_least": 10} | members]), "total", "prorated")
    assert found.document["cutoffs"][0]["accuracy_evidence"] == evidence


def test_phq_9() -> None:
    found = figures(PHQ_9, "total", "prorated")
    assert isinstance(found.reliable_change, ReliableChange)
    # SD 5.80, reliability 0.84: 5.8 * sqrt(0.32) = 3.28097546; times 1.95996398 = 6.43059376
    assert found.reliable_change.threshold == pytest.approx(6.43059376, abs=5e-8)
    # (6.1 * 3.3 + 3.8 * 17.1) / 9.9 = 85.11 / 9.9
    assert found.deciding is not None
    assert found.deciding.value == pytest.approx(85.11 / 9.9)
    assert found.deciding.clinical_side == "above"
    assert "depression-new-zealand" not in {c.id for c in found.cutoffs}, "only those reported with every result"


@pytest.mark.parametrize(
    ("code", "scale", "deciding"),
    [
        ("fsfi", "desire", "low-desire"),  # no norms named: the published one
        ("iief-15", "total", "jacobson-truax-b"),  # a functional norm alone
        ("asex", "total", "dysfunction-total"),  # no norms named: the published one
        ("pcl-5", "total", "jacobson-truax-c"),
        ("iief-15", "erectile_function", "erectile-dysfunction"),  # published and read, against c from memory
        ("iief-15", "orgasmic_function", "jacobson-truax-c"),  # from memory, and nothing was published
        ("who-5", "total", "reduced-well-being"),  # the first of two; no parameters
        ("gmsex", "total", None),
    ],
)
def test_deciding_cutoff(code: str, scale: str, deciding: str | None) -> None:
    instrument = instruments.load(code)
    found = figures(instrument, scale, instrument.variant_ids[0]).deciding
    assert (found and found.id) == deciding


@pytest.mark.parametrize(
    ("norms", "published", "deciding"),
    [
        ({}, ["read"], "jacobson-truax-c"),
        ({"clinical": "derived"}, ["read"], "jacobson-truax-c"),
        ({"clinical": "memory"}, ["read"], "p0"),
        ({"functional": "memory"}, ["memory", "read"], "p1"),
        ({"clinical": "memory"}, ["memory", "derived"], "jacobson-truax-c"),
        ({"clinical": "memory", "functional": "memory"}, [], "jacobson-truax-c"),
        ({"clinical": None}, ["memory"], "p0"),  # before b, though b's norm was read
        ({"clinical": None}, ["memory", "read"], "p1"),
        ({"clinical": None}, [], "jacobson-truax-b"),
        ({"functional": None}, [], "jacobson-truax-a"),
        ({"clinical": None, "functional": None}, ["memory", "derived"], "p0"),
        ({"clinical": None, "functional": None}, [], None),
    ],
)
def test_what_was_seen_goes_before_what_is_remembered(
    norms: dict[str, str | None], published: list[str], deciding: str | None
) -> None:
    evidence = {"clinical": "read", "functional": "read"} | norms
    given = {"clinical": (15, 5) if evidence["clinical"] else None}
    members = with_norms(**given, functional=(5, 5) if evidence["functional"] else None)
    for norm in members["norms"]:
        norm["evidence"] = evidence[norm["population"]]
    cutoffs = [CUTOFF | {"id": f"p{n}", "at_least": 12, "evidence": kind} for n, kind in enumerate(published)]
    found = figures(invented(**members, cutoffs=cutoffs), "total", "prorated")
    assert (found.deciding and found.deciding.id) == deciding
    told = {c["id"]: c["evidence"] for c in found.document["cutoffs"]}
    assert [told[f"p{n}"] for n in range(len(published))] == published
    if "jacobson-truax-c" in told:
        assert told["jacobson-truax-c"] == ("memory" if "memory" in evidence.values() else "derived")
    assert [c["id"] for c in found.document["cutoffs"] if c["decides"]] == [one for one in [deciding] if one]


def test_each_cutoff_is_as_well_known_as_its_own_norms() -> None:
    members = with_norms(clinical=(15, 5), functional=(5, 5))
    members["norms"][0]["evidence"] = "memory"
    told = {c["id"]: c["evidence"] for c in figures(invented(**members), "total", "prorated").document["cutoffs"]}
    assert told == {"jacobson-truax-a": "memory", "jacobson-truax-b": "derived", "jacobson-truax-c": "memory"}


@pytest.mark.parametrize(
    ("code", "scale", "variant", "names"),
    [
        ("fsfi", "total", "strict", []),
        ("iief-15", "erectile_function", "all-items", ["reliable-change"]),  # its deciding cutoff was read
        ("iief-15", "sexual_desire", "all-items", ["reliable-change", "cutoff jacobson-truax-c"]),
        ("iief-15", "total", "all-items", []),
        ("phq-9", "total", "prorated", ["variant prorated"]),
        ("phq-9", "total", "strict", []),
        ("sdi-2", "dyadic", "dyadic-8", []),
        ("sdi-2", "total", "dyadic-9", ["scale total"]),
        ("nsss-s", "total", "standard", []),  # the subscales are from memory, the total is not made of them
        ("fsds-r", "total", "fsds-r", ["cutoff distress"]),
    ],
)
def test_what_rests_on_memory_is_named(code: str, scale: str, variant: str, names: list[str]) -> None:
    assert figures(instruments.load(code), scale, variant).document["needs_review"] == names


def test_scale_made_of_a_scale_from_memory() -> None:
    content = FSFI.model_dump(by_alias=True)
    content["scales"][3]["evidence"] = "memory"
    made = Instrument.model_validate(content)
    assert figures(made, "total", "strict").needs_review == ("scale orgasm",)
    assert figures(made, "pain", "strict").needs_review == ()


def test_skip_from_memory_is_named_for_the_scales_that_it_fills_in() -> None:
    lamp = read_file(Path(__file__).parent.parent / "definitions_good" / "lamp-6@2.yaml")
    assert figures(lamp, "ease", "five").needs_review == ("skip unlit",)
    assert figures(lamp, "bother", "five").needs_review == ()
    assert figures(lamp, "t-now", "five").needs_review == ()


def test_clinical_norm_alone() -> None:
    found = figures(invented(**with_norms(clinical=(20, 4), functional=None)), "total", "prorated")
    # two standard deviations towards better, and lower is better: 20 - 2 * 4
    assert [(c.id, c.value) for c in found.cutoffs] == [("jacobson-truax-a", 12)]
    assert found.deciding is found.cutoffs[0]


def test_cutoff_that_nobody_can_cross_does_not_decide() -> None:
    members = with_norms(clinical=(8, 5), functional=None)  # 8 - 2 * 5 = -2, below the lowest score
    found = figures(invented(**members, cutoffs=[CUTOFF | {"at_least": 10}]), "total", "prorated")
    assert [(c.id, c.warnings) for c in found.cutoffs] == [("jacobson-truax-a", ("outside-scale",)), ("ten", ())]
    assert found.deciding is not None
    assert found.deciding.id == "ten"
    assert figures(invented(**members), "total", "prorated").deciding is None


@pytest.mark.parametrize(
    ("rule", "warnings"),
    [
        ({"at_least": 0}, ("outside-scale",)),  # everybody is a case
        ({"at_least": 0.5}, ()),
        ({"at_least": 27}, ()),
        ({"at_least": 27.5}, ("outside-scale",)),  # nobody is
        ({"above": -1}, ("outside-scale",)),
        ({"above": 0}, ()),
        ({"above": 27}, ("outside-scale",)),
        ({"at_most": 5}, ("against-direction",)),  # few points are the good side here
        ({"at_most": 27}, ("outside-scale", "against-direction")),
        ({"at_most": 0}, ("against-direction",)),
        ({"below": 5}, ("against-direction",)),
        ({"below": 0}, ("outside-scale", "against-direction")),
        ({"below": 27}, ("against-direction",)),
    ],
)
def test_warnings_of_published_cutoffs(rule: dict[str, float], warnings: tuple[str, ...]) -> None:
    found = figures(invented(cutoffs=[CUTOFF | rule]), "total", "prorated")
    assert found.cutoffs[0].warnings == warnings
    assert (found.deciding is None) == bool(warnings)


def test_other_scales_have_their_own() -> None:
    other = CUTOFF | {"id": "other", "at_least": 9, "primary": False}
    assert figures(invented(cutoffs=[other]), "total", "prorated").cutoffs == ()
    of_arousal = figures(FSFI, "arousal", "strict")
    assert {c.published for c in of_arousal.cutoffs} == {None}
    assert of_arousal.deciding is None


def test_error_as_wide_as_the_scale() -> None:
    # the range is 27; 1.96 * sd exceeds it from sd 13.8 on
    for sd, warnings in ((13.7, ()), (13.8, ("threshold-exceeds-scale",))):
        found = figures(invented(progress=[PARAMETERS | {"sd": sd}]), "total", "prorated").reliable_change
        assert isinstance(found, ReliableChange)
        assert found.warnings == warnings
        assert found.document["warnings"] == list(warnings)


def test_worked_out_once() -> None:
    assert figures(FSFI, "total", "strict") is figures(FSFI, "total", "strict")
    assert figures(FSFI, "total", "strict") is not figures(FSFI, "pain", "strict")


def test_range_is_the_variants() -> None:
    variant = {"id": "short", "name": "short", "source": "invented", "evidence": "derived"}
    dump = PHQ_9.model_dump(by_alias=True)
    dump["scales"][0]["variants"] = {"short": {"max": 20}}
    made = Instrument.model_validate(dump | {"variants": [*dump["variants"], variant]})
    assert figures(made, "total", "short").document["range"] == {"min": 0, "max": 20}
    assert figures(made, "total", "prorated").document["range"] == {"min": 0, "max": 27}


def test_only_what_is_not_chosen_by_a_caller_is_kept() -> None:
    world = invented(**with_norms(clinical=(15, 5), functional=(5, 4)))
    usual = world.variant_ids[0]
    kept = figures(world, "total", usual)
    size = len(world.compiled)
    for norm in ("clinical-1", "functional-1"):
        assert norm in {one.norm.id for one in figures(world, "total", usual, norm=norm).norms}
    assert len(world.compiled) == size
    assert figures(world, "total", usual) is kept


def test_unknown_scale() -> None:
    with pytest.raises(KeyError):
        figures(FSFI, "mood", "strict")


@pytest.mark.parametrize(("definition", "scale", "side"), [("fsfi", "total", "below"), ("phq-9", "total", "above")])
def test_computed_cutoffs_say_which_side_is_clinical(definition: str, scale: str, side: str) -> None:
    instrument = instruments.load(definition)
    found = figures(instrument, scale, instrument.variant_ids[0])
    sides = {c.clinical_side for c in found.cutoffs if c.kind == "jacobson-truax"}
    assert sides == {side}


def test_a_score_on_a_published_cutoff_counts_as_it_was_published() -> None:
    for definition in ("fsfi", "phq-9"):
        instrument = instruments.load(definition)
        published = [c for c in figures(instrument, "total", instrument.variant_ids[0]).cutoffs if c.published]
        assert {c.on_cutoff for c in published} == {"clinical"}, "at_most and at_least take the cutoff in"


def test_rules_from_memory_are_named_also_where_nothing_can_be_computed() -> None:
    found = figures(instruments.load("sdi-2"), "total", instruments.load("sdi-2").variant_ids[0])
    assert found.needs_review
