"""What may be wrong with an own instrument."""

from __future__ import annotations

from api.problems import Problem


class DefinitionInvalid(Problem):
    """The definition has faults, or asks for more than an own instrument may; nothing was stored or published."""

    status, slug, title = 422, "definition-invalid", "The definition cannot be used"


class GoldenCasesFailed(Problem):
    """The definition does not give what its golden cases say, or they leave some of it out; nothing was published."""

    status, slug, title = 422, "golden-cases-failed", "The golden cases do not pass"


class VersionTaken(Problem):
    """There is a draft of that version, or it was published."""

    status, slug, title = 409, "instrument-version-taken", "The version of the instrument is taken"


class TooManyInstruments(Problem):
    """The organisation has as many drafts or published versions as it may."""

    status, slug, title = 409, "too-many-instruments", "The organisation has too many instruments"
