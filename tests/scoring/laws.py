"""Laws whose examples are costly: few of them in the gate, all of them in `make test-long`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import pytest
from hypothesis import settings

Test = TypeVar("Test", bound=Callable[..., Any])

LONG: Final = settings().max_examples > 100
"""Whether the profile is that of `make test-long`, which runs what is marked as costly too."""


def costly(few: int, all_of_them: int = 100) -> Callable[[Test], Test]:
    """So many examples where every second counts. What is to be covered has to be so without any of them."""

    def of(test: Test) -> Test:
        return pytest.mark.costly(settings(max_examples=all_of_them if LONG else few, deadline=None)(test))

    return of
