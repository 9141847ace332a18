"""What the proof by other engines needs: Node with its packages, and a browser."""

from __future__ import annotations

import os

import pytest

from tests.fhir.node import FOLDER, OLDEST, chromium, node_version

REQUIRED = "FATHOMLINE_REQUIRE_BROWSER"


def lacking(what: str) -> None:
    """Skip, and say so in the closing lines; fail where the environment forbids that."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what}, and {REQUIRED} forbids to do without")
    pytest.skip(what)


@pytest.fixture(scope="session")
def node() -> None:
    """Node with the packages of this folder, which `make setup` installs."""
    if node_version() < OLDEST or not (FOLDER / "node_modules" / "fhirpath").is_dir():
        lacking(f"no Node {OLDEST} or newer, or not its packages, so fhirpath.js is not compared (make setup)")


@pytest.fixture(scope="session")
def browser(node: None) -> str:
    """The command of a Chromium."""
    found = chromium()
    if found is None:
        lacking("no Chromium is installed, so LHC-Forms is not compared (apt-get install chromium)")
    return str(found)
