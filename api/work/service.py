"""From assignments and stored scores to the work of each stretch between two measurements. Notes are not opened."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from api.assignments.adherence import earliest_today
from api.assignments.repository import AssignmentRepository
from api.assignments.tables import AssignmentRow, CompletionRow
from api.catalogue.library import Library
from api.problems import NotFound
from api.progress import service
from api.progress.repository import measurements
from api.progress.schemas import ChartQuery
from api.records.steps import Steps
from api.work.schemas import WorkQuery
from scoring.series.adherence import Work, beside

ACTION: Final = "read-work-progress"


@dataclass(frozen=True, slots=True)
class WorkBesideOutcome:
    """Work beside outcome of one organisation's clients, for one request."""

    repository: AssignmentRepository
    library: Library
    steps: Steps

    async def read(self, client_id: uuid.UUID, query: WorkQuery) -> dict[str, Any]:
        """The work between the measurements of one series.

        That the scores were read is in the trail as of progress, and that the work was, besides.

        Raises
        ------
        NotFound, RequestInvalid
        """
        audit = self.steps.audit
        principal = audit.principal
        shelf = await self.library.shelf(principal.organisation_id, [query.instrument])
        asked = ChartQuery.model_construct(instrument=query.instrument, scale=query.scale)
        instrument, choice = service.choose_one(shelf, asked)
        pool = audit.database.pool
        try:
            found = await measurements(
                pool, principal, audit.request_id, client_id, query.instrument, choice.scale, None
            )
        except NotFound:
            audit.state["refusal_kept"] = True  # in the one call that looked
            raise
        shelf = await self.library.shelf(principal.organisation_id, *service.judged(query.instrument, found.rows))
        (series,) = service.series(shelf, instrument, choice, found.rows.get(instrument.code, {}))
        rows = await self.repository.assignments(client_id, None, None)
        last = await self.repository.last([row.id for row in rows])
        self.steps.done(ACTION, "client", client_id)
        return {
            "client_id": str(client_id),
            "instrument": series.instrument.code,
            "version": series.instrument.version,
            "variant": series.variant,
            "scale": series.figures.scale.id,
            "scale_name": series.figures.scale.name,
            "higher_is": series.figures.higher_is,
            **beside(series, _works(rows, last, earliest_today())),
        }


def _works(rows: Sequence[AssignmentRow], last: Mapping[uuid.UUID, CompletionRow], today: date) -> Iterator[Work]:
    """The work that was not withdrawn, as it stands; ``today``: what was due before it is over."""
    for row in rows:
        if row.withdrawn_on is not None:
            continue
        told = last.get(row.id)
        if told is None:
            yield Work(row.due_on, "overdue" if row.due_on < today else "open")
        else:
            yield Work(
                told.completed_on or row.due_on,
                told.outcome,  # type: ignore[arg-type]  # the table allows these three
                told.minutes,
                told.distress_before,
                told.distress_after,
            )
