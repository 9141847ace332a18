"""What has just been recorded: the alerts it raised, with what the organisation says of them, then its scores.

Of a response that was put right, also what is otherwise than it was.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import orjson
from fastapi import APIRouter, Response

from api.catalogue.library import LibraryDep
from api.clients.router import ForReaders as ClientsDep
from api.pages.access import VisitDep
from api.pages.alerts import SEVERITIES
from api.pages.amended import differences, rescored
from api.pages.names import called, meaning
from api.pages.render import page, redirect
from api.responses.router import ResponsesDep
from instruments.items import GATE, RATING, Item

router = APIRouter(include_in_schema=False)

RECORDED: Final = "/app/responses/{response_id}/recorded"


@router.get(RECORDED)
async def recorded(
    response_id: uuid.UUID, visit: VisitDep, library: LibraryDep, clients: ClientsDep, responses: ResponsesDep
) -> Response:
    """A response as it holds now. Of one that was entered in error the history tells."""
    text, _ = await responses.document(response_id)
    told: dict[str, Any] = orjson.loads(text)
    client_id = uuid.UUID(told["client_id"])
    about = await clients.get(client_id)
    if told["status"] == "entered-in-error":
        return redirect(f"/app/clients/{client_id}/history")
    instrument = await library.get(visit.principal.organisation_id, told["instrument"], told["version"])
    told["answers"] = answers = orjson.loads(await responses.version(response_id, told["revision"]))["answers"]
    before: dict[str, Any] | None = None
    if told["amended"]:
        before = orjson.loads(await responses.version(response_id, told["revision"] - 1))
    items = instrument.items_under(told["variant"])
    return page(
        "recorded.html",
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        response=told,
        instrument=instrument,
        scores=rescored(instrument, before or told, told),
        changed=None if before is None else differences(instrument, before, told),
        reason=None if before is None else meaning("correction", before["superseded"]["reason_code"]),
        severities=SEVERITIES,
        open=[item for item in items if item.id not in told["skipped"] and not _answered(item, answers)],
    )


def _answered(item: Item, answers: dict[str, Any]) -> bool:
    """Whether there is an answer; of two steps also a no alone."""
    gate, rating = (answers.get(f"{item.id}.{step}") for step in (GATE, RATING))
    return answers.get(item.id) is not None or rating is not None or gate == 0
