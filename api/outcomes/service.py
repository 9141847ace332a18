"""From a question to an answer: what is asked for, the one read, the statistics in a thread, and the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.catalogue.library import Library, Shelf
from api.catalogue.service import provenance
from api.lane import Lane
from api.outcomes import schemas
from api.outcomes.repository import MOST_ANSWERED, Measure, OutcomeRepository, Selection
from api.outcomes.statistics import Asked, groups, own_sample
from api.problems import RequestInvalid
from api.records.audit import Audit
from instruments import Instrument, UnknownInstrument
from instruments.concerns import vocabulary
from instruments.services import Service, services
from scoring.groups.rates import DENOMINATORS
from scoring.progress_figures import figures

MOST: Final = 8
MOST_OF_ONE: Final = 2
"""Outcomes being worked out in this process: in all, and of one organisation."""
CONFIDENCE: Final = 0.95

_UNIT: Final = "One episode that has ended; somebody with several counts with each."
_PRE: Final = (
    "The last usable score before the start, of a form recorded with no episode in the window before it; "
    "else the first usable score of the episode."
)
_POST: Final = (
    "The last usable score of the episode until the window after its end has passed, unless it is the one before."
)


@dataclass(frozen=True)
class Question:
    """What is asked, known to exist."""

    instrument: Instrument
    scale: str
    variant: str
    query: schemas.OutcomesQuery

    @property
    def selection(self) -> Selection:
        """The episodes that are meant."""
        query = self.query
        return Selection(query.since, query.until, query.modality, query.format, query.concern, query.window)


def question(shelf: Shelf, query: schemas.OutcomesQuery) -> Question:
    """A checked question.

    Raises
    ------
    RequestInvalid
        With every fault and the parameter it lies in.
    """
    faults = []
    if query.since is not None and query.until is not None and query.since > query.until:
        faults.append(_fault("to", "days-out-of-order", "is not before `from`"))
    if query.concern is not None and query.concern not in vocabulary():
        faults.append(_fault("concern", "unknown-concern", "has to be an id of /v1/concerns"))
    try:
        instrument = shelf.get(query.instrument)
    except UnknownInstrument:
        faults.append(_fault("instrument", "unknown-instrument", "has to be a code of /v1/instruments"))
        raise RequestInvalid(errors=faults) from None
    scales = [scale.id for scale in instrument.scales]
    scale = query.scale or instrument.overall_scale
    variant = query.variant or instrument.variant_ids[0]
    for name, value, known in (("scale", scale, scales), ("variant", variant, list(instrument.variant_ids))):
        if value not in known:
            faults.append(_fault(name, f"unknown-{name}", f"has to be one of {', '.join(known)}"))
    if faults:
        raise RequestInvalid(errors=faults)
    return Question(instrument, scale, variant, query)


def _fault(parameter: str, code: str, detail: str) -> dict[str, str]:
    return {"parameter": parameter, "in": "query", "code": code, "detail": detail}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes of one organisation, for one request."""

    audit: Audit
    library: Library
    lane: Lane
    smallest: int

    async def read(self, asked: Question) -> schemas.OutcomesRead:
        """The answer. That it was asked for is kept in the audit trail, in the transaction that reads.

        Raises
        ------
        ServiceUnavailable
            Too many such questions are being worked on.
        """
        organisation_id = self.audit.principal.organisation_id
        instrument, variant = asked.instrument, asked.variant
        measures, used = await self._measures(asked)
        settings = Asked(
            instrument,
            figures(instrument, asked.scale, variant),
            variant,
            tuple(used),
            asked.query.group_by,
            self.smallest,
        )
        forms: Sequence[tuple[str, dict[str, Any]]] = ()
        # The connection is given back before anything is computed: who waits for the lane holds nobody up.
        async with self.audit.database.session(organisation_id) as session:
            self.audit.record(session, "aggregate", "outcome")
            repository = OutcomeRepository(session, organisation_id)
            episodes = await repository.episodes(
                asked.selection, measures, by_concern=asked.query.group_by == "concern"
            )
            if asked.query.reliability:
                forms = await repository.answers(asked.selection, measures[0])
        found = await self.lane.run(organisation_id, groups, settings, episodes)
        own = (
            await self.lane.run(organisation_id, own_sample, settings, episodes, forms)
            if asked.query.reliability
            else None
        )
        return self._document(asked, settings, measures[0], episodes.open, found, own)

    async def _measures(self, asked: Question) -> tuple[list[Measure], list[tuple[Service, tuple[int, ...]]]]:
        """The scales to read, what was asked for first, and each definition of services that goes by it."""
        organisation_id = self.audit.principal.organisation_id
        instrument, scale = asked.instrument, asked.scale
        alike = [one for one in instrument.variant_ids if instrument.scored_alike(one, asked.variant)]
        variants = tuple(dict.fromkeys((asked.variant, *alike)))
        measures = [
            Measure(instrument.code, scale, await self.library.comparable(organisation_id, instrument), variants)
        ]
        used: list[tuple[Service, tuple[int, ...]]] = []
        for service in services().values():
            if not service.measure_of(instrument.code, scale):
                continue
            if service.measures == "asked":
                used.append((service, (0,)))
                continue
            places = []
            for one in service.measures:
                definition = await self.library.get(organisation_id, one.instrument)
                versions = await self.library.comparable(organisation_id, definition)
                places.append(len(measures))
                measures.append(Measure(one.instrument, one.scale, versions, one.variants))
            used.append((service, tuple(places)))
        return measures, used

    def _document(
        self,
        asked: Question,
        settings: Asked,
        measure: Measure,
        still_open: int,
        found: dict[str, Any],
        own: dict[str, Any] | None,
    ) -> schemas.OutcomesRead:
        known, query = settings.figures, asked.query
        document = {
            "instrument": asked.instrument.code,
            "version": asked.instrument.version,
            "variant": asked.variant,
            "scale": asked.scale,
            "scale_name": known.scale.name,
            "higher_is": known.higher_is,
            "selection": {
                "from": query.since,
                "to": query.until,
                "modality": query.modality,
                "format": query.format,
                "concern": query.concern,
                "window_days": query.window,
                "unit": _UNIT,
                "pre": _PRE,
                "post": _POST,
                "comparable_versions": list(measure.versions),
                "comparable_variants": list(measure.variants),
                "still_open": still_open,
            },
            "group_by": query.group_by,
            "confidence": CONFIDENCE,
            "sign": "change" if known.higher_is == "neither" else "benefit",
            "denominators": DENOMINATORS,
            **found,
            "own_sample": own,
            "own_sample_of": f"items: the first form of each of the {MOST_ANSWERED} episodes that ended last; "
            "retest: the first and the last score before the start of an episode",
            "reliable_change": known.reliable_change.document,
            "cutoff": None if known.deciding is None else known.deciding.document(deciding=True),
            "needs_review": list(known.needs_review),
            "smallest_cell": self.smallest,
            "provenance": provenance(asked.instrument),
        }
        return schemas.OutcomesRead.model_validate(document)
