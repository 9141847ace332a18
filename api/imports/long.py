"""CSV with one row a cell (client, instrument, time, item, value): the rows of a response put together.

They may stand anywhere in the file (tables that were melted have all rows of one item together), so they are sorted: by
the database, in a temporary table, because a file of any size fits there. Responses then come in the order of their
first rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import orjson
import psycopg

from api.imports.faults import RowFault
from api.imports.formats import CLIENT, MEMBERS, Given, Numbers, Table, check_header, member
from api.imports.reading import FileUnusable

IDENTITY: Final = ("client_id", "external_id", "instrument", "version", "variant", "answered_at", "response_id")
"""Columns in which the rows of one response are equal; in the further members they have to be."""
_NEEDED: Final = (CLIENT, ("answered_at",), ("item",), ("value",))
_FETCHED: Final = 20_000
_LONGEST_CELL: Final = 200
"""Characters kept of an item or a value; none that is right has as many."""

_CREATE: Final = """
create temporary table import_cell (key bytea, row bigint, line bigint, members text, item text, value text)
on commit drop
"""
_SORTED: Final = """
select first, row, line, members, item, value
from (select *, min(row) over (partition by key) as first from import_cell) cell
order by first, row
"""


def long(
    connection: psycopg.Connection[Any],
    lines: Iterable[bytes | None],
    instrument: str | None,
    items: Collection[str] | None,
) -> Iterator[Given]:
    """One body a response. The connection is in a transaction until all rows were given.

    Raises
    ------
    FileUnusable
        Also for a row that cannot be read as its cells: nobody knows which response it belongs to.
    """
    table = Table(lines)
    needed = [*_NEEDED] + ([("instrument",)] if instrument is None else [])
    check_header(table.header, needed, {*MEMBERS, "item", "value"})
    with connection.transaction():
        connection.execute(_CREATE)
        _copy(connection, table)
        with connection.cursor(name="import_cells") as cursor:
            cursor.itersize = _FETCHED
            cursor.execute(_SORTED)
            for first, cells in groupby(cursor, itemgetter(0)):
                yield _response(first, list(cells))


def _copy(connection: psycopg.Connection[Any], table: Table) -> None:
    places = {name: place for place, name in enumerate(table.header)}
    members = [(name, places[name]) for name in MEMBERS if name in places]
    identity = [place for name, place in members if name in IDENTITY]
    item, value = places["item"], places["value"]
    with connection.cursor().copy("copy import_cell from stdin (format binary)") as copy:
        copy.set_types(["bytea", "int8", "int8", "text", "text", "text"])
        for record in table.rows():
            if record.fault is not None:
                detail = f"line {record.line}: {record.fault.detail}; which response it belongs to cannot be known"
                raise FileUnusable(record.fault.code, detail)
            cells = record.cells
            key = hashlib.blake2b(orjson.dumps([cells[place].strip() for place in identity]), digest_size=16).digest()
            told = orjson.dumps({name: text for name, place in members if (text := cells[place].strip())}).decode()
            named, given = cells[item].strip()[:_LONGEST_CELL], cells[value][:_LONGEST_CELL]
            copy.write_row((key, record.row, record.line, told, named, given))


_NUMBERS: Final = Numbers()


def _response(row: int, cells: list[tuple[Any, ...]]) -> Given:
    line, told = cells[0][2], cells[0][3]
    answers: dict[str, Any] = {}
    for _, of_row, of_line, members, item, text in cells:
        pointer = f"/answers/{item[:64].replace('~', '~0').replace('/', '~1')}"
        if members != told:
            detail = "its rows differ in what they say of the response; only item and value may"
            return Given(row, line, {}, RowFault(of_row, of_line, "", "members-differ", detail))
        if not item:
            return Given(row, line, {}, RowFault(of_row, of_line, "/answers", "item-missing", "names no item"))
        if item in answers:
            detail = "the response has two rows for this item"
            return Given(row, line, {}, RowFault(of_row, of_line, pointer, "given-twice", detail))
        answers[item] = _NUMBERS[text]
    body = {name: member(name, text) for name, text in orjson.loads(told).items()}
    body["answers"] = {item: value for item, value in answers.items() if value is not None}
    return Given(row, line, body)
