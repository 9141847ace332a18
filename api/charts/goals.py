"""A client's own goals: the T score of those in levels, and those from 0 to 10. Goals go by number, never by words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from api.charts import marks
from api.charts.labels import Label, label_layers
from api.charts.style import EDGE, INK, PAPER, QUIET, USUAL, Spec, enlarged, finished, laid_out
from api.charts.text import day_ticks, lines, ticks
from scoring.phrases import ENGLISH, Language

MOST: Final = 6
"""Targets in one picture; how many more there are is said."""
_SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
_DAY: Final = 86_400_000
_EXPECTED: Final = 50.0
_BESIDE: Final = 96


class TPoint(NamedTuple):
    """The T score at the end of a day."""

    day: date
    t: float


class Target(NamedTuple):
    """A goal from 0 to 10: its number among the client's, start, target and ratings in order."""

    number: int
    baseline: float
    target: float
    ratings: Sequence[tuple[date, float]]

    @property
    def reached(self) -> bool:
        """By its last rating, whichever way it was to go."""
        if not self.ratings:
            return False
        last = self.ratings[-1][1]
        return last >= self.target if self.target >= self.baseline else last <= self.target


def goals_chart(
    t: Sequence[TPoint],
    targets: Sequence[Target],
    *,
    t_baseline: float | None = None,
    width: int = USUAL,
    theme: str = "light",
    language: Language = ENGLISH,
) -> Spec:
    """The specification. ``t`` are T scores in order; ``t_baseline`` is where the same goals began."""
    drawn, times = laid_out(width)
    said = goals_words(t, targets, t_baseline=t_baseline, language=language)
    rated = [goal for goal in targets if goal.ratings]
    shown = sorted([*(point.day for point in t), *(day for goal in rated for day, _ in goal.ratings)])
    stamps = [_stamp(day) for day in shown] or [0]
    air = max((stamps[-1] - stamps[0]) * 4 // 100, 3 * _DAY)
    domain, plot = [stamps[0] - air, stamps[-1] + air], drawn - 62 - _BESIDE
    panels: list[Spec] = []
    axis = day_ticks(stamps, most=max(2, plot // 110)) if shown else []
    if t:
        panels.append(_t_panel(t, domain, axis, plot, language))
    if rated:
        panels.append(_targets_panel(rated[:MOST], domain, axis, plot, language))
    notes = [language.say("goals.note")] if rated else []
    if len(rated) > MOST:
        notes.append(language.say("multiples.more", count=len(rated) - MOST))
    empty: Spec = {"width": plot, "height": 40, "data": {"values": []}, "mark": {"type": "point", "color": INK}}
    made = finished(
        {"vconcat": panels or [empty], "spacing": 20},
        title=[language.say("goals.title")],
        said=[line for text in (said, *notes) for line in lines(text, width=drawn - 16, size=12)],
        description=said,
        theme=theme,
        language=language,
    )
    return enlarged(made, times)


def goals_words(
    t: Sequence[TPoint], targets: Sequence[Target], *, t_baseline: float | None = None, language: Language = ENGLISH
) -> str:
    """Where the goals stand, in a sentence or two."""
    said = []
    if t:
        start = t[0].t if t_baseline is None else t_baseline
        change = round(t[-1].t - start, 10)
        moved = language.say(
            f"goals.moved.{'same' if change == 0 else 'up' if change > 0 else 'down'}",
            points=language.points(abs(change)),
        )
        said.append(
            language.say("goals.summary.t", t=language.number(t[-1].t), day=language.day(t[-1].day), moved=moved)
        )
    rated = [goal for goal in targets if goal.ratings]
    if len(rated) == 1:
        state = language.say("goals.reached" if rated[0].reached else "goals.not-reached")
        said.append(language.say("goals.summary.target", state=state))
    elif rated:
        reached = sum(goal.reached for goal in rated)
        said.append(language.say("goals.summary.targets", count=len(rated), reached=reached))
    return " ".join(said) or language.say("goals.none")


def _stamp(day: date) -> int:
    return marks.moment(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _panel(
    name: str, low: float, high: float, domain: list[int], axis: list[int], width: int, height: int
) -> tuple[Spec, Spec, Spec]:
    """The frame of a panel, and its encodings."""
    x: Spec = {"field": "at", "type": "temporal", "scale": {"type": "utc", "domain": domain}}
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [low, high], "nice": False, "zero": False},
    }
    values = ticks(low, high)
    frame = {
        "data": {"values": [{"at": domain[0], "value": low}]},
        "mark": {"type": "point", "opacity": 0},
        "encoding": {
            "x": {**x, "axis": {"title": None, "format": "%x", "values": axis, "labelOverlap": True}},
            "y": {**y, "axis": {"title": None, "values": values, "tickCount": len(values), "labelOverlap": False}},
        },
    }
    title = {"text": lines(name, width=width + 40, size=12), "fontSize": 12, "fontWeight": "normal", "offset": 6}
    return {"width": width, "height": height, "title": title, "layer": [frame]}, x, y


def _t_panel(t: Sequence[TPoint], domain: list[int], axis: list[int], width: int, language: Language) -> Spec:
    low = min(20.0, *(point.t - 5 for point in t)) // 10 * 10
    high = -(-max(80.0, *(point.t + 5 for point in t)) // 10) * 10
    height = 150
    made, x, y = _panel(language.say("goals.t"), low, high, domain, axis, width, height)
    values = [{"at": _stamp(point.day), "value": point.t} for point in t]
    made["layer"] += [
        {
            "data": {"values": [{"value": _EXPECTED}]},
            "mark": {"type": "rule", "color": EDGE, "strokeDash": [6, 4], "strokeWidth": 1.3},
            "encoding": {"y": y},
        },
        *_line(values, "circle", x, y),
        *label_layers(
            [
                Label(height * (1 - (t[-1].t - low) / (high - low)), [language.number(t[-1].t)], "verdict"),
                Label(height * (1 - (_EXPECTED - low) / (high - low)), [language.say("goals.expected")]),
            ],
            plot=width,
            height=height,
            colour=INK,
        ),
    ]
    return made


def _targets_panel(goals: Sequence[Target], domain: list[int], axis: list[int], width: int, language: Language) -> Spec:
    height = 170
    made, x, y = _panel(language.say("goals.ten"), 0.0, 10.0, domain, axis, width, height)
    labels = []
    for goal, shape in zip(goals, _SHAPES, strict=False):
        made["layer"] += _line([{"at": _stamp(day), "value": value} for day, value in goal.ratings], shape, x, y)
        made["layer"].append(
            {
                "data": {"values": [{"at": domain[1], "value": goal.target}]},
                "mark": {"type": "tick", "orient": "horizontal", "size": 14, "thickness": 3, "color": INK},
                "encoding": {"x": x, "y": y},
            }
        )
        text = language.say("goals.goal", number=goal.number, target=language.number(goal.target))
        labels.append(Label(height * (1 - goal.ratings[-1][1] / 10), [text]))
    made["layer"] += label_layers(labels, plot=width, height=height, colour=INK)
    return made


def _line(values: list[Spec], shape: str, x: Spec, y: Spec) -> Iterator[Spec]:
    encoding = {"x": x, "y": y}
    yield {
        "data": {"values": values},
        "mark": {"type": "line", "color": QUIET, "strokeWidth": 1.5},
        "encoding": encoding,
    }
    mark = {
        "type": "point",
        "shape": shape,
        "size": 60,
        "opacity": 1,
        "filled": False,
        "color": INK,
        "fill": PAPER,
        "strokeWidth": 1.5,
    }
    yield {"data": {"values": values}, "mark": mark, "encoding": encoding}
