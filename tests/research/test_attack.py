"""The attacker: takes every answer to every question and tries to work out what is suppressed.

It knows the lattice, that counts add up, that nobody can be counted less than 0 times, and what the measures mean. It
sees no true count and shares no code with the protection.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from api.research.lattice import LATTICE
from api.research.population import Population, occurring
from api.research.protection import Protections, View
from api.research.repository import PersonYear
from instruments import load
from scoring.progress_figures import figures
from scoring.reliable import ReliableChange
from tests.research.conftest import Asks, Stores
from tests.research.populations import NAMES, THRESHOLD, Person, chosen, frame_of

Key = tuple[str | None, ...]
APART, CATEGORIES = "apart", ("improved", "no_reliable_change", "deteriorated")
FEW = settings(max_examples=min(12, settings.default.max_examples), deadline=None)


class Attacker:
    """Counts of scores by group and outcome, as far as the answers bound them."""

    def __init__(self, dimensions: Sequence[Sequence[str]]) -> None:
        self.cells = list(itertools.product(*dimensions, (APART, *CATEGORIES)))
        self.rows: list[Any] = []
        self.counts: list[int] = []
        self.suppressed: set[tuple[Key, str]] = set()

    def places(self, key: Key, outcomes: Sequence[str]) -> Any:
        """1 for each cell that a group of these outcomes is made of."""
        return np.array(
            [
                all(level in (None, own) for level, own in zip(key, cell, strict=False)) and cell[-1] in outcomes
                for cell in self.cells
            ],
            float,
        )

    def learn(self, key: Key, kind: str, count: int | None) -> None:
        """One published number, or that it was suppressed."""
        if count is None:
            self.suppressed.add((key, kind))
        else:
            self.rows.append(self.places(key, OUTCOMES[kind]))
            self.counts.append(count)

    def most(self, key: Key, kind: str) -> float:
        """The most scores that a group can have, in whole numbers."""
        places, known = self.places(key, OUTCOMES[kind]), [*self.counts, 0]
        answer = optimize.milp(
            -places,
            integrality=np.ones(len(self.cells)),
            constraints=optimize.LinearConstraint(np.array([*self.rows, places * 0]), known, known),
            bounds=optimize.Bounds(0, 10_000),
            options={"time_limit": 20},
        )
        assert answer.status == 0, answer.message
        return float(-answer.fun)


OUTCOMES: dict[str, tuple[str, ...]] = {
    "level": (APART, *CATEGORIES),
    "change": CATEGORIES,
    **{name: (name,) for name in CATEGORIES},
}


def assert_nothing_is_given_away(
    attacker: Attacker, truth: Callable[[Key, str], int], *, some: bool = True, at_most: int = 10_000
) -> None:
    small = [one for one in sorted(attacker.suppressed, key=str) if truth(*one) < THRESHOLD]
    assert small or not some
    for key, kind in small[:at_most]:
        assert attacker.most(key, kind) >= THRESHOLD, (key, kind)


def a_population(seed: int, number: int) -> list[Person]:
    draw = np.random.default_rng(seed)
    genders, born = ("woman", "man", "agender"), (1999, 1990, 1960)
    found = []
    for _ in range(number):
        start = int(draw.integers(2024, 2026))
        years = sorted(int(start + more) for more in draw.integers(0, 2, draw.integers(1, 4)))
        found.append(
            Person(
                [(year, float(draw.integers(0, 28))) for year in years],
                gender=str(draw.choice(genders, p=[0.6, 0.32, 0.08])),
                born=int(draw.choice(born, p=[0.4, 0.5, 0.1])),
            )
        )
    return found


def counting(persons: Sequence[Person]) -> Callable[[Key, str], int]:
    """True numbers of people, from a plain frame."""
    frame = frame_of(persons)
    reliable = phq()
    critical = reliable.threshold
    frame["kind"] = np.select(
        [~frame["changed"].astype(bool), frame["change"] < -critical, frame["change"] > critical],
        [APART, "improved", "deteriorated"],
        "no_reliable_change",
    )

    def truth(key: Key, kind: str) -> int:
        rows = chosen(frame, {name: level for name, level in zip(NAMES, key, strict=True) if level is not None})
        return int(rows[rows["kind"].isin(OUTCOMES[kind])]["person"].nunique())

    return truth


def phq() -> ReliableChange:
    found = figures(load("phq-9"), "total", "prorated").reliable_change
    assert isinstance(found, ReliableChange)
    return found


def keys_of(levels: dict[str, str]) -> Key:
    return tuple(levels.get(name) for name in NAMES)


@pytest.mark.parametrize(("seed", "number"), [(1, 150), (2, 600)])
async def test_all_answers_together_pin_down_no_small_group(stored: Stores, ask: Asks, seed: int, number: int) -> None:
    persons = a_population(seed, number)
    await stored(persons)
    answers = [
        await ask(*names, measure=measure)
        for size in range(4)
        for names in itertools.combinations(NAMES, size)
        for measure in ("level", "change", "reliable_change")
    ]
    years = ("2024", "2025", "2026")
    attacker = Attacker((years, ("under-30", "30-39", "60-and-over"), ("women", "men", "gender-diverse")))
    published: dict[tuple[Key, str], Any] = {}
    for answer in answers:
        for cell in answer["cells"]:
            key = keys_of(cell["levels"])
            kind = "level" if answer["measure"] == "level" else "change"
            assert published.setdefault((key, kind), cell["n_scores"]) == cell["n_scores"], "answers agree"
            attacker.learn(key, kind, cell["n_scores"])
            for name, rate in (cell["categories"] or {}).items():
                attacker.learn(key, name, rate["n"])
    assert len(attacker.rows) > 50
    assert_nothing_is_given_away(attacker, counting(persons), at_most=120)


def test_the_attacker_would_notice() -> None:
    attacker = Attacker((("2025",), ("30-39",), ("women", "men")))
    attacker.learn((None, None, None), "level", 40)
    attacker.learn((None, None, "women"), "level", 37)
    attacker.learn((None, None, "men"), "level", None)
    with pytest.raises(AssertionError):
        assert_nothing_is_given_away(attacker, lambda key, kind: 3)


def rows_of(persons: Sequence[Person]) -> list[PersonYear]:
    """What the query gives for these people."""
    found = []
    for number, person in enumerate(persons, start=1):
        usable = [(year, value) for year, value in person.scores if value is not None]
        for year, value in dict(usable).items():
            found.append(
                PersonYear(
                    number,
                    "total",
                    year,
                    None if person.born is None else year - person.born,
                    person.gender,
                    value,
                    usable[0][1],
                    year == usable[-1][0] and len(usable) > 1,
                )
            )
    return found


@st.composite
def crowds(draw: st.DrawFn) -> list[Person]:
    """A few kinds of people, each in some number near the threshold."""
    found: list[Person] = []
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(2024, 2025))
        years = sorted(start + more for more in draw(st.lists(st.integers(0, 1), min_size=1, max_size=3)))
        values = draw(st.lists(st.sampled_from([2.0, 14.0, 26.0]), min_size=len(years), max_size=len(years)))
        kind = Person(
            list(zip(years, values, strict=True)),
            gender=draw(st.sampled_from(["woman", "man", None])),
            born=draw(st.sampled_from([1999, 1990])),
        )
        found += [kind] * draw(st.integers(1, 30))
    return found


def views(persons: Sequence[Person]) -> Iterator[tuple[Key, View]]:
    rows = rows_of(persons)
    population = Population(rows, occurring(rows, LATTICE.dimensions(2026)), phq())
    view = View(population, Protections().of({"total": population}, THRESHOLD)["total"])
    for key in population.groups():
        yield key, view


@FEW
@given(crowds())
def test_no_crowd_gives_a_small_group_away(persons: list[Person]) -> None:
    every = list(views(persons))
    dimensions = [dimension.levels for dimension in every[0][1].population.dimensions[:3]]
    attacker, truth = Attacker(dimensions), counting(persons)
    for key, view in every:
        level, change = view.level(key), view.change(key)
        attacker.learn(key, "level", None if level is None else level.values.n)
        attacker.learn(key, "change", None if change is None else change.values.n)
        for group, kind in ((level, "level"), (change, "change")):
            if group is not None:
                assert group.n_people == truth(key, kind)
                assert group.n_people == 0 or group.n_people >= THRESHOLD
        for name, rate in (change.categories if change is not None else {}).items():
            kind = name.replace("-", "_")
            attacker.learn(key, kind, None if rate is None else rate.successes)
            if rate is not None:
                assert rate.successes == truth(key, kind)
                assert rate.successes != rate.n, "nothing that holds for each member of a group is told"
    assert_nothing_is_given_away(attacker, truth, some=False, at_most=40)
