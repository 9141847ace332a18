"""What is said beside the plot: the last value with its verdict, the edges of the band, the cutoff."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from api.charts.style import BOLD_LINE, CLINICAL_IS, EDGE, INK, LARGE, LINE, SMALL, Spec
from api.charts.text import lines, room, spread
from instruments.parts import BandSet
from scoring.phrases import Language
from scoring.progress import Progress
from scoring.progress_words import headline, unchecked
from scoring.reliable import PublishedChange, Unavailable

_MOVED = 3
"""Pixels that a label can be moved before a stroke has to lead to the line that it belongs to."""


class Label(NamedTuple):
    """Lines of text, wanted at a pixel."""

    at: float
    text: list[str]
    kind: Literal["line", "range", "verdict", "remark"] = "line"
    """Of a line in the plot, a range between two, the verdict, or a remark on the verdict."""

    @property
    def verdict(self) -> bool:
        """Whether it is what has to be read first."""
        return self.kind == "verdict"

    @property
    def line(self) -> int:
        """Height of a line."""
        return BOLD_LINE if self.verdict else LINE

    @property
    def size(self) -> float:
        """Of the type."""
        return LARGE if self.verdict else SMALL


def labels(
    progress: Progress,
    pixel: Callable[[float], float],
    language: Language,
    *,
    width: int,
    bands: BandSet | None = None,
    course: Sequence[Mapping[str, Any]] = (),
) -> list[Label]:
    """The labels of a series; ``pixel`` tells where a score is drawn, ``course`` is what was expected."""
    found: list[Label] = []
    figures, band, last = progress.figures, progress.band, progress.last
    say, number, roomy = language.say, language.number, width >= 480
    if band is not None:
        up_is_better = figures.higher_is == "better"
        upper, lower = ("better", "worse") if up_is_better else ("worse", "better")
        above, below = (band.can_improve, band.can_worsen)[:: 1 if up_is_better else -1]
        reached = isinstance(figures.reliable_change, PublishedChange)  # by an amount that need not be exceeded
        signs = ("≥", "≤") if reached else (">", "<")
        if above:
            found.append(
                Label(pixel(band.high), [say(f"chart.reliably-{upper}", sign=signs[0], value=number(band.high))])
            )
        if below:
            found.append(
                Label(pixel(band.low), [say(f"chart.reliably-{lower}", sign=signs[1], value=number(band.low))])
            )
    if (cutoff := figures.deciding) is not None:
        sign = CLINICAL_IS[cutoff.clinical_side]
        found.append(Label(pixel(cutoff.value), [say("chart.clinical", sign=sign, value=number(cutoff.value))]))
    for one in () if bands is None else bands.bands:
        found.append(Label(pixel(float(one.min + one.max) / 2), [one.label], "range"))
    if course:
        within = [min(max(course[-1][edge], figures.minimum), figures.maximum) for edge in ("low_80", "high_80")]
        found.append(Label(pixel(sum(within) / 2), [say("chart.expected")], "range"))
    if last is not None and last["value"] is not None:
        at, words = pixel(last["value"]), headline(progress, language)
        wrapped = lines(words, width=140 if roomy else 90, size=LARGE)
        found.append(Label(at, [number(last["value"]), *filter(None, wrapped)], "verdict"))
        if remark := _remark(progress, language):
            found.append(Label(at, [remark], "remark"))
    if roomy:
        return found
    return [one if one.verdict else one._replace(text=lines(one.text[0], width=85, size=SMALL)) for one in found]


def _remark(progress: Progress, language: Language) -> str:
    """What a verdict, or the lack of one, must not be read without."""
    change = progress.from_baseline
    if isinstance(change, Unavailable) or change.direction is None:
        return ""
    if change.category is None:
        return language.say("chart.error-unknown")
    return language.say("chart.unchecked") if unchecked(progress) else ""


def width_of(found: Sequence[Label]) -> float:
    """Pixels that they take beside the plot, about."""
    return max((room(label.text, size=label.size) for label in found), default=0)


def label_layers(found: Sequence[Label], *, plot: int, height: int, colour: str) -> Iterator[Spec]:
    """The labels, never on each other. From a line to its label leads a stroke, where it could not stay beside it.

    ``plot`` and ``height`` are the pixels of the plot, ``colour`` is the verdict's.
    """
    heights = [len(label.text) * label.line for label in found]
    places = spread([label.at for label in found], heights, low=-6, high=height + 6)
    for y, label in zip(places, found, strict=True):
        if label.kind == "line" and abs(y - label.at) > _MOVED:
            yield {
                "data": {"values": [{}]},
                "mark": {"type": "rule", "color": EDGE, "strokeWidth": 0.8},
                "encoding": {
                    "x": {"value": plot},
                    "x2": {"value": plot + 8},
                    "y": {"value": round(label.at, 1)},
                    "y2": {"value": round(y, 1)},
                },
            }
        yield {
            "data": {"values": [{"text": "\n".join(label.text)}]},
            "mark": {
                "type": "text",
                "align": "left",
                "baseline": "middle",
                "lineBreak": "\n",
                "lineHeight": label.line,
                "fontSize": label.size,
                "fontWeight": "bold" if label.verdict else "normal",
                "color": colour if label.verdict else INK,
            },
            "encoding": {
                "x": {"value": plot + 10},
                # the renderer puts the first line here, not the middle of all
                "y": {"value": round(y - (len(label.text) - 1) * label.line / 2, 1)},
                "text": {"field": "text"},
            },
        }
