"""What clients say of themselves, each by a published list or a standard, and none of it needed."""

from __future__ import annotations

from typing import Any

import pytest

from api.clients.codes import CODES
from api.research.lattice import NAMES
from tests.api.people import Person, faults

PATH = "/v1/clients"
SAID: dict[str, Any] = {
    "birth_year": 1971,
    "gender": "man",
    "sex_registered_at_birth": "female",
    "organs": ["vagina"],
    "orientation": "queer",
    "relationship_structure": "polyamorous",
    "neurodivergence": ["autism", "adhd"],
    "languages": ["pt-BR", "en"],
    "menopausal_stage": "induced",
}
ONE_OF_A_LIST = ("sex_registered_at_birth", "orientation", "relationship_structure", "menopausal_stage")


async def made(ehr: Person, **members: Any) -> dict[str, Any]:
    answer = await ehr.http.post(PATH, json=members)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert (await ehr.http.get(f"{PATH}/{body['id']}")).json() == body
    return body


async def test_all_of_it(ehr: Person) -> None:
    body = await made(ehr, **SAID)
    assert {name: body[name] for name in SAID} == SAID


async def test_none_of_it(ehr: Person) -> None:
    body = await made(ehr)
    assert {body[name] for name in SAID} == {None}


@pytest.mark.parametrize("member", ONE_OF_A_LIST)
async def test_every_code_of_the_published_list(ehr: Person, member: str) -> None:
    published = (await ehr.http.get("/v1/codes")).json()[member]
    for code in published:
        assert (await made(ehr, **{member: code["code"]}))[member] == code["code"]


async def test_every_neurodivergence_at_once_in_the_order_of_the_list(ehr: Person) -> None:
    published = [code["code"] for code in (await ehr.http.get("/v1/codes")).json()["neurodivergence"]]
    body = await made(ehr, neurodivergence=published[::-1])
    assert body["neurodivergence"] == published


async def test_languages_have_one_spelling_and_keep_their_order(ehr: Person) -> None:
    body = await made(ehr, languages=["zh-hant-tw", "PT-br", "iw", "gsw"])
    assert body["languages"] == ["zh-Hant-TW", "pt-BR", "he", "gsw"]
    assert (await made(ehr, languages=[]))["languages"] == [], "none told is not the same as not asked"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"sex_registered_at_birth": "nonbinary"}, "/sex_registered_at_birth", "unknown-code"),
        ({"orientation": "Queer"}, "/orientation", "unknown-code"),
        ({"orientation": ["queer"]}, "/orientation", "string-type"),
        ({"relationship_structure": "married"}, "/relationship_structure", "unknown-code"),
        ({"neurodivergence": "adhd"}, "/neurodivergence", "list-type"),
        ({"neurodivergence": ["adhd", "adhd"]}, "/neurodivergence", "duplicate-code"),
        ({"neurodivergence": ["adhd", "clever"]}, "/neurodivergence/1", "unknown-code"),
        ({"menopausal_stage": 3}, "/menopausal_stage", "string-type"),
        ({"languages": "en"}, "/languages", "list-type"),
        ({"languages": ["en", "English"]}, "/languages/1", "unknown-language"),
        ({"languages": ["en", "EN"]}, "/languages", "duplicate-code"),
        ({"languages": ["he", "iw"]}, "/languages", "duplicate-code"),
        ({"languages": ["en_GB"]}, "/languages/0", "unknown-language"),
        ({"languages": [None]}, "/languages/0", "string-type"),
        ({"languages": [f"en-x-{n}" for n in range(21)]}, "/languages", "too-long"),
        ({"sex": "female"}, "/sex", "extra-forbidden"),
        ({"spouse_name": "Sentinel"}, "/spouse_name", "personal-data"),
        ({"address": "Sentinel"}, "/address", "personal-data"),
    ],
)
async def test_refused(ehr: Person, body: dict[str, Any], pointer: str, code: str) -> None:
    answer = await ehr.http.post(PATH, json=body)
    assert faults(answer) == [(pointer, code)]
    assert "Sentinel" not in answer.text
    client_id = await ehr.client()
    assert faults(await ehr.http.patch(f"{PATH}/{client_id}", json=body)) == [(pointer, code)]


async def test_merged(ehr: Person) -> None:
    body = await made(ehr, **SAID)
    path = f"{PATH}/{body['id']}"
    answer = await ehr.http.patch(path, json={"orientation": None, "languages": ["de"]}, headers={"If-Match": '"1"'})
    changed = answer.json()
    assert {name: changed[name] for name in SAID} == SAID | {"orientation": None, "languages": ["de"]}
    assert (changed["version"], answer.headers["etag"]) == (2, '"2"')
    again = await ehr.http.patch(path, json={"orientation": None, "neurodivergence": ["adhd", "autism"]})
    assert again.json()["version"] == 2, "what changes nothing makes no version"


def test_research_groups_by_none_of_it() -> None:
    """The lattice is fixed and coarse: what is newly recorded of people makes no new groups."""
    assert set(NAMES) == {"calendar_year", "age_band", "gender_group"}


def test_each_list_is_told_apart_and_explained() -> None:
    for name, codes in dict(CODES).items():
        if isinstance(codes, tuple):
            meanings = [code.meaning for code in codes]
            assert len(set(meanings)) == len(meanings), name
