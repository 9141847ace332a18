"""What `fathomline change` shows on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from scoring.change_sample import SampleChange


def show(found: SampleChange, *, to_error: bool) -> None:
    """The categories with their shares of those with both scores and of all rows, and what they were computed with."""
    console = Console(stderr=to_error, highlight=False)
    for line in _lines(found):
        console.print(line, soft_wrap=True)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("category")
    for heading in ("persons", "% of pairs", "% of rows"):
        table.add_column(heading, justify="right")
    for category, count in found.counts.items():
        table.add_row(
            category.value, f"{count:,}", f"{100 * count / found.used:.1f}", f"{100 * count / found.rows:.1f}"
        )
    table.add_row("excluded", f"{found.rows - found.used:,}", "", f"{100 * (1 - found.used / found.rows):.1f}")
    console.print()
    console.print(table)


def _lines(found: SampleChange) -> list[str]:
    said = found.document()
    given = said["parameters"]
    lines = [
        f"{found.method}, reliability {found.reliability:g}"
        + (f" and {found.reliability_post:g}" if found.reliability_post is not None else "")
        + f", SD {found.sd:.6g}, higher is {found.higher_is}",
        f"reliable beyond |rci| = {found.critical:.6f} ({given['sided']}-sided, {found.significance:g})"
        + (f", that is {given['threshold']:.6g} points" if given["threshold"] is not None else ""),
    ]
    if found.cutoff is None:
        lines.append("no cutoff: by reliable change alone, so nobody is recovered or harmed")
    else:
        made = "error-free, " if said["cutoff"]["error_free"] else ""
        norms = {name: said["cutoff"][name] for name in said["cutoff"] if name.startswith(("mean", "sd"))}
        known = ", ".join(f"{name.replace('_', ' ')} {value:.6g}" for name, value in norms.items() if value is not None)
        lines.append(f"cutoff {found.cutoff.kind} = {found.cutoff.value:.6g} ({made}{known})")
    pairs = said["pairs"]
    left_out = ", ".join(
        f"{pairs[key]:,} without {name}"
        for key, name in (("without_pre", "pre"), ("without_post", "post"), ("without_both", "both"))
        if pairs[key]
    )
    lines.append(f"{found.rows:,} rows, {found.used:,} complete pairs" + (f"; {left_out}" if left_out else ""))
    return lines
