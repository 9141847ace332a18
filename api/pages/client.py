"""One client: how they fare by each concern, what waits, their goals, and each picture."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from api.alerts.router import ForReaders as AlertsDep
from api.alerts.schemas import AlertFilters
from api.catalogue.library import Library, LibraryDep
from api.charts.render import Renderer
from api.charts.series import series_chart
from api.charts.style import Theme
from api.clients.router import ForReaders as ClientsDep
from api.db import DatabaseDep, get_database
from api.goals.router import ForReaders as GoalsDep
from api.pages.access import Visit, VisitDep
from api.pages.names import SHAPES, TONES, called, instrument_names
from api.pages.render import HEADERS, page
from api.problems import NotFound, request_id
from api.progress import service
from api.progress.repository import Found, measurements
from api.progress.schemas import ChartQuery, ProgressQuery
from api.protocols.due import due_page
from api.protocols.schemas import DueQuery
from api.records.audit import AuditDep
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
SHARP: Final = 144
"""Pixels to the inch: two for each at which it is laid out. Not SVG, whose text a browser sets in whatever fonts its
machine has: where those are wider than ours, words would be cut off."""
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


async def _rows(
    request: Request, visit: Visit, client_id: uuid.UUID, instrument: str | None, scale: str | None
) -> Found:
    pool = get_database(request).pool
    try:
        return await measurements(
            pool, visit.principal, request_id(request) or "", client_id, instrument, scale, None, None
        )
    except NotFound:
        request.scope["state"]["refusal_kept"] = True  # in the one call that looked
        raise


async def courses(request: Request, visit: Visit, library: Library, client_id: uuid.UUID) -> list[Course]:
    """Every instrument that the client has answered, with all of its scales."""
    own = visit.principal.organisation_id
    visit.principal.allow("progress:read")
    choice = service.choose(await library.shelf(own, [""]), ProgressQuery())
    rows = (await _rows(request, visit, client_id, None, None)).rows
    shelf = await library.shelf(own, *service.judged(None, rows))
    found = []
    for code in sorted(rows):
        if code in shelf.versions:
            scales = list(service.series(shelf, shelf.get(code), choice, rows[code]))
            main = next((one for one in scales if one.figures.scale.id == service.OVERALL), scales[0])
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
        instruments=await instrument_names(library, own, {slot["instrument"] for slot in due}),
        widths=(NARROW, WIDE),
    )


class PictureQuery(ChartQuery):
    """Which picture, and in which colours."""

    theme: Theme = "light"


@router.get(CLIENT + "/chart.png")
async def picture(
    request: Request,
    client_id: uuid.UUID,
    visit: VisitDep,
    library: LibraryDep,
    query: Annotated[PictureQuery, Query()],
) -> Response:
    """The picture of one series. It stands in the page as an image, so nothing in it can act."""
    visit.principal.allow("progress:read")
    own = visit.principal.organisation_id
    shelf = await library.shelf(own, [query.instrument])
    instrument, choice = service.choose_one(shelf, query)
    rows = (await _rows(request, visit, client_id, query.instrument, choice.scale)).rows
    shelf = await library.shelf(own, *service.judged(query.instrument, rows))
    (series,) = service.series(shelf, instrument, choice, rows.get(instrument.code, {}))
    spec: dict[str, Any] = series_chart(series, width=query.width, theme=query.theme)
    renderer: Renderer = request.app.state.renderer
    return Response(await renderer.png(spec, ppi=SHARP), media_type="image/png", headers=dict(HEADERS))
