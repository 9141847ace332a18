"""What befell single people: a form that was typed in wrongly and put right, one of somebody else's that was void.

Both are recorded as forms are, then corrected by the functions of the database that the API corrects by.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import asyncpg

import instruments
from api.clients.tables import ClientRow
from api.corrections.repository import Correction, amend_over, void_over
from api.demo.clinic import Clinic
from api.demo.people import Form, Person, made_id
from api.demo.recording import as_recorded, recorded_at
from api.responses.versions import Reasons
from api.security import crypto
from api.security.principal import Principal

_BUSINESS_HOURS: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Corrected:
    """One correction: what was recorded first, of whom, and the form as it should have been; None where it was void."""

    person: Person
    first: Form
    right: Form | None
    days: int
    code: str
    reason: str


def corrections(clinic: Clinic, invented: tuple[Person, ...]) -> Iterator[Corrected]:
    """Those of the people who are there."""
    known = {person.external_id: person for person in invented}
    for story in clinic.stories.corrected:
        if (person := known.get(story.person)) is not None:
            right = _form(person, story.form, story.number)
            wrong = replace(right, answers=turned(right))
            yield Corrected(person, wrong, right, story.days, "mistyped", story.reason)
    for misfiled in clinic.stories.misfiled:
        person, owner = known.get(misfiled.person), known.get(misfiled.owner)
        if person is not None and owner is not None:
            theirs = _form(owner, misfiled.form, misfiled.number)
            made = replace(theirs, id=made_id(theirs.answered_at, theirs.id, person.external_id))
            yield Corrected(person, made, None, misfiled.days, "wrong-client", misfiled.reason)


def turned(form: Form) -> dict[str, int]:
    """The answers as they are where each item's options are counted from the wrong end."""
    items = {item.id: item for item in instruments.load(form.instrument).items}
    found = {}
    for name, answer in form.answers.items():
        options = sorted(items[name].substantive)
        found[name] = options[-1 - options.index(answer)] if answer in options else answer
    return found


def _form(person: Person, code: str, number: int) -> Form:
    return [form for form in person.forms if form.instrument == code][number]


async def correct(
    connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record],
    keys: crypto.Keys,
    principal: Principal,
    clients: Mapping[uuid.UUID, ClientRow],
    story: Corrected,
) -> None:
    """Put a form right that was recorded, or find it void."""
    client, first = clients[story.person.id], story.first
    at = recorded_at(first) + timedelta(days=story.days) + _BUSINESS_HOURS
    correction = Correction(
        organisation_id=principal.organisation_id,
        subject=principal.subject,
        role=principal.role,
        request_id=f"demo-{first.id}-corrected",
        idempotency_key=None,
        request_hash=b"",
        root_id=first.id,
        current_id=first.id,
        reason_code=story.code,
        reason_sealed=Reasons(keys, client.key_wrapped, client.organisation_id, client.id).seal(story.reason, first.id),
        at=at,
        event_id=made_id(at, first.id, "corrected"),
    )
    if story.right is None:
        done = await void_over(connection, correction)
    else:
        version = made_id(at, first.id, "version")
        done = await amend_over(
            connection, correction, as_recorded(principal, story.person, story.right, at=at, row_id=version)
        )
    if done.outcome != "created":
        raise RuntimeError(f"a correction of the demo was not made: {done.outcome}")
