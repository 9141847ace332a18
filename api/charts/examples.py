"""Draws the pictures of `docs/pictures` anew, from invented series: `python -m api.charts.examples`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import instruments
from api.charts.caseload import Case, caseload_chart
from api.charts.couple import Apart, couple_chart
from api.charts.draw import svg
from api.charts.goals import Target, TPoint, goals_chart
from api.charts.multiples import multiples_chart
from api.charts.series import Session, series_chart
from api.charts.style import Spec
from scoring.phrases import language
from scoring.progress import Measurement, Progress, progress

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
_START: Final = datetime(2025, 9, 8, 10, 0, tzinfo=UTC)

Series = tuple[tuple[int, float | None, bool], ...]
"""Day, value and whether the validity rules hold, of each measurement."""

_RECOVERED: Final[Series] = (
    (0, 16.2, True), (15, 15.4, True), (29, 18.9, True), (50, 4.8, False), (64, 21.3, True), (85, 24.9, True),
    (176, 28.4, True),
)  # fmt: skip
_WORSE: Final[Series] = ((0, 8, True), (14, 7, True), (28, 9, True), (43, None, True), (57, 12, True), (72, 16, True))
_UNCHANGED: Final[Series] = ((0, 16, True), (21, 14, True), (45, 15, True), (66, 17, True), (87, 13, True))


def pictures() -> Iterator[tuple[str, str]]:
    """Name and SVG of each picture."""
    fsfi, phq_9 = instruments.load("fsfi"), instruments.load("phq-9")
    recovered, worse = _progress(fsfi, _RECOVERED), _progress(phq_9, _WORSE)
    yield "recovered", svg(series_chart(recovered))
    yield "worse", svg(series_chart(worse))
    yield "no-reliable-change-narrow", svg(series_chart(_progress(phq_9, _UNCHANGED), width=360))
    yield (
        "expected-dark-german",
        svg(series_chart(worse, theme="dark", language=language("de"), expected=_EXPECTED, sessions=_SESSIONS)),
    )
    yield "scales-print", svg(multiples_chart([recovered, worse, _progress(phq_9, _UNCHANGED)], theme="print"))
    yield "couple", svg(_couple(_progress(fsfi, _RECOVERED[:3]), _progress(fsfi, _PARTNER)))
    yield "goals", svg(goals_chart(_T, _TARGETS, t_baseline=30.2))
    yield "caseload", svg(caseload_chart(_CASES, total=24))


_PARTNER: Final[Series] = ((0, 27.1, True), (16, 26.2, True), (29, 28.0, True))
_SESSIONS: Final = tuple(
    Session(_START + timedelta(days=day), how)
    for day, how in ((0, "in-person"), (14, "telehealth"), (28, "in-person"), (43, "telehealth"), (71, None))
)
_EXPECTED: Final = {
    "available": True,
    "status": "not-on-track",
    "reference": {"n": 240},
    "curve": [
        {"weeks": week, "predicted": 8 - 0.25 * week, "low_80": 4 - 0.25 * week, "high_80": 12 - 0.2 * week}
        for week in range(12)
    ],
}
_T: Final = (TPoint(date(2025, 10, 6), 36.4), TPoint(date(2025, 11, 3), 43.8), TPoint(date(2025, 12, 1), 53.1))
_TARGETS: Final = (
    Target(2, 2, 7, ((date(2025, 10, 6), 3), (date(2025, 11, 3), 5), (date(2025, 12, 1), 7))),
    Target(4, 9, 3, ((date(2025, 10, 6), 8), (date(2025, 12, 1), 6))),
)
_CASES: Final = (
    Case(-1.9, "harmed", alerts=1, status="not-on-track"),
    Case(-1.2, "deteriorated", overdue=1),
    Case(-0.4, "unchanged", overdue=2, status="watch"),
    Case(0.3, "unchanged", status="on-track"),
    Case(None, None),
    Case(1.3, "improved", status="on-track"),
    Case(2.6, "recovered", status="on-track"),
)


def _couple(first: Progress, second: Progress) -> Spec:
    both = zip(first.points, second.points, strict=True)
    return couple_chart(
        first, second, [Apart(one["answered_at"], one["value"] or 0.0, two["value"] or 0.0) for one, two in both]
    )


def _progress(instrument: instruments.Instrument, series: Series) -> Progress:
    return progress(
        instrument,
        "total",
        (
            Measurement(
                _START + timedelta(days=day),
                _START + timedelta(days=day),
                str(day),
                instrument.version,
                instrument.variant_ids[0],
                value,
                "insufficient" if value is None else "complete",
                valid,
            )
            for day, value, valid in series
        ),
    )


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures():
        (FOLDER / f"{name}.svg").write_text(picture + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
