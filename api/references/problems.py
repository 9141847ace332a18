"""What may be wrong with a request about references."""

from __future__ import annotations

from api.problems import Problem


class ReferenceState(Problem):
    """What was asked for cannot be done to the reference as it is."""

    status, slug, title = 409, "reference-state", "The state of the reference does not allow it"


class TooManyReferences(Problem):
    """As many fits as an organisation may have waiting are waiting already."""

    status, slug, title = 409, "too-many-references", "Too many references are waiting to be fitted"
