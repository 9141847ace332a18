"""Small pictures side by side: every scale of a client or of an instrument, on one axis of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from api.charts import marks
from api.charts.style import INK, QUIET, SMALL, USUAL, Spec, enlarged, finished, laid_out, verdict
from api.charts.text import day_ticks, lines
from scoring.phrases import ENGLISH, Language
from scoring.progress import Change, Progress
from scoring.progress_words import CATEGORIES, headline, unchecked
from scoring.progress_words import verdict as sentence

MOST: Final = 30
"""Scales in one picture; how many more there are is said."""
_DAY: Final = 86_400_000
_LEFT, _GAP = 34, 26


def multiples_chart(
    series: Sequence[Progress], *, width: int = USUAL, theme: str = "light", language: Language = ENGLISH
) -> Spec:
    """The specification: a panel a scale, in the order given; scales without any measurement are left out.

    The same series give the same specification.
    """
    drawn, times = laid_out(width)
    measured = [one for one in series if one.points]
    shown = measured[:MOST]
    columns = max(1, min(len(shown), drawn // 300))
    plot = (drawn - 16 - columns * (_LEFT + _GAP)) // columns
    said = multiples_words(measured, language)
    notes = [language.say("multiples.note")] if shown else []
    if len(measured) > len(shown):
        notes.append(language.say("multiples.more", count=len(measured) - len(shown)))
    domain = time_domain(shown)
    names = {one.instrument.name for one in measured}
    parts: Spec = {
        "concat": [panel(one, domain, width=plot, height=92, language=language, named=len(names) > 1) for one in shown]
        or [empty(plot)],
        "columns": columns,
        "spacing": {"row": 16, "column": _GAP},
    }
    title = next(iter(names)) if len(names) == 1 else language.say("multiples.title")
    text_width = drawn - 16
    return enlarged(
        finished(
            parts,
            title=lines(title, width=text_width, size=15),
            said=[line for text in (said, *notes) for line in lines(text, width=text_width, size=12)],
            description=said,
            theme=theme,
            language=language,
        ),
        times,
    )


def panel_chart(
    progress: Progress, *, width: int = 230, height: int = 84, theme: str = "print", language: Language = ENGLISH
) -> Spec:
    """One panel alone, without words: they stand beside it."""
    made = panel(progress, time_domain([progress]), width=width - _LEFT - 30, height=height, language=language)
    said = sentence(progress, language)
    return finished(made, title=[], said=[], description=said, theme=theme, language=language) | {"title": {"text": ""}}


def multiples_words(series: Sequence[Progress], language: Language = ENGLISH) -> str:
    """How many scales went which way, the worst first."""
    if not series:
        return language.say("multiples.none")
    counts = Counter(change.category if isinstance(change := one.from_baseline, Change) else None for one in series)
    parts = [
        language.say(f"multiples.{category or 'unknown'}", count=counts[category])
        for category in (*reversed(CATEGORIES), None)
        if counts[category]
    ]
    scales = language.counted("multiples.scales", len(series), count=len(series))
    return language.say("multiples.summary", scales=scales, parts=", ".join(parts))


def time_domain(series: Sequence[Progress]) -> list[int]:
    """The time of all measurements, in milliseconds, with some air."""
    found = [marks.stamp(point) for one in series for point in one.points] or [0]
    air = max((max(found) - min(found)) * 4 // 100, 3 * _DAY)
    return [min(found) - air, max(found) + air]


def panel(
    progress: Progress, domain: list[int], *, width: int, height: int, language: Language, named: bool = False
) -> Spec:
    """One scale, small: what can be read of the large picture at this size; ``named`` by its instrument too."""
    figures, change = progress.figures, progress.from_baseline
    used = [point for point in progress.points if point["used"]]
    unused = [point for point in progress.points if not point["used"] and point["value"] is not None]
    scoreless = [point for point in progress.points if point["value"] is None]
    shape = (
        verdict(change.category, rose=change.points > 0) if isinstance(change, Change) else verdict(None, rose=False)
    )
    ends = sorted(marks.stamp(point) for point in progress.points)
    x_axis = {
        "title": None,
        "format": "%x",
        "labelFlush": True,
        "labelFontSize": 9.5,
        "offset": 10 if scoreless else 0,
        "values": ends[:1]
        if ends and (ends[-1] - ends[0]) * width < 80 * (domain[1] - domain[0])
        else day_ticks(ends, most=2),
        "labelOverlap": True,
    }
    y_axis = {"title": None, "values": [figures.minimum, figures.maximum], "format": "~f", "labelFontSize": 9.5}
    x: Spec = {"field": "at", "type": "temporal", "scale": {"type": "utc", "domain": domain}}
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [figures.minimum, figures.maximum], "nice": False, "zero": False},
    }
    frame = {
        "data": {"values": [{"at": domain[0], "value": figures.minimum}]},
        "mark": {"type": "point", "opacity": 0},
        "encoding": {"x": {**x, "axis": x_axis}, "y": {**y, "axis": y_axis}},
    }
    cutoff = figures.deciding
    name = f"{progress.instrument.name}: {figures.scale.name}" if named else figures.scale.name
    return {
        "width": width,
        "height": height,
        "title": {
            "text": lines(name, width=width + _LEFT, size=12),
            "subtitle": [_reading(progress, language)],
            "fontSize": 12,
            "fontWeight": "normal",
            "subtitleFontSize": 12,
            "subtitleFontWeight": "bold",
            "subtitleColor": shape[0],
            "subtitlePadding": 2,
            "offset": 6,
        },
        "layer": [
            frame,
            *marks.band(progress.band, up_is_better=figures.higher_is == "better", y=y),
            *marks.cutoff(None if cutoff is None else cutoff.value, y=y),
            *marks.segments(used, x=x, y=y),
            *marks.left_out(unused, scoreless, x=x, y=y, below=height + 6),
            *marks.points(used, x=x, y=y, crowded=True),
            *marks.last(used, (shape[0], shape[1], shape[2] * 2 // 3), x=x, y=y),
            *marks.amended(used + unused, x=x, y=y, crowded=True),
        ],
    }


def _reading(progress: Progress, language: Language) -> str:
    last = progress.last
    if last is None or last["value"] is None:
        return language.say("chart.no-usable")
    said = " ".join(filter(None, [language.number(last["value"]), headline(progress, language)]))
    unsure = isinstance(progress.from_baseline, Change) and unchecked(progress, language)
    return f"{said} ({language.say('chart.unchecked')})" if unsure else said


def empty(width: int, *, height: int = 60) -> Spec:
    """A panel with nothing in it."""
    return {
        "width": width,
        "height": height,
        "data": {"values": []},
        "mark": {"type": "point", "color": INK, "size": SMALL, "stroke": QUIET},
    }
