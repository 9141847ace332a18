"""A pytest plugin (``-p tests.measured``): measure coverage only while tests run that are there to cover what is gated.

The gate is that every branch of `scoring` and `instruments` is run by a test of theirs, and not by luck: of a law that
draws its examples nobody knows what it will run tomorrow. Tracing the laws, and the tests of the web service, would
cost a third of a run's time, and could only hide that such a test is missing.
"""

from __future__ import annotations

from collections.abc import Generator

import coverage
import pytest

OWN = ("scoring", "instruments", "tests/scoring", "tests/instruments", "tests/cli", "tests/fhir", "tests/authoring")
FOLDERS = tuple(f"{folder}/" for folder in OWN)


class Measuring:
    """Stops and starts the coverage that pytest-cov has begun, at the first test of another kind."""

    def __init__(self, held: coverage.Coverage) -> None:
        self._held, self._runs = held, True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Before the fixtures of a test are set up."""
        draws = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        wanted = item.nodeid.startswith(FOLDERS) and not draws
        if wanted != self._runs:
            (self._held.start if wanted else self._held.stop)()
            self._runs = wanted
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Take part where coverage is measured; in a run of several processes that is in each worker."""
    held = coverage.Coverage.current()
    if held is not None:
        session.config.pluginmanager.register(Measuring(held))
