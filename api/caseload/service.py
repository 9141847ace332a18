"""A page of a caseload: where every client stands, who comes first, and what is shown of those on the page."""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final

import numpy as np

import instruments
from api.caseload.attention import MOST, attention, reasons
from api.caseload.reading import NO_ALERT, NOTHING_DUE, Care, Open, Reading, Waiting, Whose
from api.caseload.schemas import ALL, CATEGORIES, CaseloadChange, CaseloadQuery, ChangeUnavailable
from api.caseload.standing import Candidate, Judge, Pairs, candidate, standing_for
from api.catalogue.library import Library
from api.db import Database
from api.paging import decode_cursor, encode_cursor
from api.problems import RequestInvalid
from api.progress.expecting import expected_of
from api.progress.schemas import ChartQuery
from api.progress.service import choose_one, series
from api.protocols.following import catch_up, today, unfilled
from api.protocols.store import OfConnection, OfSession
from api.references.active import OrganisationReferences, References
from api.security.principal import Principal
from scoring.caseload import Bools, Integers
from scoring.progress import Progress

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Behind(Exception):
    """Schedules are not planned up to today: they have to be before it is told what is due."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Every client of a caseload, by places in order of ids."""

    clients: list[uuid.UUID]
    concerns: list[str]
    care: list[Care]
    pairs: Pairs
    chosen: Bools
    ranks: Integers
    alerts: dict[uuid.UUID, Open]
    waiting: Mapping[uuid.UUID, Waiting]
    attention: Integers
    overdue: Integers
    off: Bools


@dataclass(frozen=True, slots=True)
class Caseloads:
    """The caseloads of one organisation, for one request."""

    database: Database
    library: Library
    references: OrganisationReferences
    principal: Principal
    request_id: str

    async def page(self, query: CaseloadQuery) -> dict[str, Any]:
        """A page as plain data, ``next`` being the cursor of the page after it.

        Raises
        ------
        RequestInvalid
            There is no such instrument or scale, or the cursor is none.
        """
        after = None if query.cursor is None else _place(query.cursor)
        candidates, asked = await self._candidates(query)
        while True:
            try:
                return await self._read(query, candidates, asked=asked, after=after)
            except Behind:
                async with self.database.session(self.principal.organisation_id) as session:
                    await catch_up(OfSession(session), self.principal.organisation_id, today())

    async def _candidates(self, query: CaseloadQuery) -> tuple[list[Candidate], bool]:
        """The measures that may stand for a client, and whether it is one that was asked for."""
        organisation_id = self.principal.organisation_id
        if query.instrument is None:
            if query.scale is not None:
                detail = "say which instrument's scale is meant"
                raise _refused("instrument", "needed-with-scale", detail)
            own = await self.library.own_newest(organisation_id, candidate)
            return [*_shipped(), *(told for told, _ in own)], False
        shelf = await self.library.shelf(organisation_id, [query.instrument])
        instrument, choice = choose_one(shelf, ChartQuery(instrument=query.instrument, scale=query.scale))
        assert choice.scale is not None  # noqa: S101  - one is chosen where none is named
        return [Candidate(instrument.code, choice.scale, tuple(instrument.concerns))], True

    async def _read(
        self, query: CaseloadQuery, candidates: list[Candidate], *, asked: bool, after: tuple[int, uuid.UUID] | None
    ) -> dict[str, Any]:
        principal, day = self.principal, today()
        own = principal.subject if principal.role == "clinician" else ALL
        clinician = query.clinician or own
        whose = Whose(None if clinician == ALL else clinician, query.concern)
        known = await self.references.of(principal.organisation_id)
        async with Reading.begun(self.database, principal.organisation_id) as reading:
            standing = await self._standing(reading, whose, candidates, known, day)
            fit = _fitting(standing, query)
            of_category = fit & _of_category(standing, query)
            order, more = _page(standing, of_category, after, query.limit)
            rows = await self._shown(reading, whose, standing, order, candidates, known, asked=asked)
            await reading.shown(principal, self.request_id, [standing.clients[place] for place in order])
        return {
            "clinician": whose.clinician,
            "date": day,
            "totals": _totals(standing, fit),
            "items": rows,
            "next": more,
        }

    async def _standing(
        self, reading: Reading, whose: Whose, candidates: Sequence[Candidate], known: References, day: date
    ) -> Standing:
        clients, concerns = await reading.clients(whose)
        care = await reading.care(clients) if known.by_care else [Care()] * len(clients)
        alerts = await reading.alerts(clients)
        slots = await reading.due(whose.clinician, day)
        if slots.stale:
            raise Behind
        waiting = defaultdict(lambda: NOTHING_DUE, slots.waiting)
        if slots.contended:
            contended = [(slot.id, slot.client_id, slot.instrument) for slot in slots.contended]
            empty = await unfilled(OfConnection(reading.connection), contended, day)
            counted = Counter((slot.client_id, slot.status) for slot in slots.contended if slot.id in empty)
            for (client_id, status), number in counted.items():
                held = waiting[client_id]
                due = number if status == "due" else 0
                waiting[client_id] = Waiting(held.due + due, held.overdue + number - due)
        codes, scales = [one.instrument for one in candidates], [one.scale for one in candidates]
        of_candidates = [",".join(one.concerns) for one in candidates]
        groups = await reading.standings(clients, concerns, codes, scales, of_candidates)
        used: dict[str, set[int]] = defaultdict(set)
        for group in groups:
            used[codes[group.instrument]] |= {v for v in (group.first_version, group.version) if v is not None}
        shelf = await self.library.shelf(self.principal.organisation_id, used, used)
        pairs = await Judge(reading, self.library, known, shelf, clients, care, candidates).pairs(groups)
        chosen = standing_for(pairs, candidates, concerns)
        ranks, off = np.zeros(len(clients), np.int64), np.zeros(len(clients), np.bool_)
        np.maximum.at(ranks, pairs.clients[chosen], pairs.ranks[chosen])
        off[pairs.clients[chosen & pairs.off]] = True
        opened = [alerts.get(one, NO_ALERT) for one in clients]
        late = np.array([waiting[one].overdue if one in waiting else 0 for one in clients], np.int64)
        first = attention([one.urgent for one in opened], [one.number for one in opened], ranks, off, late)
        return Standing(clients, concerns, care, pairs, chosen, ranks, alerts, waiting, first, late, off)

    async def _shown(
        self,
        reading: Reading,
        whose: Whose,
        standing: Standing,
        order: Sequence[int],
        candidates: Sequence[Candidate],
        references: References,
        *,
        asked: bool,
    ) -> list[dict[str, Any]]:
        """What is shown of the clients of a page, by progress itself."""
        if not order:
            return []
        clients = [standing.clients[place] for place in order]
        measures = _measures(standing, order, candidates, asked=asked)
        found = await reading.series(
            [(standing.clients[place], one.instrument, one.scale) for place in order for one in measures[place]]
        )
        used: dict[str, set[int]] = {one.instrument: set() for many in measures.values() for one in many}
        for (_, code, _), measurements in found.items():
            used[code] |= {one.version for one in measurements}
        shelf = await self.library.shelf(self.principal.organisation_id, used, used)
        episodes = await reading.episodes(whose, clients)
        answers = await reading.last_answers(clients)
        rows = []
        for place in order:
            client_id, concerns = standing.clients[place], standing.concerns[place].split(",")
            shown = []
            for one in measures[place]:
                newest, choice = choose_one(shelf, ChartQuery(instrument=one.instrument, scale=one.scale))
                given = {one.scale: found[client_id, one.instrument, one.scale]}
                (progress,) = series(shelf, newest, choice, given)
                shown.append(_measure(progress, one, concerns, references, standing.care[place], asked=asked))
            rank = int(standing.ranks[place])
            waiting = standing.waiting.get(client_id, NOTHING_DUE)
            alerts = standing.alerts.get(client_id, NO_ALERT)
            rows.append(
                {
                    "client_id": str(client_id),
                    "attention": reasons(int(standing.attention[place])),
                    "category": CATEGORIES[rank - 1] if rank else None,
                    **_care(episodes[client_id]),
                    "last_answer": _answer(answers.get(client_id)),
                    "measures": shown,
                    "due": waiting.due,
                    "overdue": waiting.overdue,
                    "alerts": {"open": alerts.number, "severity": alerts.severity},
                }
            )
        return rows


@cache
def _shipped() -> tuple[Candidate, ...]:
    return tuple(candidate(instruments.load(code)) for code in sorted(instruments.catalogue().versions))


def _refused(parameter: str, code: str, detail: str) -> RequestInvalid:
    return RequestInvalid(errors=[{"parameter": parameter, "in": "query", "code": code, "detail": detail}])


def _place(cursor: str) -> tuple[int, uuid.UUID]:
    """Attention and client that a cursor names."""
    at, client_id = decode_cursor(cursor)
    number = at - _EPOCH
    if not timedelta() <= number <= timedelta(seconds=MOST) or number.microseconds:
        raise _refused("cursor", "cursor-invalid", "has to be the `next` of a page")
    return number.seconds, client_id


def _fitting(standing: Standing, query: CaseloadQuery) -> Bools:
    """By all filters but the category; that of the concern holds already."""
    fit = np.ones(len(standing.clients), np.bool_)
    if query.has_alerts is not None:
        alerts = np.array([one in standing.alerts for one in standing.clients], np.bool_)
        fit &= alerts == query.has_alerts
    if query.overdue is not None:
        fit &= (standing.overdue > 0) == query.overdue
    return fit


def _of_category(standing: Standing, query: CaseloadQuery) -> Bools:
    if query.category is None:
        return np.ones(len(standing.clients), np.bool_)
    ranks = [(CATEGORIES.index(category) + 1) % len(CATEGORIES) for category in query.category]
    return np.isin(standing.ranks, ranks)


def _page(
    standing: Standing, fit: Bools, after: tuple[int, uuid.UUID] | None, limit: int
) -> tuple[list[int], str | None]:
    """Places of the clients of a page, and the cursor of the next."""
    places = np.flatnonzero(fit)
    numbers = standing.attention[places]
    if after is not None:
        number, client_id = after
        first = bisect_left(standing.clients, client_id)
        if first < len(standing.clients) and standing.clients[first] == client_id:
            first += 1
        later = (numbers < number) | ((numbers == number) & (places >= first))
        places, numbers = places[later], numbers[later]
    order: list[int] = places[np.lexsort((places, -numbers))][: limit + 1].tolist()
    if len(order) <= limit:
        return order, None
    last = order[limit - 1]
    return order[:limit], encode_cursor(
        _EPOCH + timedelta(seconds=int(standing.attention[last])), standing.clients[last]
    )


def _totals(standing: Standing, fit: Bools) -> dict[str, Any]:
    numbers = np.bincount(standing.ranks[fit], minlength=len(CATEGORIES)).tolist()
    by_category = {category: numbers[rank % len(CATEGORIES)] for rank, category in enumerate(CATEGORIES, 1)}
    return {
        "clients": int(fit.sum()),
        "by_category": {name.replace("-", "_"): number for name, number in by_category.items()},
        "with_alerts": sum(one in standing.alerts for one, fits in zip(standing.clients, fit, strict=True) if fits),
        "overdue": int((fit & (standing.overdue > 0)).sum()),
        "not_on_track": int((fit & standing.off).sum()),
    }


def _measures(
    standing: Standing, order: Sequence[int], candidates: Sequence[Candidate], *, asked: bool
) -> dict[int, list[Candidate]]:
    """By place of a client of the page what stands for the client, in the order of the client's concerns."""
    found: dict[int, list[Candidate]] = {place: [*candidates] if asked else [] for place in order}
    if asked:
        return found
    chosen = np.flatnonzero(standing.chosen & np.isin(standing.pairs.clients, order))
    for pair in chosen.tolist():
        found[int(standing.pairs.clients[pair])].append(candidates[standing.pairs.candidates[pair]])
    for place, measures in found.items():
        concerns = standing.concerns[place].split(",")
        measures.sort(key=lambda one: min((concerns.index(c) for c in concerns if c in one.concerns), default=0))
    return found


def _measure(
    one: Progress, taken: Candidate, concerns: Sequence[str], references: References, care: Care, *, asked: bool
) -> dict[str, Any]:
    told = one.document()
    stands_for = [concern for concern in dict.fromkeys(concerns) if concern in taken.concerns]
    return {
        **{name: told[name] for name in _OF_PROGRESS},
        "chosen_by": "asked" if asked else "concern" if stands_for else "newest",
        "concerns": stands_for,
        "change": {name: value for name, value in told["change"]["from_baseline"].items() if name in _OF_CHANGE},
        "on_track": _on_track(one, references, care),
    }


_OF_CHANGE: Final = frozenset({*CaseloadChange.model_fields, *ChangeUnavailable.model_fields})
_OF_PROGRESS: Final = (
    "instrument", "instrument_name", "version", "variant", "scale", "scale_name", "higher_is", "baseline", "last",
    "needs_review",
)  # fmt: skip


def _on_track(one: Progress, references: References, care: Care) -> dict[str, Any]:
    told = expected_of(one, references, care)
    if not told["available"]:
        return told
    reference = told["reference"]
    return {
        "available": True,
        "status": told["status"],
        "since": told["since"],
        "reference_id": reference["id"],
        "reference_version": reference["version"],
        "reference_n": reference["n"],
    }


def _care(rows: Sequence[Any]) -> dict[str, Any]:
    """Episodes, and the last session of any of them."""
    names = ("started_on", "modality", "format", "concerns", "clinician")
    held = [row for row in rows if row[7] is not None]
    last = max(held, key=lambda row: (row[8], row[7]), default=None)
    session = None
    if last is not None:
        session = {
            "id": str(last[7]),
            "episode_id": str(last[1]),
            "held_at": last[8],
            "attendance": last[9],
            "modality": last[10],
        }
    return {
        "episodes": [{"id": str(row[1]), **dict(zip(names, row[2:7], strict=True))} for row in rows],
        "last_session": session,
    }


def _answer(row: Any) -> dict[str, Any] | None:
    return None if row is None else {"response_id": str(row[1]), "instrument": row[2], "answered_at": row[3]}
