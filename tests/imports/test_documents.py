"""What is put together from pieces is what a form that is scored by itself gives, to the letter."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import given, settings

import instruments
import scoring
from api.alerts.settings import NOTHING
from api.imports.rows import ImportedResponse, id_key, made_id, response_id
from api.imports.scoring import Head, Scored, Scorer
from api.responses.schemas import ResponseCreate
from api.responses.service import document_of
from scoring.plan import plan_of

NOW = datetime(2026, 3, 2, 11, 12, 13, 456789, tzinfo=UTC)
PICKED = ("fsfi", "phq-9", "gas", "pcl-5", "iief", "cts2s", "wsas", "audit")
CODES = [code for code in PICKED if code in instruments.catalogue().codes]
WHOSE = uuid.UUID(int=7)


@st.composite
def forms(draw: st.DrawFn) -> tuple[str, str, list[ImportedResponse]]:
    """Some forms of one instrument under a variant: mostly complete, some with gaps, some with an answer of no kind."""
    code = draw(st.sampled_from(CODES))
    variant = draw(st.sampled_from(instruments.load(code).variant_ids))
    items = [(item.id, sorted(item.worth)) for item in plan_of(instruments.load(code), variant).items]
    made = []
    for _ in range(draw(st.integers(1, 6))):
        answers: dict[str, Any] = {name: draw(st.sampled_from(options)) for name, options in items}
        odd = draw(st.sampled_from(["", "", "", "gap", "null", "wrong", "unknown", "float"]))
        name = draw(st.sampled_from(items))[0]
        if odd == "gap":
            del answers[name]
        elif odd:
            value = {"null": None, "wrong": draw(st.sampled_from([77, "5", True, 1.5])), "unknown": 1}.get(odd)
            answers["nothing" if odd == "unknown" else name] = float(answers[name]) if odd == "float" else value
        made.append(
            ImportedResponse.model_construct(
                client_id=WHOSE,
                instrument=code,
                version=None,
                variant=variant,
                answered_at=NOW - timedelta(days=draw(st.integers(0, 9_000))),
                answers=answers,
                setting=draw(st.sampled_from([None, "paper"])),
                episode_id=draw(st.sampled_from([None, WHOSE])),
                partnered=draw(st.sampled_from([None, True, False])),
                active=draw(st.sampled_from([None, True, False])),
                response_id=None,
            )
        )
    return code, variant, made


@given(forms())
@settings(max_examples=60)
def test_forms_together_are_what_each_is_by_itself(made: tuple[str, str, list[ImportedResponse]]) -> None:
    code, variant, bodies = made
    instrument = instruments.load(code)
    scorer = Scorer(instrument, variant, NOTHING, "historic")
    heads = [Head(uuid.UUID(int=number), WHOSE, body) for number, body in enumerate(bodies)]
    for found in (scorer.score(heads, NOW), scorer.score(heads, NOW)):  # the second time from pieces that were kept
        for head, result in zip(heads, found, strict=True):
            check(instrument, variant, head, result)


def check(
    instrument: instruments.Instrument, variant: str, head: Head, result: Scored | scoring.InvalidAnswers
) -> None:
    if isinstance(result, scoring.InvalidAnswers):
        with pytest.raises(scoring.InvalidAnswers) as caught:
            scoring.score(instrument, head.body.answers, variant=variant)
        assert result.faults == caught.value.faults
        return
    alone = scoring.score(instrument, head.body.answers, variant=variant)
    body = ResponseCreate.model_construct(**dict(head.body))
    document = orjson.loads(orjson.dumps(document_of(body, alone, instrument, head.response_id, NOW), default=str,
                                         option=orjson.OPT_UTC_Z))  # fmt: skip
    written = orjson.loads(result.document)
    for alert in (*document["alerts"], *written["alerts"]):
        alert.update(id=None, status=None)
    assert written == document
    assert list(written) == list(document)
    assert orjson.loads(result.answers) == head.body.answers
    scores = list(alone.scores.values())
    assert list(result.values) == [score.value for score in scores]
    assert list(result.statuses) == [score.status for score in scores]
    assert list(result.valids) == [score.valid for score in scores]
    assert result.valid == alone.valid
    assert [alert.rule for alert in result.alerts] == [alert.id for alert in alone.alerts]


def body(**changes: Any) -> ImportedResponse:
    told = {"client_id": WHOSE, "instrument": "x", "answered_at": "2026-03-01T10:00:00Z", "answers": {"1": 1, "2": 2}}
    return ImportedResponse.model_validate(told | changes)


def test_ids_tell_what_counts_and_nothing_else() -> None:
    key, other = id_key(b"a" * 32), id_key(b"b" * 32)
    first = response_id(key, WHOSE, body())
    assert first.version == 7
    assert first.int >> 80 == int(datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp() * 1000)
    same = [
        body(answers={"2": 2, "1": 1.0, "3": None}),
        body(answered_at="2026-03-01T11:00:00+01:00"),
        body(setting="paper", partnered=True),
    ]
    assert {response_id(key, WHOSE, one) for one in same} == {first}
    different = [
        body(answers={"1": 2, "2": 2}), body(answers={"1": 1}), body(answered_at="2026-03-01T10:00:00.000001Z"),
        body(instrument="y"), body(version=1), body(variant="v"),
    ]  # fmt: skip
    assert len({response_id(key, WHOSE, one) for one in different} | {first}) == len(different) + 1
    assert response_id(key, uuid.UUID(int=8), body()) != first
    assert response_id(other, WHOSE, body()) != first
    assert response_id(key, WHOSE, body(response_id=uuid.UUID(int=9))) == uuid.UUID(int=9)


@pytest.mark.parametrize("at", [datetime(1900, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)])
def test_times_before_the_first_that_an_id_can_hold(at: datetime) -> None:
    assert made_id(at, b"\xff" * 32).int >> 80 == 0
    assert made_id(at, b"\xff" * 32).version == 7


def test_a_form_that_a_skip_completes_is_not_taken_for_a_complete_one() -> None:
    """Every scale is complete, and yet the document says more: which items were passed over."""
    instrument = instruments.load("audit")
    variant = instrument.variant_ids[0]
    whole = ImportedResponse.model_construct(
        client_id=WHOSE, instrument="audit", version=None, variant=None, answered_at=NOW, setting=None, episode_id=None,
        partnered=None, active=None, response_id=None, answers={item.id: 0 for item in instrument.items},
    )  # fmt: skip
    some = whole.model_copy(
        update={"answers": {item: 0 if item in ("1", "9", "10") else None for item in whole.answers}}
    )
    heads = [Head(uuid.UUID(int=number), WHOSE, body) for number, body in enumerate((whole, some, whole))]
    scorer = Scorer(instrument, variant, NOTHING, "historic")
    for head, result in zip(heads, scorer.score(heads, NOW), strict=True):
        check(instrument, variant, head, result)
    assert orjson.loads(scorer.score(heads, NOW)[1].document)["skipped"] == [str(item) for item in range(2, 9)]  # type: ignore[union-attr]  # no faults
