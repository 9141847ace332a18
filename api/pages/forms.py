"""A questionnaire as a page shows it: by topics in our own words, or by the wording that the organisation may use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from api.wordings.problems import LicenceExpired, LicenceNotYetValid, WordingMissing
from api.wordings.schemas import FormItem, FormOption, FormRead
from api.wordings.service import Wordings, state_of, today
from instruments import Instrument
from instruments.items import GATE, RATING, Item
from instruments.wording import GATE_VALUES, printed

TOPICS: Final = "topics"
"""Chosen instead of a language: no wording, even where there is one."""
ANSWER: Final = "a-"
"""Before the name of an answer, in the names of fields."""
MOST_BUTTONS: Final = 11
"""Of more options a question is a list to choose from."""
DOES_NOT_APPLY: Final = {
    "no-activity": "no sexual activity",
    "no-attempt": "no attempt",
    "no-partner": "no partner",
    "not-relevant": "does not apply",
}
_GATE_LABELS: Final = {0: "no", 1: "yes"}


@dataclass(frozen=True, slots=True)
class Option:
    """One answer that may be chosen; ``words`` are of the wording, or a number."""

    value: int
    words: str
    apart: str = ""
    """What it says where the question does not apply."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is asked, under the name that its answer is given by."""

    name: str
    number: str
    words: str
    options: Sequence[Option]

    @property
    def field(self) -> str:
        """Name of the field, and the anchor of its faults."""
        return ANSWER + self.name

    @property
    def called(self) -> str:
        """In a list of faults: by its number, or by its words where it has an id that is no number."""
        return f"Question {self.number}" if self.number[0].isdigit() else self.words

    @property
    def begins(self) -> str:
        """Before its words: its number, if it has one."""
        return f"{self.number}. " if self.number[0].isdigit() else ""

    @property
    def listed(self) -> bool:
        """Whether there are so many options that they are a list."""
        return len(self.options) > MOST_BUTTONS


def by_topic(instrument: Instrument, variant: str, shape: str | None) -> list[Question]:
    """The questions of a variant by their topics, as the form for one anatomy has them."""
    return [one for item in instrument.items_under(variant) for one in _by_topic(item, shape)]


def _by_topic(item: Item, shape: str | None) -> Iterator[Question]:
    words = (item.topic_by_form or {}).get(shape or "", item.topic)
    meanings = {option.value: DOES_NOT_APPLY[option.meaning] for option in item.not_applicable}
    if item.two_step is None:
        yield Question(item.id, item.id, words, _numbers(item.options, meanings))
        return
    gate = [Option(value, _GATE_LABELS[value]) for value in GATE_VALUES]
    yield Question(f"{item.id}.{GATE}", item.id, words, gate)
    yield Question(f"{item.id}.{RATING}", item.id, f"{words}: if yes, how much", _numbers(item.two_step.yes, {}))
    if apart := _numbers(meanings, meanings):
        yield Question(item.id, item.id, f"{words}: instead of both", apart)


def _numbers(values: Iterable[int], meanings: dict[int, str]) -> list[Option]:
    return [Option(value, str(value), meanings.get(value, "")) for value in values]


def by_wording(form: FormRead) -> list[Question]:
    """The questions as they are printed."""
    return [one for item in form.items for one in _by_wording(item)]


def _by_wording(item: FormItem) -> Iterator[Question]:
    if item.gate is None or item.rating is None:
        yield Question(item.id, item.id, item.text, _labelled(item.options))
        return
    yield Question(item.gate.id, item.id, item.gate.text or item.text, _labelled(item.gate.options))
    yield Question(item.rating.id, item.id, item.rating.text or item.text, _labelled(item.rating.options))
    if apart := [option for option in item.options if option.not_applicable]:
        yield Question(item.id, item.id, item.text, _labelled(apart))


def _labelled(options: Iterable[FormOption]) -> list[Option]:
    return [
        Option(option.value, option.label, DOES_NOT_APPLY.get(option.not_applicable or "", "")) for option in options
    ]


async def languages(wordings: Wordings, instrument: Instrument, variant: str) -> list[str]:
    """The languages in which the organisation may show the form today."""
    rows = await wordings.repository.languages(instrument.code, instrument.version, printed(instrument, variant))
    day = today()
    return [row.language for row in rows if not row.withdrawn and state_of(row, day)[0] in ("held", "expiring")]


async def wording_of(
    wordings: Wordings, instrument: Instrument, variant: str, shape: str | None, language: str | None
) -> FormRead | None:
    """The form in a language, or in the first that there is; None where it is shown by topics."""
    if language == TOPICS:
        return None
    try:
        return await wordings.form(instrument.code, instrument.version, language=language, form=shape, variant=variant)
    except (LicenceExpired, LicenceNotYetValid, WordingMissing):
        return None
