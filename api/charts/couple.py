"""Two partners on one scale, and how far apart they are. Who is who is told by line and shape, not by colour alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from api.charts import marks
from api.charts.labels import Label, label_layers, width_of
from api.charts.multiples import time_domain
from api.charts.notes import wrapped
from api.charts.style import (
    BAND,
    CLINICAL_IS,
    EDGE,
    INK,
    PAPER,
    QUIET,
    SECOND,
    USUAL,
    Spec,
    enlarged,
    finished,
    laid_out,
)  # fmt: skip
from api.charts.text import day_ticks, lines, ticks
from scoring.dyads.described import errors_of
from scoring.dyads.discrepancy import shift
from scoring.phrases import ENGLISH, Language
from scoring.progress import Point, Progress
from scoring.progress_words import direction, headline, verdict

LETTERS: Final = ("A", "B")
_STYLES: Final[tuple[tuple[str, str, bool, list[int]], ...]] = (
    (INK, "circle", True, [1, 0]),
    (SECOND, "square", False, [9, 4]),
)
"""Colour, shape, whether it is filled, and dashes, of either."""


class Apart(NamedTuple):
    """Both partners at one time, in points of the scale."""

    at: datetime
    first: float
    second: float

    @property
    def difference(self) -> float:
        """The first less the second."""
        return round(self.first - self.second, 10)

    @property
    def points(self) -> float:
        """How far apart they are."""
        return round(abs(self.first - self.second), 10)


def couple_chart(
    first: Progress,
    second: Progress,
    apart: Sequence[Apart] = (),
    *,
    width: int = USUAL,
    theme: str = "light",
    language: Language = ENGLISH,
) -> Spec:
    """The specification of two series of one scale; ``apart`` are the times at which they can be compared, in order.

    The partners are A and B in the order given; nothing else says who they are.
    """
    drawn, times = laid_out(width)
    return enlarged(_Couple((first, second), apart, drawn, language).spec(theme), times)


def couple_words(first: Progress, second: Progress, apart: Sequence[Apart], language: Language = ENGLISH) -> str:
    """What became of either, whether they came closer, and whether by more than error."""
    each = [
        language.say("couple.of", letter=letter, sentence=verdict(one, language))
        for letter, one in zip(LETTERS, (first, second), strict=True)
    ]
    said = [_apart_words(apart, language)]
    if len(apart) > 1:
        moved = shift(apart[0].difference, apart[-1].difference, errors_of(first, second))
        if moved.points and moved.reliable is not None:
            said.append(language.say(f"couple.{'beyond' if moved.reliable else 'within'}-error"))
    return language.say("couple.summary", first=each[0], second=each[1], difference=" ".join(said))


def _apart_words(apart: Sequence[Apart], language: Language) -> str:
    if not apart:
        return language.say("couple.never-both")
    start, last = apart[0].points, apart[-1].points
    key = "apart" if len(apart) == 1 else "closer" if last < start else "further" if last > start else "as-far"
    said = {"points": language.points(last), "day": language.day(apart[-1].at)}
    return language.say(f"couple.{key}", **said, **({"before": language.points(start)} if len(apart) > 1 else {}))


class _Couple:
    def __init__(self, both: tuple[Progress, Progress], apart: Sequence[Apart], width: int, language: Language) -> None:
        self.both, self.apart, self.width, self.language = both, apart, width, language
        self.figures = both[0].figures
        self.height = 230
        self.used = [[point for point in one.points if point["used"]] for one in both]
        self.labels = list(self._labels())
        self.plot = round(width - 62 - (width_of(self.labels) + 10 if self.labels else 0))
        self.domain = time_domain(both)
        self.x: Spec = {"field": "at", "type": "temporal", "scale": {"type": "utc", "domain": self.domain}}
        self.y: Spec = {
            "field": "value",
            "type": "quantitative",
            "scale": {"domain": [self.figures.minimum, self.figures.maximum], "nice": False, "zero": False},
        }

    def spec(self, theme: str) -> Spec:
        language, figures = self.language, self.figures
        said = couple_words(*self.both, self.apart, language)
        title = language.say("couple.title", instrument=self.both[0].instrument.name, scale=figures.scale.name)
        return finished(
            {"width": self.plot, "height": self.height, "layer": list(self._layers())},
            title=lines(title, width=self.width - 16, size=15),
            said=lines(said, width=self.width - 16, size=12),
            description=said,
            theme=theme,
            language=language,
        )

    def _pixel(self, value: float) -> float:
        span = self.figures.maximum - self.figures.minimum
        return self.height * (1 - (value - self.figures.minimum) / span)

    def _labels(self) -> Iterator[Label]:
        language, roomy = self.language, self.width >= 480
        for letter, one, used in zip(LETTERS, self.both, self.used, strict=True):
            if used:
                value = used[-1]["value"] or 0.0
                words = lines(headline(one, language), width=140 if roomy else 90, size=13)
                text = [f"{letter}  {language.number(value)}", *filter(None, words)]
                yield Label(self._pixel(value), text, "verdict")
        if (cutoff := self.figures.deciding) is not None:
            sign, where = CLINICAL_IS[cutoff.clinical_side], language.number(cutoff.value)
            yield Label(self._pixel(cutoff.value), [language.say("chart.clinical", sign=sign, value=where)])

    def _layers(self) -> Iterator[Spec]:
        x, y = self.x, self.y
        yield self._frame()
        if (cutoff := self.figures.deciding) is not None:
            yield {
                "data": {"values": [{"value": cutoff.value}]},
                "mark": {"type": "rule", "color": EDGE, "strokeDash": [2, 3], "strokeWidth": 1.3},
                "encoding": {"y": y},
            }
        if self.apart:
            values = [{"at": marks.moment(one.at), "value": one.first, "to": one.second} for one in self.apart]
            yield {
                "data": {"values": values},
                "mark": {"type": "rule", "color": BAND, "strokeWidth": 7},
                "encoding": {"x": x, "y": y, "y2": {"field": "to"}},
            }
        for used, style in zip(self.used, _STYLES, strict=True):
            yield from self._line(used, *style)
        yield from label_layers(self.labels, plot=self.plot, height=self.height, colour=INK)

    def _line(self, used: Sequence[Point], colour: str, shape: str, filled: bool, dash: list[int]) -> Iterator[Spec]:
        values = [marks.placed(point) for point in used]
        if not values:
            return
        encoding = {"x": self.x, "y": self.y}
        yield {
            "data": {"values": values},
            "mark": {"type": "line", "color": colour, "strokeDash": dash, "strokeWidth": 1.8},
            "encoding": encoding,
        }
        fill = (
            {"stroke": PAPER, "strokeWidth": 0.7} if filled else {"stroke": colour, "strokeWidth": 1.6, "fill": PAPER}
        )
        yield {
            "data": {"values": values},
            "mark": {
                "type": "point",
                "shape": shape,
                "size": 65,
                "opacity": 1,
                "color": colour,
                "filled": filled,
                **fill,
            },
            "encoding": encoding,
        }

    def _frame(self) -> Spec:
        say = self.language.say
        shown = sorted(marks.stamp(point) for one in self.both for point in one.points)
        x_axis = {
            "title": wrapped(iter([say("couple.note")]), width=self.width),
            "titleAnchor": "start",
            "titleAlign": "left",
            "titleX": -40,
            "titleColor": QUIET,
            "format": "%x",
            "labels": bool(shown),
            "ticks": bool(shown),
            "values": day_ticks(shown, most=max(2, self.plot // 110)),
            "labelOverlap": True,
            "labelFlush": False,
        }
        values = ticks(self.figures.minimum, self.figures.maximum)
        y_axis = {
            "title": say(f"chart.axis.{self.figures.higher_is}", direction=direction(self.both[0], self.language)),
            "values": values,
            "tickCount": len(values),
            "format": "~f",
            "labelOverlap": False,
        }
        return {
            "data": {"values": [{"at": self.domain[0], "value": self.figures.minimum}]},
            "mark": {"type": "point", "opacity": 0},
            "encoding": {"x": {**self.x, "axis": x_axis}, "y": {**self.y, "axis": y_axis}},
        }
