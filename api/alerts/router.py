"""Alerts, an organisation's own thresholds, and its guidance over HTTP."""

from __future__ import annotations

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response, status

from api.alerts import schemas
from api.alerts.problems import AlertNotOpen
from api.alerts.repository import AlertRepository
from api.alerts.rules import Rules
from api.alerts.service import Alerts
from api.alerts.settings import alerts_of
from api.catalogue.library import LibraryDep
from api.conditional import IfMatch, etag
from api.db import DatabaseDep, SessionDep
from api.declared import CHANGED, FOUND, LISTED, LOCATION
from api.inline import inline
from api.paging import DEFAULT_PAGE, Cursor, Limit, next_link
from api.problems import NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid, problems
from api.records.audit import AuditDep
from api.records.steps import Steps
from api.security.principal import Principal, require

router = APIRouter(tags=["alerts"])

ALERTS: Final = "/v1/alerts"
ALERT: Final = ALERTS + "/{alert_id}"
OF_CLIENT: Final = "/v1/clients/{client_id}/alerts"
RULES: Final = "/v1/alert-rules"
RULE: Final = RULES + "/{rule_id}"
GUIDANCE: Final = "/v1/alert-guidance"

Reader = Annotated[Principal, Depends(require("alerts:read"))]
Writer = Annotated[Principal, Depends(require("alerts:write"))]
RuleReader = Annotated[Principal, Depends(require("alert-rules:read"))]
RuleWriter = Annotated[Principal, Depends(require("alert-rules:write"))]


def _alerts(
    request: Request, principal: Principal, session: SessionDep, audit: AuditDep, library: LibraryDep
) -> Alerts:
    repository = AlertRepository(session, principal.organisation_id)
    return Alerts(repository, library, alerts_of(request), request.app.state.keys, Steps(audit, session))


async def _for_readers(
    request: Request, principal: Reader, session: SessionDep, audit: AuditDep, library: LibraryDep
) -> Alerts:
    return _alerts(request, principal, session, audit, library)


async def _for_writers(
    request: Request, principal: Writer, session: SessionDep, audit: AuditDep, library: LibraryDep
) -> Alerts:
    return _alerts(request, principal, session, audit, library)


async def _rules_for_readers(
    request: Request, _: RuleReader, database: DatabaseDep, audit: AuditDep, library: LibraryDep
) -> Rules:
    return Rules(database, audit, library, alerts_of(request), request.app.state.authoring)


async def _rules_for_writers(
    request: Request, _: RuleWriter, database: DatabaseDep, audit: AuditDep, library: LibraryDep
) -> Rules:
    return Rules(database, audit, library, alerts_of(request), request.app.state.authoring)


ForReaders = Annotated[Alerts, Depends(_for_readers)]
ForWriters = Annotated[Alerts, Depends(_for_writers)]
RulesForReaders = Annotated[Rules, Depends(_rules_for_readers)]
RulesForWriters = Annotated[Rules, Depends(_rules_for_writers)]


@router.get(ALERTS, operation_id="listAlerts", responses=problems(RequestInvalid) | {200: LISTED[200]})
async def listed(
    alerts: ForReaders,
    wanted: Annotated[schemas.AlertFilters, Depends(inline(schemas.AlertFilters))],
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.AlertPage:
    """Alerts of all clients, urgent ones first and then the newest first."""
    items, more = await alerts.page(wanted, cursor, limit)
    if more is not None:
        asked = wanted.model_dump(mode="json") | {"limit": limit}
        response.headers.update(next_link(ALERTS, asked, more))
    return schemas.AlertPage(items=items, next=more)


@router.get(OF_CLIENT, operation_id="listAlertsOfClient", responses=LISTED)
async def listed_of_client(
    client_id: uuid.UUID,
    alerts: ForReaders,
    wanted: Annotated[schemas.Filters, Depends(inline(schemas.Filters))],
    response: Response,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.AlertPage:
    """Alerts of one client, in the same order."""
    given = wanted.model_dump(mode="json")
    filters = schemas.AlertFilters(client_id=client_id, **given)
    items, more = await alerts.page(filters, cursor, limit, of_client=True)
    if more is not None:
        response.headers.update(next_link(OF_CLIENT.format(client_id=client_id), given | {"limit": limit}, more))
    return schemas.AlertPage(items=items, next=more)


@router.get(ALERT, operation_id="readAlert", responses=FOUND)
async def read(alert_id: uuid.UUID, alerts: ForReaders) -> schemas.KeptAlert:
    """One alert as it stands, with who has seen to it."""
    return await alerts.alert(alert_id)


@router.post(
    ALERT + "/acknowledge",
    operation_id="acknowledgeAlert",
    responses=problems(AlertNotOpen, NotFound, RequestInvalid),
)
async def acknowledge(alert_id: uuid.UUID, body: schemas.AlertAcknowledge, alerts: ForWriters) -> schemas.KeptAlert:
    """Say that an open alert has been seen to. It is done once: a second time says who did it, and when."""
    return await alerts.acknowledge(alert_id, body)


@router.post(
    RULES,
    status_code=status.HTTP_201_CREATED,
    operation_id="createAlertRule",
    responses=problems(RequestInvalid) | {201: {"headers": LOCATION}},
)
async def create_rule(
    body: schemas.AlertRuleCreate, rules: RulesForWriters, response: Response
) -> schemas.AlertRuleRead:
    """Make a threshold. It is asked of every response to the instrument from now on, and never changes."""
    made = await rules.create(body)
    response.headers["Location"] = f"{RULES}/{made.id}"
    return made


@router.get(RULES, operation_id="listAlertRules", responses=problems(RequestInvalid) | {200: LISTED[200]})
async def list_rules(
    rules: RulesForReaders,
    response: Response,
    instrument: Annotated[schemas.Code | None, Query(description="Only those of this instrument")] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> schemas.AlertRulePage:
    """Thresholds in the order in which they were made, retired ones too."""
    items, more = await rules.rules(instrument, cursor, limit)
    if more is not None:
        response.headers.update(next_link(RULES, {"instrument": instrument, "limit": limit}, more))
    return schemas.AlertRulePage(items=items, next=more)


@router.get(RULE, operation_id="readAlertRule", responses=FOUND)
async def read_rule(rule_id: uuid.UUID, rules: RulesForReaders) -> schemas.AlertRuleRead:
    """One threshold."""
    return await rules.rule(rule_id)


@router.post(RULE + "/retire", operation_id="retireAlertRule", responses=FOUND)
async def retire_rule(rule_id: uuid.UUID, rules: RulesForWriters) -> schemas.AlertRuleRead:
    """Let a threshold raise nothing from now on; what it raised stays. Final, and safe to repeat."""
    return await rules.retire(rule_id)


@router.get(GUIDANCE, operation_id="readAlertGuidance", responses=problems(RequestInvalid) | {200: CHANGED[200]})
async def read_guidance(rules: RulesForReaders, response: Response) -> schemas.GuidanceRead:
    """What the organisation has to say about alerts. It is the organisation's own: nothing comes with the service."""
    found = await rules.guidance()
    response.headers["ETag"] = etag(found.version)
    return found


@router.put(
    GUIDANCE,
    operation_id="putAlertGuidance",
    responses=problems(PreconditionFailed, PreconditionRequired, RequestInvalid) | {200: CHANGED[200]},
)
async def put_guidance(
    body: schemas.GuidancePut, rules: RulesForWriters, response: Response, if_match: IfMatch = None
) -> schemas.GuidanceRead:
    """Write all texts anew. `If-Match` is needed: `"0"` where none was ever written."""
    written = await rules.write_guidance(body, if_match)
    response.headers["ETag"] = etag(written.version)
    return written
