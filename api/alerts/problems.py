"""Why an alert cannot be acknowledged."""

from __future__ import annotations

from api.problems import Problem


class AlertNotOpen(Problem):
    """The alert waits for nobody: it was acknowledged already, or it is one of a response that holds no longer."""

    status, slug, title = 409, "alert-not-open", "The alert is not open"
