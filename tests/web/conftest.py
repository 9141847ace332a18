from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.settings import Settings
from tests.web.probe import Probe
from tests.web.service import Service, service_of


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    """One for all tests: its routes are put together at the first request, and it keeps nothing of what is asked."""
    return Probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def own_probe(tmp_path: Path) -> Probe:
    """For tests that count, or change what the application holds."""
    return Probe(tmp_path)


@pytest.fixture
async def clinician(probe: Probe) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends a clinician's token."""
    async with probe.client(**probe.bearer()) as client:
        yield client


@pytest.fixture
async def stranger(probe: Probe) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with probe.client() as client:
        yield client


@pytest.fixture(scope="session")
async def running(app: FastAPI, settings: Settings) -> Service:
    """The whole service with two organisations, once a run."""
    return await service_of(app, settings)
