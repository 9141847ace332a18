"""Whose clients a list shows: one's own, or everybody's of the organisation."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from api.care.schemas import Clinician
from api.pages.access import Visit

Whose = Literal["mine", "all"]
_CLINICIAN: Final[TypeAdapter[str]] = TypeAdapter(Clinician)


def has_clients(visit: Visit) -> bool:
    """Whether somebody can be the clinician of an episode: by role, and by an id that an episode can name."""
    try:
        _CLINICIAN.validate_python(visit.principal.subject)
    except ValidationError:
        return False
    return visit.principal.role == "clinician"


def chosen(visit: Visit, given: Whose | None) -> Whose:
    """What is shown: clinicians come for their own clients, others for everybody's."""
    return (given or "mine") if has_clients(visit) else "all"
