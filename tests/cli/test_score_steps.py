"""`fathomline score` with questions in two steps, and with rules of one variant."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import instruments
from tests.cli.command import CommandLine

MENQOL = instruments.load("menqol")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(folder: Path, suffix: str, header: list[str], rows: list[list[object]]) -> Path:
    """A file of answers; empty text is an empty cell."""
    import pandas as pd

    path = folder / f"in{suffix}"
    frame = pd.DataFrame(rows, columns=header)
    match suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".ndjson":
            frame.to_json(path, orient="records", lines=True)
        case _:
            frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet"])
def test_steps_score_as_what_they_stand_for(fathomline: CommandLine, tmp_path: Path, suffix: str) -> None:
    names = [item.id for item in MENQOL.items]
    in_steps = [name for item in MENQOL.items for name in (f"{item.id}.gate", f"{item.id}.rating")]
    whole = [[1 + (n + row) % 8 for n in range(len(names))] for row in range(8)]
    steps = [[cell for value in row for cell in ((0, None) if value == 1 else (1, value - 2))] for row in whole]
    options = ("-o", tmp_path / "out.csv")
    assert fathomline("score", "menqol", written(tmp_path, suffix, names, list(map(list, whole))), *options).status == 0
    expected = rows_of(tmp_path / "out.csv")
    outcome = fathomline("score", "menqol", written(tmp_path, suffix, in_steps, steps), *options)
    assert (outcome.status, "no column" in outcome.err) == (0, False)
    assert rows_of(tmp_path / "out.csv") == expected
    assert next(iter(expected[0])) == MENQOL.scales[0].id, "the steps are answers, and do not pass through"


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet"])
def test_steps_that_do_not_go_together_are_listed(fathomline: CommandLine, tmp_path: Path, suffix: str) -> None:
    header = ["1", "1.gate", "1.rating", "2.gate", "2.rating"]
    rows: list[list[object]] = [[1, 0, None, 1, 0], [None, 0, 3, None, 2], [None, 1, 3, 7, None]]
    source = written(tmp_path, suffix, header, rows)
    assert fathomline("score", "menqol", source, "-o", tmp_path / "out.csv").status == 1
    found = [(row["row"], row["column"], row["code"]) for row in rows_of(tmp_path / "out.csv.faults.csv")]
    assert found == [
        ("1", "1", "given-twice"),
        ("2", "1.rating", "contradiction"),
        ("2", "2.rating", "gate-unanswered"),
        ("3", "2.gate", "not-an-option"),
    ]
