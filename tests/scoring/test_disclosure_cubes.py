"""Suppression by cubes: safe against the attacker of the exact method, who shares no code with it."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from scoring import disclosure_cubes
from scoring.disclosure import Cell, Dimension, ProtectedTable, Table, protect
from scoring.disclosure_attack import attacker_intervals
from scoring.disclosure_cubes import protect_by_cubes
from scoring.disclosure_table import SUPPRESSED, Key
from tests.scoring.laws import costly
from tests.scoring.tables import GOLDEN, table_of, table_of_case, table_of_persons, tables


def few(examples: int) -> settings:
    """Fewer examples than usual, since each solves integer programmes."""
    return settings(max_examples=min(examples, settings.default.max_examples), deadline=None)


def alone(table: Table, threshold: int = 11, **more: Any) -> ProtectedTable:
    return protect_by_cubes({"": table}, threshold, **more)[""]


def could_hold(table: Table, found: ProtectedTable, key: Key) -> bool:
    """Whether some table that agrees with every published count has the threshold of people in a cell."""
    keys = table.lattice.keys
    rows, low, high = [], [], []
    for parent, children in table.lattice.lines:
        row = np.zeros(len(keys))
        row[[parent, *children]] = [-1, *[1] * len(children)]
        twice = float(table.people[list(children)].sum() - table.people[parent])
        rows.append(row)
        low.append(twice)
        high.append(twice)
        for child in children if twice else ():
            row = np.zeros(len(keys))
            row[[parent, child]] = [1, -1]
            rows.append(row)
            low.append(0)
            high.append(np.inf)
    hidden = np.array([key in found.hidden for key in keys])
    least = np.where(hidden, 0, table.people)
    least[keys.index(key)] = found.threshold
    most = np.where(hidden, table.people + 2 * found.threshold, table.people)
    answer = optimize.milp(
        np.zeros(len(keys)),
        integrality=np.ones(len(keys)),
        bounds=optimize.Bounds(least, most),
        constraints=optimize.LinearConstraint(np.array(rows), low, high),
    )
    return bool(answer.success)


def assert_safe(table: Table, found: ProtectedTable) -> None:
    """Of no small cell can anybody say that it is below the threshold, and no sum of it follows from others."""
    for interval in attacker_intervals(table, found.hidden, found.small).values():
        assert interval.people.high is None or interval.people.high >= found.threshold
    keys = table.lattice.keys
    unknown = [place for place, key in enumerate(keys) if key in found.hidden]
    system = np.zeros((len(table.lattice.lines), len(keys)))
    for row, (parent, children) in zip(system, table.lattice.lines, strict=True):
        row[[parent, *children]] = [-1, *[1] * len(children)]
    system = system[:, unknown]
    rank = np.linalg.matrix_rank(system)
    for place, cell in enumerate(unknown):
        if keys[cell] in found.small:
            assert np.linalg.matrix_rank(np.vstack([system, np.eye(len(unknown))[place]])) == rank + 1


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["id"])
def test_golden_tables_are_safe_and_not_much_more_is_hidden_than_must_be(case: dict[str, Any]) -> None:
    table = table_of_case(case)
    empty = [key for key, cell in table.cells.items() if not cell.n_people]
    hide = [] if case["zeros_may_be_published"] else empty
    found = alone(table, case["k"], sensitive={"": hide})
    assert found.small >= set(hide)
    assert_safe(table, found)
    least = protect(table, case["k"], zeros="publish" if case["zeros_may_be_published"] else "suppress")
    assert found.small == least.small
    assert len(found.hidden) <= 2 * len(least.hidden) + 4


@costly(8)
@given(tables(), st.integers(2, 12))
def test_a_suppressed_table_cannot_be_solved_from_its_totals(table: Table, threshold: int) -> None:
    found = alone(table, threshold)
    people = dict(zip(table.lattice.keys, table.people.tolist(), strict=True))
    assert found.small == {key for key, n in people.items() if 0 < n < threshold}
    assert not found.small & found.complementary
    assert_safe(table, found)


@few(10)
@given(st.lists(tables(several=False), min_size=2, max_size=3), st.integers(2, 12))
def test_tables_of_the_same_people_are_hidden_alike_and_each_is_safe(several: list[Table], threshold: int) -> None:
    same = {str(number): table for number, table in enumerate(several) if table.dimensions == several[0].dimensions}
    found = protect_by_cubes(same, threshold)
    assert len({table.hidden for table in found.values()}) == 1
    for name, table in same.items():
        assert_safe(table, found[name])


def four_dimensions(seed: int, people: int) -> Table:
    generator = np.random.default_rng(seed)
    cells = list(np.ndindex(3, 3, 2, 3))
    weights = generator.dirichlet(np.full(len(cells), 0.4))
    draws = generator.choice(len(cells), (people, 2), p=weights)
    counts: dict[Any, int] = {}
    scores: dict[Any, int] = {}
    for person in draws:
        places = {tuple(map(str, cells[at])) for at in person}
        margins = [list(itertools.product(*((level, None) for level in place))) for place in places]
        for margin in itertools.chain.from_iterable(margins):
            scores[margin] = scores.get(margin, 0) + 1
        for margin in set(itertools.chain.from_iterable(margins)):
            counts[margin] = counts.get(margin, 0) + 1
    dimensions = tuple(
        Dimension(name, tuple(map(str, range(size)))) for name, size in zip("wxyz", (3, 3, 2, 3), strict=True)
    )
    return Table(dimensions, {key: Cell(counts[key], scores[key]) for key in scores})


@pytest.mark.parametrize(("seed", "people"), [(1, 60), (2, 300)])
def test_four_dimensions_with_overlapping_people(seed: int, people: int) -> None:
    table = four_dimensions(seed, people)
    found = alone(table)
    assert found.small
    assert all(could_hold(table, found, key) for key in found.small)
    shown = min((key for key in table.cells if key not in found.hidden), key=str)
    assert not could_hold(table, dataclasses.replace(found, threshold=table.cells[shown].n_people + 1), shown)


def test_totals_are_published_where_cells_can_do() -> None:
    table = table_of(np.random.default_rng(3).negative_binomial(1, 1 / 16, (4, 4, 3)))
    found = alone(table)
    least = protect(table, 11)
    assert found.small == least.small
    assert not any(key.count(None) > 1 for key in found.hidden)
    assert len(found.hidden) <= 1.5 * len(least.hidden)
    assert_safe(table, found)


def test_nobody_who_has_several_scores_leaves_without_them() -> None:
    # Two people with 40 scores each cannot have been elsewhere: they stay, so the second cell can give up nothing.
    table = table_of([3, 12, 40], [3, 480, 40])
    found = alone(table)
    assert found.small == {("0",)}
    assert_safe(table, found)


def test_no_cell_outgrows_its_margin() -> None:
    row = [[(0, 0)]] * 3 + [[(0, 1)]] * 30 + [[(1, 0), (1, 1)]] * 14
    table = table_of_persons((2, 2), row)
    assert_safe(table, alone(table))


@pytest.mark.parametrize(("people", "hidden"), [(10, True), (11, False), (12, False), (0, False)])
def test_the_threshold_is_the_fewest_people_shown(people: int, hidden: bool) -> None:
    found = alone(table_of([people, 50, 60]))
    assert (("0",) in found.small) == hidden
    assert len(found.hidden) == (2 if hidden else 0)
    assert found.cells[("0",)].n_people == (None if hidden else people)
    assert found.cells[("0",)].reason == (SUPPRESSED if hidden else None)


def test_a_sensitive_cell_is_hidden_like_a_small_one() -> None:
    table = table_of([[0, 20, 30], [40, 50, 60]])
    assert not alone(table).hidden
    found = alone(table, sensitive={"": [("0", "0")]})
    assert found.small == {("0", "0")}
    assert len(found.complementary) == 3
    assert_safe(table, found)
    assert ("1", "2") in alone(table, sensitive={"": [("1", "2")]}).small


def test_the_same_table_is_always_protected_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    table = four_dimensions(2, 300)
    first = alone(table)
    assert alone(table).hidden == first.hidden
    monkeypatch.setattr(disclosure_cubes, "STEPS", 0)
    coarse = alone(table)
    assert sum(key.count(None) for key in coarse.hidden) > sum(key.count(None) for key in first.hidden)
    assert all(could_hold(table, coarse, key) for key in itertools.islice(sorted(coarse.small, key=str), 10))


def test_what_does_not_fit_together_is_refused() -> None:
    table = table_of([1, 2])
    with pytest.raises(ValueError, match="same dimensions and levels"):
        protect_by_cubes({}, 11)
    with pytest.raises(ValueError, match="same dimensions and levels"):
        protect_by_cubes({"a": table, "b": table_of([1, 2, 3])}, 11)
    with pytest.raises(ValueError, match="threshold must be a whole number >= 2"):
        protect_by_cubes({"a": table}, 1)
    with pytest.raises(ValueError, match=r"not a cell of table 'a': \('7',\)"):
        protect_by_cubes({"a": table}, 11, sensitive={"a": [("7",)]})
