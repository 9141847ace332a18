"""`fathomline import`: a file of responses into an organisation, straight into the database or through a service."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.cli.errors import UnusableInput

FORMATS: Final = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
Told = Callable[[int], None]
"""Called with the bytes that were read or sent."""


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for."""

    path: Path
    organisation: str
    wanted: dict[str, Any]
    """The query of `POST /v1/imports`."""
    compressed: bool
    errors: Path
    quiet: bool


def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or NDJSON, also gzip; or an archive.")],
    organisation: Annotated[str, typer.Option(help="Slug of the organisation; with --url the token decides.")] = "demo",
    instrument: Annotated[str | None, typer.Option(help="Code of the instrument of all rows.")] = None,
    layout: Annotated[str, typer.Option(help="Of CSV: wide (a row a response) or long (a row an answer).")] = "wide",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Import the good rows also where others are bad.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, store nothing but the report.")] = False,
    create_clients: Annotated[
        bool, typer.Option("--create-clients", help="Make a client of each external id that is not known.")
    ] = False,
    raise_alerts: Annotated[
        bool, typer.Option("--raise-alerts", help="Open the alerts of what is imported, instead of keeping them.")
    ] = False,
    errors: Annotated[
        Path | None, typer.Option(help="Where bad rows are listed (NDJSON); FILE.errors.ndjson if not given.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of a service to send the file to.")] = None,
    token: Annotated[str | None, typer.Option(envvar="FATHOMLINE_TOKEN", help="Bearer token for that service.")] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Of an organisation's archive: file whose first line is its passphrase.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but what is wrong.")] = False,
) -> None:
    """Import responses: check, score and store them. The same file again adds nothing.

    The archive that `fathomline export` wrote is known by what is in it, and taken into an empty organisation.

    Without --url it works on the database itself (DATABASE_URL, or the embedded one in the data folder) and needs the
    master key. Exit status: 0 where every row is good, 1 where rows are bad, 2 where nothing could be done.
    """
    compressed = path.suffix.lower() == ".gz"
    suffix = (path.with_suffix("") if compressed else path).suffix.lower()
    if suffix not in FORMATS:
        from api.cli import archive

        if archive.recognised(path):
            archive.take_in(path, organisation=organisation, passphrase_file=passphrase_file)
            return
        raise UnusableInput(f"{path}: the name must end in {', '.join(FORMATS)}, or one of these and .gz")
    if layout not in ("wide", "long") or (layout == "long" and FORMATS[suffix] != "csv"):
        raise UnusableInput("--layout is wide or long, and long is for CSV")
    if not path.is_file():
        raise UnusableInput(f"{path}: there is no such file")
    wanted = {
        "format": FORMATS[suffix],
        "layout": layout,
        "instrument": instrument,
        "on_error": "skip-bad" if skip_bad else "all-or-nothing",
        "dry_run": dry_run,
        "alerts": "raise" if raise_alerts else "keep",
        "create_clients": create_clients,
    }
    job = Job(path, organisation, wanted, compressed, errors or Path(f"{path}.errors.ndjson"), quiet)
    if job.errors.resolve() == path.resolve():
        raise UnusableInput(f"{job.errors}: the list of bad rows needs a file of its own")
    if url is None:
        from api.cli.imports_here import here

        try:
            found = asyncio.run(here(job, _bar))
        except KeyboardInterrupt:
            typer.echo("fathomline: stopped; the same command goes on with it", err=True)
            raise typer.Exit(130) from None
    else:
        if not token:
            raise UnusableInput("--url needs a token: --token, or FATHOMLINE_TOKEN")
        from api.cli.imports_there import there

        found = there(job, url, token, _bar)
    sys.exit(_told(job, found))


def _told(job: Job, found: dict[str, Any]) -> int:
    """Say what became of it; the exit status."""
    rows, failure = found["rows"], found["failure"]
    if not job.quiet or failure is not None:
        would = "would be " if job.wanted["dry_run"] else ""
        if failure is not None:
            typer.echo(f"{job.path}: {failure['detail']}", err=True)
        if failure is None or rows["read"]:
            line = (
                f"{rows['read']:,} rows: {rows['written']:,} {would}new, {rows['already_there']:,} already there, "
                f"{rows['bad']:,} bad"
            )
            typer.echo(
                line if failure is None else f"{line}; nothing was written" * (failure["code"] == "bad-rows"), err=True
            )
    if found["faults"]:
        kept = f"the first {found['faults_kept']:,} of " if found["faults_kept"] < found["faults"] else ""
        typer.echo(f"{kept}{found['faults']:,} faults are listed in {job.errors}", err=True)
    if failure is not None and failure["code"] != "bad-rows":
        return 2
    return 1 if rows["bad"] else 0


@contextmanager
def _bar(job: Job, what: str) -> Iterator[Told]:
    """A bar on standard error, where that is a terminal."""
    if job.quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{what} {job.path.name}", total=job.path.stat().st_size)
        yield lambda done: bar.update(task, completed=done)


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("import")(import_)
