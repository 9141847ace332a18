"""What the proof by other engines needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fhir.node import FOLDER


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """The folder whose ``node_modules`` holds the engines."""
    return FOLDER
