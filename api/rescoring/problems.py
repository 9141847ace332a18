"""What may be wrong with a request about runs."""

from __future__ import annotations

from api.problems import Problem


class RescoringUnfinished(Problem):
    """Another run of the instrument has not ended: two at once could not say which scores are current."""

    status, slug, title = 409, "rescoring-unfinished", "Another run of the instrument has not ended"


class RescoringState(Problem):
    """What was asked for cannot be done to the run as it is."""

    status, slug, title = 409, "rescoring-state", "The state of the run does not allow it"
