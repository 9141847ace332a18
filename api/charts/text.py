"""Placing text: breaking lines to a width, keeping labels apart, choosing ticks."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

_AVERAGE_WIDTH = 0.47
"""Of a character of Liberation Sans or Arial, in font sizes; a little generous, so that lines end early."""


def lines(text: str, *, width: float, size: float) -> list[str]:
    """``text`` in lines that fit ``width`` pixels at a font size.

    >>> lines("one two three four", width=60, size=10)
    ['one two', 'three four']
    """
    return textwrap.wrap(text, max(12, math.floor(width / (size * _AVERAGE_WIDTH))), break_long_words=False) or [""]


def room(texts: Sequence[str], *, size: float) -> float:
    """Pixels that the longest of some texts takes, about.

    >>> round(room(["one", "three"], size=10), 1)
    27.5
    """
    return max((len(text) for text in texts), default=0) * size * 0.55


def spread(wanted: Sequence[float], heights: Sequence[float], *, low: float, high: float) -> list[float]:
    """Centres of labels, near where they are wanted, so that none overlaps another or leaves ``low..high``.

    Where there is not enough room for all, they keep their order and run over at ``low``.

    >>> spread([50, 52, 99], [10, 10, 10], low=0, high=100)
    [50, 60.0, 95.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = list(wanted)
    edge = low
    for i in order:
        placed[i] = max(placed[i], edge + heights[i] / 2)
        edge = placed[i] + heights[i] / 2
    edge = high
    for i in reversed(order):
        placed[i] = min(placed[i], edge - heights[i] / 2)
        edge = placed[i] - heights[i] / 2
    return placed


def ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Both ends of a range and round numbers between them, not too close to the ends.

    >>> ticks(2, 36), ticks(0, 27)
    ([2, 10, 20, 30, 36], [0, 5, 10, 15, 20, 27])
    """
    rough = (high - low) / about
    unit = 10 ** math.floor(math.log10(rough))
    step = next((unit * factor for factor in (1, 2, 5) if unit * factor >= rough * 0.8), unit * 10)
    inside = [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [low, *(round(v, 10) for v in inside if low + step / 2 < v < high - step / 2), high]


def day_ticks(moments: Sequence[int], *, most: int) -> list[int]:
    """The first and the last of some times in order, and days evenly between them; in milliseconds.

    >>> day_ticks([0, 5, 40 * 86_400_000], most=3)
    [0, 1728000000, 3456000000]
    """
    if not moments:
        return []
    first, days = moments[0], (moments[-1] - moments[0]) / 86_400_000
    steps = max(1, min(most - 1, math.floor(days)))
    return list(dict.fromkeys(first + round(days * step / steps) * 86_400_000 for step in range(steps + 1)))
