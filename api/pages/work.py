"""One piece of work between sessions: what was agreed on, and the form that records what became of it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError

from api.assignments.router import ForReaders, ForWriters
from api.assignments.schemas import AssignmentPatch, AssignmentRead, CompletionCreate
from api.clients.codes import CODES
from api.clients.router import ForReaders as ClientsDep
from api.clients.service import Clients
from api.conditional import etag
from api.pages.access import FormDep, FormRoute, Visit, VisitDep
from api.pages.names import called, meaning
from api.pages.render import page, redirect
from api.pages.told import faults_of, version_in, whole
from api.problems import PreconditionFailed, RequestInvalid

router = APIRouter(route_class=FormRoute, include_in_schema=False)

WORK: Final = "/app/clients/{client_id}/work/{assignment_id}"
_NUMBERS: Final = ("minutes", "distress_before", "distress_after")
_TEXTS: Final = ("outcome", "completed_on", "note")


@router.get(WORK)
async def work(
    client_id: uuid.UUID,
    assignment_id: uuid.UUID,
    visit: VisitDep,
    clients: ClientsDep,
    assignments: ForReaders,
    said: Annotated[Literal["recorded", "set", "withdrawn", "open"] | None, Query()] = None,
) -> Response:
    """What was agreed on and what was recorded last, in a form to record anew."""
    found = await assignments.assignment(client_id, assignment_id)
    held = found.completion
    values = {name: "" if (value := getattr(held, name, None)) is None else str(value) for name in _NUMBERS + _TEXTS}
    values["completed_on"] = values["completed_on"] or f"{datetime.now(UTC):%Y-%m-%d}"
    return await _shown(visit, clients, found, values, said=said)


@router.post(WORK + "/withdraw")
async def withdraw(
    client_id: uuid.UUID,
    assignment_id: uuid.UUID,
    visit: VisitDep,
    form: FormDep,
    clients: ClientsDep,
    assignments: ForWriters,
) -> Response:
    """Take it back, or set it again, by what `PATCH` does; the form says which version it is about."""
    day = None if form.get("again") == "yes" else form.get("withdrawn_on", "").strip()
    done = f"{WORK.format(client_id=client_id, assignment_id=assignment_id)}?said={'withdrawn' if day else 'open'}"
    found = await assignments.assignment(client_id, assignment_id)
    try:
        body = AssignmentPatch.model_validate({"withdrawn_on": day})
        if form.get("version") != str(found.version) and found.withdrawn_on == body.withdrawn_on:
            return redirect(done)  # sent twice
        await assignments.change(client_id, assignment_id, body, etag(version_in(form)))
    except (ValidationError, RequestInvalid) as error:
        return await _shown(visit, clients, found, form, faults=faults_of(error), status=422)
    except PreconditionFailed:
        found = await assignments.assignment(client_id, assignment_id)
        return await _shown(visit, clients, found, form, status=409)
    return redirect(done)


@router.post(WORK)
async def complete(
    client_id: uuid.UUID,
    assignment_id: uuid.UUID,
    visit: VisitDep,
    form: FormDep,
    clients: ClientsDep,
    assignments: ForWriters,
) -> Response:
    """Record what became of it. Sent twice it is recorded once: the form says which version it was made of."""
    here = WORK.format(client_id=client_id, assignment_id=assignment_id)
    given = _given(form)
    await assignments.repository.assignment(client_id, assignment_id, lock=True)  # of two at once, one is first
    found = await assignments.assignment(client_id, assignment_id)
    try:
        body = CompletionCreate.model_validate(given)
        if form.get("version") != str(found.version):
            if found.completion is not None and _same(body, found) and _mine(visit, found):
                return redirect(f"{here}?said=recorded")
            return await _shown(visit, clients, found, form, status=409)
        await assignments.complete(client_id, assignment_id, body)
    except (ValidationError, RequestInvalid) as error:
        return await _shown(visit, clients, found, form, faults=faults_of(error), status=422)
    return redirect(f"{here}?said=recorded")


def _given(form: dict[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {name: whole(form.get(name, "")) for name in _NUMBERS}
    given |= {name: form.get(name, "").replace("\r\n", "\n").strip() for name in _TEXTS}
    return {name: value for name, value in given.items() if value not in (None, "")}


def _same(body: CompletionCreate, found: AssignmentRead) -> bool:
    return all(getattr(body, name) == getattr(found.completion, name) for name in _NUMBERS + _TEXTS)


def _mine(visit: Visit, found: AssignmentRead) -> bool:
    return found.completion is not None and found.completion.recorded_by == visit.principal.subject


async def _shown(
    visit: Visit,
    clients: Clients,
    found: AssignmentRead,
    values: dict[str, str],
    *,
    faults: dict[str, str] | None = None,
    said: str | None = None,
    status: int = 200,
) -> Response:
    about = await clients.get(found.client_id)
    held = found.completion
    return page(
        "work.html",
        status=status,
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        work=found,
        kind=meaning("assignment_kind", found.kind),
        held=held,
        became=None if held is None else meaning("assignment_outcome", held.outcome),
        outcomes=[(one.code, one.meaning) for one in CODES.assignment_outcome],
        scale=[(points, points) for points in range(11)],
        values=dict.fromkeys(("completed_on", "withdrawn_on"), f"{datetime.now(UTC):%Y-%m-%d}") | values,
        faults=faults or {},
        said=said,
        too_late=status == 409,
        may="care:write" in visit.principal.scopes,
    )
