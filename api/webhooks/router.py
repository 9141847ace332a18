"""Webhooks over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response, status

from api.conditional import IfMatch, etag
from api.db import SessionDep
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid, problems
from api.records.audit import AuditDep
from api.security.principal import Principal, require
from api.webhooks import schemas
from api.webhooks.addresses import Reach
from api.webhooks.problems import TooManyWebhooks, WebhookDisabled
from api.webhooks.repository import WebhookRepository
from api.webhooks.service import Webhooks

router = APIRouter(tags=["webhooks"])

PATH: Final = "/v1/webhooks"
ONE: Final = PATH + "/{webhook_id}"
DELIVERIES: Final = ONE + "/deliveries"
DELIVERY: Final = DELIVERIES + "/{delivery_id}"

Reader = Annotated[Principal, Depends(require("webhooks:read"))]
Writer = Annotated[Principal, Depends(require("webhooks:write"))]

_ETAG: Final[dict[str, Any]] = {"ETag": {"description": "Version of the webhook", "schema": {"type": "string"}}}
_LOCATION: Final[dict[str, Any]] = {"Location": {"description": "Path of what was made", "schema": {"type": "string"}}}
_LINK: Final[dict[str, Any]] = {
    "Link": {
        "description": 'The next page as `rel="next"` (RFC 8288), where there is one',
        "schema": {"type": "string"},
    }
}
_CHANGING: Final = (NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid)


def _webhooks(request: Request, principal: Principal, session: SessionDep, audit: AuditDep) -> Webhooks:
    state = request.app.state
    reach = Reach(tuple(state.settings.webhook_networks), state.settings.webhook_loopback)
    repository = WebhookRepository(session, principal.organisation_id)
    return Webhooks(repository, state.keys, reach, principal.organisation_id, audit)


async def _for_readers(request: Request, principal: Reader, session: SessionDep, audit: AuditDep) -> Webhooks:
    return _webhooks(request, principal, session, audit)


async def _for_writers(request: Request, principal: Writer, session: SessionDep, audit: AuditDep) -> Webhooks:
    return _webhooks(request, principal, session, audit)


ForReaders = Annotated[Webhooks, Depends(_for_readers)]
ForWriters = Annotated[Webhooks, Depends(_for_writers)]


@router.post(
    PATH,
    status_code=status.HTTP_201_CREATED,
    operation_id="createWebhook",
    responses=problems(TooManyWebhooks, RequestInvalid) | {201: {"headers": _ETAG | _LOCATION}},
)
async def create(body: schemas.WebhookCreate, webhooks: ForWriters, response: Response) -> schemas.WebhookWithSecret:
    """Make a webhook. The answer is the only one that shows its secret."""
    made = await webhooks.create(body)
    response.headers.update({"Location": ONE.format(webhook_id=made.id), "ETag": etag(made.version)})
    return made


@router.get(PATH, operation_id="listWebhooks", responses=problems(RequestInvalid) | {200: {"headers": _LINK}})
async def listed(
    webhooks: ForReaders, response: Response, limit: Limit = DEFAULT_PAGE, cursor: Cursor = None
) -> schemas.WebhookPage:
    """Webhooks in the order in which they were made."""
    items, more = await webhooks.page(cursor, limit)
    if more is not None:
        response.headers.update(next_link(PATH, {"limit": limit}, more))
    return schemas.WebhookPage(items=items, next=more)


@router.get(ONE, operation_id="readWebhook", responses=problems(NotFound, RequestInvalid) | {200: {"headers": _ETAG}})
async def read(webhook_id: uuid.UUID, webhooks: ForReaders, response: Response) -> schemas.WebhookRead:
    """One webhook, and how it is."""
    found = await webhooks.get(webhook_id)
    response.headers["ETag"] = etag(found.version)
    return found


@router.patch(ONE, operation_id="changeWebhook", responses=problems(*_CHANGING) | {200: {"headers": _ETAG}})
async def change(
    webhook_id: uuid.UUID,
    body: schemas.WebhookPatch,
    webhooks: ForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.WebhookRead:
    """Change members of a webhook; those not given stay. What it misses while it is disabled can be replayed."""
    changed = await webhooks.change(webhook_id, body, if_match)
    response.headers["ETag"] = etag(changed.version)
    return changed


@router.delete(
    ONE, operation_id="deleteWebhook", status_code=status.HTTP_204_NO_CONTENT, responses=problems(*_CHANGING)
)
async def delete(webhook_id: uuid.UUID, webhooks: ForWriters, if_match: IfMatch = None) -> None:
    """Remove a webhook, and what is kept of its deliveries."""
    await webhooks.delete(webhook_id, if_match)


@router.post(
    ONE + "/rotate-secret",
    operation_id="rotateWebhookSecret",
    responses=problems(*_CHANGING) | {200: {"headers": _ETAG}},
)
async def rotate(
    webhook_id: uuid.UUID,
    body: schemas.Rotation,
    webhooks: ForWriters,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.WebhookWithSecret:
    """Replace the secret. For the hours given messages are signed with the former one too."""
    made = await webhooks.rotate(webhook_id, body, if_match)
    response.headers["ETag"] = etag(made.version)
    return made


@router.post(
    ONE + "/test",
    operation_id="testWebhook",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(NotFound, WebhookDisabled, RequestInvalid) | {202: {"headers": _LOCATION}},
)
async def test(webhook_id: uuid.UUID, webhooks: ForWriters, response: Response) -> schemas.DeliveryRead:
    """Send a message of type `webhook.test`; the delivery that is answered says later what became of it."""
    made = await webhooks.test(webhook_id)
    response.headers["Location"] = DELIVERY.format(webhook_id=webhook_id, delivery_id=made.id)
    return made


@router.post(
    ONE + "/replay",
    operation_id="replayDeliveries",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(NotFound, WebhookDisabled, RequestInvalid),
)
async def replay_since(webhook_id: uuid.UUID, body: schemas.Since, webhooks: ForWriters) -> schemas.Replayed:
    """Try again all that was not delivered of what happened since: deliveries that failed, or were not tried."""
    return schemas.Replayed(replayed=await webhooks.replay_since(webhook_id, body.since))


@router.get(
    DELIVERIES,
    operation_id="listDeliveries",
    responses=problems(NotFound, RequestInvalid) | {200: {"headers": _LINK}},
)
async def deliveries(
    webhook_id: uuid.UUID,
    webhooks: ForReaders,
    response: Response,
    state: Annotated[schemas.State | None, Query(description="Only deliveries in this state")] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.DeliveryPage:
    """What became of messages of the last 30 days, the newest first."""
    items, more = await webhooks.deliveries(webhook_id, state, cursor, limit)
    if more is not None:
        path = DELIVERIES.format(webhook_id=webhook_id)
        response.headers.update(next_link(path, {"state": state, "limit": limit}, more))
    return schemas.DeliveryPage(items=items, next=more)


@router.get(DELIVERY, operation_id="readDelivery", responses=problems(NotFound, RequestInvalid))
async def delivery(webhook_id: uuid.UUID, delivery_id: uuid.UUID, webhooks: ForReaders) -> schemas.DeliveryRead:
    """What became of one message."""
    return await webhooks.delivery(webhook_id, delivery_id)


@router.post(
    DELIVERY + "/replay",
    operation_id="replayDelivery",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(NotFound, WebhookDisabled, RequestInvalid),
)
async def replay(webhook_id: uuid.UUID, delivery_id: uuid.UUID, webhooks: ForWriters) -> schemas.DeliveryRead:
    """Send one message again, whatever became of it, under the same id."""
    return await webhooks.replay(webhook_id, delivery_id)
