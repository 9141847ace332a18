"""The rules about imports: taking the file in parts, telling how far it is, cancelling."""

from __future__ import annotations

import asyncio
import csv
import io
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson
from starlette.requests import ClientDisconnect

from api.db import Database
from api.ids import new_id
from api.imports import schemas
from api.imports.faults import MOST_KEPT
from api.imports.problems import ImportEnded, TooManyImports, UploadConflict
from api.imports.record import RESOURCE
from api.imports.repository import ImportRepository
from api.imports.tables import ImportFaultRow, ImportRow
from api.middleware import BODY_TIMEOUT
from api.organisations.keys import lookup_key_of
from api.paging import decode_cursor, encode_cursor
from api.problems import BodyTooLarge, NotFound, RequestTimeout
from api.records.audit import Audit
from api.security import crypto

PART: Final = 1 << 20
"""Bytes of a part of the file as it is kept."""
MOST_UNDER_WAY: Final = 20
UNKNOWN: Final = "There is no such import."
FAULTS_AT_ONCE: Final = 5_000
COLUMNS: Final = ("row", "line", "pointer", "code", "detail")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

    format: schemas.Format
    layout: schemas.Layout
    compressed: bool
    instrument: str | None
    on_error: schemas.OnError
    dry_run: bool
    alerts: schemas.Alerts
    create_clients: bool


@dataclass(frozen=True, slots=True)
class Imports:
    """The imports of one organisation, for one request. Each step is a transaction of its own: uploads take long."""

    database: Database
    keys: crypto.Keys
    audit: Audit
    largest: int

    @property
    def organisation_id(self) -> uuid.UUID:
        """Whose they are."""
        return self.audit.principal.organisation_id

    async def create(self, wanted: Wanted, *, spooled: bool = True) -> uuid.UUID:
        """A new import without any of its file; not ``spooled``, one that whoever makes it runs from their own file.

        Raises
        ------
        TooManyImports
        """
        now, import_id = datetime.now(UTC), new_id()
        whose = {"organisation_id": self.organisation_id, "import_id": import_id}
        row = ImportRow(
            organisation_id=self.organisation_id,
            id=import_id,
            state="uploading" if spooled else "queued",
            format=wanted.format,
            layout=wanted.layout,
            compressed=wanted.compressed,
            instrument=wanted.instrument,
            on_error=wanted.on_error,
            dry_run=wanted.dry_run,
            alerts=wanted.alerts,
            create_clients=wanted.create_clients,
            spooled=spooled,
            key_wrapped=crypto.wrap_import_key(self.keys, crypto.new_client_key(), **whose) if spooled else None,
            subject=self.audit.principal.subject,
            role=self.audit.principal.role,
            request_id=self.audit.request_id,
            created_at=now,
            changed_at=now,
        )
        async with self.database.session(self.organisation_id) as session:
            repository = ImportRepository(session, self.organisation_id)
            if await repository.under_way() >= MOST_UNDER_WAY:
                await self.audit.refused("create", RESOURCE, None, "too-many")
                raise TooManyImports(f"{MOST_UNDER_WAY} are; wait for one, or cancel one.")
            await lookup_key_of(session, self.keys, self.organisation_id)  # made here if need be, for the run
            await repository.add(row)
            self.audit.record(session, "create", RESOURCE, import_id)
        return import_id

    async def receive(
        self, import_id: uuid.UUID, start: int, body: AsyncIterator[bytes], *, complete: bool
    ) -> schemas.ImportRead:
        """Take a part of the file, and queue the import where it is the last.

        What has come before a connection breaks is kept: the next part begins after it.

        Raises
        ------
        NotFound, ImportEnded, UploadConflict, BodyTooLarge, RequestTimeout
        """
        row = await self._known("upload", import_id)
        if row.state != "uploading" or row.key_wrapped is None:
            await self.audit.refused("upload", RESOURCE, import_id, "ended")
            lost = row.state == "uploading"  # its key is in no backup
            raise ImportEnded("A restored backup has nothing of its file." if lost else "It takes no more of its file.")
        if row.bytes_received != start:
            raise await self._conflict(row)
        whose = {"organisation_id": self.organisation_id, "import_id": import_id}
        upload = _Upload(self, row, crypto.unwrap_import_key(self.keys, row.key_wrapped, **whose), start)
        await upload.take(body)
        async with self.database.session(self.organisation_id) as session:
            repository = ImportRepository(session, self.organisation_id)
            if complete and not await repository.queue(import_id, upload.at):
                raise await self._conflict(row)
            self.audit.record(session, "upload", RESOURCE, import_id)
        return _read(await self._known("upload", import_id))

    async def get(self, import_id: uuid.UUID) -> schemas.ImportRead:
        """One import.

        Raises
        ------
        NotFound
        """
        row = await self._known("read", import_id)
        await self._done("read", import_id)
        return _read(row)

    async def page(self, cursor: str | None, limit: int) -> tuple[list[schemas.ImportRead], str | None]:
        """A page of imports, the newest first, and the cursor of the next."""
        before = None if cursor is None else decode_cursor(cursor)[1]
        async with self.database.session(self.organisation_id) as session:
            rows = await ImportRepository(session, self.organisation_id).page(before, limit + 1)
            self.audit.record(session, "list", RESOURCE)
        more = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
        return [_read(row) for row in rows[:limit]], more

    async def cancel(self, import_id: uuid.UUID) -> schemas.ImportRead:
        """End an import that has not ended. What was written of it stays, unless it was to be all or nothing.

        Raises
        ------
        NotFound, ImportEnded
        """
        await self._known("cancel", import_id)
        async with self.database.session(self.organisation_id) as session:
            ended = await ImportRepository(session, self.organisation_id).cancel(import_id)
            if ended:
                self.audit.record(session, "cancel", RESOURCE, import_id)
        if not ended:
            await self.audit.refused("cancel", RESOURCE, import_id, "ended")
            raise ImportEnded("It has come to its end.")
        return _read(await self._known("cancel", import_id))

    async def report(self, import_id: uuid.UUID, as_csv: bool) -> tuple[int, AsyncIterator[bytes]]:
        """How many faults there are, and the report of those that are kept, piece by piece.

        Raises
        ------
        NotFound
        """
        row = await self._known("read-errors", import_id)
        await self._done("read-errors", import_id)
        return row.faults, self._report(import_id, as_csv)

    async def _report(self, import_id: uuid.UUID, as_csv: bool) -> AsyncIterator[bytes]:
        if as_csv:
            yield (",".join(COLUMNS) + "\r\n").encode()
        after = 0
        while True:
            async with self.database.session(self.organisation_id) as session:
                repository = ImportRepository(session, self.organisation_id)
                faults = await repository.faults(import_id, after, FAULTS_AT_ONCE)
            if not faults:
                return
            after = faults[-1].number
            yield _as_csv(faults) if as_csv else _as_lines(faults)

    async def _known(self, action: str, import_id: uuid.UUID) -> ImportRow:
        async with self.database.session(self.organisation_id) as session:
            row = await ImportRepository(session, self.organisation_id).get(import_id)
        if row is None:
            await self.audit.refused(action, RESOURCE, import_id, "not-found")
            raise NotFound(UNKNOWN)
        return row

    async def _done(self, action: str, import_id: uuid.UUID) -> None:
        async with self.database.session(self.organisation_id) as session:
            self.audit.record(session, action, RESOURCE, import_id)

    async def _conflict(self, row: ImportRow) -> UploadConflict:
        await self.audit.refused("upload", RESOURCE, row.id, "conflict")
        at = (await self._known("upload", row.id)).bytes_received
        return UploadConflict(f"Go on at byte {at}.", headers={"Upload-Offset": str(at)}, offset=at)


class _Upload:
    """Parts of a file on their way into the database, one in memory at a time."""

    def __init__(self, imports: Imports, row: ImportRow, key: bytes, start: int) -> None:
        self._imports = imports
        self._row = row
        self._key = key
        self.at = start

    async def take(self, body: AsyncIterator[bytes]) -> None:
        """Keep what comes, until its end; where the connection breaks, what came before."""
        held = bytearray()
        try:
            while (piece := await self._next(body)) is not None:
                held += piece
                if self.at + len(held) > self._imports.largest:
                    raise BodyTooLarge(f"A file has at most {self._imports.largest} bytes; split it.")
                while len(held) >= PART:
                    await self._keep(bytes(held[:PART]))
                    del held[:PART]
        except (ClientDisconnect, RequestTimeout):
            await self._keep(bytes(held))
            raise
        await self._keep(bytes(held))

    async def _next(self, body: AsyncIterator[bytes]) -> bytes | None:
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                return await anext(body, None)
        except TimeoutError:
            raise RequestTimeout(f"Nothing came for {BODY_TIMEOUT:.0f} s. What came before is kept.") from None

    async def _keep(self, part: bytes) -> None:
        if not part:
            return
        imports, row = self._imports, self._row
        whose = {"organisation_id": imports.organisation_id, "import_id": row.id}
        sealed = crypto.seal_import_part(self._key, part, start=self.at, **whose)
        async with imports.database.session(imports.organisation_id) as session:
            repository = ImportRepository(session, imports.organisation_id)
            kept = await repository.append(row.id, self.at, len(part), sealed)
        if not kept:
            raise await imports._conflict(row)
        self.at += len(part)


def _read(row: ImportRow) -> schemas.ImportRead:
    failure = None
    if row.failure_code is not None:
        failure = schemas.FailureRead(code=row.failure_code, detail=row.failure_detail or "")
    return schemas.ImportRead.model_validate(
        row.model_dump(exclude={"rows"})
        | {
            "rows": {
                "read": row.rows_read,
                "good": row.rows_present + row.rows_written,
                "bad": row.rows_bad,
                "already_there": row.rows_present,
                "written": row.rows_written,
            },
            "faults_kept": min(row.faults, MOST_KEPT),
            "failure": failure,
            "created_by": row.subject,
        }
    )


def _as_lines(faults: Sequence[ImportFaultRow]) -> bytes:
    return b"".join(
        orjson.dumps({name: getattr(fault, name) for name in COLUMNS}, option=orjson.OPT_APPEND_NEWLINE)
        for fault in faults
    )


def _as_csv(faults: Sequence[ImportFaultRow]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([getattr(fault, name) for name in COLUMNS] for fault in faults)
    return text.getvalue().encode()
