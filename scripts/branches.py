"""Exit 1 and name the places where a line or a branch of the given packages was never run.

    python -m scripts.branches .coverage.json scoring instruments

The first argument is what ``coverage json`` wrote, with branches measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any


def uncovered(report: Mapping[str, Any], packages: Sequence[str], modules: Sequence[str]) -> Iterator[str]:
    """One line a place that was not run, and one a module that the report does not know.

    A report without branches, or without a module that exists, says nothing about them, so it fails too.
    """
    if not report.get("meta", {}).get("branch_coverage"):
        yield "the report holds no branches: measure with branch = true"
        return
    files = {PurePosixPath(name.replace("\\", "/")): measured for name, measured in report["files"].items()}
    own = {path: measured for path, measured in files.items() if path.parts[0] in packages}
    for name in sorted(set(map(PurePosixPath, modules)) - own.keys()):
        yield f"{name}: not in the report"
    for path, measured in sorted(own.items()):
        lines = measured["missing_lines"]
        if lines:
            yield f"{path}: never run: lines {', '.join(map(str, lines))}"
        for start, end in measured["missing_branches"]:
            yield f"{path}: never taken: from line {start} to {'the end' if end < 0 else f'line {end}'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is uncovered; 0 where nothing is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("packages", nargs="+")
    given = parser.parse_args(arguments)
    modules = []
    for package in given.packages:
        found = sorted(path.as_posix() for path in Path(package).rglob("*.py"))
        if not found:
            print(f"{package}: no such package here", file=sys.stderr)
            return 2
        modules += found
    try:
        report = json.loads(given.report.read_text())
    except (OSError, ValueError) as error:
        print(f"{given.report}: {error}", file=sys.stderr)
        return 2
    places = list(uncovered(report, given.packages, modules))
    for place in places:
        print(place)
    print(f"{', '.join(given.packages)}: {len(places) or 'no'} uncovered places in {len(modules)} modules")
    return 1 if places else 0


if __name__ == "__main__":
    sys.exit(main())
