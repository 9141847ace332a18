"""`fathomline backup` and `fathomline restore`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.status import Status

from api import embedded
from api.backups import making, restoring
from api.backups.opening import open_backup
from api.cli.errors import UnusableInput
from api.settings import Settings, SettingsError
from api.startup import derived_keys

MEBIBYTES: Final = 50.0


def backup(
    folder: Annotated[Path, typer.Argument(help="Folder of backups; each becomes a folder in it.", show_default=False)],
    keep: Annotated[int | None, typer.Option(min=1, help="Leave so many backups there; the oldest go.")] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Most MiB of rows read a second, so that serving goes on; 0: no limit.")
    ] = MEBIBYTES,
    keys_only: Annotated[
        bool, typer.Option("--keys-only", help="Make no backup; bring erasures into the folder's key file.")
    ] = False,
) -> None:
    """Back up the database of the service while it serves: consistent, sealed, with checksums.

    The embedded database of the data folder, or the one of DATABASE_OWNER_URL. It needs the master key.
    """
    settings = Settings()
    keys = derived_keys(settings)
    with _owner_url(settings) as url:
        if keys_only:
            erased, unknown = making.renew_keys(url, folder, keys)
            typer.echo(f"{folder}: {_number(erased, 'client')} erased")
            for one in unknown:
                typer.echo(f"erased by the key file and not by this database: client {one.client_id}", err=True)
            raise typer.Exit(1 if unknown else 0)
        with _status() as status:
            made = making.make(
                url, folder, keys, keep=keep, rate=rate * making.MEBIBYTE, told=lambda what: status.update(what)
            )
    rows = sum(table.rows for table in made.manifest.tables)
    typer.echo(f"{made.path}: {rows:,} rows of {_number(len(made.manifest.tables), 'table')}, {made.size:,} bytes")
    for gone in made.removed:
        typer.echo(f"removed {gone}")
    if folder.resolve() not in {each.resolve() for each in settings.backups}:
        typer.echo(
            f"remark: {folder} is not in FATHOMLINE_BACKUPS, so an erasure reaches it only with the next backup there "
            "or with --keys-only",
            err=True,
        )


def restore(
    backup: Annotated[Path, typer.Argument(help="A backup, or a folder of backups: the newest.", show_default=False)],
    to: Annotated[Path | None, typer.Option(help="New data folder, for the embedded database.")] = None,
    to_server: Annotated[
        bool, typer.Option("--to-server", help="Into the empty database of DATABASE_OWNER_URL instead.")
    ] = False,
) -> None:
    """Restore a backup into a new, empty place, prove it equal, and bring the schema to this release's.

    Nothing serves from the place until all of that is done. Clients that were erased since stay erased.
    """
    if (to is None) != to_server:
        raise UnusableInput("say where to: --to FOLDER for an embedded database, or --to-server for DATABASE_OWNER_URL")
    settings = Settings()
    keys = derived_keys(settings)
    with _status() as status:
        status.update("checking the files")
        found = open_backup(backup, keys)
        restoring.check_fits(found, keys)
        if to is not None:
            with restoring.new_data_folder(to) as url:
                done = restoring.restore(found, url, keys, told=lambda what: status.update(what))
        elif settings.database_owner_url is None:
            raise SettingsError("set DATABASE_OWNER_URL to the empty database, as the role that owns it")
        else:
            url = settings.database_owner_url.get_secret_value()
            done = restoring.restore(found, url, keys, told=lambda what: status.update(what))
    typer.echo(f"{found.path}: {done.rows:,} rows restored and equal; the schema is at {done.revision}")
    if done.left_out:
        typer.echo(f"{_number(done.left_out, 'client')} erased since the backup was made: left out")


@contextmanager
def _owner_url(settings: Settings) -> Iterator[str]:
    """The database for the role that owns the tables."""
    if settings.database_owner_url is not None:
        yield settings.database_owner_url.get_secret_value()
    elif settings.database_url is not None:
        raise SettingsError("DATABASE_URL is set but DATABASE_OWNER_URL is not: backups are made as the owner")
    else:
        if not (settings.data / "postgres").exists():  # else one would be made, to back up nothing
            raise SettingsError(f"there is no database in {settings.data}: set FATHOMLINE_DATA or DATABASE_OWNER_URL")
        with embedded.acquire(settings.data) as lease:
            yield lease.url_owner


@contextmanager
def _status() -> Iterator[Status]:
    """What is being done, on a terminal."""
    with Console(stderr=True).status("", spinner="line") as status:
        yield status


def _number(of: int, what: str) -> str:
    """
    >>> _number(1, "client"), _number(1200, "client")
    ('1 client', '1,200 clients')
    """
    return f"{of:,} {what}{'' if of == 1 else 's'}"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(backup)
    app.command()(restore)
