"""From rows to batches: checked, scored and put into words, ready to be written."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import scoring
from api.imports.definitions import Definitions, Refused
from api.imports.faults import RowFault
from api.imports.formats import Given
from api.imports.people import People, Person
from api.imports.reading import FileUnusable, Meter
from api.imports.rows import ImportedResponse, Row, checked, response_id
from api.imports.scoring import Head, Scored, Scorer
from api.imports.writing import Batch, line_of, now
from api.responses.situation import situation_of
from instruments import Instrument

ROWS: Final = 10_000
"""Rows of a batch: enough that what each batch costs does not matter, and some tens of megabytes in memory."""
_BYTES: Final = 16 << 20
"""Bytes of the file after which a batch ends in any case."""
MOST_ROWS: Final = 10_000_000


def grouped(given: Iterable[Given], meter: Meter, skip: int) -> Iterator[tuple[list[Given], int, int]]:
    """Rows in batches, without the first ``skip``; each with the rows and bytes of the file up to its end.

    Raises
    ------
    FileUnusable
        There are more rows than an import may have.
    """
    rows: list[Given] = []
    count = 0
    begun = meter.of_lines
    for one in given:
        count += 1
        if count > MOST_ROWS:
            raise FileUnusable("too-many-rows", f"an import has at most {MOST_ROWS:,} rows; split the file")
        if count <= skip:
            continue
        rows.append(one)
        if len(rows) == ROWS or meter.of_lines - begun > _BYTES:
            yield rows, count, meter.read
            rows, begun = [], meter.of_lines
    yield rows, count, meter.read


class Batches:
    """Makes the batches of one import."""

    def __init__(self, people: People, definitions: Definitions, instrument: str | None) -> None:
        self._people = people
        self._definitions = definitions
        self._instrument = instrument

    def make(self, given: Iterable[Given], rows_read: int, bytes_read: int) -> Batch:
        """Check and score rows, and write down what is to be kept of the good ones."""
        batch = Batch(now(), rows_read, bytes_read)
        rows, faults = checked(given, self._instrument)
        batch.faults += faults
        placed = self._people.place(rows)
        batch.faults += placed.faults
        batch.clients = placed.made
        seen: set[uuid.UUID] = set()
        for scorer, of_scorer in self._by_instrument(placed.rows, batch.faults):
            self._score(scorer, of_scorer, batch, seen)
        batch.faults.sort(key=lambda fault: fault.row)
        return batch

    def _by_instrument(
        self, rows: Iterable[tuple[Row, Person]], faults: list[RowFault]
    ) -> Iterator[tuple[Scorer, list[tuple[Row, Person]]]]:
        groups: dict[tuple[str, int | None, str | None], list[tuple[Row, Person]]] = defaultdict(list)
        for row, person in rows:
            groups[row.given.instrument, row.given.version, row.given.variant].append((row, person))
        for key, group in groups.items():
            scorer = self._definitions.scorer(*key)
            if isinstance(scorer, Refused):
                faults += [row.fault(*scorer) for row, _ in group]
            else:
                yield scorer, group

    def _score(self, scorer: Scorer, rows: list[tuple[Row, Person]], batch: Batch, seen: set[uuid.UUID]) -> None:
        fresh: list[tuple[Row, Person, Head]] = []
        for row, person in rows:
            made = response_id(person.id_key, person.id, row.given)
            if made in seen:  # the very same answers again
                if row.given.response_id is None:
                    batch.repeated += 1
                else:
                    detail = "two rows of the file have this id"
                    batch.faults.append(row.fault("/response_id", "response-id-taken", detail))
                continue
            seen.add(made)
            fresh.append((row, person, Head(made, person.id, row.given)))
        scored = scorer.score([head for _, _, head in fresh], batch.recorded_at)
        for (row, person, head), result in zip(fresh, scored, strict=True):
            if isinstance(result, scoring.InvalidAnswers):
                batch.faults += [row.fault(fault.pointer, fault.code, fault.detail) for fault in result.faults]
                continue
            result.document = situated(scorer.instrument, result, person, row.given)
            batch.rows += 1
            batch.by_row[row.row] = row.line
            batch.ids.append(head.response_id)
            batch.lines.append(line_of(row, person.id, head.response_id, scorer, result))


def situated(instrument: Instrument, scored: Scored, person: Person, given: ImportedResponse) -> str:
    """The document with what the instrument was not made for in this person, as the database adds it in recording."""
    presumed = situation_of(instrument, given.partnered, given.active)
    of_organs, of_partner, of_row = presumed.flags
    told = []
    if presumed.organs is not None and person.organs is not None and not set(person.organs) & set(presumed.organs):
        told.append(of_organs)
    if presumed.partner and person.partnered is False:
        told.append(of_partner)
    told.append(of_row)
    flags = ",".join(flag for flag in told if flag is not None)
    if not flags:
        return scored.document
    return f"{scored.document[:-2]}{'' if scored.document.endswith('[]}') else ','}{flags}]}}"
