"""What an import looks like from outside."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from api.imports.faults import MOST_KEPT

Format = Literal["csv", "ndjson"]
Layout = Literal["wide", "long"]
OnError = Literal["all-or-nothing", "skip-bad"]
Alerts = Literal["keep", "raise"]
State = Literal["uploading", "queued", "running", "finished", "failed", "cancelled"]


class RowsRead(BaseModel):
    """What became of the rows so far. In the long layout a row is a response."""

    read: int
    good: int = Field(description="`already_there` and `written`")
    bad: int = Field(description="Refused; GET …/errors says why")
    already_there: int = Field(description="Stored by an earlier import of the same answers, or twice in the file")
    written: int = Field(description="New; in a dry run, and where nothing is written as rows are bad, what would be")


class FailureRead(BaseModel):
    """Why an import came to nothing, or not further."""

    code: str
    detail: str


class ImportRead(BaseModel):
    """An import and how far it is."""

    id: uuid.UUID
    state: State
    format: Format
    layout: Layout
    compressed: bool
    instrument: str | None = Field(description="Of all rows; null: each names its own")
    on_error: OnError
    dry_run: bool
    alerts: Alerts
    create_clients: bool
    bytes_received: int = Field(description="Where the next part begins (`Upload-Offset`)")
    bytes_read: int
    rows: RowsRead
    clients_created: int
    faults: int = Field(description="In all rows")
    faults_kept: int = Field(description=f"Of these, how many GET …/errors has: the first {MOST_KEPT:,} at most")
    failure: FailureRead | None
    created_by: str = Field(description="Subject of the token")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ImportPage(BaseModel):
    """Imports, the newest first."""

    items: list[ImportRead]
    next: str | None = Field(description="Cursor of the next page; null on the last")


class ImportFaultRead(BaseModel):
    """One line of the report: one thing wrong with one row."""

    row: int = Field(description="Counted from 1, without the header; in the long layout, cells")
    line: int = Field(description="Of the file, where the row begins")
    pointer: str = Field(description="Into the row, as JSON Pointer; empty: the row as a whole")
    code: str
    detail: str = Field(description="What would have been right; never what was given")
