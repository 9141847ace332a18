"""`fathomline export`, and taking in what it wrote: an organisation's archive, to and from a file."""

from __future__ import annotations

import asyncio
import getpass
import gzip
import os
import sys
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import asyncpg
import typer

from api import embedded, migrate
from api.cli.errors import UnusableInput
from api.cli.writing import whole_file
from api.db import driver_url
from api.exports import archive
from api.exports.archive import ArchiveError, Checksums
from api.exports.rows import Reader, connected, tell, within
from api.exports.taking_in import take_in as take_archive_in
from api.organisations.repository import find_organisation
from api.security import crypto
from api.security.envelope import LEAST_PASSPHRASE, MAGIC, EnvelopeError, is_sealed
from api.settings import Settings
from api.startup import checked_url, derived_keys

PASSPHRASE: Final = typer.Option(help="File whose first line is the passphrase; else it is asked for.")
_EVERY: Final = 0.2
"""Seconds between two lines of progress."""


def export(
    organisation: Annotated[str, typer.Option(help="Slug of the organisation.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; - for standard output.")] = None,
    passphrase_file: Annotated[Path | None, PASSPHRASE] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Do not encrypt the file: everybody can read it.")] = False,
    checksums: Annotated[bool, typer.Option("--checksums", help="Only print each table's rows and SHA-256.")] = False,
) -> None:
    """Write everything of an organisation to one encrypted file, which another installation can import.

    On the database of the service: DATABASE_URL, or the embedded one in the data folder. It needs the master key.
    """
    if checksums == (output is not None):
        raise UnusableInput("give either --output FILE or --checksums")
    if plain and passphrase_file is not None:
        raise UnusableInput("a plain file has no passphrase: give either --plain or --passphrase-file")
    passphrase = None if plain or checksums else _passphrase(passphrase_file, twice=True)
    settings = Settings()
    keys = derived_keys(settings)
    found = asyncio.run(_export(settings, keys, organisation, output, passphrase))
    if checksums:
        for table, one in found.items():
            typer.echo(f"{one.sha256}  {one.rows:>10}  {table}")


async def _export(
    settings: Settings, keys: crypto.Keys, slug: str, output: Path | None, passphrase: str | None
) -> Checksums:
    async with checked_url(settings) as url:
        organisation_id = await _found(url, slug)
        return await asyncio.to_thread(_write, url, keys, organisation_id, output, passphrase)


def _write(url: str, keys: crypto.Keys, organisation_id: Any, output: Path | None, passphrase: str | None) -> Checksums:
    with connected(url) as connection, _progress() as told:
        if output is not None:
            tell(connection, organisation_id, "export")
        with within(connection, organisation_id, read_only=True), _opened():
            reader = Reader(connection, keys, organisation_id)
            if output is None:
                return archive.checksums(reader, told=told)
            with whole_file(output) as file:
                return archive.write(reader, file, passphrase=passphrase, told=told)


def recognised(path: Path) -> bool:
    """Whether a file is an archive of an organisation: by what it begins with, not by its name."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
            if is_sealed(head):
                return True
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as zipped, tarfile.open(fileobj=zipped, mode="r|") as tar:
                first = tar.next()
                return first is not None and first.name == archive.MANIFEST
    except (OSError, EOFError, zlib.error, tarfile.TarError):
        return False


def take_in(path: Path, *, organisation: str, passphrase_file: Path | None) -> None:
    """Take an archive into an organisation of this installation, which is made if there is none of this slug."""
    settings = Settings()
    keys = derived_keys(settings)
    taken = asyncio.run(_take_in(settings, keys, path, organisation, passphrase_file))
    rows = sum(one.rows for one in taken.values())
    typer.echo(f"taken into {organisation} and found equal: {rows:,} rows in {len(taken)} tables")


async def _take_in(
    settings: Settings, keys: crypto.Keys, path: Path, slug: str, passphrase_file: Path | None
) -> Checksums:
    async with checked_url(settings):
        pass  # the database is ours, and of this release
    with _owner(settings) as url:
        return await asyncio.to_thread(_read, url, keys, slug, path, passphrase_file)


def _read(url: str, keys: crypto.Keys, slug: str, path: Path, passphrase_file: Path | None) -> Checksums:
    try:
        file = path.open("rb")
    except OSError as error:
        raise UnusableInput(f"cannot read {path}: {error.strerror}") from None
    with (
        file,
        _opened(),
        archive.reading(file, lambda: _passphrase(passphrase_file, twice=False)) as opened,
        connected(url) as connection,
        _progress() as told,
    ):
        return take_archive_in(connection, keys, slug, opened, told=told).checksums


@contextmanager
def _owner(settings: Settings) -> Iterator[str]:
    """The URL for the role that owns the tables."""
    if settings.database_url is None:
        lease = embedded.acquire(settings.data)
        try:
            migrate.upgrade(lease.url_owner)
            yield lease.url_owner
        finally:
            lease.close()
    elif settings.database_owner_url is None:
        raise UnusableInput("an archive is taken in as the role that owns the tables: set DATABASE_OWNER_URL")
    else:
        yield settings.database_owner_url.get_secret_value()


async def _found(url: str, slug: str) -> Any:
    connection = await asyncpg.connect(_plain(url))
    try:
        organisation_id = await find_organisation(connection, slug)
    finally:
        await connection.close()
    if organisation_id is None:
        raise UnusableInput(f"there is no organisation {slug!r} in this database")
    return organisation_id


def _plain(url: str) -> str:
    return driver_url(url, "asyncpg").set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def _opened() -> Iterator[None]:
    try:
        yield
    except (ArchiveError, EnvelopeError) as error:
        raise UnusableInput(str(error)) from None
    except crypto.Unreadable:
        raise UnusableInput("the master key is not the one that the organisation's clients were sealed under") from None


def _passphrase(path: Path | None, *, twice: bool) -> str:
    """From the first line of a file, else from the terminal; never from an argument, which others can see."""
    if path is not None:
        try:
            given = (path.read_text(encoding="utf-8").splitlines() or [""])[0]
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise UnusableInput(f"cannot read the passphrase from {path}: {reason}") from None
    elif sys.stdin.isatty():
        given = getpass.getpass("Passphrase: ")
        if twice and getpass.getpass("The same again: ") != given:
            raise UnusableInput("the two passphrases are not the same")
    else:
        raise UnusableInput("no passphrase: give --passphrase-file, or --plain for an export that everybody can read")
    if twice and len(given) < LEAST_PASSPHRASE:
        raise UnusableInput(f"a passphrase has at least {LEAST_PASSPHRASE} characters")
    return given


@contextmanager
def _progress() -> Iterator[archive.Told]:
    """A line on a terminal that says how far it is."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield archive.untold
        return
    last = 0.0

    def told(table: str, rows: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY:
            last = now
            sys.stderr.write(f"\r\x1b[K{table}: {rows:,} rows")
            sys.stderr.flush()

    yield told
    sys.stderr.write("\r\x1b[K")


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(export)
