"""The references that the demo holds courses against: parameters fitted beforehand, on invented people.

`references.json` is made by `python -m scripts.demo_references`, which says how. It is data here, since a fit takes
longer than a demo may take to start. Whoever asks is told that the people are invented.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from sqlmodel import SQLModel

from api.demo.clinic import Clinic
from api.demo.people import made_id
from api.records.tables import AuditEventRow
from api.references.tables import ReferenceRow, ReferenceUseRow

SUBJECT: Final = "demo-admin"
SOURCE: Final = (
    "Synthetic: invented people of the demo's own generator, none of them in the demo (scripts/demo_references.py). "
    "It says nothing about anybody real."
)


@cache
def fitted() -> tuple[dict[str, Any], ...]:
    """What the script found, an instrument each."""
    return tuple(orjson.loads(Path(__file__).with_name("references.json").read_bytes()))


def references(organisation_id: uuid.UUID, clinic: Clinic) -> Iterator[SQLModel]:
    """A reference in use for each instrument, with the trail of an admin who took it in on the clinic's first day."""
    at = datetime.combine(clinic.first_day, time(), UTC)
    for found in fitted():
        code = found["instrument"]
        reference_id = made_id(at, clinic.seed, organisation_id, "reference", code)
        yield ReferenceRow(
            organisation_id=organisation_id, id=reference_id, instrument=code, instrument_version=found["version"],
            variant=found["variant"], scale=found["scale"], number=1, origin="parameters",
            source=SOURCE, evidence="derived", requested_by=SUBJECT, created_at=at,
            state="ready", active=True, started_at=None, ended_at=at, persons=found["persons"],
            observations=found["observations"], horizon=found["horizon"],
            model=orjson.dumps(found["model"]).decode(),
        )  # fmt: skip
        yield ReferenceUseRow(
            organisation_id=organisation_id, id=made_id(at, reference_id, "use"), reference_id=reference_id,
            effect="activated", at=at, by=SUBJECT,
        )  # fmt: skip
        for action in ("create", "activate"):
            yield AuditEventRow(
                organisation_id=organisation_id, id=made_id(at, reference_id, action), at=at, subject=SUBJECT,
                role="admin", action=action, resource="reference", resource_id=reference_id,
                request_id=f"demo-{reference_id}", outcome="done",
            )  # fmt: skip
