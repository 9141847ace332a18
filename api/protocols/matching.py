"""Which response fills which slot, and what a slot is on a day: pure functions, asked at every read.

The day of a response is the day of its `answered_at` in UTC, as everywhere where a response is held against days.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple

Timing = Literal["on-time", "late"]
Status = Literal["upcoming", "due", "overdue", "done", "missed", "expired", "cancelled"]


class Slot(NamedTuple):
    """One time that an instrument is to be answered, by any version and variant where none is named."""

    id: uuid.UUID
    episode_protocol_id: uuid.UUID
    episode_id: uuid.UUID
    instrument: str
    version: int | None
    variant: str | None
    opens_on: date
    due_on: date
    overdue_on: date
    closes_on: date
    last_on: date
    cancelled: bool = False


class Answered(NamedTuple):
    """A response as it holds now."""

    id: uuid.UUID
    episode_id: uuid.UUID | None
    instrument: str
    version: int
    variant: str
    answered_at: datetime

    @property
    def day(self) -> date:
        """In UTC."""
        return self.answered_at.astimezone(UTC).date()


class Standing(NamedTuple):
    """What a response is to one assignment: it fills a slot of it, or would have."""

    timing: Literal["on-time", "late", "duplicate"]
    slot_id: uuid.UUID


class Filled(NamedTuple):
    """What fills a slot."""

    response: Answered
    timing: Timing


@dataclass(frozen=True, slots=True)
class Matched:
    """Slots that are filled, and what each response is to them.

    ``standings`` has for each response one entry for each assignment with a window that it lies in; none where it lies
    outside of every window.
    """

    filled: dict[uuid.UUID, Filled] = field(default_factory=dict)
    standings: dict[uuid.UUID, list[Standing]] = field(default_factory=dict)


def match(slots: Iterable[Slot], responses: Iterable[Answered]) -> Matched:
    """Fill the slots of one client with that client's responses.

    Responses are taken in the order in which they were answered. Each fills, in every assignment, among the slots that
    are still empty and whose window its day lies in, one for which it is in time before one for which it is late; of
    several the one due first; of those the one made first. Where it finds none empty it is a duplicate of the one that
    filled the first of them.

    So a response fills one slot of an assignment at most, a slot has one response at most, and a further response never
    empties a slot. What one assignment asks for changes nothing for another.
    """
    live = sorted((slot for slot in slots if not slot.cancelled), key=lambda slot: (slot.due_on, slot.id))
    found = Matched()
    for response in sorted(responses, key=lambda response: (response.answered_at, response.id)):
        day = response.day
        fitting: dict[uuid.UUID, list[Slot]] = defaultdict(list)
        for slot in live:
            if takes(slot, response, day):
                fitting[slot.episode_protocol_id].append(slot)
        found.standings[response.id] = [_stand(found.filled, of_one, response, day) for of_one in fitting.values()]
    return found


def _stand(filled: dict[uuid.UUID, Filled], fitting: list[Slot], response: Answered, day: date) -> Standing:
    """Fill one of the slots of one assignment that a response fits, if any is empty."""
    fitting.sort(key=lambda slot: slot.overdue_on <= day)  # stable: in time first, each part as it was
    empty = next((slot for slot in fitting if slot.id not in filled), None)
    if empty is None:
        return Standing("duplicate", fitting[0].id)
    timing: Timing = "late" if empty.overdue_on <= day else "on-time"
    filled[empty.id] = Filled(response, timing)
    return Standing(timing, empty.id)


def takes(slot: Slot, response: Answered, day: date) -> bool:
    """Whether a response may fill a slot: what was asked, in its window, and of no other episode."""
    return (
        slot.opens_on <= day <= slot.last_on
        and slot.instrument == response.instrument
        and slot.version in (None, response.version)
        and slot.variant in (None, response.variant)
        and response.episode_id in (None, slot.episode_id)
    )


def status(slot: Slot, filled: bool, day: date) -> Status:
    """What a slot is on a day, by what had been answered by then."""
    if slot.cancelled:
        return "cancelled"
    if filled:
        return "done"
    if day < slot.opens_on:
        return "upcoming"
    if day > slot.last_on:
        return "expired" if slot.last_on < slot.closes_on else "missed"
    return "overdue" if day >= slot.overdue_on else "due"
