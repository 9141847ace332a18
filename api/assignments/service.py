"""The rules about work between sessions: what became of it is recorded, and recorded anew, but never changed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from api.assignments import schemas
from api.assignments.adherence import Work, by_week, earliest_today, overall
from api.assignments.repository import AssignmentRepository
from api.assignments.tables import AssignmentRow, CompletionRow
from api.clients.texts import Sealer
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.records.steps import UNKNOWN_CLIENT, Fault, Steps
from api.security.crypto import Keys

UNKNOWN: Final = "The client has no such assignment."
_PURPOSE: Final = b"assignment"


@dataclass(frozen=True, slots=True)
class Assignments:
    """The work between sessions of one organisation's clients, for one request."""

    repository: AssignmentRepository
    keys: Keys
    steps: Steps

    async def set(self, client_id: uuid.UUID, body: schemas.AssignmentCreate) -> schemas.AssignmentRead:
        """A new assignment.

        Raises
        ------
        NotFound, RequestInvalid
        """
        sealer = await self._sealer("create", client_id)
        now, assignment_id = datetime.now(UTC), new_id()
        row = AssignmentRow(
            organisation_id=self.repository.organisation_id,
            id=assignment_id,
            client_id=client_id,
            note_sealed=None if body.note is None else sealer.seal(body.note, assignment_id),
            created_at=now,
            updated_at=now,
            version=1,
            **body.model_dump(exclude={"note"}),
        )
        await self.steps.refuse("create", "assignment", None, _faults(row))
        await self.repository.add(row)
        self.steps.done("create", "assignment", assignment_id)
        return _read(row, None, sealer)

    async def assignment(self, client_id: uuid.UUID, assignment_id: uuid.UUID) -> schemas.AssignmentRead:
        """One assignment; :class:`NotFound` where there is none."""
        row = await self._assignment("read", client_id, assignment_id)
        sealer = await self._sealer("read", client_id)
        self.steps.done("read", "assignment", assignment_id)
        return _read(row, (await self.repository.last([row.id])).get(row.id), sealer)

    async def assignments(
        self, client_id: uuid.UUID, cursor: str | None, limit: int
    ) -> tuple[list[schemas.AssignmentRead], str | None]:
        """A page of a client's assignments and the cursor of the next; :class:`NotFound` for an unknown client."""
        after = None if cursor is None else decode_cursor(cursor)[1]
        sealer = await self._sealer("list-assignments", client_id)
        rows = await self.repository.assignments(client_id, after, limit + 1)
        shown = rows[:limit]
        last = await self.repository.last([row.id for row in shown])
        self.steps.done("list-assignments", "client", client_id)
        more = encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
        return [_read(row, last.get(row.id), sealer) for row in shown], more

    async def change(
        self, client_id: uuid.UUID, assignment_id: uuid.UUID, body: schemas.AssignmentPatch, if_match: str | None
    ) -> schemas.AssignmentRead:
        """Merge changes into an assignment of which nothing is recorded. No change makes no new version.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, RequestInvalid
        """
        row = await self._assignment("change", client_id, assignment_id, lock=True)
        await self.steps.expect("assignment", assignment_id, row.version, if_match)
        sealer = await self._sealer("change", client_id)
        completion = (await self.repository.last([row.id])).get(row.id)
        before = _read(row, completion, sealer).model_dump()
        given = {name: value for name, value in body.model_dump(exclude_unset=True).items() if before[name] != value}
        if completion is not None:
            detail = "stays as it is once its outcome is recorded"
            await self.steps.refuse(
                "change", "assignment", assignment_id, [(member, "completed", detail) for member in given]
            )
        if given:
            if "note" in given:
                note = given.pop("note")
                given["note_sealed"] = None if note is None else sealer.seal(note, row.id)
            after = AssignmentRow(**row.model_dump() | given)  # of no session: what is refused has changed nothing
            await self.steps.refuse("change", "assignment", assignment_id, _faults(after))
            for name, value in given.items():
                setattr(row, name, value)
            _next_version(row)
            await self.repository.add(row)
        self.steps.done("change", "assignment", assignment_id)
        return _read(row, completion, sealer)

    async def complete(
        self, client_id: uuid.UUID, assignment_id: uuid.UUID, body: schemas.CompletionCreate
    ) -> schemas.CompletionRead:
        """Record what became of an assignment, in place of what was recorded before.

        Raises
        ------
        NotFound, RequestInvalid
        """
        row = await self._assignment("complete", client_id, assignment_id, lock=True)
        sealer = await self._sealer("complete", client_id)
        held = row.id in await self.repository.last([row.id])
        await self.steps.refuse("complete", "assignment", row.id, _completion_faults(row, body, held=held))
        _next_version(row)
        made = CompletionRow(
            organisation_id=row.organisation_id,
            assignment_id=row.id,
            version=row.version,
            note_sealed=None if body.note is None else sealer.seal(body.note, _note_id(row.id, row.version)),
            recorded_at=datetime.now(UTC),
            recorded_by=self.steps.audit.principal.subject,
            **body.model_dump(exclude={"note"}),
        )
        await self.repository.add(row, made)
        self.steps.done("complete", "assignment", row.id)
        return _completion(made, sealer)

    async def completions(
        self, client_id: uuid.UUID, assignment_id: uuid.UUID, cursor: str | None, limit: int
    ) -> tuple[list[schemas.CompletionRead], str | None]:
        """A page of what was recorded, and the cursor of the next; :class:`NotFound` for an unknown assignment."""
        after = 0 if cursor is None else min(decode_cursor(cursor)[1].int, 2**31 - 1)
        await self._assignment("list-completions", client_id, assignment_id)
        sealer = await self._sealer("list-completions", client_id)
        rows = await self.repository.completions(assignment_id, after, limit + 1)
        self.steps.done("list-completions", "assignment", assignment_id)
        last = rows[limit - 1] if len(rows) > limit else None
        more = None if last is None else encode_cursor(last.recorded_at, uuid.UUID(int=last.version))
        return [_completion(row, sealer) for row in rows[:limit]], more

    async def adherence(self, client_id: uuid.UUID) -> schemas.Adherence:
        """How much was done, week by week; :class:`NotFound` for an unknown client."""
        if await self.repository.client(client_id) is None:
            raise await self.steps.unknown("read-adherence", "client", client_id, UNKNOWN_CLIENT)
        rows = await self.repository.assignments(client_id, None, None)
        last = await self.repository.last([row.id for row in rows])
        self.steps.done("read-adherence", "client", client_id)
        works, today = [_work(row, last.get(row.id)) for row in rows], earliest_today()
        return schemas.Adherence(
            client_id=client_id,
            weeks=[
                schemas.WeekRead(week=week, **schemas.TallyRead.model_validate(tally).model_dump())
                for week, tally in by_week(works, today)
            ],
            total=schemas.TallyRead.model_validate(overall(works, today)),
        )

    async def _sealer(self, action: str, client_id: uuid.UUID) -> Sealer:
        client = await self.repository.client(client_id)
        if client is None:
            raise await self.steps.unknown(action, "client", client_id, UNKNOWN_CLIENT)
        return Sealer(self.keys, client, _PURPOSE)

    async def _assignment(
        self, action: str, client_id: uuid.UUID, assignment_id: uuid.UUID, *, lock: bool = False
    ) -> AssignmentRow:
        row = await self.repository.assignment(client_id, assignment_id, lock=lock)
        if row is None:
            raise await self.steps.unknown(action, "assignment", assignment_id, UNKNOWN)
        return row


def _next_version(row: AssignmentRow) -> None:
    row.version += 1
    row.updated_at = max(datetime.now(UTC), row.updated_at)  # a clock set back breaks no order


def _note_id(assignment_id: uuid.UUID, version: int) -> uuid.UUID:
    """What the note of a completion is bound to: its assignment and version."""
    return uuid.uuid5(assignment_id, str(version))


def _faults(row: AssignmentRow) -> Iterator[Fault]:
    if row.due_on < row.set_on:
        yield "due_on", "days-out-of-order", "is not before set_on"
    if row.withdrawn_on is not None and row.withdrawn_on < row.set_on:
        yield "withdrawn_on", "days-out-of-order", "is not before set_on"


def _completion_faults(row: AssignmentRow, body: schemas.CompletionCreate, *, held: bool) -> Iterator[Fault]:
    if row.withdrawn_on is not None:
        yield "outcome", "withdrawn", "is recorded of an assignment that was not withdrawn"
    if body.outcome is None:
        if not held:
            yield "outcome", "nothing-recorded", "is null only where something was recorded before"
        for member in ("completed_on", "minutes", "distress_before", "distress_after"):
            if getattr(body, member) is not None:
                yield member, "without-outcome", "is null where outcome is"
        return
    if body.completed_on is None:
        yield "completed_on", "missing", "is required with an outcome"
    elif body.completed_on < row.set_on:
        yield "completed_on", "before-set", f"is not before {row.set_on}, the day on which it was set"
    if body.outcome == "not-done" and body.minutes:
        yield "minutes", "not-done", "are none of what was not begun"


def _work(row: AssignmentRow, completion: CompletionRow | None) -> Work:
    if completion is None:
        return Work(row.due_on, withdrawn=row.withdrawn_on is not None)
    return Work(
        row.due_on,
        withdrawn=row.withdrawn_on is not None,
        outcome=completion.outcome,
        completed_on=completion.completed_on,
        minutes=completion.minutes,
    )


def _completion(row: CompletionRow, sealer: Sealer) -> schemas.CompletionRead:
    sealed = row.note_sealed
    return schemas.CompletionRead(
        **row.model_dump(exclude={"organisation_id", "assignment_id", "note_sealed"}),
        note=None if sealed is None else sealer.open(sealed, _note_id(row.assignment_id, row.version)),
    )


def _read(row: AssignmentRow, completion: CompletionRow | None, sealer: Sealer) -> schemas.AssignmentRead:
    return schemas.AssignmentRead(
        **row.model_dump(exclude={"organisation_id", "note_sealed"}),
        note=None if row.note_sealed is None else sealer.open(row.note_sealed, row.id),
        completion=None if completion is None else _completion(completion, sealer),
    )
