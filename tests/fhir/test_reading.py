"""Questionnaires read as definitions: ours lose nothing that the format can hold, others are never guessed at."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import instruments
import scoring
from instruments.fhir import names
from instruments.fhir.reading_questions import extensions
from instruments.loader import definition_from
from instruments.schema import Instrument
from tests.fhir.cases import ALL, forms

Json = dict[str, Any]
WEIGHT = names.ITEM_WEIGHT


def made(key: str) -> Json:
    instrument, variant = ALL[key]
    found: Json = json.loads(json.dumps(instruments.to_fhir(instrument, variant=variant)))
    return found


def completed(reading: instruments.Reading, instrument: Instrument, variant: str) -> Instrument:
    """The definition with the members that its notes call missing, and no others, as in the original."""
    definition = deepcopy(reading.definition)
    original = instrument.model_dump(mode="json", by_alias=True)
    items = {item.id: item for item in instrument.items_under(variant)}
    skips = [skip for skip in original["skips"] if skip["variants"] is None or variant in skip["variants"]]
    for note in reading.notes:
        if note.kind != "missing":
            continue
        match note.pointer.split("/")[1:]:
            case ["items", item, "not_applicable", option, "meaning"]:
                read = definition["items"][int(item)]
                value = read["not_applicable"][int(option)]["value"]
                (meant,) = [o.meaning for o in items[read["id"]].not_applicable if o.value == value]
                read["not_applicable"][int(option)]["meaning"] = meant
            case ["scales", scale, "higher_is"]:
                read = definition["scales"][int(scale)]
                read["higher_is"] = instrument.scale(read["id"]).higher_is
            case ["skips", skip, "meaning"]:
                definition["skips"][int(skip)]["meaning"] = skips[int(skip)]["meaning"]
            case [member]:
                assert member not in definition
                definition[member] = original[member]
            case _:
                raise AssertionError(note)
    return definition_from(json.loads(json.dumps(definition)))


@pytest.mark.parametrize("key", ALL)
def test_our_own_come_back(key: str) -> None:
    instrument, variant = ALL[key]
    questionnaire = made(key)
    reading = instruments.from_fhir(questionnaire)
    assert [note for note in reading.notes if note.kind == "dropped"] == []
    read = completed(reading, instrument, variant)
    # the same Questionnaire comes of it
    again = instruments.to_fhir(read)
    for member in ("item", "version", "title", "description", "useContext", "copyright", "code", "extension"):
        assert again.get(member) == questionnaire.get(member), member
    # and the same scores
    for answers in forms(instrument, variant):
        ours, theirs = scoring.score(instrument, answers, variant=variant), scoring.score(read, answers)
        assert {name: (s.value, s.status) for name, s in ours.scores.items()} == {
            name: (s.value, s.status) for name, s in theirs.scores.items()
        }
        assert theirs.caseness == ours.caseness
    # what is from elsewhere than a publication is shown as such
    assert {rule.evidence for rule in (*read.scales, *read.caseness, *read.skips)} == {"memory"}


def kinds(reading: instruments.Reading, kind: str) -> list[str]:
    return [note.pointer for note in reading.notes if note.kind == kind]


def question(link: str, *options: tuple[str, Any], **members: Any) -> Json:
    return {
        "linkId": link,
        "text": f"text of {link}",
        "type": "choice",
        "answerOption": [
            {"valueCoding": {"system": "urn:x", "code": code, "display": code}}
            | ({"extension": [{"url": WEIGHT, "valueDecimal": weight}]} if weight is not None else {})
            for code, weight in options
        ],
    } | members


def score(link: str, text: str, kind: str = "decimal", **variables: str) -> Json:
    return {
        "linkId": link,
        "text": f"name of {link}",
        "type": kind,
        "readOnly": True,
        "extension": [
            *(names.expression(names.VARIABLE, value, name) for name, value in variables.items()),
            names.expression(names.CALCULATED, text),
        ],
    }


def form(*items: Json, **members: Any) -> Json:
    return {"resourceType": "Questionnaire", "status": "active", "title": "A Form", "item": list(items)} | members


THREE = [question(link, ("LA-1", 0), ("LA-2", 1), ("LA-3", 2)) for link in ("/a/1", "/a/2", "/a/3")]
SOURCE = "%resource.item.where(linkId != 'sum').answer.value.ordinal()"


class TestOthers:
    @pytest.mark.parametrize(
        ("text", "items"),
        [
            (f"{SOURCE}.sum()", ["1", "2", "3"]),
            (f"{SOURCE}.aggregate($total + $this, 0)", ["1", "2", "3"]),
            ("%resource.item.answer.value.weight().sum()", ["1", "2", "3"]),
            ("%resource.item.answer.weight().sum()", ["1", "2", "3"]),
            (
                "%resource.descendants().where(linkId='/a/1' or linkId = '/a/3').answer.value.ordinal().sum()",
                ["1", "3"],
            ),
            ("%resource.repeat(item).where(linkId in ('/a/2'|'/a/3')).answer.value.weight().sum()", ["2", "3"]),
            (f"iif({SOURCE}.count() = 3, {SOURCE}.sum())", ["1", "2", "3"]),
            (f"iif({SOURCE}.count() = 3,\n  {SOURCE}.sum(), {{}})", ["1", "2", "3"]),
        ],
    )
    def test_a_sum_is_read(self, text: str, items: list[str]) -> None:
        reading = instruments.from_fhir(form(*THREE, score("sum", text)))
        (scale,) = reading.definition["scales"]
        assert (scale["items"], scale["method"], scale["missing"]) == (items, "sum", {"rule": "all"})
        assert (scale["min"], scale["max"]) == ("0", str(2 * len(items)))
        assert scale["evidence"] == "memory"
        # a sum of what there is says nothing about what is not: that is told, not guessed
        assert ("/scales/0/missing" in kinds(reading, "assumed")) == ("iif" not in text)

    @pytest.mark.parametrize(
        "text",
        [
            "1",
            "",
            "%resource.item.answer.value.ordinal().avg()",
            "%resource.item.where(text = 'x').answer.value.ordinal().sum()",
            "%resource.item.where(linkId = '/a/1' and linkId = '/a/2').answer.value.ordinal().sum()",
            "%resource.item.where(linkId = '/a/9').answer.value.ordinal().sum()",
            "%resource.item.where(linkId != '/a/1' or linkId != '/a/2').answer.value.ordinal().sum()",
            "%resource.item.answer.value.ordinal().sum() * 2",
            f"iif({SOURCE}.count() = 2, {SOURCE}.sum(), {{}})",
            f"iif({SOURCE}.count() > 1, {SOURCE}.sum(), {{}})",
            f"iif({SOURCE}.count() = 3, {SOURCE}.sum(), 0)",
            f"iif({SOURCE}.exists(), {SOURCE}.sum(), {{}})",
            "iif(%resource.item.answer.weight().count() = 1, "
            "%resource.item.where(linkId = '/a/1').answer.weight().sum())",
            "%resource.item.answer.value.ordinal().sum()" + " " * 30_000,
        ],
    )
    def test_anything_else_is_dropped_and_named(self, text: str) -> None:
        reading = instruments.from_fhir(form(*THREE, score("sum", text)))
        assert "scales" not in reading.definition
        assert "/scales" in kinds(reading, "missing")
        assert "/item/3" in kinds(reading, "dropped")

    def test_questions_in_groups_are_not_at_the_top(self) -> None:
        grouped = {"linkId": "g", "type": "group", "text": "a heading", "item": THREE}
        top, deep = (
            instruments.from_fhir(form(grouped, score("sum", f"%resource.{reach}.answer.value.ordinal().sum()")))
            for reach in ("item", "descendants()")
        )
        assert "scales" not in top.definition
        assert deep.definition["scales"][0]["items"] == ["1", "2", "3"]
        assert "/item/0/text" in kinds(deep, "dropped")

    def test_texts_stay_out_of_the_definition(self) -> None:
        reading = instruments.from_fhir(form(*THREE, score("sum", f"{SOURCE}.sum()")))
        assert "text of" not in json.dumps(reading.definition)
        assert {f"/item/{index}/text" for index in range(3)} <= set(kinds(reading, "dropped"))
        assert {f"/items/{index}/topic" for index in range(3)} <= set(kinds(reading, "assumed"))

    def test_what_a_questionnaire_has_no_place_for_is_missing_and_not_made_up(self) -> None:
        reading = instruments.from_fhir(form(*THREE, copyright="all rights"))
        absent = {"measures", "concerns", "population", "applicability", "recall", "citation", "licence"}
        assert not absent & reading.definition.keys()
        assert {f"/{member}" for member in absent} <= set(kinds(reading, "missing"))
        assert "/copyright" in kinds(reading, "dropped")

    @pytest.mark.parametrize(
        ("options", "values", "member"),
        [
            ((("0", 0), ("1", 1)), [0, 1], {}),
            ((("a", 3), ("b", 5)), [3, 5], {}),
            ((("a", 0.5), ("b", 1.5)), [0, 1], {"scored": {"0": "0.5", "1": "1.5"}}),
            ((("a", 1), ("b", 1)), [0, 1], {"scored": {"0": "1", "1": "1"}}),
            ((("01", None), ("2", None)), [0, 1], {}),
            ((("0", 2), ("1", 1), ("2", 0)), [0, 1, 2], {"reverse": True}),
            ((("0", 0), ("1", 1), ("7", None)), [0, 1, 7], {"not_applicable": [{"value": 7, "scored": False}]}),
            ((("-3", 0), ("4", 7)), [-3, 4], {"scored": {"-3": "0", "4": "7"}}),
        ],
    )
    def test_options(self, options: tuple[tuple[str, Any], ...], values: list[int], member: Json) -> None:
        reading = instruments.from_fhir(form(question("1", *options)))
        (item,) = reading.definition["items"]
        assert item["options"] == values
        assert {name: item[name] for name in item.keys() - {"id", "topic", "options"}} == member
        renamed = [str(value) for value in values] != [code for code, _ in options]
        without = all(weight is None for _, weight in options)
        assert ("/items/0/options" in kinds(reading, "assumed")) == (renamed or without)
        assert ("/items/0/not_applicable/0/meaning" in kinds(reading, "missing")) == ("not_applicable" in member)

    def test_weights_in_other_places_and_kinds_of_options(self) -> None:
        ordinal = {"extension": [{"url": WEIGHT}, {"url": names.ORDINAL_VALUE, "valueDecimal": 4}]}
        options = [
            {"valueInteger": 4},
            {"valueCoding": {"code": "5"} | {"extension": [{"url": "urn:x"}, {"url": WEIGHT, "valueDecimal": 5}]}},
        ]
        item = {"linkId": "1", "type": "integer", "answerOption": [options[0] | ordinal, options[1]]}
        words = {"linkId": "2", "type": "string", "answerOption": [{"valueString": "no"}, {"valueString": "yes"}]}
        reading = instruments.from_fhir(form(item, words))
        assert [each["options"] for each in reading.definition["items"]] == [[4, 5], [0, 1]]

    @pytest.mark.parametrize(
        "item",
        [
            question("x", ("0", 0), ("1", 1), repeats=True),
            question("x", ("0", 0)),
            question("x", ("0", 0), ("1", 1)) | {"answerOption": [{"valueDate": "2020-01-01"}, "1"]},
            {"linkId": "x", "type": "choice", "answerValueSet": "urn:x"},
            {"linkId": "x", "type": "text", "text": "Anything else?"},
            score("x", "true", kind="boolean"),
            {
                "linkId": "x",
                "type": "decimal",
                "extension": [
                    {"url": names.CALCULATED, "valueExpression": {"language": "text/cql", "expression": "1"}}
                ],
            },
            {"linkId": "x", "type": "decimal", "extension": [{"url": names.CALCULATED}]},
        ],
    )
    def test_what_is_no_item_of_a_definition(self, item: Json) -> None:
        reading = instruments.from_fhir(form(question("1", ("0", 0), ("1", 1)), item))
        assert [each["id"] for each in reading.definition["items"]] == ["1"]
        assert "/item/1" in kinds(reading, "dropped")

    def test_a_question_shown_for_other_reasons(self) -> None:
        depends = {"enableWhen": [{"question": "1", "operator": "=", "answerCoding": {"code": "1"}}]}
        late = question("2", ("0", 0), ("1", 1), **depends)
        variable = [names.expression(names.VARIABLE, "%resource.item.count()", "n"), {"url": names.VARIABLE}]
        reading = instruments.from_fhir(form(question("1", ("0", 0), ("1", 1)), late, extension=variable))
        assert {"/item/1", "/extension/0", "/extension/1"} <= set(kinds(reading, "dropped"))
        assert "skips" not in reading.definition

    def test_names_and_versions(self) -> None:
        plain = instruments.from_fhir(form(*THREE)).definition
        assert (plain["code"], plain["version"], plain["name"]) == ("a-form", 1, "A Form")
        long = instruments.from_fhir(form(*THREE, title="Ä" * 200, name="", version="2.1.0"))
        assert (long.definition["code"], len(long.definition["name"])) == ("questionnaire", 160)
        assert {"/code", "/version", "/name"} <= set(kinds(long, "assumed"))
        bare = form(
            *THREE,
            version="12",
            url="urn:fathomline:questionnaire:",
            useContext=["x", {"valueCodeableConcept": {"coding": [1]}}],
        )
        bare.pop("title")
        assert instruments.from_fhir(bare).definition["version"] == 12

    def test_codes_of_loinc(self) -> None:
        code = {"code": [{"system": "http://loinc.org", "code": "44250-9"}]}
        right = form(question("1", ("0", 0), ("1", 1), **code), {"linkId": "d", "type": "display", **code})
        assert instruments.from_fhir(right).definition["loinc"]["items"] == {"1": "44250-9"}
        code["code"][0]["code"] = "44250-8"
        assert "/code" in kinds(instruments.from_fhir(right), "dropped")

    def test_links_that_cannot_be_ids(self) -> None:
        for links, ids in ((["1", "a b", "x" * 30, "3"], ["1", "2", "3", "4"]), (["2", "a b"], ["2", "2x"])):
            reading = instruments.from_fhir(form(*(question(link, ("0", 0), ("1", 1)) for link in links)))
            assert [item["id"] for item in reading.definition["items"]] == ids

    def test_an_id_that_a_trial_would_take(self) -> None:
        every = [question(link, ("0", 0), ("1", 1)) for link in ("spare1", "2")]
        reading = instruments.from_fhir(form(*every, score("sum", f"{SOURCE}.sum()")))
        assert reading.definition["scales"][0]["items"] == ["spare1", "2"]

    def test_two_steps_that_score_fractions(self) -> None:
        follows = {"enableWhen": [{"question": "1.gate", "operator": "=", "answerCoding": {"code": "1"}}]}
        steps = (question("1.gate", ("0", 0.5), ("1", None)), question("1.rating", ("3", 1), ("4", 2), **follows))
        (item,) = instruments.from_fhir(form(*steps)).definition["items"]
        assert item["options"] == [0, 1, 2]
        assert item["scored"] == {"0": "0.5", "1": "1", "2": "2"}
        assert item["two_step"] == {"no": 0, "yes": {"3": 1, "4": 2}}
        # without the condition they are two questions
        apart = (steps[0], question("1.rating", ("3", 1), ("4", 2)))
        assert len(instruments.from_fhir(form(*apart)).definition["items"]) == 2

    def test_a_range_that_no_decimal_is_exact_for(self) -> None:
        values = "%resource.item.where(linkId in ('1' | '2' | '3')).answer.value.weight()"
        text = "iif(%values.count() = 3, %values.aggregate($this + $total, 0) / %values.count(), {})"
        every = [question(str(n), ("0", 0), ("1", 1), ("2", 1 + n)) for n in (1, 2, 3)]
        reading = instruments.from_fhir(
            form(*every[:2], question("3", ("0", 0), ("1", 2)), score("m", text, values=values))
        )
        assert "scales" not in reading.definition
        even = instruments.from_fhir(
            form(*(question(n, ("0", 0), ("1", 1)) for n in "123"), score("m", text, values=values))
        )
        assert even.definition["scales"][0]["method"] == "mean"

    @pytest.mark.parametrize("text", ["(" * 40 + "true" + ")" * 40, "true" + ")", "x" * 30_000])
    def test_conditions_out_of_bounds(self, text: str) -> None:
        reading = instruments.from_fhir(form(*THREE, score("c", text, kind="boolean")))
        assert "caseness" not in reading.definition
        assert "/item/3" in kinds(reading, "dropped")


def tampered(questionnaire: Json, link: str, old: str, new: str, url: str = names.CALCULATED) -> Json:
    found = deepcopy(questionnaire)
    (item,) = [item for item in found["item"] if item["linkId"] == link] or [found]
    changed = 0
    for extension in extensions(item, url):
        value = extension["valueExpression"]
        changed += old in value["expression"]
        value["expression"] = value["expression"].replace(old, new)
    assert changed
    return found


class TestNearlyOurs:
    """Expressions with our form and another meaning become no rule."""

    @pytest.mark.parametrize(
        ("key", "link", "old", "new", "url"),
        [
            ("lamp-3@1/strict", "ease", "= 3", "= 2", names.CALCULATED),
            ("lamp-3@1/strict", "ease", "$this + $total", "$this - $total", names.CALCULATED),
            ("lamp-3@1/strict", "ease", "'1' | ", "", names.VARIABLE),
            ("lamp-3@1/strict", "ease", "'1' | ", "'nonesuch' | ", names.VARIABLE),
            ("lamp-3@1/strict", "ease", "weight()", "weight().first()", names.VARIABLE),
            ("lamp-3@1/strict", "total", "2 * ", "x * ", names.CALCULATED),
            ("lamp-3@1/strict", "lamps", "%met", "%values.count()", names.CALCULATED),
            ("lamp-3@1/prorated", "ease", ">= 2", ">= 4", names.CALCULATED),
            ("lamp-3@1/prorated", "ease", "* 3 /", "* 4 /", names.CALCULATED),
            ("beacon-12@1/plain", "far", "- 0", "- 1", names.CALCULATED),
            ("beacon-12@1/plain", "both", "< -1, -1", "< -2, -1", names.CALCULATED),
            ("beacon-12@1/plain", "both", "%required.count() = 1", "%required.count() = 0", names.CALCULATED),
            ("beacon-12@1/plain", "goals", "10 * ", "10 + ", names.CALCULATED),
            ("beacon-12@1/plain", "goals", ">= 2", ">= 3", names.CALCULATED),
            ("beacon-12@1/plain", "goals", ".exists()", ".empty()", names.VARIABLE),
            ("beacon-12@1/plain", "goals", "iif(", "iff(", names.VARIABLE),
            ("beacon-12@1/plain", "goals", "> 0", "> 0 and true", names.VARIABLE),
            ("beacon-12@1/plain", "light", "%skip1", "%skip2", names.VARIABLE),
            ("beacon-12@1/plain", "light", "-0.5 * ", "1 / 3 * ", names.CALCULATED),
            ("beacon-12@1/plain", "light", ".combine(", ".union(", names.VARIABLE),
            ("beacon-12@1/plain", "apart", "%without1", "%without2", names.VARIABLE),
            ("beacon-12@1/plain", "exact", "round(9)", "round(0)", names.CALCULATED),
            ("beacon-12@1/plain", "bright", " or ", " and ", names.CALCULATED),
            ("beacon-12@1/plain", "bright", "'9.gate'", "'8.gate'", names.CALCULATED),
            ("lamp-3@1/strict", "ease", ".count() = ", ".count() > ", names.CALCULATED),
            ("lamp-3@1/strict", "ease", ", 0), {})", ", 0) + 1 / 3, {})", names.CALCULATED),
            ("beacon-12@1/plain", "glare", " * 3.5 ", " * 1 / 10 ", names.CALCULATED),
            ("beacon-12@1/plain", "goals", "'g.b'", "'nonesuch'", names.VARIABLE),
            ("beacon-12@1/plain", "light", ".combine(iif(", ".combine((iif(", names.VARIABLE),
            ("beacon-12@1/plain", "glare", " + 10", " + 1 / 3", names.CALCULATED),
            ("beacon-12@1/plain", "gaps", "linkId", "linkid", names.CALCULATED),
            ("beacon-12@1/plain", "gaps", ">= 2", ">= 9", names.CALCULATED),
            ("beacon-12@1/plain", "gaps", "'1'", "'nonesuch'", names.CALCULATED),
        ],
    )
    def test_dropped(self, key: str, link: str, old: str, new: str, url: str) -> None:
        before = instruments.from_fhir(made(key)).definition
        reading = instruments.from_fhir(tampered(made(key), link, old, new, url))
        kept = {rule["id"] for rule in (*reading.definition.get("scales", ()), *reading.definition.get("caseness", ()))}
        assert link in {rule["id"] for rule in (*before["scales"], *before["caseness"])}
        assert link not in kept
        assert kinds(reading, "dropped")
        if link == "ease":  # what is made of it goes with it
            assert "total" not in kept

    @pytest.mark.parametrize(
        ("old", "new"), [("'0'", "'nonesuch'"), ("true, false", "false, true"), ("%skip1, true", "%skip9, true")]
    )
    def test_a_skip(self, old: str, new: str) -> None:
        reading = instruments.from_fhir(tampered(made("beacon-12@1/plain"), "", old, new, names.VARIABLE))
        assert len(reading.definition.get("skips", ())) < 3
        assert any(pointer.startswith("/extension/") for pointer in kinds(reading, "dropped"))

    def test_too_many_scores(self) -> None:
        every = [
            score(f"s{n}", "%resource.item.where(linkId in ('1' | '2')).answer.weight().sum()") for n in range(160)
        ]
        reading = instruments.from_fhir(form(*(question(n, ("0", 0), ("1", 1)) for n in "12"), *every))
        # a definition has at most 100 scales, one of which is the trial's own
        assert len(reading.definition["scales"]) == 99
        assert len([pointer for pointer in kinds(reading, "dropped") if pointer.count("/") == 2]) == 160 - 99

    def test_two_calculated_expressions(self) -> None:
        questionnaire = made("lamp-3@1/strict")
        (ease,) = [item for item in questionnaire["item"] if item["linkId"] == "ease"]
        ease["extension"].append(names.expression(names.CALCULATED, "1"))
        assert "ease" not in {rule["id"] for rule in instruments.from_fhir(questionnaire).definition["scales"]}

    def test_items_that_no_definition_can_have(self) -> None:
        questionnaire = form(question("1", *((str(n), n) for n in range(200))), score("sum", f"{SOURCE}.sum()"))
        reading = instruments.from_fhir(questionnaire)
        assert "scales" not in reading.definition
        assert "/item/1" in kinds(reading, "dropped")


class TestUnreadable:
    @pytest.mark.parametrize(
        ("value", "pointer"),
        [
            ({}, "/resourceType"),
            ([], "/resourceType"),
            (None, "/resourceType"),
            ({"resourceType": "Patient"}, "/resourceType"),
            (form(), "/item"),
            (form() | {"item": {}}, "/item"),
            (form({"linkId": "1", "type": "display"}), "/item"),
            (form({"type": "choice"}), "/item/0"),
            (form({"linkId": ""}), "/item/0"),
            (form() | {"item": [1]}, "/item/0"),
            (form(THREE[0], THREE[0]), "/item/1/linkId"),
            (form(*(question(str(n), ("0", 0), ("1", 1)) for n in range(2_001))), "/item"),
        ],
    )
    def test_refused(self, value: Any, pointer: str) -> None:
        with pytest.raises(instruments.QuestionnaireError) as caught:
            instruments.from_fhir(value)
        assert caught.value.faults[0].pointer == pointer
        assert pointer in str(caught.value)

    def test_too_deep(self) -> None:
        item = THREE[0]
        for depth in range(25):
            item = {"linkId": f"g{depth}", "type": "group", "item": [item]}
        with pytest.raises(instruments.QuestionnaireError):
            instruments.from_fhir(form(item))


SEEDS = [made(key) for key in ("lamp-3@1/prorated", "beacon-12@1/plain")]
NOISE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just([]), st.just({}))


@given(st.data())
def test_whatever_comes_is_read_or_refused(data: st.DataObject) -> None:
    """Parts of our own are taken out, doubled or replaced; nothing but a refusal may come of it."""
    questionnaire = deepcopy(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 4))):
        place: Any = questionnaire
        for _ in range(data.draw(st.integers(0, 7))):
            inner = [key for key in _keys(place) if isinstance(place[key], dict | list) and place[key]]
            if not inner:
                break
            place = place[data.draw(st.sampled_from(inner))]
        key = data.draw(st.sampled_from(_keys(place)))
        match data.draw(st.sampled_from(["remove", "replace", "cut", "double"])):
            case "remove":
                del place[key]
            case "cut" if isinstance(place[key], str):
                place[key] = place[key][: data.draw(st.integers(0, len(place[key])))]
            case "double" if isinstance(place, list):
                place.append(deepcopy(place[key]))
            case _:
                place[key] = data.draw(NOISE)
        if not questionnaire:
            break
    try:
        reading = instruments.from_fhir(questionnaire)
    except instruments.QuestionnaireError:
        return
    json.dumps(reading.definition)
    assert reading.definition["items"]


def _keys(value: Any) -> list[Any]:
    return list(value) if isinstance(value, dict) else list(range(len(value)))
