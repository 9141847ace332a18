"""No definition hangs or exhausts the service, or becomes code: it is refused precisely, or works within its limits.

Work is counted in calls of functions, not in seconds, so that the outcome does not depend on the machine.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tokenize
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import instruments
import scoring
from api.authoring.checking import MOST_FAULTS, Checked, Submission, check
from api.catalogue.service import definition as served
from instruments.budget import MOST_COMPILING, MOST_SCORING
from instruments.fhir import Unwritable, to_fhir
from instruments.loader import read_definition
from instruments.schema import Instrument
from instruments.writer import to_yaml
from scoring.plan import plan_of
from scoring.progress import progress
from scoring.shortcut import source_of
from tests.api.people import People
from tests.authoring.definitions import GOLDEN, lamp
from tests.authoring.hostile import EDGES, MONSTERS, TEXTS, mutated
from tests.authoring.test_lifecycle import PATH

T = TypeVar("T")
MOST_CALLS_TO_REFUSE = 1_500_000
MOST_CALLS_TO_CHECK = 8_000_000
MOST_CALLS_TO_SCORE = 150_000


def counted(function: Callable[[], T]) -> tuple[T, int]:
    """What a function gives, and how many calls it made, of functions written in Python and in C."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        return function(), calls
    finally:
        sys.setprofile(before)


def checked(definition: Any) -> tuple[Checked, int]:
    return counted(lambda: check(Submission(definition)))


@cache
def edge(name: str) -> tuple[Checked, int]:
    """Checked once, as this takes longest of all."""
    return checked(EDGES[name])


def held(found: Checked) -> None:
    """Faults are told precisely and shortly."""
    assert len(found.faults) <= MOST_FAULTS
    for fault in found.faults:
        assert fault["pointer"] == "" or fault["pointer"].startswith(("/definition", "/golden"))
        assert len(fault["detail"]) <= 300
        assert fault["code"]
    if found.instrument is None:
        assert found.faults


def works(instrument: Instrument) -> None:
    """All that is done with a published definition: scoring, explaining, progress, files."""
    forms: list[dict[str, Any]] = [
        {},
        {item.id: item.options[0] for item in instrument.items},
        {item.id: item.options[-1] for item in instrument.items[1:]},
    ]
    for variant in instrument.variant_ids:
        allowed = {item.id: item for item in instrument.items_under(variant)}
        for form in forms:
            answers = {name: value for name, value in form.items() if value in allowed[name].options}
            result, calls = counted(lambda a=answers, v=variant: scoring.score(instrument, a, variant=v))  # type: ignore[misc]  # bound here
            assert calls <= MOST_CALLS_TO_SCORE
            json.dumps(result.document(), allow_nan=False)
        scoring.explain(instrument, answers, variant=variant).document()
        with suppress(Unwritable):  # refused for its skips, by name
            json.dumps(to_fhir(instrument, variant=variant), allow_nan=False)
        for one in instrument.scales:
            json.dumps(progress(instrument, one.id, (), variant=variant).document(), allow_nan=False)
    json.loads(served(instrument))
    assert read_definition(to_yaml(instrument)).checksum == instrument.checksum


@pytest.mark.parametrize("mark", ["\x01", "\x7f", "\x9b", "\u202e", "\u2066", "\ufffe"])
def test_text_that_cannot_be_printed_as_it_is(mark: str) -> None:
    words = f"Lamp{mark}light"
    definition = lamp(name=words, items=[lamp()["items"][0] | {"topic": words}, *lamp()["items"][1:]])
    found = check(Submission(definition, GOLDEN))
    assert {(fault["pointer"], fault["code"]) for fault in found.faults} == {
        ("/definition/name", "characters"),
        ("/definition/items/0/topic", "characters"),
    }
    assert not found.publishable
    assert check(Submission(lamp(name="אור \u200fשל מנורה\n🪔"), GOLDEN)).publishable


@pytest.mark.parametrize("name", MONSTERS)
def test_what_asks_for_too_much_is_refused_before_it_is_read(name: str) -> None:
    found, calls = checked(MONSTERS[name])
    held(found)
    assert found.instrument is None
    assert "limit" in {fault["code"] for fault in found.faults}
    assert calls <= MOST_CALLS_TO_REFUSE


@pytest.mark.parametrize("name", EDGES)
def test_what_is_within_the_limits_is_compiled_and_scored_within_them(name: str) -> None:
    found, calls = edge(name)
    held(found)
    assert "limit" not in {fault["code"] for fault in found.faults}
    assert calls <= MOST_CALLS_TO_CHECK
    if found.instrument is not None:
        works(found.instrument)


def test_some_of_these_are_compiled() -> None:
    compiled = [name for name in EDGES if edge(name)[0].instrument is not None]
    assert set(compiled) >= {"the most items", "the most variants", "the most options", "deep", "wide", "doubled"}


@pytest.mark.parametrize("name", EDGES)
def test_the_counted_steps_are_not_fewer_than_the_plan_has(name: str) -> None:
    """The budget counts plain data; what it lets through must not compile into more than that."""
    instrument = edge(name)[0].instrument
    if instrument is None:
        return
    plans = [plan_of(instrument, variant) for variant in instrument.variant_ids]
    assert sum(len(s.parts) + len(s.leaves) for plan in plans for s in plan.scales) <= MOST_COMPILING
    for plan in plans:
        assert sum(len(s.parts) + len(s.leaves) for s in plan.scales) <= MOST_SCORING


def fuzzed(seed: int) -> None:
    definition = mutated(seed)
    found, calls = checked(definition)
    held(found)
    assert calls <= MOST_CALLS_TO_CHECK
    if found.instrument is not None:
        works(found.instrument)


@given(st.integers(0, 2**63))
def test_fuzz(seed: int) -> None:
    fuzzed(seed)


@pytest.mark.long
@given(st.integers(0, 2**63))
def test_fuzz_long(seed: int) -> None:
    fuzzed(seed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, JSON)
def test_anything_at_all(definition: Any, golden: Any) -> None:
    found = check(Submission(definition, golden))
    held(found)
    assert found.instrument is None


@given(st.sampled_from(sorted(lamp())), JSON)
def test_anything_in_the_place_of_a_member(member: str, value: Any) -> None:
    found = check(Submission(lamp() | {member: value}))
    held(found)
    if found.instrument is not None:
        works(found.instrument)


class TestNothingBecomesCode:
    """A plan is written out as the text of a function (`scoring.shortcut`): it holds positions and whole numbers."""

    WORDS = re.compile(
        r"(?:[wpWKVCASN]|CK|AV|SK)\d+"
        r"|def|shortcut|answers|if|or|is|not|in|else|try|except|return|None|KeyError|INTEGERS|Result|PLAN|PICK|CODE"
        r"|VERSION|VARIANT|REVIEW|flagged|given|points|set|map|type|len|dict|tuple|min|max|values"
    )
    SIGNS = frozenset(["(", ")", "[", "]", "{", "}", ":", ",", ".", "+", "-", "*", "=", "!="])

    def words_of(self, instrument: Instrument) -> set[str]:
        found: set[str] = set()
        for variant in instrument.variant_ids:
            text, names = source_of(plan_of(instrument, variant), lambda *_: None, lambda *_: None)  # type: ignore[arg-type,return-value]  # never called
            assert "__builtins__" not in names
            for token in tokenize.generate_tokens(io.StringIO(text).readline):
                match token.type:
                    case tokenize.NAME:
                        assert self.WORDS.fullmatch(token.string), token
                    case tokenize.NUMBER:
                        assert token.string.isdigit(), token
                    case tokenize.OP:
                        assert token.string in self.SIGNS, token
                    case tokenize.NEWLINE | tokenize.NL | tokenize.INDENT | tokenize.DEDENT | tokenize.ENDMARKER:
                        assert not token.string.strip(), token
                    case _:
                        pytest.fail(f"a {tokenize.tok_name[token.type]} in the source text")
                found.add(token.string)
        return found

    @pytest.mark.parametrize("code", instruments.catalogue().codes)
    def test_shipped(self, code: str) -> None:
        self.words_of(instruments.load(code))

    @pytest.mark.parametrize("text", [text for text in TEXTS if 0 < len(text) < 60 and "\0" not in text])
    def test_hostile_texts(self, text: str) -> None:
        """In every member that takes free text; ids take none of these, which is tested below."""
        definition = lamp(
            name=text,
            alerts=[{"id": "a", "meaning": text, "severity": "notice", "when": {"item": "1", "at_least": 3},
                     "source": text, "evidence": "read"}],
            caseness=[{"id": "c", "meaning": text, "when": {"scale": "ease", "below": 1}, "source": text,
                       "evidence": "read"}],
        )  # fmt: skip
        definition["scales"][0] |= {"name": text, "source": text, "note": text}
        definition["items"][0]["topic"] = text
        found = check(Submission(definition))
        if found.instrument is None:  # such as a text that reads as an absurd number
            assert {fault["code"] for fault in found.faults} <= {"limit"}
            return
        assert text not in self.words_of(found.instrument)
        result = scoring.score(found.instrument, {"1": 3, "2": 0, "3": 3})
        assert (result.alerts[0].meaning, result.caseness) == (text, {"c": True})

    @pytest.mark.parametrize("text", [text for text in TEXTS if text != "x"])
    @pytest.mark.parametrize("path", [("items", 0, "id"), ("scales", 0, "id"), ("code",)])
    def test_ids_are_no_free_text(self, path: tuple[Any, ...], text: str) -> None:
        definition = lamp()
        here: Any = definition
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = text
        assert check(Submission(definition)).faults

    @given(st.integers(0, 2**63))
    def test_whatever_compiles(self, seed: int) -> None:
        found = check(Submission(mutated(seed)))
        if found.instrument is not None:
            self.words_of(found.instrument)


async def test_over_http(people: People) -> None:
    """Each is refused, or kept as a draft; and what can be published is, and takes a response."""
    outcomes: set[tuple[int, int]] = set()
    client_id = await people.ehr.client()
    for seed in range(60):
        definition = mutated(seed) | {"version": seed + 1}
        items, scales = definition.get("items"), definition.get("scales")
        made = await people.admin.http.post(PATH, json={"definition": definition, "golden": []})
        assert made.status_code in (201, 422), made.text
        outcome = made.status_code
        if outcome == 201:
            assert (await people.admin.http.get(PATH)).status_code == 200
            place = made.headers["location"]
            answers = {item["id"]: item["options"][0] for item in items} if made.json()["checksum"] else {}
            preview = await people.admin.http.post(f"{place}/preview", json={"answers": answers})
            assert preview.status_code == (200 if made.json()["checksum"] else 422), preview.text
            if made.json()["checksum"]:
                scores = {one["id"]: preview.json()["scores"][one["id"]] for one in scales}
                case = {
                    "name": "as it is",
                    "answers": answers,
                    "scores": {name: one["value"] for name, one in scores.items()},
                    "statuses": {name: one["status"] for name, one in scores.items()},
                }
                tag = {"If-Match": made.headers["etag"]}
                body = {"definition": definition, "golden": [case]}
                changed = await people.admin.http.put(place, json=body, headers=tag)
                tag = {"If-Match": changed.headers["etag"]}
                done = await people.admin.http.post(place.removesuffix("draft") + "publish", headers=tag)
                outcome = done.status_code
                if outcome == 201:
                    answer = await people.ehr.respond(client_id, instrument=made.json()["code"], answers=answers)
                    assert answer.status_code == 201, answer.text
            tag = {"If-Match": "*"}
            await people.admin.http.delete(place, headers=tag)
        outcomes.add((made.status_code, outcome))
    assert {made for made, _ in outcomes} == {201, 422}
    assert (201, 201) in outcomes
    assert (await people.clinician.http.get(f"/v1/clients/{client_id}/progress")).status_code == 200
