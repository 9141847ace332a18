"""A response that is entered by hand: the questionnaire is looked for, then filled in, then kept as the API keeps one.

The form carries an idempotency key of its own: sent twice, it is recorded once.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError

from api.care.router import ForReaders as CareDep
from api.care.service import Care
from api.catalogue import finding
from api.catalogue.library import Library, LibraryDep
from api.catalogue.schemas import InstrumentQuery
from api.clients.codes import CODES
from api.clients.router import ForReaders as ClientsDep
from api.clients.schemas import ClientRead
from api.clients.service import Clients
from api.pages.access import FormDep, Visit, VisitDep
from api.pages.forms import ANSWER, TOPICS, by_topic, by_wording, languages, wording_of
from api.pages.names import called, meaning
from api.pages.render import page, redirect
from api.pages.render import query as with_query
from api.problems import AnswersInvalid, IdempotencyKeyReused, NotFound, RequestInvalid
from api.responses.idempotency import fingerprint
from api.responses.router import SCOPE, keep
from api.responses.schemas import ResponseCreate
from api.wordings.router import ForForms
from api.wordings.service import Wordings
from instruments import Instrument

router = APIRouter(include_in_schema=False)

ENTER: Final = "/app/clients/{client_id}/enter"
FORM: Final = ENTER + "/{code}"
MOST_EPISODES: Final = 100
_WHOLE: Final = re.compile(r"-?[0-9]{1,6}")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")
KEY: Final = re.compile(r"[0-9a-f]{32}")
"""An idempotency key, as forms carry one."""
_SAID: Final = {"yes": True, "no": False}
_WORDS: Final = {
    "outside-episode": "The day lies outside of the chosen episode. Choose another one, or none.",
    "unknown-episode": "The client has no such episode.",
}
"""In place of what a problem says to programs, by the code of the fault."""
NOTHING_ANSWERED: Final = "Nothing is answered yet. Answer at least one question; others may stay empty."


class Shown(NamedTuple):
    """Which of the questionnaire's printed forms is shown."""

    version: int | None = None
    variant: str | None = None
    shape: str | None = None
    language: str | None = None


@dataclass(slots=True)
class Filled:
    """What stands in the fields, and what is wrong with it."""

    key: str
    values: dict[str, str]
    faults: dict[str, str] = field(default_factory=dict)
    """By the name of the field."""
    elsewhere: list[str] = field(default_factory=list)
    """Faults of what no field of this form has sent."""
    recorded_before: bool = False


def _entering(visit: VisitDep) -> Visit:
    visit.principal.allow(SCOPE)
    return visit


EnteringDep = Annotated[Visit, Depends(_entering)]


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
        "enter.html", visit=visit, client=about, called=called(about.id, about.external_id), found=found, words=q or ""
    )


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
    form = _Page(visit, library, clients, care, wordings, client_id, code)
    return await form.show(Shown(None, variant, shape, language), Filled(uuid.uuid4().hex, values))


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
    version = sent.get("version", "")
    shown = Shown(
        int(version) if version.isascii() and version.isdigit() and len(version) < 10 else None,
        sent.get("variant") or None,
        sent.get("form") or None,
        sent.get("language") or None,
    )
    key = sent.get("key", "")
    filled = Filled(key if KEY.fullmatch(key) else uuid.uuid4().hex, sent)
    instrument = await _to_record(library, visit, code, shown.version)
    given = _read(client_id, instrument, shown, filled)
    status = 422
    if not filled.faults:
        try:
            body = ResponseCreate.model_validate(given)
            kept = await keep(request, visit.principal, body, key=f"page-{filled.key}", request_hash=fingerprint(given))
            return redirect(f"/app/responses/{kept.response_id}/recorded")
        except ValidationError as error:
            told = [("/".join(map(str, fault["loc"])), str(fault["msg"])) for fault in error.errors()]
        except (AnswersInvalid, RequestInvalid) as problem:
            told = [
                (str(fault.get("pointer", "")).lstrip("/"), _WORDS.get(fault["code"], str(fault["detail"])))
                for fault in problem.errors
            ]
        except IdempotencyKeyReused:
            filled.key, filled.recorded_before, told, status = uuid.uuid4().hex, True, [], 409
        _place(filled, told)
    form = _Page(visit, library, clients, care, wordings, client_id, code)
    return await form.show(shown._replace(version=instrument.version), filled, status)


async def _to_record(library: Library, visit: Visit, code: str, version: int | None) -> Instrument:
    try:
        return await library.to_record(visit.principal.organisation_id, code, version)
    except RequestInvalid:
        raise NotFound("There is no such questionnaire to fill in.") from None


def _read(client_id: uuid.UUID, instrument: Instrument, shown: Shown, filled: Filled) -> dict[str, Any]:
    """What the fields say, as the API would be sent it. What cannot be said so is a fault."""
    sent = filled.values
    day, time = sent.get("day", "").strip(), sent.get("time", "").strip()
    try:
        date.fromisoformat(day)
    except ValueError:
        filled.faults["day"] = "Give a day that there is, such as 2026-03-06."
    if _TIME.fullmatch(time) is None:
        filled.faults["time"] = "Give a time, such as 09:30."
    answers = {
        name.removeprefix(ANSWER): int(text) if _WHOLE.fullmatch(text) else text
        for name, text in sent.items()
        if name.startswith(ANSWER) and text
    }
    if not answers:
        first = instrument.items[0]
        filled.faults[ANSWER + (first.id if first.two_step is None else first.names[1])] = NOTHING_ANSWERED
    given: dict[str, Any] = {
        "client_id": str(client_id),
        "instrument": instrument.code,
        "version": instrument.version,
        "variant": shown.variant,
        "answered_at": f"{day}T{time if len(time) > 5 else time + ':00'}Z",
        "answers": answers,
        "setting": sent.get("setting") or None,
        "episode_id": sent.get("episode_id") or None,
        "partnered": _SAID.get(sent.get("partnered", "")),
        "active": _SAID.get(sent.get("active", "")),
    }
    return {name: value for name, value in given.items() if value is not None}


def _place(filled: Filled, told: list[tuple[str, str]]) -> None:
    """Put each fault where its field is."""
    for path, words in told:
        name = ANSWER + path.removeprefix("answers/") if path.startswith("answers/") else path
        name = "day" if name == "answered_at" else name
        filled.faults.setdefault(name, words)


@dataclass(frozen=True, slots=True)
class _Page:
    """The form of one questionnaire for one client, to be shown."""

    visit: Visit
    library: Library
    clients: Clients
    care: Care
    wordings: Wordings
    client_id: uuid.UUID
    code: str

    async def show(self, shown: Shown, filled: Filled, status: int = 200) -> Response:
        """The form with what stands in its fields."""
        about = await self.clients.get(self.client_id)
        instrument = await _to_record(self.library, self.visit, self.code, shown.version)
        variant = shown.variant if shown.variant in instrument.variant_ids else instrument.variant_ids[0]
        shape = _shape(instrument, shown.shape, about)
        printed = await wording_of(self.wordings, instrument, variant, shape, shown.language)
        questions = by_topic(instrument, variant, shape) if printed is None else by_wording(printed)
        episodes, _ = await self.care.episodes(self.client_id, None, MOST_EPISODES)
        labels = {"day": "Day", "time": "Time", "setting": "Where", "episode_id": "Episode"}
        labels |= {"partnered": "Partner", "active": "Activity"}
        labels |= {question.field: f"Question {question.number}" for question in questions}
        filled.elsewhere += [words for name, words in filled.faults.items() if name not in labels]
        asked = {"variant": variant, "form": shape, "language": shown.language}
        here = FORM.format(client_id=self.client_id, code=self.code)
        tongues = await languages(self.wordings, instrument, variant)
        return page(
            "entry.html",
            status=status,
            visit=self.visit,
            client=about,
            called=called(about.id, about.external_id),
            instrument=instrument,
            here=here,
            variant=variant,
            shape=shape,
            language=shown.language,
            printed=printed,
            questions=questions,
            faults={name: words for name, words in filled.faults.items() if name in labels},
            labels=labels,
            filled=filled,
            episodes=[(row, meaning("episode_format", row.format)) for row in reversed(episodes)],
            settings=[(one.code, one.meaning) for one in CODES.setting],
            skips=[skip for skip in instrument.skips if skip.holds_under(variant)],
            variants=[
                (one.name, with_query(here, **{**asked, "variant": one.id}), one.id == variant)
                for one in instrument.variants
            ],
            shapes=[
                (one.id.replace("-", " "), with_query(here, **{**asked, "form": one.id}), one.id == shape)
                for one in instrument.forms
            ],
            tongues=[
                (tag, with_query(here, **{**asked, "language": tag}), printed is not None and printed.language == tag)
                for tag in tongues
            ]
            + [("by topic only", with_query(here, **{**asked, "language": TOPICS}), printed is None)] * bool(tongues),
        )


def _shape(instrument: Instrument, given: str | None, about: ClientRead) -> str | None:
    """Which of the forms by anatomy: the one named, or the first that fits what is known of the client."""
    known = {one.id: set(one.organs) for one in instrument.forms}
    if given in known or not known:
        return given if given in known else None
    organs = set(about.organs or ())
    return next((one for one, needed in known.items() if needed & organs), next(iter(known)))
