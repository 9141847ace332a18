"""The report of a client: each part is read by its own service, and leaves that service's trail."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Request

from api.alerts.schemas import AlertFilters
from api.alerts.service import Alerts
from api.assignments.service import Assignments
from api.catalogue.library import Library
from api.charts.multiples import panel_chart
from api.charts.render import Renderer
from api.charts.service import every
from api.clients.service import external_id_of
from api.goals.service import Goals
from api.lane import Lane
from api.paging import LARGEST_PAGE
from api.progress.expecting import care_of, expected_of
from api.progress.schemas import ProgressQuery
from api.protocols.due import due_page
from api.protocols.schemas import DueQuery
from api.references.active import organisation_references
from api.report.gathering import Contents, Scale, primary, pursued, standing
from api.report.sheet import written
from scoring.phrases import language

MOST_SCALES: Final = 12
"""Scales whose pictures are drawn: more do not fit."""
MOST_ROWS: Final = 20
_PPI: Final = 216


@dataclass(frozen=True, slots=True)
class Reports:
    """Reports of one organisation's clients, for one request."""

    request: Request
    library: Library
    goals: Goals
    work: Assignments
    alerts: Alerts
    lane: Lane

    async def report(self, client_id: uuid.UUID, tag: str) -> bytes:
        """The PDF, in a language.

        Raises
        ------
        NotFound, ServiceUnavailable
        """
        principal, spoken = self.goals.steps.audit.principal, language(tag)
        series, found = await every(self.request, principal, self.library, client_id, ProgressQuery())
        references = await organisation_references(self.request).of(principal.organisation_id)
        due, more_due = await self._due(client_id)  # over connections of its own, before the session holds one
        chosen = primary(series)
        scales = []
        renderer: Renderer = self.request.app.state.renderer
        for one in chosen[:MOST_SCALES]:
            expected = expected_of(one, references, care_of(found.episodes, None))
            picture = await renderer.png(panel_chart(one, language=spoken), ppi=_PPI, of=principal.organisation_id)
            scales.append(Scale(one, expected.get("status"), expected, picture))
        alerts, more_alerts = await self.alerts.page(
            AlertFilters(client_id=client_id, status="open"), None, MOST_ROWS, of_client=True
        )
        goals, _ = await self.goals.goals(client_id, None, LARGEST_PAGE)
        work, _ = await self.work.assignments(client_id, None, LARGEST_PAGE)
        row = await self.goals.repository.client(client_id)
        codes = {alert.instrument for alert in alerts} | {one["instrument"] for one in due}
        contents = Contents(
            client_id=client_id,
            external_id=None if row is None else external_id_of(self.goals.keys, row),
            day=datetime.now(UTC).date(),
            scales=scales,
            more_scales=len(chosen) - len(scales),
            without_definition=sorted(found.rows.keys() - {one.instrument.code for one in series}),
            alerts=alerts,
            more_alerts=more_alerts is not None,
            goals=pursued(goals),
            goal_progress=await self.goals.progress(client_id),
            work=standing(work),
            adherence=await self.work.adherence(client_id),
            due=due,
            more_due=more_due,
            names=await self.library.names(principal.organisation_id, codes),
        )
        self.goals.steps.done("read-report", "client", client_id)
        await self.goals.repository.session.commit()  # who waits for the writing holds no connection
        return await self.lane.run(principal.organisation_id, written, contents, spoken)

    async def _due(self, client_id: uuid.UUID) -> tuple[list[dict[str, Any]], bool]:
        audit = self.goals.steps.audit
        query = DueQuery(client_id=client_id, status=["due", "overdue"], limit=MOST_ROWS)
        _, rows, more = await due_page(audit.database, audit.principal, audit.request_id, query)
        return rows, more is not None
