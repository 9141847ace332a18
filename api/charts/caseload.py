"""A clinician's clients at a glance: one row each, in the order in which they need attention. No row says who it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from api.charts.multiples import empty
from api.charts.style import EDGE, INK, PAPER, QUIET, USUAL, Spec, enlarged, finished, laid_out, verdict
from api.charts.text import lines, room
from scoring.phrases import ENGLISH, Language
from scoring.progress_words import CATEGORIES

MOST: Final = 50
"""Rows in one picture; how many more there are is said."""
_ROW: Final = 20
_SMALLEST, _LARGEST = 2.0, 6.0
"""Reliable changes that the axis spans to either side."""


class Case(NamedTuple):
    """One client of a caseload."""

    change: float | None
    """From the first to the last score in reliable changes of that scale, positive where better; None where unknown.

    A published amount of change tells a category without an index: that is then told in words."""
    category: str | None
    alerts: int = 0
    overdue: int = 0
    status: str | None = None
    """Of the expected course: `on-track`, `watch`, `not-on-track`."""


def caseload_chart(
    cases: Sequence[Case],
    *,
    total: int | None = None,
    first: int = 1,
    width: int = USUAL,
    theme: str = "light",
    language: Language = ENGLISH,
) -> Spec:
    """The specification. ``total`` is how many clients there are in all, ``first`` the number of the first row."""
    drawn, times = laid_out(width)
    shown = cases[:MOST]
    more = (len(cases) if total is None else total) - len(shown) - (first - 1)
    said = caseload_words(cases, language)
    notes = [language.say("caseload.note")] if shown else []
    if more > 0:
        notes.append(language.say("multiples.more", count=more))
    made = finished(
        _rows(shown, first, drawn, language) if shown else empty(drawn - 40),
        title=[language.say("caseload.title")],
        said=[line for text in (said, *notes) for line in lines(text, width=drawn - 16, size=12)],
        description=said,
        theme=theme,
        language=language,
    )
    return enlarged(made, times)


def caseload_words(cases: Sequence[Case], language: Language = ENGLISH) -> str:
    """How many clients need attention and why, then how the others are."""
    if not cases:
        return language.say("caseload.none")
    counts = {
        "caseload.alerts": sum(case.alerts > 0 for case in cases),
        "caseload.not-on-track": sum(case.status == "not-on-track" for case in cases),
        "caseload.overdue": sum(case.overdue > 0 for case in cases),
        **{
            f"multiples.{category or 'unknown'}": sum(case.category == category for case in cases)
            for category in (*reversed(CATEGORIES), None)
        },
    }
    parts = [language.say(key, count=count) for key, count in counts.items() if count]
    clients = language.counted("caseload.clients", len(cases), count=len(cases))
    return language.say("caseload.summary", clients=clients, parts=", ".join(parts))


def _rows(cases: Sequence[Case], first: int, width: int, language: Language) -> Spec:
    flags = [_flags(case, language, narrow=width < 480) for case in cases]
    beside = room(flags, size=10.5)
    names = [language.say("caseload.row", number=first + row) for row in range(len(cases))]
    left = room(names, size=10.5) + 14
    plot, height = round(max(90.0, width - left - beside - 40)), len(cases) * _ROW
    span = max(_SMALLEST, *(min(_LARGEST, abs(case.change)) for case in cases if case.change is not None), _SMALLEST)
    x: Spec = {"field": "change", "type": "quantitative", "scale": {"domain": [-span, span], "nice": False}}
    y: Spec = {"field": "row", "type": "quantitative", "scale": {"domain": [len(cases), 0], "nice": False}}
    ticks = [tick for tick in range(-6, 7) if abs(tick) <= span and (plot >= 300 or tick % 2 == 0 or span <= 2)]
    x_axis = {
        "title": lines(language.say("caseload.axis"), width=max(plot, 160), size=11),
        "values": ticks,
        "tickCount": len(ticks),
        "orient": "top",
        "titlePadding": 6,
    }
    y_axis = {
        "title": None,
        "values": [row + 0.5 for row in range(len(cases))],
        "tickCount": len(cases),
        "labelExpr": f"{names_expression(language)} + format(datum.value + {first} - 0.5, 'd')",
        "labelOverlap": False,
        "ticks": False,
        "domain": False,
    }
    frame = {
        "data": {"values": [{"change": 0, "row": 0}]},
        "mark": {"type": "point", "opacity": 0},
        "encoding": {"x": {**x, "axis": x_axis}, "y": {**y, "axis": y_axis}},
    }
    return {
        "width": plot,
        "height": height,
        "layer": [frame, *_lines(x), *_marks(cases, span, x, y), *_texts(cases, flags, plot, y, language)],
    }


def names_expression(language: Language) -> str:
    """The name of a row without its number, as a string of Vega's expressions."""
    text = language.say("caseload.row", number="").replace("\\", "").replace("'", "’")
    return f"'{text}'"


def _flags(case: Case, language: Language, *, narrow: bool) -> str:
    said = []
    if case.alerts:
        said.append(f"! {language.say('caseload.alert')}")
    if case.status == "not-on-track":
        said.append(language.say("caseload.off"))
    if case.overdue:
        said.append(language.say("caseload.due"))
    if narrow and len(said) > 1:
        return f"{said[0]} +{len(said) - 1}"
    return ", ".join(said)


def _lines(x: Spec) -> Iterator[Spec]:
    """No change, and a reliable change to either side."""
    for at, dash in ((0, [1, 0]), (-1, [4, 3]), (1, [4, 3])):
        yield {
            "data": {"values": [{"change": at}]},
            "mark": {"type": "rule", "color": EDGE, "strokeWidth": 1, "strokeDash": dash},
            "encoding": {"x": x},
        }


def _marks(cases: Sequence[Case], span: float, x: Spec, y: Spec) -> Iterator[Spec]:
    known = [
        (row, case, max(-span, min(span, case.change))) for row, case in enumerate(cases) if case.change is not None
    ]
    if known:
        yield {
            "data": {"values": [{"change": 0, "to": change, "row": row + 0.5} for row, _, change in known]},
            "mark": {"type": "rule", "color": QUIET, "strokeWidth": 1.2},
            "encoding": {"x": x, "x2": {"field": "to"}, "y": y},
        }
    groups: dict[tuple[str, str, int], list[Spec]] = {}
    for row, case, change in known:
        groups.setdefault(verdict(case.category, rose=False), []).append({"change": change, "row": row + 0.5})
    for (colour, shape, size), values in groups.items():
        yield {
            "data": {"values": values},
            "mark": {
                "type": "point", "filled": True, "opacity": 1, "stroke": PAPER, "strokeWidth": 0.8,
                "shape": shape, "size": size * 2 // 3, "color": colour,
            },
            "encoding": {"x": x, "y": y},
        }  # fmt: skip


def _texts(cases: Sequence[Case], flags: Sequence[str], plot: int, y: Spec, language: Language) -> Iterator[Spec]:
    unknown = [
        {"row": row + 0.5, "text": language.say(f"headline.{case.category}" if case.category else "caseload.no-change")}
        for row, case in enumerate(cases)
        if case.change is None
    ]
    if unknown:
        yield {
            "data": {"values": unknown},
            "mark": {
                "type": "text",
                "align": "left",
                "baseline": "middle",
                "color": QUIET,
                "fontSize": 10.5,
            },
            "encoding": {"x": {"value": plot / 2 + 6}, "y": y, "text": {"field": "text"}},
        }
    said = [{"row": row + 0.5, "text": text} for row, text in enumerate(flags) if text]
    if said:
        yield {
            "data": {"values": said},
            "mark": {"type": "text", "align": "left", "baseline": "middle", "color": INK, "fontSize": 10.5},
            "encoding": {"x": {"value": plot + 10}, "y": y, "text": {"field": "text"}},
        }
