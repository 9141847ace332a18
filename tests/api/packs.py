"""Loading wording over HTTP: what tests of wording, forms and licences share. Every text is invented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

import instruments
from tests.api.people import Person
from tests.invented import LADDER, make_pack

WHO_5 = instruments.load("who-5")
LADDER_1 = instruments.read_definition(LADDER)
PATH: Final = "/v1/instruments/who-5/versions/1/wordings/en"
FORM: Final = "/v1/instruments/who-5/form"
LICENCES: Final = "/v1/licences"


def day(ahead: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=ahead)).isoformat()


def attestation(**changes: Any) -> dict[str, Any]:
    return {
        "holder": "Ladder House",
        "licence_reference": "letter of 3 March",
        "statement_accepted": True,
        "valid_from": day(-10),
    } | changes


def body(pack: dict[str, Any] | None = None, **attested: Any) -> dict[str, Any]:
    return {"attestation": attestation(**attested), "pack": pack or make_pack(WHO_5)}


async def put(
    person: Person, path: str = PATH, sent: dict[str, Any] | None = None, *, tag: str | None = None, status: int = 201
) -> httpx.Response:
    headers = {} if tag is None else {"If-Match": tag}
    answer = await person.http.put(path, json=sent or body(), headers=headers)
    assert answer.status_code == status, answer.text
    return answer
