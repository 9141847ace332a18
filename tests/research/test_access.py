"""Who may ask, about whom, and what questions are refused."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api.security.principal import ROLES
from tests.api.people import faults, problem, web
from tests.conftest import Tenant
from tests.research.conftest import PATH, Asks, Stores
from tests.research.populations import Person, people, store
from tests.web.test_contract import EMPTY, PROTECTED, Operation
from tests.web.test_contract import names as operation_name

QUERY = {"instrument": "phq-9", "scale": "total"}


async def test_without_a_token(app: FastAPI) -> None:
    async with web(app, None, None) as stranger:
        problem(await stranger.get(PATH, params=QUERY), 401, "unauthenticated")


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_roles(app: FastAPI, tenant: Tenant, role: str) -> None:
    async with web(app, tenant.slug, role) as client:
        answer = await client.get(PATH, params=QUERY)
    if role in ("researcher", "admin"):
        assert answer.status_code == 200
    else:
        problem(answer, 403, "forbidden")


@pytest.mark.parametrize("operation", PROTECTED, ids=operation_name)
async def test_a_researcher_reaches_nothing_else(researcher: httpx.AsyncClient, operation: Operation) -> None:
    ids = dict.fromkeys(operation.id_parameters, str(uuid.uuid4()))
    for request in EMPTY:
        answer = await researcher.request(operation.method, operation.url(**ids), **request)
        assert (answer.status_code == 403) == (operation.path != PATH), answer.text


async def test_other_organisations_never_count(
    owner: asyncpg.Connection, other_tenant: Tenant, stored: Stores, ask: Asks
) -> None:
    await stored(people(12, Person([(2025, 10.0)])))
    await store(owner, other_tenant.id, people(30, Person([(2025, 20.0)])))
    (cell,) = (await ask())["cells"]
    assert (cell["n_people"], cell["mean"]) == (12, 10.0)


async def test_only_those_who_consent_count_and_only_while_they_do(
    stored: Stores, ask: Asks, owner: asyncpg.Connection, tenant: Tenant
) -> None:
    ids = await stored([*people(13, Person([(2025, 10.0)])), *people(5, Person([(2025, 20.0)], consent=False))])
    assert (await ask())["cells"][0]["n_people"] == 13
    for client, left in ((ids[0], 12), (ids[1], 11), (ids[2], None)):
        async with owner.transaction():
            await owner.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
            await owner.execute("update client set research_consent = false where id = $1", client)
        assert (await ask())["cells"][0]["n_people"] == left


async def test_each_question_is_in_the_audit_trail_without_content(
    stored: Stores, ask: Asks, superuser: asyncpg.Connection, tenant: Tenant
) -> None:
    await stored(people(12, Person([(2025, 10.0)])))
    await ask("gender_group")
    await ask(measure="change")
    events = await superuser.fetch(
        "select subject, role, action, resource, resource_id, outcome from audit_event where organisation_id = $1",
        tenant.id,
    )
    assert [tuple(event) for event in events] == 2 * [
        ("researcher-1", "researcher", "aggregate", "research", None, "done")
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"group_by": "city"}, [("group_by", "unknown-dimension")]),
        ({"group_by": "gender_group,person"}, [("group_by", "unknown-dimension")]),
        ({"group_by": ["age_band", "age_band"]}, [("group_by", "duplicate-dimension")]),
        ({"group_by": "age_band,calendar_year,age_band"}, [("group_by", "duplicate-dimension")]),
        ({"scale": "desire"}, [("scale", "unknown-scale")]),
        ({"scale": "Total"}, [("scale", "unknown-scale")]),
        ({"instrument": "fsfi-99"}, [("instrument", "unknown-instrument")]),
        (
            {"instrument": "", "group_by": "x"},
            [("group_by", "unknown-dimension"), ("instrument", "unknown-instrument")],
        ),
        ({"measure": "median"}, [("measure", "literal-error")]),
        ({"instrument": "a" * 41}, [("instrument", "string-too-long")]),
    ],
)
async def test_wrong_questions(
    researcher: httpx.AsyncClient, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert faults(await researcher.get(PATH, params=QUERY | changes)) == expected


@pytest.mark.parametrize("missing", ["instrument", "scale"])
async def test_incomplete_questions(researcher: httpx.AsyncClient, missing: str) -> None:
    query = {name: value for name, value in QUERY.items() if name != missing}
    assert faults(await researcher.get(PATH, params=query)) == [(missing, "missing")]


async def test_dimensions_may_be_given_either_way(ask: Asks, researcher: httpx.AsyncClient) -> None:
    apart = await ask("calendar_year", "gender_group")
    together = await ask("calendar_year,gender_group")
    assert [one["name"] for one in apart["group_by"]] == ["calendar_year", "gender_group"]
    assert apart == together
    assert faults(await researcher.get(PATH, params=QUERY | {"gender_group": "men"})) == [
        ("gender_group", "extra-forbidden")
    ]
