"""`fathomline rescore`: score what was recorded by one version of an instrument by another."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.catalogue.library import Library
from api.catalogue.own import OwnInstruments
from api.cli.errors import UnusableInput
from api.db import Database, open_database
from api.ids import new_id
from api.organisations.repository import find_organisation
from api.problems import Problem
from api.records.audit import Audit
from api.rescoring import running
from api.rescoring.repository import RescoringRepository
from api.rescoring.schemas import Flip, RescoringCreate, RescoringDetail
from api.rescoring.service import Rescorings
from api.rescoring.tables import RescoringRow
from api.security.principal import ROLES, Principal
from api.settings import Settings
from api.startup import DEVELOPMENT_ORGANISATION, checked_url
from instruments import Instrument

SUBJECT: Final = "command-line"
"""Who did it, in the audit trail."""
PAUSE: Final = 0.2
"""Seconds until one looks again at a run that somebody else is at."""

Tell = Callable[[running.Progress], None]


@dataclass(frozen=True)
class Command:
    """A run of one organisation, done by this process."""

    database: Database
    principal: Principal
    library: Library

    @asynccontextmanager
    async def rescorings(self) -> AsyncIterator[Rescorings]:
        """The runs, in a transaction."""
        own = self.principal.organisation_id
        audit = Audit(self.principal, f"command-{new_id()}", self.database)
        async with self.database.session(own) as session:
            yield Rescorings(RescoringRepository(session, own), audit, self.library)

    async def begun(self, asked: RescoringCreate) -> uuid.UUID:
        """The run that was asked for: one that has not ended, or a new one."""
        async with self.rescorings() as rescorings:
            if not asked.dry_run:
                for row in await rescorings.repository.unfinished(asked.instrument):
                    if _is(row, asked):
                        if row.state == "stopped":
                            await rescorings.resume(row.id)
                        return row.id
            return (await rescorings.start(asked)).id

    async def run(self, run_id: uuid.UUID, tell: Tell) -> None:
        """Do it to its end. Interrupted, it is stopped where the last batch has ended."""
        own = self.principal.organisation_id

        async def load(code: str, version: int) -> Instrument:
            return await self.library.get(own, code, version)

        try:
            while True:
                progress = await running.step(self.database.pool, own, run_id, load)
                if progress is None:  # a worker is at it
                    await asyncio.sleep(PAUSE)
                    continue
                tell(progress)
                if not progress.going:
                    return
        except asyncio.CancelledError:
            async with self.rescorings() as rescorings:
                await rescorings.stop(run_id)
            raise

    async def told(self, run_id: uuid.UUID) -> RescoringDetail:
        """What became of it."""
        async with self.rescorings() as rescorings:
            return await rescorings.get(run_id)


def _is(row: RescoringRow, asked: RescoringCreate) -> bool:
    members = ("instrument", "from_version", "from_checksum", "to_version", "variant")
    return all(getattr(row, name) == getattr(asked, name) for name in members)


def rescore(
    code: Annotated[str, typer.Argument(help="Code of the instrument.")],
    from_version: Annotated[int, typer.Option("--from", help="Version that the scores were made by.")],
    to_version: Annotated[int, typer.Option("--to", help="Version to score by.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the history. Nothing about a client.")],
    organisation: Annotated[str, typer.Option(help="Slug of the organisation.")] = DEVELOPMENT_ORGANISATION,
    from_checksum: Annotated[
        str | None, typer.Option(help="Only what this very definition has scored; needed where both are one version.")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="Only responses of this variant.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change; store no score.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Add scores by a corrected definition beside the recorded ones, and say what has changed.

    They count from the moment in which all are there. Interrupted, it stops; the same command goes on with it. Old
    answers raise no alerts.
    """
    given = {
        "instrument": code,
        "from_version": from_version,
        "to_version": to_version,
        "reason": reason,
        "from_checksum": from_checksum,
        "variant": variant,
        "dry_run": dry_run,
    }
    try:
        asked = RescoringCreate.model_validate(given)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UnusableInput("; ".join(faults)) from None
    try:
        found = asyncio.run(_rescore(asked, organisation))
    except KeyboardInterrupt:
        typer.echo("fathomline: stopped; the same command goes on with it", err=True)
        raise typer.Exit(130) from None
    typer.echo(found.model_dump_json(indent=2, by_alias=True) if as_json else "\n".join(_lines(found)))
    if found.state != "done":
        raise typer.Exit(1)


async def _rescore(asked: RescoringCreate, slug: str) -> RescoringDetail:
    settings = Settings()
    async with checked_url(settings) as url, open_database(url, settings) as database:
        async with database.pool.acquire() as connection:
            organisation_id = await find_organisation(connection, slug)
        if organisation_id is None:
            raise UnusableInput(f"there is no organisation {slug!r} in this database")
        own = OwnInstruments(database.pool)
        principal = Principal(organisation_id, slug, SUBJECT, "admin", ROLES["admin"])
        command = Command(database, principal, Library(own))
        try:
            run_id = await command.begun(asked)
            with _bar(f"{asked.instrument} {asked.from_version} to {asked.to_version}") as tell:
                await command.run(run_id, tell)
            return await command.told(run_id)
        except Problem as error:
            details = [f"{fault.get('pointer', '')}: {fault['detail']}" for fault in error.errors]
            raise UnusableInput("; ".join(filter(None, (error.title, error.detail, *details)))) from None
        finally:
            own.close()


@contextmanager
def _bar(what: str) -> Iterator[Tell]:
    """A bar on standard error, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda progress: bar.update(task, completed=progress.done, total=progress.total)


def _lines(found: RescoringDetail) -> Iterator[str]:
    """What became of the run, for people."""
    report = found.report
    what = f"{found.instrument} version {found.from_version} to {found.to_version}"
    if report is None or found.state != "done":
        yield f"{what}: {found.state}{f' ({found.failure})' if found.failure else ''}, {found.done:,} done"
        return
    dry = "would be " if found.dry_run else ""
    other = f"{report.changed:,} with another result"
    yield f"{what}: {report.scored:,} responses {dry}scored anew, {other}; run {found.id}"
    for reason, refused in report.refused.items():
        yield f"  not scored, {reason}: {refused.responses:,}, the first is {refused.first[0]}"
    for scale, changes in report.scales.items():
        size = changes.change
        if not changes.changed:
            continue
        points = "" if size is None else f", by {size.median:g} in the middle and {size.largest:g} at most"
        yield f"  {scale}: {changes.changed:,} of {changes.compared:,} changed{points}"
        for kind, flips in (("", changes.bands), (" of status", changes.statuses), *changes.cutoffs.items()):
            yield from (_flip(f"{kind}", flip) for flip in flips)
    for rule, number in report.alerts_not_raised.items():
        yield f"  alert {rule!r} would be new for {number:,}: none was raised, as the answers are old"
    if found.dry_run:
        yield "  nothing was stored but this report"


def _flip(kind: str, flip: Flip) -> str:
    where = f"{kind.strip()}: " if kind else ""
    return f"    {where}{flip.from_ or 'none'} to {flip.to or 'none'}: {flip.responses:,}"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(rescore)
