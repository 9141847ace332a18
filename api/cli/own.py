"""`fathomline import-instrument` and `export-instrument`: an organisation's own instruments, in files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from api.authoring.checking import Checked, Fault, Submission, check
from api.authoring.service import Authoring, tag_of
from api.authoring.submission import read_submission
from api.catalogue.library import Library
from api.catalogue.own import OwnInstruments
from api.cli.errors import UnusableInput
from api.db import Database, open_database
from api.ids import new_id
from api.lane import Lane
from api.organisations.repository import find_organisation
from api.problems import NotFound, Problem, pointer
from api.records.audit import Audit
from api.security import strict
from api.security.principal import ROLES, Principal
from api.settings import Settings
from api.startup import DEVELOPMENT_ORGANISATION, checked_url
from instruments import Instrument, UnknownInstrument, to_fhir
from instruments.reading import LARGEST_FILE, NotReadable, lines_of, read_yaml
from instruments.writer import plain, to_yaml

SUBJECT = "command-line"
"""Who did it, in the audit trail."""


def import_instrument(
    file: Annotated[Path, typer.Argument(help="Our YAML or JSON, or a FHIR Questionnaire as JSON.")],
    organisation: Annotated[str, typer.Option(help="Slug of the organisation.")] = DEVELOPMENT_ORGANISATION,
    golden: Annotated[Path | None, typer.Option(help="Golden cases, where FILE has none.")] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Publish it, if its golden cases pass.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check it; no database is needed.")] = False,
) -> None:
    """Bring an own instrument into the service's database, as a draft or published; say all that is wrong with it.

    A draft of the same version is replaced. Nothing is kept of a definition that is refused.
    """
    given = _submission(file, golden)
    for note in given.notes:
        typer.echo(f"{file.name}: {note['kind']}: {note['pointer'] or '(whole definition)'}: {note['detail']}")
    if dry_run:
        checked = check(given)
        _tell(file, checked)
        typer.echo(f"{file.name}: {'could be published' if checked.publishable else 'could not be published yet'}")
        if not checked.publishable:
            raise typer.Exit(1)
        return
    done, wrong = asyncio.run(_import(given, organisation, publish))
    _tell(file, wrong)
    typer.echo(f"{file.name}: {done}")
    if publish and not wrong.publishable:
        raise typer.Exit(1)


def export_instrument(
    code: Annotated[str, typer.Argument(help="Code of the instrument; own ones begin with own-.")],
    organisation: Annotated[str, typer.Option(help="Slug of the organisation.")] = DEVELOPMENT_ORGANISATION,
    version: Annotated[int | None, typer.Option(help="Its version; the newest in use if not given.")] = None,
    form: Annotated[str, typer.Option("--format", help="yaml, json or fhir.")] = "yaml",
) -> None:
    """Print a published instrument, an own one or one of the project's, so that it can be brought in again."""
    if form not in ("yaml", "json", "fhir"):
        raise UnusableInput(f"there is no format {form!r}; the formats are yaml, json and fhir")
    typer.echo(_written(asyncio.run(_export(code, version, organisation)), form), nl=form != "yaml")


def _written(instrument: Instrument, form: str) -> str:
    if form == "yaml":
        return to_yaml(instrument)
    return json.dumps(plain(instrument) if form == "json" else to_fhir(instrument), indent=2, ensure_ascii=False)


def _submission(file: Path, golden: Path | None) -> Submission:
    value, text = _read(file)
    bare = isinstance(value, dict) and not {"definition", "questionnaire", "resourceType"} & value.keys()
    if bare:
        value = {"definition": value}
    if golden is not None:
        if not isinstance(value, dict) or "golden" in value:
            raise UnusableInput(f"{file}: has golden cases of its own; leave out --golden")
        if value.get("resourceType") == "Questionnaire":
            value = {"questionnaire": value}
        value = value | {"golden": _read(golden)[0]}
    try:
        given = read_submission(value, text)
    except Problem as error:
        raise UnusableInput("\n".join(_line(file, fault) for fault in error.errors)) from None
    if bare and text is not None:
        places = lines_of(text.decode("utf-8"))
        given = replace(given, lines=lambda: {pointer(("definition", *path)): line for path, line in places.items()})
    return given


def _read(file: Path) -> tuple[Any, bytes | None]:
    """The value in a file, and its text where that is YAML."""
    try:
        text = file.read_bytes()
        if len(text) > LARGEST_FILE:
            raise UnusableInput(f"{file}: has more than {LARGEST_FILE} bytes")
        if file.suffix == ".json":
            return strict.loads(text), None
        value, twice = read_yaml(text.decode("utf-8"))
    except OSError as error:
        raise UnusableInput(f"{file}: cannot be read: {error.strerror}") from None
    except NotReadable as error:
        raise UnusableInput(f"{file}:{error.line}: {error.message} ({error.remedy})") from None
    except ValueError as error:
        raise UnusableInput(f"{file}: is not JSON or YAML in UTF-8: {error}") from None
    if twice:
        raise UnusableInput("\n".join(f"{file}:{key.line}: the key {key.path[-1]!r} occurs twice" for key in twice))
    return value, text


def _tell(file: Path, checked: Checked) -> None:
    for fault in (*checked.faults, *checked.failures):
        typer.echo(_line(file, fault), err=True)


def _line(file: Path, fault: Fault) -> str:
    where = f"{file}:{fault['line']}" if "line" in fault else str(file)
    return f"{where}: {fault['pointer'] or '(whole file)'}: {fault['detail']}"


async def _import(given: Submission, slug: str, publish: bool) -> tuple[str, Checked]:
    async with _authoring(slug) as authoring:
        try:
            checked = await authoring.check(given)
            row = await _kept(authoring, given)
            what = f"{row.code} version {row.version}"
            if publish and checked.publishable:
                await authoring.publish(row.code, row.version, tag_of(row))
                return f"{what} is published in {slug!r}", checked
        except Problem as error:
            raise UnusableInput("; ".join(filter(None, (error.title, error.detail, *_details(error))))) from None
    return f"{what} is a draft in {slug!r}{'' if checked.publishable else ', which cannot be published yet'}", checked


async def _kept(authoring: Authoring, given: Submission) -> Any:
    """The draft of it, made, or put in the place of another."""
    definition = given.definition if isinstance(given.definition, dict) else {}
    code, version = definition.get("code"), definition.get("version")
    if isinstance(code, str) and isinstance(version, int):
        try:
            there = await authoring.draft(code, version)
        except NotFound:
            pass
        else:
            return (await authoring.replace(code, version, given, tag_of(there)))[0]
    return (await authoring.create(given))[0]


def _details(error: Problem) -> list[str]:
    return [f"{fault.get('pointer', '')}: {fault['detail']}" for fault in error.errors]


async def _export(code: str, version: int | None, slug: str) -> Instrument:
    async with _database(slug) as (database, principal):
        own = OwnInstruments(database.pool)
        try:
            return await Library(own).get(principal.organisation_id, code, version)
        except UnknownInstrument as error:
            raise UnusableInput(str(error)) from None
        finally:
            own.close()


@asynccontextmanager
async def _authoring(slug: str) -> AsyncIterator[Authoring]:
    async with _database(slug) as (database, principal):
        lane = Lane("authoring", most=2, most_of_one=2)
        try:
            yield Authoring(database, Audit(principal, f"command-{new_id()}", database), lane)
        finally:
            lane.close()


@asynccontextmanager
async def _database(slug: str) -> AsyncIterator[tuple[Database, Principal]]:
    """The service's database, and who acts in it: the audit trail names the command line."""
    settings = Settings()
    async with checked_url(settings) as url, open_database(url, settings) as database:
        async with database.pool.acquire() as connection:
            organisation_id = await find_organisation(connection, slug)
        if organisation_id is None:
            raise UnusableInput(f"there is no organisation {slug!r} in this database")
        yield database, Principal(organisation_id, slug, SUBJECT, "admin", ROLES["admin"])


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("import-instrument")(import_instrument)
    app.command("export-instrument")(export_instrument)
