"""``python -m benchmarks [NAME …] [--json FILE]``: run the benchmarks, or those named."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import (
    caseload,
    catalogue,
    change,
    charts,
    due,
    groups,
    imports,
    progress,
    recording,
    report,
    rescoring,
    scoring,
)
from benchmarks.report import Outcome

BENCHMARKS = {
    "many-definitions": catalogue.many_definitions,
    "score": scoring.score_one,
    "score-frame": scoring.score_many,
    "change": change.change_of_pairs,
    "import": imports.import_responses,
    "record-response": recording.record_response,
    "stored-responses": recording.stored_responses,
    "due": due.due,
    "caseload": caseload.caseload,
    "charts": charts.charts,
    "group-statistics": groups.group_statistics,
    "outcomes": groups.organisation_outcomes,
    "progress": progress.progress,
    "rescore": rescoring.rescore,
}


def main() -> int:
    """Run what was asked for, print it, and write it where a file is named. Exit status 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the outcomes there")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    outcomes: list[Outcome] = []
    for name in chosen.names or BENCHMARKS:
        print(f"{name} …", file=sys.stderr, flush=True)
        outcomes += BENCHMARKS[name]()
    report.show(outcomes)
    if chosen.json is not None:
        report.write(outcomes, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
