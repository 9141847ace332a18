"""A form to show, made of a definition and a pack that fits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from api.wordings import schemas
from instruments import Instrument
from instruments.items import GATE, RATING, Item
from instruments.languages import direction
from instruments.wording import GATE_VALUES, ItemWording, Pack, StepWording, labelled


def form_of(
    instrument: Instrument,
    pack: Pack,
    *,
    variant: str,
    form: str | None,
    language: str,
    pack_version: int,
    licence: schemas.FormLicence,
) -> schemas.FormRead:
    """The form as a variant prints it, for one anatomy."""
    return schemas.FormRead(
        instrument=instrument.code,
        version=instrument.version,
        variant=variant,
        form=form,
        language=language,
        direction=direction(language),
        pack_version=pack_version,
        title=pack.of_whole("title", form) or instrument.name,
        instructions=pack.of_whole("instructions", form),
        items=[_item(item, pack.of_item(item.id, form)) for item in instrument.items_under(variant)],
        skips=[
            schemas.FormSkip(
                id=skip.id,
                meaning=skip.meaning,
                when=skip.when.model_dump(mode="json", by_alias=True, exclude_none=True),
                items=list(skip.items),
                answer=skip.answer,
            )
            for skip in instrument.skips
            if skip.holds_under(variant)
        ],
        licence=licence,
    )


def _item(item: Item, wording: ItemWording) -> schemas.FormItem:
    meanings: dict[int, str] = {option.value: option.meaning for option in item.not_applicable}
    ratings = () if item.two_step is None else item.two_step.yes
    return schemas.FormItem(
        id=item.id,
        text=wording.text,
        options=_options(labelled(item), wording.options or {}, meanings),
        gate=_step(item, GATE, wording.gate, GATE_VALUES),
        rating=_step(item, RATING, wording.rating, ratings),
    )


def _step(item: Item, step: str, wording: StepWording | None, values: Iterable[int]) -> schemas.FormStep | None:
    if wording is None:
        return None
    return schemas.FormStep(id=f"{item.id}.{step}", text=wording.text, options=_options(values, wording.options, {}))


def _options(values: Iterable[int], labels: Mapping[str, str], meanings: Mapping[int, str]) -> list[schemas.FormOption]:
    return [
        schemas.FormOption(value=value, label=labels[str(value)], not_applicable=meanings.get(value))
        for value in values
    ]
