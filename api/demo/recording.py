"""A form of the invention as what `POST /v1/responses` would have written; only ids and times are the invention's."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import orjson

import instruments
from api.demo import course
from api.demo.people import Form, Person, made_id
from api.responses.recording import ResponseToRecord
from api.responses.schemas import ResponseCreate
from api.responses.service import prepare
from api.security.principal import Principal

SUBJECT: Final = "demo-ehr"
_TYPING: Final = timedelta(minutes=4)
"""From the answering of a form to its recording."""


def recorded_at(form: Form) -> datetime:
    """When a form was first recorded."""
    return form.answered_at + _TYPING


def as_recorded(
    principal: Principal, person: Person, form: Form, *, at: datetime | None = None, row_id: uuid.UUID | None = None
) -> ResponseToRecord:
    """What would have been written for the form, at the time when it was filled in.

    ``at`` and ``row_id`` are those of a version that amends it.
    """
    body = ResponseCreate.model_validate(
        {
            "client_id": person.id,
            "episode_id": course.episode_id(person),
            "instrument": form.instrument,
            "answered_at": form.answered_at.isoformat(),
            "answers": form.answers,
            "setting": form.setting,
        }
    )
    moment, own_id = at or recorded_at(form), row_id or form.id
    instrument = instruments.load(body.instrument)
    prepared = prepare(
        principal,
        body,
        instrument,
        key=None,
        request_hash=b"",
        request_id=f"demo-{form.id}",
        make_id=lambda label: made_id(moment, own_id, label),
    )
    document = orjson.loads(prepared.document) | {"id": form.id, "recorded_at": moment}
    return replace(
        prepared,
        id=own_id,
        event_id=made_id(moment, own_id, "event"),
        recorded_at=moment,
        document=orjson.dumps(document, option=orjson.OPT_UTC_Z).decode("utf-8"),
    )
