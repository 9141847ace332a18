"""A catalogue of a thousand definitions: what loading it takes, and what it costs those who use one of them.

Each measurement is a process of its own, so that nothing is warm and memory is told from what was there before.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import instruments
from benchmarks.report import Outcome, in_turn, outcome
from instruments.catalogue import DEFINITIONS

MANY = 1_000
SECONDS, MEBIBYTES = 2.0, 200.0
"""What loading them may take."""

_LOAD = """
import resource, sys, time
from pathlib import Path
from instruments.catalogue import Catalogue

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20

catalogue, before, start = Catalogue(Path(sys.argv[1])), resident(), time.perf_counter()
kept = [catalogue.get(code) for code in catalogue.codes]
print(time.perf_counter() - start, resident() - before, len(kept))
"""
_FIRST_SCORE = """
import sys, time
start = time.perf_counter()
from pathlib import Path
import scoring
from instruments.catalogue import Catalogue
instrument = Catalogue(Path(sys.argv[1])).get("c00000")
scoring.score(instrument, {item.id: item.options[0] for item in instrument.items})
print(time.perf_counter() - start)
"""
_SCORE = """
import sys, time
from pathlib import Path
import scoring
from instruments.catalogue import Catalogue
catalogue = Catalogue(Path(sys.argv[1]))
kept = [catalogue.get(code) for code in catalogue.codes]
for instrument in kept:
    scoring.score(instrument, {item.id: item.options[0] for item in instrument.items})
answers = {item.id: item.options[-1] for item in kept[0].items}
start = time.perf_counter()
for _ in range(20_000):
    scoring.score(catalogue.get("c00000"), answers)
print((time.perf_counter() - start) / 20_000 * 1e6)
"""


def many_definitions() -> list[Outcome]:
    """Loading a thousand definitions against what it may take; first and later scores against a catalogue of one."""
    with tempfile.TemporaryDirectory() as place:
        one, many = Path(place, "one"), Path(place, "many")
        _copies(one, 1)
        _copies(many, MANY)
        loaded = [_run(_LOAD, many) for _ in range(5)]
        first = in_turn(_timed(_FIRST_SCORE, one), _timed(_FIRST_SCORE, many), rounds=9)
        later = in_turn(_timed(_SCORE, one), _timed(_SCORE, many), rounds=3, warm_up=0)
    seconds = [(SECONDS, run[0]) for run in loaded]
    mebibytes = [(MEBIBYTES, run[1]) for run in loaded]
    return [
        outcome(f"load {MANY} definitions: time", seconds, goal=1, higher_is="worse", unit="s"),
        outcome(f"load {MANY} definitions: memory", mebibytes, goal=1, higher_is="worse", unit="MiB"),
        outcome(f"first score, {MANY} definitions against 1", first, goal=1.1, higher_is="worse", unit="s"),
        outcome(f"one score, {MANY} definitions used against 1", later, goal=1.2, higher_is="worse", unit="µs"),
    ]


def _copies(folder: Path, count: int) -> None:
    """Definitions of the project over and over, each under a code of its own; the first is always the same."""
    folder.mkdir()
    codes = instruments.catalogue().codes
    texts = [(code, (DEFINITIONS / f"{code}@1.yaml").read_text(encoding="utf-8")) for code in ("fsfi", *codes)]
    for number in range(count):
        code, text = texts[number % len(texts)]
        name = f"c{number:05}"
        copy = text.replace(f"code: {code}\n", f"code: {name}\n", 1)
        (folder / f"{name}@1.yaml").write_text(copy, encoding="utf-8")


def _run(program: str, folder: Path) -> list[float]:
    command = [sys.executable, "-c", program, str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [float(word) for word in said.split()]


def _timed(program: str, folder: Path) -> Callable[[], float]:
    return lambda: _run(program, folder)[0]
