"""T scores of goals over time: the formula by hand, by the shipped definition, and laws that it keeps."""

from __future__ import annotations

import math
import uuid
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import instruments
from api.goals.attainment import Rating, Scaled, formula, t_scores, timeline
from scoring import score

WEIGHTS = st.integers(0, 10)
LEVELS = st.integers(-2, 2)
GOALS = st.lists(st.tuples(WEIGHTS, LEVELS, LEVELS), min_size=1, max_size=10)
FIRST = date(2026, 1, 1)


def by_hand(goals: list[tuple[int, int, int]]) -> tuple[float, float]:
    """T at the start and reached, straight from the erratum's formula."""
    weights = [w for w, _, _ in goals]
    root = math.sqrt(0.7 * sum(w * w for w in weights) + 0.3 * sum(weights) ** 2)
    start, reached = (50 + 10 * sum(w * x for w, x in part) / root
                      for part in ([(w, a) for w, a, _ in goals], [(w, b) for w, _, b in goals]))  # fmt: skip
    return start, reached


@given(GOALS)
def test_by_hand(goals: list[tuple[int, int, int]]) -> None:
    found = t_scores(goals)
    if not any(w for w, _, _ in goals):
        assert found is None
        return
    assert found is not None
    assert (found.t_baseline, found.t) == pytest.approx(by_hand(goals), abs=1e-8)
    assert found.change == pytest.approx(found.t - found.t_baseline, abs=1e-9)


@given(GOALS)
def test_by_the_shipped_definition(goals: list[tuple[int, int, int]]) -> None:
    """The very numbers that the engine gives for the same goals in the definition's slots."""
    named = formula()
    instrument = instruments.load(named.instrument, named.version)
    answers: dict[str, int] = {}
    for place, (weight, start, reached) in enumerate(goals, 1):
        answers |= {f"g{place}.weight": weight, f"g{place}.baseline": start, f"g{place}.attained": reached}
    values = {name: one.value for name, one in score(instrument, answers).scores.items()}
    found = t_scores(goals)
    expected = (None,) * 3 if found is None else (found.t_baseline, found.t, found.change)
    assert (values["t_baseline"], values["t_attained"], values["t_change"]) == expected


@given(LEVELS, LEVELS, st.integers(1, 10), st.integers(1, 40))
def test_equal_goals(start: int, level: int, weight: int, n: int) -> None:
    """Equal goals: the common weight cancels out, and their number alone decides how far T is from 50."""
    found = t_scores([(weight, start, level)] * n)
    assert found is not None
    assert found == t_scores([(1, start, level)] * n)
    assert found.t == pytest.approx(50 + 10 * level * n / math.sqrt(0.7 * n + 0.3 * n * n), abs=1e-9)


@given(GOALS, st.permutations(range(10)))
def test_the_order_is_nothing(goals: list[tuple[int, int, int]], order: list[int]) -> None:
    assert t_scores([goals[place] for place in order if place < len(goals)]) == t_scores(goals)


@given(GOALS, st.data())
def test_a_higher_level_is_never_a_lower_t(goals: list[tuple[int, int, int]], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(goals) - 1))
    weight, start, level = goals[place]
    better = [*goals[:place], (weight, start, min(level + 1, 2)), *goals[place + 1 :]]
    before, after = t_scores(goals), t_scores(better)
    assert (before is None) == (after is None)
    assert before is None or after is None or after.t >= before.t


@given(GOALS)
def test_as_expected_is_fifty(goals: list[tuple[int, int, int]]) -> None:
    found = t_scores([(w, start, 0) for w, start, _ in goals])
    assert found is None or found.t == 50.0


def goal(*ratings: tuple[int, int], weight: int = 1, set_on: int = 0, dropped_on: int | None = None) -> Scaled:
    """A goal, its days counted from the first."""
    return Scaled(
        uuid.uuid4(),
        weight,
        -1,
        FIRST + timedelta(days=set_on),
        None if dropped_on is None else FIRST + timedelta(days=dropped_on),
        tuple(Rating(FIRST + timedelta(days=day), value) for day, value in ratings),
    )


def test_over_time() -> None:
    one, two = goal((7, 0), (21, 1)), goal((14, 0), (21, -1), dropped_on=28)
    late, light = goal((28, 2), set_on=15), goal((7, 2), weight=0)
    points = list(timeline([one, two, late, light]))
    assert [(point.day - FIRST).days for point in points] == [7, 14, 21, 28]
    assert [point.status for point in points] == ["prorated", "complete", "prorated", "complete"]
    assert [point.rated for point in points] == [(one.id,), (one.id, two.id), (one.id, two.id), (one.id, late.id)]
    assert [point.unrated for point in points] == [(two.id,), (), (late.id,), ()]
    assert [point.dropped for point in points] == [(), (), (), (two.id,)]
    assert all(point.unweighted == (light.id,) for point in points)
    assert [point.scores for point in points] == [
        t_scores([(1, -1, 0)]),
        t_scores([(1, -1, 0), (1, -1, 0)]),
        t_scores([(1, -1, 1), (1, -1, -1)]),
        t_scores([(1, -1, 1), (1, -1, 2)]),
    ]
    assert [point.from_first for point in points] == [
        t_scores([(1, 0, 0)]),
        t_scores([(1, 0, 0), (1, 0, 0)]),
        t_scores([(1, 0, 1), (1, 0, -1)]),
        t_scores([(1, 0, 1), (1, 2, 2)]),
    ]


def test_without_anything_to_count() -> None:
    assert list(timeline([])) == []
    assert list(timeline([goal()])) == []
    (point,) = timeline([goal((7, 2), weight=0)])
    assert (point.status, point.scores) == ("not_applicable", None)
    (point,) = timeline([goal(), goal(dropped_on=3)])
    assert (point.status, point.scores, len(point.unrated)) == ("insufficient", None, 1)


@given(st.lists(st.lists(st.tuples(st.integers(0, 30), LEVELS), max_size=4), max_size=5), st.integers(0, 30))
def test_every_goal_is_named_once_a_day(series: list[list[tuple[int, int]]], dropped: int) -> None:
    goals = [goal(*sorted(ratings, key=lambda one: one[0]), weight=place % 3) for place, ratings in enumerate(series)]
    goals.append(goal(dropped_on=dropped))
    for point in timeline(goals):
        named = [*point.rated, *point.unrated, *point.unweighted, *point.dropped]
        assert sorted(named) == sorted(one.id for one in goals)
        assert (point.scores is None) == (not point.rated)
