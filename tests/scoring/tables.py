"""Tables for the tests of disclosure control, built from counts or from invented persons."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from scoring.disclosure import Cell, Dimension, Table
from scoring.disclosure_table import Key

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden_statistics" / "disclosure.json").read_text()
)["tables"]


def key_of(place: Sequence[int | None]) -> Key:
    """The key of a cell by its numbers: levels are called 0, 1, ..."""
    return tuple(None if level is None else str(level) for level in place)


def dimensions_of(shape: Sequence[int]) -> tuple[Dimension, ...]:
    return tuple(Dimension("xyz"[axis], tuple(map(str, range(size)))) for axis, size in enumerate(shape))


def table_of(people: Any, scores: Any = None) -> Table:
    """A table in which nobody is in two cells, with its margins added."""
    counts = np.array(people)
    more = counts if scores is None else np.array(scores)
    cells = {}
    for place in itertools.product(*((None, *range(size)) for size in counts.shape)):
        part = tuple(slice(None) if level is None else level for level in place)
        cells[key_of(place)] = Cell(int(counts[part].sum()), int(more[part].sum()))
    return Table(dimensions_of(counts.shape), cells)


def table_of_persons(shape: Sequence[int], persons: Sequence[Sequence[Sequence[int]]]) -> Table:
    """A table of persons, each a list of the cells that a score of theirs falls in."""
    people: dict[Key, int] = {}
    scores: dict[Key, int] = {}
    for person in persons:
        seen: set[Key] = set()
        for place in person:
            for margin in itertools.product(*((level, None) for level in place)):
                key = key_of(margin)
                scores[key] = scores.get(key, 0) + 1
                seen.add(key)
        for key in seen:
            people[key] = people.get(key, 0) + 1
    return Table(dimensions_of(shape), {key: Cell(people[key], scores[key]) for key in scores})


def table_of_case(case: dict[str, Any]) -> Table:
    """A golden table; one with row totals only is a table of one dimension."""
    counts = np.array(case["table"])
    return table_of(counts[0] if case["published_margins"] == ["rows"] else counts)


def keys_of_case(case: dict[str, Any], places: Sequence[Sequence[int]]) -> list[Key]:
    """Keys of golden places, in their order."""
    return [key_of(place[1:] if case["published_margins"] == ["rows"] else place) for place in places]


@st.composite
def tables(draw: st.DrawFn, *, several: bool = True) -> Table:
    """Small tables of one to three dimensions; people may have several scores and be in several cells."""
    shape = draw(st.sampled_from([(3,), (5,), (2, 2), (2, 3), (3, 3), (2, 2, 2)]))
    counts = st.integers(0, 30) | st.integers(0, 4)
    size = int(np.prod(shape))
    people = np.array(draw(st.lists(counts, min_size=size, max_size=size))).reshape(shape)
    if not several or draw(st.booleans()):
        more = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)) if several else [0] * size
        return table_of(people, people * (1 + np.array(more).reshape(shape)))
    places = [place for place in np.ndindex(*shape) for _ in range(int(people[place]))]
    persons: list[list[Any]] = []
    while places:
        take = draw(st.integers(1, 3)) if len(persons) < 12 else 1
        persons.append(places[::7][:take] or places[:1])
        for place in persons[-1]:
            places.remove(place)
    return table_of_persons(shape, persons)
