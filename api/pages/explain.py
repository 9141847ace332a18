"""How the scores of one response came about, step by step."""

from __future__ import annotations

import uuid
from itertools import groupby
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Response

from api.catalogue.library import LibraryDep
from api.clients.router import ForReaders as ClientsDep
from api.pages.access import VisitDep
from api.pages.names import called
from api.pages.render import page
from api.responses.router import ResponsesDep
from api.responses.versions import MOST_REVISIONS

router = APIRouter(include_in_schema=False)

EXPLAIN: Final = "/app/responses/{response_id}"


@router.get(EXPLAIN)
async def explain(
    response_id: uuid.UUID,
    visit: VisitDep,
    library: LibraryDep,
    clients: ClientsDep,
    responses: ResponsesDep,
    revision: Annotated[int | None, Query(ge=1, le=MOST_REVISIONS)] = None,
) -> Response:
    """The arithmetic of each score, from the answers that were given."""
    told = await responses.explanation(response_id, revision)
    text = await responses.document(response_id) if revision is None else None
    document: dict[str, Any] = orjson.loads(
        text[0] if text is not None else await responses.version(response_id, told["revision"])
    )
    about = await clients.get(uuid.UUID(document["client_id"]))
    instrument = await library.get(visit.principal.organisation_id, told["instrument"], told["version"])
    rules = [
        *(r.id for r in instrument.caseness),
        *(r.id for r in instrument.validity),
        *(r.id for r in instrument.skips),
    ]
    names = {
        "variant": "Variant",
        **{rule: f"Rule: {rule}" for rule in rules},
        **{item.id: f"Item {item.id}: {item.topic}" for item in instrument.items},
        **{scale.id: scale.name for scale in instrument.scales},
    }
    steps = [(name, list(held)) for name, held in groupby(told["steps"], key=lambda step: str(step["about"]))]
    return page(
        "explain.html",
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        response=document,
        told=told,
        instrument=instrument,
        names=names,
        steps=steps,
    )
