"""Frames: every type of column, every shape, and every cell that is no answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import instruments
import scoring
from scoring.frame import BLOCK
from scoring.result import STATUSES
from tests.scoring.laws import costly
from tests.scoring.strategies import CATALOGUE, WRONG, any_instrument, forms
from tests.scoring.worlds import instrument, item, scale, sourced

FSFI = instruments.load("fsfi")
TWO = instrument(
    items=[item("1"), item("2")],
    scales=[scale("a", items=["1", "2"], min=0, max=4)],
    caseness=[{"id": "case", "meaning": "m", "when": {"item": "1", "at_least": 2}} | sourced()],
    validity=[{"id": "odd", "meaning": "m", "when": {"item": "2", "at_most": 0}, "scales": ["a"]} | sourced()],
)

GOOD = {
    "int8": [1, 0],
    "int64": [1, 0],
    "uint64": [1, 0],
    "float16": [1, np.nan],
    "float32": [1, np.nan],
    "float64": [1, np.nan],
    "longdouble": [1, np.nan],
    "object": [1, None],
    "Int8": [1, None],
    "Int64": [1, None],
    "Float64": [1, None],
    "category": [1, None],
    "Sparse[float]": [1, np.nan],
    "Sparse[int]": [1, 0],
    "int64[pyarrow]": [1, None],
    "double[pyarrow]": [1, None],
}
NOT_NUMBERS: dict[Any, list[Any]] = {
    "bool": [True, False],
    "boolean": [True, None],
    "bool[pyarrow]": [True, None],
    "str": ["1", None],
    "string": ["1", None],
    "string[pyarrow]": ["1", None],
    "object": ["1", None],
    "category": ["1", None],
    "complex": [1j, 1],
    "datetime64[ns]": [pd.Timestamp(1), None],
    "timedelta64[ns]": [pd.Timedelta(1), None],
    pd.ArrowDtype(pa.decimal128(3)): [1, None],
}


def frame(column: Any, dtype: Any) -> pd.DataFrame:
    return pd.DataFrame({"1": pd.Series(column, dtype=dtype), "2": [1] * len(column)})


@pytest.mark.parametrize("dtype", GOOD)
def test_numbers_of_every_type_are_answers(dtype: str) -> None:
    cells = GOOD[dtype]
    expected = [2.0, 1.0 if cells[1] == 0 else math.nan]
    assert scoring.score_frame(TWO, frame(cells, dtype))["a"].tolist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("dtype", [pd.ArrowDtype(pa.null()), "float64", "object", "Int64", "string", "boolean"])
def test_columns_of_nothing_are_unanswered(dtype: Any) -> None:
    scored = scoring.score_frame(TWO, frame([None, None], dtype))
    assert scored["a"].isna().all()
    assert scored["a_status"].tolist() == ["insufficient"] * 2


@pytest.mark.parametrize("dtype", NOT_NUMBERS, ids=str)
def test_other_types_are_refused_cell_by_cell(dtype: Any) -> None:
    cells = NOT_NUMBERS[dtype]
    result = scoring.evaluate_frame(TWO, frame(cells, dtype))
    full = [row for row, cell in enumerate(cells) if cell is not None]
    assert [(f.row, f.column, f.code) for f in result.faults] == [(row, "1", "not-a-number") for row in full]


@pytest.mark.parametrize(("cell", "code"), WRONG, ids=[f"{type(c).__name__}-{str(c)[:22]}" for c, _ in WRONG])
def test_a_wrong_cell_has_the_fault_of_a_wrong_answer(cell: Any, code: str) -> None:
    column = pd.Series([1, None, None], dtype=object)
    column.iloc[1] = cell
    result = scoring.evaluate_frame(TWO, pd.DataFrame({"1": column, "2": [1, 1, 1]}))
    (fault,) = result.faults
    assert (fault.row, fault.column, fault.code) == (1, "1", code)
    with pytest.raises(scoring.InvalidAnswers) as error:
        scoring.score(TWO, {"1": cell, "2": 1})
    (alone,) = error.value.faults
    assert (alone.pointer, alone.code, alone.detail) == ("/answers/1", code, fault.detail)
    assert str(cell)[:8] not in fault.detail or fault.detail == "item '1' takes one of [0, 1, 2]"
    # the refused row has no scores, status, findings or flags; its neighbours are not touched
    refused = result.scores.iloc[1]
    assert refused[["a", "a_status", "case"]].isna().all()
    assert refused["flags"] == ""
    assert result.scores["a_status"].astype(object).iloc[[0, 2]].tolist() == ["complete", "insufficient"]


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "longdouble", "Float64", "double[pyarrow]", "object"]
)
@pytest.mark.parametrize(("cell", "code"), [(0.5, "not-whole"), (math.inf, "not-finite"), (60_000.0, "not-an-option")])
def test_wrong_floats_of_every_precision(dtype: str, cell: float, code: str) -> None:
    result = scoring.evaluate_frame(TWO, frame([1.0, cell], dtype))
    assert [(f.row, f.code) for f in result.faults] == [(1, code)]


def test_a_frame_with_a_fault_has_no_scores() -> None:
    with pytest.raises(scoring.InvalidFrame) as refused:
        scoring.score_frame(TWO, pd.DataFrame({"1": [1, 7], "2": [0, 0]}))
    assert [(fault.row, fault.code) for fault in refused.value.faults] == [(1, "not-an-option")]


def test_a_count_is_made_in_a_frame_as_alone() -> None:
    world = instrument(
        items=[item("1"), item("2"), item("3")],
        scales=[scale("n", method="count", items=["1", "2", "3"], counts={"at_least": 1}, min=0, max=3)],
    )
    forms_ = [{"1": 0, "2": 0, "3": 0}, {"1": 2, "2": 0, "3": 1}, {"1": 1, "2": 1, "3": 2}]
    found = scoring.score_frame(world, pd.DataFrame(forms_))["n"].tolist()
    assert found == [0, 2, 3] == [scoring.score(world, each).scores["n"].value for each in forms_]


@costly(12)
@given(st.data())
def test_faults_of_a_frame_are_those_of_each_form(data: st.DataObject) -> None:
    """Same cells, same codes, same words, by row and then by column; rows without a fault are scored as ever."""
    world = data.draw(any_instrument())
    rows: list[dict[str, Any]] = []
    for _ in range(data.draw(st.integers(1, 4))):
        row: dict[str, Any] = dict(data.draw(forms(world)))
        for name in data.draw(st.lists(st.sampled_from(world.answer_names), max_size=2)):
            row[name] = data.draw(st.sampled_from(WRONG))[0]
        rows.append(row)
    cells = {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in world.answer_names}
    result = scoring.evaluate_frame(world, pd.DataFrame(cells))
    expected: list[tuple[int, str, str, str]] = []
    for number, row in enumerate(rows):
        in_order = {name: row.get(name) for name in world.answer_names}
        try:
            alone = scoring.score(world, in_order)
        except scoring.InvalidAnswers as error:
            expected += [(number, f.pointer.removeprefix("/answers/"), f.code, f.detail) for f in error.faults]
            assert result.scores.iloc[number][[s.id for s in world.scales]].isna().all()
        else:
            got = [None if pd.isna(value := result.scores.iloc[number][s.id]) else value for s in world.scales]
            assert got == [score.value for score in alone.scores.values()]
    assert [(f.row, f.column, f.code, f.detail) for f in result.faults] == expected
    if expected:
        with pytest.raises(scoring.InvalidFrame) as refused:
            scoring.score_frame(world, pd.DataFrame(cells))
        assert refused.value.faults == result.faults


def test_many_faults_are_all_reported_and_few_are_shown() -> None:
    result = scoring.evaluate_frame(TWO, frame([9.0] * (BLOCK + 3), "float64"))
    assert [fault.row for fault in result.faults] == list(range(BLOCK + 3))
    message = str(scoring.InvalidFrame(result.faults))
    assert message.count("row ") == 5
    assert message.endswith(f"; and {BLOCK - 2} more")


@pytest.mark.parametrize(
    ("world", "size"),
    [(FSFI, BLOCK), *((world, 96) for world in CATALOGUE)],
    ids=lambda value: value if isinstance(value, int) else value.code,
)
def test_several_blocks_are_scored_as_one(
    world: instruments.Instrument, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The middle blocks are complete, have gaps, or have options that do not apply: each takes its own way."""
    monkeypatch.setattr("scoring.frame.BLOCK", size)
    rng = np.random.default_rng(5)
    n = 3 * size + 17
    columns: dict[str, Any] = {}
    for question in world.items:
        column = rng.choice(np.array(question.options, float), n)
        column[:size] = rng.choice(np.array(question.substantive, float), size)
        gaps = rng.random(n) < 0.05
        gaps[: 2 * size] = False
        column[gaps] = np.nan
        columns[question.id] = column
    whole = scoring.score_frame(world, pd.DataFrame(columns))
    sample = [
        0,
        1,
        size - 1,
        size,
        2 * size - 1,
        2 * size,
        3 * size - 1,
        3 * size,
        n - 1,
        *range(5, n, max(n // 50, 11)),
    ]
    for row in sample:
        answers = {name: None if math.isnan(column[row]) else int(column[row]) for name, column in columns.items()}
        alone = scoring.score(world, answers)
        for name, score in alone.scores.items():
            value = whole[name].iloc[row]
            assert (None if pd.isna(value) else value) == score.value
            assert whole[f"{name}_status"].iloc[row] == score.status
        for name, met in alone.caseness.items():
            assert (None if pd.isna(whole[name].iloc[row]) else whole[name].iloc[row]) == met
        assert whole["flags"].iloc[row] == ";".join(flag.id for flag in alone.flags)


def test_faults_in_a_later_block_point_at_their_row() -> None:
    column = np.ones(2 * BLOCK + 2)
    column[[BLOCK + 5, 2 * BLOCK + 1]] = 7
    result = scoring.evaluate_frame(TWO, pd.DataFrame({"1": column, "2": 1.0}))
    assert [fault.row for fault in result.faults] == [BLOCK + 5, 2 * BLOCK + 1]
    assert result.scores["a"].isna().sum() == 2


@pytest.mark.parametrize("world", CATALOGUE, ids=lambda world: world.code)
def test_an_empty_frame_has_the_columns_and_no_rows(world: instruments.Instrument) -> None:
    full = scoring.score_frame(world, pd.DataFrame({i.id: [i.options[0]] for i in world.items}))
    for empty in (pd.DataFrame(), pd.DataFrame({i.id: [] for i in world.items})):
        scored = scoring.score_frame(world, empty)
        assert len(scored) == 0
        assert list(scored) == list(full)
        assert scored.dtypes.drop("flags").equals(full.dtypes.drop("flags"))


def test_the_columns_and_their_types() -> None:
    scored = scoring.score_frame(TWO, frame([2, 0], "int64"))
    assert list(scored) == ["a", "a_status", "case", "flags"]
    assert scored["a"].dtype == np.float64
    assert list(scored["a_status"].cat.categories) == list(STATUSES)
    assert scored["case"].dtype == "boolean"
    assert scored["case"].tolist() == [True, False]


@pytest.mark.parametrize("index", [[7, 7], ["b", "a"], pd.MultiIndex.from_tuples([(1, "x"), (0, "y")]), [None, 3.5]])
def test_the_index_of_the_frame_is_kept_and_faults_count_positions(index: Any) -> None:
    given = frame([1, 9], "float64").set_axis(index)
    result = scoring.evaluate_frame(TWO, given)
    assert result.scores.index.equals(given.index)
    assert [fault.row for fault in result.faults] == [1]
    assert result.scores["a"].iloc[0] == 2


def test_the_frame_given_is_not_changed() -> None:
    given = frame([1.0, np.nan], "float64")
    before = given.copy(deep=True)
    scoring.score_frame(TWO, given)
    pd.testing.assert_frame_equal(given, before)


def test_a_slice_and_a_frame_of_another_layout_give_the_same() -> None:
    rows = np.array([[1, 2, 0], [2, 0, 9], [0, 1, 1], [2, 2, 5]])
    by_rows = pd.DataFrame(rows, columns=["1", "2", "other"])
    expected = [3.0, 2.0, 1.0, 4.0]
    assert scoring.score_frame(TWO, by_rows)["a"].tolist() == expected
    assert (
        scoring.score_frame(TWO, pd.DataFrame(np.asfortranarray(rows), columns=by_rows.columns))["a"].tolist()
        == expected
    )
    assert scoring.score_frame(TWO, by_rows.iloc[::-2])["a"].tolist() == expected[::-2]
    assert scoring.score_frame(TWO, by_rows.astype("float64").iloc[::2])["a"].tolist() == expected[::2]


def test_an_absent_column_is_unanswered_and_others_are_ignored() -> None:
    scored = scoring.score_frame(TWO, pd.DataFrame({"1": [1], "id": ["x"], "3": [99]}))
    assert scored["a_status"].tolist() == ["insufficient"]


def test_an_item_column_given_twice_is_refused_and_another_is_not() -> None:
    with pytest.raises(ValueError, match="two columns are named '1'"):
        scoring.score_frame(TWO, pd.DataFrame([[1, 2, 0]], columns=["1", "1", "2"]))
    doubled = pd.DataFrame([[1, 2, 0, 0]], columns=["1", "2", "note", "note"])
    assert scoring.score_frame(TWO, doubled)["a"].tolist() == [3]


@pytest.mark.parametrize("columns", [[1, 2], ["1", 2], ["1", "2", 1], [1.0, "1"]])
def test_a_column_named_by_a_number_is_refused_where_an_item_may_be_meant(columns: list[Any]) -> None:
    given = pd.DataFrame([[1] * len(columns)], columns=pd.Index(columns, dtype=object))
    if columns == [1.0, "1"]:  # 1.0 is no item id however it is written
        assert scoring.score_frame(TWO, given)["a_status"].tolist() == ["insufficient"]
        return
    with pytest.raises(ValueError, match=r"is named by a number; item ids are text: '[12]'"):
        scoring.score_frame(TWO, given)


def test_nan_is_missing_in_a_frame_and_refused_in_a_mapping() -> None:
    assert scoring.score_frame(TWO, frame([np.nan], "float64"))["a_status"].tolist() == ["insufficient"]
    assert scoring.score_frame(TWO, frame([math.nan], "object"))["a_status"].tolist() == ["insufficient"]
    with pytest.raises(scoring.InvalidAnswers) as error:
        scoring.score(TWO, {"1": math.nan})
    assert error.value.faults[0].code == "not-finite"


def test_fsfi_of_all_fives_is_36_however_it_is_given() -> None:
    answers = {i.id: 5 for i in FSFI.items}
    assert scoring.score(FSFI, answers).scores["total"].value == 36.0
    assert scoring.score_frame(FSFI, pd.DataFrame([answers]))["total"].tolist() == [36.0]


def test_rules_that_count_the_same_items_for_other_answers_do_not_share_a_count() -> None:
    when = {"zeros": [0], "twos": [2], "any-zero": [0]}
    rules = [
        {"id": name, "meaning": "m", "scales": ["a"], "when": {"count": ["1", "2"], "one_of": values, "needed": needed}}
        | sourced()
        for (name, values), needed in zip(when.items(), (2, 2, 1), strict=True)
    ]
    world = instrument(
        items=[item("1"), item("2")], scales=[scale("a", items=["1", "2"], min=0, max=4)], validity=rules
    )
    frame = pd.DataFrame({"1": [0, 2, 0, 1], "2": [0, 2, 1, 1]})
    assert list(scoring.score_frame(world, frame)["flags"]) == ["zeros;any-zero", "twos", "any-zero", ""]


def test_alerts_are_told_only_when_asked_for_and_never_of_a_refused_row() -> None:
    alarmed = instrument(
        items=[item("1"), item("2")],
        scales=[scale("a", items=["1", "2"], min=0, max=4)],
        alerts=[{"id": "look", "meaning": "m", "severity": "urgent", "when": {"item": "1", "at_least": 1}} | sourced()],
    )
    rows = pd.DataFrame({"1": [2.0, 0.0, 2.0, None], "2": [0.0, 2.0, 9.0, 1.0]})
    assert scoring.evaluate_frame(alarmed, rows).alerts == {}
    assert scoring.evaluate_frame(alarmed, rows, alerts=True).alerts["look"].tolist() == [True, False, False, False]
