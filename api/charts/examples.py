"""Draws the pictures of `docs/pictures` anew, from invented series: `python -m api.charts.examples`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import instruments
from api.charts.draw import svg
from api.charts.series import series_chart
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
    yield "recovered", svg(series_chart(_progress(fsfi, _RECOVERED)))
    yield "worse", svg(series_chart(_progress(phq_9, _WORSE)))
    yield "no-reliable-change-narrow", svg(series_chart(_progress(phq_9, _UNCHANGED), width=360))


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
