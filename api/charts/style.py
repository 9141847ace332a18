"""How a series is drawn: colours, shapes, type, and the words for evidence. Nothing rests on colour alone."""

from __future__ import annotations

from typing import Any, Final

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"
"""The first comes with vl-convert, and has the widths of the second, which a reader's machine is likely to have."""

# Okabe and Ito's blue, and their vermilion darkened until it differs from the blue in grey too.
BETTER, WORSE, NEUTRAL = "#0072B2", "#9A3500", "#3D3D3D"
INK, QUIET, BAND, EDGE, FAINT, PAPER = "#222222", "#5A5A5A", "#DDE5EA", "#8A9BA6", "#C4CDD3", "#FFFFFF"

LINE, BOLD_LINE = 13, 16
"""Heights of a line of text beside the plot, in pixels."""
SMALL, LARGE = 10.5, 13
"""Sizes of that text."""

Spec = dict[str, Any]

CLINICAL_IS: Final = {"below": "<", "at_most": "≤", "above": ">", "at_least": "≥"}
"""The sign between "clinical" and a cutoff, by the comparison that makes a score a case."""

PARAMETERS_ARE: Final = {
    "read": "figures read in the source",
    "memory": "figures from memory, to be checked",
    "derived": "figures derived",
}
PUBLISHED_IS: Final = {"read": "read in the source", "memory": "from memory, to be checked", "derived": "derived"}
COMPUTED_IS: Final = {"memory": "from remembered norms, to be checked", "derived": "from norms"}

CONFIG: Final[Spec] = {
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


def verdict(category: str | None, *, rose: bool) -> tuple[str, str, int]:
    """Colour, shape and size of the last point.

    The shape says what the change means: a diamond better, a triangle worse, a disc neither. The triangle points where
    the score went, so that it never points up on a score that fell.

    >>> verdict("deteriorated", rose=False)[1], verdict("recovered", rose=False)[1]
    ('triangle-down', 'diamond')
    """
    if category in ("recovered", "improved"):
        return BETTER, "diamond", 190
    if category in ("deteriorated", "harmed"):
        return WORSE, "triangle-up" if rose else "triangle-down", 210
    return NEUTRAL, "circle", 130
