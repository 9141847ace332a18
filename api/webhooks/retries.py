"""When a message is tried again, and when an endpoint is given up (Standard Webhooks, its advice on operation)."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

PAUSES: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)  # in all about three days
)
"""Pauses after the first, the second, … failed attempt; after as many and one more it has failed for good."""
ATTEMPTS: Final = len(PAUSES) + 1
JITTER: Final = 0.2
"""Part of a pause that is added at most, so that what failed together does not come back together."""
LONGEST_PAUSE: Final = timedelta(days=1)
"""Longest that an endpoint may ask to be left alone."""
SHORTEST_PAUSE: Final = timedelta(seconds=10)
"""For an endpoint that is overloaded and does not say for how long."""
PATIENCE: Final = timedelta(days=5)
"""After so long without anything taken, an endpoint is disabled."""
OVERLOADED: Final = frozenset({429, 502, 503, 504})


def pause_after(
    attempts: int, asked: timedelta | None = None, chance: Callable[[], float] = random.random
) -> timedelta | None:
    """How long to wait after so many failed attempts (1 or more); None when there are no more.

    ``asked`` is what `Retry-After` said; it lengthens the pause, to a day at most. ``chance`` gives values in [0, 1).

    Examples
    --------
    >>> pause_after(1, chance=lambda: 0.0), pause_after(10)
    (datetime.timedelta(seconds=5), None)
    """
    if attempts > len(PAUSES):
        return None
    pause = PAUSES[attempts - 1]
    pause += JITTER * chance() * pause
    return pause if asked is None else max(pause, min(asked, LONGEST_PAUSE))


def retry_after(text: str | None, now: datetime | None = None) -> timedelta | None:
    """What a `Retry-After` header asks for (RFC 9110, 10.2.3), seconds or a date; None if it says nothing sensible.

    Examples
    --------
    >>> retry_after("120"), retry_after("soon")
    (datetime.timedelta(seconds=120), None)
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:12]), 10**9)), LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    asked = at - (now or datetime.now(UTC))
    return min(asked, LONGEST_PAUSE) if asked > timedelta() else None
