"""The form that sets a piece of work between sessions."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Response
from pydantic import ValidationError

from api.assignments.router import ForWriters
from api.assignments.schemas import AssignmentCreate
from api.clients.codes import CODES
from api.clients.router import ForReaders as ClientsDep
from api.clients.service import Clients
from api.pages.access import FormDep, FormRoute, Visit, VisitDep
from api.pages.names import called
from api.pages.once import in_turn, kept_already
from api.pages.render import page, redirect
from api.pages.told import faults_of
from api.pages.work import WORK
from api.problems import RequestInvalid

router = APIRouter(route_class=FormRoute, include_in_schema=False)

SET: Final = "/app/clients/{client_id}/work/new"
A_WEEK: Final = timedelta(days=7)


@router.get(SET)
async def form(client_id: uuid.UUID, visit: VisitDep, clients: ClientsDep, assignments: ForWriters) -> Response:
    """An empty form; the work is due in a week unless another day is chosen."""
    now = datetime.now(UTC)
    values = {"set_on": f"{now:%Y-%m-%d}", "due_on": f"{now + A_WEEK:%Y-%m-%d}"}
    rows = await assignments.repository.assignments(client_id, None, None)
    values["last"] = max((str(row.id) for row in rows), default="")
    return await _shown(visit, clients, client_id, values)


@router.post(SET)
async def keep(
    client_id: uuid.UUID, visit: VisitDep, sent: FormDep, clients: ClientsDep, assignments: ForWriters
) -> Response:
    """Set it. Sent twice it is set once: the form says which work was the last when it was made."""
    given: dict[str, Any] = {name: sent.get(name, "").strip() for name in ("kind", "set_on", "due_on")}
    given["note"] = sent.get("note", "").replace("\r\n", "\n").strip() or None
    try:
        body = AssignmentCreate.model_validate(given)
        await in_turn(assignments.repository.session, "work", client_id)
        set_before = await assignments.repository.assignments(client_id, None, None)
        read = partial(assignments.assignment, client_id)
        work_id = await kept_already(set_before, read, body.model_dump(), sent.get("last", ""))
        work_id = work_id or (await assignments.set(client_id, body)).id
    except (ValidationError, RequestInvalid) as error:
        return await _shown(visit, clients, client_id, sent, faults_of(error), 422)
    return redirect(f"{WORK.format(client_id=client_id, assignment_id=work_id)}?said=set")


async def _shown(
    visit: Visit,
    clients: Clients,
    client_id: uuid.UUID,
    values: dict[str, str],
    faults: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    about = await clients.get(client_id)
    return page(
        "work_set.html",
        status=status,
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        kinds=[(one.code, one.meaning) for one in CODES.assignment_kind],
        values=values,
        faults=faults or {},
    )
