"""What may be wrong with a request about imports."""

from __future__ import annotations

from api.problems import Problem


class TooManyImports(Problem):
    """As many imports of the organisation are under way as may be."""

    status, slug, title = 409, "too-many-imports", "Too many imports are under way"


class UploadConflict(Problem):
    """The part does not begin where the upload stands, or another request is sending one."""

    status, slug, title = 409, "upload-conflict", "The part does not begin where the upload stands"


class ImportEnded(Problem):
    """The import takes no more of its file, or has come to its end."""

    status, slug, title = 409, "import-ended", "The import is past that"
