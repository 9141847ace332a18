"""What a run has changed: counts only, added up batch by batch, so that a run of any size has a short report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from scoring.result import STATUSES
from scoring.scales import ScalePlan

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]

MOST_SIZES: Final = 1_000
"""Different sizes of change that are counted one by one; more are rounded, and the report says how far."""
MOST_NAMED: Final = 100
"""Responses that are named for each reason that they were refused for; the others are counted."""
_DIGITS: Final = 9
"""After which differences of two values are the noise of floating point."""

Pair = tuple[str | None, str | None]
"""What something was, and what it is."""


@dataclass
class Column:
    """One scale of many responses, as it was or as it is. Status is a place in `STATUSES`, -1 without a score."""

    values: Floats
    statuses: Codes
    valid: Bools

    @classmethod
    def absent(cls, size: int) -> Column:
        """A scale that the definition does not have."""
        return cls(np.full(size, np.nan), np.full(size, -1, np.int8), np.ones(size, np.bool_))

    def taken(self, rows: npt.NDArray[Any]) -> Column:
        """Some of the rows."""
        return Column(self.values[rows], self.statuses[rows], self.valid[rows])


@dataclass
class ScaleReport:
    """What has become of one scale."""

    compared: int = 0
    """Responses with a score of the scale before, after, or both."""
    changed: int = 0
    """Of these, those whose value, status or validity is another one."""
    differing: int = 0
    """Those with a value before and after that is not the same one."""
    total: float = 0.0
    largest: float = 0.0
    sizes: Counter[float] = field(default_factory=Counter)
    """Size of change in points, to how many have it."""
    step: float = 0.0
    """What sizes are rounded to; 0: not at all."""
    statuses: Counter[Pair] = field(default_factory=Counter)
    bands: Counter[Pair] = field(default_factory=Counter)
    cutoffs: dict[str, Counter[Pair]] = field(default_factory=dict)
    held_back: int = 0
    """A validity rule holds back what it was read as."""
    released: int = 0

    def add(self, old: Column, new: Column, before: ScalePlan | None, after: ScalePlan | None) -> Bools:
        """Compare some responses; which of them have changed. A definition without the scale has no plan of it."""
        there = (old.statuses >= 0) | (new.statuses >= 0)
        both = ~np.isnan(old.values) & ~np.isnan(new.values)
        sizes = np.round(np.abs(new.values[both] - old.values[both]), _DIGITS)
        sizes = sizes[sizes > 0]
        same = (old.values == new.values) | (np.isnan(old.values) & np.isnan(new.values))
        changed: Bools = there & (~same | (old.statuses != new.statuses) | (old.valid != new.valid))
        self.compared += int(there.sum())
        self.changed += int(changed.sum())
        if sizes.size:
            self.differing += int(sizes.size)
            self.total += float(sizes.sum())
            self.largest = max(self.largest, float(sizes.max()))
            self._count(zip(*(found.tolist() for found in np.unique(sizes, return_counts=True)), strict=True))
        self.held_back += int((there & old.valid & ~new.valid).sum())
        self.released += int((there & ~old.valid & new.valid).sum())
        if not changed.any() and before is after:
            return changed
        names = (*STATUSES, None)
        self.statuses += _flips(names, old.statuses, names, new.statuses)
        self.bands += _flips(*_bands(before, old), *_bands(after, new))
        cutoffs = _cutoffs(before) | _cutoffs(after)
        for cutoff in cutoffs:
            flips = _flips(*_crossed(before, cutoff, old), *_crossed(after, cutoff, new))
            if flips:
                self.cutoffs[cutoff] = self.cutoffs.get(cutoff, Counter()) + flips
        return changed

    def _count(self, found: Iterable[tuple[float, int]]) -> None:
        for size, number in found:
            self.sizes[self._rounded(size)] += number
        while len(self.sizes) > MOST_SIZES:
            self.step = max(2 * self.step, 2 * self.largest / MOST_SIZES)
            counted, self.sizes = self.sizes, Counter()
            for size, number in counted.items():
                self.sizes[self._rounded(size)] += number

    def _rounded(self, size: float) -> float:
        return size if not self.step else round(round(size / self.step) * self.step, _DIGITS)

    @property
    def median(self) -> float | None:
        """Of the sizes of change, to half a `step`."""
        below, half = 0, self.differing / 2
        lower: float | None = None
        for size in sorted(self.sizes):
            below += self.sizes[size]
            if lower is not None:
                return (lower + size) / 2
            if below > half:
                return size
            if below == half:
                lower = size
        return lower

    def document(self) -> dict[str, Any]:
        """What is told."""
        return {
            "compared": self.compared,
            "changed": self.changed,
            "change": None
            if not self.differing
            else {
                "responses": self.differing,
                "mean": self.total / self.differing,
                "median": self.median,
                "median_within": self.step / 2,
                "largest": self.largest,
            },
            "statuses": _told(self.statuses),
            "bands": _told(self.bands),
            "cutoffs": {name: _told(flips) for name, flips in sorted(self.cutoffs.items())},
            "held_back": self.held_back,
            "released": self.released,
        }


@dataclass
class Report:
    """What a run has changed so far."""

    scored: int = 0
    changed: int = 0
    """Responses of which any scale has changed."""
    scales: dict[str, ScaleReport] = field(default_factory=dict)
    alerts_new: Counter[str] = field(default_factory=Counter)
    """By rule, the responses that would alert now and did not; nothing is raised for them."""
    alerts_gone: Counter[str] = field(default_factory=Counter)
    """By rule, the responses that alerted and no longer would; what was raised stays."""
    refused: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """By reason, how many responses could not be scored, and the first of them."""

    def refuse(self, reason: str, response_id: str) -> None:
        """Count a response that could not be scored."""
        number, named = self.refused.get(reason, (0, []))
        self.refused[reason] = number + 1, [*named, response_id] if number < MOST_NAMED else named

    def document(self) -> dict[str, Any]:
        """What is told."""
        refused = {
            reason: {"responses": number, "first": first} for reason, (number, first) in sorted(self.refused.items())
        }
        return {
            "scored": self.scored,
            "changed": self.changed,
            "refused": refused,
            "scales": {scale: found.document() for scale, found in self.scales.items()},
            "alerts_not_raised": dict(sorted(self.alerts_new.items())),
            "alerts_no_longer": dict(sorted(self.alerts_gone.items())),
        }

    def kept(self) -> str:
        """All of it as text, to go on from."""
        scales = {
            scale: {
                "counts": [one.compared, one.changed, one.differing, one.held_back, one.released],
                "sizes": [one.total, one.largest, one.step, list(one.sizes.items())],
                "statuses": list(one.statuses.items()),
                "bands": list(one.bands.items()),
                "cutoffs": {name: list(flips.items()) for name, flips in one.cutoffs.items()},
            }
            for scale, one in self.scales.items()
        }
        alerts = [self.alerts_new, self.alerts_gone]
        return orjson.dumps([self.scored, self.changed, scales, alerts, self.refused]).decode()

    @classmethod
    def resumed(cls, text: str | None) -> Report:
        """What :meth:`kept` gave."""
        if text is None:
            return cls()
        scored, changed, scales, (new, gone), refused = orjson.loads(text)
        made = {}
        for scale, kept in scales.items():
            compared, changed_, differing, held_back, released = kept["counts"]
            total, largest, step, sizes = kept["sizes"]
            made[scale] = ScaleReport(
                compared=compared,
                changed=changed_,
                differing=differing,
                total=total,
                largest=largest,
                sizes=Counter(dict(sizes)),
                step=step,
                statuses=_pairs(kept["statuses"]),
                bands=_pairs(kept["bands"]),
                cutoffs={name: _pairs(flips) for name, flips in kept["cutoffs"].items()},
                held_back=held_back,
                released=released,
            )
        known = {reason: (number, named) for reason, (number, named) in refused.items()}
        return cls(scored, changed, made, Counter(new), Counter(gone), known)


def _pairs(kept: list[tuple[list[str | None], int]]) -> Counter[Pair]:
    return Counter({(before, after): number for (before, after), number in kept})


def _told(flips: Counter[Pair]) -> list[dict[str, Any]]:
    ordered = sorted(flips.items(), key=lambda flip: (-flip[1], str(flip[0])))
    return [{"from": before, "to": after, "responses": number} for (before, after), number in ordered]


def _flips(
    old_names: tuple[str | None, ...], old: npt.NDArray[Any], new_names: tuple[str | None, ...], new: npt.NDArray[Any]
) -> Counter[Pair]:
    """How many are something else than they were. ``old`` and ``new`` are places among the names, -1 the last."""
    pairs, numbers = np.unique(np.stack((old, new)), axis=1, return_counts=True)
    named = [(old_names[before], new_names[after]) for before, after in pairs.T.tolist()]
    flips: Counter[Pair] = Counter()
    for pair, number in zip(named, numbers.tolist(), strict=True):
        if pair[0] != pair[1]:
            flips[pair] += number
    return flips


def _read(column: Column, plan: ScalePlan | None, read: Any) -> npt.NDArray[Any]:
    """What each value is read as by a definition, worked out once for each different value; -1 where it is not read."""
    found = np.full(column.values.size, -1)
    readable = ~np.isnan(column.values) & column.valid
    if plan is None or not readable.any():
        return found
    values, places = np.unique(column.values[readable], return_inverse=True)
    found[readable] = np.array([read(round(value * plan.denominator)) for value in values.tolist()])[places]
    return found


def _bands(plan: ScalePlan | None, column: Column) -> tuple[tuple[str | None, ...], npt.NDArray[Any]]:
    if plan is None:
        return (None,), np.full(column.values.size, -1)
    labels = list(dict.fromkeys(band.label for band in plan.bands))

    def read(points: int) -> int:
        label = plan.band(points)
        return -1 if label is None else labels.index(label)

    return (*labels, None), _read(column, plan, read)


def _cutoffs(plan: ScalePlan | None) -> dict[str, None]:
    return {} if plan is None else {crossed.id: None for _, crossed, _ in plan.cutoffs}


def _crossed(plan: ScalePlan | None, cutoff: str, column: Column) -> tuple[tuple[str | None, ...], npt.NDArray[Any]]:
    names = ("not-crossed", "crossed", None)
    test = None if plan is None else next((test for test, crossed, _ in plan.cutoffs if crossed.id == cutoff), None)
    if plan is None or test is None:
        return names, np.full(column.values.size, -1)
    return names, _read(column, plan, lambda points: int(test.accepts(points)))
