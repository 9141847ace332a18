"""When a message is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.webhooks.retries import ATTEMPTS, LONGEST_PAUSE, PAUSES, pause_after, retry_after

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_ten_attempts_over_three_days() -> None:
    pauses = [pause_after(attempts, chance=lambda: 0.0) for attempts in range(1, ATTEMPTS + 1)]
    assert pauses.pop() is None
    assert [pause.total_seconds() / 3600 for pause in pauses if pause is not None] == pytest.approx(
        [5 / 3600, 1 / 12, 0.5, 2, 5, 10, 14, 20, 24]
    )
    assert timedelta(days=3) < sum(PAUSES, timedelta()) < timedelta(days=4)


@given(st.integers(1, ATTEMPTS - 1), st.floats(0, 1, exclude_max=True), st.timedeltas(timedelta(), timedelta(days=99)))
def test_a_pause_is_never_shorter_and_at_most_a_fifth_longer(attempts: int, chance: float, asked: timedelta) -> None:
    pause = pause_after(attempts, chance=lambda: chance)
    assert pause is not None
    assert PAUSES[attempts - 1] <= pause <= PAUSES[attempts - 1] * 1.2
    longer = pause_after(attempts, asked, chance=lambda: chance)
    assert longer == max(pause, min(asked, LONGEST_PAUSE))


def test_pauses_differ() -> None:
    assert len({pause_after(5) for _ in range(20)}) > 10


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0),
        (" 120 ", 120),
        ("86401", 86_400),
        ("9" * 400, 86_400),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 11:00:00 GMT", None),
        ("Sun, 01 Mar 2026 12:02:00", 120),
        ("Sun, 01 Mar 9999 12:02:00 GMT", 86_400),
        ("Sun, 99 Mar 2026 12:02:00 GMT", None),
        ("\x00", None),
    ],
)
def test_what_retry_after_asks_for(text: str | None, seconds: int | None) -> None:
    assert retry_after(text, NOW) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.text())
def test_any_text_is_understood_or_not_but_never_fails(text: str) -> None:
    asked = retry_after(text)
    assert asked is None or timedelta() <= asked <= LONGEST_PAUSE
