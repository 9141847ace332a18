"""Where every client of a caseload stands: which measures stand for each, and what became of the client by them.

Everything is in arrays, as an order of all clients needs the standing of all. What is shown of the clients of a page is
worked out by progress itself; a test holds the two to each other.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from api.caseload.reading import Care, Group, Reading
from api.catalogue.library import Library, Shelf
from api.progress.expecting import reference_for
from api.progress.schemas import ChartQuery
from api.progress.service import choose_one, series
from api.references.active import References
from instruments import Instrument
from scoring.caseload import Bools, Integers, category_ranks, off_track, rank_of
from scoring.cutoffs import Floats
from scoring.growth.stratum import severity
from scoring.progress_figures import figures
from scoring.reliable import Unavailable
from scoring.worsening import alike

_WEEK: Final = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instrument, the scale that stands for it, and what it measures."""

    instrument: str
    scale: str
    concerns: tuple[str, ...]


def candidate(instrument: Instrument) -> Candidate:
    """The candidate that an instrument is."""
    return Candidate(instrument.code, instrument.overall_scale, tuple(instrument.concerns))


@dataclass(slots=True)
class Pairs:
    """Pairs of client and instrument, by places: what became of the client by each."""

    clients: Integers
    candidates: Integers
    ranks: Integers
    off: Bools
    last_at: Floats
    """Seconds of the epoch; of no usable score minus infinity."""


@dataclass(frozen=True, slots=True)
class Judge:
    """What groups of pairs are judged by."""

    reading: Reading
    library: Library
    references: References
    shelf: Shelf
    clients: Sequence[uuid.UUID]
    care: Sequence[Care]
    candidates: Sequence[Candidate]

    async def pairs(self, groups: Sequence[Group]) -> Pairs:
        """The standing of each pair of some groups."""
        parts = [await self._of(group) for group in groups]
        whole = np.zeros(0, np.int64)
        parts.append(Pairs(whole, whole, whole, np.zeros(0, np.bool_), np.zeros(0)))  # where there is no group
        return Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in Pairs.__slots__))

    async def _of(self, group: Group) -> Pairs:
        places, number = np.array(group.places, np.int64), len(group.places)
        ranks, off = np.zeros(number, np.int64), np.zeros(number, np.bool_)
        last_at = np.full(number, -np.inf)
        if group.version is not None:
            last_at = np.array(group.last_at, np.float64)
            ranks, off = await self._judged(group)
        return Pairs(places, np.full(number, group.instrument), ranks, off, last_at)

    async def _judged(self, group: Group) -> tuple[Integers, Bools]:
        one, version, variant = self.candidates[group.instrument], group.version, group.variant
        assert version is not None and variant is not None  # noqa: S101, PT018  - there is a usable score
        judging = self._judging(one, version, variant)
        if judging is None:
            return await self._by_progress(group)
        comparable = await self.library.comparable(self.reading.organisation_id, judging)
        variants = alike(judging, variant)
        first, first_at = np.array(group.first, np.float64), np.array(group.first_at, np.float64)
        single = np.full(len(first), bool(group.single))
        if group.first_version not in comparable or group.first_variant not in variants:
            clients = {place: self.clients[place] for place in group.places}
            found = await self.reading.first_among(clients, one.instrument, one.scale, comparable, variants)
            single, first, first_at = (
                np.array([found[place][member] for place in group.places]) for member in range(3)
            )
        last = np.where(single, np.nan, np.array(group.last, np.float64))
        weeks = (np.array(group.last_at, np.float64) - first_at) / _WEEK
        known = figures(judging, one.scale, variant)
        ranks = category_ranks(known, first, last)
        if not self.references.of(judging.code, judging.version, variant, one.scale):
            return ranks, np.zeros(len(first), np.bool_)
        by_stratum = defaultdict(list)
        for number, (place, value) in enumerate(zip(group.places, first.tolist(), strict=True)):
            by_stratum[self.care[place], severity(judging, variant, one.scale, value)].append(number)
        off = np.zeros(len(first), np.bool_)
        for (care, label), where in by_stratum.items():
            reference = reference_for(self.references, judging, variant, one.scale, care, label)
            if not isinstance(reference, Unavailable):
                off[where] = off_track(known, reference, first[where], last[where], weeks[where], ranks[where])
        return ranks, off

    def _judging(self, one: Candidate, version: int, variant: str) -> Instrument | None:
        """The definition that progress judges by, where that is the one that the last score was made by."""
        if version not in self.shelf.versions.get(one.instrument, ()):
            return None
        instrument = self.shelf.get(one.instrument, version)
        fits = variant in instrument.variant_ids and any(scale.id == one.scale for scale in instrument.scales)
        return instrument if fits else None

    async def _by_progress(self, group: Group) -> tuple[Integers, Bools]:
        """The same one by one, for scores of a version or variant that this release does not know."""
        one = self.candidates[group.instrument]
        asked = [(self.clients[place], one.instrument, one.scale) for place in group.places]
        found = await self.reading.series(asked)
        newest, choice = choose_one(self.shelf, ChartQuery(instrument=one.instrument, scale=one.scale))
        ranks = np.zeros(len(asked), np.int64)
        for place, pair in enumerate(asked):
            (progress,) = series(self.shelf, newest, choice, {one.scale: found[pair]})
            if not isinstance(progress.from_baseline, Unavailable):
                ranks[place] = rank_of(progress.from_baseline.category)
        return ranks, np.zeros(len(asked), np.bool_)


def standing_for(pairs: Pairs, candidates: Sequence[Candidate], concerns: Sequence[str]) -> Bools:
    """Which pairs stand for their client: for each of the client's concerns the measure of it that was answered last.

    Where no measure is of one of the client's concerns, or the client has none, the measure that was answered last. Of
    several that were answered last at the same moment, the first by code.
    """
    chosen = np.ones(len(pairs.clients), np.bool_)
    order = np.lexsort((pairs.candidates, -pairs.last_at, pairs.clients))
    for of_client in _several(pairs.clients[order]):
        places = order[of_client].tolist()  # the newest first
        chosen[places] = False
        wanted = concerns[pairs.clients[places[0]]].split(",")
        for concern in wanted:
            fit = (place for place in places if concern in candidates[pairs.candidates[place]].concerns)
            if (first := next(fit, None)) is not None:
                chosen[first] = True
        if not chosen[places].any():
            chosen[places[0]] = True
    return chosen


def _several(clients: Integers) -> Iterator[slice]:
    """Where a client has more than one in a row."""
    starts = np.flatnonzero(np.diff(clients, prepend=-1))
    ends = np.append(starts, len(clients))[1:]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start > 1:
            yield slice(start, end)
