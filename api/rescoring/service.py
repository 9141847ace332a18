"""The rules of re-scoring: what may be scored by what, one run of an instrument at a time, and when scores count."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
from sqlalchemy.exc import IntegrityError

from api.authoring.repository import InstrumentRepository
from api.catalogue.library import Library
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import NotFound, RequestInvalid
from api.records.audit import Audit
from api.rescoring import definitions, running, schemas
from api.rescoring.definitions import Fault
from api.rescoring.problems import RescoringState, RescoringUnfinished
from api.rescoring.report import Report
from api.rescoring.repository import RescoringRepository
from api.rescoring.tables import RescoringEffectRow, RescoringRow
from instruments import Instrument, NotScorable, UnknownInstrument

RESOURCE: Final = "rescoring"
UNKNOWN: Final = "There is no such run."


@dataclass(frozen=True, slots=True)
class Rescorings:
    """Runs of one organisation, for one request."""

    repository: RescoringRepository
    audit: Audit
    library: Library

    async def start(self, body: schemas.RescoringCreate) -> schemas.RescoringRead:
        """Queue a run.

        Raises
        ------
        RequestInvalid
            With every fault: an unknown instrument or version, or answers that cannot be scored so.
        RescoringUnfinished
            Another run of the instrument has not ended.
        """
        faults = [fault async for fault in self._faults(body)]
        if faults:
            await self.audit.refused("start", RESOURCE, None, "refused")
            errors = [{"pointer": f"/{member}", "code": code, "detail": detail} for member, code, detail in faults]
            raise RequestInvalid(errors=errors)
        to = await self.library.get(self.repository.organisation_id, body.instrument, body.to_version)
        row = RescoringRow(
            organisation_id=self.repository.organisation_id,
            id=new_id(),
            **body.model_dump(),
            to_checksum=to.checksum,
            requested_by=self.audit.principal.subject,
            created_at=datetime.now(UTC),
            state="queued",
        )
        try:
            await self.repository.add(row)
        except IntegrityError as error:
            if error.orig is None or not isinstance(error.orig.__cause__, asyncpg.UniqueViolationError):
                raise
            await self.audit.refused("start", RESOURCE, None, "unfinished")
            raise RescoringUnfinished("Wait until it has ended, or withdraw it; GET /v1/rescorings tells.") from None
        await self.repository.queue(row.id)
        self._record("start", row.id)
        return _read(row, {})

    async def _faults(self, body: schemas.RescoringCreate) -> AsyncIterator[Fault]:
        own = self.repository.organisation_id
        try:
            known = {one.version: one for one in await self.library.published(own, body.instrument)}
            if not known:
                await self.library.get(own, body.instrument)
        except NotScorable:
            yield "instrument", "instrument-not-scorable", "is one that can be scored"
            return
        except UnknownInstrument:
            yield "instrument", "unknown-instrument", "is a code of /v1/instruments, drafts aside"
            return
        found: dict[str, Instrument] = {}
        for member, version in (("from_version", body.from_version), ("to_version", body.to_version)):
            if version in known:
                found[member] = await self.library.get(own, body.instrument, version)
            elif await self._is_draft(body.instrument, version):
                yield member, "draft-version", "is a published version; this one is a draft"
            else:
                yield member, "unknown-version", f"has to be one of {', '.join(map(str, sorted(known)))}"
        if body.to_version in known and known[body.to_version].retired:
            yield "to_version", "retired-version", "is a version in use; this one was retired"
        if len(found) < 2:
            return
        recorded, to = found["from_version"], found["to_version"]
        if recorded.version == to.version:
            if body.from_checksum is None:
                detail = "names the definition that the scores were made by, where the version is to stay the same one"
                yield "from_checksum", "same-version", detail
            elif body.from_checksum == to.checksum:
                yield "from_checksum", "same-definition", "is another definition than that which is to score"
        for fault in definitions.faults(recorded, to, body.variant):
            yield fault

    async def _is_draft(self, code: str, version: int) -> bool:
        drafts = InstrumentRepository(self.repository.session, self.repository.organisation_id)
        return await drafts.draft(code, version) is not None

    async def page(
        self, instrument: str | None, cursor: str | None, limit: int
    ) -> tuple[list[schemas.RescoringRead], str | None]:
        """A page of runs, newest first, and the cursor of the next."""
        before = None if cursor is None else decode_cursor(cursor)
        rows = await self.repository.page(instrument, before, limit + 1)
        self._record("list", None)
        more = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
        return await self._told(rows[:limit]), more

    async def get(self, run_id: uuid.UUID) -> schemas.RescoringDetail:
        """One run; :class:`NotFound` where there is none."""
        row = await self._known("read", run_id)
        self._record("read", run_id)
        (told,) = await self._told([row])
        remaining = None
        if told.applied_at is not None and told.withdrawn_at is None:
            pool = self.audit.database.pool
            number, complete = await running.remaining(pool, self.repository.organisation_id, run_id)
            remaining = schemas.Remaining(responses=number, complete=complete)
        return schemas.RescoringDetail(**told.model_dump(by_alias=True), remaining=remaining)

    async def stop(self, run_id: uuid.UUID) -> schemas.RescoringRead:
        """Let a run do no more, until it is resumed; what it has done stays. Raises `NotFound`, `RescoringState`."""
        row = await self._in_state("stop", run_id, ("queued", "running", "stopped"), "It has ended.")
        row.state = "stopped"
        return await self._changed("stop", row)

    async def resume(self, run_id: uuid.UUID) -> schemas.RescoringRead:
        """Let a run go on where it was. Raises `NotFound`, `RescoringState`, `RescoringUnfinished`."""
        states = ("queued", "running", "stopped", "failed")
        row = await self._in_state("resume", run_id, states, "It has ended.")
        if row.state in ("queued", "running"):  # asked for twice
            return await self._changed("resume", row)
        row.state, row.failure, row.ended_at = "queued", None, None
        try:
            await self.repository.save()
        except IntegrityError as error:
            if error.orig is None or not isinstance(error.orig.__cause__, asyncpg.UniqueViolationError):
                raise
            await self.audit.refused("resume", RESOURCE, run_id, "unfinished")
            raise RescoringUnfinished("Another run of the instrument was started meanwhile.") from None
        await self.repository.queue(run_id)
        return await self._changed("resume", row)

    async def withdraw(self, run_id: uuid.UUID, body: schemas.RescoringWithdraw) -> schemas.RescoringRead:
        """Let the scores of a run count no more; or end one that is not to go on. Final, and nothing is deleted.

        Raises
        ------
        NotFound, RescoringState
        """
        states = ("queued", "running", "stopped", "failed", "done")
        row = await self._in_state("withdraw", run_id, states, "It was withdrawn before.")
        now = datetime.now(UTC)
        applied = (await self.repository.effects([run_id])).get((run_id, "applied"))
        row.state, row.failure, row.ended_at = "withdrawn", None, row.ended_at or now
        await self.repository.add(
            RescoringEffectRow(
                organisation_id=row.organisation_id,
                rescoring_id=run_id,
                effect="withdrawn",
                at=now if applied is None else max(now, applied.at),
                by=self.audit.principal.subject,
                reason=body.reason,
            )
        )
        return await self._changed("withdraw", row)

    async def _changed(self, action: str, row: RescoringRow) -> schemas.RescoringRead:
        await self.repository.save()
        self._record(action, row.id)
        (told,) = await self._told([row])
        return told

    async def _told(self, rows: Sequence[RescoringRow]) -> list[schemas.RescoringRead]:
        effects = await self.repository.effects([row.id for row in rows]) if rows else {}
        return [_read(row, effects) for row in rows]

    async def _known(self, action: str, run_id: uuid.UUID, *, for_update: bool = False) -> RescoringRow:
        row = await self.repository.get(run_id, for_update=for_update)
        if row is None:
            await self.audit.refused(action, RESOURCE, run_id, "not-found")
            raise NotFound(UNKNOWN)
        return row

    async def _in_state(self, action: str, run_id: uuid.UUID, states: Sequence[str], otherwise: str) -> RescoringRow:
        row = await self._known(action, run_id, for_update=True)
        if row.state not in states:
            await self.audit.refused(action, RESOURCE, run_id, "state")
            raise RescoringState(f"The run is {row.state}. {otherwise}", state=row.state)
        return row

    def _record(self, action: str, run_id: uuid.UUID | None) -> None:
        self.audit.record(self.repository.session, action, RESOURCE, run_id)


def _read(row: RescoringRow, effects: dict[tuple[uuid.UUID, str], RescoringEffectRow]) -> schemas.RescoringRead:
    kept: dict[str, Any] = {
        name: getattr(row, name) for name in schemas.RescoringRead.model_fields if hasattr(RescoringRow, name)
    }
    applied, withdrawn = effects.get((row.id, "applied")), effects.get((row.id, "withdrawn"))
    return schemas.RescoringRead.model_validate(
        kept
        | {
            "report": None if row.report is None else Report.resumed(row.report).document(),
            "applied_at": None if applied is None else applied.at,
            "withdrawn_at": None if withdrawn is None else withdrawn.at,
            "withdrawn_by": None if withdrawn is None else withdrawn.by,
            "withdrawn_reason": None if withdrawn is None else withdrawn.reason,
        }
    )
