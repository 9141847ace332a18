"""`fathomline instruments`: check, list and publish definitions, their JSON Schema, and forms made of them."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.errors import UnusableInput

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from instruments import Instrument, Listed

PUBLISHED = "published.json"
WIDTH_OF_A_PIPE = 160
_SCALE = re.compile(r"scale '([^']+)'")
_MISSING = re.compile(r"^missing:", re.MULTILINE)
"""What only the entry of a questionnaire that cannot be scored has."""


@dataclass(frozen=True)
class Checked:
    """One definition file, or the entry of a questionnaire that cannot be scored, and what is wrong with it."""

    file: Path
    instrument: Instrument | None
    faults: tuple[str, ...]
    listed: Listed | None = None


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders; those of the project if none.")] = None,
) -> None:
    """Read and compile definitions, hold published ones to their checksum, and count their golden cases."""
    from instruments.catalogue import DEFINITIONS, LISTED

    given = paths or [DEFINITIONS, LISTED]
    checked = [_checked(file) for path in given for file in _files(path)]
    faults = [fault for one in checked for fault in one.faults]
    faults += [fault for path in given if path.is_dir() for fault in _changed(path, checked)]
    console = _console()
    console.print(_table_of_checks(checked))
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if any(one.listed for one in checked):
        console.print(_table_of_listed(checked))
    listed = sum(one.listed is not None for one in checked)
    many = len(checked) - listed
    told = [f"{many} definition{'' if many == 1 else 's'}", f"{len(faults)} fault{'' if len(faults) == 1 else 's'}"]
    if listed:
        told.insert(1, f"{listed} listed without scoring")
    console.print(", ".join(told))
    if faults:
        raise typer.Exit(1)


def schema(
    listed: Annotated[bool, typer.Option("--listed", help="Of an entry that cannot be scored.")] = False,
) -> None:
    """Print the JSON Schema of a definition, for editors to complete and check with."""
    from instruments.schema import Instrument, Listed

    model = Listed if listed else Instrument
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema()
    typer.echo(json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False))


def listing() -> None:
    """List the instruments of the project; `listed` ones cannot be scored."""
    from instruments import catalogue

    found = catalogue()
    table = _table("code", "versions", "name", "concerns", "licence")
    for code in found.codes:
        instrument = found.get(code)
        versions = ", ".join(map(str, found.versions[code]))
        concerns = ", ".join(instrument.concerns)
        table.add_row(code, versions, instrument.name, concerns, instrument.licence.status)
    for code, entry in found.listed.items():
        table.add_row(code, "listed", entry.name, ", ".join(entry.concerns), entry.licence.status)
    _console().print(table)


def questionnaire(
    code: Annotated[str, typer.Argument(help="Code of the instrument.")],
    version: Annotated[int | None, typer.Option(help="Its version; the newest if not given.")] = None,
    variant: Annotated[str | None, typer.Option(help="A way to score; the definition's default if not given.")] = None,
    left_out: Annotated[bool, typer.Option("--left-out", help="List what the Questionnaire does not say.")] = False,
) -> None:
    """Print an instrument as a FHIR R4 Questionnaire that a renderer scores by itself."""
    import instruments

    try:
        found = instruments.load(code, version)
    except instruments.UnknownInstrument as error:
        raise UnusableInput(str(error)) from None
    if variant is not None and variant not in found.variant_ids:
        raise UnusableInput(f"{code} has no variant {variant!r}; it has {', '.join(found.variant_ids)}")
    if left_out:
        for each in instruments.not_expressed(found):
            typer.echo(f"{each.name}: {each.why}")
        return
    typer.echo(json.dumps(instruments.to_fhir(found, variant=variant), indent=2, ensure_ascii=False))


def publish(
    code: Annotated[str, typer.Argument(help="Code of the instrument.")],
    version: Annotated[int | None, typer.Option(help="Its version; the newest if not given.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Folder of the definitions; the project's if not given.")] = None,
) -> None:
    """Record a definition's checksum: from then on it must not change, and a correction is a new version."""
    import instruments
    from instruments.catalogue import DEFINITIONS, Catalogue

    home = folder or DEFINITIONS
    try:
        found = Catalogue(home).get(code, version)
    except (instruments.UnknownInstrument, instruments.DefinitionError) as error:
        raise UnusableInput(str(error)) from None
    name = f"{found.code}@{found.version}"
    if faults := _checked(home / f"{name}.yaml").faults:
        raise UnusableInput("\n".join(faults))
    published = _published(home)
    if published.get(name, found.checksum) != found.checksum:
        raise UnusableInput(_edited(found.code, found.version))
    if name in published:
        typer.echo(f"{name} is published already")
        return
    text = json.dumps(published | {name: found.checksum}, indent=2, sort_keys=True)
    (home / PUBLISHED).write_text(text + "\n", encoding="utf-8")
    typer.echo(f"{name} is published")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.yaml")) + sorted(path.glob("*.yml"))
        if not files:
            raise UnusableInput(f"{path}: there is no definition in this folder")
        return files
    if not path.exists():
        raise UnusableInput(f"{path}: there is no such file")
    return [path]


def _checked(file: Path) -> Checked:
    """Read a definition and compile it under each of its variants."""
    from instruments import DefinitionError
    from instruments.loader import read_file, read_listed_file
    from scoring import PlanError
    from scoring.plan import plan_of

    try:
        if "@" not in file.name and _MISSING.search(file.read_text(encoding="utf-8", errors="replace")):
            return Checked(file, None, (), read_listed_file(file))
        instrument = read_file(file)
    except DefinitionError as error:
        return Checked(file, None, tuple(str(fault) for fault in error.faults))
    except OSError as error:
        raise UnusableInput(f"{file}: cannot be read: {error.strerror}") from None
    faults: list[str] = []
    for variant in instrument.variant_ids:
        try:
            plan_of(instrument, variant)
        except PlanError as error:
            fault = f"{file.name}:{_line_of(file, str(error))}: {error}"
            if not any(other.startswith(fault) for other in faults):
                faults.append(f"{fault} (variant {variant})")
    return Checked(file, instrument, tuple(faults))


def _line_of(file: Path, message: str) -> int:
    """The line of the scale that a message names; the first where it names none."""
    named = _SCALE.search(message)
    lines = file.read_text(encoding="utf-8").splitlines()
    wanted = re.compile(rf"\bid:\s*[\"']?{re.escape(named[1])}[\"']?\s*(,|$)") if named else re.compile("code:")
    return next((number for number, line in enumerate(lines, 1) if wanted.search(line)), 1)


def _published(folder: Path) -> dict[str, str]:
    path = folder / PUBLISHED
    if not path.exists():
        return {}
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _changed(folder: Path, checked: list[Checked]) -> list[str]:
    """Published definitions that are gone or no longer what was published."""
    faults = []
    there = {one.file.name: one for one in checked if one.file.parent == folder}
    for name, checksum in sorted(_published(folder).items()):
        code, _, version = name.rpartition("@")
        one = there.get(f"{name}.yaml")
        if one is None:
            faults.append(f"{name}.yaml:1: it was published and is missing (restore it: stored scores rest on it)")
        elif one.instrument is not None and one.instrument.checksum != checksum:
            faults.append(f"{name}.yaml:1: {_edited(code, int(version))}")
    return faults


def _edited(code: str, version: int) -> str:
    return (
        f"{code}@{version} was edited after it was published "
        f"(restore it, and make the change in {code}@{version + 1}.yaml)"
    )


def _golden(code: str) -> int | None:
    """How many golden cases there are; None where the tests are not at hand, as in an installed package."""
    import yaml

    folder = Path(__file__).parents[2] / "tests" / "golden"
    if not folder.is_dir():
        return None
    path = folder / f"{code}.yaml"
    return len(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)) if path.exists() else 0


def _table_of_checks(checked: list[Checked]) -> Table:
    table = _table("code", "items", "scales", "variants", "golden", "status", "evidence", "review")
    for one in checked:
        found = one.instrument
        if one.listed is not None:
            continue
        if found is None:
            table.add_row(one.file.name, *[""] * 6, "unreadable")
            continue
        rules = Counter(rule.evidence for rule in (*found.scales, *found.caseness))
        golden = _golden(found.code)
        table.add_row(
            f"{found.code}@{found.version}",
            str(len(found.items)),
            str(len(found.scales)),
            str(len(found.variant_ids)),
            "" if golden is None else str(golden),
            "published" if f"{found.code}@{found.version}" in _published(one.file.parent) else "unpublished",
            ", ".join(f"{count} {kind}" for kind, count in sorted(rules.items())),
            "faults" if one.faults else str(len(found.needs_review) or ""),
        )
    return table


def _table_of_listed(checked: list[Checked]) -> Table:
    table = _table("listed", "cannot be scored without")
    for one in checked:
        if one.listed is not None:
            table.add_row(one.listed.code, "\n".join(one.listed.missing))
    return table


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    numbers = ("items", "scales", "variants", "golden", "review")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def _console() -> Console:
    """As wide as the terminal; in a pipe, wide enough that no cell is cut, and without colour."""
    from rich.console import Console

    return Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH_OF_A_PIPE, no_color=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(no_args_is_help=True, help="Check, list and publish instrument definitions.")
    group.command()(check)
    group.command()(schema)
    group.command("list")(listing)
    group.command()(questionnaire)
    group.command()(publish)
    app.add_typer(group, name="instruments")
