"""Which sample a person is held against: by the definition, by the rule, or by whoever asks."""

from __future__ import annotations

from typing import Any

import pytest

import instruments
from instruments import Instrument
from scoring.norms import choose_norms, role_of, usable_norms
from scoring.progress import Change, progress
from scoring.progress_figures import figures
from scoring.progress_words import summary, unchecked
from scoring.reliable import PublishedChange, ReliableChange
from tests.scoring.test_progress import CUTOFF, NORM, changed, invented, measured, series, with_norms


def sample(name: str, population: str = "clinical", **changes: Any) -> dict[str, Any]:
    return {**NORM, "id": name, "population": population, "mean": 12, "sd": 4, **changes}


def chosen(instrument: Instrument, role: str = "clinical", **asked: Any) -> str | None:
    found = choose_norms(instrument, "total", "prorated", None, **asked)
    return next((choice.norm.id for name, choice in found.items() if name == role), None)


class TestRule:
    @pytest.mark.parametrize(
        ("worse", "better"),
        [
            ({"evidence": "memory", "n": 9999}, {"evidence": "read", "n": 5}),
            ({"organs": ["penis"], "n": 9999}, {"organs": ["vagina"], "n": 5}),
            ({"organs": ["penis"], "n": 9999}, {"organs": [], "n": 5}),
            ({"language": "pt-BR", "n": 9999}, {"language": None, "n": 5}),
            ({"language": None, "n": 9999}, {"language": "en-GB", "n": 5}),
            ({"n": 5}, {"n": 6}),
            ({"n": None}, {"n": 1}),
        ],
        ids=["memory", "other-anatomy", "stated-anatomy", "other-language", "stated-language", "smaller", "no-size"],
    )
    def test_of_two(self, worse: dict[str, Any], better: dict[str, Any]) -> None:
        """Each condition outweighs all that follow it, whichever stands first in the definition."""
        shown = {"languages": ["en"], "applicability": {**PLACE, "organs": ["vagina"]}}
        for norms in ([sample("a", **worse), sample("b", **better)], [sample("b", **better), sample("a", **worse)]):
            assert chosen(invented(norms=norms, progress=[], **shown)) == "b"

    def test_a_functional_sample_before_a_community_one(self) -> None:
        both = [sample("town", "community", n=9999), sample("well", "functional", n=5)]
        assert chosen(invented(norms=both), "functional") == "well"
        assert chosen(invented(norms=both[:1]), "functional") == "town"

    def test_equals_go_by_id(self) -> None:
        assert chosen(invented(norms=[sample("b"), sample("a")])) == "a"

    def test_another_language_can_be_asked_for(self) -> None:
        both = [sample("english", language="en"), sample("german", language="de-AT", n=5)]
        assert chosen(invented(norms=both, languages=["en"]), language="de") == "german"
        assert chosen(invented(norms=both, languages=["en"])) == "english"

    @pytest.mark.parametrize(
        "unusable",
        [{"mean": None}, {"sd": None}, {"population": "mixed"}, {"variants": ["strict"]}],
        ids=["no-mean", "no-sd", "mixed", "of-another-variant"],
    )
    def test_unusable(self, unusable: dict[str, Any]) -> None:
        made = invented(norms=[sample("a", **unusable)])
        assert choose_norms(made, "total", "prorated", None) == {}

    def test_the_definition_goes_before_the_rule(self) -> None:
        members = with_norms(clinical=(20, 4), functional=None)
        members["norms"].append(sample("larger", n=9999))
        (choice,) = figures(invented(**members), "total", "prorated").norms
        assert (choice.norm.id, choice.by, choice.others) == ("clinical-1", "definition", ("larger",))
        assert choice.document()["chosen_by"] == "definition"


PLACE = {"organs": [], "partner": "not-needed", "activity": "not-needed", "note": None}


class TestAsked:
    def test_it_takes_the_place_of_its_role(self) -> None:
        members = with_norms(clinical=(20, 4), functional=(5, 3))
        members["norms"].append(sample("town", "community", mean=8, sd=2))
        found = figures(invented(**members), "total", "prorated", norm="town")
        assert {c.role: (c.norm.id, c.by) for c in found.norms} == {
            "clinical": ("clinical-1", "definition"),
            "functional": ("town", "caller"),
        }
        # (4 * 8 + 2 * 20) / (4 + 2) = 12
        assert {c.id: c.value for c in found.cutoffs}["jacobson-truax-c"] == 12

    @pytest.mark.parametrize("norm", ["nobody", "mixture", "other-scale"])
    def test_unknown(self, norm: str) -> None:
        made = invented(norms=[sample("mixture", "mixed")])
        with pytest.raises(KeyError):
            figures(made, "total", "prorated", norm=norm)

    def test_a_clinical_sample_lends_its_spread(self) -> None:
        members = with_norms(clinical=(20, 4), functional=None)
        made = invented(**members)
        found = figures(made, "total", "prorated", norm="clinical-1").reliable_change
        assert isinstance(found, ReliableChange)
        # SD 4 in the place of 2, reliability 0.5: a standard error of a difference of 4 in the place of 2
        assert found.document["standard_error_of_difference"] == pytest.approx(4)
        assert found.document["sd"] == {"value": 4, "sample": "invented"}
        assert found.warnings == ("reliability-of-another-sample",)
        usual = figures(made, "total", "prorated").reliable_change
        assert isinstance(usual, ReliableChange)
        assert (usual.document["standard_error_of_difference"], usual.warnings) == (pytest.approx(2), ())

    def test_what_the_rule_finds_decides_only_when_asked_for(self) -> None:
        """A sample that nobody put beside the other is named and shown, and the published cutoff goes on deciding."""
        norms = [sample("ill", mean=20), sample("well", "functional")]
        found = figures(invented(cutoffs=[CUTOFF | {"at_least": 10}], norms=norms), "total", "prorated")
        assert {c.id for c in found.cutoffs} == {"jacobson-truax-a", "jacobson-truax-b", "jacobson-truax-c", "ten"}
        assert found.deciding is not None
        assert found.deciding.id == "ten"
        assert [norm["chosen_by"] for norm in found.cutoffs[0].document(deciding=False)["norms"]] == ["rule"]
        alone = figures(invented(norms=norms), "total", "prorated")
        assert alone.deciding is None
        asked = figures(invented(norms=norms[:1]), "total", "prorated", norm="ill")
        assert asked.deciding is not None
        assert asked.deciding.id == "jacobson-truax-a"


THRESHOLD = {
    "id": "five", "scale": "total", "kind": "reliable-change", "value": 5, "method": "invented",
    "variants": ["strict"], "source": "invented", "evidence": "read",
}  # fmt: skip


class TestPublishedThreshold:
    def made(self, **changes: Any) -> Instrument:
        """The variant ``strict`` scores as ``prorated`` does, and is judged by a published threshold."""
        scales = instruments.load("phq-9").model_dump(by_alias=True)["scales"]
        for scale in scales:
            scale["variants"] = {}
        return changed(invented(changes=[THRESHOLD | changes]), scales=scales)

    def test_it_is_used_under_its_variant_only(self) -> None:
        usual = figures(self.made(), "total", "prorated").reliable_change
        asked = figures(self.made(), "total", "strict").reliable_change
        assert isinstance(usual, ReliableChange)
        assert isinstance(asked, PublishedChange)
        document = asked.document
        assert (document["method"], document["threshold"], document["significance"]) == ("published-threshold", 5, None)
        assert document["published"] == {"id": "five", "method": "invented"}

    @pytest.mark.parametrize(
        ("after", "category"), [(15, "improved"), (16, "unchanged"), (25, "deteriorated"), (24, "unchanged")]
    )
    def test_a_change_of_the_threshold_is_reliable(self, after: float, category: str) -> None:
        found = progress(self.made(), "total", series(20, after, variant="prorated"), variant="strict")
        assert isinstance(found.from_baseline, Change)
        assert (found.from_baseline.category, found.from_baseline.rci, found.from_baseline.p_value) == (
            category,
            None,
            None,
        )
        assert found.variant == "strict"
        side = "less than" if category == "unchanged" else "at least"
        assert f"That is {side} the published reliable change (5 points)." in summary(found)
        assert found.band is not None
        assert (found.band.low, found.band.high) == (15, 25)

    def test_of_a_range_the_larger_end(self) -> None:
        found = figures(self.made(upper=8), "total", "strict").reliable_change
        assert isinstance(found, PublishedChange)
        assert found.threshold == 8

    def test_one_wider_than_the_scale_warns(self) -> None:
        """One as wide as the scale is reached from one end to the other: it has to be reached, not exceeded."""
        for value, warnings in ((27, ()), (27.5, ("threshold-exceeds-scale",))):
            found = figures(self.made(value=value), "total", "strict").reliable_change
            assert isinstance(found, PublishedChange)
            assert found.warnings == warnings

    def test_one_of_all_variants_is_listed_and_decides_nothing(self) -> None:
        found = figures(self.made(variants=None), "total", "strict").reliable_change
        assert isinstance(found, ReliableChange)

    def test_from_memory_it_is_to_be_checked(self) -> None:
        assert "reliable-change" in figures(self.made(evidence="memory"), "total", "strict").needs_review

    def test_scores_of_variants_that_score_differently_are_not_compared(self) -> None:
        found = progress(instruments.load("phq-9"), "total", series(20, 10, variant="prorated"), variant="strict")
        assert [point["reason"] for point in found.points] == ["other-variant", "other-variant"]


def test_roles() -> None:
    populations = {"clinical": "clinical", "functional": "functional", "community": "functional", "mixed": None}
    for population, role in populations.items():
        (norm,) = invented(norms=[sample("a", population)]).norms
        assert role_of(norm) == role
    assert usable_norms(invented(norms=[sample("a")]), "nonesuch", "prorated") == ()


class TestGroups:
    """Limits for different people: which of them somebody is, no score tells."""

    def limits(self, *groups: str | None) -> list[dict[str, Any]]:
        return [CUTOFF | {"id": f"limit-{n}", "at_least": 10 + n, "group": group} for n, group in enumerate(groups)]

    @pytest.mark.parametrize(
        ("groups", "decides"),
        [
            (["men", "women"], None),
            (["men", "women", None], "limit-2"),
            (["men", "men"], "limit-0"),
            (["men"], "limit-0"),
            ([None, None], "limit-0"),
        ],
    )
    def test_of_limits_for_different_groups_none_decides(self, groups: list[str | None], decides: str | None) -> None:
        found = figures(invented(cutoffs=self.limits(*groups)), "total", "prorated")
        assert (found.deciding and found.deciding.id) == decides
        assert [cutoff["group"] for cutoff in found.document["cutoffs"]] == groups

    def test_a_form_for_one_group_has_its_limit(self) -> None:
        csfq = instruments.load("csfq-14")
        decides = {variant: figures(csfq, "total", variant).deciding for variant in csfq.variant_ids}
        assert {variant: cutoff and cutoff.id for variant, cutoff in decides.items()} == {
            "form-unstated": None,
            "male-form": "total-male",
            "female-form": "total-female",
        }


def test_a_derived_threshold_that_is_tied_to_a_variant_is_no_published_one() -> None:
    found = figures(TestPublishedThreshold().made(evidence="derived"), "total", "strict").reliable_change
    assert isinstance(found, ReliableChange)


class TestUncheckedVariant:
    """A way to score that rests on memory is said, unless it treats unanswered items otherwise and there were none."""

    def said(self, instrument: Instrument, variant: str, status: str = "complete") -> str:
        found = progress(instrument, "total", [measured(20, variant=variant, status=status)])
        return unchecked(found)

    def test_prorating(self) -> None:
        phq = instruments.load("phq-9")
        assert self.said(phq, "prorated") == ""
        assert self.said(phq, "prorated", "prorated") == "how unanswered items are made up for"

    def test_another_coding(self) -> None:
        code, variant = next(
            (code, one.id)
            for code in instruments.catalogue().codes
            for instrument in [instruments.load(code)]
            for one in instrument.variants
            if one.evidence == "memory" and "total" in [scale.id for scale in instrument.scales]
            and not instrument.only_missing_differs(one.id)
        )  # fmt: skip
        assert "the way to score" in self.said(instruments.load(code), variant)
