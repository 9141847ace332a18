"""Files that are not what they should be: what is said of them, and that no wrong answer comes of them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from typing import Any

import pytest

from api.imports import reading
from api.imports.formats import Given, ndjson, wide
from api.imports.reading import FileUnusable, Meter, decompressed, lines
from tests.api.people import FSFI_FIVES
from tests.imports.conftest import AT, Importer, table
from tests.imports.conftest import lines as json_lines
from tests.imports.test_imports import body

ITEMS = ["1", "2", "3"]
HEADER = "client_id,answered_at,1,2,3"


def rows(content: bytes, *, instrument: str | None = "x", items: Iterable[str] | None = ITEMS) -> list[Given]:
    return list(wide(lines([content], Meter()), instrument, None if items is None else set(items)))


def unusable(content: bytes, **given: Any) -> tuple[str, str]:
    with pytest.raises(FileUnusable) as caught:
        rows(content, **given)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_lines_are_the_same_however_the_file_is_cut(size: int, ending: bytes) -> None:
    whole = "\ufeffa,b\nä,\n\n1,2\nlast".encode().replace(b"\n", ending)
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    meter = Meter()
    assert list(lines(parts, meter)) == [b"a,b", "ä,".encode(), b"", b"1,2", b"last"]
    assert meter.of_lines == len(whole)


def test_a_line_that_is_too_long_is_passed_over_in_bounded_memory() -> None:
    def parts() -> Iterable[bytes]:
        yield b"first\n"
        for _ in range(10):
            yield b"x" * (1 << 20)
        yield b"\nlast\n"

    assert list(lines(parts(), Meter())) == [b"first", None, b"last"]
    found = list(ndjson([b"{}", None, b"{}"]))
    assert [given.fault and given.fault.code for given in found] == [None, "line-too-long", None]
    with pytest.raises(FileUnusable, match="line 2 has more"):
        list(wide([HEADER.encode(), None], "x", set(ITEMS)))


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    (given,) = rows(b"\xef\xbb\xbf" + HEADER.encode() + b"\n7,now,1,2,3\n")
    assert given.body == {"client_id": "7", "answered_at": "now", "answers": {"1": 1, "2": 2, "3": 3}}


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "no-header", "empty"),
        (b"client_id;answered_at;1\n", "missing-column", "separator"),
        (b"client,answered_at,1\n", "missing-column", "client_id or external_id"),
        (b"client_id,1,2\n", "missing-column", "answered_at"),
        (b"client_id,answered_at,1,1\n", "duplicate-column", "'1'"),
        (b"client_id,answered_at,1,\n", "unknown-column", "neither"),
        (b"client_id,answered_at,settings,1\n", "unknown-column", "'setting'"),
        (b"client_id,answered_at,4\n", "unknown-column", "'4'"),
        (b"client_id,answered_at,\xff\n", "not-utf-8", "line 1"),
        ("client_id,answered_at,1\n".encode("utf-16"), "not-utf-8", "line 1"),
        (HEADER.encode() + b'\n1,2,"3" 4,5,6\n', "not-csv", "line 2"),
        (HEADER.encode() + b'\n1,2,3,4,"5\n', "not-csv", "line"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content: bytes, code: str, says: str) -> None:
    found, detail = unusable(content)
    assert found == code
    assert says in detail


def test_without_an_instrument_a_column_has_to_name_it() -> None:
    assert unusable(HEADER.encode() + b"\n", instrument=None, items=None)[0] == "missing-column"
    (given,) = rows(b"client_id,answered_at,instrument,q9\n1,2,x,4\n", instrument=None, items=None)
    assert given.body["answers"] == {"q9": 4}


def test_rows_that_are_broken_are_named_by_row_and_line() -> None:
    content = HEADER.encode() + b'\n1,2,3,4\n\n1,2,3,4,5,6\n"1\n",2,3,4,5\n1,2,\xe4,4,5\n1,2,\x00,4,5\n1,2,3,,5\n'
    found = [(given.row, given.line, given.fault and given.fault.code) for given in rows(content)]
    assert found == [
        (1, 2, "wrong-length"), (2, 4, "wrong-length"), (3, 5, None), (4, 7, "not-utf-8"), (5, 8, "not-utf-8"),
        (6, 9, None),
    ]  # fmt: skip
    assert rows(content)[5].body["answers"] == {"1": 3, "3": 5}


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("3", 3), (" 3 ", 3), ("+3", 3), ("-1", -1), ("3.0", 3), ("3.", 3), ("2.5", 2.5), ("", None), ("  ", None),
        ("three", "three"), ("1e3", "1e3"), ("nan", "nan"), ("0x3", "0x3"), ("٣", "٣"), ("9" * 400, "9" * 400),
    ],
)  # fmt: skip
def test_cells_become_numbers_only_where_they_are(cell: str, value: Any) -> None:
    (given,) = rows(f"{HEADER}\n1,2,{cell},1,1\n".encode())
    assert given.body["answers"].get("1") == value
    assert type(given.body["answers"].get("1")) is type(value)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nothing", "not-json"), (b"[1]", "not-json"), (b'"a"', "not-json"), (b'{"a": 1, "a": 2}', "duplicate-member"),
        (b'{"a": NaN}', "not-a-number"), (b'{"a": "\xff"}', "not-utf-8"), (b'{"a": "\\u0000"}', "nul-character"),
        (b"[" * 100, "not-json"), (b'{"a":' * 20 + b"1" + b"}" * 20, "too-deep"),
        (b'{"a": 1e999}', "number-out-of-range"),
    ],
)  # fmt: skip
def test_lines_that_are_no_object_are_named(line: bytes, code: str) -> None:
    found = list(ndjson([b"{}", b"", line, b"{}"]))
    assert [(given.row, given.line, given.fault and given.fault.code) for given in found] == [
        (1, 1, None), (2, 3, code), (3, 4, None),
    ]  # fmt: skip


def test_a_bomb_does_not_go_off() -> None:
    small = gzip.compress(b"0" * (64 << 20))
    assert len(small) < 100_000
    taken: list[int] = []
    with pytest.raises(FileUnusable) as caught:
        taken.extend(len(piece) for piece in decompressed([small], 1 << 40))
    assert caught.value.code == "grows-too-large"
    assert max(taken) <= 1 << 20
    assert sum(taken) <= reading._FREE_GROWTH


def test_what_was_compressed_comes_out_whole() -> None:
    whole = b"a,b\n" * 500_000
    packed = gzip.compress(whole[:7]) + gzip.compress(whole[7:])
    for size in (1, 1000, len(packed)):
        parts = (packed[at : at + size] for at in range(0, len(packed), size))
        assert b"".join(decompressed(parts, 1 << 30)) == whole
    with pytest.raises(FileUnusable, match="breaks off"):
        list(decompressed([packed[:-9]], 1 << 30))
    with pytest.raises(FileUnusable, match="not gzip"):
        list(decompressed([zlib.compress(b"x")], 1 << 30))
    assert list(decompressed([], 1 << 30)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"answered_at": "2026-03-01T10:00:00"}, ("/answered_at", "time-format")),
        ({"answered_at": "01/03/2026"}, ("/answered_at", "time-format")),
        ({"answered_at": "2999-03-01T10:00:00Z"}, ("/answered_at", "time-implausible")),
        ({"client_id": "7"}, ("/client_id", "uuid-parsing")),
        ({"instrument": "nothing"}, ("/instrument", "unknown-instrument")),
        ({"instrument": "own-nothing"}, ("/instrument", "unknown-instrument")),
        ({"instrument": "griss"}, ("/instrument", "instrument-not-scorable")),
        ({"version": 99}, ("/version", "unknown-version")),
        ({"variant": "nothing"}, ("/variant", "unknown-variant")),
        ({"answers": {"1": "5"}}, ("/answers/1", "not-a-number")),
        ({"answers": {"1": True}}, ("/answers/1", "not-a-number")),
        ({"answers": {"1": 2.5}}, ("/answers/1", "not-whole")),
        ({"answers": [5]}, ("/answers", "dict-type")),
        ({"name": "Somebody"}, ("/name", "extra-forbidden")),
        ({"external_id": "A-1"}, ("/client_id", "client-unclear")),
        ({"partnered": "maybe"}, ("/partnered", "bool-type")),
    ],
)
async def test_each_fault_is_told_as_recording_tells_it(
    importer: Importer, change: dict[str, Any], fault: tuple[str, str]
) -> None:
    client_id = await importer.person.client()
    asked = body(client_id) | change
    state = await importer.take(json_lines(asked, body(client_id)), format="ndjson")
    assert [found[2:] for found in await importer.faults(state["id"])] == [fault]
    assert state["rows"] == {"read": 2, "good": 1, "bad": 1, "already_there": 0, "written": 1}
    if "external_id" not in change:
        answer = await importer.http.post("/v1/responses", json=asked)
        assert answer.status_code == 422
        assert (fault[0], fault[1]) in [(one["pointer"], one["code"]) for one in answer.json()["errors"]]


async def test_cells_of_the_long_layout_have_to_go_together(importer: Importer) -> None:
    client_id, other = [await importer.person.client() for _ in range(2)]
    header = ["client_id", "answered_at", "item", "value", "setting"]
    content = table(
        header,
        *([client_id, AT, item, value, ""] for item, value in FSFI_FIVES.items()),
        [client_id, AT, "1", "4", ""],
        *([other, AT, item, value, "paper" if item == "9" else "remote"] for item, value in FSFI_FIVES.items()),
        [other, "2026-03-02T10:00:00Z", "", "4", ""],
        [other, "2026-03-03T10:00:00Z", "99", "4", ""],
    )
    state = await importer.take(content, layout="long", instrument="fsfi")
    assert state["rows"] == {"read": 4, "good": 0, "bad": 4, "already_there": 0, "written": 0}
    assert [fault[2:] for fault in await importer.faults(state["id"])] == [
        ("/answers/1", "given-twice"), ("", "members-differ"), ("/answers", "item-missing"),
        ("/answers/99", "unknown-item"),
    ]  # fmt: skip
    ragged = await importer.take(content + "1,2\r\n", layout="long", instrument="fsfi")
    assert (ragged["state"], ragged["failure"]["code"]) == ("failed", "wrong-length")
    assert "line 43" in ragged["failure"]["detail"]


async def test_a_file_that_breaks_off_keeps_what_was_whole(importer: Importer) -> None:
    client_id = await importer.person.client()
    content = json_lines(body(client_id), body(client_id, answers={}))
    state = await importer.take(content[:-20], format="ndjson")
    assert (state["rows"]["written"], await importer.faults(state["id"])) == (1, [(2, 2, "", "not-json")])
    nothing = await importer.take(b"", format="ndjson")
    assert (nothing["state"], nothing["rows"]["read"]) == ("finished", 0)


async def test_the_instrument_of_an_import_has_to_be_there(importer: Importer) -> None:
    state = await importer.take(f"{HEADER}\n", instrument="nothing")
    assert (state["state"], state["failure"]["code"]) == ("failed", "unknown-instrument")
    client_id = await importer.person.client()
    state = await importer.take(json_lines(body(client_id)), format="ndjson", instrument="gad-7")
    assert await importer.faults(state["id"]) == [(1, 1, "/instrument", "other-instrument")]


async def test_no_more_faults_are_kept_than_there_is_room_for(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.imports import running

    monkeypatch.setattr(running, "MOST_KEPT", 5)
    rows_ = [[AT, *FSFI_FIVES.values()]] * 8
    state = await importer.take(table(["external_id", "answered_at", *FSFI_FIVES], *(["", *row] for row in rows_)),
                                instrument="fsfi")  # fmt: skip
    assert state["faults"] == 8
    assert len(await importer.faults(state["id"])) == 5


async def test_a_file_has_no_more_rows_than_it_may_have(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    from api.imports import batches

    monkeypatch.setattr(batches, "MOST_ROWS", 2)
    client_id = await importer.person.client()
    content = json_lines(*(body(client_id, answers={"1": number}) for number in (1, 2, 3)))
    state = await importer.take(content, format="ndjson", on_error="all-or-nothing")
    assert (state["state"], state["failure"]["code"]) == ("failed", "too-many-rows")
    assert await importer.responses(client_id) == []
