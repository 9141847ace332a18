"""A questionnaire that is filled in by hand: what stands in its fields, what that says, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Depends, Response
from pydantic import ValidationError

from api.care.service import Care
from api.clients.codes import CODES
from api.clients.schemas import ClientRead
from api.pages.access import Visit, VisitDep
from api.pages.forms import ANSWER, TOPICS, by_topic, by_wording, languages, wording_of
from api.pages.names import called, meaning
from api.pages.render import page
from api.pages.render import query as with_query
from api.pages.told import in_words
from api.problems import AnswersInvalid, RequestInvalid
from api.responses.router import SCOPE
from api.wordings.service import Wordings
from instruments import Instrument

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

LABELS: Final = {
    "day": "Day",
    "time": "Time",
    "setting": "Where",
    "episode_id": "Episode",
    "partnered": "Partner",
    "active": "Activity",
}
"""Of the fields before the questions."""
REASONS: Final = {"reason_code": "Why", "reason": "In your words"}
"""Of those after them, where a response is put right."""


class Shown(NamedTuple):
    """Which of the questionnaire's printed forms is shown."""

    version: int | None = None
    variant: str | None = None
    shape: str | None = None
    language: str | None = None

    @classmethod
    def sent(cls, form: dict[str, str]) -> Shown:
        """As a form says it."""
        version = form.get("version", "")
        return cls(
            int(version) if version.isascii() and version.isdigit() and len(version) < 10 else None,
            form.get("variant") or None,
            form.get("form") or None,
            form.get("language") or None,
        )


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

    def place(self, told: Iterable[tuple[str, str]]) -> None:
        """Put each fault, a path and its words, where its field is."""
        for path, words in told:
            name = ANSWER + path.removeprefix("answers/") if path.startswith("answers/") else path
            name = "day" if name == "answered_at" else name
            self.faults.setdefault(name, words)


async def _entering(visit: VisitDep) -> Visit:
    visit.principal.allow(SCOPE)
    return visit


EnteringDep = Annotated[Visit, Depends(_entering)]


def read(instrument: Instrument, filled: Filled) -> dict[str, Any]:
    """What the fields say, as the API would be sent it; None is an empty field. What cannot be said so is a fault."""
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
    return {
        "answered_at": f"{day}T{time if len(time) > 5 else time + ':00'}Z",
        "answers": answers,
        "setting": sent.get("setting") or None,
        "episode_id": sent.get("episode_id") or None,
        "partnered": _SAID.get(sent.get("partnered", "")),
        "active": _SAID.get(sent.get("active", "")),
    }


def faults_told(error: ValidationError | AnswersInvalid | RequestInvalid) -> list[tuple[str, str]]:
    """What a service finds wrong: paths into what it was sent, each with words for people."""
    if isinstance(error, ValidationError):
        return [("/".join(map(str, fault["loc"])), in_words(fault)) for fault in error.errors()]
    return [
        (str(fault.get("pointer", "")).lstrip("/"), _WORDS.get(fault["code"], str(fault["detail"])))
        for fault in error.errors
    ]


@dataclass(frozen=True, slots=True)
class EntryForm:
    """The form of one questionnaire for one client, to be shown."""

    visit: Visit
    care: Care
    wordings: Wordings
    about: ClientRead
    instrument: Instrument
    here: str
    """Path of the form, for other ways to show it."""

    async def show(self, template: str, shown: Shown, filled: Filled, status: int = 200, **context: Any) -> Response:
        """The form with what stands in its fields."""
        instrument, about, here = self.instrument, self.about, self.here
        variant = shown.variant if shown.variant in instrument.variant_ids else instrument.variant_ids[0]
        shape = _shape(instrument, shown.shape, about)
        printed = await wording_of(self.wordings, instrument, variant, shape, shown.language)
        questions = by_topic(instrument, variant, shape) if printed is None else by_wording(printed)
        episodes, _ = await self.care.episodes(about.id, None, MOST_EPISODES)
        labels = LABELS | {question.field: question.called for question in questions} | REASONS
        filled.elsewhere += [words for name, words in filled.faults.items() if name not in labels]
        asked = {"variant": variant, "form": shape, "language": shown.language}
        tongues = await languages(self.wordings, instrument, variant)
        return page(
            template,
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
            **context,
        )


def _shape(instrument: Instrument, given: str | None, about: ClientRead) -> str | None:
    """Which of the forms by anatomy: the one named, or the first that fits what is known of the client."""
    known = {one.id: set(one.organs) for one in instrument.forms}
    if given in known or not known:
        return given if given in known else None
    organs = set(about.organs or ())
    return next((one for one, needed in known.items() if needed & organs), next(iter(known)))
