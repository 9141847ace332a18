"""The picture of one scale's series, as a Vega-Lite specification.

What it has to say in two seconds: better, worse or no real change, and how sure. So the verdict stands beside the last
point and above the plot in words; the band of no reliable change and the cutoff are drawn and labelled where they are;
and the vertical axis spans every possible score, so that a small change looks small. Nothing rests on colour alone.
The specification holds dates and scores, and no id of anybody or anything.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from api.charts import marks
from api.charts.labels import label_layers, labels, width_of
from api.charts.style import COMPUTED_IS, CONFIG, PAPER, PARAMETERS_ARE, PUBLISHED_IS, QUIET, SCHEMA, Spec, verdict
from api.charts.text import lines, ticks
from scoring.progress import Change, Progress
from scoring.progress_figures import ProgressCutoff
from scoring.progress_words import amended, day, direction, left_out, number, summary
from scoring.reliable import PublishedChange, ReliableChange, Unavailable

NARROWEST, WIDEST, USUAL = 320, 1600, 640

_DAY: Final = 86_400_000
_STRIP: Final = 18
"""Pixels between plot and axis for measurements that have no score."""


def series_chart(progress: Progress, *, width: int = USUAL, as_of: datetime | None = None) -> Spec:
    """The specification, ``width`` pixels wide with its labels (about: text is measured by the renderer).

    ``as_of`` is the time by which the measurements were known, where that is not now.

    The same progress gives the same specification.
    """
    return _Chart(progress, width, as_of).spec()


class _Chart:
    def __init__(self, progress: Progress, width: int, as_of: datetime | None) -> None:
        self.progress = progress
        self.as_of = as_of
        self.figures = progress.figures
        self.width = width
        self.height = 220 if width >= 480 else 200
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
        self.labels = labels(progress, self._pixel, width=width)
        beside = width_of(self.labels)
        self.plot = round(width - 62 - (beside + 10 if beside else 0))
        self.crowded = len(self.used) * 12 > self.plot
        self.x = {"field": "at", "type": "temporal", "scale": {"type": "utc", "domain": self._domain()}}
        self.y = {
            "field": "value",
            "type": "quantitative",
            "scale": {"domain": [self.figures.minimum, self.figures.maximum], "nice": False, "zero": False},
        }

    def spec(self) -> Spec:
        instrument, scale = self.progress.instrument, self.figures.scale
        text_width = self.width - 16
        return {
            "$schema": SCHEMA,
            "description": summary(self.progress),
            "title": {
                "text": lines(f"{instrument.name}: {scale.name}", width=text_width, size=15),
                "subtitle": lines(summary(self.progress), width=text_width, size=12),
            },
            "width": self.plot,
            "height": self.height,
            "padding": 8,
            "background": PAPER,
            "layer": self._layers(),
            "config": CONFIG,
        }

    def _layers(self) -> list[Spec]:
        x, y, cutoff = self.x, self.y, self.figures.deciding
        return [
            self._frame(),
            *marks.band(self.progress.band, up_is_better=self.figures.higher_is == "better", y=y),
            *marks.cutoff(None if cutoff is None else cutoff.value, y=y),
            *marks.segments(self.used, x=x, y=y),
            *marks.left_out(self.unused, self.scoreless, x=x, y=y, below=self.height + _STRIP / 2),
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
        """The time shown, in milliseconds: all measurements, with some air."""
        first, last = (self._moments[0], self._moments[-1]) if self._moments else (0, 0)
        air = max((last - first) * 3 // 100, 3 * _DAY)
        return [first - air, last + air]

    def _frame(self) -> Spec:
        """Axes, carried by a mark that shows nothing, so that they are there without any measurement."""
        low, high = self._domain()
        dates = bool(self.progress.points)
        short = high - low < 150 * _DAY
        x_axis = {
            "title": self._notes(),
            "titleAnchor": "start",
            "titleAlign": "left",
            "titleX": -40,
            "labels": dates,
            "ticks": dates,
            "format": "%-d %b %Y" if short else "%b %Y",
            "tickCount": max(2, self.plot // 110),
            **({"values": [self._moments[0]]} if self._moments[:1] == self._moments[-1:] and dates else {}),
            "labelOverlap": True,
            "labelFlush": False,
            "offset": _STRIP if self.scoreless else 0,
        }
        y_axis = {
            "title": {"better": "score: {} →", "worse": "← score: {}"}.get(self.figures.higher_is, "{}").format(
                direction(self.progress)
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

    def _notes(self) -> list[str]:
        """What lines and marks mean, and which figures they rest on."""
        notes = []
        reliable, cutoff = self.figures.reliable_change, self.figures.deciding
        if not isinstance(reliable, Unavailable) and self.progress.band is not None:
            notes.append(
                f"Band: no reliable change from the start, within {number(reliable.threshold)} points "
                f"({_rests_on(reliable)})."
            )
        if cutoff is not None:
            notes.append(f"Dashed line: cutoff {number(cutoff.value)} ({cutoff.meaning}; {_known(cutoff)}).")
        if any(point["status"] == "prorated" for point in self.used):
            notes.append("White centre: prorated, as some items are unanswered.")
        if self.progress.left_out:
            notes.append(f"×: not used for change: {left_out(self.progress)}.")
        if amended(self.progress):
            notes.append("Ring: amended after it was recorded.")
        if self.as_of is not None:
            notes.append(f"As known at {self.as_of:%H:%M} UTC on {day(self.as_of)}, without what came later.")
        if any(marks.gaps(self.used)):
            notes.append("Dotted: a long time without a measurement.")
        return [line for note in notes for line in lines(note, width=self.width - 16, size=10)]

    def _message(self) -> list[Spec]:
        """In the middle of an empty plot: why it is empty."""
        if self.used:
            return []
        return [
            {
                "data": {
                    "values": [{"text": "no usable measurement" if self.progress.points else "no measurement yet"}]
                },
                "mark": {"type": "text", "fontSize": 14, "color": QUIET, "align": "center"},
                "encoding": {
                    "x": {"value": self.plot / 2},
                    "y": {"value": self.height / 2},
                    "text": {"field": "text"},
                },
            }
        ]


def _known(cutoff: ProgressCutoff) -> str:
    return (PUBLISHED_IS if cutoff.kind == "published" else COMPUTED_IS)[cutoff.evidence]


def _rests_on(reliable: ReliableChange | PublishedChange) -> str:
    """Which figures the band is drawn by, and how well they are known."""
    known = PARAMETERS_ARE[reliable.given.evidence]
    if isinstance(reliable, PublishedChange):
        return f"published threshold; {known}"
    return f"Jacobson-Truax, 95 %; SD {number(reliable.sd)}, reliability {number(reliable.reliability)}, {known}"
