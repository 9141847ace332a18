"""An own instrument from a FHIR Questionnaire, and as one."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.authoring.submission import read_submission
from api.problems import RequestInvalid
from instruments import load, to_fhir
from instruments.loader import definition_from
from tests.api.people import People, problem
from tests.authoring.definitions import GOLDEN, lamp
from tests.authoring.hostile import change
from tests.authoring.test_lifecycle import PATH, draft_of, publish

CANNOT_SAY = ("population", "applicability", "recall", "citation", "licence", "concerns", "scales", "progress")


def questionnaire() -> dict[str, Any]:
    made: dict[str, Any] = to_fhir(definition_from(lamp()))
    return made


async def test_alone_it_makes_a_draft_that_says_what_is_missing(people: People) -> None:
    answer = await people.admin.http.post(
        PATH, content=json.dumps(questionnaire()), headers={"Content-Type": "application/fhir+json"}
    )
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["code"], found["version"], found["publishable"]) == ("own-lamp", 1, False)
    missing = {note["pointer"] for note in found["notes"] if note["kind"] == "missing"}
    assert {"/population", "/applicability", "/recall", "/citation"} <= missing
    assert {fault["pointer"] for fault in found["faults"]} >= {f"/definition{pointer}" for pointer in missing}
    changed = await people.admin.http.put(
        draft_of(),
        json={"definition": found["definition"] | {name: lamp()[name] for name in CANNOT_SAY}, "golden": GOLDEN},
        headers={"If-Match": answer.headers["etag"]},
    )
    assert changed.json()["publishable"], changed.json()["faults"]


async def test_with_the_members_that_it_cannot_say_it_is_published(people: People) -> None:
    body = {
        "questionnaire": questionnaire(),
        "definition": {name: lamp()[name] for name in CANNOT_SAY},
        "golden": GOLDEN,
    }
    made = await people.admin.http.post(PATH, json=body)
    assert (made.status_code, made.json()["publishable"]) == (201, True), made.text
    assert [note for note in made.json()["notes"] if note["kind"] == "missing"] == []
    assert (await publish(people.admin, made)).status_code == 201
    scored = await people.ehr.http.post(f"{PATH}/own-lamp/score", json={"answers": GOLDEN[0]["answers"]})
    assert scored.json()["scores"]["ease"]["value"] == 1.8


@pytest.mark.parametrize(
    ("resource", "pointer", "code"),
    [
        ({"resourceType": "Questionnaire"}, "/questionnaire/item", "questionnaire"),
        ({"resourceType": "Questionnaire", "item": [{"text": "x" * 60_000}]}, "/questionnaire/item/0/text", "limit"),
        ({"resourceType": "Questionnaire", "item": [{}] * 600}, "/questionnaire/item", "limit"),
    ],
)
async def test_what_cannot_be_read(people: People, resource: Any, pointer: str, code: str) -> None:
    found = problem(await people.admin.http.post(f"{PATH}/validate", json=resource), 422, "request-invalid")
    assert (pointer, code) in [(fault["pointer"], fault["code"]) for fault in found["errors"]]


SHIPPED = [to_fhir(load(code)) for code in ("fsfi", "gad-7", "audit")]
EXPRESSIONS = ("(" * 20_000, "iif(" * 8_000 + "1" + ")" * 8_000, "%a | " * 8_000, "'" * 30_000, "1" * 40_000, "1/0")


@given(st.integers(0, 2**63))
def test_broken_ones_are_refused_or_read(seed: int) -> None:
    chance = random.Random(seed)
    made = deepcopy(chance.choice(SHIPPED))
    for _ in range(chance.randint(1, 4)):
        change(made, chance)
    if chance.random() < 0.3:
        text = json.dumps(made).replace("sum()", chance.choice(EXPRESSIONS).replace('"', ""), 1)
        made = json.loads(text)
    refused: list[dict[str, Any]] | None = None
    try:
        read_submission({"questionnaire": made})
    except RequestInvalid as error:
        refused = error.errors
    assert refused is None or (refused and all(fault["pointer"].startswith("/questionnaire") for fault in refused))
