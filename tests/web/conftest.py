from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.web.probe import Probe
from tests.web.service import Service, started


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
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
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """The whole service on a database of its own, started once a run."""
    async with started(tmp_path_factory.mktemp("service")) as running:
        yield running
