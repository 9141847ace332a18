"""The sign of life of a run: that it is at it, and whether somebody has cancelled it, every few seconds."""

from __future__ import annotations

import threading
import uuid
from types import TracebackType
from typing import Any, Final

import psycopg

BEAT: Final = 5.0
"""Seconds between two signs; after six that are missing another process takes over."""
_BEAT: Final = """
update import_run set changed_at = clock_timestamp()
where organisation_id = %s and id = %s and state = 'running' returning id
"""


class Heart:
    """Beats on a connection of its own, which also holds the lock that keeps any other process from the same import."""

    def __init__(self, connection: psycopg.Connection[Any], organisation_id: uuid.UUID, import_id: uuid.UUID) -> None:
        self._connection = connection
        self._import = (organisation_id, import_id)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="import-heart", daemon=True)
        self.cancelled = threading.Event()
        """Set once the import is not to be run any more."""
        row = connection.execute(
            "select pg_try_advisory_lock(hashtextextended('import-run:' || %s, 0))", (str(import_id),)
        ).fetchone()
        self.alone = bool(row and row[0])
        """Whether no other process is at it."""

    def __enter__(self) -> Heart:
        if self.alone:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                if self._connection.execute(_BEAT, self._import).fetchone() is None:
                    self.cancelled.set()
            except psycopg.Error:  # the run itself meets the same, and ends by it
                return
