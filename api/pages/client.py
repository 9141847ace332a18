"""One client: how they fare by each concern, what waits, their goals, and each picture."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from api.alerts.router import ForReaders as AlertsDep
from api.alerts.schemas import AlertFilters
from api.catalogue.library import Library, LibraryDep
from api.charts.render import Renderer
from api.charts.schemas import SeriesQuery, fineness
from api.charts.service import every, series_spec
from api.clients.router import ForReaders as ClientsDep
from api.db import DatabaseDep
from api.goals.router import ForReaders as GoalsDep
from api.pages.access import Visit, VisitDep
from api.pages.names import SHAPES, TONES, called
from api.pages.render import HEADERS, page
from api.progress.schemas import ProgressQuery
from api.protocols.due import due_page
from api.protocols.schemas import DueQuery
from api.records.audit import AuditDep
from api.report.router import ForReaders as ReportsDep
from instruments import Instrument, vocabulary
from scoring.progress import REASONS, Progress
from scoring.progress_words import headline, summary
from scoring.reliable import Unavailable

router = APIRouter(include_in_schema=False)

CLIENT: Final = "/app/clients/{client_id}"
MOST_ALERTS: Final = 20
MOST_DUE: Final = 20
NARROW, WIDE = 400, 720
"""Widths in pixels at which a picture is drawn: for a phone, and for a desk."""
NO_CONCERN: Final = "Other measures"


@dataclass(frozen=True, slots=True)
class Course:
    """How somebody fares by one instrument: the scale that stands for it, and all of them."""

    main: Progress
    scales: list[Progress]

    @property
    def instrument(self) -> Instrument:
        """By which it was measured."""
        return self.main.instrument

    @property
    def category(self) -> str | None:
        """What became of the person by the main scale; None where that cannot be said."""
        change = self.main.from_baseline
        return None if isinstance(change, Unavailable) else change.category

    @property
    def tone(self) -> str:
        """How the verdict looks."""
        return TONES.get(self.category or "", "none")

    @property
    def verdict(self) -> str:
        """In two or three words."""
        if self.main.last is None:
            return "no usable measurement"
        return headline(self.main) or ("one measurement" if self.main.baseline is self.main.last else "not known")

    @property
    def shape(self) -> str:
        """Beside the words."""
        return SHAPES.get(self.category or "", "○")

    @property
    def summary(self) -> str:
        """What a clinician should see; also the picture's text alternative."""
        return summary(self.main)


async def courses(request: Request, visit: Visit, library: Library, client_id: uuid.UUID) -> list[Course]:
    """Every instrument that the client has answered, with all of its scales."""
    visit.principal.allow("progress:read")
    series, _ = await every(request, visit.principal, library, client_id, ProgressQuery())
    found = []
    for _, held in groupby(series, key=lambda one: one.instrument.code):
        scales = list(held)
        main = next((one for one in scales if one.figures.scale.id == one.instrument.overall_scale), scales[0])
        found.append(Course(main, scales))
    return found


def by_concern(found: Sequence[Course]) -> dict[str, list[Course]]:
    """In the order of the vocabulary, each under the concern that its instrument fits best."""
    names = {concern: one.name for concern, one in vocabulary().items()}
    grouped: dict[str, list[Course]] = {name: [] for name in (*names.values(), NO_CONCERN)}
    for course in found:
        first = next((names[concern] for concern in course.instrument.concerns if concern in names), NO_CONCERN)
        grouped[first].append(course)
    return {name: held for name, held in grouped.items() if held}


@router.get(CLIENT)
async def client(
    request: Request,
    client_id: uuid.UUID,
    visit: VisitDep,
    audit: AuditDep,
    library: LibraryDep,
    database: DatabaseDep,
    clients: ClientsDep,
    alerts: AlertsDep,
    goals: GoalsDep,
) -> Response:
    """Everything about one client that a session begins with."""
    # what takes connections of its own comes before the request's session holds one
    found = await courses(request, visit, library, client_id)
    wanted = DueQuery(client_id=client_id, status=["overdue", "due"], limit=MOST_DUE)
    _, due, _ = await due_page(database, visit.principal, audit.request_id, wanted)
    about = await clients.get(client_id)
    opened, more = await alerts.page(
        AlertFilters(client_id=client_id, status="open"), None, MOST_ALERTS, of_client=True
    )
    aims, _ = await goals.goals(client_id, None, 50)
    reached = {one.goal_id: one for one in (await goals.progress(client_id)).goals} if aims else {}
    own = visit.principal.organisation_id
    return page(
        "client.html",
        visit=visit,
        client=about,
        called=called(about.id, about.external_id),
        concerns=by_concern(found),
        reasons=REASONS,
        alerts=opened,
        more_alerts=more is not None,
        due=due,
        goals=[(aim, reached.get(aim.id)) for aim in aims],
        instruments=await library.names(own, {slot["instrument"] for slot in due} | {one.instrument for one in opened}),
        widths=(NARROW, WIDE),
    )


@router.get(CLIENT + "/chart.png")
async def picture(
    request: Request,
    client_id: uuid.UUID,
    visit: VisitDep,
    library: LibraryDep,
    query: Annotated[SeriesQuery, Query()],
) -> Response:
    """The picture of one series, as an image, so that nothing in it can act.

    Not as SVG, whose text a browser sets in the fonts of its machine: where those are wider, words would be cut off.
    """
    visit.principal.allow("progress:read")
    ppi = fineness(query)
    spec = await series_spec(request, visit.principal, library, client_id, query)
    renderer: Renderer = request.app.state.renderer
    drawn = await renderer.png(spec, ppi=ppi, of=request.state.organisation_id)
    return Response(drawn, media_type="image/png", headers=dict(HEADERS))


@router.get(CLIENT + "/report.pdf")
async def report(client_id: uuid.UUID, _: VisitDep, reports: ReportsDep) -> Response:
    """Two pages for the session."""
    made = await reports.report(client_id, "en")
    shown = {"Content-Disposition": 'inline; filename="report.pdf"'}
    return Response(made, media_type="application/pdf", headers={**HEADERS, **shown})
