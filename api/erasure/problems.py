"""What is answered about a client who was erased."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from api.problems import Problem


class ClientErased(Problem):
    """The client was erased for good. Nothing of what was recorded can be had any more, from nobody."""

    status, slug, title = 410, "client-erased", "This client was erased"

    def __init__(self, erasure_id: uuid.UUID | None = None, erased_at: datetime | None = None) -> None:
        members: dict[str, Any] = {}
        if erasure_id is not None and erased_at is not None:
            members = {"erasure_id": str(erasure_id), "erased_at": erased_at.isoformat().replace("+00:00", "Z")}
        super().__init__("Nothing is kept of the client but that there was one.", **members)
