"""A response that is entered by hand: the questionnaire is looked for, then filled in, then kept as the API keeps one.

The form carries an idempotency key of its own: sent twice, it is recorded once.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from api.care.router import ForReaders as CareDep
from api.catalogue import finding
from api.catalogue.library import Library, LibraryDep
from api.catalogue.schemas import InstrumentQuery, InstrumentSummary
from api.clients.router import ForReaders as ClientsDep
from api.pages.access import FormDep, FormRoute, Visit
from api.pages.client import NO_CONCERN
from api.pages.entry import KEY, EnteringDep, EntryForm, Filled, Shown, faults_told, read
from api.pages.names import called
from api.pages.render import page, redirect
from api.problems import AnswersInvalid, IdempotencyKeyReused, NotFound, RequestInvalid
from api.responses.idempotency import fingerprint
from api.responses.router import keep
from api.responses.schemas import ResponseCreate
from api.wordings.router import ForForms
from instruments import Instrument, vocabulary

router = APIRouter(route_class=FormRoute, include_in_schema=False)

ENTER: Final = "/app/clients/{client_id}/enter"
FORM: Final = ENTER + "/{code}"


@router.get(ENTER)
async def choose(
    client_id: uuid.UUID,
    visit: EnteringDep,
    library: LibraryDep,
    clients: ClientsDep,
    q: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Questionnaires that can be filled in, found by words."""
    about = await clients.get(client_id)
    entries = list(finding.shipped())
    for own, version in await library.own_newest(visit.principal.organisation_id, finding.entry):
        entries.append(finding.retired(own) if version.retired else own)
    found = finding.select(entries, InstrumentQuery(status="published", q=q or None))
    return page(
        "enter.html",
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        found=found,
        groups=_by_concern(found),
        words=q or "",
    )


def _by_concern(found: Sequence[InstrumentSummary]) -> dict[str, list[InstrumentSummary]]:
    """In the order of the vocabulary, each under every concern that it fits."""
    grouped = {
        one.name: [entry for entry in found if concern in entry.concerns] for concern, one in vocabulary().items()
    }
    grouped[NO_CONCERN] = [entry for entry in found if not vocabulary().keys() & set(entry.concerns)]
    return {name: held for name, held in grouped.items() if held}


@router.get(FORM)
async def form(
    client_id: uuid.UUID,
    code: str,
    visit: EnteringDep,
    library: LibraryDep,
    clients: ClientsDep,
    care: CareDep,
    wordings: ForForms,
    variant: Annotated[str | None, Query(max_length=40)] = None,
    shape: Annotated[str | None, Query(alias="form", max_length=40)] = None,
    language: Annotated[str | None, Query(max_length=35)] = None,
) -> Response:
    """One questionnaire, empty."""
    now = datetime.now(UTC)
    values = {"day": f"{now:%Y-%m-%d}", "time": f"{now:%H:%M}"}
    about = await clients.get(client_id)
    instrument = await _to_record(library, visit, code, None)
    form = EntryForm(visit, care, wordings, about, instrument, FORM.format(client_id=client_id, code=code))
    shown = Shown(None, variant, shape, language)
    return await form.show("entry.html", shown, Filled(uuid.uuid4().hex, values))


@router.post(FORM)
async def record(
    request: Request,
    client_id: uuid.UUID,
    code: str,
    visit: EnteringDep,
    sent: FormDep,
    library: LibraryDep,
    clients: ClientsDep,
    care: CareDep,
    wordings: ForForms,
) -> Response:
    """Score it and keep it, by what `POST /v1/responses` does; or show it again with its faults."""
    shown = Shown.sent(sent)
    key = sent.get("key", "")
    filled = Filled(key if KEY.fullmatch(key) else uuid.uuid4().hex, sent)
    instrument = await _to_record(library, visit, code, shown.version)
    given: dict[str, Any] = {
        "client_id": str(client_id),
        "instrument": instrument.code,
        "version": instrument.version,
        "variant": shown.variant,
        **read(instrument, filled),
    }
    given = {name: value for name, value in given.items() if value is not None}
    status = 422
    if not filled.faults:
        try:
            body = ResponseCreate.model_validate(given)
            kept = await keep(request, visit.principal, body, key=f"page-{filled.key}", request_hash=fingerprint(given))
            return redirect(f"/app/responses/{kept.response_id}/recorded")
        except (ValidationError, AnswersInvalid, RequestInvalid) as error:
            filled.place(faults_told(error))
        except IdempotencyKeyReused:
            filled.key, filled.recorded_before, status = uuid.uuid4().hex, True, 409
    about = await clients.get(client_id)
    form = EntryForm(visit, care, wordings, about, instrument, FORM.format(client_id=client_id, code=code))
    return await form.show("entry.html", shown._replace(version=instrument.version), filled, status)


async def _to_record(library: Library, visit: Visit, code: str, version: int | None) -> Instrument:
    try:
        return await library.to_record(visit.principal.organisation_id, code, version)
    except RequestInvalid:
        raise NotFound("There is no such questionnaire to fill in.") from None
