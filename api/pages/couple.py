"""A couple, side by side: both series, how far apart they are, what became of each. Only while everybody consents."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from api.catalogue.library import LibraryDep
from api.charts.couple import Apart, couple_words
from api.charts.render import Renderer
from api.charts.schemas import CoupleChartQuery, fineness
from api.charts.service import couple_spec
from api.clients.router import ForReaders as ClientsDep
from api.couple_progress.router import ForCoupleReaders
from api.couple_progress.schemas import CoupleProgressQuery
from api.couple_progress.service import Pair
from api.pages.access import VisitDep
from api.pages.client import NARROW, WIDE, Course
from api.pages.names import called
from api.pages.render import HEADERS, page
from instruments import Instrument
from scoring.dyads.described import described
from scoring.progress import Progress

router = APIRouter(include_in_schema=False)

COUPLE: Final = "/app/couples/{couple_id}"


@dataclass(frozen=True, slots=True)
class Compared:
    """One scale of two people."""

    both: tuple[Course, Course]
    told: Mapping[str, Any]
    """What :func:`described` says of the two."""

    @property
    def name(self) -> str:
        """Of the scale."""
        return self.both[0].main.figures.scale.name

    @property
    def scale(self) -> str:
        """Its id."""
        return self.both[0].main.figures.scale.id

    @property
    def summary(self) -> str:
        """The picture's text alternative."""
        apart = [
            Apart(one["first"]["answered_at"], one["first"]["value"], one["second"]["value"])
            for one in self.told["occasions"]
        ]
        return couple_words(self.both[0].main, self.both[1].main, apart)


@dataclass(frozen=True, slots=True)
class Measure:
    """One instrument that both have answered: the scale that stands for it, and all of them."""

    instrument: Instrument
    main: Compared
    scales: list[Compared]


def measures(pair: Pair, window: int) -> list[Measure]:
    """What two people can be compared by."""
    found = []
    for _, held in groupby(pair.scales, key=lambda both: both[0].instrument.code):
        scales = [_compared(first, second, window) for first, second in held]
        main = next((one for one in scales if one.scale == one.both[0].main.instrument.overall_scale), scales[0])
        found.append(Measure(main.both[0].instrument, main, scales))
    return found


def _compared(first: Progress, second: Progress, window: int) -> Compared:
    return Compared((Course(first, [first]), Course(second, [second])), described(first, second, window))


@router.get(COUPLE)
async def couple(
    couple_id: uuid.UUID, visit: VisitDep, library: LibraryDep, progress: ForCoupleReaders, clients: ClientsDep
) -> Response:
    """Every two of a couple. Where the view is closed, the problem says so, and nothing else is told."""
    joint = await progress.read(couple_id, CoupleProgressQuery())
    names = await clients.named({member.client_id for member in joint.members})
    return page(
        "couple.html",
        visit=visit,
        couple_id=couple_id,
        window=joint.window,
        pairs=[
            (
                [(one.client_id, called(one.client_id, names.get(one.client_id))) for one in (pair.first, pair.second)],
                measures(pair, joint.window),
                pair.not_compared,
            )
            for pair in joint.pairs
        ],
        names=await library.names(
            visit.principal.organisation_id,
            {str(one["instrument"]) for pair in joint.pairs for one in pair.not_compared},
        ),
        widths=(NARROW, WIDE),
    )


@router.get(COUPLE + "/chart.png")
async def picture(
    request: Request,
    couple_id: uuid.UUID,
    _: VisitDep,
    progress: ForCoupleReaders,
    query: Annotated[CoupleChartQuery, Query()],
) -> Response:
    """Two of a couple on one scale, as an image, in which they are A and B."""
    ppi = fineness(query)
    spec = await couple_spec(progress, couple_id, query)
    renderer: Renderer = request.app.state.renderer
    drawn = await renderer.png(spec, ppi=ppi, of=request.state.organisation_id)
    return Response(drawn, media_type="image/png", headers=dict(HEADERS))
