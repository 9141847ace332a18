"""The picture of one scale's series, as a Vega-Lite specification.

What it has to say in two seconds: better, worse or no real change, and how sure. So the verdict stands beside the last
point and above the plot in words; the band of no reliable change and the cutoff are drawn and labelled where they are;
and the vertical axis spans every possible score, so that a small change looks small. Nothing rests on colour alone.
The specification holds dates and scores, and no id of anybody or anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from api.charts import marks
from api.charts.labels import label_layers, labels, width_of
from api.charts.marks import Session
from api.charts.notes import notes, wrapped
from api.charts.style import NARROWEST, QUIET, USUAL, WIDEST, Spec, enlarged, finished, laid_out, verdict
from api.charts.text import day_ticks, lines, ticks
from instruments.parts import BandSet
from scoring.phrases import ENGLISH, Language
from scoring.progress import Change, Progress
from scoring.progress_words import direction, expectation, summary

__all__ = ["NARROWEST", "USUAL", "WIDEST", "Session", "series_chart"]

_DAY: Final = 86_400_000
_STRIP: Final = 18
"""Pixels of a strip between plot and axis: for measurements that have no score, and for sessions."""


def series_chart(
    progress: Progress,
    *,
    width: int = USUAL,
    as_of: datetime | None = None,
    theme: str = "light",
    language: Language = ENGLISH,
    expected: Mapping[str, Any] | None = None,
    sessions: Sequence[Session] = (),
) -> Spec:
    """The specification, ``width`` pixels wide with its labels (about: text is measured by the renderer).

    Parameters
    ----------
    as_of
        The time by which the measurements were known, where that is not now.
    theme
        One of :data:`api.charts.style.THEMES`.
    expected
        The member of that name of a series' document; drawn where it is available.
    sessions
        Appointments that were kept.

    The same input gives the same specification.
    """
    drawn, times = laid_out(width)
    chart = _Chart(progress, drawn, as_of, language, expected, sessions)
    return enlarged(chart.spec(theme), times)


def severity_bands(progress: Progress) -> BandSet | None:
    """The bands of severity of a series; None where it has a cutoff, which says more, or has no bands."""
    if progress.figures.deciding is not None:
        return None
    for found in progress.instrument.bands:
        holds = not found.variants or progress.variant in found.variants
        if found.scale == progress.figures.scale.id and found.default and holds:
            return found
    return None


def _course(progress: Progress, expected: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The edges of the expected course, to a little beyond the newest measurement."""
    if expected is None or progress.baseline is None:
        return []
    start = progress.baseline["answered_at"]
    return [
        {"answered_at": start + timedelta(weeks=at["weeks"]), "low_80": at["low_80"], "high_80": at["high_80"]}
        for at in expected["curve"]
        if at["predicted"] is not None
    ]


class _Chart:
    def __init__(
        self,
        progress: Progress,
        width: int,
        as_of: datetime | None,
        language: Language,
        expected: Mapping[str, Any] | None,
        sessions: Sequence[Session],
    ) -> None:
        self.progress = progress
        self.as_of = as_of
        self.language = language
        self.figures = progress.figures
        self.width = width
        self.height = 220 if width >= 480 else 200
        self.sessions = [one for one in sessions if as_of is None or one.held_at <= as_of]
        self.expected = expected if expected is not None and expected.get("available") else None
        self.course = _course(progress, self.expected)
        self.bands = severity_bands(progress)
        self._moments = [marks.stamp(p) for p in progress.points]
        self.used = [p for p in progress.points if p["used"]]
        self.unused = [p for p in progress.points if not p["used"] and p["value"] is not None]
        self.scoreless = [p for p in progress.points if p["value"] is None]
        change = progress.from_baseline
        self.verdict = (
            verdict(change.category, rose=change.points > 0)
            if isinstance(change, Change)
            else verdict(None, rose=False)
        )
        self.labels = labels(progress, self._pixel, language, width=width, bands=self.bands, course=self.course)
        beside = width_of(self.labels)
        self.plot = round(width - 62 - (beside + 10 if beside else 0))
        self.crowded = len(self.used) * 12 > self.plot
        self.x = {"field": "at", "type": "temporal", "scale": {"type": "utc", "domain": self._domain()}}
        self.y = {
            "field": "value",
            "type": "quantitative",
            "scale": {"domain": [self.figures.minimum, self.figures.maximum], "nice": False, "zero": False},
        }

    def spec(self, theme: str) -> Spec:
        instrument, scale = self.progress.instrument, self.figures.scale
        text_width = self.width - 16
        said = f"{summary(self.progress, self.language)} {expectation(self.expected, self.language)}".strip()
        return finished(
            {"width": self.plot, "height": self.height, "layer": self._layers()},
            title=lines(f"{instrument.name}: {scale.name}", width=text_width, size=15),
            said=lines(said, width=text_width, size=12),
            description=said,
            theme=theme,
            language=self.language,
        )

    def _layers(self) -> list[Spec]:
        x, y, cutoff = self.x, self.y, self.figures.deciding
        return [
            self._frame(),
            *marks.band(self.progress.band, up_is_better=self.figures.higher_is == "better", y=y),
            *marks.cutoff(None if cutoff is None else cutoff.value, y=y),
            *marks.severity(self.bands, y=y),
            *marks.expected(self.course, low=self.figures.minimum, high=self.figures.maximum, x=x, y=y),
            *marks.segments(self.used, x=x, y=y),
            *marks.left_out(self.unused, self.scoreless, x=x, y=y, below=self.height + _STRIP / 2),
            *marks.sessions(self.sessions, x=x, below=self.height + _STRIP * (1.5 if self.scoreless else 0.5)),
            *marks.points(self.used, x=x, y=y, crowded=self.crowded),
            *marks.last(self.used, self.verdict, x=x, y=y),
            *marks.prorated(self.used, x=x, y=y, crowded=self.crowded),
            *marks.amended(self.used + self.unused, x=x, y=y, crowded=self.crowded),
            *label_layers(self.labels, plot=self.plot, height=self.height, colour=self.verdict[0]),
            *self._message(),
        ]

    def _pixel(self, value: float) -> float:
        share = (value - self.figures.minimum) / (self.figures.maximum - self.figures.minimum)
        return self.height * (1 - share)

    def _domain(self) -> list[int]:
        """The time shown, in milliseconds: all measurements and sessions, with some air."""
        shown = self._shown() or [0]
        first, last = shown[0], shown[-1]
        air = max((last - first) * 3 // 100, 3 * _DAY)
        ahead = [marks.moment(at["answered_at"]) for at in self.course[-1:]]
        return [first - air, max([last + air, *ahead])]

    def _shown(self) -> list[int]:
        """Times of measurements and sessions, in order."""
        return sorted([*self._moments, *(marks.moment(one.held_at) for one in self.sessions)])

    def _frame(self) -> Spec:
        """Axes, carried by a mark that shows nothing, so that they are there without any measurement."""
        low = self._domain()[0]
        dates = bool(self.progress.points or self.sessions)
        shown = self._shown()
        x_axis = {
            "title": wrapped(self._notes(), width=self.width),
            "titleAnchor": "start",
            "titleAlign": "left",
            "titleX": -40,
            "labels": dates,
            "ticks": dates,
            "format": "%x",
            "values": day_ticks(shown, most=max(2, self.plot // 110)),
            "labelOverlap": True,
            "labelFlush": False,
            "offset": _STRIP * (bool(self.scoreless) + bool(self.sessions)),
        }
        y_axis = {
            "title": self.language.say(
                f"chart.axis.{self.figures.higher_is}", direction=direction(self.progress, self.language)
            ),
            "values": (marks := ticks(self.figures.minimum, self.figures.maximum)),
            "tickCount": len(marks),  # the renderer would drop some of the values given, by a count of its own
            "format": "~f",
            "labelOverlap": False,
        }
        return {
            "data": {"values": [{"at": low, "value": self.figures.minimum}]},
            "mark": {"type": "point", "opacity": 0},
            "encoding": {"x": {**self.x, "axis": x_axis}, "y": {**self.y, "axis": y_axis}},
        }

    def _notes(self) -> Iterator[str]:
        return notes(
            self.progress,
            self.used,
            self.language,
            as_of=self.as_of,
            bands=self.bands,
            expected=self.expected,
            sessions=bool(self.sessions),
        )

    def _message(self) -> list[Spec]:
        """In the middle of an empty plot: why it is empty."""
        if self.used:
            return []
        text = self.language.say("chart.no-usable" if self.progress.points else "chart.no-measurement")
        return [
            {
                "data": {"values": [{"text": text}]},
                "mark": {"type": "text", "fontSize": 14, "color": QUIET, "align": "center"},
                "encoding": {
                    "x": {"value": self.plot / 2},
                    "y": {"value": self.height / 2},
                    "text": {"field": "text"},
                },
            }
        ]
