"""`fathomline score` gives what the published worked examples, and those derived by hand from the rules, say."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

import instruments
from tests.cli.command import CommandLine
from tests.scoring.test_golden import BY_CODE, Case, exact

WORKED = {
    code: [case for case in cases if case["origin"].startswith("worked example")] for code, cases in BY_CODE.items()
}


def test_every_instrument_has_worked_examples() -> None:
    assert {code for code, cases in WORKED.items() if not cases} == set()


@pytest.mark.parametrize("code", WORKED)
def test_worked_examples(fathomline: CommandLine, tmp_path: Path, code: str) -> None:
    by_variant: dict[str, list[Case]] = defaultdict(list)
    for case in WORKED[code]:
        by_variant[case.get("variant", instruments.load(code).variant_ids[0])].append(case)
    for variant, cases in by_variant.items():
        asked, answered = tmp_path / f"{variant}.csv", tmp_path / f"{variant}.scores.csv"
        columns = ["row_of_file", *dict.fromkeys(item for case in cases for item in case["answers"])]
        with asked.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows({"row_of_file": number, **case["answers"]} for number, case in enumerate(cases))
        outcome = fathomline("score", code, asked, "-o", answered, "--variant", variant, "--quiet")
        assert (outcome.status, outcome.err) == (0, "")
        with answered.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["row_of_file"] for row in rows] == [str(number) for number in range(len(cases))]
        for case, row in zip(cases, rows, strict=True):
            scores = {scale: float(row[scale]) if row[scale] else None for scale in case["scores"]}
            assert scores == {scale: exact(value) for scale, value in case["scores"].items()}, case["name"]
