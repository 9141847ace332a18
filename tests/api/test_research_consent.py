"""Consent to research: given and withdrawn with days, and what holds is what research counts."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from api.ids import new_id
from tests.api.people import People, Person, faults, problem
from tests.conftest import Tenant

GIVEN = {"given": True, "stated_on": "2026-01-12", "text_version": "research-2025.2"}


def path(client: str) -> str:
    return f"/v1/clients/{client}/research-consent"


async def said(person: Person, client: str) -> list[tuple[bool, str, str | None]]:
    """What was said, oldest first; what holds has to be the last, in the client as well."""
    page = (await person.http.get(path(client))).json()
    items = page["items"]
    assert [item["sequence"] for item in items] == list(range(1, len(items) + 1))
    holds = items[-1]["given"] if items else False
    assert page["research_consent"] is holds
    assert (await person.http.get(f"/v1/clients/{client}")).json()["research_consent"] is holds
    return [(item["given"], item["stated_on"], item["text_version"]) for item in items]


async def test_given_withdrawn_and_given_again(ehr: Person) -> None:
    client = await ehr.client()
    assert await said(ehr, client) == []
    made = await ehr.http.post(path(client), json=GIVEN)
    assert made.status_code == 201, made.text
    assert made.json() | {"recorded_at": ""} == {
        "sequence": 1, "given": True, "stated_on": "2026-01-12", "text_version": "research-2025.2", "recorded_at": "",
        "recorded_by": "ehr-1",
    }  # fmt: skip
    assert made.headers["ETag"] == (await ehr.http.get(f"/v1/clients/{client}")).headers["ETag"] == '"2"'
    withdrawn = {"given": False, "stated_on": "2026-02-01"}
    assert (await ehr.http.post(path(client), json=withdrawn)).headers["ETag"] == '"3"'
    again = await ehr.http.post(path(client), json=withdrawn)
    assert again.headers["ETag"] == '"3"', "what holds is the same, so is the client"
    await ehr.http.post(path(client), json=GIVEN | {"stated_on": "2026-03-01"})
    assert await said(ehr, client) == [
        (True, "2026-01-12", "research-2025.2"),
        (False, "2026-02-01", None),
        (False, "2026-02-01", None),
        (True, "2026-03-01", "research-2025.2"),
    ]


async def test_what_is_set_on_the_client_is_kept_as_said_today(ehr: Person) -> None:
    client = await ehr.client(research_consent=True)
    today = str(datetime.now(UTC).date())
    for value in (True, False, False, True, None):
        answer = await ehr.http.patch(f"/v1/clients/{client}", json={"research_consent": value})
        assert answer.status_code == 200, answer.text
    assert await said(ehr, client) == [(given, today, None) for given in (True, False, True, False)]


async def test_pages(ehr: Person) -> None:
    client = await ehr.client()
    for number in range(5):
        await ehr.http.post(path(client), json=GIVEN | {"given": number % 2 == 0})
    found, link = [], f"{path(client)}?limit=2"
    while link:
        answer = await ehr.http.get(link)
        found += [item["sequence"] for item in answer.json()["items"]]
        assert answer.json()["research_consent"] is True
        link = answer.links.get("next", {}).get("url", "")
    assert found == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"given": None}, ("/given", "bool-type")),
        ({"given": "yes"}, ("/given", "bool-type")),
        ({"stated_on": "soon"}, ("/stated_on", "date-format")),
        ({"stated_on": str((datetime.now(UTC) + timedelta(days=3)).date())}, None),
        ({"text_version": "two words"}, ("/text_version", "string-pattern-mismatch")),
        ({"text_version": "x" * 65}, ("/text_version", "string-pattern-mismatch")),
        ({"note": "said on the phone"}, ("/note", "extra-forbidden")),
    ],
)
async def test_what_is_refused_is_not_kept(
    ehr: Person, changes: dict[str, object], found: tuple[str, str] | None
) -> None:
    client = await ehr.client()
    wrong = faults(await ehr.http.post(path(client), json=GIVEN | changes))
    assert [wrong[0][0]] == [f"/{next(iter(changes))}"]
    if found is not None:
        assert wrong == [found]
    assert await said(ehr, client) == []


async def test_who_may_not_and_whose_it_is(people: People) -> None:
    client = await people.ehr.client()
    problem(await people.researcher.http.post(path(client), json=GIVEN), 403, "forbidden")
    problem(await people.researcher.http.get(path(client)), 403, "forbidden")
    for other in (await people.elsewhere.client(), str(new_id())):
        problem(await people.ehr.http.get(path(other)), 404, "not-found")
        problem(await people.ehr.http.post(path(other), json=GIVEN), 404, "not-found")


async def test_of_several_at_once_each_is_kept_and_one_holds(ehr: Person) -> None:
    client = await ehr.client()
    answers = await asyncio.gather(
        *(ehr.http.post(path(client), json=GIVEN | {"given": number % 2 == 0}) for number in range(6))
    )
    assert [answer.status_code for answer in answers] == [201] * 6
    assert len(await said(ehr, client)) == 6


async def test_it_is_part_of_the_record_and_of_the_trail(
    ehr: Person, superuser: asyncpg.Connection, tenant: Tenant
) -> None:
    client = await ehr.client()
    await ehr.http.post(path(client), json=GIVEN)
    await ehr.http.post(path(client), json=GIVEN | {"given": False})
    actions = await superuser.fetch(
        "select action from audit_event where organisation_id = $1 and resource_id = $2 order by id",
        tenant.id,
        uuid.UUID(client),
    )
    assert [row[0] for row in actions] == ["create", "consent", "withdraw-consent"]


async def test_research_counts_who_consents_now(people: People) -> None:
    """What was said before is of no account: a withdrawal takes the client out of what is made from then on."""
    clients = [await people.ehr.client() for _ in range(12)]
    for client in clients:
        assert (await people.ehr.respond(client)).status_code == 201

    async def shown() -> int | None:
        answer = await people.researcher.http.get("/v1/research/aggregates?instrument=fsfi&scale=total")
        assert answer.status_code == 200, answer.text
        number: int | None = answer.json()["cells"][0]["n_people"]
        return number

    assert await shown() == 0
    for client in clients:
        await people.ehr.http.post(path(client), json=GIVEN)
    assert await shown() == 12
    for client in clients[:5]:
        await people.ehr.http.post(path(client), json=GIVEN | {"given": False})
    assert await shown() is None, "seven are too few to be shown"
