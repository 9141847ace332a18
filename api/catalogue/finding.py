"""Finding the right instrument: what is in the catalogue, narrowed by what is asked for.

Shipped entries are read once and answered from memory. Applicability goes by organs, partner and activity, never by
gender.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import instruments
from api.catalogue import schemas
from api.catalogue.service import definition_url
from instruments import Concern, Instrument, Listed
from instruments.languages import chain


@dataclass(frozen=True, slots=True)
class Entry:
    """An instrument as lists show it, and the text that words are looked for in."""

    summary: schemas.InstrumentSummary
    text: str


def summary(
    described: Instrument | Listed, status: schemas.InstrumentStatus | None = None
) -> schemas.InstrumentSummary:
    """An instrument, or an entry that cannot be scored, as lists show it."""
    instrument = described if isinstance(described, Instrument) else None
    return schemas.InstrumentSummary(
        code=described.code,
        version=instrument.version if instrument else None,
        status=status or ("published" if instrument else "listed"),
        name=described.name,
        measures=described.measures,
        concerns=list(described.concerns),
        licence=schemas.LicenceSummary(status=described.licence.status, holder=described.licence.holder),
        applicability=schemas.ApplicabilityRead.model_validate(described.applicability.model_dump()),
        languages=list(described.languages),
        minutes=described.minutes,
        recall_days=described.recall_days,
        items=len(instrument.items) if instrument else None,
        scales=[scale.id for scale in instrument.scales] if instrument else [],
        variants=list(instrument.variant_ids) if instrument else [],
        needs_review=list(instrument.needs_review) if instrument else [],
        missing=[] if isinstance(described, Instrument) else list(described.missing),
        definition_url=definition_url(instrument.code, instrument.version) if instrument else None,
    )


def entry(described: Instrument | Listed, status: schemas.InstrumentStatus | None = None) -> Entry:
    """An entry of a list, with the words of its concerns' names and terms among those it is found by."""
    named = [concern for name in described.concerns if (concern := instruments.vocabulary().get(name)) is not None]
    words = [described.code, described.name, described.measures, described.population, *described.concerns]
    words += [word for concern in named for word in (concern.name, *concern.terms)]
    return Entry(summary(described, status), " ".join(words).casefold())


def retired(one: Entry) -> Entry:
    """The same entry of a version that takes no new responses."""
    return Entry(one.summary.model_copy(update={"status": "retired"}), one.text)


@lru_cache(maxsize=1)
def shipped() -> tuple[Entry, ...]:
    """Every entry that ships with the project: the newest version of what can be scored, and what is only listed."""
    catalogue = instruments.catalogue()
    found = [entry(catalogue.get(code)) for code in catalogue.codes]
    return tuple(sorted([*found, *map(entry, catalogue.listed.values())], key=lambda one: one.summary.code))


def select(entries: Iterable[Entry], asked: schemas.InstrumentQuery) -> list[schemas.InstrumentSummary]:
    """The entries that meet every condition, by code; for a concern those recommended for it come first, in order."""
    found = [one.summary for one in entries if _fits(one, asked)]
    if asked.concern is None:
        return sorted(found, key=lambda one: one.code)
    ranks = {r.instrument: rank for rank, r in enumerate(instruments.vocabulary()[asked.concern].recommended)}
    return sorted(found, key=lambda one: (ranks.get(one.code, len(ranks)), one.code))


def _fits(one: Entry, asked: schemas.InstrumentQuery) -> bool:
    found, applies = one.summary, one.summary.applicability
    return (
        (asked.concern is None or asked.concern in found.concerns)
        and (asked.anatomy is None or not applies.organs or asked.anatomy in applies.organs)
        and (asked.partnered is not False or applies.partner == "not-needed")
        and (asked.active is not False or applies.activity == "not-needed")
        and (asked.language is None or _speaks(found.languages, asked.language))
        and (asked.licence is None or asked.licence == found.licence.status)
        and (asked.max_minutes is None or (found.minutes is not None and found.minutes <= asked.max_minutes))
        and (asked.status is None or asked.status == found.status)
        and (asked.q is None or all(word in one.text for word in asked.q.casefold().split()))
    )


def _speaks(languages: list[str], wanted: str) -> bool:
    """Whether there is that language, one that it falls back to (`pt` for `pt-BR`), or one of its regions."""
    return any(tag in chain(wanted) or wanted in chain(tag) for tag in languages)


@lru_cache(maxsize=1)
def vocabulary() -> schemas.ConcernList:
    """Every concern with what it is best measured by."""
    return schemas.ConcernList(items=[_concern(concern) for concern in instruments.vocabulary().values()])


def _concern(concern: Concern) -> schemas.ConcernRead:
    by_code = {one.summary.code: one.summary for one in shipped()}
    return schemas.ConcernRead(
        id=concern.id,
        name=concern.name,
        meaning=concern.meaning,
        terms=list(concern.terms),
        recommended=[
            schemas.RecommendationRead(
                instrument=r.instrument,
                name=by_code[r.instrument].name,
                why=r.why,
                licence=by_code[r.instrument].licence,
                applicability=by_code[r.instrument].applicability,
                minutes=by_code[r.instrument].minutes,
            )
            for r in concern.recommended
        ],
        otherwise=[schemas.AlternativeRead(who=o.who, use=list(o.use), why=o.why) for o in concern.otherwise],
        instruments=[code for code, one in by_code.items() if concern.id in one.concerns],
    )
