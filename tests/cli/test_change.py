"""`fathomline change`: the reference values through files, every format, every kind of unusable input."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.cli.tabular import ROWS
from scoring.change_methods import METHODS
from tests.cli.command import CommandLine, Outcome

GOLDEN = json.loads((Path(__file__).parents[1] / "golden_statistics" / "change.json").read_text())
WORDS = {"R": "recovered", "I": "improved", "U": "unchanged", "D": "deteriorated", "H": "harmed", "-": "unchanged"}
SCRIPT = Path(sys.executable).with_name("fathomline")
USUAL = ("--method", "jacobson-truax", "--reliability", "0.9", "--higher-is", "worse")
TABLE = 'id,pre,post,site\n007,20,8,A\n008,18.50,17.5,"B, x"\n009,25,,A\n010,12,20,C\n011,22,10,C\n012,,3,C\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def run(fathomline: CommandLine, folder: Path, text: str | bytes = TABLE, *options: str) -> Outcome:
    source = folder / "in.csv"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    return fathomline("change", source, *USUAL, "-o", folder / "out.csv", *options)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_unusable(outcome: Outcome, *words: str, folder: Path) -> None:
    """One line, no traceback, exit status 2, and no file left."""
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err
    assert [path.name for path in folder.iterdir() if path.name.startswith(("out", "."))] == []


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=c["id"]) for c in GOLDEN["cases"] if c["part"] == "distribution" or
     (c["part"] in ("combined", "combined-error-free") and c["set"] != "edge")],
)  # fmt: skip
def test_a_file_equals_the_reference(fathomline: CommandLine, folder: Path, case: dict[str, Any]) -> None:
    data = GOLDEN["sets"][case["set"]]
    cells = [["" if cell is None else repr(cell) for cell in data[name]] for name in ("id", "pre", "post")]
    lines = "".join(f"{','.join(row)}\n" for row in zip(*cells, strict=True))
    (folder / "in.csv").write_text(f"id,pre,post\n{lines}")
    options = ["--method", case["method"], "--reliability", case["reliability"], "--higher-is", case["higher_is"]]
    options += ["--reliability-post", case["reliability_post"], "--significance", case["significance"], "--json"]
    if "cutoff_kind" in case:
        kind = "b-clinical-sd" if case["cutoff_kind"] == "b" else case["cutoff_kind"]
        options += ["--cutoff", kind, "--functional-mean", case["m_functional"]]
        options += ["--functional-sd", case["sd_functional"]]
    outcome = fathomline("change", folder / "in.csv", *options, "-o", folder / "out.csv")
    assert (outcome.status, outcome.err) == (0, "")
    said = json.loads(outcome.out)
    rows = {int(row["id"]): row for row in rows_of(folder / "out.csv")}
    assert list(rows) == data["id"]
    assert [rows[person]["category"] for person in case["ids"]] == [WORDS[letter] for letter in case["categories"]]
    assert said["pairs"]["excluded"] == len(rows) - len(case["ids"])
    assert all(rows[person]["rci"] == rows[person]["category"] == "" for person in set(rows) - set(case["ids"]))
    for person, index in zip(case["ids"], case.get("rci", ()), strict=False):
        assert rows[person]["rci"] in ("inf", "-inf", "0.0") or index is not None
        if index is not None:
            assert float(rows[person]["rci"]) == pytest.approx(index, abs=1e-9, rel=1e-9)
    if "critical" in case:
        assert said["parameters"]["critical"] == pytest.approx(case["critical"], abs=1e-9)
        assert said["moments"]["mean_pre"] == pytest.approx(case["moments"]["m_pre"], abs=1e-9)
    if "cutoff" in case:
        assert said["cutoff"]["value"] == pytest.approx(case["cutoff"], abs=1e-9)


def test_every_column_stands_as_it_was_beside_the_new_ones(fathomline: CommandLine, folder: Path) -> None:
    outcome = run(fathomline, folder, TABLE, "--sd", "7.5")
    assert outcome.status == 0
    lines = (folder / "out.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id,pre,post,site,change,rci,category"
    assert lines[2].startswith('008,18.50,17.5,"B, x",-1.0,-0.298')
    assert lines[3] == "009,25,,A,,,"
    assert lines[6] == "012,,3,C,,,"
    expected = -12 / (7.5 * math.sqrt(2 * (1 - 0.9)))
    assert float(rows_of(folder / "out.csv")[0]["rci"]) == pytest.approx(expected, rel=1e-12)


def test_the_terminal_shows_what_was_used_and_both_denominators(fathomline: CommandLine, folder: Path) -> None:
    norms = ("--cutoff", "c", "--functional-mean", "8", "--functional-sd", "5", "--clinical-mean", "20", "--sd", "7.5")
    said = run(fathomline, folder, TABLE, *norms, "--clinical-sd", "5")
    assert said.err == ""
    assert "jacobson-truax, reliability 0.9, SD 7.5, higher is worse" in said.out
    assert "|rci| = 1.959964 (two-sided, 0.05), that is 6.57392 points" in said.out
    assert "cutoff c = 14 (mean clinical 20, sd clinical 5, mean functional 8, sd functional 5)" in said.out
    assert "6 rows, 4 complete pairs; 1 without pre, 1 without post" in said.out
    table = {line.split()[0]: line.split() for line in said.out.splitlines() if "│" in line}
    assert [cell for cell in table["recovered"] if cell != "│"] == ["recovered", "2", "50.0", "33.3"]
    assert [cell for cell in table["excluded"] if cell != "│"] == ["excluded", "2", "33.3"]


def test_without_a_cutoff_it_says_so(fathomline: CommandLine, folder: Path) -> None:
    said = run(fathomline, folder)
    assert "no cutoff: by reliable change alone" in said.out
    assert {row["category"] for row in rows_of(folder / "out.csv")} == {"improved", "unchanged", "deteriorated", ""}


def test_other_methods_show_no_threshold_and_both_reliabilities(fathomline: CommandLine, folder: Path) -> None:
    said = run(fathomline, folder, TABLE, "--method", "nunnally-kotsch", "--reliability-post", "0.8")
    assert "nunnally-kotsch, reliability 0.9 and 0.8, SD" in said.out
    assert "points" not in said.out
    one_sided = run(fathomline, folder, TABLE, "--method", "hageman-arrindell", "--cutoff", "a")
    assert "one-sided" in one_sided.out
    assert "cutoff a = " in one_sided.out
    assert "(error-free, mean clinical" in one_sided.out


def test_quiet_says_nothing(fathomline: CommandLine, folder: Path) -> None:
    outcome = run(fathomline, folder, TABLE, "-q", "--functional-mean", "8")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")


def test_the_document_says_all_that_was_used(fathomline: CommandLine, folder: Path) -> None:
    said = json.loads(run(fathomline, folder, TABLE, "--json", "--cutoff", "a").out)
    assert list(said) == ["method", "formula", "higher_is", "parameters", "moments", "cutoff", "pairs", "categories",
                          "warnings"]  # fmt: skip
    assert said["moments"]["n"] == said["pairs"]["used"] == sum(said["categories"].values()) == 4
    assert said["cutoff"]["value"] == said["moments"]["mean_pre"] - 2 * said["moments"]["sd_pre"]
    assert said["warnings"] == []


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs(fathomline: CommandLine, folder: Path, method: str) -> None:
    said = json.loads(run(fathomline, folder, TABLE, "--method", method, "--json").out)
    assert said["method"] == method
    assert all(row["rci"] not in ("nan", "") for row in rows_of(folder / "out.csv") if row["pre"] and row["post"])


def test_perfect_reliability_gives_infinite_indices_and_no_nan(fathomline: CommandLine, folder: Path) -> None:
    run(fathomline, folder, "id,pre,post\n1,5,3\n2,4,4\n3,1,2\n4,1,\n", "--reliability", "1")
    assert [row["rci"] for row in rows_of(folder / "out.csv")] == ["-inf", "0.0", "inf", ""]
    assert [row["category"] for row in rows_of(folder / "out.csv")] == ["improved", "unchanged", "deteriorated", ""]


def test_one_pair_is_enough_where_the_standard_deviation_is_given(fathomline: CommandLine, folder: Path) -> None:
    said = json.loads(run(fathomline, folder, "id,pre,post\n1,20,5\n", "--sd", "5", "--json").out)
    assert (said["moments"], said["categories"]["improved"]) == (None, 1)
    assert_unusable(run(fathomline, empty(folder), "id,pre,post\n1,20,5\n"), "too-few-pairs", folder=folder)


def empty(folder: Path) -> Path:
    for path in folder.iterdir():
        path.unlink()
    return folder


# Formats


def test_ndjson_and_parquet_give_the_same(fathomline: CommandLine, folder: Path) -> None:
    run(fathomline, folder)
    expected = [(row["rci"], row["category"]) for row in rows_of(folder / "out.csv")]
    frame = pd.read_csv(folder / "in.csv", dtype={"id": str})
    frame.to_parquet(folder / "in.parquet")
    lines = [json.dumps({k: None if v != v else v for k, v in row.items()}) for row in frame.to_dict("records")]
    (folder / "in.ndjson").write_text("\n".join(lines))
    for source in ("in.csv", "in.ndjson", "in.parquet"):
        for target in ("out.ndjson", "out.parquet", "out.csv"):
            assert fathomline("change", folder / source, *USUAL, "-o", folder / target).status == 0
        table = pq.read_table(folder / "out.parquet")
        assert [str(table.schema.field(n).type) for n in ("pre", "change", "rci", "category")] == [
            *["double"] * 3, str(table.schema.field("category").type),
        ]  # fmt: skip
        found = table.to_pylist()
        assert [("" if r["rci"] is None else repr(r["rci"]), r["category"] or "") for r in found] == expected
        assert [row["id"] for row in found] == ["007", "008", "009", "010", "011", "012"]
        objects = [json.loads(line) for line in (folder / "out.ndjson").read_text().splitlines()]
        assert [(o["pre"], o["post"]) for o in objects][:3] == [(20, 8), (18.5, 17.5), (25, None)]
        assert [(o["rci"], o["category"]) for o in objects] == [(r["rci"], r["category"]) for r in found]
        assert [(row["rci"], row["category"]) for row in rows_of(folder / "out.csv")] == expected


def test_members_of_ndjson_that_are_absent_stay_absent_and_null_stays_null(
    fathomline: CommandLine, folder: Path
) -> None:
    (folder / "in.ndjson").write_text('{"id":1,"pre":2,"post":5}\n{"id":2,"pre":3}\n{"id":3,"post":null,"pre":7.10}\n')
    assert fathomline("change", folder / "in.ndjson", *USUAL, "--sd", "2", "-o", folder / "out.ndjson").status == 0
    _, absent, null = (json.loads(line) for line in (folder / "out.ndjson").read_text().splitlines())
    assert absent == {"id": 2, "pre": 3, "change": None, "rci": None, "category": None}
    assert null == {"id": 3, "pre": 7.1, "post": None, "change": None, "rci": None, "category": None}


def test_standard_input_and_output(folder: Path) -> None:
    ran = subprocess.run(
        [SCRIPT, "change", "-", *USUAL, "-o", "-"], input=TABLE, capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("id,pre,post,site,change,rci,category\n007,20,8,A,")
    assert "4 complete pairs" in ran.stderr


def test_more_rows_than_a_chunk_keep_their_order(fathomline: CommandLine, folder: Path) -> None:
    count = 2 * ROWS + 7
    lines = "".join(f"{n},{n % 41},{(n * 7) % 43}\n" for n in range(count))
    run(fathomline, folder, f"id,pre,post\n{lines}", "--sd", "9")
    rows = rows_of(folder / "out.csv")
    assert [int(row["id"]) for row in rows] == list(range(count))
    assert all(float(row["change"]) == float(row["post"]) - float(row["pre"]) for row in rows)


@pytest.mark.parametrize("cell", ["3", "3.0", "+3", " 3 ", "3.", "3e0", "30E-1", ".3e1"])
def test_a_number_may_be_written_in_several_ways(fathomline: CommandLine, folder: Path, cell: str) -> None:
    assert run(fathomline, folder, f"pre,post\n{cell},5\n1,2\n").status == 0
    assert rows_of(folder / "out.csv")[0]["change"] == "2.0"


@pytest.mark.parametrize("cell", ["", " ", "NA"])
def test_a_missing_score_is_an_empty_cell_or_what_r_writes(fathomline: CommandLine, folder: Path, cell: str) -> None:
    said = json.loads(run(fathomline, folder, f"pre,post\n1,5\n1,{cell}\n2,3\n", "--json").out)
    assert said["pairs"] == {"rows": 3, "used": 2, "excluded": 1, "without_pre": 0, "without_post": 1,
                             "without_both": 0}  # fmt: skip


# Unusable input


@pytest.mark.parametrize(
    "cell", ["abc", "nan", "NaN", "inf", "-Infinity", "1_0", "0x3", "3 4", "=3", "٣", "-", ".", "e5", "na", "1,"]
)
def test_a_cell_that_is_no_number_is_named_and_not_repeated(fathomline: CommandLine, folder: Path, cell: str) -> None:
    outcome = run(fathomline, folder, f'id,pre,post\n1,2,3\n\n2,4,"{cell}"\n3,4,5\n')
    assert_unusable(outcome, "in.csv: row 2 (line 4), column post: not a number", folder=folder)
    assert f"{cell};" not in outcome.err


@pytest.mark.parametrize("cell", ["1e999", "9" * 400, "-2e100"])
def test_a_number_too_large_is_refused(fathomline: CommandLine, folder: Path, cell: str) -> None:
    outcome = run(fathomline, folder, f"id,pre,post\n1,{cell},3\n2,4,5\n")
    assert_unusable(outcome, "row 1 (line 2), column pre: not a finite score", folder=folder)


def test_many_faults_are_counted_and_the_first_named(fathomline: CommandLine, folder: Path) -> None:
    outcome = run(fathomline, folder, "id,pre,post\n" + "1,x,2\n" * 7 + "1,2\n")
    assert_unusable(outcome, "row 5 (line 6), column pre", ". And 3 more", folder=folder)
    assert "row 6" not in outcome.err


def test_a_row_of_another_length_is_refused(fathomline: CommandLine, folder: Path) -> None:
    outcome = run(fathomline, folder, "id,pre,post\n1,2,3\n2,4\n")
    assert_unusable(outcome, "row 2 (line 3): the row has 2 cells, the header 3", folder=folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,pre\n1,2\n", "no column named post"),
        ("id,before,after\n1,2,3\n", "no column named pre and none named post"),
        ("id;pre;post\n1;2;3\n", "is the separator a comma?"),
        ("id,pre,post,pre\n1,2,3,4\n", "two columns are named 'pre'"),
        ("id,pre,post,rci\n1,2,3,4\n", "the column 'rci' has the name of one that is added"),
        ("id,pre,post,category\n1,2,3,4\n", "the column 'category'"),
        ("", "the file is empty"),
        ("id,pre,post\n", "no-pairs"),
        ("id,pre,post\n1,2,\n2,,3\n", "nobody has both scores"),
        ("id,pre,post\n1,4,2\n2,4,3\n", "no-spread"),
        ("id,pre,post\n1,2,3\n", "too-few-pairs"),
        ('id,pre,post\n1,"2,3\n', "not CSV"),
        (b"id,pre,post\n\xff,2,3\n", "not UTF-8"),
    ],
)
def test_an_unusable_file_says_why(fathomline: CommandLine, folder: Path, text: str | bytes, words: str) -> None:
    assert_unusable(run(fathomline, folder, text), words, folder=folder)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "truax"], "--method must be one of jacobson-truax, gulliksen-lord-novick"),
        (["--method", "hierarchical-linear-model"], "cannot be had from pairs: two scores of a person do not tell"),
        (["--method", "hierarchical-linear-model"], "scoring.growth.slopes.slope_change"),
        (["--higher-is", "up"], "--higher-is must be one of better, worse"),
        (["--cutoff", "d"], "--cutoff must be one of a, b, c"),
        (["--reliability", "1.2"], "--reliability must be in [0, 1], got 1.2"),
        (["--reliability", "-0.1"], "--reliability must be"),
        (["--reliability", "nan"], "--reliability must be"),
        (["--method", "nunnally-kotsch", "--reliability-post", "2"], "--reliability-post must be"),
        (["--significance", "0"], "--significance must be between 0 and 1"),
        (["--significance", "1"], "--significance must be"),
        (["--sd", "-1"], "--sd must be >= 0"),
        (["--sd", "inf"], "--sd must be"),
        (["--sd", "0"], "no-spread"),
        (["--cutoff", "c"], "not computable (norm-missing): cutoff c needs --functional-mean"),
        (["--cutoff", "b", "--functional-mean", "4"], "cutoff b needs --functional-sd"),
        (["--cutoff", "b", "--functional-mean", "4", "--functional-sd", "-1"], "--functional-sd must be >= 0"),
        (["--cutoff", "a", "--clinical-mean", "nan"], "--clinical-mean must be a finite number"),
        (["--json", "-o", "-"], "both write to standard output"),
        (["-o", "out.xls"], "the name must end in"),
        (["-o", "no/such/folder/out.csv"], "cannot be written"),
    ],
)
def test_an_unusable_option_says_why(fathomline: CommandLine, folder: Path, options: list[str], words: str) -> None:
    assert_unusable(run(fathomline, folder, TABLE, *options), words, folder=folder)


def test_a_difference_that_is_all_error_is_not_computable(fathomline: CommandLine, folder: Path) -> None:
    text = "id,pre,post\n1,1,1.1\n2,2,2\n3,3,3.2\n"
    outcome = run(fathomline, folder, text, "--method", "hageman-arrindell", "--reliability", "0.5")
    assert_unusable(outcome, "not computable (difference-unreliable)", folder=folder)


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ('{"id":1,"pre":"2","post":3}', "row 1 (line 1), column pre: not a number"),
        ('{"id":1,"pre":true,"post":3}', "column pre: not a number"),
        ('{"id":1,"pre":[2],"post":3}', "column pre: not a number"),
        ('{"id":1,"pre":2,"post":1e200}', "column post: not a finite score"),
        (f'{{"id":1,"pre":2,"post":1{"0" * 400}}}', "line 1 is not JSON"),
        (f'{{"id":1,"pre":2,"post":1{"0" * 120}}}', "column post: not a finite score"),
        ('{"id":1,"pre":2,"pre":3,"post":1}', "'pre' twice"),
        ("[1,2]", "line 1 is not a JSON object"),
    ],
)
def test_ndjson_needs_numbers(fathomline: CommandLine, folder: Path, line: str, detail: str) -> None:
    (folder / "in.ndjson").write_text(f'{line}\n{{"id":2,"pre":2,"post":3}}\n')
    outcome = fathomline("change", folder / "in.ndjson", *USUAL, "-o", folder / "out.csv")
    assert_unusable(outcome, detail, folder=folder)


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        (pa.array(["1", "2"]), "row 1, column post: not a number"),
        (pa.array([True, False]), "row 1, column post: not a number"),
        (pa.array([1.0, math.inf]), "row 2, column post: not a finite score"),
    ],
)
def test_parquet_needs_numbers(fathomline: CommandLine, folder: Path, values: Any, detail: str) -> None:
    pq.write_table(pa.table({"id": [1, 2], "pre": [1.0, 2.0], "post": values}), folder / "in.parquet")
    outcome = fathomline("change", folder / "in.parquet", *USUAL, "-o", folder / "out.csv")
    assert_unusable(outcome, detail, folder=folder)


@pytest.mark.parametrize("values", [pa.array([4, None, 9]), pa.array([4.0, math.nan, 9.0]),
                                    pa.array([4, None, 9], pa.decimal128(5, 1))])  # fmt: skip
def test_parquet_may_hold_numbers_of_any_type(fathomline: CommandLine, folder: Path, values: Any) -> None:
    pq.write_table(pa.table({"id": [1, 2, 3], "pre": [1.0, 2.0, 3.0], "post": values}), folder / "in.parquet")
    assert fathomline("change", folder / "in.parquet", *USUAL, "-o", folder / "out.csv").status == 0
    assert [row["change"] for row in rows_of(folder / "out.csv")] == ["3.0", "", "6.0"]


# What was given and not used


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--functional-mean", "8"], "norms-not-used", "--functional-mean: not used, as there is no --cutoff"),
        (
            ["--cutoff", "a", "--functional-sd", "8"],
            "norms-not-used",
            "--functional-sd: not used, as cutoff a does not",
        ),
        (["--reliability-post", "0.8"], "reliability-post-not-used", "--reliability-post: not used, as jacobson-truax"),
        (["--cutoff", "c", "--functional-mean", "60", "--functional-sd", "5"], "populations-reversed", "--higher-is"),
    ],
)
def test_what_is_odd_is_told(fathomline: CommandLine, folder: Path, options: list[str], code: str, words: str) -> None:
    assert words in run(fathomline, folder, TABLE, *options).err
    (warning,) = json.loads(run(fathomline, folder, TABLE, *options, "--json").out)["warnings"]
    assert warning["code"] == code
    assert words in warning["detail"]


def test_an_id_that_occurs_twice_is_told_by_its_rows(fathomline: CommandLine, folder: Path) -> None:
    outcome = run(fathomline, folder, "id,pre,post\na,1,2\nb,2,5\n,3,3\n,4,4\nb,5,1\na,1,1\n")
    assert outcome.status == 0
    assert "rows 2 and 5 have the same id" in outcome.err
    pq.write_table(
        pa.table({"id": [7, None, None, 7], "pre": [1, 2, 3, 4], "post": [4, 4, 2, 9]}), folder / "i.parquet"
    )
    assert "rows 1 and 4" in fathomline("change", folder / "i.parquet", *USUAL, "-o", folder / "out.csv").err
