"""What the proof by other engines needs: Node with its packages, and a browser."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.fhir.node import FOLDER, chromium

REQUIRED = "FATHOMLINE_REQUIRE_BROWSER"


@pytest.fixture(scope="session")
def node() -> None:
    """Node with the packages of this folder, which `make test` installs."""
    assert shutil.which("node") is not None, "Node 20 or newer is needed: make setup installs it where it may"
    assert (FOLDER / "node_modules" / "fhirpath").is_dir(), "run `make setup`, or `npm ci` in tests/fhir"


@pytest.fixture(scope="session")
def browser(node: None) -> str:
    """The command of a Chromium; without one the test is skipped, or fails where one is required."""
    found = chromium()
    if found is None:
        assert not os.environ.get(REQUIRED), "no Chromium, and the environment requires one"
        pytest.skip("no Chromium is installed, so LHC-Forms is not compared (apt-get install chromium)")
    return found
