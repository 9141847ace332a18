"""`fathomline score`: a file of answers in, a file of scores out. No server and no database."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from api.cli.errors import UnusableInput

if TYPE_CHECKING:
    import pandas as pd

    from api.cli.tabular import Chunk, Reader, RowFault
    from instruments import Instrument

LARGE = 8 << 20
"""Files from this size on show how far they are, where somebody looks on."""
FAULT_COLUMNS = ("row", "line", "column", "code", "detail")
REFUSED = "refused"


def score(
    code: Annotated[str, typer.Argument(help="Code of the instrument, such as fsfi.")],
    answers: Annotated[
        Path, typer.Argument(help="CSV, NDJSON or Parquet, one form a row; - for CSV from standard input.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write, its format by suffix; - for CSV to standard output.")
    ],
    variant: Annotated[
        str | None, typer.Option(help="Scoring variant; the default of the instrument if not given.")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Version of the instrument; the newest if not given.")] = None,
    faults: Annotated[
        Path | None, typer.Option(help="Where refused cells are listed; OUT.faults.csv if not given.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but what is wrong with the input.")] = False,
) -> None:
    """Score every row of a file of answers.

    Columns are named by item ids; an empty cell is an unanswered item, and other columns pass through. Exit status: 0
    where every row was scored, 1 where rows were refused, 2 where nothing could be done.
    """
    instrument = _instrument(code, version, variant)
    report = faults or Path(f"{code}.faults.csv" if str(out) == "-" else f"{out}.faults.csv")
    if report.resolve() in (out.resolve(), answers.resolve()):
        raise UnusableInput(f"{report}: the list of faults needs a file of its own")
    rows, refused, listed = _score_file(instrument, variant, answers, out, report, quiet)
    if not quiet:
        what = f"{rows} row{'' if rows == 1 else 's'} of {instrument.code}@{instrument.version}"
        told = f"; {refused} refused, {listed} fault{'' if listed == 1 else 's'} listed in {report}" if refused else ""
        typer.echo(f"{what} scored{told}" if not refused else f"{what}{told}", err=True)
    if refused:
        raise typer.Exit(1)


def _instrument(code: str, version: int | None, variant: str | None) -> Instrument:
    import instruments
    from scoring import PlanError, UnknownVariant
    from scoring.plan import plan_of

    try:
        instrument = instruments.load(code, version)
        plan_of(instrument, variant)
    except instruments.NotScorable as error:
        raise UnusableInput(str(error)) from None
    except instruments.UnknownInstrument as error:
        close = get_close_matches(code, instruments.catalogue().codes)
        hint = f"did you mean {' or '.join(close)}?" if close else "`fathomline instruments list` names all"
        raise UnusableInput(f"{error}; {hint}" if version is None else str(error)) from None
    except (UnknownVariant, PlanError, instruments.DefinitionError) as error:
        raise UnusableInput(str(error)) from None
    return instrument


def _score_file(
    instrument: Instrument, variant: str | None, source: Path, out: Path, report: Path, quiet: bool
) -> tuple[int, int, int]:
    """Score chunk by chunk; the number of rows, of refused rows and of faults."""
    from api.cli.tabular import Reader, format_of
    from api.cli.writing import whole_file, writer_for

    added = _added(instrument, variant)
    reader = Reader(source, instrument.answer_names, fixed=format_of(out) != "ndjson")
    rows = refused = 0
    with ExitStack() as files:
        listing = files.enter_context(_Listing(report))
        writer = writer_for(out, files.enter_context(whole_file(out)), added)
        step = files.enter_context(_progress(reader, quiet))
        for chunk in files.enter_context(closing(reader.chunks())):
            if chunk.first_row == 1:
                _check_columns(instrument, reader, quiet)
            _no_clash(instrument, source, chunk, added)
            scores, found = _scored(instrument, variant, chunk)
            writer.write({**chunk.others, **scores})
            listing.add(found)
            rows += len(chunk.answers)
            refused += len({fault.row for fault in found})
            step()
        writer.close()
    return rows, refused, listing.count


def _added(instrument: Instrument, variant: str | None) -> dict[str, str]:
    """The columns that scoring adds, in their order, with their kind."""
    scales = [scale.id for scale in instrument.scales]
    added = dict.fromkeys(scales, "number") | dict.fromkeys((f"{scale}_status" for scale in scales), "text")
    name = variant or instrument.variant_ids[0]
    return added | {rule.id: "truth" for rule in instrument.caseness if rule.holds_under(name)} | {"flags": "text"}


def _check_columns(instrument: Instrument, reader: Reader, quiet: bool) -> None:
    known = [item.id for item in instrument.items]
    if not reader.given:
        hint = "; is the separator a comma?" if any(";" in name or "\t" in name for name in reader.others) else ""
        raise UnusableInput(
            f"{reader.path}: no column is named by an item of {instrument.code} ({known[0]} to {known[-1]}){hint}"
        )
    without = [item.id for item in instrument.items if not set(item.names) & set(reader.given)]
    if without and not quiet:
        many = f"items {', '.join(without)}: they count" if len(without) > 1 else f"item {without[0]}: it counts"
        typer.echo(f"{reader.path}: no column for {many} as unanswered", err=True)


def _no_clash(instrument: Instrument, source: Path, chunk: Chunk, added: dict[str, str]) -> None:
    for name in chunk.others:
        if name in added:
            raise UnusableInput(
                f"{source}: the column {name!r} has the name of one that scoring {instrument.code} adds; rename it"
            )


def _scored(instrument: Instrument, variant: str | None, chunk: Chunk) -> tuple[dict[str, Any], list[RowFault]]:
    """The columns to add for one chunk, and what is wrong in it."""
    import numpy as np

    from api.cli.tabular import RowFault
    from scoring import evaluate_frame
    from scoring.errors import OF_STEPS

    result = evaluate_frame(instrument, chunk.answers, variant=variant)
    found = []
    for fault in result.faults:
        in_a_cell = chunk.code_of if fault.code not in OF_STEPS else None
        code = in_a_cell(fault.row, fault.column) if in_a_cell else fault.code
        line = chunk.lines[fault.row] if chunk.lines else None
        found.append(RowFault(chunk.first_row + fault.row, line, fault.column, code, fault.detail))
    for row, (code, detail) in chunk.broken.items():
        found.append(RowFault(chunk.first_row + row, chunk.lines[row] if chunk.lines else None, "", code, detail))
    found.sort(key=lambda fault: fault.row)
    refused = np.zeros(len(chunk.answers), np.bool_)
    refused[[fault.row - chunk.first_row for fault in found]] = True
    return {
        name: _cells(result.scores[name], kind, refused, name.endswith("_status"))
        for name, kind in _added(instrument, variant).items()
    }, found


def _cells(column: pd.Series[Any], kind: str, refused: Any, status: bool) -> list[Any]:
    """One added column as plain values; None where there is none."""
    values = column.astype(object).where(column.notna() & ~refused, None)
    if kind == "text":
        values = values.where(~refused, REFUSED if status else None)
    return values.tolist()


class _Listing:
    """The list of faults: a file only where there are any, and none left over from an earlier run."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self._files = ExitStack()
        self._file: BinaryIO | None = None

    def __enter__(self) -> _Listing:
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None and not self.count:
            self.path.unlink(missing_ok=True)
        self._files.__exit__(*error)

    def add(self, faults: list[RowFault]) -> None:
        """List some more."""
        from api.cli.writing import whole_file

        if not faults:
            return
        text = io.StringIO(newline="")
        lines = csv.writer(text, lineterminator="\n")
        if self._file is None:
            self._file = self._files.enter_context(whole_file(self.path))
            lines.writerow(FAULT_COLUMNS)
        lines.writerows((f.row, "" if f.line is None else f.line, f.column, f.code, f.detail) for f in faults)
        self._file.write(text.getvalue().encode())
        self.count += len(faults)


@contextmanager
def _progress(reader: Reader, quiet: bool) -> Iterator[Any]:
    """A bar on standard error for large files, where that is a terminal."""
    large = str(reader.path) != "-" and reader.path.exists() and reader.path.stat().st_size >= LARGE
    if quiet or not large or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"scoring {reader.path.name}", total=None)
        yield lambda: bar.update(task, completed=reader.done, total=reader.size)


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(score)
