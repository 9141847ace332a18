"""Laws of matching, planning and status, over everything that could be; none of it needs a database."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.protocols.matching import Answered, Slot, match, status, takes
from api.protocols.planning import Assigned, Entry, Episode, Window, plan, shape

START = date(2026, 1, 12)
_FULL = settings().max_examples
FEW = settings(max_examples=_FULL if _FULL > 100 else 40)
"""Each law is quick to break; `make test-long` has the full number."""
ASSIGNMENTS = [uuid.UUID(int=number) for number in (11, 12)]
EPISODES = [uuid.UUID(int=number) for number in (1, 2)]
BEYOND = date(2031, 1, 1)


def day(number: int) -> date:
    return START + timedelta(days=number)


@st.composite
def slots(draw: st.DrawFn) -> Slot:
    due = draw(st.integers(0, 40))
    before, grace, close = draw(st.integers(0, 12)), draw(st.integers(0, 6)), draw(st.integers(0, 12))
    closes_on = day(due + max(grace, close))
    return Slot(
        id=draw(st.uuids()),
        episode_protocol_id=draw(st.sampled_from(ASSIGNMENTS)),
        episode_id=draw(st.sampled_from(EPISODES)),
        instrument="lamp-3",
        version=draw(st.sampled_from([None, 1, 2])),
        variant=draw(st.sampled_from([None, "a", "b"])),
        opens_on=day(due - before),
        due_on=day(due),
        overdue_on=day(due + grace + 1),
        closes_on=closes_on,
        last_on=max(day(due - before), closes_on - timedelta(days=draw(st.integers(0, 3)))),
        cancelled=draw(st.integers(0, 7)) == 0,
    )


@st.composite
def responses(draw: st.DrawFn) -> Answered:
    at = datetime.combine(day(draw(st.integers(-5, 60))), time(draw(st.integers(0, 23))), UTC)
    return Answered(
        id=draw(st.uuids()),
        episode_id=draw(st.sampled_from([None, *EPISODES])),
        instrument="lamp-3",
        version=draw(st.sampled_from([1, 2])),
        variant=draw(st.sampled_from(["a", "b"])),
        answered_at=at,
    )


SLOTS = st.lists(slots(), max_size=8, unique_by=lambda slot: slot.id)
RESPONSES = st.lists(responses(), max_size=10, unique_by=lambda response: response.id)


@FEW
@given(SLOTS, RESPONSES)
def test_one_response_a_slot_and_one_slot_a_response_of_each_assignment(
    some: list[Slot], given_: list[Answered]
) -> None:
    found = match(some, given_)
    known = {slot.id: slot for slot in some}
    fills = [(filled.response.id, known[slot].episode_protocol_id) for slot, filled in found.filled.items()]
    assert len(set(fills)) == len(fills)
    assert found.standings.keys() == {response.id for response in given_}
    for slot_id, filled in found.filled.items():
        slot = known[slot_id]
        assert not slot.cancelled
        assert takes(slot, filled.response, filled.response.day)
        assert (filled.timing == "late") == (filled.response.day >= slot.overdue_on)
        assert (filled.timing, slot_id) in found.standings[filled.response.id]


@FEW
@given(SLOTS, RESPONSES)
def test_one_assignment_is_nothing_to_another(some: list[Slot], given_: list[Answered]) -> None:
    together = match(some, given_)
    apart = [match([slot for slot in some if slot.episode_protocol_id == one], given_) for one in ASSIGNMENTS]
    assert together.filled == apart[0].filled | apart[1].filled
    for response in given_:
        assert set(together.standings[response.id]) == {held for part in apart for held in part.standings[response.id]}


@FEW
@given(SLOTS, RESPONSES, responses())
def test_a_further_response_empties_no_slot(some: list[Slot], given_: list[Answered], further: Answered) -> None:
    assume(further.id not in {response.id for response in given_})
    before, after = match(some, given_).filled, match(some, [*given_, further]).filled
    assert before.keys() <= after.keys()
    of = {slot.id: slot.episode_protocol_id for slot in some}
    fresh = [of[slot_id] for slot_id in after.keys() - before.keys()]
    assert len(set(fresh)) == len(fresh), "one of each assignment at most"


@FEW
@given(SLOTS, RESPONSES, responses(), st.integers(-5, 61))
def test_what_is_filled_by_a_day_stays_so(
    some: list[Slot], given_: list[Answered], further: Answered, number: int
) -> None:
    """What a mark on a slot says: on no later day, and after no further response of any day, is it empty."""
    by_then = match(some, [response for response in given_ if response.day <= day(number)]).filled
    assert by_then.keys() <= match(some, given_).filled.keys()
    assert by_then.keys() <= match(some, [*given_, further]).filled.keys()


@FEW
@given(SLOTS, RESPONSES, st.randoms(use_true_random=False))
def test_the_order_in_which_they_are_given_does_not_matter(some: list[Slot], given_: list[Answered], chance) -> None:  # type: ignore[no-untyped-def]  # Random, of hypothesis
    expected = match(some, given_)
    chance.shuffle(some)
    chance.shuffle(given_)
    assert match(some, given_) == expected


@FEW
@given(SLOTS, RESPONSES)
def test_nothing_is_left_empty_that_could_be_filled(some: list[Slot], given_: list[Answered]) -> None:
    """A duplicate fits only slots that are filled, an outside one fits none; no slot is empty for want of a look."""
    found = match(some, given_)
    live = [slot for slot in some if not slot.cancelled]
    for response in given_:
        for assignment in ASSIGNMENTS:
            fitting = {
                slot.id
                for slot in live
                if slot.episode_protocol_id == assignment and takes(slot, response, response.day)
            }
            held = [one for one in found.standings[response.id] if one.slot_id in fitting]
            assert len(held) == bool(fitting), "one standing in each assignment that it has a window of"
            if held and held[0].timing == "duplicate":
                assert fitting <= found.filled.keys()
        assert all(one.slot_id in {slot.id for slot in live} for one in found.standings[response.id])


@FEW
@given(SLOTS, RESPONSES)
def test_where_windows_do_not_touch_the_first_fills(some: list[Slot], given_: list[Answered]) -> None:
    """What the database relies on where a slot has no other of its assignment about it."""
    ordered = sorted((slot for slot in some if not slot.cancelled), key=lambda slot: slot.opens_on)
    for assignment in ASSIGNMENTS:
        of_it = [slot for slot in ordered if slot.episode_protocol_id == assignment]
        assume(all(one.last_on < other.opens_on for one, other in pairwise(of_it)))
    found = match(some, given_)
    for slot in ordered:
        fitting = sorted(
            (response for response in given_ if takes(slot, response, response.day)),
            key=lambda response: (response.answered_at, response.id),
        )
        filled = found.filled.get(slot.id)
        assert (filled.response if filled else None) == (fitting[0] if fitting else None)


@FEW
@given(slots(), st.integers(-20, 80))
def test_a_status_for_every_day(slot: Slot, number: int) -> None:
    today = day(number)
    empty = status(slot, filled=False, day=today)
    if slot.cancelled:
        assert empty == status(slot, filled=True, day=today) == "cancelled"
        return
    assert status(slot, filled=True, day=today) == "done"
    assert (empty == "upcoming") == (today < slot.opens_on)
    assert (empty in ("missed", "expired")) == (today > slot.last_on)
    assert (empty == "expired") <= (slot.last_on < slot.closes_on)
    assert (empty == "overdue") == (slot.overdue_on <= today <= slot.last_on)


def test_the_day_of_a_response_is_that_of_utc() -> None:
    late = datetime.fromisoformat("2026-01-12T23:30:00-05:00")
    assert Answered(EPISODES[0], None, "lamp-3", 1, "a", late).day == date(2026, 1, 13)


def test_in_time_goes_before_due_first() -> None:
    """Somebody who missed a week and answers in the next one, while both are open, is in time for that."""
    window = [(0, 7), (7, 14)]
    made = [
        Slot(uuid.UUID(int=n), ASSIGNMENTS[0], EPISODES[0], "lamp-3", None, None, day(due - 2), day(due), day(due + 2),
             day(due + 9), day(due + 9))
        for n, (due, _) in enumerate(window)
    ]  # fmt: skip
    answer = Answered(uuid.UUID(int=9), None, "lamp-3", 1, "a", datetime.combine(day(7), time(9), UTC))
    assert match(made, [answer]).standings[answer.id] == [("on-time", made[1].id)]


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from(["baseline", "weeks", "sessions", "end", "follow-up"]))
    overdue = draw(st.integers(0, 5))
    limited = kind in ("weeks", "sessions")
    return Entry(
        id=draw(st.sampled_from("abcdef")),
        instrument="lamp-3",
        version=None,
        variant=None,
        kind=kind,  # type: ignore[arg-type]  # one of the kinds
        window=Window(draw(st.integers(0, 6)), overdue, overdue + draw(st.integers(0, 8))),
        every=draw(st.integers(1, 6)) if limited else None,
        weeks=draw(st.integers(1, 30)) if kind == "follow-up" else None,
        most=draw(st.none() | st.integers(1, 5)) if limited else None,
        until_week=draw(st.none() | st.integers(1, 30)) if limited else None,
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Entry], Episode, Assigned]:
    some = draw(st.lists(entries(), min_size=1, max_size=4, unique_by=lambda entry: entry.id))
    ended = draw(st.none() | st.integers(0, 200))
    held = sorted(draw(st.lists(st.integers(0, 200 if ended is None else ended), max_size=12)))
    episode = Episode(START, None if ended is None else day(ended), [day(number) for number in held])
    end = draw(st.none() | st.integers(-5, 220))
    moved = end is not None and draw(st.booleans())
    return (
        some,
        episode,
        Assigned(day(draw(st.integers(-400, 100))), draw(st.booleans()), None if end is None else day(end), moved),
    )


@FEW
@given(worlds(), st.integers(0, 300))
def test_what_is_planned(world: tuple[list[Entry], Episode, Assigned], ahead: int) -> None:
    some, episode, assigned = world
    planned, until = plan(some, episode, assigned, day(ahead))
    by_id = {entry.id: entry for entry in some}
    assert len({(slot.entry, slot.occurrence) for slot in planned}) == len(planned), "each once"
    for slot in planned:
        entry = by_id[slot.entry]
        assert slot.opens_on <= slot.due_on < slot.overdue_on
        assert slot.opens_on <= slot.last_on <= slot.closes_on
        assert (slot.closes_on - slot.due_on).days == entry.window.closes_after
        assert slot.shape == shape(entry.window)
        assert slot.shape // 1_000 == (slot.overdue_on - slot.opens_on).days
        assert slot.shape % 1_000 - 1 == (slot.closes_on - slot.overdue_on).days
        assert entry.most is None or slot.occurrence <= entry.most
        if episode.ended_on is None:
            assert entry.kind not in ("end", "follow-up")
        elif entry.kind in ("baseline", "weeks"):
            assert slot.last_on <= max(episode.ended_on, slot.opens_on)
        if assigned.ended_on is not None:
            assert slot.opens_on <= assigned.ended_on
    if until is not None:
        assert until == day(ahead)
        assert episode.ended_on is None or any(entry.window.opens_before for entry in some) or episode.ended_on > until


@FEW
@given(worlds(), st.integers(0, 150), st.integers(0, 150))
def test_planning_further_changes_nothing_that_was_planned(
    world: tuple[list[Entry], Episode, Assigned], ahead: int, further: int
) -> None:
    before, until = plan(*world, day(ahead))
    after, _ = plan(*world, day(ahead + further))
    assert {(slot.entry, slot.occurrence): slot for slot in before}.items() <= {
        (slot.entry, slot.occurrence): slot for slot in after
    }.items()
    if until is None:
        assert len(after) == len(before), "nothing was to come"
    else:
        assert [slot for slot in after if slot.opens_on <= until and slot not in before] == []


@FEW
@given(worlds(), st.integers(-10, 220))
def test_moving_asks_everything_once(world: tuple[list[Entry], Episode, Assigned], moved_on: int) -> None:
    """To a version that says the same: what both ask together is what the one would have asked."""
    some, episode, assigned = world
    assigned = assigned._replace(ended_on=None, moved=False)
    cut = max(day(moved_on), assigned.starts_on - timedelta(days=1))
    whole, _ = plan(some, episode, assigned, BEYOND)
    old, _ = plan(some, episode, assigned._replace(ended_on=cut, moved=True), BEYOND)
    new, _ = plan(some, episode, Assigned(cut + timedelta(days=1), True), BEYOND)
    keys = [(slot.entry, slot.due_on, slot.last_on) for slot in (*old, *new)]
    assert sorted(keys) == sorted((slot.entry, slot.due_on, slot.last_on) for slot in whole)
