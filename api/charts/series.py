"""The picture of one scale's series, as a Vega-Lite specification.

What it has to say in two seconds: better, worse or no real change, and how sure. So the verdict stands beside the last
point and above the plot in words; the band of no reliable change and the cutoff are drawn and labelled where they are;
and the vertical axis spans every possible score, so that a small change looks small. Nothing rests on colour alone.
The specification holds dates and scores, and no id of anybody or anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Final

from api.charts.text import lines, room, spread, ticks
from scoring.progress import Point, Progress
from scoring.progress_figures import ReliableChange
from scoring.progress_words import direction, headline, left_out, number, summary

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"
"""The first comes with vl-convert, and has the widths of the second, which a reader's machine is likely to have."""

NARROWEST, WIDEST, USUAL = 320, 1600, 640

# Okabe and Ito's blue, and their vermilion darkened until it differs from the blue in grey too.
BETTER, WORSE, NEUTRAL = "#0072B2", "#9A3500", "#3D3D3D"
INK, QUIET, BAND, FAINT = "#222222", "#5A5A5A", "#DDE5EA", "#C4CDD3"

_VERDICTS: Final = {
    "recovered": (BETTER, "diamond", 190),
    "improved": (BETTER, "diamond", 190),
    "unchanged": (NEUTRAL, "circle", 130),
    "deteriorated": (WORSE, "triangle-up", 210),
    "harmed": (WORSE, "triangle-up", 210),
}
"""Colour, shape and size of the last point. The shape says what the change means, not which way the score went."""
_LINE, _BOLD_LINE = 13, 16
_DAY: Final = 86_400_000
_STRIP: Final = 18
"""Pixels between plot and axis for measurements that have no score."""

Spec = dict[str, Any]


def series_chart(progress: Progress, *, width: int = USUAL) -> Spec:
    """The specification, ``width`` pixels wide with its labels (about: text is measured by the renderer).

    The same progress gives the same specification.
    """
    return _Chart(progress, width).spec()


class _Chart:
    def __init__(self, progress: Progress, width: int) -> None:
        self.progress = progress
        self.figures = progress.figures
        self.width = width
        self.height = 220 if width >= 480 else 200
        self._moments = [_stamp(p) for p in progress.points]
        self.used = [p for p in progress.points if p["used"]]
        self.unused = [p for p in progress.points if not p["used"] and p["value"] is not None]
        self.scoreless = [p for p in progress.points if p["value"] is None]
        change = progress.from_baseline
        self.verdict = _VERDICTS[getattr(change, "category", None) or "unchanged"]
        self.labels = self._texts()
        beside = max((room(text, size=13 if bold else 10.5) for _, text, bold in self.labels), default=0)
        self.plot = round(width - 62 - (beside + 10 if beside else 0))
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
            "background": "#FFFFFF",
            "layer": [
                *self._frame(),
                *self._band(),
                *self._cutoff(),
                *self._segments(),
                *self._left_out(),
                *self._points(),
                *self._last(),
                *self._labels(),
                *self._message(),
            ],
            "config": _CONFIG,
        }

    def _domain(self) -> list[int]:
        """The time shown, in milliseconds: all measurements, with some air."""
        first, last = (self._moments[0], self._moments[-1]) if self._moments else (0, 0)
        air = max((last - first) * 3 // 100, 3 * _DAY)
        return [first - air, last + air]

    def _frame(self) -> list[Spec]:
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
        return [
            {
                "data": {"values": [{"at": low, "value": self.figures.minimum}]},
                "mark": {"type": "point", "opacity": 0},
                "encoding": {"x": {**self.x, "axis": x_axis}, "y": {**self.y, "axis": y_axis}},
            }
        ]

    def _notes(self) -> list[str]:
        """What lines and marks mean, and which figures they rest on."""
        notes = []
        reliable, cutoff = self.figures.reliable_change, self.figures.deciding
        if isinstance(reliable, ReliableChange) and self.progress.band is not None:
            notes.append(
                f"Band: no reliable change from the start, within {number(reliable.threshold)} points "
                f"(Jacobson-Truax, 95 %; SD {number(reliable.sd)}, reliability {number(reliable.reliability)}, "
                f"{_EVIDENCE[reliable.parameters.evidence]})."
            )
        if cutoff is not None:
            notes.append(
                f"Dashed line: cutoff {number(cutoff.value)} ({cutoff.meaning}), "
                f"clinical {_CLINICAL[cutoff.clinical_side]} it."
            )
        if self.progress.left_out:
            notes.append(f"×: not used for change: {left_out(self.progress)}.")
        if self._gap() is not None and any(self._gaps()):
            notes.append("Dotted: a long time without a measurement.")
        return [line for note in notes for line in lines(note, width=self.width - 16, size=10)]

    def _band(self) -> list[Spec]:
        band = self.progress.band
        if band is None:
            return []
        edges = [
            {"value": band.low, "shown": band.can_worsen if self._up_is_better else band.can_improve},
            {"value": band.high, "shown": band.can_improve if self._up_is_better else band.can_worsen},
        ]
        return [
            {
                "data": {"values": [{"value": band.low, "to": band.high}]},
                "mark": {"type": "rect", "color": BAND},
                "encoding": {"y": self.y, "y2": {"field": "to"}},
            },
            {
                "data": {"values": [edge for edge in edges if edge["shown"]]},
                "mark": {"type": "rule", "color": "#8A9BA6", "strokeWidth": 1},
                "encoding": {"y": self.y},
            },
        ]

    def _cutoff(self) -> list[Spec]:
        cutoff = self.figures.deciding
        if cutoff is None:
            return []
        return [
            {
                "data": {"values": [{"value": cutoff.value}]},
                "mark": {"type": "rule", "color": INK, "strokeDash": [6, 4], "strokeWidth": 1.3},
                "encoding": {"y": self.y},
            }
        ]

    def _gap(self) -> timedelta | None:
        """The time between measurements that is long for this series."""
        if len(self.used) < 3:
            return None
        usual = median((b - a).total_seconds() for a, b in self._steps())
        return max(timedelta(seconds=3 * usual), timedelta(days=60))

    def _steps(self) -> list[tuple[datetime, datetime]]:
        return list(pairwise(p["answered_at"] for p in self.used))

    def _gaps(self) -> list[bool]:
        longest = self._gap()
        return [longest is not None and b - a > longest for a, b in self._steps()]

    def _segments(self) -> list[Spec]:
        """The line from point to point: dotted across a long gap."""
        segments = [
            {**_placed(a), "to": _stamp(b), "to_value": b["value"], "gap": gap}
            for a, b, gap in zip(self.used, self.used[1:], self._gaps(), strict=False)
        ]
        if not segments:
            return []
        return [
            {
                "data": {"values": segments},
                "mark": {"type": "rule", "color": INK, "strokeCap": "round"},
                "encoding": {
                    "x": self.x,
                    "y": self.y,
                    "x2": {"field": "to"},
                    "y2": {"field": "to_value"},
                    "strokeWidth": {"condition": {"test": "datum.gap", "value": 1.2}, "value": 1.8},
                    "strokeDash": {"condition": {"test": "datum.gap", "value": [1, 4]}, "value": [1, 0]},
                },
            }
        ]

    def _left_out(self) -> list[Spec]:
        cross = {"type": "point", "shape": "cross", "angle": 45, "size": 70, "filled": False, "strokeWidth": 1.1}
        layers: list[Spec] = []
        if self.unused:
            layers.append(
                {
                    "data": {"values": [_placed(p) for p in self.unused]},
                    "mark": {**cross, "color": QUIET, "fill": "#FFFFFF"},
                    "encoding": {"x": self.x, "y": self.y},
                }
            )
        if self.scoreless:
            layers.append(
                {
                    "data": {"values": [{"at": _stamp(p)} for p in self.scoreless]},
                    "mark": {**cross, "color": QUIET, "fill": "#FFFFFF"},
                    "encoding": {"x": self.x, "y": {"value": self.height + _STRIP / 2}},
                }
            )
        return layers

    def _points(self) -> list[Spec]:
        if len(self.used) < 2:
            return []
        size = 55 if len(self.used) * 12 <= self.plot else 16
        first, between = self.used[0], self.used[1:-1]
        mark = {"type": "point", "filled": True, "color": INK, "opacity": 1, "stroke": "#FFFFFF", "strokeWidth": 0.7}
        layers: list[Spec] = [
            {
                "data": {"values": [_placed(first)]},
                "mark": {**mark, "shape": "square", "size": 80},
                "encoding": {"x": self.x, "y": self.y},
            }
        ]
        if between:
            layers.insert(
                0,
                {
                    "data": {"values": [_placed(p) for p in between]},
                    "mark": {**mark, "shape": "circle", "size": size},
                    "encoding": {"x": self.x, "y": self.y},
                },
            )
        return layers

    def _last(self) -> list[Spec]:
        """The newest: a diamond for better, a triangle as on a warning sign for worse, a disc for neither."""
        if not self.used:
            return []
        colour, shape, size = self.verdict
        mark = {"type": "point", "filled": True, "opacity": 1, "stroke": "#FFFFFF", "strokeWidth": 1}
        return [
            {
                "data": {"values": [_placed(self.used[-1])]},
                "mark": {**mark, "shape": shape, "size": size, "color": colour},
                "encoding": {"x": self.x, "y": self.y},
            }
        ]

    @property
    def _up_is_better(self) -> bool:
        return self.figures.higher_is == "better"

    def _pixel(self, value: float) -> float:
        share = (value - self.figures.minimum) / (self.figures.maximum - self.figures.minimum)
        return self.height * (1 - share)

    def _texts(self) -> list[tuple[float, list[str], bool]]:
        """What is said beside the plot: at which pixel, in which lines, and whether it is the verdict."""
        found: list[tuple[float, list[str], bool]] = []
        band, cutoff, last = self.progress.band, self.figures.deciding, self.progress.last
        if band is not None:
            upper, lower = ("better", "worse") if self._up_is_better else ("worse", "better")
            above, below = (band.can_improve, band.can_worsen)[:: 1 if self._up_is_better else -1]
            if above:
                found.append((self._pixel(band.high), [f"reliably {upper} > {number(band.high)}"], False))
            if below:
                found.append((self._pixel(band.low), [f"reliably {lower} < {number(band.low)}"], False))
        if cutoff is not None:
            found.append((self._pixel(cutoff.value), [f"cutoff {number(cutoff.value)}"], False))
        if last is not None and last["value"] is not None:
            words = lines(headline(self.progress), width=140 if self.width >= 480 else 90, size=13)
            found.append((self._pixel(last["value"]), [number(last["value"]), *filter(None, words)], True))
        return found

    def _labels(self) -> list[Spec]:
        """Beside the plot: the last value with its verdict, the edges of the band, the cutoff; never on each other."""
        heights = [len(text) * (_BOLD_LINE if bold else _LINE) for _, text, bold in self.labels]
        places = spread([at for at, _, _ in self.labels], heights, low=-6, high=self.height + 6)
        layers = []
        for y, (_, text, bold) in zip(places, self.labels, strict=True):
            line = _BOLD_LINE if bold else _LINE
            layers.append(
                {
                    "data": {"values": [{"text": "\n".join(text)}]},
                    "mark": {
                        "type": "text",
                        "align": "left",
                        "baseline": "middle",
                        "lineBreak": "\n",
                        "lineHeight": line,
                        "fontSize": 13 if bold else 10.5,
                        "fontWeight": "bold" if bold else "normal",
                        "color": self.verdict[0] if bold else INK,
                    },
                    "encoding": {
                        "x": {"value": self.plot + 10},
                        # the renderer puts the first line here, not the middle of all
                        "y": {"value": round(y - (len(text) - 1) * line / 2, 1)},
                        "text": {"field": "text"},
                    },
                }
            )
        return layers

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


_EVIDENCE: Final = {
    "read": "figures read in the source",
    "memory": "figures from memory, to be checked",
    "derived": "figures derived",
}
_CLINICAL: Final = {"below": "below", "at_most": "at and below", "above": "above", "at_least": "at and above"}
_CONFIG: Final[Spec] = {
    "aria": False,
    "font": FONT,
    "view": {"stroke": FAINT},
    "title": {
        "anchor": "start",
        "frame": "bounds",
        "fontSize": 15,
        "color": INK,
        "subtitleFontSize": 12,
        "subtitleColor": INK,
        "subtitlePadding": 5,
        "offset": 12,
    },
    "axis": {
        "grid": False,
        "labelColor": INK,
        "labelFontSize": 10.5,
        "titleColor": QUIET,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "domainColor": QUIET,
        "tickColor": QUIET,
    },
    "axisX": {"titleFontSize": 10, "titlePadding": 8},
    "axisY": {"titleColor": INK},
}


def _stamp(point: Point) -> int:
    """Milliseconds since 1970, the time of Vega."""
    return round(point["answered_at"].timestamp() * 1000)


def _placed(point: Point) -> Spec:
    return {"at": _stamp(point), "value": point["value"]}
