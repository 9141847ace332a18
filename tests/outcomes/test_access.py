"""Who may ask for outcomes, what they see of others, what is kept of it, and questions that are refused."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from tests.api.people import faults, problem, web
from tests.conftest import Tenant
from tests.outcomes.clinic import course, store
from tests.outcomes.conftest import PATH, Asks, Stores

QUERY = {"instrument": "phq-9"}


async def test_without_a_token_there_is_nothing(app: FastAPI) -> None:
    async with web(app, None, None) as stranger:
        problem(await stranger.get(PATH, params=QUERY), 401, "unauthenticated")


@pytest.mark.parametrize("role", ["ehr", "clinician", "researcher"])
async def test_only_admins_may_ask(app: FastAPI, tenant: Tenant, role: str) -> None:
    async with web(app, tenant.slug, role) as somebody:
        problem(await somebody.get(PATH, params=QUERY), 403, "forbidden")


async def test_another_organisation_is_not_seen(
    ask: Asks, stored: Stores, owner: asyncpg.Connection, other_tenant: Tenant
) -> None:
    await stored([course(20, 4)])
    await store(owner, other_tenant.id, [course(20, 19), course(21, days=None)])
    found = await ask(reliability=True)
    assert found["total"]["n"]["ended"] == 1
    assert found["selection"]["still_open"] == 0
    assert found["total"]["rates"]["categories"]["recovered"] == 1


async def test_that_it_was_read_is_kept(ask: Asks, superuser: asyncpg.Connection, tenant: Tenant) -> None:
    await ask()
    events = await superuser.fetch("select * from audit_event where organisation_id = $1", tenant.id)
    told = [(e["subject"], e["role"], e["action"], e["resource"], e["resource_id"], e["outcome"]) for e in events]
    assert told == [("admin-1", "admin", "aggregate", "outcome", None, "done")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"instrument": "no-such"}, [("instrument", "unknown-instrument")]),
        ({**QUERY, "scale": "nothing"}, [("scale", "unknown-scale")]),
        ({**QUERY, "variant": "nothing"}, [("variant", "unknown-variant")]),
        (
            {**QUERY, "scale": "x", "variant": "x", "concern": "x", "from": "2025-02-01", "to": "2025-01-31"},
            [
                ("to", "days-out-of-order"),
                ("concern", "unknown-concern"),
                ("scale", "unknown-scale"),
                ("variant", "unknown-variant"),
            ],
        ),
    ],
)
async def test_what_there_is_not_is_named(admin: httpx.AsyncClient, query: dict[str, str], expected: Any) -> None:
    assert faults(await admin.get(PATH, params=query)) == expected


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({}, "instrument"),
        ({**QUERY, "group_by": "client"}, "group_by"),
        ({**QUERY, "modality": "by-post"}, "modality"),
        ({**QUERY, "format": "crowd"}, "format"),
        ({**QUERY, "from": "2025-01-01T00:00:00Z"}, "from"),
        ({**QUERY, "to": "yesterday"}, "to"),
        ({**QUERY, "window": "93"}, "window"),
        ({**QUERY, "window": "-1"}, "window"),
        ({**QUERY, "reliability": "perhaps"}, "reliability"),
        ({**QUERY, "clinician": "c-1"}, "clinician"),
    ],
)
async def test_parameters_out_of_shape_are_named(
    admin: httpx.AsyncClient, query: dict[str, str], parameter: str
) -> None:
    assert [where for where, _ in faults(await admin.get(PATH, params=query))] == [parameter]
