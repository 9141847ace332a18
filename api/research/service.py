"""From a question to an answer: what is asked for, the rows behind it, protection, and the document."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from api.catalogue.library import Shelf
from api.catalogue.service import provenance
from api.problems import RequestInvalid
from api.records.audit import Audit
from api.research import schemas
from api.research.lattice import LATTICE, NAMES
from api.research.population import CATEGORIES, Population, occurring
from api.research.protection import CONFIDENCE, Group, Protections, View, rounded, rounding_step
from api.research.repository import PersonYear, ResearchRepository
from instruments import Instrument, UnknownInstrument, catalogue
from scoring.disclosure import Dimension
from scoring.disclosure_table import SUPPRESSED, Key
from scoring.progress_figures import Figures, figures
from scoring.proportions import Proportion
from scoring.reliable import Unavailable

_SELECTION: Final = (
    "Clients with recorded consent to research at the time of this answer; scores with a value that no validity rule "
    "holds back, of this version and variant of the instrument only."
)
_UNITS: Final[dict[schemas.Measure, str]] = {
    "level": "The last score of a person in a calendar year, so nobody counts more than once a year.",
    "change": "Last score minus first of a person with two or more, in the group of the last; once a person.",
    "reliable_change": "Last score minus first of a person with two or more, in the group of the last; once a person.",
}
_METHOD: Final = (
    "One table holds everything that can be asked of the instrument: all dimensions, margins, numbers of changes and "
    "categories. In it, cells under the threshold are suppressed, and with them as many others that each small one "
    "could as well hold the threshold. One pattern serves all scales. Empty cells are published, except where "
    "they would tell that a whole group is of one category."
)
_ROUNDING: Final = "Mean and SD are rounded to what one person of the group can move a mean by, to 1, 2 or 5 x 10^k."
_RESIDUAL: Final = (
    "Figures are of live data: answers of different days can be compared, and so can different instruments that the "
    "same people filled in. Give results on, not copies of every answer."
)


@dataclass(frozen=True)
class Question:
    """What is asked, known to exist."""

    instrument: Instrument
    scale: str
    measure: schemas.Measure
    group_by: tuple[str, ...]


def question(shelf: Shelf, instrument: str, scale: str, measure: schemas.Measure, group_by: Sequence[str]) -> Question:
    """A checked question; ``group_by`` may hold lists with commas.

    Raises
    ------
    RequestInvalid
        With every fault and the parameter it lies in.
    """
    faults = []
    names = [name.strip() for given in group_by for name in given.split(",") if given.strip()]
    known = set(NAMES)
    if not set(names) <= known:
        faults.append(_fault("group_by", "unknown-dimension", f"has to be some of {', '.join(NAMES)}"))
    if len(set(names)) != len(names):
        faults.append(_fault("group_by", "duplicate-dimension", "names each dimension once"))
    elif len(names) > LATTICE.most_dimensions:
        faults.append(_fault("group_by", "too-many-dimensions", f"has at most {LATTICE.most_dimensions} dimensions"))
    definition = None
    try:
        definition = shelf.get(instrument)
    except UnknownInstrument:
        codes = ", ".join(catalogue().codes)
        faults.append(_fault("instrument", "unknown-instrument", f"has to be one of {codes}"))
    if definition is not None and scale not in (ids := [one.id for one in definition.scales]):
        faults.append(_fault("scale", "unknown-scale", f"has to be one of {', '.join(ids)}"))
    if faults or definition is None:
        raise RequestInvalid(errors=faults)
    return Question(definition, scale, measure, tuple(names))


def _fault(parameter: str, code: str, detail: str) -> dict[str, str]:
    return {"parameter": parameter, "in": "query", "code": code, "detail": detail}


@dataclass(frozen=True, slots=True)
class Research:
    """Research output of one organisation, for one request."""

    repository: ResearchRepository
    audit: Audit
    protections: Protections
    threshold: int

    async def aggregates(self, asked: Question) -> schemas.AggregateRead:
        """The answer. That it was asked for is kept in the audit trail, in the transaction that reads."""
        variant = asked.instrument.variant_ids[0]
        known = figures(asked.instrument, asked.scale, variant)
        this_year = datetime.now(UTC).year
        dimensions = LATTICE.dimensions(this_year)
        self.audit.record(self.repository.session, "aggregate", "research")
        unavailable = None
        if asked.measure == "reliable_change" and isinstance(known.reliable_change, Unavailable):
            unavailable = known.reliable_change
        cells: list[schemas.CellRead] = []
        if unavailable is None:
            rows = await self.repository.person_years(
                instrument=asked.instrument.code,
                version=asked.instrument.version,
                variant=variant,
                earliest=LATTICE.calendar_year.earliest,
                this_year=this_year,
            )
            # Disclosure control computes for up to seconds; other requests go on meanwhile.
            view = await asyncio.to_thread(self._view, asked, variant, rows, dimensions)
            cells = _cells(asked, known, view, dimensions)
        return self._document(asked, variant, known, unavailable, dimensions, cells)

    def _view(
        self, asked: Question, variant: str, rows: Sequence[PersonYear], dimensions: tuple[Dimension, ...]
    ) -> View:
        levels = occurring(rows, dimensions)
        of_scale: dict[str, list[PersonYear]] = {scale.id: [] for scale in asked.instrument.scales}
        for row in rows:
            of_scale[row.scale].append(row)
        populations = {}
        for scale, own in of_scale.items():
            reliable = figures(asked.instrument, scale, variant).reliable_change
            populations[scale] = Population(own, levels, None if isinstance(reliable, Unavailable) else reliable)
        tables = self.protections.of(populations, self.threshold)
        return View(populations[asked.scale], tables[asked.scale])

    def _document(
        self,
        asked: Question,
        variant: str,
        known: Figures,
        unavailable: Unavailable | None,
        dimensions: tuple[Dimension, ...],
        cells: list[schemas.CellRead],
    ) -> schemas.AggregateRead:
        rates = asked.measure == "reliable_change"
        levels = {dimension.name: list(dimension.levels) for dimension in dimensions}
        return schemas.AggregateRead(
            instrument=asked.instrument.code,
            version=asked.instrument.version,
            variant=variant,
            scale=asked.scale,
            scale_name=known.scale.name,
            higher_is=known.higher_is,
            measure=asked.measure,
            available=unavailable is None,
            unavailable=None
            if unavailable is None
            else schemas.UnavailableRead(code=unavailable.code, detail=unavailable.detail),
            group_by=[
                schemas.DimensionRead(name=name, levels=levels[name], derived=LATTICE.derived(name))
                for name in asked.group_by
            ],
            cells=cells,
            disclosure=schemas.DisclosureRead(
                threshold=self.threshold, method=_METHOD, rounding=_ROUNDING, residual=_RESIDUAL
            ),
            provenance=schemas.ProvenanceRead(
                **provenance(asked.instrument),
                selection=_SELECTION,
                unit=_UNITS[asked.measure],
                reliable_change=known.reliable_change.document if rates and unavailable is None else None,
                confidence=CONFIDENCE if rates and unavailable is None else None,
            ),
        )


def _cells(asked: Question, known: Figures, view: View, dimensions: tuple[Dimension, ...]) -> list[schemas.CellRead]:
    own = {dimension.name: dimension.levels for dimension in dimensions}
    width = (known.maximum - known.minimum) * (1 if asked.measure == "level" else 2)
    cells = []
    for levels in itertools.product(*(own[name] for name in asked.group_by)):
        given = dict(zip(asked.group_by, levels, strict=True))
        key: Key = tuple(given.get(name) for name in NAMES)
        group = view.level(key) if asked.measure == "level" else view.change(key)
        cells.append(_cell(given, group, width, rates=asked.measure == "reliable_change"))
    return cells


def _cell(levels: dict[str, str], group: Group | None, width: float, *, rates: bool) -> schemas.CellRead:
    if group is None:
        return schemas.CellRead(
            levels=levels,
            suppressed=True,
            reason=SUPPRESSED,
            n_people=None,
            n_scores=None,
            mean=None,
            sd=None,
            rounded_to=None,
            categories=_categories(dict.fromkeys(CATEGORIES)) if rates else None,
        )
    step = rounding_step(width, group.n_people) if group.n_people else None
    return schemas.CellRead(
        levels=levels,
        suppressed=False,
        reason=None,
        n_people=group.n_people,
        n_scores=group.values.n,
        mean=None if step is None else rounded(group.values.mean, step),
        sd=None if step is None else rounded(group.values.sd, step),
        rounded_to=step,
        categories=_categories(group.categories) if rates and group.n_people else None,
    )


def _categories(rates: Mapping[str, Proportion | None]) -> schemas.CategoriesRead:
    return schemas.CategoriesRead(
        improved=_rate(rates["improved"]),
        no_reliable_change=_rate(rates["no-reliable-change"]),
        deteriorated=_rate(rates["deteriorated"]),
    )


def _rate(rate: Proportion | None) -> schemas.RateRead:
    if rate is None:
        return schemas.RateRead(suppressed=True, reason=SUPPRESSED, n=None, rate=None, low=None, high=None)
    return schemas.RateRead(
        suppressed=False, reason=None, n=rate.successes, rate=rate.rate, low=rate.low, high=rate.high
    )
