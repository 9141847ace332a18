"""`fathomline keys`: which master key everything lies under, and moving it to another one while the service runs."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.backups import keyfile
from api.backups.errors import BackupError
from api.cli.errors import UnusableInput
from api.db import RawConnection, open_database, organisation_ids
from api.rotation.resealing import NotMoved, counts, reseal_organisation
from api.security import crypto
from api.settings import Settings
from api.startup import StartupError, checked_url, derived_keys

Counted = dict[str, dict[str, int]]
"""By column and by key, as `api.rotation.resealing.counts` has it."""
KEYS: Final = ("present", "previous", "unnamed", "unknown")
LONGEST_STATEMENT: Final = 3_600.0

app = typer.Typer(help="The master key: what lies under which, and another in its place.", no_args_is_help=True)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Say what lies under the present master key, and what under another. Exit status 1 where something can be opened
    by neither."""
    keys, found, folders = asyncio.run(_status(Settings()))
    total = _total(found)
    unreadable = [folder for folder, state in folders.items() if state == "unknown"]
    if as_json:
        named = {"present": keys.id.hex(), "previous": None if keys.previous is None else keys.previous.id.hex()}
        document: dict[str, Any] = {"keys": named, "total": total, "backups": folders}
        document["organisations"] = {str(organisation): columns for organisation, columns in found.items()}
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo(f"present master key {keys.id.hex()}: {total['present']:,} keys and secrets")
        if keys.previous is not None:
            typer.echo(f"previous master key {keys.previous.id.hex()}: {total['previous']:,}")
        if total["unnamed"]:
            typer.echo(f"wrapped before master keys had ids: {total['unnamed']:,}")
        if total["unknown"]:
            typer.echo(f"under a master key that was not given: {total['unknown']:,}")
        for folder, state in folders.items():
            typer.echo(f"key file of {folder}: {state}")
        typer.echo(_verdict(keys, total, folders))
    raise typer.Exit(1 if total["unknown"] or unreadable else 0)


@app.command()
def rotate() -> None:
    """Move everything to the present master key (FATHOMLINE_MASTER_KEY) from the previous one
    (FATHOMLINE_MASTER_KEY_PREVIOUS), while services that have both go on. Stopped at any moment, it goes on when run
    again."""
    settings = Settings()
    moved = asyncio.run(_rotate(settings))
    keys, found, folders = asyncio.run(_status(settings))
    total = _total(found)
    typer.echo(f"moved {moved:,} keys and secrets to the present master key {keys.id.hex()}")
    for folder, state in folders.items():
        typer.echo(f"key file of {folder}: {state}")
    typer.echo(_verdict(keys, total, folders))
    raise typer.Exit(0 if _finished(total, folders) else 1)


def _finished(total: dict[str, int], folders: dict[str, str]) -> bool:
    elsewhere = total["previous"] + total["unnamed"] + total["unknown"]
    return not elsewhere and all(state in ("present", "none") for state in folders.values())


def _verdict(keys: crypto.Keys, total: dict[str, int], folders: dict[str, str]) -> str:
    if total["unknown"] or "unknown" in folders.values():
        return "Something lies under a master key that was not given: set it as the previous one, then rotate."
    if not _finished(total, folders):
        return "Not everything lies under the present master key: run `fathomline keys rotate`."
    if keys.previous is None:
        return "Everything lies under the present master key."
    return (
        "Nothing lies under the previous master key any more. It may be removed from the settings, once no service and "
        "no worker runs that still writes with it."
    )


def _total(found: dict[uuid.UUID, Counted]) -> dict[str, int]:
    return {key: sum(number.get(key, 0) for columns in found.values() for number in columns.values()) for key in KEYS}


async def _status(settings: Settings) -> tuple[crypto.Keys, dict[uuid.UUID, Counted], dict[str, str]]:
    keys = derived_keys(settings)
    async with _connected(settings) as connection:
        found = {own: await counts(connection, keys, own) for own in await organisation_ids(connection)}
    return keys, found, {str(folder): _state(folder, keys) for folder in settings.backups}


def _state(folder: Path, keys: crypto.Keys) -> str:
    """Under which of the keys the key file of a folder of backups lies."""
    for name, one in (("present", keys), ("previous", keys.previous)):
        if one is not None:
            with suppress(BackupError):
                return "none" if keyfile.read(folder, replace(one, previous=None)) is None else name
    return "unknown"


async def _rotate(settings: Settings) -> int:
    keys = derived_keys(settings)
    total = 0
    async with _connected(settings) as connection:
        organisations = await organisation_ids(connection)
        waiting = _total({own: await counts(connection, keys, own) for own in organisations})
        if waiting["unknown"]:
            raise UnusableInput(
                f"{waiting['unknown']:,} keys and secrets lie under a master key that was not given: "
                "set it as FATHOMLINE_MASTER_KEY_PREVIOUS"
            )
        with _bar(waiting["previous"] + waiting["unnamed"]) as advance:
            for own in organisations:
                try:
                    total += await reseal_organisation(connection, keys, own, advance)
                except NotMoved as error:
                    raise StartupError(str(error)) from None
    for folder in settings.backups:
        await asyncio.to_thread(keyfile.reseal, folder, keys)
    return total


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[RawConnection]:
    """A connection of the service's role on the checked database, with time enough to count in."""
    patient = settings.model_copy(update={"statement_timeout": LONGEST_STATEMENT})
    async with (
        checked_url(settings) as url,
        open_database(url, patient) as database,
        database.pool.acquire() as connection,
    ):
        yield connection


@contextmanager
def _bar(total: int) -> Iterator[Any]:
    columns = (TextColumn("keys"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("keys", total=total)
        yield lambda number: progress.advance(task, number)


def register(root: typer.Typer) -> None:
    """Add the commands of this module."""
    root.add_typer(app, name="keys")
