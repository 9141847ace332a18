"""How pictures look: themes, shapes, type. Nothing rests on colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from scoring.phrases import Language

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"
"""The first comes with vl-convert, and has the widths of the second, which a reader's machine is likely to have."""

BETTER, WORSE, NEUTRAL = "@better", "@worse", "@neutral"
INK, QUIET, BAND, EDGE, FAINT, PAPER = "@ink", "@quiet", "@band", "@edge", "@faint", "@paper"
EXPECTED, SECOND = "@expected", "@second"
"""Colours by what they are for; :func:`painted` puts those of a theme in their place."""

THEMES: Final[dict[str, dict[str, str]]] = {
    "light": {
        # Okabe and Ito's blue, and their vermilion darkened until it differs from the blue in grey too.
        BETTER: "#0072B2", WORSE: "#9A3500", NEUTRAL: "#3D3D3D",
        INK: "#222222", QUIET: "#555555", BAND: "#DDE5EA", EDGE: "#6A7D89", FAINT: "#C4CDD3", PAPER: "#FFFFFF",
        EXPECTED: "#00634A", SECOND: "#8A5A00",
    },
    "dark": {
        BETTER: "#7CC0F0", WORSE: "#E0803F", NEUTRAL: "#D6DBDE",
        INK: "#ECEFF1", QUIET: "#B4BEC5", BAND: "#2A3640", EDGE: "#8FA1AD", FAINT: "#43505A", PAPER: "#12171B",
        EXPECTED: "#63C9A4", SECOND: "#DDB25E",
    },
    "print": {  # greys: a printer's, or a fax's
        BETTER: "#565656", WORSE: "#000000", NEUTRAL: "#333333",
        INK: "#111111", QUIET: "#4A4A4A", BAND: "#E4E4E4", EDGE: "#6E6E6E", FAINT: "#C8C8C8", PAPER: "#FFFFFF",
        EXPECTED: "#444444", SECOND: "#666666",
    },
}  # fmt: skip
Theme = Literal["light", "dark", "print"]

LINE, BOLD_LINE = 13, 16
"""Heights of a line of text beside the plot, in pixels."""
SMALL, LARGE = 10.5, 13
"""Sizes of that text."""

Spec = dict[str, Any]

CLINICAL_IS: Final = {"below": "<", "at_most": "≤", "above": ">", "at_least": "≥"}
"""The sign between "clinical" and a cutoff, by the comparison that makes a score a case."""

NARROWEST, USUAL, WIDEST = 320, 640, 4800
"""Pixels that a picture can be wide: of a phone, usually, of a poster."""
_DRAWN: Final = 1600
"""Pixels beyond which a picture is not laid out wider, but enlarged."""

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


def finished(
    parts: Spec, *, title: Sequence[str], said: Sequence[str], description: str, theme: str, language: Language
) -> Spec:
    """A whole specification: the parts of a picture with its title, its text alternative, a theme and a language.

    ``said`` are the lines under the title, ``description`` is the alternative.
    """
    config = {**CONFIG, "locale": _locale(language)}
    spec = {
        "$schema": SCHEMA,
        "description": description,
        "title": {"text": list(title), "subtitle": list(said)},
        "padding": 8,
        "background": PAPER,
        **parts,
        "config": config,
    }
    return dict(painted(spec, theme))


def painted(part: Any, theme: str) -> Any:
    """The same with a theme's colours. ``KeyError`` where there is no such theme.

    >>> painted({"color": BETTER, "text": "@better"}, "light")
    {'color': '#0072B2', 'text': '@better'}
    """
    colours = THEMES[theme]

    def fill(found: Any) -> Any:
        if isinstance(found, dict):
            return {
                key: colours[value]
                if isinstance(value, str) and value in colours and (key in _PAINTED or key.endswith("Color"))
                else fill(value)
                for key, value in found.items()
            }
        return [fill(one) for one in found] if isinstance(found, list) else found

    return fill(part)


_PAINTED: Final = frozenset({"color", "fill", "stroke", "background"})


def laid_out(width: int) -> tuple[int, float]:
    """The pixels to lay a picture out in, and how often it is enlarged after that.

    >>> laid_out(640), laid_out(3200)
    ((640, 1.0), (1600, 2.0))
    """
    return (width, 1.0) if width <= _DRAWN else (_DRAWN, width / _DRAWN)


def enlarged(spec: Spec, times: float) -> Spec:
    """The same, to be drawn so much larger: what shows it in a browser heeds that too."""
    return spec if times == 1 else spec | {"usermeta": {"embedOptions": {"scaleFactor": times}}}


def _locale(language: Language) -> Spec:
    """Months and decimals of axes; a specification knows no more of a language."""
    days = [""] * 7
    return {
        "number": {"decimal": language.number(0.5)[1], "thousands": "", "grouping": [3], "currency": ["", ""]},
        "time": {
            "dateTime": "%x", "date": language.day_pattern, "time": "%X", "periods": ["", ""],
            "days": days, "shortDays": days,
            "months": language.months, "shortMonths": language.months,
        },
    }  # fmt: skip
