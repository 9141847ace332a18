"""From what is stored to pictures: each reads by the service that answers the same as data, and leaves its trail."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request

from api.catalogue.library import Library
from api.charts.caseload import Case, caseload_chart
from api.charts.couple import Apart, couple_chart
from api.charts.goals import Target, TPoint, goals_chart
from api.charts.marks import Session
from api.charts.multiples import multiples_chart
from api.charts.schemas import CaseloadChartQuery, CoupleChartQuery, LookQuery, ScalesQuery, SeriesQuery
from api.charts.series import series_chart
from api.charts.style import Spec
from api.couple_progress.service import CoupleProgress
from api.goals.schemas import GoalProgress
from api.goals.service import Goals
from api.problems import RequestInvalid
from api.progress import reading, service
from api.progress.expecting import care_of, expected_of
from api.progress.repository import Found
from api.progress.schemas import ProgressQuery
from api.references.active import organisation_references
from api.security.principal import Principal
from scoring.change import critical_value
from scoring.dyads.described import described
from scoring.phrases import language
from scoring.progress import Progress

_RELIABLE: Final = critical_value(0.05)
"""What makes a change of an index a reliable one."""


async def series_spec(
    request: Request, principal: Principal, library: Library, client_id: uuid.UUID, query: SeriesQuery
) -> Spec:
    """One series with its sessions and its expected course.

    Raises
    ------
    NotFound, RequestInvalid
    """
    shelf = await library.shelf(principal.organisation_id, [query.instrument])
    instrument, choice = service.choose_one(shelf, query)
    found = await reading.found(request, principal, client_id, query, choice.scale)
    shelf = await library.shelf(principal.organisation_id, *service.judged(query.instrument, found.rows))
    (series,) = service.series(shelf, instrument, choice, found.rows.get(instrument.code, {}), found.episodes)
    references = await organisation_references(request).of(principal.organisation_id)
    return series_chart(
        series,
        width=query.width,
        as_of=query.as_of,
        theme=query.theme,
        language=language(query.language),
        expected=expected_of(series, references, care_of(found.episodes, choice.episode)),
        sessions=sessions(found, query.episode),
    )


async def scales_spec(
    request: Request, principal: Principal, library: Library, client_id: uuid.UUID, query: ScalesQuery
) -> Spec:
    """Every scale that has a measurement. Raises as above."""
    # not validated anew: times are read from text alone
    asked = ProgressQuery.model_construct(instrument=query.instrument, episode=query.episode, as_of=query.as_of)
    series = await every(request, principal, library, client_id, asked)
    return multiples_chart(series[0], width=query.width, theme=query.theme, language=language(query.language))


async def every(
    request: Request, principal: Principal, library: Library, client_id: uuid.UUID, query: ProgressQuery
) -> tuple[list[Progress], Found]:
    """Every series that a query names, and what they were made of. Raises as above."""
    shelf = await library.shelf(principal.organisation_id, [query.instrument or ""])
    choice = service.choose(shelf, query)
    found = await reading.found(request, principal, client_id, query, query.scale)
    shelf = await library.shelf(principal.organisation_id, *service.judged(query.instrument, found.rows))
    codes = [code for code in sorted(found.rows) if code in shelf.versions]
    made = (service.series(shelf, shelf.get(code), choice, found.rows[code], found.episodes) for code in codes)
    return [one for each in made for one in each], found


def sessions(found: Found, episode: uuid.UUID | None = None) -> list[Session]:
    """The sessions that took place, of one episode or of all."""
    return [
        Session(*held) for one in found.episodes if episode is None or one.id == str(episode) for held in one.sessions
    ]


async def client_goals_spec(goals: Goals, client_id: uuid.UUID, query: LookQuery) -> Spec:
    """A client's goals; :class:`NotFound` where there is no such client."""
    spec = goals_spec(await goals.progress(client_id), query)
    await goals.repository.session.commit()  # who waits for the drawing holds no connection
    return spec


def goals_spec(progress: GoalProgress, query: LookQuery) -> Spec:
    """The goals that are pursued, by the numbers that they have among all of the client's."""
    t = [TPoint(point.day, point.t) for point in progress.attainment if point.t is not None]
    begun = next((point.t_baseline for point in reversed(progress.attainment) if point.t is not None), None)
    targets = [
        Target(number, goal.baseline, goal.target, [(one.rated_on, one.value) for one in goal.ratings])
        for number, goal in enumerate(progress.goals, 1)
        if goal.kind == "target" and goal.target is not None and goal.dropped_on is None
    ]
    return goals_chart(
        t, targets, t_baseline=begun, width=query.width, theme=query.theme, language=language(query.language)
    )


async def couple_spec(progress: CoupleProgress, couple_id: uuid.UUID, query: CoupleChartQuery) -> Spec:
    """Two of a couple on one scale.

    Raises
    ------
    NotFound, JointViewClosed
    RequestInvalid
        As for one of them; or there is no such pair, or their scores on the scale must not be compared.
    """
    principal = progress.steps.audit.principal
    asked = ProgressQuery.model_construct(instrument=query.instrument, scale=query.scale)
    instrument, choice = service.choose_one(
        await progress.library.shelf(principal.organisation_id, [query.instrument]), asked
    )
    joint = await progress.read(couple_id, query.model_copy(update={"scale": choice.scale}))
    pairs = joint.pairs
    if query.pair > len(pairs):
        raise _refused("pair", "no-such-pair", f"the couple has {len(pairs)}")
    pair = pairs[query.pair - 1]
    if found := [both for both in pair.scales if both[0].figures.scale.id == choice.scale]:
        first, second = found[0]
        occasions = described(first, second, query.window_days)["occasions"]
    else:
        both = [member.series.get(instrument.code, []) for member in (pair.first, pair.second)]
        if all(one.points for series in both for one in series) and all(both):
            why = pair.not_compared[0]["detail"] if pair.not_compared else "the two are not on one scale"
            raise _refused("scale", "not-comparable", why)
        ((first,), (second,)) = both
        occasions = []
    apart = [Apart(one["first"]["answered_at"], one["first"]["value"], one["second"]["value"]) for one in occasions]
    await progress.couples.repository.session.commit()  # who waits for the drawing holds no connection
    return couple_chart(first, second, apart, width=query.width, theme=query.theme, language=language(query.language))


def _refused(parameter: str, code: str, detail: str) -> RequestInvalid:
    return RequestInvalid(errors=[{"parameter": parameter, "in": "query", "code": code, "detail": detail}])


def caseload_spec(page: Mapping[str, Any], query: CaseloadChartQuery) -> Spec:
    """A page of a caseload; how many more there are is said."""
    cases = [case(row) for row in page["items"]]
    return caseload_chart(
        cases,
        total=page["totals"]["clients"] if query.cursor is None else None,
        width=query.width,
        theme=query.theme,
        language=language(query.language),
    )


def case(row: Mapping[str, Any]) -> Case:
    """A client of a caseload: of several measures that which the category is of."""
    measures = sorted(row["measures"], key=lambda one: one["change"].get("category") != row["category"])
    change = measures[0]["change"] if measures else {}
    moved = None
    if change.get("available") and change.get("rci") is not None:
        sign = {"better": 1, "worse": -1}.get(change["direction"], 0)
        moved = sign * abs(change["rci"]) / _RELIABLE
    tracks = [one["on_track"].get("status") for one in row["measures"] if one["on_track"]["available"]]
    status = "not-on-track" if "not-on-track" in tracks else tracks[0] if tracks else None
    return Case(moved, row["category"], row["alerts"]["open"], row["overdue"], status)
