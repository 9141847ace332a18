"""The rules about protocols: a version never changes, and every entry names what there is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from api.catalogue.library import InstrumentRetired, Library
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import Problem, RequestInvalid
from api.protocols import schemas
from api.protocols.repository import Both, ProtocolRepository
from api.protocols.tables import ProtocolRow, ProtocolVersionRow
from api.records.steps import Fault, Steps

UNKNOWN: Final = "There is no such protocol."
UNKNOWN_VERSION: Final = "The protocol has no such version."


class ProtocolRetired(Problem):
    """The protocol was retired: it is assigned no more and gets no new versions; episodes keep what they follow."""

    status, slug, title = 409, "protocol-retired", "The protocol was retired"


@dataclass(frozen=True, slots=True)
class Protocols:
    """The protocols of one organisation, for one request."""

    repository: ProtocolRepository
    library: Library
    steps: Steps

    async def create(self, body: schemas.ProtocolCreate) -> Both:
        """A new protocol, in its first version.

        Raises
        ------
        RequestInvalid
            With every fault of every entry.
        """
        await self.steps.refuse("create", "protocol", None, await self._faults(body.entries))
        now = datetime.now(UTC)
        row = ProtocolRow(
            organisation_id=self.repository.organisation_id,
            id=new_id(),
            code=body.code,
            version=1,
            created_at=now,
            updated_at=now,
            revision=1,
        )
        if not await self.repository.take(row):
            taken = [("code", "code-taken", "is the code of no other protocol of the organisation")]
            await self.steps.refuse("create", "protocol", None, taken)
        version = self._version(row, body)
        await self.repository.add(version)
        self.steps.done("create", "protocol", row.id)
        return row, version

    async def protocol(self, protocol_id: uuid.UUID) -> Both:
        """A protocol in its newest version; :class:`NotFound` where there is none."""
        row = await self._row("read", protocol_id)
        self.steps.done("read", "protocol", protocol_id)
        return row, await self._newest(row)

    async def protocols(self, cursor: str | None, limit: int) -> tuple[list[Both], str | None]:
        """A page of protocols and the cursor of the next."""
        after = None if cursor is None else decode_cursor(cursor)[1]
        rows = await self.repository.protocols(after, limit + 1)
        self.steps.done("list", "protocol", None)
        more = encode_cursor(rows[limit - 1][0].created_at, rows[limit - 1][0].id) if len(rows) > limit else None
        return [(row, version) for row, version in rows[:limit]], more

    async def version(self, protocol_id: uuid.UUID, number: int) -> Both:
        """One version of a protocol; :class:`NotFound` where there is none."""
        row = await self._row("read-version", protocol_id)
        version = await self.repository.version(protocol_id, number)
        if version is None:
            raise await self.steps.unknown("read-version", "protocol", protocol_id, UNKNOWN_VERSION)
        self.steps.done("read-version", "protocol", protocol_id)
        return row, version

    async def versions(self, protocol_id: uuid.UUID, cursor: str | None, limit: int) -> tuple[list[Both], str | None]:
        """A page of the versions of a protocol, oldest first, and the cursor of the next."""
        after = 0 if cursor is None else min(decode_cursor(cursor)[1].int, 2**31 - 1)
        row = await self._row("list-versions", protocol_id)
        found = await self.repository.versions(protocol_id, after, limit + 1)
        self.steps.done("list-versions", "protocol", protocol_id)
        last = found[limit - 1] if len(found) > limit else None
        more = None if last is None else encode_cursor(last.made_at, uuid.UUID(int=last.version))
        return [(row, version) for version in found[:limit]], more

    async def replace(self, protocol_id: uuid.UUID, body: schemas.ProtocolWrite, if_match: str | None) -> Both:
        """A further version of a protocol; episodes keep the one that they follow. No change makes none.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, ProtocolRetired, RequestInvalid
        """
        row = await self._row("change", protocol_id, lock=True)
        await self.steps.expect("protocol", protocol_id, row.revision, if_match)
        if row.retired_at is not None:
            await self.steps.audit.refused("change", "protocol", protocol_id, "retired")
            raise ProtocolRetired("Make a protocol of another code.")
        await self.steps.refuse("change", "protocol", protocol_id, await self._faults(body.entries))
        newest = await self._newest(row)
        if (newest.name, newest.entries) != (body.name, _stored(body.entries)):
            row.version += 1
            _changed(row)
            newest = self._version(row, body)
            await self.repository.add(row, newest)
        self.steps.done("change", "protocol", protocol_id)
        return row, newest

    async def retire(self, protocol_id: uuid.UUID, if_match: str | None) -> Both:
        """Assign a protocol no more; episodes that follow it go on. One that was retired stays so.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed
        """
        row = await self._row("retire", protocol_id, lock=True)
        await self.steps.expect("protocol", protocol_id, row.revision, if_match)
        if row.retired_at is None:
            _changed(row)
            row.retired_at = row.updated_at
            await self.repository.add(row)
        self.steps.done("retire", "protocol", protocol_id)
        return row, await self._newest(row)

    async def _row(self, action: str, protocol_id: uuid.UUID, *, lock: bool = False) -> ProtocolRow:
        row = await self.repository.protocol(protocol_id, lock=lock)
        if row is None:
            raise await self.steps.unknown(action, "protocol", protocol_id, UNKNOWN)
        return row

    async def _newest(self, row: ProtocolRow) -> ProtocolVersionRow:
        version = await self.repository.version(row.id, row.version)
        if version is None:
            raise RuntimeError("a protocol without its newest version")
        return version

    def _version(self, row: ProtocolRow, body: schemas.ProtocolWrite) -> ProtocolVersionRow:
        return ProtocolVersionRow(
            organisation_id=row.organisation_id,
            protocol_id=row.id,
            version=row.version,
            name=body.name,
            entries=_stored(body.entries),
            made_at=row.updated_at,
            made_by=self.steps.audit.principal.subject,
        )

    async def _faults(self, entries: Sequence[schemas.Entry]) -> list[Fault]:
        """Everything that is wrong with the entries."""
        found: list[Fault] = []
        ids = [entry.id for entry in entries]
        for number, entry in enumerate(entries):
            place = f"entries/{number}"
            if entry.id in ids[:number]:
                found.append((f"{place}/id", "duplicate-id", "is the id of one entry"))
            window = entry.window
            if window.closes_after < window.overdue_after:
                detail = "is not less than overdue_after: what is in time can be answered"
                found.append((f"{place}/window/closes_after", "days-out-of-order", detail))
            elif isinstance(entry.when, schemas.Weeks):
                between = 7 * entry.when.every
                if window.opens_before + window.closes_after >= between:
                    detail = f"opens_before and closes_after together are less than the {between} days between two"
                    found.append((f"{place}/window", "windows-overlap", detail))
            found += [(f"{place}/{member}", code, detail) for member, code, detail in await self._unknown(entry)]
        return found

    async def _unknown(self, entry: schemas.Entry) -> list[Fault]:
        organisation_id = self.repository.organisation_id
        try:
            instrument = await self.library.to_record(organisation_id, entry.instrument, entry.version)
        except RequestInvalid as error:
            return [(fault["pointer"][1:], fault["code"], fault["detail"]) for fault in error.errors or ()]
        except InstrumentRetired:
            member = "instrument" if entry.version is None else "version"
            return [(member, "instrument-retired", "is in use; GET /v1/instruments lists which versions are")]
        if entry.variant is not None and entry.variant not in instrument.variant_ids:
            detail = f"has to be one of {', '.join(instrument.variant_ids)}"
            return [("variant", "unknown-variant", detail)]
        return []


def _changed(row: ProtocolRow) -> None:
    row.revision += 1
    row.updated_at = max(datetime.now(UTC), row.updated_at)  # a clock set back breaks no order


def _stored(entries: Sequence[schemas.Entry]) -> list[dict[str, Any]]:
    return [entry.model_dump() for entry in entries]
