"""The pages on a real database: under a name of their own by https in this process, or in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from api.settings import Settings, SignInSettings
from tests.pages.clinic import BASE, Clinic, make_clinic
from tests.pages.liar import CLIENT_ID, ISSUER

SIGN_IN = SignInSettings(
    issuer=ISSUER,
    client_id=CLIENT_ID,
    algorithms=("ES256",),
    organisation_claim="organisation",
    roles={"therapist": "clinician", "boss": "admin", "researcher": "researcher"},
)


@pytest.fixture(scope="module")
async def pages(settings: Settings) -> AsyncIterator[FastAPI]:
    """The whole application under `https://pages.test`, with a provider that cannot be reached, and personas."""
    from api.app import create_app

    made = create_app(settings.model_copy(update={"public_url": BASE, "sign_in": SIGN_IN}))
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture(scope="module")
async def clinic(pages: FastAPI) -> Clinic:
    """A clinic that tests only read."""
    return await make_clinic(pages)


@pytest.fixture
async def own(pages: FastAPI) -> Clinic:
    """A clinic that a test writes into."""
    return await make_clinic(pages)
