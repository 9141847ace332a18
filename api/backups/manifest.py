"""What a backup says of itself: written last, authenticated, and read before anything else of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.backups.contents import Table
from api.backups.errors import BackupError, from_os
from api.backups.folder import MANIFEST
from api.backups.sealed import derived

FORMAT: Final = 1
_HEX: Final = r"^[0-9a-f]+$"
_FILE: Final = r"^[a-z0-9_.]+$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FilePart(_Part):
    """A file of the backup."""

    name: str = Field(pattern=_FILE)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=_HEX)


class TablePart(_Part):
    """A table: its columns in the order of the rows, how many rows, and the sum of their hashes."""

    schema_name: str
    name: str = Field(pattern=_FILE)
    columns: tuple[str, ...]
    summed: int
    rows: int = Field(ge=0)
    sum: str = Field(pattern=_HEX)
    file: str = Field(pattern=_FILE)

    @property
    def table(self) -> Table:
        """As the rest of the code knows it."""
        return Table(self.schema_name, self.name, self.columns, self.summed)


class SequencePart(_Part):
    """Where a sequence stood."""

    schema_name: str
    name: str
    last: int
    called: bool


class Manifest(_Part):
    """All that is said in the clear: no id of anybody, no name."""

    format: Literal[1] = FORMAT
    id: uuid.UUID
    made_at: datetime
    """When the snapshot was taken, UTC."""
    release: str
    revision: str
    postgresql: str
    master_key: str
    """Names the master key it was made under, and tells nothing else of it."""
    clients: int
    """Clients whose rows it holds."""
    tables: tuple[TablePart, ...]
    sequences: tuple[SequencePart, ...]
    files: tuple[FilePart, ...]

    def sealed(self, backup_key: bytes) -> bytes:
        """The manifest as a file, with a code that needs the backup's key."""
        said = self.model_dump(mode="json")
        return (json.dumps(said | {"authentication": _code(said, backup_key)}, indent=1) + "\n").encode()


def read_manifest(backup: Path) -> tuple[Manifest, dict[str, object]]:
    """The manifest of a backup and the document that it stands in, whose code `authenticate` checks.

    Raises
    ------
    BackupError
        There is none, it is of a format that this release does not know, or it cannot be read.
    """
    path = backup / MANIFEST
    try:
        said = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BackupError(f"{backup} is no whole backup: it has no {MANIFEST}") from None
    except OSError as error:
        raise from_os(error, path, "read") from None
    except (ValueError, RecursionError):
        raise BackupError(f"{path} is not a manifest") from None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        found = said.get("format") if isinstance(said, dict) else None
        raise BackupError(f"{backup} has format {found!r} and this release reads format {FORMAT}: use the one it needs")
    try:
        known = {name: value for name, value in said.items() if name != "authentication"}
        return Manifest.model_validate_json(json.dumps(known)), said
    except ValidationError:
        raise BackupError(f"{path} is not a manifest of format {FORMAT}") from None


def authenticate(said: dict[str, object], backup_key: bytes, backup: Path) -> None:
    """Raise `BackupError` unless the manifest was written with the backup's key."""
    given = said.get("authentication")
    known = {name: value for name, value in said.items() if name != "authentication"}
    if not isinstance(given, str) or not hmac.compare_digest(given, _code(known, backup_key)):
        raise BackupError(f"{backup / MANIFEST} was altered")


def check_files(backup: Path, manifest: Manifest) -> None:
    """Raise `BackupError` unless every file is there, as long as it was, and unaltered."""
    for part in manifest.files:
        path = backup / part.name
        try:
            size = path.stat().st_size
            if size == part.size:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise from_os(error, path, "read") from None
        if size != part.size or digest != part.sha256:
            raise BackupError(f"{path} is not as it was written: {size:,} bytes, {part.size:,} were written")


def _code(said: dict[str, object], backup_key: bytes) -> str:
    text = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return hmac.digest(derived(backup_key, b"manifest", b""), text, "sha256").hex()
