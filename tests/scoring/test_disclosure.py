"""Suppression: least sets of the reference, safety proven by an attacker who shares no code, and safe failure."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from scoring import disclosure_attack
from scoring.disclosure import Cell, Dimension, ProtectedTable, Table, protect, protect_together
from scoring.disclosure_attack import attacker_intervals
from scoring.disclosure_table import SUPPRESSED, Key
from scoring.proportions import wilson
from tests.scoring.laws import costly
from tests.scoring.tables import GOLDEN, key_of, keys_of_case, table_of, table_of_case, table_of_persons, tables


def few(examples: int) -> settings:
    """Fewer examples than usual, since each solves integer programmes; or fewer still where the profile says so."""
    return settings(max_examples=min(examples, settings.default.max_examples), deadline=None)


def assert_safe(table: Table, found: ProtectedTable, threshold: int | None = None) -> None:
    """Nobody can say that a small cell is below the threshold, nor work out any hidden cell."""
    k = found.threshold if threshold is None else threshold
    for key, interval in attacker_intervals(table, found.hidden).items():
        people, scores = interval.people, interval.scores
        if key in found.small and table.cells.get(key, Cell(0, 0)).n_people < k:
            assert people.high is None or people.high >= k
            assert people.low < k
            assert scores.high is None or scores.low < scores.high
        else:
            assert (people.low, scores.low) != (people.high, scores.high)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["id"])
def test_suppression_is_as_small_as_the_least_by_exhaustive_search(case: dict[str, Any]) -> None:
    table = table_of_case(case)
    found = protect(table, case["k"], zeros="publish" if case["zeros_may_be_published"] else "suppress")
    assert sorted(found.small, key=str) == keys_of_case(case, case["primary"])
    assert len(found.complementary) == case["upper_reaches_k"]["extra"]
    assert sum(table.cells[key].n_people for key in found.complementary) == case["upper_reaches_k"]["weight"]
    assert not found.unproven
    assert_safe(table, found)


def test_the_search_cell_by_cell_is_safe_and_nearly_as_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disclosure_attack, "JOINT_LIMIT", 0)
    more = 0
    for case in GOLDEN:
        table = table_of_case(case)
        found = protect(table, case["k"], zeros="publish" if case["zeros_may_be_published"] else "suppress")
        assert not found.unproven
        assert_safe(table, found)
        more += len(found.complementary) - case["upper_reaches_k"]["extra"]
    assert more <= 1


def test_a_table_of_three_dimensions_keeps_most_of_its_cells() -> None:
    # 48 cells and their margins, 18 of them small: too many to search for the least at once.
    table = table_of(np.random.default_rng(3).negative_binomial(1, 1 / 16, (4, 4, 3)))
    found = protect(table, 11)
    assert len(found.small) == 18
    assert len(found.complementary) <= 20
    assert not any(None in key for key in found.hidden)
    assert_safe(table, found)


def test_a_score_is_left_by_nobody() -> None:
    # 3 + 8 is the threshold, but the 8 cannot all have been the other group's: somebody gave their 80 scores.
    table = table_of([3, 8, 40], [3, 80, 40])
    found = protect(table, 11)
    assert (found.small, found.complementary) == ({("0",), ("1",)}, {("2",)})
    assert_safe(table, found)


def test_no_cell_outgrows_its_margin() -> None:
    # All 14 persons of the second row are in both columns, so none of its cells can hold more than 14.
    row = [[(0, 0)]] * 3 + [[(0, 1)]] * 30 + [[(1, 0), (1, 1)]] * 14
    table = table_of_persons((2, 2), row)
    found = protect(table, 11)
    assert found.small == {("0", "0")}
    assert found.complementary == {("0", "1"), (None, "0"), (None, "1")}
    assert_safe(table, found)


@pytest.mark.parametrize("shape", [(2, 3), (2, 4), (3, 4), (2, 3, 3), (2, 2, 3)])
def test_ties_are_broken_alike_however_a_table_is_listed(shape: tuple[int, ...]) -> None:
    counts = np.full(shape, 20)
    counts[(0,) * len(shape)] = 3
    table = table_of(counts)
    turned = Table(
        tuple(Dimension(dimension.name, dimension.levels[::-1]) for dimension in table.dimensions[::-1]),
        {key[::-1]: cell for key, cell in table.cells.items()},
    )
    assert {key[::-1] for key in protect(turned, 11).hidden} == protect(table, 11).hidden


def listed(table: Table, axes: Sequence[int], levels: Sequence[Sequence[str]]) -> Table:
    """The same table with its dimensions in this order; ``levels`` are those of each dimension as it was."""
    return Table(
        tuple(Dimension(table.dimensions[axis].name, tuple(levels[axis])) for axis in axes),
        {tuple(key[axis] for axis in axes): cell for key, cell in reversed(table.cells.items())},
    )


@pytest.mark.parametrize("together", [False, pytest.param(True, marks=pytest.mark.long)])
def test_of_equally_good_choices_the_same_is_made_however_a_table_is_listed(together: bool) -> None:
    # To hide the cell of 12 with the total of 21, or that of 11 with the total of 22, is equally good: 33 people. With
    # the dimensions listed the other way about, the solver got its rows in another order and chose the other pair.
    table = table_of([[0, 12, 11], [0, 1, 9], [2, 9, 1]], [[0, 12, 11], [0, 3, 27], [2, 9, 1]])
    found = protect(table, 11)
    assert {("0", "1"), (None, "2")} < found.complementary or {("0", "2"), (None, "1")} < found.complementary
    assert_safe(table, found)
    for axes in itertools.permutations(range(2)):
        for levels in itertools.product(itertools.permutations("012"), repeat=2):
            if not together and ("0", "1", "2") not in levels:
                continue  # the gate turns the levels of one dimension at a time
            other = protect(listed(table, axes, levels), 11)
            assert not other.unproven
            assert other.hidden == {tuple(key[axis] for axis in axes) for key in found.hidden}


@given(tables(), st.data())
def test_a_solver_is_given_the_same_however_a_table_is_listed(table: Table, data: st.DataObject) -> None:
    axes = data.draw(st.permutations(range(len(table.dimensions))))
    other = listed(table, axes, [data.draw(st.permutations(dimension.levels)) for dimension in table.dimensions])
    assert other.lattice.keys == tuple(tuple(key[axis] for axis in axes) for key in table.lattice.keys)
    assert other.lattice.lines == table.lattice.lines
    assert other.lattice.margins_of == table.lattice.margins_of
    assert (other.people.tolist(), other.scores.tolist()) == (table.people.tolist(), table.scores.tolist())


@pytest.mark.parametrize(("people", "hidden"), [(9, True), (10, True), (11, False), (12, False)])
def test_the_threshold_is_the_fewest_people_shown(people: int, hidden: bool) -> None:
    found = protect(table_of([people, 50, 60]), 11)
    assert (("0",) in found.small) == hidden
    assert len(found.hidden) == (2 if hidden else 0)


def test_people_count_and_not_scores() -> None:
    table = table_of([5, 50, 60], [500, 50, 60])
    found = protect(table, 11)
    assert found.small == {("0",)}
    assert_safe(table, found)


def test_what_is_suppressed_gives_nothing_and_what_is_not_is_as_it_was() -> None:
    sizes = {("a",): 4, ("b",): 20, ("c",): 30, (None,): 54}
    cells: dict[Key, Cell] = {
        key: Cell(n, 2 * n, mean=1.5, sd=0.5, rates={"improved": wilson(2, n), "harmed": wilson(1, 2 * n)})
        for key, n in sizes.items()
    }
    found = protect(Table((Dimension("group", ("a", "b", "c")),), cells), 11)
    assert found.small == {("a",)}
    assert found.complementary == {("b",)}
    for key in found.hidden:
        cell = found.cells[key]
        assert dataclasses.astuple(dataclasses.replace(cell, rates=dict(cell.rates))) == (
            None,
            None,
            None,
            None,
            {"improved": None, "harmed": None},
            SUPPRESSED,
        )
    for key in cells.keys() - found.hidden:
        cell = found.cells[key]
        assert (cell.n_people, cell.n_scores, cell.mean, cell.sd) == (sizes[key], 2 * sizes[key], 1.5, 0.5)
        assert (dict(cell.rates), cell.reason) == (cells[key].rates, None)


def test_the_reason_does_not_tell_small_from_complementary() -> None:
    # Told that two of these are 1 to 10 and one is at least 11, anybody could solve 1 + 1 + 11 = 13.
    found = protect(table_of([1, 1, 11]), 11)
    assert found.hidden == {("0",), ("1",), ("2",)}
    assert {found.cells[key].reason for key in found.hidden} == {SUPPRESSED}
    assert "small" not in repr(found)
    assert "complementary" not in repr(found)


def test_zero_is_shown_unless_the_policy_hides_it() -> None:
    table = table_of([0, 20, 30, 40])
    shown = protect(table, 11)
    assert shown.hidden == frozenset()
    assert (shown.cells[("0",)].n_people, shown.cells[("0",)].reason) == (0, None)
    hidden = protect(table, 11, zeros="suppress")
    assert hidden.small == {("0",)}
    assert hidden.complementary == {("1",)}


def test_a_key_left_out_is_an_empty_cell() -> None:
    table = Table((Dimension("x", ("a", "b")),), {("a",): Cell(20, 20), (None,): Cell(20, 20)})
    assert protect(table, 11).cells[("b",)].n_people == 0


def test_a_small_table_is_hidden_with_its_total() -> None:
    table = table_of([[2, 3], [1, 4]])
    found = protect(table, 11)
    assert found.small == set(table.cells)
    assert not found.unproven


def test_a_margin_is_hidden_where_cells_alone_cannot_do() -> None:
    table = table_of([[3, 0], [0, 40]])
    found = protect(table, 11)
    assert ("0", "0") in found.small
    assert_safe(table, found)


def test_one_person_in_several_years_is_one_person() -> None:
    # 12 persons in both years, 4 more in the first: 16 people, 28 scores, and years of 16 and 12.
    both = [[(0, 0), (1, 0)]] * 12
    table = table_of_persons((2, 2), [*both, *[[(0, 1)]] * 4, *[[(0, 0)]] * 20, *[[(1, 1)]] * 30])
    assert table.cells[(None, "0")].n_people == 32
    found = protect(table, 11)
    assert found.small == {("0", "1")}
    assert_safe(table, found)


def test_overlaps_between_three_dimensions() -> None:
    generator = np.random.default_rng(7)
    cells = list(np.ndindex(3, 3, 2))
    weights = np.arange(1, 19) / 171
    persons = [[cells[at] for at in generator.choice(18, generator.integers(1, 4), p=weights)] for _ in range(150)]
    table = table_of_persons((3, 3, 2), persons)
    found = protect(table, 11)
    assert found.small
    assert not found.unproven
    assert_safe(table, found)


@pytest.mark.parametrize("bound", [{"seconds": 0.0}, {"most_cells": 15}])
def test_beyond_its_bounds_everything_is_suppressed(bound: dict[str, Any]) -> None:
    table = table_of([[12, 3, 20], [8, 15, 9], [30, 11, 7]])
    found = protect(table, 11, **bound)
    assert found.unproven
    assert found.hidden == set(table.lattice.keys)
    assert all(cell.n_people is None and cell.reason == SUPPRESSED for cell in found.cells.values())
    assert found.small == protect(table, 11).small


def test_at_its_bounds_it_is_solved() -> None:
    assert not protect(table_of([[12, 3, 20], [8, 15, 9], [30, 11, 7]]), 11, most_cells=16).unproven


def test_a_search_that_takes_too_long_ends_in_suppression(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = optimize.milp
    now = [0.0]
    monkeypatch.setattr(disclosure_attack.time, "monotonic", lambda: now[0])

    def slow(*arguments: Any, **options: Any) -> Any:
        assert options["options"]["time_limit"] == pytest.approx(20.0)
        now[0] += 20.0
        return solve(*arguments, **options)

    monkeypatch.setattr(optimize, "milp", slow)
    assert protect(table_of([[12, 3, 20], [8, 15, 9], [30, 11, 7]]), 11).unproven


class Answer:
    """What a solver returns that found nothing, or nonsense."""

    status, fun = 0, 0.0

    def __init__(self, x: Any) -> None:
        self.x = x


@pytest.mark.parametrize("nonsense", [None, 0.0, 1.0, 7.0])
@pytest.mark.parametrize("joint_limit", [0, 600])
def test_a_solver_that_fails_or_errs_gives_nothing_away(
    monkeypatch: pytest.MonkeyPatch, nonsense: float | None, joint_limit: int
) -> None:
    table = table_of([[12, 3, 20], [8, 15, 9], [30, 11, 7]])
    with monkeypatch.context() as patch:
        patch.setattr(disclosure_attack, "JOINT_LIMIT", joint_limit)
        patch.setattr(optimize, "milp", lambda c, **_: Answer(None if nonsense is None else np.full(len(c), nonsense)))
        found = protect(table, 5)
    # Without a solver a small cell is hidden with its margins, which needs no search.
    assert found.hidden == {("0", "1"), ("0", None), (None, "1"), (None, None)}
    assert_safe(table, found)


@pytest.mark.parametrize("threshold", [1, 0, -5, 2.5, True, "11", math.nan])
def test_a_threshold_must_be_a_whole_number_of_two_or_more(threshold: Any) -> None:
    with pytest.raises(ValueError, match="threshold must be a whole number >= 2"):
        protect(table_of([1, 2]), threshold)


def test_bounds_and_policies_are_checked() -> None:
    table = table_of([1, 2])
    for seconds in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="seconds must be >= 0 and finite"):
            protect(table, 11, seconds=seconds)
    with pytest.raises(ValueError, match="most_cells must be a whole number >= 0"):
        protect(table, 11, most_cells=-1)
    with pytest.raises(ValueError, match="zeros must be 'publish' or 'suppress', got 'hide'"):
        protect(table, 11, zeros="hide")  # type: ignore[arg-type] # that is the point


def test_tables_of_the_same_people_are_hidden_alike() -> None:
    first, second = table_of([[30, 20, 20], [20, 20, 4]]), table_of([[30, 20, 20], [9, 20, 12]])
    found = protect_together({"desire": first, "pain": second}, 11)
    assert found["desire"].hidden == found["pain"].hidden
    assert found["desire"].small == {("1", "2")}
    assert found["pain"].small == {("1", "0")}
    for name, table in (("desire", first), ("pain", second)):
        assert_safe(table, found[name])


@pytest.mark.parametrize("together", [{}, {"a": table_of([1, 2]), "b": table_of([1, 2, 3])}])
def test_tables_of_different_shapes_are_not_protected_together(together: dict[str, Table]) -> None:
    with pytest.raises(ValueError, match="same dimensions and levels"):
        protect_together(together, 11)


def test_a_question_is_answered_from_the_whole_lattice() -> None:
    table = table_of([[12, 3, 20], [8, 15, 9], [30, 11, 7]])
    found = protect(table, 5)
    assert list(found.group_by(["y"])) == [("0",), ("1",), ("2",)]
    assert found.group_by(["y"])[("1",)] is found.cells[(None, "1")]
    assert found.group_by(["y", "x"])[("1", "0")] is found.cells[("0", "1")]
    assert found.group_by([])[()] is found.cells[(None, None)]
    for names in (["z"], ["x", "x"]):
        with pytest.raises(ValueError, match="group by some of x, y, each once"):
            found.group_by(names)


@costly(10)
@given(tables(), st.integers(2, 12), st.sampled_from(["publish", "suppress"]))
def test_a_suppressed_table_cannot_be_solved_from_its_totals(table: Table, threshold: int, zeros: Any) -> None:
    found = protect(table, threshold, zeros=zeros)
    assert not found.unproven
    people = dict(zip(table.lattice.keys, table.people.tolist(), strict=True))
    assert found.small == {k for k, n in people.items() if n < threshold and (n > 0 or zeros == "suppress")}
    assert all(people[key] >= threshold or (people[key] == 0 and zeros == "publish") for key in found.complementary)
    assert_safe(table, found)


@few(30)
@given(tables(), st.integers(2, 12))
def test_no_hidden_sum_follows_from_the_published_ones(table: Table, threshold: int) -> None:
    """Sums behind means and rates obey the same additions as the counts, and may be any number."""
    found = protect(table, threshold)
    keys = table.lattice.keys
    unknown = [place for place, key in enumerate(keys) if key in found.hidden]
    rows = np.zeros((len(table.lattice.lines), len(keys)))
    for row, (parent, children) in zip(rows, table.lattice.lines, strict=True):
        row[[parent, *children]] = [-1, *[1] * len(children)]
    system = rows[:, unknown]
    rank = np.linalg.matrix_rank(system)
    for place, cell in enumerate(unknown):
        if keys[cell] in found.small:
            alone = np.vstack([system, np.eye(len(unknown))[place]])
            assert np.linalg.matrix_rank(alone) == rank + 1


@costly(8)
@given(tables(), st.integers(2, 8), st.integers(0, 8))
def test_a_higher_threshold_hides_what_a_lower_one_must(table: Table, low: int, more: int) -> None:
    lower, higher = protect(table, low), protect(table, low + more)
    assert lower.small <= higher.small
    # Which cells complement them is a choice; that the choice still protects the fewer small cells is the law.
    assert_safe(table, higher, low)
    if not any(None in key for key in higher.hidden):
        assert len(lower.hidden) <= len(higher.hidden)


@few(20)
@given(tables(), st.integers(2, 12), st.randoms(use_true_random=False))
def test_the_order_of_levels_and_dimensions_changes_nothing(table: Table, threshold: int, random: Any) -> None:
    axes, levels = list(range(len(table.dimensions))), [list(dimension.levels) for dimension in table.dimensions]
    for order in (axes, *levels):
        random.shuffle(order)
    other = listed(table, axes, levels)
    assert protect(other, threshold).hidden == {
        tuple(key[axis] for axis in axes) for key in protect(table, threshold).hidden
    }


@few(25)
@given(st.lists(st.integers(0, 14), min_size=4, max_size=4), st.integers(2, 6))
def test_no_smaller_set_of_cells_would_do(counts: list[int], threshold: int) -> None:
    """Exhaustive search over the inner cells, with the independent attacker as judge."""
    table = table_of(np.array(counts).reshape(2, 2))
    found = protect(table, threshold)
    if any(None in key for key in found.hidden):
        return
    inner = [key_of(place) for place in np.ndindex(2, 2)]
    others = [key for key in inner if key not in found.small]
    for size in range(len(found.complementary)):
        for extra in itertools.combinations(others, size):
            intervals = attacker_intervals(table, found.small | set(extra), found.small)
            assert any(i.people.high is not None and i.people.high < threshold for i in intervals.values())
