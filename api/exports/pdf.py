"""One client's record on paper, for that person: plain words, nothing unexplained, and nothing left out.

Questions are named by their topics in our own words. Whatever the record has and no part here is about is listed at
the end as it is kept, so that what is new is printed too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from api.catalogue.library import Shelf
from api.exports.parts import PARTS, TOLD, Record, Row, yes
from api.exports.sheet import Sheet, day, moment
from instruments import Instrument, UnknownInstrument

MOST_LISTED: Final = 500
"""Rows of any other table."""


_INTRODUCTION: Final = (
    "This is everything that the practice's outcome service keeps about you: what you were asked, what you answered, "
    "what was worked out from it, and who has looked at it. The service does not keep your name, address or telephone "
    "number. If something here is wrong, tell the practice: it can be put right, and what it said before is kept "
    "with the reason. You may also ask for everything to be erased."
)


def instruments_of(record: Record) -> list[str]:
    """Codes of the instruments whose definitions `written` needs."""
    return sorted({row["instrument"] for row in record["responses"]})


def written(record: Record, shelf: Shelf) -> bytes:
    """The PDF."""
    plain = orjson.loads(orjson.dumps(dict(record)))
    definitions = {
        (row["instrument"], row["instrument_version"]): _definition(shelf, row) for row in plain["responses"]
    }
    topics = [item.topic for one in definitions.values() if one is not None for item in one.items]
    made = day(record["written_at"][:10])
    with tempfile.TemporaryDirectory(prefix="fathomline-record-") as folder:
        texts = [orjson.dumps(plain).decode(), *topics]
        sheet = Sheet("Your record", f"Your record, as it was on {made}", texts, Path(folder))
        sheet.title_line("Your record", f"As it was on {moment(record['written_at'])}")
        sheet.paragraph(_INTRODUCTION)
        sheet.note(f"Number of this record: {record['client_id']}")
        for part in PARTS:
            part(sheet, plain, definitions)
        _rest(sheet, plain)
        _words(sheet)
        return bytes(sheet.output())


def _definition(shelf: Shelf, row: Row) -> Instrument | None:
    try:
        return shelf.get(row["instrument"], row["instrument_version"])
    except UnknownInstrument:
        return None


def _rest(sheet: Sheet, record: Record) -> None:
    left = {name: rows for name, rows in record.items() if name not in TOLD and rows}
    if not left:
        return
    sheet.chapter("What else is kept", "These entries serve the practice's planning. They are shown as they are kept.")
    for name, rows in left.items():
        sheet.part(name.replace("_", " ").capitalize())
        for row in rows[:MOST_LISTED]:
            sheet.facts(_plain(row))
        if len(rows) > MOST_LISTED:
            sheet.note(f"{len(rows) - MOST_LISTED} more are in the electronic copy.")


def _plain(row: Row) -> Iterator[tuple[str, str | None]]:
    for name, value in row.items():
        if value is None or name == "id" or name.endswith("_id"):
            continue
        text = str(value) if not isinstance(value, bool) else yes(value)
        if isinstance(value, str) and name.endswith("_at"):
            text = moment(value)
        elif isinstance(value, str) and name.endswith("_on"):
            text = day(value)
        yield name.replace("_", " ").capitalize(), text


def _words(sheet: Sheet) -> None:
    sheet.chapter("Words used here")
    sheet.rows(
        None,
        [
            ("Score", "A number worked out from your answers by a fixed rule. Its possible range is beside it."),
            (
                "Estimated score",
                "Some answers were missing, and the others stood in for them by a fixed rule.",
            ),
            ("Version", "A form that was put right has a further version. All of them are kept."),
            ("Code", "A short name that stands for a person or a program of the practice."),
            ("DSM", "A manual by which professionals tell mental disorders apart. Some questionnaires follow it."),
            ("UTC", "The time by which clocks are set all over the world; local time differs by some hours."),
        ],
        widths=(28, 72),
    )
