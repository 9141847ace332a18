"""Running an import, from its first byte to its end. No part of it waits for anything but the database.

It is done by a process of its own, or by the command line: what it costs holds up no request. It may be killed at any
time. Where bad rows are skipped it goes on after the last batch that was committed; where all or nothing is to be
written it begins again, and nothing was written. While a batch is written the next one is made.
"""

from __future__ import annotations

import gc
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import psycopg

from api.imports.batches import Batches, grouped
from api.imports.definitions import Definitions
from api.imports.faults import MOST_KEPT
from api.imports.formats import Given, ndjson, wide
from api.imports.heart import Heart
from api.imports.long import long
from api.imports.people import People, lookup_key_of
from api.imports.reading import FileUnusable, Meter, decompressed, lines, metered
from api.imports.record import Cancelled, Counts, Record
from api.imports.scoring import Scorer
from api.imports.source import Sent, Source
from api.imports.writing import Batch, Changed, Import, Written, write
from api.security import crypto

MOST_ATTEMPTS: Final = 5
"""Times that an import is begun or begun again before it is given up."""
INTERRUPTED: Final = "it was under way when the backup was made that was restored, which holds no files: send it again"
Told = Callable[[int, Counts], None]
"""Called after each batch with the bytes read and the counts."""


def run(
    connect: Callable[[], psycopg.Connection[Any]],
    keys: crypto.Keys,
    organisation_id: uuid.UUID,
    import_id: uuid.UUID,
    *,
    largest: int,
    source: Source | None = None,
    told: Told | None = None,
) -> str:
    """Run an import to its end; its state then, or ``busy`` where another process is at it.

    Parameters
    ----------
    connect
        Opens a connection of the service's role, confined to the organisation, with every statement a transaction.
    keys
        Derived from the master key.
    largest
        Bytes that the file may have, decompressed.
    source
        The file; the parts that were sent unless one is given.
    """
    with ExitStack() as stack:
        stack.enter_context(_few_collections())
        reader = stack.enter_context(connect())
        record = Record(reader, organisation_id, import_id)
        heart = stack.enter_context(Heart(stack.enter_context(connect()), organisation_id, import_id))
        if not heart.alone:
            return "busy"
        if not record.begin(MOST_ATTEMPTS):
            return record.state
        if source is None:
            wrapped = record.row["key_wrapped"]
            if wrapped is None:
                record.fail("interrupted-by-restore", INTERRUPTED)
                return record.state
            whose = {"organisation_id": organisation_id, "import_id": import_id}
            source = Sent(reader, crypto.unwrap_import_key(keys, wrapped, **whose), **whose)
        runner = _Runner(connect, keys, record, heart, source, largest, told or (lambda read, counts: None))
        try:
            while True:
                try:
                    runner.attempt()
                    break
                except Changed:
                    if not record.begin(MOST_ATTEMPTS):
                        break
        except FileUnusable as error:
            record.fail(error.code, str(error))
        except Cancelled:
            record.clear()
        return record.state


class _Runner:
    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        keys: crypto.Keys,
        record: Record,
        heart: Heart,
        source: Source,
        largest: int,
        told: Told,
    ) -> None:
        self._connect = connect
        self._keys = keys
        self._record = record
        self._heart = heart
        self._source = source
        self._largest = largest
        self._told = told
        row = record.row
        self._of = Import(
            record.organisation_id, record.import_id, row["subject"], row["role"], row["request_id"],
            row["alerts"] == "raise",
        )  # fmt: skip
        self._whole = row["on_error"] == "all-or-nothing"
        self._dry = bool(row["dry_run"])

    def attempt(self) -> None:
        """From the beginning, or from after what was committed, to the end."""
        record, row, meter = self._record, self._record.row, Meter()
        counts = record.counts() if not self._whole and not self._dry else record.forget()
        with ExitStack() as stack:
            writer = stack.enter_context(self._connect())
            sorter = stack.enter_context(self._connect()) if row["layout"] == "long" else None
            lookup_key = lookup_key_of(record.connection, self._keys, record.organisation_id)
            people = People(
                record.connection,
                record.organisation_id,
                self._keys,
                lookup_key,
                create=row["create_clients"],
                keep_made=self._whole or self._dry,
                since=row["created_at"],
            )
            status = "open" if self._of.raise_alerts else "historic"
            definitions = Definitions(record.connection, record.organisation_id, status_of_alerts=status)
            batches = Batches(people, definitions, row["instrument"])
            given = self._given(definitions, meter, sorter)
            thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="import"))
            if self._whole and not self._dry:
                writer.execute("begin")  # of all batches, and committed with the end
            pending: Future[Counts] | None = None
            for rows, rows_read, bytes_read in grouped(given, meter, counts.rows_read):
                batch = batches.make(rows, rows_read, bytes_read)
                if pending is not None:
                    counts = self._after(pending)
                pending = thread.submit(self._keep, writer, batch, counts)
            if pending is not None:
                counts = self._after(pending)
            self._end(writer, counts)

    def _given(self, definitions: Definitions, meter: Meter, sorter: psycopg.Connection[Any] | None) -> Iterator[Given]:
        row = self._record.row
        parts: Iterator[bytes] = metered(self._source.parts(), meter)
        if row["compressed"]:
            parts = decompressed(parts, self._largest)
        instrument = row["instrument"]
        if row["format"] == "ndjson":
            return ndjson(lines(parts, meter))
        items = None
        if instrument is not None:
            scorer = definitions.scorer(instrument, None, None)
            if not isinstance(scorer, Scorer):
                raise FileUnusable(scorer.code, f"the import's instrument {scorer.detail}")
            items = set(scorer.plan.takes)
        if sorter is not None:
            return long(sorter, lines(parts, meter), instrument, items)
        return wide(lines(parts, meter), instrument, items)

    def _keep(self, writer: psycopg.Connection[Any], batch: Batch, before: Counts) -> Counts:
        """Write one batch, or only count it where nothing is to be written; in the thread of its own."""
        if self._dry:
            return self._counted(None, batch, before, self._not_written(writer, batch))
        if not self._whole:
            with writer.transaction():
                return self._counted(writer, batch, before, write(writer, self._of, batch))
        if before.rows_bad or batch.faults:
            writer.rollback()
            return self._counted(None, batch, before, self._not_written(writer, batch))
        return self._counted(None, batch, before, write(writer, self._of, batch))

    def _not_written(self, connection: psycopg.Connection[Any], batch: Batch) -> Written:
        present = self._record.present(connection, batch.ids)
        return Written(batch.rows - present, present + batch.repeated, [])

    def _counted(
        self, connection: psycopg.Connection[Any] | None, batch: Batch, before: Counts, written: Written
    ) -> Counts:
        faults = [*batch.faults, *written.faults]
        counts = before.with_batch(batch, written, len({fault.row for fault in faults}), len(faults))
        room = max(0, MOST_KEPT - before.faults)
        self._record.keep(connection, faults[:room], before.faults, counts)
        return counts

    def _after(self, pending: Future[Counts]) -> Counts:
        counts = pending.result()
        if self._heart.cancelled.is_set():
            raise Cancelled
        self._told(counts.bytes_read, counts)
        return counts

    def _end(self, writer: psycopg.Connection[Any], counts: Counts) -> None:
        if self._whole and not self._dry:
            if counts.rows_bad:
                writer.rollback()
                detail = f"{counts.rows_bad:,} of {counts.rows_read:,} rows are bad, so nothing was written"
                self._record.fail("bad-rows", detail)
                return
            if not self._record.finish(writer, self._of):
                raise Cancelled
            writer.commit()
            return
        with writer.transaction():
            if not self._record.finish(writer, self._of):
                raise Cancelled


@contextmanager
def _few_collections() -> Iterator[None]:
    """Millions of small objects are made that refer to nothing in turn: to look among them for cycles as often as usual
    would take a third of the time."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
