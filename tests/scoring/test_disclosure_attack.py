"""The attacker's intervals against the reference and against plain enumeration."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from scoring.disclosure import Cell, Dimension, Table
from scoring.disclosure_attack import Interval, Unproven, attacker_intervals
from scoring.disclosure_table import Key
from tests.scoring.tables import GOLDEN, key_of, keys_of_case, table_of, table_of_case, table_of_persons


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["id"])
def test_intervals_equal_the_reference(case: dict[str, Any]) -> None:
    table = table_of_case(case)
    for extra, expected in (
        ([], case["interval_primary_only"]),
        (case["not_exact"]["example"], case["not_exact"]["intervals"]),
        (case["upper_reaches_k"]["example"], case["upper_reaches_k"]["intervals"]),
    ):
        hidden = keys_of_case(case, case["primary"] + extra)
        found = attacker_intervals(table, hidden)
        assert [[found[key].people.low, found[key].people.high] for key in hidden] == expected
        assert all(interval.people == interval.scores for interval in found.values())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=4, max_size=6), st.data())
def test_intervals_equal_enumeration(counts: list[int], data: st.DataObject) -> None:
    shape = (2, len(counts) // 2)
    truth = np.array(counts[: 2 * shape[1]]).reshape(shape)
    inner = list(np.ndindex(*shape))
    hidden = data.draw(st.lists(st.sampled_from(inner), unique=True, min_size=1, max_size=4))
    possible: dict[Key, set[int]] = {key_of(place): set() for place in hidden}
    for guess in itertools.product(range(11), repeat=len(hidden)):
        other = truth.copy()
        for place, count in zip(hidden, guess, strict=True):
            other[place] = count
        if (other.sum(0) == truth.sum(0)).all() and (other.sum(1) == truth.sum(1)).all():
            for place, count in zip(hidden, guess, strict=True):
                possible[key_of(place)].add(count)
    found = attacker_intervals(table_of(truth), set(possible))
    assert {key: (i.people.low, i.people.high) for key, i in found.items()} == {
        key: (min(counts), max(counts)) for key, counts in possible.items()
    }


def test_scores_bound_people() -> None:
    # 9 hidden scores of 9 people in all: with one score at least each, nobody can be more than what is left.
    table = table_of([3, 2, 20], [7, 2, 20])
    found = attacker_intervals(table, [("0",), ("1",)])
    assert found[("0",)].people == Interval(0, 5)
    assert found[("0",)].scores == Interval(0, 9)
    assert found[("1",)].people == Interval(0, 5)


def test_people_who_overlap_are_bounded_by_their_margin() -> None:
    # 6 persons in both columns and 4 in the first only; the attacker knows that 6 are counted twice.
    table = table_of_persons((2,), [[(0,), (1,)]] * 6 + [[(0,)]] * 4)
    found = attacker_intervals(table, [("0",), ("1",)])
    assert (table.cells[(None,)].n_people, table.cells[(None,)].n_scores) == (10, 16)
    assert found[("0",)].people == Interval(6, 10)
    assert found[("1",)].people == Interval(6, 10)


def test_without_a_total_there_is_no_upper_end() -> None:
    found = attacker_intervals(table_of([3, 20]), [("0",), (None,)])
    assert found[("0",)].people == Interval(0, None)
    assert found[(None,)].people == Interval(20, None)
    assert found[(None,)].scores == Interval(20, None)


def test_only_what_is_asked_for_is_answered() -> None:
    table = table_of([[12, 3], [8, 15]])
    hidden = [key_of(place) for place in np.ndindex(2, 2)]
    assert set(attacker_intervals(table, hidden, [("0", "1")])) == {("0", "1")}
    assert attacker_intervals(table, [], []) == {}


@pytest.mark.parametrize(
    ("hidden", "of"), [([("9",)], None), ([("0",)], [("1",)]), ([("0",)], [("9",)]), ([("0", "0")], None)]
)
def test_unknown_cells_are_refused(hidden: Any, of: Any) -> None:
    with pytest.raises(ValueError, match="not hidden cells of this table"):
        attacker_intervals(table_of([3, 20]), hidden, of)


def test_out_of_time_is_said() -> None:
    with pytest.raises(Unproven):
        attacker_intervals(table_of([3, 20]), [("0",)], seconds=0)


@pytest.mark.parametrize(("status", "offset"), [(1, 0), (0, 1), (0, -1)])
def test_an_answer_that_does_not_stand_up_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, status: int, offset: int
) -> None:
    solve = optimize.milp

    def wrong(*arguments: Any, **options: Any) -> Any:
        answer = solve(*arguments, **options)
        answer.status = status
        answer.x = answer.x + offset
        return answer

    monkeypatch.setattr(optimize, "milp", wrong)
    with pytest.raises(Unproven):
        attacker_intervals(table_of([3, 5, 20]), [("0",), ("1",)])


X = Dimension("x", ("a", "b"))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Cell(3, 2), "at least one score a person"),
        (lambda: Cell(-1, 2), "no negative count"),
        (lambda: Cell(0, 2), "at least one score a person"),
        (lambda: Cell(1, 2**40 + 1), "no negative count"),
        (lambda: Dimension("x", ()), "needs levels, each once"),
        (lambda: Dimension("x", ("a", "a")), "needs levels, each once"),
        (lambda: Table((), {}), "one to four dimensions"),
        (lambda: Table((X, X), {}), "different names"),
        (lambda: Table(tuple(Dimension(n, ("a",)) for n in "pqrst"), {}), "one to four dimensions"),
        (lambda: Table((X,), {("c",): Cell(1, 1)}), r"not cells of this table: .*'c'"),
        (lambda: Table((X,), {("a", "b"): Cell(1, 1)}), "not cells of this table"),
        (lambda: Table((X,), {("a",): Cell(1, 2), (None,): Cell(1, 3)}), r"scores of \(None,\) are not the sum"),
        (lambda: Table((X,), {("a",): Cell(2, 2), ("b",): Cell(1, 1), (None,): Cell(1, 3)}), "people of"),
        (lambda: Table((X,), {("a",): Cell(1, 2), ("b",): Cell(1, 2), (None,): Cell(3, 4)}), "people of"),
    ],
)
def test_a_table_that_cannot_be_is_refused(build: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()


def test_a_table_does_not_change_with_what_it_was_made_of() -> None:
    cells: dict[Key, Cell] = {("a",): Cell(2, 2), (None,): Cell(2, 2)}
    table = Table((X,), cells)
    cells[("a",)] = Cell(9, 9)
    assert table.cells[("a",)] == Cell(2, 2)
    with pytest.raises(TypeError, match="does not support item assignment"):
        table.cells[("a",)] = Cell(9, 9)  # type: ignore[index] # that is the point


def test_a_rate_is_over_its_cell() -> None:
    from scoring.proportions import wilson

    assert Cell(4, 9, rates={"a": wilson(1, 4), "b": wilson(2, 9), "c": None}).n_people == 4
    with pytest.raises(ValueError, match="rate 'a' is not over the people or the scores"):
        Cell(4, 9, rates={"a": wilson(1, 5)})
