"""A client's scores for a request: read by one call, which keeps in the trail that they were read, or refused."""

from __future__ import annotations

import uuid

from fastapi import Request

from api.db import get_database
from api.problems import NotFound, request_id
from api.progress.repository import Found, measurements
from api.progress.schemas import ProgressQuery
from api.security.principal import Principal


async def found(
    request: Request, principal: Principal, client_id: uuid.UUID, query: ProgressQuery, scale: str | None
) -> Found:
    """All that progress is made of; :class:`NotFound` as :func:`api.progress.repository.measurements`."""
    pool, instrument = get_database(request).pool, query.instrument
    around = query.baseline != "first"  # what it is looked for among may lie outside the episode
    try:
        return await measurements(
            pool,
            principal,
            request_id(request) or "",
            client_id,
            instrument,
            scale,
            query.episode,
            query.as_of,
            around=around,
        )
    except NotFound:
        request.scope["state"]["refusal_kept"] = True  # in the one call that looked
        raise
