"""A response that is put right by hand: the form says what holds now, and what is sent holds from then on.

The form carries the version that it was made of, and an idempotency key of its own: it corrects that version or none,
and sent twice it corrects once.
"""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import ValidationError

from api.care.router import ForReaders as CareDep
from api.catalogue.library import LibraryDep
from api.clients.codes import CODES
from api.clients.router import ForReaders as ClientsDep
from api.clients.service import Clients
from api.conditional import etag
from api.corrections.router import CorrectionsDep
from api.corrections.schemas import ResponseAmend
from api.corrections.service import Corrections, Request
from api.pages.access import FormDep, FormRoute
from api.pages.amended import Difference, differences
from api.pages.entry import KEY, EnteringDep, EntryForm, Filled, Shown, faults_told, read
from api.pages.forms import ANSWER
from api.pages.names import meaning
from api.pages.render import redirect
from api.problems import AnswersInvalid, IdempotencyKeyReused, PreconditionFailed, RequestInvalid
from api.responses.router import ResponsesDep
from api.responses.service import ResponseIsVoid
from api.responses.versions import MOST_REVISIONS
from api.wordings.router import ForForms
from instruments import Instrument
from instruments.items import GATE, RATING

router = APIRouter(route_class=FormRoute, include_in_schema=False)

AMEND: Final = "/app/responses/{response_id}/amend"
TAG: Final = re.compile(r"[0-9A-Za-z.-]{1,80}")
"""What an entity tag of a response holds, as forms carry one."""
_SAID: Final = {True: "yes", False: "no", None: ""}
_TOLD: Final = ("setting", "episode_id", "partnered", "active")
NOTHING_CHANGED: Final = "Nothing is different from what holds already. Change what was wrong."


@router.get(AMEND)
async def form(
    response_id: uuid.UUID,
    visit: EnteringDep,
    library: LibraryDep,
    clients: ClientsDep,
    care: CareDep,
    wordings: ForForms,
    responses: ResponsesDep,
    variant: Annotated[str | None, Query(max_length=40)] = None,
    shape: Annotated[str | None, Query(alias="form", max_length=40)] = None,
    language: Annotated[str | None, Query(max_length=35)] = None,
) -> Response:
    """What holds, in the fields. Of a response that was entered in error the history tells."""
    text, tag = await responses.document(response_id)
    told: dict[str, Any] = orjson.loads(text)
    about = await clients.get(uuid.UUID(told["client_id"]))
    if told["status"] == "entered-in-error":
        return redirect(f"/app/clients/{about.id}/history")
    told["answers"] = orjson.loads(await responses.version(response_id, told["revision"]))["answers"]
    instrument = await library.get(visit.principal.organisation_id, told["instrument"], told["version"])
    filled = Filled(uuid.uuid4().hex, _values(instrument, told) | {"tag": tag})
    entry = EntryForm(visit, care, wordings, about, instrument, AMEND.format(response_id=response_id))
    shown = Shown(instrument.version, variant or told["variant"], shape, language)
    return await entry.show("amend.html", shown, filled, **_context(told))


@router.post(AMEND)
async def amend(
    response_id: uuid.UUID,
    visit: EnteringDep,
    sent: FormDep,
    library: LibraryDep,
    clients: ClientsDep,
    care: CareDep,
    wordings: ForForms,
    corrections: CorrectionsDep,
) -> Response:
    """Put it right by what `POST /v1/responses/{id}/amend` does; or show the form again with its faults."""
    key, tag = sent.get("key", ""), sent.get("tag", "")
    filled = Filled(key if KEY.fullmatch(key) else uuid.uuid4().hex, sent)
    told, current = await _now(corrections, response_id)
    about = await clients.get(uuid.UUID(told["client_id"]))
    if told["status"] == "entered-in-error":
        raise ResponseIsVoid("It was found to be entered in error since this form was opened. Nothing was recorded.")
    instrument = await library.get(visit.principal.organisation_id, told["instrument"], told["version"])
    given = _given(instrument, filled, told)
    if tag == current and not filled.faults and not _otherwise(instrument, told, given):
        filled.elsewhere.append(NOTHING_CHANGED)
    meanwhile, status = None, 422
    try:
        told_well = given.keys() - ({"answered_at"} if filled.faults.keys() & {"day", "time"} else set())
        body = ResponseAmend.model_validate({name: given[name] for name in told_well})
        if not (filled.faults or filled.elsewhere):
            meant = etag(tag if TAG.fullmatch(tag) else "none")
            await corrections.amend(body, Request("amend", response_id, given, f"page-{filled.key}", meant))
            return redirect(f"/app/responses/{response_id}/recorded")
    except (ValidationError, AnswersInvalid, RequestInvalid) as error:
        filled.place(faults_told(error))
    except IdempotencyKeyReused:
        filled.key, filled.recorded_before, status = uuid.uuid4().hex, True, 409
    except PreconditionFailed:
        status = 409
        told, current = await _now(corrections, response_id)
        meanwhile = await _meanwhile(corrections, clients, instrument, told, sent)
    filled.values = sent | ({} if status == 422 else {"tag": current, "revision": str(told["revision"])})
    entry = EntryForm(visit, care, wordings, about, instrument, AMEND.format(response_id=response_id))
    return await entry.show("amend.html", Shown.sent(sent), filled, status, **_context(told, meanwhile))


async def _now(corrections: Corrections, response_id: uuid.UUID) -> tuple[dict[str, Any], str]:
    """What holds, with its answers, and the tag of it."""
    text, tag = await corrections.responses.document(response_id)
    told: dict[str, Any] = orjson.loads(text)
    if told["status"] != "entered-in-error":
        told["answers"] = orjson.loads(await corrections.responses.version(response_id, told["revision"]))["answers"]
    return told, tag


def _context(told: dict[str, Any], meanwhile: dict[str, Any] | None = None) -> dict[str, Any]:
    reasons = [(one.code, one.meaning) for one in CODES.correction]
    return {"response": told, "reasons": reasons, "meanwhile": meanwhile}


def _values(instrument: Instrument, told: dict[str, Any]) -> dict[str, str]:
    """A version, as the fields say it."""
    at = str(told["answered_at"])
    values = {
        "revision": str(told["revision"]),
        "answered_at": at,
        "day": at[:10],
        "time": at[11:16] if at[16:19] in ("Z", ":00") else at[11:19],
        "setting": told["setting"] or "",
        "episode_id": told["episode_id"] or "",
        "partnered": _SAID[told["partnered"]],
        "active": _SAID[told["active"]],
    }
    steps = {item.id: item.two_step for item in instrument.items if item.two_step is not None}
    for name, answer in told["answers"].items():
        two = steps.get(name)
        rating = None if two is None else next((one for one, stands in two.yes.items() if stands == answer), None)
        if two is not None and rating is not None:
            values |= {f"{ANSWER}{name}.{GATE}": "1", f"{ANSWER}{name}.{RATING}": str(rating)}
        elif two is not None and answer == two.no:
            values[f"{ANSWER}{name}.{GATE}"] = "0"
        elif answer is not None:
            values[ANSWER + name] = str(answer)
    return values


def _given(instrument: Instrument, filled: Filled, told: dict[str, Any]) -> dict[str, Any]:
    """What the form says, as the API would be sent it. A field that the form does not have changes nothing."""
    sent = filled.values
    given = {name: value for name, value in read(instrument, filled).items() if name not in _TOLD or name in sent}
    before = sent.get("answered_at", "")
    same = _values(instrument, told | {"answered_at": before})
    if before and all(same[name] == sent.get(name, "").strip() for name in ("day", "time")):
        given["answered_at"] = before  # to the fraction of a second, which no field shows
    given |= {"reason": sent.get("reason", "").replace("\r\n", "\n"), "reason_code": sent.get("reason_code", "")}
    return given | ({"variant": sent["variant"]} if sent.get("variant") else {})


def _otherwise(instrument: Instrument, told: dict[str, Any], given: dict[str, Any]) -> bool:
    """Whether anything but the reason would change."""
    now = _values(instrument, told)
    then = _values(instrument, told | given)
    return now != then or given.get("variant", told["variant"]) != told["variant"]


async def _meanwhile(
    corrections: Corrections, clients: Clients, instrument: Instrument, told: dict[str, Any], sent: dict[str, str]
) -> dict[str, Any]:
    """Who put it right since the form was opened, why, and what is otherwise since."""
    history, _ = await corrections.history(uuid.UUID(told["id"]))
    last = history["versions"][-1]
    revision = sent.get("revision", "")
    known = revision.isascii() and revision.isdigit() and 1 <= int(revision[:9]) <= MOST_REVISIONS
    changed: list[Difference] = []
    if known and int(revision) < told["revision"]:
        text = await corrections.responses.version(uuid.UUID(told["id"]), int(revision))
        changed = differences(instrument, orjson.loads(text), told)
    return {
        "by": last["by"],
        "at": last["at"],
        "why": meaning("correction", last["reason_code"]),
        "reason": last["reason"],
        "changed": changed,
    }
