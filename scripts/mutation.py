"""Change the code of ``scoring/`` in small ways and count the changes that the scoring tests notice (mutmut).

    python -m scripts.mutation [--only disclosure] [--minutes 35] [--seed 7]

Mutants are taken in a random order, printed with its seed, in batches until the time is up; with few of them it is all.
The work is done in a temporary copy. Survivors are listed with their difference; the exit status is 1 where fewer than
``--least`` of the mutants were killed, 2 where mutmut did not run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

BATCH = 100
NEEDED = (
    "scoring",
    "instruments",
    "pyproject.toml",
    "tests/__init__.py",
    "tests/definitions_good",
    "tests/scoring",
    "tests/golden",
    "tests/golden_statistics",
)
CONFTEST = """\
import hypothesis

# The same few examples for each mutant, so that what becomes of it does not depend on luck.
hypothesis.settings.register_profile("mutation", deadline=None, max_examples=15, derandomize=True, database=None)
hypothesis.settings.load_profile("mutation")
"""
SURVIVED = (0, 33)  # mutmut's exit codes: tests passed, and no test reaches the place
KILLED = (1, 3, 37)
Results = dict[str, int | None]


def copy(target: Path) -> None:
    """What the scoring tests need. They start no database, so a short conftest does in the place of the full one."""
    for name in NEEDED:
        source = Path(name)
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    (target / "tests" / "conftest.py").write_text(CONFTEST)


def run(folder: Path, names: Sequence[str], children: int, seconds: float) -> str:
    """Run mutmut on some mutants; what it printed. After the time given it is stopped and keeps what it found."""
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(children), *names]
    # A session of its own, so that its workers end with it.
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        return process.communicate()[0]


def results(folder: Path) -> Results:
    """The exit code of each mutant; None for one that was not tried."""
    found: Results = {}
    for path in sorted((folder / "mutants").rglob("*.meta")):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def batches(names: Sequence[str], seed: int) -> Iterator[list[str]]:
    """All mutants in an order that depends on the seed alone."""
    order = sorted(names)
    random.Random(seed).shuffle(order)  # noqa: S311 - a sample, not a secret
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def difference(folder: Path, name: str) -> str:
    """The lines that a mutant changes."""
    shown = subprocess.run(
        [str(Path(sys.executable).with_name("mutmut")), "show", name],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return "\n".join(f"    {line}" for line in shown.splitlines() if line[:2] in ("- ", "+ "))


def report(folder: Path, found: Results, total: int, least: float) -> int:
    """Print the figures and the survivors."""
    tried = {name: code for name, code in found.items() if code is not None}
    if not tried:
        print("no mutant was tried", file=sys.stderr)
        return 2
    kinds = Counter(
        "survived" if code in SURVIVED else "killed" if code in KILLED else "timed out" for code in tried.values()
    )
    for name in sorted(name for name, code in tried.items() if code in SURVIVED):
        print(f"survived: {name}\n{difference(folder, name)}")
    # A mutant that makes the tests hang is noticed by whoever waits for them.
    ratio = (kinds["killed"] + kinds["timed out"]) / len(tried)
    figures = ", ".join(f"{kinds[kind]} {kind}" for kind in ("killed", "timed out", "survived"))
    print(f"{len(tried)} of {total} mutants: {figures}; noticed {ratio:.1%}")
    return 0 if ratio >= least else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="modules whose name holds this")
    parser.add_argument("--minutes", type=float, default=35.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--children", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--least", type=float, default=0.85)
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    deadline = time.monotonic() + 60 * given.minutes
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="fathomline-mutants-") as name:
        folder = Path(name)
        copy(folder)
        # A name that fits no mutant: mutmut makes them all, runs the tests once to learn which reach what, and stops.
        said = run(folder, ["none"], given.children, deadline - time.monotonic())
        mutants = [mutant for mutant in results(folder) if given.only in mutant.split(".x", 1)[0]]
        if "nothing matches" not in said or not mutants:
            print(said[-4000:], file=sys.stderr)
            return 2
        for batch in batches(mutants, seed):
            left = deadline - time.monotonic()
            if left < 60:
                break
            run(folder, batch, given.children, left)
        found = results(folder)
        return report(folder, {mutant: found[mutant] for mutant in mutants}, len(mutants), given.least)


if __name__ == "__main__":
    sys.exit(main())
