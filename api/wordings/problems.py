"""Why a pack is not taken, and why there is no form."""

from __future__ import annotations

from api.problems import Problem


class WordingInvalid(Problem):
    """The pack does not fit the definition; nothing was stored."""

    status, slug, title = 422, "wording-invalid", "The wording does not fit the instrument"


class WordingMissing(Problem):
    """The organisation holds no wording in that language. The problem says who owns it, and on what terms."""

    status, slug, title = 409, "wording-missing", "The organisation holds no wording for this form"


class LicenceExpired(Problem):
    """The wording is there, but the licence that was attested has run out."""

    status, slug, title = 409, "licence-expired", "The licence for this wording has run out"


class LicenceNotYetValid(Problem):
    """The wording is there, but the licence that was attested has not begun."""

    status, slug, title = 409, "licence-not-yet-valid", "The licence for this wording has not begun"
