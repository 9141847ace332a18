"""Versions of a response as they are written: the stored document, and what became of it since.

The words are those of a FHIR QuestionnaireResponse: `completed`, `amended`, `entered-in-error`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final, Literal

import orjson

from api.responses.repository import Kept, Superseded
from api.responses.rescored import told
from api.security import crypto

Status = Literal["completed", "amended", "entered-in-error"]
MOST_REVISIONS: Final = 2**31 - 1
_JSON: Final = orjson.OPT_UTC_Z
_PURPOSE: Final = b"correction"


class Reasons:
    """Opens what was written about corrections of one client, with the client's key."""

    def __init__(self, keys: crypto.Keys, key_wrapped: bytes, organisation_id: uuid.UUID, client_id: uuid.UUID) -> None:
        self._row: dict[str, uuid.UUID] = {"organisation_id": organisation_id, "client_id": client_id}
        self._key = crypto.unwrap_client_key(keys, key_wrapped, **self._row)

    def seal(self, text: str, row_id: uuid.UUID) -> bytes:
        """A text about the version ``row_id``, which it corrects."""
        return crypto.seal_text(self._key, text, purpose=_PURPOSE, row_id=row_id, **self._row)

    def open(self, sealed: bytes | None, row_id: uuid.UUID) -> str | None:
        """The text again, if there is one."""
        if sealed is None:
            return None
        return crypto.open_text(self._key, sealed, purpose=_PURPOSE, row_id=row_id, **self._row)


def status_of(revision: int) -> Status:
    """Of a version that says something."""
    return "completed" if revision == 1 else "amended"


def as_recorded(document: str, revision: int = 1, rescoring: str = "null") -> str:
    """The JSON text of a version that holds. ``rescoring`` is JSON text of the run that has made its scores."""
    amended = "true" if revision > 1 else "false"
    return (
        f'{document[:-1]},"status":"{status_of(revision)}","revision":{revision},"amended":{amended},'
        f'"current":true,"superseded":null,"rescoring":{rescoring}}}'
    )


def as_it_stands(kept: Kept, reasons: Reasons | None) -> str:
    """The JSON text of any version; ``reasons`` are needed where it was superseded.

    The stored text goes out as it is, with members more: numbers are not read and written again. Where a run has scored
    it, `document` is to be that of the run already (`api.responses.rescored`).
    """
    run = kept.rescored
    rescoring = None if run is None else told(run, kept.instrument_version, kept.id, kept.revision)
    if kept.superseded is None:
        return as_recorded(kept.document, kept.revision, orjson.dumps(rescoring, option=_JSON).decode())
    superseded = why(kept.superseded, reasons, kept.row_id) | {
        "revision": kept.revision + 1,
        "status": "entered-in-error" if kept.void else "amended",
    }
    members = {
        "status": status_of(kept.revision),
        "revision": kept.revision,
        "amended": kept.revision > 1,
        "current": False,
        "superseded": superseded,
        "rescoring": rescoring,
    }
    return f"{kept.document[:-1]},{orjson.dumps(members, option=_JSON).decode()[1:]}"


def with_schedule(document: str, standings: Iterable[str]) -> str:
    """The JSON text of a version that holds, with what it is to the client's protocols (JSON texts)."""
    return f'{document[:-1]},"schedule":[{",".join(standings)}]}}'


def as_void(kept: Kept, reasons: Reasons | None) -> str:
    """The JSON text of a response that was entered in error, in place of what it said last: no score, no answer.

    So who overlooks the status finds nothing to go by.
    """
    assert kept.superseded is not None  # noqa: S101  - asked for void ones only
    document: dict[str, Any] = {
        "id": kept.id,
        "client_id": kept.client_id,
        "instrument": kept.instrument,
        "version": kept.instrument_version,
        "variant": kept.variant,
        "answered_at": kept.answered_at,
        "status": "entered-in-error",
        "revision": kept.revision + 1,
        "amended": kept.revision > 1,
        "current": True,
        "voided": why(kept.superseded, reasons, kept.row_id),
    }
    return orjson.dumps(document, default=str, option=_JSON).decode()


def why(superseded: Superseded, reasons: Reasons | None, row_id: uuid.UUID) -> dict[str, Any]:
    """When, by whom and why a version was superseded."""
    return {
        "at": superseded.at,
        "by": superseded.by,
        "reason_code": superseded.reason_code,
        "reason": None if reasons is None else reasons.open(superseded.reason_sealed, row_id),
    }
