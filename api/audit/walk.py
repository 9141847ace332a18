"""Whether links follow from each other, and if not, what was done to them. Pure: rows in, findings out.

A link that does not follow is explained by the least that could have been done: an event that was changed, a link taken
out or put in with the rest numbered anew, or events that have changed places. What was done more thoroughly, with all
later hashes computed anew, no link shows; the signed heads do (see `api.audit.verifying`).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from api.audit import chain

MOST_NAMED: Final = 20
"""Findings of one kind that are named one by one; of more it is said how many there are."""
MOST_SORTED: Final = 32
"""Links that do not follow among which moved events are looked for: that takes the third power of their number."""


class Finding(NamedTuple):
    """Something that is not as it has to be: a stable code, a sentence, and where; or how many more there are of it."""

    code: str
    detail: str
    sequence: int | None = None
    event_id: uuid.UUID | None = None
    more: int = 0


class Link(NamedTuple):
    """A link as it is stored. ``event`` is none where its event is not there."""

    sequence: int
    event_id: uuid.UUID
    hash: bytes
    event: chain.Event | None


@dataclass(slots=True)
class Walk:
    """A chain, walked from its first link on by `step`; `findings` when all have been."""

    shift: int = 0
    """What a link's number has to be corrected by, where some were taken out or put in and the rest numbered anew."""
    _found: list[Finding] = field(default_factory=list)
    _loose: list[tuple[Link, bytes]] = field(default_factory=list)
    """Links that do not follow, each with the hash before it; all but the first of very many are only counted."""
    _more_loose: int = 0
    _before: bytes | None = chain.START
    """The hash before the next link; None: it is missing."""
    _before_that: bytes | None = None
    _last: Link | None = None

    def step(self, link: Link) -> None:
        """The next link in the order of the numbers."""
        expected = 1 if self._last is None else self._last.sequence + 1
        if link.sequence > expected:
            numbers = str(expected) if link.sequence == expected + 1 else f"{expected} to {link.sequence - 1}"
            self._found.append(Finding("link-removed", f"The chain has no link {numbers}.", expected))
            self._before = None
        if link.event is None:
            self._found.append(
                Finding("event-removed", "The event that was sealed here is gone.", link.sequence, link.event_id)
            )
        elif self._before is not None and not self._follows(link, link.event, self._before):
            self._loosen(link, self._before)
        self._before_that, self._before, self._last = self._before, link.hash, link

    def _follows(self, link: Link, event: chain.Event, before: bytes) -> bool:
        number = link.sequence + self.shift
        if chain.link(event, number, before) == link.hash:
            return True
        previous = self._loose[-1][0] if self._loose else None
        if previous is None or previous is not self._last:
            return False
        # Only together with the link before, which does not follow, can one see that the numbers have moved.
        if self._before_that is not None and chain.link(event, number - 1, self._before_that) == link.hash:
            self._explain("link-inserted", "This link was put in, and those after it numbered anew.", previous, -1)
            return True
        if chain.link(event, number + 1, before) == link.hash:
            self._explain(
                "link-removed", "The link before this one was taken out, and the rest numbered anew.", previous, +1
            )
            return True
        return False

    def _explain(self, code: str, detail: str, link: Link, shift: int) -> None:
        self._loose.pop()
        self.shift += shift
        named = link.event_id if shift < 0 else None
        self._found.append(Finding(code, detail, link.sequence, named))

    def _loosen(self, link: Link, before: bytes) -> None:
        if len(self._loose) < 10 * MOST_SORTED:
            self._loose.append((link, before))
        else:
            self._more_loose += 1

    def findings(self) -> list[Finding]:
        """What was found, in the order of the chain."""
        places = self._places() if len(self._loose) <= MOST_SORTED else {}
        found = list(self._found)
        for link, _ in self._loose:
            place = places.get(link.event_id)
            if place is None:
                found.append(
                    Finding("event-changed", "The event is not what was sealed here.", link.sequence, link.event_id)
                )
            elif place != link.sequence:
                detail = f"The event was moved: it was sealed as number {place}."
                found.append(Finding("events-reordered", detail, link.sequence, link.event_id))
        if self._more_loose:
            found.append(Finding("event-changed", "", more=self._more_loose))
        return sorted(found, key=lambda finding: finding.sequence or 1 << 62)

    def _places(self) -> dict[uuid.UUID, int]:
        """Where the events of loose links belong, as far as the hashes of loose links tell."""
        hashes = {link.hash for link, _ in self._loose}
        before = hashes | {before for _, before in self._loose}
        return {
            link.event_id: number
            for link, _ in self._loose
            if link.event is not None
            for number in (other.sequence for other, _ in self._loose)
            if any(chain.link(link.event, number + self.shift, one) in hashes for one in before)
        }
