"""Placeholder wording for any instrument: numbered, of no questionnaire, with letters that an encoding could break."""

from __future__ import annotations

from collections.abc import Iterable

from instruments.items import Item
from instruments.schema import Instrument
from instruments.wording import ItemWording, Pack, StepWording, labelled


def placeholder(instrument: Instrument, variant: str) -> Pack:
    """A pack with a text for every question and option."""
    return Pack(
        title=f"Form {instrument.code} — ä ß 漢 <b>",
        instructions="Placeholder of the instructions.",
        items={item.id: _worded(number, item) for number, item in enumerate(instrument.items_under(variant), 1)},
    )


def _worded(number: int, item: Item) -> ItemWording:
    text = f"Placeholder {number} & more"
    if item.two_step is None:
        return ItemWording(text=text, options=_labels(item.options))
    gate, rating = (
        StepWording(text=text, options=_labels((0, 1))),
        StepWording(text=text, options=_labels(item.two_step.yes)),
    )
    return ItemWording(text=text, options=_labels(labelled(item)) or None, gate=gate, rating=rating)


def _labels(values: Iterable[int]) -> dict[str, str]:
    return {str(value): f"choice {value}" for value in values}
