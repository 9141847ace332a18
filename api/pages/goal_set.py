"""The form that sets a goal: in five levels with a weight, or a target from 0 to 10."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError

from api.clients.router import ForReaders as ClientsDep
from api.clients.service import Clients
from api.goals.router import ForWriters
from api.goals.schemas import HEAVIEST, GoalCreate
from api.goals.service import LEVELS, Goals
from api.pages.access import FormDep, FormRoute, Visit, VisitDep
from api.pages.goals import GOAL, GOALS
from api.pages.names import called
from api.pages.once import in_turn, kept_already
from api.pages.render import page, redirect
from api.pages.told import faults_of, whole
from api.problems import RequestInvalid

router = APIRouter(route_class=FormRoute, include_in_schema=False)

SET: Final = GOALS + "/new"
Kind = Literal["levels", "target"]
EXPECTED: Final = {
    -2: "much less than expected",
    -1: "less than expected",
    0: "as expected",
    1: "more than expected",
    2: "much more than expected",
}
LABELS: Final = {
    "wording": "The goal",
    **{f"levels-{place}": f"Level {level}" for place, level in enumerate(EXPECTED)},
    "weight": "Weight",
    "baseline": "At the start",
    "target": "Target",
    "set_on": "Day",
}


@router.get(SET)
async def form(
    client_id: uuid.UUID,
    visit: VisitDep,
    clients: ClientsDep,
    goals: ForWriters,
    kind: Annotated[Kind, Query()] = "levels",
) -> Response:
    """An empty form of one of the two kinds."""
    values = {"weight": "1", "set_on": f"{datetime.now(UTC):%Y-%m-%d}", "last": await _last(goals, client_id)}
    return await _shown(visit, clients, client_id, kind, values)


@router.post(SET)
async def keep(
    client_id: uuid.UUID, visit: VisitDep, sent: FormDep, clients: ClientsDep, goals: ForWriters
) -> Response:
    """Set it. Sent twice it is set once: the form says which goal was the last when it was made."""
    kind: Kind = "target" if sent.get("kind") == "target" else "levels"
    try:
        body = GoalCreate.model_validate(_given(kind, sent))
        await in_turn(goals.repository.session, "goal", client_id)
        goal_id = await _same(goals, client_id, body, sent.get("last", "")) or (await goals.set(client_id, body)).id
    except (ValidationError, RequestInvalid) as error:
        return await _shown(visit, clients, client_id, kind, sent, faults_of(error), 422)
    return redirect(f"{GOAL.format(client_id=client_id, goal_id=goal_id)}?said=set")


def _given(kind: Kind, sent: dict[str, str]) -> dict[str, Any]:
    """What the form says, as the API would be sent it; an empty field is left out, but a level is one of five."""
    numbers = ("baseline", "weight") if kind == LEVELS else ("baseline", "target")
    given: dict[str, Any] = {name: whole(sent.get(name, "")) for name in numbers}
    given = {name: value for name, value in given.items() if value is not None}
    given |= {"kind": kind, "wording": _text(sent, "wording"), "set_on": sent.get("set_on", "").strip()}
    if kind == LEVELS:
        given["levels"] = [_text(sent, f"levels-{place}") for place in range(len(EXPECTED))]
    return given


def _text(sent: dict[str, str], name: str) -> str:
    return sent.get(name, "").replace("\r\n", "\n")


async def _last(goals: Goals, client_id: uuid.UUID) -> str:
    rows = await goals.repository.goals(client_id, None, None)
    return max((str(row.id) for row in rows), default="")


async def _same(goals: Goals, client_id: uuid.UUID, body: GoalCreate, last: str) -> uuid.UUID | None:
    """The goal that this very form has set already."""
    wanted = body.model_dump(exclude={"weight"}) | {"weight": 1 if body.kind == LEVELS else None}
    wanted |= {} if body.weight is None else {"weight": body.weight}
    return await kept_already(
        await goals.repository.goals(client_id, None, None), partial(goals.goal, client_id), wanted, last
    )


async def _shown(
    visit: Visit,
    clients: Clients,
    client_id: uuid.UUID,
    kind: Kind,
    values: dict[str, str],
    faults: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    about = await clients.get(client_id)
    levels = [(value, f"{value}: {words}") for value, words in EXPECTED.items()]
    return page(
        "goal_set.html",
        status=status,
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        kind=kind,
        levels=list(enumerate(EXPECTED.items())),
        starts=levels if kind == LEVELS else [(points, points) for points in range(11)],
        weights=[(weight, weight) for weight in range(HEAVIEST + 1)],
        points=[(points, points) for points in range(11)],
        labels=LABELS,
        values=values,
        faults=faults or {},
    )
