"""The progress of a couple: read for each member as that client's own, and put side by side while all consent.

Consent is asked before anything is read, and again before anything is answered, since reading takes time: what is
withdrawn meanwhile is not shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, Final

from api.catalogue.library import Library, Shelf
from api.couple_progress.schemas import CoupleProgressQuery
from api.couples.service import Couples
from api.problems import NotFound
from api.progress import service
from api.progress.expecting import care_of, expected_of
from api.progress.repository import Found, measurements
from api.progress.schemas import ProgressQuery
from api.records.steps import Steps
from api.references.active import OrganisationReferences, References
from scoring.dyads.described import described, not_comparable, profile
from scoring.progress import Progress
from scoring.reliable import Unavailable

ACTION: Final = "read-progress"
ONE_ONLY: Final = Unavailable("one-member-only", "Only one of the two has answered this instrument.")


@dataclass(frozen=True)
class Member:
    """One of a couple: what was found of the client, and the series of each instrument, in the order of its scales."""

    client_id: uuid.UUID
    found: Found
    series: dict[str, list[Progress]]
    without_definition: list[str]
    references: References
    """What courses are held against."""

    def document(self) -> dict[str, Any]:
        """As that client's own progress has it."""
        start, care = service.start_of_care(self.found.episodes), care_of(self.found.episodes, None)
        return {
            "client_id": str(self.client_id),
            "episodes": [one.document() for one in self.found.episodes],
            "series": [
                service.described(one, start, expectation=expected_of(one, self.references, care))
                for every in self.series.values()
                for one in every
            ],
            "without_definition": self.without_definition,
        }


@dataclass(frozen=True)
class Pair:
    """Two members, and the scales on which they can be put side by side."""

    first: Member
    second: Member
    scales: list[tuple[Progress, Progress]]
    not_compared: list[dict[str, Any]]

    def document(self, window: float) -> dict[str, Any]:
        """As plain data; ``window``: days that two occasions may lie apart."""
        codes = dict.fromkeys(first.instrument.code for first, _ in self.scales)
        return {
            "first": str(self.first.client_id),
            "second": str(self.second.client_id),
            "scales": [described(first, second, window) for first, second in self.scales],
            "profiles": [
                {
                    "instrument": code,
                    "profile": profile([pair for pair in self.scales if pair[0].instrument.code == code], window),
                }
                for code in codes
            ],
            "not_compared": self.not_compared,
        }


@dataclass(frozen=True)
class Joint:
    """The members of a couple, in the order of the joint view, and every two of them."""

    couple_id: uuid.UUID
    as_of: datetime | None
    window: int
    members: list[Member]

    @property
    def pairs(self) -> list[Pair]:
        """Two members at a time."""
        return [_pair(first, second) for first, second in combinations(self.members, 2)]

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "couple_id": str(self.couple_id),
            "as_of": self.as_of,
            "window_days": self.window,
            "members": [member.document() for member in self.members],
            "pairs": [pair.document(self.window) for pair in self.pairs],
        }


@dataclass(frozen=True, slots=True)
class CoupleProgress:
    """The progress of couples of one organisation, for one request."""

    couples: Couples
    library: Library
    references: OrganisationReferences

    @property
    def steps(self) -> Steps:
        """The trail of the request."""
        return self.couples.steps

    async def read(self, couple_id: uuid.UUID, query: CoupleProgressQuery) -> Joint:
        """The progress of everybody in a couple, side by side.

        That each member's scores were read is in that client's trail, as of their own path, and that they were shown
        together in the couple's.

        Raises
        ------
        NotFound, JointViewClosed, RequestInvalid
        """
        principal = self.steps.audit.principal
        # not validated anew: times are read from text alone
        asked = ProgressQuery.model_construct(instrument=query.instrument, scale=query.scale, as_of=query.as_of)
        shelf = await self.library.shelf(principal.organisation_id, [query.instrument or ""])
        choice = service.choose(shelf, asked)
        references = await self.references.of(principal.organisation_id)
        view = await self.couples.opened(ACTION, couple_id)
        members = []
        for one in view.members:
            found = await self._found(couple_id, one.client_id, query)
            shelf = await self.library.shelf(principal.organisation_id, *service.judged(query.instrument, found.rows))
            members.append(_member(one.client_id, found, shelf, choice, references))
        await self.couples.opened(ACTION, couple_id)
        self.steps.done(ACTION, "couple", couple_id)
        return Joint(couple_id, query.as_of, query.window_days, members)

    async def _found(self, couple_id: uuid.UUID, client_id: uuid.UUID, query: CoupleProgressQuery) -> Found:
        audit = self.steps.audit
        pool, request_id = audit.database.pool, audit.request_id
        try:
            return await measurements(
                pool, audit.principal, request_id, client_id, query.instrument, query.scale, None, query.as_of
            )
        except NotFound:  # erased since the view was opened, and with the client the place in the couple
            await self.couples.opened(ACTION, couple_id)
            raise


def _member(client_id: uuid.UUID, found: Found, shelf: Shelf, choice: service.Choice, references: References) -> Member:
    codes = [choice.instrument.code] if choice.instrument is not None else sorted(found.rows)
    return Member(
        client_id,
        found,
        {
            code: service.series(shelf, shelf.get(code), choice, found.rows.get(code, {}), found.episodes)
            for code in codes
            if code in shelf.versions
        },
        [code for code in codes if code not in shelf.versions],
        references,
    )


def _pair(first: Member, second: Member) -> Pair:
    scales: list[tuple[Progress, Progress]] = []
    left: list[dict[str, Any]] = []
    for code in sorted(first.series.keys() | second.series.keys()):
        answered = [_answered(member.series.get(code, ())) for member in (first, second)]
        if answered == [True, True]:
            for one, other, why in _side_by_side(first.series[code], second.series[code]):
                if why is None:
                    scales.append((one, other))
                else:
                    left.append(_left_out(code, one.figures.scale.id, why))
        elif any(answered):
            left.append(_left_out(code, None, ONE_ONLY))
    return Pair(first, second, scales, left)


def _answered(series: Sequence[Progress]) -> bool:
    return any(one.points for one in series)


def _side_by_side(
    firsts: Sequence[Progress], seconds: Sequence[Progress]
) -> Iterator[tuple[Progress, Progress, Unavailable | None]]:
    """Both series of each scale that both definitions have, with why they must not be compared."""
    others = {one.figures.scale.id: one for one in seconds}
    for one in firsts:
        if (other := others.get(one.figures.scale.id)) is not None:
            yield one, other, not_comparable(one, other)


def _left_out(code: str, scale: str | None, why: Unavailable) -> dict[str, Any]:
    return {"instrument": code, "scale": scale, "code": why.code, "detail": why.detail}
