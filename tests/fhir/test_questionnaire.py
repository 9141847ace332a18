"""What a Questionnaire made from an instrument holds, member by member."""

from __future__ import annotations

import json
from typing import Any

import pytest

import instruments
from instruments.fhir import names, questionnaire
from instruments.fhir.reading_questions import extensions
from instruments.schema import Instrument
from tests.fhir.cases import ALL
from tests.fhir.wordings import placeholder

LAMP, _ = ALL["lamp-3@1/strict"]


def by_link(questionnaire: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["linkId"]: item for item in questionnaire["item"]}


def weights(item: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for option in item["answerOption"]:
        (*_, weight) = [None, *(extension["valueDecimal"] for extension in extensions(option, names.ITEM_WEIGHT))]
        found[option["valueCoding"]["code"]] = weight
    return found


@pytest.mark.parametrize("key", ALL)
def test_every_questionnaire(key: str) -> None:
    instrument, variant = ALL[key]
    made = instruments.to_fhir(instrument, variant=variant)
    assert json.loads(json.dumps(made)) == made
    assert made["resourceType"] == "Questionnaire"
    assert made["version"] == str(instrument.version)
    assert instrument.licence.holder in made["copyright"]
    links = [item["linkId"] for item in made["item"]]
    assert len(set(links)) == len(links)
    items = by_link(made)
    for item in instrument.items_under(variant):
        if item.two_step is None:
            codes = [option["valueCoding"]["code"] for option in items[item.id]["answerOption"]]
            assert codes == [str(value) for value in item.options]  # in print order
            scored = {str(value): item.score_of.get(value) for value in item.options}
            assert weights(items[item.id]) == {
                code: None if score is None else float(score) for code, score in scored.items()
            }
    scores = [item for item in made["item"] if item.get("readOnly")]
    held = [rule.id for rule in instrument.caseness if rule.holds_under(variant)]
    assert [item["linkId"].removeprefix("case.") for item in scores] == [s.id for s in instrument.scales] + held
    for item in scores:
        (calculated,) = extensions(item, names.CALCULATED)
        assert calculated["valueExpression"]["language"] == "text/fhirpath"
        # a weight is never looked for by the address of its extension: renderers rewrite that
        assert "StructureDefinition" not in json.dumps(calculated["valueExpression"])


@pytest.mark.parametrize("key", ALL)
def test_wording_is_taken_from_the_pack_alone(key: str) -> None:
    instrument, variant = ALL[key]
    plain, worded = (
        instruments.to_fhir(instrument, variant=variant, wording=wording)
        for wording in (None, placeholder(instrument, variant))
    )
    for item in worded["item"]:
        if item["type"] in ("choice", "display"):
            assert item["text"].startswith("Placeholder")
            assert all(o["valueCoding"]["display"].startswith("choice") for o in item.get("answerOption", ()))
    assert worded["title"] == placeholder(instrument, variant).title
    # nothing else differs
    for made in (plain, worded):
        made.pop("title")
        made["item"] = [item for item in made["item"] if item["type"] != "display"]
        for item in made["item"]:
            if item["type"] == "choice":
                item.pop("text")
                for option in item["answerOption"]:
                    option["valueCoding"].pop("display")
    assert plain == worded


def test_reverse_scoring_is_in_the_weights_and_an_option_left_out_has_none() -> None:
    items = by_link(instruments.to_fhir(LAMP))
    assert weights(items["3"]) == {"0": 4, "1": 3, "2": 2, "3": 1, "4": 0}
    assert weights(items["4"]) == {"0": 0, "1": 2, "2": 4, "9": None}
    # a terminology server would be asked for the weight of a code of some system
    assert all("system" not in option["valueCoding"] for option in items["4"]["answerOption"])


def test_variants_have_questionnaires_of_their_own() -> None:
    strict, prorated = (instruments.to_fhir(LAMP, variant=variant) for variant in (None, "prorated"))
    assert (strict["url"], prorated["url"]) == (
        "urn:fathomline:questionnaire:lamp-3:strict",
        "urn:fathomline:questionnaire:lamp-3:prorated",
    )
    assert strict["title"] != prorated["title"]
    with pytest.raises(KeyError):
        instruments.to_fhir(LAMP, variant="nonesuch")


def test_the_topics_of_a_form() -> None:
    day, night = (by_link(instruments.to_fhir(LAMP, form=form))["1"]["text"] for form in ("day", "night"))
    assert (day, night) == ("light", "dark")
    with pytest.raises(KeyError):
        instruments.to_fhir(LAMP, form="nonesuch")


def test_codes_units_and_extraction() -> None:
    total = by_link(instruments.to_fhir(LAMP))["total"]
    assert total["code"] == [{"system": "urn:fathomline:scores:lamp-3", "code": "total", "display": "Total"}]
    assert extensions(total, names.UNIT)[0]["valueCoding"]["code"] == "{score}"
    assert extensions(total, names.EXTRACT)[0]["valueBoolean"] is True


def changed(**members: Any) -> Instrument:
    base = LAMP.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return instruments.loader.definition_from(json.loads(json.dumps(base | members)))


def test_codes_of_loinc_only_where_the_definition_has_them() -> None:
    assert "loinc" not in json.dumps(instruments.to_fhir(LAMP))
    codes = {"panel": "44249-1", "items": {"1": "44250-9"}, "scales": {"total": "44261-6"}}
    made = instruments.to_fhir(changed(loinc=codes | {"source": "invented", "evidence": "derived"}))
    items = by_link(made)
    assert made["code"] == [{"system": "http://loinc.org", "code": "44249-1"}]
    assert items["1"]["code"] == [{"system": "http://loinc.org", "code": "44250-9"}]
    assert [code["code"] for code in items["total"]["code"]] == ["44261-6", "total"]
    assert "code" not in items["2"]


def test_a_code_that_begins_with_a_digit_still_has_a_name() -> None:
    assert instruments.to_fhir(changed(code="3-lamps"))["name"] == "Q_3_LAMPS"


def test_a_caseness_rule_with_the_id_of_an_item() -> None:
    assert "3" in by_link(instruments.to_fhir(LAMP))
    base = LAMP.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    made = instruments.to_fhir(changed(caseness=[base["caseness"][0] | {"id": "3"}]))
    assert by_link(made)["case.3"]["type"] == "boolean"


def test_no_end_of_skips_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    instrument, _ = ALL["beacon-12@1/plain"]
    monkeypatch.setattr(questionnaire, "MOST_FILLINGS", 10)
    with pytest.raises(questionnaire.Unwritable, match="beacon-12"):
        instruments.to_fhir(instrument)
    instruments.to_fhir(LAMP)  # it has none


def test_what_is_not_expressed_is_named() -> None:
    named = {each.name: each.why for each in instruments.not_expressed(LAMP)}
    assert {"variant prorated", "form day", "item 4, option 9", "direction of ease"} <= named.keys()
    assert all(named.values())
    for instrument, _ in ALL.values():
        found = {each.name for each in instruments.not_expressed(instrument)}
        for kind, rules in (
            ("alert", instrument.alerts),
            ("validity", instrument.validity),
            ("cutoff", instrument.cutoffs),
            ("bands", instrument.bands),
            ("norm", instrument.norms),
            ("reliability", instrument.reliabilities),
            ("change", instrument.changes),
        ):
            assert {f"{kind} {rule.id}" for rule in rules} <= found
        assert not {f"scale {scale.id}" for scale in instrument.scales} & found
        assert not {f"caseness {rule.id}" for rule in instrument.caseness} & found
