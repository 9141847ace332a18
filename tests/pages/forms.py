"""Filling in a form as a browser without JavaScript does."""

from __future__ import annotations

import httpx

from tests.pages.clinic import SENT_FROM_HERE
from tests.pages.test_enter import fields_of
from tests.pages.test_pages import holds_together


async def form_at(client: httpx.AsyncClient, path: str) -> dict[str, str]:
    """What the form of a page would send as it stands."""
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    holds_together(answer)
    return fields_of(answer.text)


async def sent(client: httpx.AsyncClient, path: str, form: dict[str, str]) -> httpx.Response:
    """The answer to a form."""
    return await client.post(path, data=form, headers=SENT_FROM_HERE)
