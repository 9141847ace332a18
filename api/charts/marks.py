"""The marks of a series, each as layers of a Vega-Lite specification; no layer where there is nothing to draw.

``x`` and ``y`` are the encodings that all marks share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Final, NamedTuple

from api.charts.style import BAND, EDGE, EXPECTED, INK, PAPER, QUIET, Spec
from instruments.parts import BandSet
from scoring.progress import Band, Point

_CROSS: Spec = {"type": "point", "shape": "cross", "angle": 45, "size": 70, "filled": False, "strokeWidth": 1.1}
_POINT: Spec = {"type": "point", "filled": True, "opacity": 1, "stroke": PAPER}


class Session(NamedTuple):
    """An appointment that was kept."""

    held_at: datetime
    modality: str | None
    """`in-person`, `telehealth`, `hybrid`; None where it was not said."""


def moment(at: datetime) -> int:
    """Milliseconds since 1970, the time of Vega."""
    return round(at.timestamp() * 1000)


def stamp(point: Point) -> int:
    """The same of a measurement."""
    return moment(point["answered_at"])


def placed(point: Point) -> Spec:
    """Where a measurement lies."""
    return {"at": stamp(point), "value": point["value"]}


def band(found: Band | None, *, up_is_better: bool, y: Spec) -> Iterator[Spec]:
    """No reliable change from the baseline; an edge is drawn where a score can lie beyond it."""
    if found is None:
        return
    low, high = (found.can_worsen, found.can_improve)[:: 1 if up_is_better else -1]
    yield {
        "data": {"values": [{"value": found.low, "to": found.high}]},
        "mark": {"type": "rect", "color": BAND},
        "encoding": {"y": y, "y2": {"field": "to"}},
    }
    yield {
        "data": {"values": [{"value": at} for at, shown in ((found.low, low), (found.high, high)) if shown]},
        "mark": {"type": "rule", "color": EDGE, "strokeWidth": 1},
        "encoding": {"y": y},
    }


def cutoff(value: float | None, *, y: Spec) -> Iterator[Spec]:
    """A dashed line."""
    if value is not None:
        yield {
            "data": {"values": [{"value": value}]},
            "mark": {"type": "rule", "color": INK, "strokeDash": [6, 4], "strokeWidth": 1.3},
            "encoding": {"y": y},
        }


def severity(bands: BandSet | None, *, y: Spec) -> Iterator[Spec]:
    """A thin line where one band of severity ends and the next begins."""
    if bands is not None:
        yield {
            "data": {"values": [{"value": float(band.min)} for band in bands.bands[1:]]},
            "mark": {"type": "rule", "color": EDGE, "strokeWidth": 0.6},
            "encoding": {"y": y},
        }


def expected(course: Sequence[Mapping[str, Any]], *, low: float, high: float, x: Spec, y: Spec) -> Iterator[Spec]:
    """The edges of what was expected, dash-dotted, within the ends of the scale."""
    for edge in ("low_80", "high_80") if course else ():
        values = [{"at": moment(point["answered_at"]), "value": min(max(point[edge], low), high)} for point in course]
        yield {
            "data": {"values": values},
            "mark": {"type": "line", "color": EXPECTED, "strokeWidth": 1.2, "strokeDash": [7, 3, 1, 3]},
            "encoding": {"x": x, "y": y},
        }


_SHAPES: Final[dict[str | None, tuple[Spec, ...]]] = {
    "in-person": ({"type": "tick", "orient": "vertical", "size": 11, "thickness": 2, "color": INK},),
    "telehealth": ({"type": "point", "shape": "diamond", "size": 55, "filled": False, "strokeWidth": 1.3},),
    None: ({"type": "point", "shape": "circle", "size": 40, "filled": False, "strokeWidth": 1.1},),
}
_SHAPE_OF: Final = {**_SHAPES, "hybrid": (*_SHAPES["telehealth"], *_SHAPES["in-person"])}


def sessions(held: Sequence[Session], *, x: Spec, below: float) -> Iterator[Spec]:
    """Appointments, at the pixel ``below`` the plot: how they were held is told by shape."""
    for modality, shapes in _SHAPE_OF.items():
        values = [{"at": moment(one.held_at)} for one in held if one.modality == modality]
        for shape in shapes if values else ():
            yield {
                "data": {"values": values},
                "mark": {"opacity": 1, "color": INK, **shape},
                "encoding": {"x": x, "y": {"value": below}},
            }


def gaps(used: Sequence[Point]) -> list[bool]:
    """Of each step from one measurement to the next, whether it is long for this series.

    That is more than 60 days and more than three times the usual step; never in a series of one step.
    """
    steps: list[tuple[datetime, datetime]] = list(pairwise(point["answered_at"] for point in used))
    if len(steps) < 2:
        return [False] * len(steps)
    usual = median((b - a).total_seconds() for a, b in steps)
    longest = max(timedelta(seconds=3 * usual), timedelta(days=60))
    return [b - a > longest for a, b in steps]


def segments(used: Sequence[Point], *, x: Spec, y: Spec) -> Iterator[Spec]:
    """The line from point to point: dotted across a long gap."""
    values = [
        {**placed(a), "to": stamp(b), "to_value": b["value"], "gap": gap}
        for (a, b), gap in zip(pairwise(used), gaps(used), strict=True)
    ]
    if values:
        yield {
            "data": {"values": values},
            "mark": {"type": "rule", "color": INK, "strokeCap": "round"},
            "encoding": {
                "x": x,
                "y": y,
                "x2": {"field": "to"},
                "y2": {"field": "to_value"},
                "strokeWidth": {"condition": {"test": "datum.gap", "value": 1.2}, "value": 1.8},
                "strokeDash": {"condition": {"test": "datum.gap", "value": [1, 4]}, "value": [1, 0]},
            },
        }


def left_out(unused: Sequence[Point], scoreless: Sequence[Point], *, x: Spec, y: Spec, below: float) -> Iterator[Spec]:
    """Hollow crosses: where the score is, or at the pixel ``below`` the plot where there is none."""
    mark = {**_CROSS, "color": QUIET, "fill": PAPER}
    if unused:
        values = [placed(point) for point in unused]
        yield {"data": {"values": values}, "mark": mark, "encoding": {"x": x, "y": y}}
    if scoreless:
        values = [{"at": stamp(point)} for point in scoreless]
        yield {"data": {"values": values}, "mark": mark, "encoding": {"x": x, "y": {"value": below}}}


def points(used: Sequence[Point], *, x: Spec, y: Spec, crowded: bool) -> Iterator[Spec]:
    """Discs, small ones where they are many, and a square for the first; the last is :func:`last`'s."""
    if len(used) < 2:
        return
    mark = {**_POINT, "color": INK, "strokeWidth": 0.7}
    between = [placed(point) for point in used[1:-1]]
    if between:
        shape = {"shape": "circle", "size": 16 if crowded else 55}
        yield {"data": {"values": between}, "mark": {**mark, **shape}, "encoding": {"x": x, "y": y}}
    shape = {"shape": "square", "size": 80}
    yield {"data": {"values": [placed(used[0])]}, "mark": {**mark, **shape}, "encoding": {"x": x, "y": y}}


def last(used: Sequence[Point], verdict: tuple[str, str, int], *, x: Spec, y: Spec) -> Iterator[Spec]:
    """The newest, which carries the verdict by its colour and its shape."""
    if used:
        colour, shape, size = verdict
        yield {
            "data": {"values": [placed(used[-1])]},
            "mark": {**_POINT, "strokeWidth": 1, "shape": shape, "size": size, "color": colour},
            "encoding": {"x": x, "y": y},
        }


def prorated(used: Sequence[Point], *, x: Spec, y: Spec, crowded: bool) -> Iterator[Spec]:
    """A white centre on the scores that were made up for unanswered items."""
    values = [placed(point) for point in used if point["status"] == "prorated"]
    if values:
        yield {
            "data": {"values": values},
            "mark": {"type": "point", "filled": True, "opacity": 1, "color": PAPER, "size": 5 if crowded else 18},
            "encoding": {"x": x, "y": y},
        }


def amended(shown: Sequence[Point], *, x: Spec, y: Spec, crowded: bool) -> Iterator[Spec]:
    """A thin ring around the scores that were put right after they had been recorded."""
    values = [placed(point) for point in shown if point["amended"]]
    if values:
        yield {
            "data": {"values": values},
            "mark": {
                "type": "point",
                "shape": "circle",
                "filled": False,
                "opacity": 1,
                "stroke": INK,
                "strokeWidth": 0.9,
                "size": 90 if crowded else 260,
            },
            "encoding": {"x": x, "y": y},
        }
