"""`fathomline change`: a file of pairs in, change, index and category of each person out. No server and no database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.errors import UnusableInput

if TYPE_CHECKING:
    from api.cli.pairs import Pairs
    from scoring.change_sample import SampleChange

ADDED = {"change": "number", "rci": "number", "category": "text"}
CUTOFFS = ("a", "b", "c", "b-clinical-sd")
DIRECTIONS = ("better", "worse")
OF_SERIES = "hierarchical-linear-model"
"""A method that pairs do not hold: two scores of a person cannot tell the spread of slopes from measurement error."""
_NORMS = {
    "mean_clinical": "--clinical-mean",
    "sd_clinical": "--clinical-sd",
    "mean_functional": "--functional-mean",
    "sd_functional": "--functional-sd",
}
_OPTIONS = {"reliability_post": "--reliability-post", "reliability": "--reliability", "significance": "--significance"}


def change(
    pairs: Annotated[
        Path, typer.Argument(help="CSV, NDJSON or Parquet with id, pre, post; - for CSV from standard input.")
    ],
    method: Annotated[
        str,
        typer.Option(
            help="jacobson-truax, gulliksen-lord-novick, hsu-linn-nord, edwards-nunnally, nunnally-kotsch or "
            "hageman-arrindell. The hierarchical linear model takes three scores of a person and more: not of pairs."
        ),
    ],
    reliability: Annotated[float, typer.Option(help="Of the scale, 0 to 1.")],
    higher_is: Annotated[str, typer.Option(help="What a high score means: better or worse.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write, its format by suffix; - for CSV to standard output.")
    ],
    reliability_post: Annotated[
        float | None, typer.Option(help="On the second occasion, for nunnally-kotsch; else the same.")
    ] = None,
    significance: Annotated[float, typer.Option(help="Two-sided; with hageman-arrindell one-sided.")] = 0.05,
    sd: Annotated[
        float | None, typer.Option(help="Standard deviation before, in points; that of the file's complete pairs.")
    ] = None,
    functional_mean: Annotated[float | None, typer.Option(help="Of the functional population, for a cutoff.")] = None,
    functional_sd: Annotated[float | None, typer.Option(help="The same.")] = None,
    clinical_mean: Annotated[
        float | None, typer.Option(help="Of the clinical population; the mean before of the file's complete pairs.")
    ] = None,
    clinical_sd: Annotated[float | None, typer.Option(help="The same.")] = None,
    cutoff: Annotated[
        str | None,
        typer.Option(help="a, b or c: the category goes by it too (b-clinical-sd: b as some software has it)."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print parameters, moments, cutoff and counts as one JSON document.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but what is wrong with the input.")] = False,
) -> None:
    """Tell for every person of a file whether a change is more than error of measurement.

    Columns in: id, pre, post, and any others. Out: those, then change, rci, category. A row without one of the scores
    is left out and counted. Exit status: 0 done, 2 nothing could be done.
    """
    from api.cli.pairs import read_pairs
    from api.cli.tabular import format_of
    from scoring.change_methods import METHODS

    if method == OF_SERIES:
        raise UnusableInput(
            f"--method {OF_SERIES} cannot be had from pairs: two scores of a person do not tell the spread of slopes "
            "from measurement error. It takes ids, times and scores, three of a person or more: "
            "scoring.growth.slopes.slope_change"
        )
    _one_of(method, "--method", METHODS)
    _one_of(higher_is, "--higher-is", DIRECTIONS)
    _one_of(cutoff, "--cutoff", CUTOFFS)
    if as_json and str(out) == "-":
        raise UnusableInput("--json and -o - both write to standard output; name a file for one of them")
    fixed = format_of(out) != "ndjson"
    norms = {"mean_clinical": clinical_mean, "sd_clinical": clinical_sd,
             "mean_functional": functional_mean, "sd_functional": functional_sd}  # fmt: skip
    read = read_pairs(pairs, fixed=fixed)
    clash = next((name for name in ADDED if name in read.names), None)
    if clash is not None:
        raise UnusableInput(f"{pairs}: the column {clash!r} has the name of one that is added; rename it")
    found = _computed(
        read,
        method=method,
        higher_is=higher_is,
        reliability=reliability,
        reliability_post=reliability_post,
        significance=significance,
        sd=sd,
        cutoff_kind=cutoff,
        norms=norms,
        path=pairs,
    )
    _write(pairs, out, read, found)
    warnings = _warnings(read, found, norms, cutoff, reliability_post)
    if as_json:
        import orjson

        document = {**found.document(), "warnings": [{"code": code, "detail": detail} for code, detail in warnings]}
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return
    if not quiet:
        from api.cli.change_table import show

        show(found, to_error=str(out) == "-")
        for _, detail in warnings:
            typer.echo(f"fathomline: {detail}", err=True)


def _one_of(given: str | None, option: str, known: tuple[str, ...]) -> None:
    if given is not None and given not in known:
        raise UnusableInput(f"{option} must be one of {', '.join(known)}, not {given!r}")


def _computed(read: Pairs, *, path: Path, norms: dict[str, float | None], **options: Any) -> SampleChange:
    """The change of everybody; what it cannot be computed with, told by the names of the options."""
    from scoring.change_sample import Norms, change_of_sample
    from scoring.cutoffs import NotComputable

    try:
        return change_of_sample(read.pre, read.post, norms=Norms(**norms), **options)
    except NotComputable as error:
        raise UnusableInput(f"{path}: not computable ({error.reason}): {_in_options(str(error))}") from None
    except ValueError as error:
        raise UnusableInput(_in_options(str(error))) from None


def _in_options(text: str) -> str:
    """A sentence of the core, with names of its parameters as those of the options."""
    first, _, rest = text.partition(" ")
    renamed = {**_NORMS, **_OPTIONS, "sd": "--sd"}
    if first in renamed:
        return f"{renamed[first]} {rest}"
    for name, option in _NORMS.items():
        text = text.replace(name, option)
    return text


def _warnings(
    read: Pairs, found: SampleChange, norms: dict[str, float | None], cutoff: str | None, reliability_post: float | None
) -> list[tuple[str, str]]:
    """What was given and not used, and what is odd, with a stable code."""
    warnings = []
    unused = [option for name, option in _NORMS.items()
              if norms[name] is not None and (cutoff is None or getattr(found.norms, name) is None)]  # fmt: skip
    if unused:
        why = "there is no --cutoff" if cutoff is None else f"cutoff {cutoff} does not use it"
        warnings.append(("norms-not-used", f"{' and '.join(unused)}: not used, as {why}"))
    if reliability_post is not None and found.reliability_post is None:
        warnings.append(("reliability-post-not-used", f"--reliability-post: not used, as {found.method} has none"))
    if found.cutoff is not None and "populations-reversed" in found.cutoff.warnings:
        warnings.append(
            (
                "populations-reversed",
                "the functional mean is not on the better side of the clinical one: check --higher-is",
            )
        )
    if read.repeated is not None:
        rows = f"rows {read.repeated[0]} and {read.repeated[1]} have the same id"
        warnings.append(("id-twice", f"{rows}: a person who is in a file twice counts twice in its moments"))
    return warnings


def _write(source: Path, out: Path, read: Pairs, found: SampleChange) -> None:
    """The rows as they were, and the three columns."""
    from api.cli.pairs import POST, PRE
    from api.cli.tabular import format_of
    from api.cli.writing import whole_file, writer_for

    columns = {
        "change": _numbers(found.change),
        "rci": _numbers(found.rci),
        "category": [None if c is None else c._value_ for c in found.category.tolist()],
    }
    kinds = dict(ADDED)
    if format_of(out) not in ("csv", format_of(source)):  # text of CSV is a number elsewhere
        columns = {PRE: _numbers(read.pre), POST: _numbers(read.post), **columns}
        kinds |= {PRE: "number", POST: "number"}
    with whole_file(out) as file:
        writer = writer_for(out, file, kinds)
        start = 0
        for chunk in read.chunks:
            end = start + len(chunk.answers)
            kept = {name: chunk.others[name] for name in read.names if name in chunk.others}
            writer.write({**kept, **{name: column[start:end] for name, column in columns.items()}})
            start = end
        writer.close()


def _numbers(values: Any) -> list[float | None]:
    """As plain numbers; None where there is none."""
    cells: list[float | None] = values.tolist()
    return [None if cell != cell else cell for cell in cells]  # only NaN differs from itself


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(change)
