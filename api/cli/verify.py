"""`fathomline verify`: whether what is stored is what was stored."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import asyncpg
import typer

from api.audit import chain
from api.audit.verifying import KeptHead, Trail, verify_trail
from api.audit.walk import Finding
from api.backups.comparing import compare
from api.backups.contents import connect
from api.backups.errors import told_in_a_line
from api.backups.opening import open_backup
from api.cli.errors import UnusableInput
from api.db import Database, confine, open_database, organisation_ids
from api.erasure.verifying import Fault, Verified, verify_erasures
from api.organisations.repository import find_organisation
from api.security import crypto
from api.settings import Settings
from api.startup import checked_url, derived_keys

LONGEST_STATEMENT: Final = 86_400.0
"""Seconds: to find what is not sealed, all events are read in one."""


@dataclass(frozen=True)
class Subject:
    """What the checks are given: the database, the keys, the organisations, and what the caller has kept."""

    database: Database
    keys: crypto.Keys
    organisations: Sequence[uuid.UUID]
    heads: Sequence[KeptHead]
    folders: Sequence[Path] = ()
    """Those of backups."""


@dataclass(frozen=True)
class Report:
    """What a check says of one organisation: members for programs, lines for people, and whether all is well."""

    members: dict[str, Any]
    lines: list[str]
    sound: bool


async def check_audit(subject: Subject) -> list[Report]:
    """The audit trail of each organisation against its chain."""
    known = set(subject.organisations)
    for head, _, _ in subject.heads:
        if head.organisation_id not in known:
            raise UnusableInput(f"a kept head is of organisation {head.organisation_id}, which is not verified here")
    reports = []
    for organisation_id in subject.organisations:
        async with (
            subject.database.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await confine(connection, organisation_id)
            slug = await connection.fetchval(
                "select slug from organisation where organisation_id = $1", organisation_id
            )
            reports.append(_report(slug, await verify_trail(connection, organisation_id, subject.keys, subject.heads)))
    return reports


def check_backup(where: Path, url: str, keys: crypto.Keys) -> Report:
    """The database against a backup: which tables are not equal. Blocks."""
    found = open_backup(where, keys)
    with told_in_a_line("it was not compared"), closing(connect(url)) as connection:
        tables = list(compare(found, connection))
    differing = [table for table in tables if not table.equal]
    left_out = max(table.left_out for table in tables)
    members = {
        "backup": str(found.path),
        "equal": not differing,
        "rows": sum(table.expected.rows for table in tables),
        "clients_left_out": left_out,
        "tables": [
            {
                "table": table.label,
                "equal": table.equal,
                "expected_rows": table.expected.rows,
                "found_rows": None if table.found is None else table.found.rows,
            }
            for table in tables
        ],
    }
    verdict = "NOT EQUAL" if differing else "equal"
    lines = [f"{found.path}: {members['rows']:,} rows of {len(tables)} tables, {verdict}"]
    if left_out:
        lines.append(f"  left out, for they were erased since: {left_out:,} clients")
    for table in differing:
        how = "cannot be compared, its columns changed" if table.found is None else f"{table.found.rows:,} rows found"
        lines.append(f"  {table.label}: {table.expected.rows:,} rows expected, {how}")
    return Report(members, lines, not differing)


async def check_erasures(subject: Subject) -> list[Report]:
    """Whether those who were erased are: certificates, tables and the key files of backups."""
    reports = []
    for organisation_id in subject.organisations:
        async with (
            subject.database.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await confine(connection, organisation_id)
            slug = await connection.fetchval(
                "select slug from organisation where organisation_id = $1", organisation_id
            )
            found = await verify_erasures(connection, organisation_id, subject.keys, subject.folders)
        reports.append(_erasures_report(slug, found))
    return reports


def _erasures_report(slug: str, found: Verified) -> Report:
    members = {
        "organisation": slug,
        "erasures": found.erasures,
        "faults": [_fault(fault) for fault in found.faults],
        "remarks": [_fault(fault) for fault in found.remarks],
    }
    lines = []
    if found.erasures or found.faults:
        lines.append(f"{slug}: {found.erasures:,} erasures, {'NOT AS CERTIFIED' if found.faults else 'as certified'}")
    for before, faults in (("", found.faults), ("remark: ", found.remarks)):
        for fault in faults:
            which = "" if fault.erasure_id is None else f", erasure {fault.erasure_id}"
            lines.append(f"  {before}{fault.code}{which}: {fault.detail}")
    return Report(members, lines, not found.faults)


def _fault(fault: Fault) -> dict[str, Any]:
    which = None if fault.erasure_id is None else str(fault.erasure_id)
    return {"code": fault.code, "detail": fault.detail, "erasure_id": which}


CHECKS: Final[dict[str, Callable[[Subject], Awaitable[list[Report]]]]] = {
    "audit": check_audit,
    "erasures": check_erasures,
}
"""What can be verified, by name."""


def _report(slug: str, trail: Trail) -> Report:
    age = None if trail.oldest_unsealed is None else (datetime.now(UTC) - trail.oldest_unsealed).total_seconds()
    members = {
        "organisation": slug,
        "organisation_id": str(trail.organisation_id),
        "intact": trail.intact,
        "sealed": trail.sealed,
        "unsealed": trail.unsealed,
        "oldest_unsealed_seconds": None if age is None else round(max(age, 0)),
        "faults": [_finding(finding) for finding in trail.faults],
        "remarks": [_finding(finding) for finding in trail.remarks],
        "head": trail.head,
    }
    lines = [f"{slug}: {trail.sealed:,} events sealed, {'intact' if trail.intact else 'NOT INTACT'}"]
    lines += [f"  {_line(finding)}" for finding in trail.faults]
    lines += [f"  remark: {_line(finding)}" for finding in trail.remarks]
    if age is not None:
        lines.append(f"  not sealed yet: {trail.unsealed:,}, the oldest for {_duration(max(age, 0))}")
    return Report(members, lines, trail.intact)


def _finding(finding: Finding) -> dict[str, Any]:
    event_id = None if finding.event_id is None else str(finding.event_id)
    return {"code": finding.code, "detail": finding.detail, "sequence": finding.sequence, "event_id": event_id}


def _line(finding: Finding) -> str:
    where = "" if finding.sequence is None else f" at {finding.sequence}"
    which = "" if finding.event_id is None else f", event {finding.event_id}"
    return f"{finding.code}{where}{which}: {finding.detail}"


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def verify(
    checks: Annotated[list[str] | None, typer.Argument(help=f"What to verify: {', '.join(CHECKS)}; else all.")] = None,
    organisation: Annotated[list[str] | None, typer.Option(help="Slug of an organisation; else all.")] = None,
    head: Annotated[
        list[Path] | None, typer.Option(help="File of heads that were kept; the chain has to hold them still.")
    ] = None,
    save_heads: Annotated[
        Path | None, typer.Option(help="File to write the present heads to, to be kept elsewhere.")
    ] = None,
    backup: Annotated[
        Path | None,
        typer.Option(help="Backup, or folder of them (the newest), that the database has to be equal to."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Verify that nothing stored was removed, changed, inserted or reordered; exit status 1 where something was.

    On the database of the service: DATABASE_URL, or the embedded one in the data folder. It needs the master key.
    """
    names = list(dict.fromkeys(checks or CHECKS))
    if unknown := [name for name in names if name not in CHECKS]:
        raise UnusableInput(f"there is nothing called {unknown[0]!r} to verify; there is {', '.join(CHECKS)}")
    kept = [one for path in head or () for one in _read_heads(path)]
    found = asyncio.run(_verify(names, organisation or [], kept, backup))
    sound = all(report.sound for reports in found.values() for report in reports)
    if save_heads is not None:
        heads = [report.members["head"] for report in found.get("audit", ()) if report.members["head"] is not None]
        _write(save_heads, "".join(json.dumps(one, sort_keys=True) + "\n" for one in heads))
    if as_json:
        checked = {name: [report.members for report in reports] for name, reports in found.items()}
        typer.echo(json.dumps({"sound": sound, "checks": checked}, indent=2))
    else:
        for name, reports in found.items():
            for line in (line for report in reports for line in report.lines):
                typer.echo(f"{name}: {line}")
    sys.exit(0 if sound else 1)


async def _verify(
    names: Sequence[str], slugs: Sequence[str], kept: Sequence[KeptHead], backup: Path | None
) -> dict[str, list[Report]]:
    settings = Settings()
    keys = derived_keys(settings)
    settings = settings.model_copy(update={"statement_timeout": LONGEST_STATEMENT})
    async with checked_url(settings) as url, open_database(url, settings) as database:
        async with database.pool.acquire() as connection:
            organisations = await _organisations(connection, slugs)
        subject = Subject(database, keys, organisations, kept, settings.backups)
        found = {name: await CHECKS[name](subject) for name in names}
        if backup is not None:
            found["backup"] = [await asyncio.to_thread(check_backup, backup, url, keys)]
        return found


async def _organisations(
    connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], slugs: Sequence[str]
) -> list[uuid.UUID]:
    if not slugs:
        return await organisation_ids(connection)
    found = []
    for slug in slugs:
        organisation_id = await find_organisation(connection, slug)
        if organisation_id is None:
            raise UnusableInput(f"there is no organisation {slug!r} in this database")
        found.append(organisation_id)
    return found


def _read_heads(path: Path) -> list[KeptHead]:
    """The signed heads of a file, one a line, as `--save-heads` and `GET /v1/audit/head` give them."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [chain.read_signed_head(json.loads(line)) for line in lines]
    except OSError as error:
        raise UnusableInput(f"cannot read {path}: {error.strerror}") from None
    except (chain.HeadInvalid, ValueError, RecursionError):
        raise UnusableInput(f"{path} has a line that is no signed head") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnusableInput(f"cannot write {path}: {error.strerror}") from None


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(verify)
