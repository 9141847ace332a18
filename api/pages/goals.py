"""A client's goals and the work between sessions: where they stand, and the form that rates one."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from api.assignments.router import ForReaders as AssignmentsDep
from api.assignments.schemas import AssignmentRead
from api.charts.render import Renderer
from api.charts.schemas import LookQuery, fineness
from api.charts.service import client_goals_spec, goals_spec
from api.clients.codes import CODES
from api.clients.router import ForReaders as ClientsDep
from api.clients.service import Clients
from api.conditional import etag
from api.goals.router import ForReaders, ForWriters
from api.goals.schemas import GoalPatch, GoalRead, RatingCreate
from api.goals.service import LEVELS, Goals, current
from api.pages.access import FormDep, FormRoute, Visit, VisitDep
from api.pages.client import NARROW, WIDE
from api.pages.names import called, meaning
from api.pages.render import HEADERS, page, redirect
from api.pages.told import faults_of, version_in, whole
from api.paging import Cursor
from api.problems import PreconditionFailed, RequestInvalid

router = APIRouter(route_class=FormRoute, include_in_schema=False)

GOALS: Final = "/app/clients/{client_id}/goals"
GOAL: Final = GOALS + "/{goal_id}"
MOST_GOALS: Final = 100
ROWS: Final = 50


@router.get(GOALS)
async def goals(
    client_id: uuid.UUID,
    visit: VisitDep,
    clients: ClientsDep,
    goals: ForReaders,
    assignments: AssignmentsDep,
    cursor: Cursor = None,
) -> Response:
    """Every goal with its newest rating, T over time, and the work that was set."""
    about = await clients.get(client_id)
    aims, _ = await goals.goals(client_id, None, MOST_GOALS)
    told = await goals.progress(client_id)
    reached = {one.goal_id: one for one in told.goals}
    work, more = await assignments.assignments(client_id, cursor, ROWS)
    rated = any(one.ratings for one in told.goals)
    return page(
        "goals.html",
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        goals=[(aim, reached[aim.id]) for aim in aims if aim.id in reached],
        attainment=told.attainment,
        words=goals_spec(told, LookQuery())["description"] if rated else None,
        work=[(one, meaning("assignment_kind", one.kind), _became(one)) for one in work],
        total=(await assignments.adherence(client_id)).total,
        widths=(NARROW, WIDE),
        more=more,
        cursor=cursor,
    )


def _became(work: AssignmentRead) -> str | None:
    return None if work.completion is None else meaning("assignment_outcome", work.completion.outcome)


@router.get(GOALS + "/chart.png")
async def picture(
    request: Request, client_id: uuid.UUID, _: VisitDep, goals: ForReaders, query: Annotated[LookQuery, Query()]
) -> Response:
    """The picture of all goals, by number, as an image."""
    ppi = fineness(query)
    spec = await client_goals_spec(goals, client_id, query)
    renderer: Renderer = request.app.state.renderer
    drawn = await renderer.png(spec, ppi=ppi, of=request.state.organisation_id)
    return Response(drawn, media_type="image/png", headers=dict(HEADERS))


@router.get(GOAL)
async def goal(
    client_id: uuid.UUID,
    goal_id: uuid.UUID,
    visit: VisitDep,
    clients: ClientsDep,
    goals: ForReaders,
    said: Annotated[Literal["rated", "set", "closed", "open"] | None, Query()] = None,
) -> Response:
    """One goal, its ratings, and the form that adds one."""
    return await _shown(visit, clients, goals, client_id, await goals.goal(client_id, goal_id), {}, said=said)


@router.post(GOAL)
async def rate(
    client_id: uuid.UUID, goal_id: uuid.UUID, visit: VisitDep, form: FormDep, clients: ClientsDep, goals: ForWriters
) -> Response:
    """Keep a rating. Sent twice it is kept once: the form says which rating was the last when it was made."""
    here = GOAL.format(client_id=client_id, goal_id=goal_id)
    await goals.repository.goal(client_id, goal_id, lock=True)  # of two at once, one is first
    about = await goals.goal(client_id, goal_id)
    rows = await goals.repository.ratings([goal_id])
    last = max(rows, key=lambda row: row.id, default=None)
    if last is not None and form.get("last") != str(last.id):
        same = (str(last.rated_on), str(last.value), last.recorded_by)
        if same == (form.get("rated_on"), form.get("value"), visit.principal.subject):
            return redirect(f"{here}?said=rated")
        return await _shown(visit, clients, goals, client_id, about, form, too_late="rated")
    try:
        body = RatingCreate.model_validate(
            {"rated_on": form.get("rated_on", "").strip(), "value": whole(form.get("value", ""))}
        )
        await goals.rate(client_id, goal_id, body)
    except (ValidationError, RequestInvalid) as error:
        return await _shown(visit, clients, goals, client_id, about, form, faults=faults_of(error))
    return redirect(f"{here}?said=rated")


@router.post(GOAL + "/close")
async def close(
    client_id: uuid.UUID, goal_id: uuid.UUID, visit: VisitDep, form: FormDep, clients: ClientsDep, goals: ForWriters
) -> Response:
    """Drop the goal, or take it up again, by what `PATCH` does; the form says which version of the goal it is about."""
    given: dict[str, str | None] = {"dropped_on": None, "drop_reason": None}
    if form.get("again") != "yes":
        given = {"dropped_on": form.get("dropped_on", "").strip(), "drop_reason": form.get("drop_reason", "")}
    done = f"{GOAL.format(client_id=client_id, goal_id=goal_id)}?said={'closed' if given['dropped_on'] else 'open'}"
    about = await goals.goal(client_id, goal_id)
    try:
        body = GoalPatch.model_validate(given)
        if form.get("version") != str(about.version) and _as_wanted(about, body):
            return redirect(done)  # sent twice
        await goals.change(client_id, goal_id, body, etag(version_in(form)))
    except (ValidationError, RequestInvalid) as error:
        return await _shown(visit, clients, goals, client_id, about, form, faults=faults_of(error))
    except PreconditionFailed:
        about = await goals.goal(client_id, goal_id)
        return await _shown(visit, clients, goals, client_id, about, form, too_late="changed")
    return redirect(done)


def _as_wanted(about: GoalRead, body: GoalPatch) -> bool:
    return (about.dropped_on, about.drop_reason) == (body.dropped_on, body.drop_reason)


async def _shown(
    visit: Visit,
    clients: Clients,
    goals: Goals,
    client_id: uuid.UUID,
    aim: GoalRead,
    values: dict[str, str],
    *,
    faults: dict[str, str] | None = None,
    said: str | None = None,
    too_late: Literal["rated", "changed"] | None = None,
) -> Response:
    about = await clients.get(client_id)
    rows = await goals.repository.ratings([aim.id])
    counting = {row.id for row in current(rows)}
    levels = dict(zip(range(-2, 3), aim.levels or (), strict=False))
    options = [
        (value, f"{value}: {levels[value]}" if value in levels else str(value))
        for value in (range(-2, 3) if aim.kind == LEVELS else range(11))
    ]
    return page(
        "goal.html",
        status=409 if too_late else 422 if faults else 200,
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        goal=aim,
        why=meaning("goal_drop_reason", aim.drop_reason),
        ratings=[(row, row.id in counting) for row in sorted(rows, key=lambda row: row.id, reverse=True)],
        last=max((str(row.id) for row in rows), default=""),
        options=options,
        reasons=[(one.code, one.meaning) for one in CODES.goal_drop_reason],
        values=dict.fromkeys(("rated_on", "dropped_on"), f"{datetime.now(UTC):%Y-%m-%d}") | values,
        faults=faults or {},
        said=said,
        too_late=too_late,
        may="care:write" in visit.principal.scopes,
    )
