"""From what is stored to pictures: each reads by the service that answers the same as data, and leaves its trail."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from fastapi import Request

from api.catalogue.library import Library
from api.charts.goals import Target, TPoint, goals_chart
from api.charts.marks import Session
from api.charts.multiples import multiples_chart
from api.charts.schemas import LookQuery, ScalesQuery, SeriesQuery
from api.charts.series import series_chart
from api.charts.style import Spec
from api.goals.schemas import GoalProgress
from api.progress import reading, service
from api.progress.repository import Episode, Found
from api.progress.schemas import ProgressQuery
from api.references.active import References, organisation_references
from api.security.principal import Principal
from scoring.growth.stratum import severity
from scoring.growth.trajectory import expected
from scoring.phrases import language
from scoring.progress import Progress


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
        expected=course(series, references, found.episodes),
        sessions=sessions(found, query.episode),
    )


async def scales_spec(
    request: Request, principal: Principal, library: Library, client_id: uuid.UUID, query: ScalesQuery
) -> Spec:
    """Every scale that has a measurement. Raises as above."""
    asked = ProgressQuery(instrument=query.instrument, episode=query.episode, as_of=query.as_of)
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


def course(series: Progress, references: References, episodes: Sequence[Episode]) -> dict[str, Any]:
    """What was expected of a series, by the reference for such a client: one whose care is that of the last episode."""
    baseline, scale = series.baseline, series.figures.scale.id
    known: dict[str, str | None] = {}
    if baseline is not None and baseline["value"] is not None:
        known["severity"] = severity(series.instrument, series.variant, scale, baseline["value"])
    if episodes:
        known |= {"format": episodes[-1].format, "modality": episodes[-1].modality}
    instrument = series.instrument
    return expected(series, references.find(instrument.code, instrument.version, series.variant, scale, **known))


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
