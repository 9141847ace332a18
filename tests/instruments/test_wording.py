"""Packs against definitions: what fits is kept verbatim, and everything that does not is named, with its place."""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import instruments
from instruments.fhir.questionnaire import to_fhir
from instruments.languages import canonical, chain, direction, lookup
from instruments.loader import read_definition
from instruments.wording import (
    LARGEST_PACK,
    LONGEST_LABEL,
    LONGEST_TEXT,
    MOST_FAULTS,
    Pack,
    Source,
    WordingError,
    printed,
    read,
)
from instruments.wording_fhir import read_questionnaire, read_questionnaires
from tests.invented import LADDER, make_pack, make_questionnaire

LADDER_1 = read_definition(LADDER)
PLAIN = instruments.load("who-5")
Faults = list[tuple[str, str]]


def faults(source: Source, variant: str | None = None, instrument: instruments.Instrument = LADDER_1) -> Faults:
    with pytest.raises(WordingError) as caught:
        read(instrument, source, variant)
    assert str(caught.value) == f"{len(caught.value.faults)} faults"
    assert all(fault.detail for fault in caught.value.faults)
    return [("/".join(map(str, fault.path)), fault.code) for fault in caught.value.faults]


def changed(change: Callable[[dict[str, Any]], object], variant: str | None = None) -> dict[str, Any]:
    pack = copy.deepcopy(make_pack(LADDER_1, variant=variant))
    change(pack)
    return pack


@pytest.mark.parametrize("code", instruments.catalogue().codes)
def test_every_shipped_instrument_can_be_worded(code: str) -> None:
    instrument = instruments.load(code)
    for variant in instrument.variant_ids:
        pack = make_pack(instrument, variant=variant)
        kept = read(instrument, Source(pack), variant)
        assert kept.model_dump(exclude_none=True, exclude={"variant"}, exclude_defaults=True) == pack
        assert kept.variant == printed(instrument, variant)
        assert faults(Source(pack | {"items": {}, "forms": {}}), variant, instrument)


def test_ways_to_score_that_print_the_same_share_a_pack() -> None:
    assert [printed(LADDER_1, variant) for variant in (None, "five", "strict", "seven")] == [
        "five", "five", "five", "seven",
    ]  # fmt: skip
    with pytest.raises(KeyError):
        printed(LADDER_1, "six")
    read(LADDER_1, Source(make_pack(LADDER_1, variant="seven") | {"variant": "seven"}), "seven")
    read(LADDER_1, Source(make_pack(LADDER_1) | {"variant": "strict"}))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda pack: pack["items"].pop("1"), [("items/1", "missing")]),
        (lambda pack: pack["items"].update(x=pack["items"]["1"]), [("items/x", "unknown-item")]),
        (lambda pack: pack["items"]["1"].pop("text"), [("items/1/text", "missing")]),
        (lambda pack: pack["items"]["1"].update(text=""), [("items/1/text", "empty")]),
        (lambda pack: pack["items"]["1"].update(text=" \u200b\n\u2028"), [("items/1/text", "empty")]),
        (lambda pack: pack["items"]["1"].update(text=7), [("items/1/text", "string-type")]),
        (lambda pack: pack["items"]["1"].update(text="a\tb"), [("items/1/text", "control-character")]),
        (lambda pack: pack["items"]["1"].update(text="a\x85b"), [("items/1/text", "control-character")]),
        (lambda pack: pack["items"]["1"].update(text="a\ud800"), [("items/1/text", "control-character")]),
        (lambda pack: pack["items"]["1"].update(text="a" * (LONGEST_TEXT + 1)), [("items/1/text", "too-long")]),
        (lambda pack: pack["items"]["1"].update(hint="a"), [("items/1/hint", "extra-forbidden")]),
        (lambda pack: pack["items"]["1"].pop("options"), [(f"items/1/options/{n}", "missing") for n in range(5)]),
        (lambda pack: pack["items"]["1"]["options"].pop("3"), [("items/1/options/3", "missing")]),
        (lambda pack: pack["items"]["1"]["options"].update({"5": "a"}), [("items/1/options/5", "unknown-option")]),
        (lambda pack: pack["items"]["1"]["options"].update({"03": "a"}), [("items/1/options/03", "unknown-option")]),
        (lambda pack: pack["items"]["1"]["options"].update({"3": ""}), [("items/1/options/3", "empty")]),
        (
            lambda pack: pack["items"]["1"]["options"].update({"3": "a" * (LONGEST_LABEL + 1)}),
            [("items/1/options/3", "too-long")],
        ),
        (lambda pack: pack["items"]["1"].update(options=[]), [("items/1/options", "dict-type")]),
        (lambda pack: pack["items"].update({"1": "a"}), [("items/1", "dict-type")]),
        (lambda pack: pack.update(items=[]), [("items", "dict-type")]),
        (lambda pack: pack.update(forms=[]), [("forms", "dict-type")]),
        (lambda pack: pack["forms"].update(indoors="a"), [
            ("forms/indoors", "dict-type"), ("forms/indoors/items/2", "missing"),
        ]),
        (lambda pack: pack["forms"]["indoors"].update(items="a"), [
            ("forms/indoors/items", "dict-type"), ("forms/indoors/items/2", "missing"),
        ]),
        (lambda pack: pack["forms"]["indoors"]["items"].pop("2"), [("forms/indoors/items/2", "missing")]),
        (lambda pack: pack["forms"].update(nowhere={}), [("forms/nowhere", "unknown-form")]),
        (
            lambda pack: pack["forms"]["indoors"]["items"].update(x=pack["items"]["1"]),
            [("forms/indoors/items/x", "unknown-item")],
        ),
        (lambda pack: pack["items"]["3"].pop("gate"), [("items/3/gate", "missing")]),
        (lambda pack: pack["items"]["3"].update(gate=0), [("items/3/gate", "dict-type")]),
        (lambda pack: pack["items"]["3"]["gate"].pop("text"), [("items/3/gate/text", "missing")]),
        (lambda pack: pack["items"]["3"]["gate"]["options"].pop("0"), [("items/3/gate/options/0", "missing")]),
        (
            lambda pack: pack["items"]["3"]["rating"]["options"].update({"3": "a"}),
            [("items/3/rating/options/3", "unknown-option")],
        ),
        (lambda pack: pack["items"]["3"].update(options={"1": "a"}), [("items/3/options/1", "unknown-option")]),
        (
            lambda pack: pack["items"]["1"].update(rating=pack["items"]["3"]["rating"]),
            [("items/1/rating", "not-two-step")],
        ),
        (lambda pack: pack.update(variant="seven"), [("variant", "other-variant")]),
        (lambda pack: pack.update(variant="\0"), [("variant", "other-variant")]),
        (lambda pack: pack.update(variant=1), [("variant", "string-type")]),
        (lambda pack: pack.update(title=" "), [("title", "empty")]),
        (lambda pack: pack.update(html="<p>"), [("html", "extra-forbidden")]),
    ],
)  # fmt: skip
def test_each_mistake_is_named(change: Callable[[dict[str, Any]], object], expected: Faults) -> None:
    assert faults(Source(changed(change))) == expected


def test_all_mistakes_at_once() -> None:
    def spoil(pack: dict[str, Any]) -> None:
        pack["items"]["1"]["text"] = "\x07"
        pack["items"]["1"]["options"].pop("2")
        pack["items"]["3"]["gate"]["options"]["1"] = 1
        pack["items"].pop("4")
        pack["colour"] = "red"

    assert set(faults(Source(changed(spoil)))) == {
        ("items/1/text", "control-character"),
        ("items/1/options/2", "missing"),
        ("items/3/gate/options/1", "string-type"),
        ("items/4", "missing"),
        ("colour", "extra-forbidden"),
    }


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_what_is_no_pack(value: Any) -> None:
    assert faults(Source(value)) == [("", "dict-type")]


def test_text_that_is_repeated_without_end() -> None:
    pack = make_pack(instruments.load("phq-9"))
    long = "a" * LONGEST_TEXT
    for item in pack["items"].values():
        item["text"] = long
    pack["items"] |= {f"x{n}": pack["items"]["1"] for n in range(LARGEST_PACK // LONGEST_TEXT)}
    assert ("", "too-long") in faults(Source(pack), None, instruments.load("phq-9"))


def test_a_pack_of_nothing_but_mistakes_is_not_looked_through_to_its_end() -> None:
    pack = {"items": {f"x{n}": {"text": ""} for n in range(2 * MOST_FAULTS)}}
    assert len(faults(Source(pack))) == MOST_FAULTS


def test_the_options_are_those_of_the_printed_form() -> None:
    seven = make_pack(LADDER_1, variant="seven")
    assert faults(Source(seven)) == [("items/1/options/5", "unknown-option"), ("items/1/options/6", "unknown-option")]
    assert faults(Source(make_pack(LADDER_1)), "seven") == [
        ("items/1/options/5", "missing"),
        ("items/1/options/6", "missing"),
    ]


class TestForms:
    def test_a_form_may_word_everything_its_own_way(self) -> None:
        def move(pack: dict[str, Any]) -> None:
            common = pack.pop("items")
            for form in ("indoors", "outdoors"):
                pack["forms"][form]["items"] |= common

        pack = read(LADDER_1, Source(changed(move)))
        assert pack.of_item("1", "indoors").text == "A line about 1"

    def test_what_one_of_them_lacks_is_named_there(self) -> None:
        def move(pack: dict[str, Any]) -> None:
            pack["forms"]["indoors"]["items"] |= pack.pop("items")

        found = faults(Source(changed(move)))
        assert found == [(f"forms/outdoors/items/{item}", "missing") for item in ("1", "3", "4")]

    def test_an_item_in_one_form_only_is_missing_in_general(self) -> None:
        def move(pack: dict[str, Any]) -> None:
            pack["forms"]["indoors"]["items"]["1"] = pack["items"].pop("1")

        assert faults(Source(changed(move))) == [("items/1", "missing")]

    def test_a_form_goes_before_what_all_share(self) -> None:
        pack = read(LADDER_1, Source(make_pack(LADDER_1)))
        pack.forms["indoors"].items["1"] = pack.items["1"].model_copy(update={"text": "inside"})
        own = pack.forms["outdoors"].model_copy(update={"title": "Outside"})
        pack = Pack(**pack.model_dump(exclude={"forms"}), forms=pack.forms | {"outdoors": own})
        assert (pack.of_item("1", "indoors").text, pack.of_item("1", "outdoors").text) == ("inside", "A line about 1")
        assert pack.of_item("1", None).text == "A line about 1"
        assert (pack.of_whole("title", "outdoors"), pack.of_whole("title", "indoors")) == (
            "Outside",
            "A line about nothing",
        )
        assert pack.of_whole("instructions", None) == "A line about how.\nThen go on."

    def test_an_instrument_without_forms_has_none(self) -> None:
        assert faults(Source(make_pack(PLAIN) | {"forms": {"a": {}}}), None, PLAIN) == [("forms/a", "unknown-form")]


@given(text=st.text(min_size=1, max_size=60))
def test_any_text_is_kept_as_it_is_or_refused(text: str) -> None:
    pack = make_pack(PLAIN, say=text + "x")
    if {unicodedata.category(char) for char in text if char != "\n"} & {"Cc", "Cs"}:
        assert {code for _, code in faults(Source(pack), None, PLAIN)} == {"control-character"}
        return
    assert read(PLAIN, Source(pack)).model_dump(exclude_none=True, exclude={"variant", "forms"}) == pack


class TestQuestionnaire:
    def test_same_texts_same_pack(self) -> None:
        source = read_questionnaire(PLAIN, make_questionnaire(PLAIN))
        assert read(PLAIN, source) == read(PLAIN, Source(make_pack(PLAIN)))

    def test_one_for_each_form(self) -> None:
        given = {form.id: make_questionnaire(LADDER_1, form=form.id) for form in LADDER_1.forms}
        kept, expected = read(LADDER_1, read_questionnaires(LADDER_1, given)), make_pack(LADDER_1)
        for form in ("indoors", "outdoors"):
            for item in LADDER_1.items:
                wanted = expected["forms"][form]["items"].get(item.id) or expected["items"][item.id]
                assert kept.of_item(item.id, form).model_dump(exclude_none=True) == wanted
            assert kept.of_whole("instructions", form) == expected["instructions"]

    @pytest.mark.parametrize("code", instruments.catalogue().codes)
    def test_what_we_write_we_read(self, code: str) -> None:
        """The Questionnaires that are made of a pack, one a form, hold the same texts as the pack."""
        instrument = instruments.load(code)
        for variant in instrument.variant_ids:
            pack = read(instrument, Source(make_pack(instrument, variant=variant)), variant)
            forms = [form.id for form in instrument.forms]
            if not forms:
                written = to_fhir(instrument, variant=variant, wording=pack)
                assert read(instrument, read_questionnaire(instrument, written), variant) == pack
                continue
            several = {form: to_fhir(instrument, variant=variant, wording=pack, form=form) for form in forms}
            again = read(instrument, read_questionnaires(instrument, several), variant)
            for form in forms:
                for item in instrument.items:
                    assert again.of_item(item.id, form) == pack.of_item(item.id, form)
                for name in ("title", "instructions"):
                    assert again.of_whole(name, form) == pack.of_whole(name, form)

    def test_one_alone_lacks_the_other_forms(self) -> None:
        source = read_questionnaire(LADDER_1, make_questionnaire(LADDER_1))
        assert faults(source) == [("", "missing"), ("", "missing")]

    @pytest.mark.parametrize("value", [None, [], {}, {"resourceType": "Patient"}])
    def test_what_is_none(self, value: Any) -> None:
        for reader, sent in ((read_questionnaire, value), (read_questionnaires, {"indoors": value})):
            with pytest.raises(WordingError) as caught:
                reader(LADDER_1, sent)
            assert [fault.code for fault in caught.value.faults] == ["not-a-questionnaire"]

    def test_forms_that_are_no_object(self) -> None:
        with pytest.raises(WordingError) as caught:
            read_questionnaires(LADDER_1, [])
        assert [(fault.path, fault.code) for fault in caught.value.faults] == [((), "dict-type")]

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda items: items[1].pop("text"), [("item/0/item/1", "missing")]),
            (lambda items: items[1].update(text="\x07"), [("item/0/item/1/text", "control-character")]),
            (lambda items: items[1].update(text=5), [("item/0/item/1/text", "string-type")]),
            (lambda items: items.pop(1), [("item", "missing")]),
            (lambda items: items[1].pop("answerOption"), [("item/0/item/1/answerOption", "missing")] * 6),
            (lambda items: items[1]["answerOption"].pop(0), [("item/0/item/1/answerOption", "missing")]),
            (
                lambda items: items[1]["answerOption"].append({"valueInteger": 9}),
                [("item/0/item/1/answerOption/6", "unknown-option")],
            ),
            (
                lambda items: items[1]["answerOption"].append({"valueCoding": {"code": "0", "display": "a"}}),
                [("item/0/item/1/answerOption/6", "duplicate-option")],
            ),
            (
                lambda items: items[1]["answerOption"].append({"valueString": "a"}),
                [("item/0/item/1/answerOption/6", "option-without-value")],
            ),
            (
                lambda items: items[1]["answerOption"].append({"valueInteger": True}),
                [("item/0/item/1/answerOption/6", "option-without-value")],
            ),
            (
                lambda items: items[1]["answerOption"].append("a"),
                [("item/0/item/1/answerOption/6", "option-without-value")],
            ),
            (
                lambda items: items[1]["answerOption"][0]["valueCoding"].pop("display"),
                [("item/0/item/1/answerOption", "missing")],
            ),
            (lambda items: items.append("a"), [("item/0/item/6", "missing")]),
            (lambda items: items.append({"text": "a"}), [("item/0/item/6", "missing")]),
            (lambda items: items.append(items[1]), [("item/0/item/6/linkId", "duplicate-link")]),
            (
                lambda items: items.append({"linkId": "x", "type": "choice"}),
                [("item/0/item/6/linkId", "unknown-item")],
            ),
        ],
    )
    def test_mistakes_are_named_where_they_are(
        self, change: Callable[[list[dict[str, Any]]], object], expected: Faults
    ) -> None:
        questionnaire = make_questionnaire(PLAIN)
        change(questionnaire["item"][0]["item"])
        assert faults(read_questionnaire(PLAIN, questionnaire), None, PLAIN) == expected

    def test_numbers_are_their_own_labels(self) -> None:
        questionnaire = make_questionnaire(PLAIN)
        for question in questionnaire["item"][0]["item"][1:]:
            question["answerOption"] = [{"valueInteger": number} for number in range(6)]
        kept = read(PLAIN, read_questionnaire(PLAIN, questionnaire))
        assert kept.items["1"].options == {str(number): str(number) for number in range(6)}

    def test_without_title_or_instructions(self) -> None:
        questionnaire = make_questionnaire(PLAIN)
        del questionnaire["title"]
        del questionnaire["item"][0]["item"][0]
        kept = read(PLAIN, read_questionnaire(PLAIN, questionnaire))
        assert (kept.title, kept.instructions) == (None, None)

    def test_two_steps_without_a_common_text_take_that_of_the_first(self) -> None:
        given = {form.id: make_questionnaire(LADDER_1, form=form.id) for form in LADDER_1.forms}
        for questionnaire in given.values():
            group = questionnaire["item"][0]["item"][3]
            group["linkId"] = "page-2"
        kept = read(LADDER_1, read_questionnaires(LADDER_1, given))
        assert kept.of_item("3", "indoors").text == "A line about whether"


class TestLanguages:
    @pytest.mark.parametrize(
        ("tag", "expected"),
        [("EN-us", "en-US"), ("pt-br", "pt-BR"), ("iw", "he"), ("zh-hant-tw", "zh-Hant-TW"), ("de-1996", "de-1996"),
         ("x-Plain", "x-plain"), ("ar-EG-u-nu-latn", "ar-EG-u-nu-latn")],
    )  # fmt: skip
    def test_one_spelling(self, tag: str, expected: str) -> None:
        assert canonical(tag) == expected == canonical(expected)

    @pytest.mark.parametrize(
        "tag", ["", "e", "english", "en_US", "en-", "-en", "en--US", "xx", "en-a", "de-1996-1996", "é", "*", "en US",
                "en\n", "a" * 36, "en-" + "a" * 40]
    )  # fmt: skip
    def test_no_tag(self, tag: str) -> None:
        with pytest.raises(ValueError, match="not a language tag"):
            canonical(tag)

    @given(st.text(max_size=40))
    def test_any_text_is_a_tag_or_refused(self, text: str) -> None:
        try:
            tag = canonical(text)
        except ValueError:
            return
        assert canonical(tag) == tag
        assert chain(tag)[0] == tag

    def test_lookup(self) -> None:
        assert lookup("zh-Hant-TW", {"zh", "zh-Hant"}) == "zh-Hant"
        assert lookup("en-GB", {"en-US"}) is None
        assert chain("x-plain") == ["x-plain"]

    def test_direction(self) -> None:
        assert [direction(tag) for tag in ("he", "fa", "az-Arab", "az", "ja", "x-plain")] == [
            "rtl", "rtl", "rtl", "ltr", "ltr", "ltr",
        ]  # fmt: skip
