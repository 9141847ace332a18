"""Which slots an assigned protocol has: a pure function of the protocol and of what happened in the episode.

Days are calendar days. Whatever changes in the episode, the slots are made anew from all of it, so no order of events
matters; the same slot is known again by its entry and its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["baseline", "weeks", "sessions", "end", "follow-up"]

HORIZON: Final = timedelta(days=91)
"""How far ahead of today slots are planned of a schedule that goes on."""
_WEEK: Final = 7
_SHAPES: Final = 1_000


class Window(NamedTuple):
    """Days around the day on which it is due."""

    opens_before: int
    overdue_after: int
    """Days after the due day that are still in time."""
    closes_after: int
    """Days after the due day on which it can still be answered; at least ``overdue_after``."""


class Entry(NamedTuple):
    """One line of a protocol."""

    id: str
    instrument: str
    version: int | None
    variant: str | None
    kind: Kind
    window: Window
    every: int | None = None
    """Weeks or attended sessions from one to the next."""
    weeks: int | None = None
    """Of a follow-up: after the last day of the episode."""
    most: int | None = None
    """How many, at most."""
    until_week: int | None = None
    """None is due later than so many weeks after the first day of the episode."""


class Episode(NamedTuple):
    """What is known of an episode. ``attended``: days of attended sessions, in the order of their times."""

    started_on: date
    ended_on: date | None
    attended: Sequence[date]


class Assigned(NamedTuple):
    """From when to when a protocol is followed."""

    starts_on: date
    follows: bool
    """It takes the place of another assignment: what opened before ``starts_on`` is that one's."""
    ended_on: date | None = None
    moved: bool = False
    """It ended because another takes its place: what was open then goes on."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One slot."""

    entry: str
    occurrence: int
    instrument: str
    instrument_version: int | None
    variant: str | None
    opens_on: date
    due_on: date
    overdue_on: date
    closes_on: date
    last_on: date
    shape: int


def entry_of(given: Mapping[str, Any]) -> Entry:
    """An entry as it is stored."""
    when, window = given["when"], given["window"]
    return Entry(
        given["id"],
        given["instrument"],
        given.get("version"),
        given.get("variant"),
        when["kind"],
        Window(window["opens_before"], window["overdue_after"], window["closes_after"]),
        when.get("every"),
        when.get("weeks"),
        when.get("count"),
        when.get("until_week"),
    )


def shape(window: Window) -> int:
    """The lengths of a window as one number: days from opening to overdue, and from overdue to closing (-1: never).

    Examples
    --------
    >>> shape(Window(3, 2, 6)), shape(Window(0, 2, 2))
    (6004, 3000)
    """
    return (window.opens_before + window.overdue_after + 1) * _SHAPES + window.closes_after - window.overdue_after


def plan(
    entries: Iterable[Entry], episode: Episode, assigned: Assigned, horizon: date
) -> tuple[list[Planned], date | None]:
    """All slots, and the day up to which they are all there; None where only events of the episode bring more.

    Slots that would open after the episode or the assignment has ended are left out; those that were open then end
    with it, but for those that hang on a session that took place, and those of a moved assignment.
    """
    found: list[Planned] = []
    goes_on = False
    for entry in entries:
        days: Iterable[tuple[int, date]] = _due_days(entry, episode)
        if entry.kind == "weeks":
            last = min((day for day in (episode.ended_on, assigned.ended_on) if day is not None), default=None)
            days, more = _until(days, horizon, last, entry.window.opens_before)
            goes_on |= more
        for number, day in days:
            slot = _slot(entry, number, day, episode, assigned)
            if slot is not None:
                found.append(slot)
    return found, horizon if goes_on else None


def _due_days(entry: Entry, episode: Episode) -> Iterator[tuple[int, date]]:
    """Number and day of each time that it is due; endless for weeks without a limit."""
    days: Iterator[date]
    if entry.kind == "baseline":
        days = iter([episode.started_on])
    elif entry.kind == "weeks":
        step = _WEEK * (entry.every or 1)
        days = (_after(episode.started_on, step * number) for number in count(1))
    elif entry.kind == "sessions":
        every = entry.every or 1
        days = iter(episode.attended[every - 1 :: every])
    else:
        weeks = entry.weeks or 0
        days = iter([] if episode.ended_on is None else [_after(episode.ended_on, _WEEK * weeks)])
    latest = None if entry.until_week is None else _after(episode.started_on, _WEEK * entry.until_week)
    for number, day in enumerate(days, start=1):
        if (entry.most is not None and number > entry.most) or (latest is not None and day > latest):
            return
        yield number, day


def _until(
    days: Iterable[tuple[int, date]], horizon: date, last: date | None, opens_before: int
) -> tuple[list[tuple[int, date]], bool]:
    """Those that open by the horizon and by the last day there can be any; whether there are more to come."""
    found: list[tuple[int, date]] = []
    for number, day in days:
        opens_on = _after(day, -opens_before)
        if last is not None and opens_on > last:
            return found, False
        if opens_on > horizon:
            return found, True
        found.append((number, day))
    return found, False


def _slot(entry: Entry, number: int, due_on: date, episode: Episode, assigned: Assigned) -> Planned | None:
    window = entry.window
    opens_on, closes_on = _after(due_on, -window.opens_before), _after(due_on, window.closes_after)
    if (opens_on if assigned.follows else closes_on) < assigned.starts_on:
        return None
    ends = []
    if episode.ended_on is not None and entry.kind in ("baseline", "weeks"):
        ends.append(episode.ended_on)
    if assigned.ended_on is not None:
        if opens_on > assigned.ended_on:
            return None
        if not assigned.moved:
            ends.append(assigned.ended_on)
    last_on = min([closes_on, *ends])
    if last_on < opens_on:
        return None
    return Planned(
        entry.id,
        number,
        entry.instrument,
        entry.version,
        entry.variant,
        opens_on,
        due_on,
        _after(due_on, window.overdue_after + 1),
        closes_on,
        last_on,
        shape(window),
    )


def _after(day: date, days: int) -> date:
    return day + timedelta(days=days)
