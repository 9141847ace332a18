"""The couples whose joint view is open, of whom everybody is one's own client."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from api.clients.router import ForReaders as ClientsDep
from api.couples.router import ForReaders
from api.pages.access import VisitDep
from api.pages.names import called
from api.pages.render import page
from api.paging import Cursor

router = APIRouter(include_in_schema=False)

COUPLES: Final = "/app/couples"
ROWS: Final = 50


@router.get(COUPLES)
async def listed(visit: VisitDep, couples: ForReaders, clients: ClientsDep, cursor: Cursor = None) -> Response:
    """In the order in which they were made. No page of a client leads here with the client's name."""
    found, more = await couples.listed(cursor, ROWS)
    names = await clients.named({member.client_id for one in found for member in one.members})
    return page(
        "couples.html",
        visit=visit,
        couples=[
            (
                one.id,
                [(member.client_id, called(member.client_id, names.get(member.client_id))) for member in one.members],
                max(member.joined_on for member in one.members),
                max(member.consent_stated_on for member in one.members),
            )
            for one in found
        ],
        more=more,
        cursor=cursor,
    )
