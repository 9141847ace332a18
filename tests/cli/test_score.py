"""`fathomline score`: every format in and out, every kind of unusable input, and nothing half-written."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import instruments
import scoring
from api.cli.tabular import ROWS
from tests.cli.command import CommandLine, Outcome

FSFI = instruments.load("fsfi")
WHO5 = instruments.load("who-5")
HEADER = "id,1,2,3,4,5,note"
ADDED = ["raw", "total", "raw_status", "total_status"]
SCRIPT = Path(sys.executable).with_name("fathomline")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def score_text(fathomline: CommandLine, folder: Path, text: str | bytes, *options: str, code: str = "who-5") -> Outcome:
    source = folder / "in.csv"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    return fathomline("score", code, source, "-o", folder / "out.csv", *options)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_unusable(outcome: Outcome, *words: str, folder: Path | None = None) -> None:
    """One line, no traceback, exit status 2, and no file left."""
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err
    if folder is not None:
        assert not (folder / "out.csv").exists()
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_scores_stand_beside_the_other_columns(fathomline: CommandLine, folder: Path) -> None:
    outcome = score_text(fathomline, folder, f"{HEADER}\n007,1,2,3,4,5,a\n008,0,0,,0,0,b\n")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == "2 rows of who-5@1 scored\n"
    text = (folder / "out.csv").read_text(encoding="utf-8")
    names = ["id", "note", *(s.id for s in WHO5.scales), *(f"{s.id}_status" for s in WHO5.scales)]
    names += [*(rule.id for rule in WHO5.caseness), "flags"]
    assert text.splitlines()[0] == ",".join(names)
    first, second = rows_of(folder / "out.csv")
    assert (first["id"], first["note"], second["id"]) == ("007", "a", "008")
    expected = scoring.score(WHO5, {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5})
    for scale, score in expected.scores.items():
        assert first[scale] == repr(score.value)
        assert first[f"{scale}_status"] == "complete"
        assert (second[scale], second[f"{scale}_status"]) == ("", "insufficient")
    assert not (folder / "out.csv.faults.csv").exists()


def test_exact_decimals_are_written_as_people_write_them(fathomline: CommandLine, folder: Path) -> None:
    header = ",".join(item.id for item in FSFI.items)
    score_text(fathomline, folder, f"{header}\n{','.join(['1', '2', *'3' * 17])}\n{','.join('5' * 19)}\n", code="fsfi")
    mixed, best = rows_of(folder / "out.csv")
    assert (mixed["desire"], mixed["arousal"], best["total"]) == ("1.8", "3.6", "36.0")


@pytest.mark.parametrize("cell", ["3", "3.0", "+3", "03", "3.", " 3", "3 ", "\t3", "3.000"])
def test_a_whole_number_may_be_written_in_several_ways(fathomline: CommandLine, folder: Path, cell: str) -> None:
    assert score_text(fathomline, folder, f"1,2,3,4,5\n{cell},1,1,1,1\n").status == 0
    assert rows_of(folder / "out.csv")[0]["raw"] == "7.0"


@pytest.mark.parametrize("cell", ["", " ", "\t"])
def test_an_empty_cell_is_an_unanswered_item(fathomline: CommandLine, folder: Path, cell: str) -> None:
    assert score_text(fathomline, folder, f"1,2,3,4,5\n{cell},1,1,1,1\n").status == 0
    assert rows_of(folder / "out.csv")[0]["raw_status"] == "insufficient"


WRONG_TEXTS = {
    "3.5": "not-whole",
    ".5": "not-whole",
    "abc": "not-a-number",
    "true": "not-a-number",
    "nan": "not-a-number",
    "NA": "not-a-number",
    "inf": "not-a-number",
    "3e0": "not-a-number",
    "1_0": "not-a-number",
    "٣": "not-a-number",
    "3 4": "not-a-number",
    "=3": "not-a-number",
    "0x3": "not-a-number",
    "-": "not-a-number",
    ".": "not-a-number",
    "6": "not-an-option",
    "-1": "not-an-option",
    "65536": "not-an-option",
    "9" * 400: "not-an-option",
}


@pytest.mark.parametrize("cell", WRONG_TEXTS, ids=lambda cell: cell[:6])
def test_a_wrong_cell_refuses_its_row_and_is_listed_without_its_value(
    fathomline: CommandLine, folder: Path, cell: str
) -> None:
    outcome = score_text(fathomline, folder, f"{HEADER}\n1,1,1,1,1,1,x\n2,1,{cell},1,1,1,y\n3,2,2,2,2,2,z\n")
    assert outcome.status == 1
    report = folder / "out.csv.faults.csv"
    assert outcome.err == f"3 rows of who-5@1; 1 refused, 1 fault listed in {report}\n"
    (fault,) = rows_of(report)
    allowed = "item '2' takes one of [0, 1, 2, 3, 4, 5]"
    expected = {"row": "2", "line": "3", "column": "2", "code": WRONG_TEXTS[cell], "detail": allowed}
    assert fault == expected
    before, refused, after = rows_of(folder / "out.csv")
    assert (refused["id"], refused["note"]) == ("2", "y")
    assert {refused[name] for name in ADDED if name.endswith("_status")} == {"refused"}
    assert {refused[name] for name in refused if name not in ("id", "note") and not name.endswith("_status")} == {""}
    assert (before["raw"], after["raw"]) == ("5.0", "10.0")


def test_every_fault_of_every_row_is_listed_in_order(fathomline: CommandLine, folder: Path) -> None:
    text = f'{HEADER}\n1,9,x,1,1,1,"two\nlines"\n2,1,1,1,1,1,\n\n3,1,1,1,1\n4,1,1,1,1,1,n,m\n5,1,1,1,1,7,\n'
    outcome = score_text(fathomline, folder, text, "--faults", str(folder / "wrong.csv"))
    assert outcome.status == 1
    assert "5 rows of who-5@1; 4 refused, 5 faults" in outcome.err
    faults = [(f["row"], f["line"], f["column"], f["code"]) for f in rows_of(folder / "wrong.csv")]
    assert faults == [
        ("1", "2", "1", "not-an-option"),
        ("1", "2", "2", "not-a-number"),
        ("3", "6", "", "wrong-length"),
        ("4", "7", "", "wrong-length"),
        ("5", "8", "5", "not-an-option"),
    ]
    rows = rows_of(folder / "out.csv")
    assert [row["id"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[0]["note"] == "two\nlines"
    assert [row["raw"] for row in rows] == ["", "5.0", "", "", ""]


def test_a_list_of_faults_does_not_outlive_its_reason(fathomline: CommandLine, folder: Path) -> None:
    assert score_text(fathomline, folder, "1,2,3,4,5\n9,1,1,1,1\n").status == 1
    assert (folder / "out.csv.faults.csv").exists()
    assert score_text(fathomline, folder, "1,2,3,4,5\n1,1,1,1,1\n").status == 0
    assert not (folder / "out.csv.faults.csv").exists()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("\ufeff1,2,3,4,5,id\n1,1,1,1,1,é\n", "é"),
        ("1,2,3,4,5,id\r\n1,1,1,1,1,00\r\n", "00"),
        ('1,2,3,4,5,id\n1,1,1,1,1,"a,""b""\r\nc"\n', 'a,"b"\r\nc'),
        ("1,2,3,4,5,id\n1,1,1,1,1,1.10\n", "1.10"),
        ("1,2,3,4,5,id\n1,1,1,1,1, x \n", " x "),
        ("1,2,3,4,5,id\n1,1,1,1,1,123456789012345678901234567890\n", "123456789012345678901234567890"),
        ("1,2,3,4,5,id\n1,1,1,1,1,1e5", "1e5"),
        (' 1 , 2,"3",4,5,id\n1,1,1,1,1,NaN\n', "NaN"),
    ],
    ids=["BOM", "CRLF", "quotes", "trailing zero", "spaces", "long", "no last line end", "spaced header"],
)
def test_other_columns_pass_through_to_the_letter(fathomline: CommandLine, folder: Path, text: str, same: str) -> None:
    assert score_text(fathomline, folder, text).status == 0
    (row,) = rows_of(folder / "out.csv")
    assert (row["id"], row["raw"]) == (same, "5.0")


UNUSABLE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "no item": (b"a,b\n1,2\n", "no column is named by an item of who-5 (1 to 5)"),
    "another separator": (b"id;1;2;3;4;5\n1;1;1;1;1;1\n", "is the separator a comma?"),
    "an item twice": (b"1,2,3,4,5,1\n1,1,1,1,1,1\n", "two columns are named '1'"),
    "an item twice but for a space": (b"1,2,3,4,5, 1\n1,1,1,1,1,1\n", "two columns are named '1'"),
    "another column twice": (b"1,2,3,4,5,id,id\n1,1,1,1,1,1,1\n", "two columns are named 'id'"),
    "a column named like a scale": (b"1,2,3,4,5,raw\n1,1,1,1,1,1\n", "'raw'"),
    "a column named like a status": (b"1,2,3,4,5,raw_status\n1,1,1,1,1,1\n", "'raw_status'"),
    "a column named flags": (b"1,2,3,4,5,flags\n1,1,1,1,1,1\n", "'flags'"),
    "latin-1": ("1,2,3,4,5,id\n1,1,1,1,1,é\n".encode("latin-1"), "not UTF-8"),
    "utf-16": ("1,2,3,4,5\n1,1,1,1,1\n".encode("utf-16"), "not UTF-8"),
    "an open quote": (b'1,2,3,4,5\n1,1,1,1,"1\n', "not CSV"),
    "a quote in a cell": (b'1,2,3,4,5\n1,1,1,1,"1"x\n', "line 2: not CSV"),
    "a cell without end": (b'1,2,3,4,5,id\n1,1,1,1,1,"' + b"x" * 200_000 + b'"\n', "not CSV"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_files_are_told_in_one_line(fathomline: CommandLine, folder: Path, name: str) -> None:
    text, words = UNUSABLE[name]
    assert_unusable(score_text(fathomline, folder, text), words, folder=folder)


def test_a_header_alone_gives_a_header(fathomline: CommandLine, folder: Path) -> None:
    assert score_text(fathomline, folder, "id,1,2,3,4,5\n").status == 0
    assert (folder / "out.csv").read_text(encoding="utf-8").startswith("id,raw,total,raw_status")
    for suffix in ("ndjson", "parquet"):
        assert fathomline("score", "who-5", folder / "in.csv", "-o", folder / f"out.{suffix}").status == 0
    assert (folder / "out.ndjson").read_bytes() == b""
    assert pq.read_table(folder / "out.parquet").num_rows == 0


def test_unusable_arguments(fathomline: CommandLine, folder: Path) -> None:
    good = folder / "in.csv"
    good.write_text("1,2,3,4,5\n1,1,1,1,1\n")
    out = folder / "out.csv"
    cases: list[tuple[list[Any], str]] = [
        (["no-such", good, "-o", out], "there is no instrument 'no-such'; `fathomline instruments list` names all"),
        (["who5", good, "-o", out], "there is no instrument 'who5'; did you mean who-5?"),
        (["griss", good, "-o", out], "'griss' cannot be scored. Missing: Which items make up each subscale"),
        (["who-5", good, "-o", out, "--version", 99], "there is no version 99 of 'who-5'"),
        (["who-5", good, "-o", out, "--variant", "no-such"], "no scoring variant 'no-such'; it has standard"),
        (["who-5", folder / "gone.csv", "-o", out], "No such file"),
        (["who-5", folder, "-o", out], "must end in .csv"),
        (["who-5", good, "-o", folder / "gone" / "out.csv"], "cannot be written"),
        (["who-5", good, "-o", folder / "out.xlsx"], "must end in .csv, .ndjson"),
        (["who-5", good, "-o", out, "--faults", out], "a file of its own"),
        (["who-5", good, "-o", out, "--faults", good], "a file of its own"),
    ]
    for arguments, words in cases:
        assert_unusable(fathomline("score", *arguments), words, folder=folder)
    (folder / "as-folder.csv").mkdir()
    assert_unusable(fathomline("score", "who-5", folder / "as-folder.csv", "-o", out), "cannot be read")
    assert_unusable(fathomline("score", "who-5", good, "-o", folder / "as-folder.csv"), "cannot be written")
    assert fathomline("score", "who-5", good).status == 2


def test_a_failed_run_leaves_the_earlier_output_alone(fathomline: CommandLine, folder: Path) -> None:
    assert score_text(fathomline, folder, "1,2,3,4,5\n1,1,1,1,1\n").status == 0
    before = (folder / "out.csv").read_bytes()
    late = "1,2,3,4,5\n" + "1,1,1,1,1\n" * (ROWS + 5) + '1,1,1,1,"1\n'
    outcome = score_text(fathomline, folder, late)
    assert outcome.status == 2
    assert (folder / "out.csv").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["in.csv", "out.csv"]


def test_a_file_may_be_scored_onto_itself(fathomline: CommandLine, folder: Path) -> None:
    path = folder / "same.csv"
    path.write_text("id,1,2,3,4,5\nx,1,1,1,1,1\n")
    assert fathomline("score", "who-5", path, "-o", path).status == 0
    assert rows_of(path)[0]["raw"] == "5.0"


def test_columns_that_are_absent_are_said_once_and_quiet_says_nothing(fathomline: CommandLine, folder: Path) -> None:
    text = "1,2,3\n1,1,1\n"
    assert "no column for items 4, 5: they count as unanswered\n" in score_text(fathomline, folder, text).err
    assert "no column for item 5: it counts as unanswered\n" in score_text(fathomline, folder, "1,2,3,4\n1,1,1,1\n").err
    assert score_text(fathomline, folder, text, "--quiet").err == ""
    assert rows_of(folder / "out.csv")[0]["raw_status"] == "insufficient"


def test_variants_score_in_their_own_way(fathomline: CommandLine, folder: Path) -> None:
    text = ",".join(item.id for item in FSFI.items) + "\n," + ",".join("4" * 18) + "\n"
    assert score_text(fathomline, folder, text, code="fsfi").status == 0
    assert rows_of(folder / "out.csv")[0]["desire_status"] == "insufficient"
    assert score_text(fathomline, folder, text, "--variant", "prorated", "--version", "1", code="fsfi").status == 0
    assert rows_of(folder / "out.csv")[0]["desire"] == "4.8"


def test_caseness_and_flags_are_written(fathomline: CommandLine, folder: Path) -> None:
    items = [item.id for item in FSFI.items]
    zeros = ["1" if 0 not in item.options else "0" for item in FSFI.items]
    score_text(fathomline, folder, ",".join(items) + "\n" + ",".join(zeros) + "\n", code="fsfi")
    assert rows_of(folder / "out.csv")[0]["flags"] == "too-little-activity;no-penetration;zero-answers"
    pcl = [item.id for item in instruments.load("pcl-5").items]
    text = ",".join(pcl) + "\n" + ",".join("4" * 20) + "\n" + ",".join("0" * 20) + "\n" + "," * 19 + "\n"
    score_text(fathomline, folder, text, code="pcl-5")
    (rule, *_) = instruments.load("pcl-5").caseness
    assert [row[rule.id] for row in rows_of(folder / "out.csv")] == ["true", "false", ""]


# every format into every other ---------------------------------------------------------------------------------------

CELLS: list[dict[str, Any]] = [
    {"id": "007", "1": 1, "2": 1, "3": 1, "4": 1, "5": 1, "x": "a"},
    {"id": "008", "1": None, "2": 5, "3": 5, "4": 5, "5": 5, "x": "b"},
    {"id": "009", "1": 9, "2": 0, "3": 0, "4": 0, "5": 0, "x": "c"},
]


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"in.{suffix}"
    frame = pd.DataFrame(CELLS).astype(dict.fromkeys("12345", "Int64"))
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "parquet":
        frame.to_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in CELLS))
    return path


def read_back(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        return [{k: v or None for k, v in row.items()} for row in rows_of(path)]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("out", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("given", ["csv", "ndjson", "jsonl", "parquet"])
def test_every_format_into_every_other(fathomline: CommandLine, folder: Path, given: str, out: str) -> None:
    target = folder / f"out.{out}"
    outcome = fathomline("score", "who-5", written(folder, given), "-o", target)
    assert outcome.status == 1, outcome.err
    rows = read_back(target)
    number = str if out == "csv" else float
    assert [row["id"] for row in rows] == ["007", "008", "009"]
    assert [row["x"] for row in rows] == ["a", "b", "c"]
    assert [row["raw"] for row in rows] == [number(5.0), None, None]
    assert [row["total"] for row in rows] == [number(20.0), None, None]
    assert [row["raw_status"] for row in rows] == ["complete", "insufficient", "refused"]
    assert list(rows[0]) == ["id", "x", *ADDED, *(rule.id for rule in WHO5.caseness), "flags"]
    (fault,) = rows_of(folder / f"out.{out}.faults.csv")
    line = {"csv": "4", "parquet": ""}.get(given, "3")
    assert (fault["row"], fault["line"], fault["column"], fault["code"]) == ("3", line, "1", "not-an-option")


def test_typed_formats_refuse_what_is_no_number(fathomline: CommandLine, folder: Path) -> None:
    source = folder / "in.ndjson"
    rows: list[Any] = ["3", True, 3.5, [3], {"a": 3}, 2**70, 3, 3.0, None]
    source.write_text("".join(json.dumps({"1": value, "2": 1, "3": 1, "4": 1, "5": 1}) + "\n" for value in rows))
    assert fathomline("score", "who-5", source, "-o", folder / "out.ndjson").status == 1
    codes = {f["row"]: f["code"] for f in rows_of(folder / "out.ndjson.faults.csv")}
    no = "not-a-number"
    assert codes == {"1": no, "2": no, "3": "not-whole", "4": no, "5": no, "6": "not-an-option"}
    assert [row["raw"] for row in read_back(folder / "out.ndjson")] == [*[None] * 6, 7.0, 7.0, None]

    columns = {"1": ["3", None], "2": [True, True], "3": [1.5, 1.0], "4": [1, 1], "5": [1, 1]}
    pq.write_table(pa.table(columns), folder / "in.parquet")
    assert fathomline("score", "who-5", folder / "in.parquet", "-o", folder / "out.csv").status == 1
    faults = [(f["row"], f["column"], f["code"]) for f in rows_of(folder / "out.csv.faults.csv")]
    assert faults == [("1", "1", no), ("1", "2", no), ("1", "3", "not-whole"), ("2", "2", no)]


@pytest.mark.parametrize(
    "value", ["1.10", "1e5", "-0.0", "123456789012345678901234567890", '{"b": [1, 2.50], "a":1}', "[ ]", "null", "true"]
)
def test_json_values_that_pass_through_keep_their_text(fathomline: CommandLine, folder: Path, value: str) -> None:
    source = folder / "in.ndjson"
    source.write_text(f'{{ "x" : {value} , "1":1,"2":1,"3":1,"4":1,"5":1, "t": "a:\\"b\\"" }}\n{{"1":2,"id":7}}\n')
    assert fathomline("score", "who-5", source, "-o", folder / "out.ndjson").status == 0
    first, second = (folder / "out.ndjson").read_text().splitlines()
    assert first.startswith(f'{{"x":{value},"t":"a:\\"b\\"","raw":5.0,')
    assert second.startswith('{"id":7,"raw":null,')
    assert json.loads(first)["t"] == 'a:"b"'
    assert fathomline("score", "who-5", source, "-o", folder / "out.csv").status == 0
    assert rows_of(folder / "out.csv")[0]["x"] == ("" if value == "null" else value)


BAD_LINES = {
    "{": "line 2 is not JSON",
    "[1]": "line 2 is not a JSON object",
    "3": "line 2 is not a JSON object",
    '{"1":1,"1":2}': "line 2 has the member '1' twice",
    '{"x":1,"2":1,"x":1}': "line 2 has the member 'x' twice",
    '{"1":NaN}': "line 2 is not JSON",
    '{"1":1}{"1":1}': "line 2 is not JSON",
    '{"raw":1}': "the column 'raw'",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_lines_that_are_no_forms(fathomline: CommandLine, folder: Path, line: str) -> None:
    source = folder / "in.ndjson"
    source.write_text('{"1":1}\n' + line + "\n")
    assert_unusable(
        fathomline("score", "who-5", source, "-o", folder / "out.csv", "-q"), BAD_LINES[line], folder=folder
    )
    source.write_bytes(b'{"1":1}\n{"id":"\xe9"}\n')
    assert_unusable(fathomline("score", "who-5", source, "-o", folder / "out.csv", "-q"), "line 2 is not JSON in UTF-8")


def test_members_that_come_late(fathomline: CommandLine, folder: Path) -> None:
    """An item may first be answered late. A new other member needs a format in which each row has its own."""
    source = folder / "in.ndjson"
    early = '{"1":1,"2":1,"3":1,"4":1}\n' * ROWS
    source.write_text("\ufeff" + early + '{"1":1,"2":1,"3":1,"4":1,"5":1}\n\n')
    assert fathomline("score", "who-5", source, "-o", folder / "out.csv", "-q").status == 0
    assert rows_of(folder / "out.csv")[-1]["raw"] == "5.0"
    (folder / "out.csv").unlink()
    source.write_text(early + '{"1":1,"new":1}\n')
    outcome = fathomline("score", "who-5", source, "-o", folder / "out.csv", "-q")
    assert_unusable(outcome, f"line {ROWS + 1} brings a new member 'new'", folder=folder)
    assert fathomline("score", "who-5", source, "-o", folder / "out.ndjson", "-q").status == 0
    assert (folder / "out.ndjson").read_text().splitlines()[-1].startswith('{"new":1,"raw":null')


def test_parquet_columns_keep_their_types(fathomline: CommandLine, folder: Path) -> None:
    when = pa.array([1_600_000_000_000], pa.timestamp("ms"))
    others = {
        "id": pa.array([7], pa.int32()),
        "at": when,
        "money": pa.array([Decimal("1.10")]),
        "list": pa.array([[1]]),
    }
    answers = {name: pa.array([1.0], pa.float32()) for name in "12345"}
    pq.write_table(pa.table({**others, **answers}), folder / "in.parquet")
    assert fathomline("score", "who-5", folder / "in.parquet", "-o", folder / "out.parquet").status == 0
    table = pq.read_table(folder / "out.parquet")
    assert {name: table[name].combine_chunks() for name in others} == others
    assert table.schema.field("raw").type == pa.float64()
    assert fathomline("score", "who-5", folder / "in.parquet", "-o", folder / "out.csv").status == 0
    (row,) = rows_of(folder / "out.csv")
    assert (row["id"], row["at"], row["money"]) == ("7", "2020-09-13T12:26:40", "1.10")
    assert fathomline("score", "who-5", folder / "in.parquet", "-o", folder / "out.ndjson").status == 0


def test_a_damaged_parquet_file(fathomline: CommandLine, folder: Path) -> None:
    (folder / "in.parquet").write_bytes(b"PAR1 but no more")
    assert_unusable(fathomline("score", "who-5", folder / "in.parquet", "-o", folder / "out.csv"), "not a Parquet file")


def test_rows_and_lines_count_on_over_chunks(fathomline: CommandLine, folder: Path) -> None:
    n = 2 * ROWS + 3
    text = "1,2,3,4,5,id\n" + "".join(f"{9 if k in (ROWS + 1, n) else 1},1,1,1,1,{k}\n" for k in range(1, n + 1))
    assert score_text(fathomline, folder, text).status == 1
    assert [(f["row"], f["line"]) for f in rows_of(folder / "out.csv.faults.csv")] == [
        (str(ROWS + 1), str(ROWS + 2)),
        (str(n), str(n + 1)),
    ]
    rows = rows_of(folder / "out.csv")
    assert [row["id"] for row in rows] == [str(k) for k in range(1, n + 1)]
    frame = pd.read_csv(folder / "in.csv").drop(columns="id").add_prefix("")
    good = frame[frame["1"] != 9]
    expected = scoring.score_frame(WHO5, good)
    assert [float(row["total"]) for row in rows if row["total"]] == expected["total"].tolist()


# the script itself ----------------------------------------------------------------------------------------------------


def test_standard_input_and_output(folder: Path) -> None:
    text = b"id,1,2,3,4,5\n007,1,1,1,1,1\n"
    ran = subprocess.run(
        [SCRIPT, "score", "who-5", "-", "-o", "-"], input=text, capture_output=True, check=True, cwd=folder
    )
    assert ran.stdout.startswith(b"id,raw,total,")
    assert b"\n007,5.0,20.0," in ran.stdout
    assert ran.stderr == b"1 row of who-5@1 scored\n"
    assert list(folder.iterdir()) == []


def test_neither_the_web_nor_the_database_is_imported() -> None:
    program = (
        "import sys, api.cli\n"
        "sys.argv = ['fathomline', 'score', '--help']\n"
        "try: api.cli.main()\n"
        "except SystemExit: pass\n"
        "import api.cli.tabular, api.cli.jsonlines, api.cli.writing, scoring\n"
        "print([m for m in ('fastapi', 'sqlalchemy', 'sqlmodel', 'uvicorn', 'asyncpg', 'scipy') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


PEAK_OF = (
    "import resource, subprocess, sys\n"
    "subprocess.run(sys.argv[1:], check=True)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
"""Starts a command from a small process: a command's peak counts from what the one that started it took."""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is counted in other units elsewhere")
def test_memory_does_not_grow_with_the_file(folder: Path) -> None:
    """Ten times the rows, hardly more memory."""
    peaks = []
    for chunks in (2, 20):
        with (folder / "in.csv").open("w") as file:
            file.write(",".join(item.id for item in FSFI.items) + ",id\n")
            for start in range(0, chunks * ROWS, ROWS):
                file.write("".join(f"{'3,' * 19}{k}\n" for k in range(start, start + ROWS)))
        command = [str(SCRIPT), "score", "fsfi", str(folder / "in.csv"), "-o", str(folder / "out.csv"), "-q"]
        ran = subprocess.run([sys.executable, "-c", PEAK_OF, *command], capture_output=True, text=True, check=True)
        peaks.append(int(ran.stdout))
    assert peaks[1] < peaks[0] + 64 * 1024, f"{peaks} KiB"
    assert peaks[1] < 320 * 1024
