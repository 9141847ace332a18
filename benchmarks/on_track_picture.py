"""The picture of the study of the signal: what the bands hold, and who is flagged, world by world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from api.charts import draw as charts
from benchmarks.judged import Judged, mean

INK, QUIET, FOUND, FALSE = "#222222", "#6A7D89", "#0072B2", "#9A3500"
FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"
WIDTH, STEP = 250, 30
Spec = dict[str, Any]


def rows(studies: Mapping[str, Sequence[Judged]]) -> list[dict[str, Any]]:
    """One row a world, in percent."""
    found = []
    for world, of in studies.items():
        weeks = np.mean([one.by_week for one in of], axis=0)
        shares = {
            "within_68": mean(of, lambda o: o.within_68),
            "within_80": mean(of, lambda o: o.within_80),
            "lowest": float(weeks.min()),
            "highest": float(weeks.max()),
            "well": mean(of, lambda o: o.flagged_well),
            "well_twice": mean(of, lambda o: o.flagged_well_twice),
            "worse": mean(of, lambda o: o.flagged_worse),
            "worse_twice": mean(of, lambda o: o.flagged_worse_twice),
        }
        found.append({"world": world, **{name: 100 * share for name, share in shares.items()}})
    return found


def _x(field: str, title: str, low: int) -> Spec:
    values = list(range(low, 101, 20))
    axis = {"grid": True, "gridColor": "#E3E8EB", "values": values, "labelExpr": "datum.value + ' %'"}
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "axis": axis,
        "scale": {"domain": [low, 100], "zero": False, "nice": False},
    }


def _marks(field: str, title: str, low: int, shape: str, colour: str, *, filled: bool = True) -> Spec:
    mark = {"type": "point", "shape": shape, "size": 80, "filled": filled, "color": colour, "opacity": 1}
    return {"mark": mark, "encoding": {"x": _x(field, title, low)}}


def _panel(title: str, legend: str, labels: bool, layers: list[Spec], order: list[str]) -> Spec:
    axis = {"labelLimit": 220, "ticks": False, "domain": False, "labels": labels}
    y = {"field": "world", "type": "nominal", "sort": order, "title": None, "axis": axis}
    return {
        "title": {
            "text": title,
            "subtitle": legend,
            "anchor": "start",
            "frame": "group",
            "fontSize": 13,
            "font": FONT,
            "subtitleFont": FONT,
        },
        "width": WIDTH,
        "height": {"step": STEP},
        "encoding": {"y": y},
        "layer": layers,
    }


def specification(studies: Mapping[str, Sequence[Judged]]) -> Spec:
    """As a Vega-Lite specification, with its data and a description."""
    values = rows(studies)
    order = [row["world"] for row in values]
    held = "share of later scores within the band"
    nominal: list[Spec] = [
        {"mark": {"type": "rule", "color": QUIET, "strokeDash": [4, 3]}, "encoding": {"x": {"datum": share}, "y": None}}
        for share in (68, 80)
    ]
    weeks = {
        "mark": {"type": "rule", "color": QUIET, "strokeWidth": 2},
        "encoding": {"x": _x("lowest", held, 40), "x2": {"field": "highest"}},
    }
    flagged = "share of clients flagged"
    first = values[0]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": ["How far the bands and the signal can be believed"], "anchor": "start", "fontSize": 15},
        "description": (
            f"In each of {len(values)} worlds of invented clients: the share of later scores within the 68 % and the "
            f"80 % band, and the share of clients flagged. As modelled, the bands hold {first['within_68']:.0f} and "
            f"{first['within_80']:.0f} %; {first['worse']:.0f} % of those who truly get worse are flagged at some "
            f"score, and {first['well']:.0f} % of those who do well."
        ),
        "background": "#FFFFFF",
        "padding": 8,
        "data": {"values": values},
        "config": {"font": FONT, "view": {"stroke": None}, "axis": {"labelColor": INK, "titleFontWeight": "normal"}},
        "spacing": 28,
        "hconcat": [
            _panel(
                "What the bands hold",
                "circle: 80 % band, line: week by week; diamond: 68 %",
                True,
                [
                    *nominal,
                    weeks,
                    _marks("within_80", held, 40, "circle", INK),
                    _marks("within_68", held, 40, "diamond", INK),
                ],
                order,
            ),
            _panel(
                "Who is flagged",
                "square: truly worse, triangle: doing well; hollow: in two running",
                False,
                [
                    _marks("worse", flagged, 0, "square", FOUND),
                    _marks("worse_twice", flagged, 0, "square", FOUND, filled=False),
                    _marks("well", flagged, 0, "triangle-up", FALSE),
                    _marks("well_twice", flagged, 0, "triangle-up", FALSE, filled=False),
                ],
                order,
            ),
        ],
    }


def draw(studies: Mapping[str, Sequence[Judged]]) -> str:
    """As SVG."""
    return charts.svg(specification(studies))
