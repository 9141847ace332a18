"""From stored scores to progress: which definition they are judged by, and which series there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from api.catalogue.library import Shelf
from api.problems import RequestInvalid
from api.progress.repository import Rows
from instruments import Instrument, UnknownInstrument
from scoring.progress import Measurement, Progress, progress
from scoring.progress_words import headline, summary

Scales = Mapping[str, Sequence[Measurement]]
OVERALL: Final = "total"
"""The scale that is drawn where none is named and there are several."""


@dataclass(frozen=True)
class Choice:
    """What was asked for: one instrument or all of the client's, one scale or all."""

    instrument: Instrument | None
    scale: str | None


def choose(shelf: Shelf, code: str | None, scale: str | None) -> Choice:
    """The instrument and scale that a query names.

    Raises
    ------
    RequestInvalid
        There is no such instrument, or it has no such scale.
    """
    if code is None:
        if scale is not None:
            raise _refused("instrument", "needed-with-scale", "say which instrument's scale is meant")
        return Choice(None, None)
    try:
        instrument = shelf.get(code)
    except UnknownInstrument:
        raise _refused("instrument", "unknown-instrument", "has to be a code of /v1/instruments") from None
    if scale is not None and scale not in _scale_ids(instrument):
        detail = f"has to be one of {', '.join(_scale_ids(instrument))}"
        raise _refused("scale", "unknown-scale", detail)
    return Choice(instrument, scale)


def choose_one(shelf: Shelf, code: str, scale: str | None) -> tuple[Instrument, str]:
    """The same for a picture, which is of one scale: the one named, else the total, else the first.

    Raises
    ------
    RequestInvalid
        As :func:`choose`.
    """
    instrument = choose(shelf, code, scale).instrument
    assert instrument is not None  # noqa: S101  - a code was given
    ids = _scale_ids(instrument)
    return instrument, scale or (OVERALL if OVERALL in ids else ids[0])


def _refused(parameter: str, code: str, detail: str) -> RequestInvalid:
    return RequestInvalid(errors=[{"parameter": parameter, "in": "query", "code": code, "detail": detail}])


def _scale_ids(instrument: Instrument) -> list[str]:
    return [scale.id for scale in instrument.scales]


def document(shelf: Shelf, choice: Choice, rows: Rows) -> dict[str, Any]:
    """The progress of a client as plain data, without the client's id."""
    codes = [choice.instrument.code] if choice.instrument is not None else sorted(rows)
    known = [code for code in codes if code in shelf.versions]
    return {
        "series": [
            described(one) for code in known for one in series(shelf, shelf.get(code), choice.scale, rows.get(code, {}))
        ],
        "without_definition": [code for code in codes if code not in shelf.versions],
    }


def described(one: Progress) -> dict[str, Any]:
    """A series as plain data, with what it says in words."""
    return {**one.document(), "headline": headline(one) or None, "summary": summary(one)}


def judged(code: str | None, rows: Rows) -> tuple[Iterable[str], dict[str, set[int]]]:
    """The instruments that a document is about, and the versions that their scores were made by."""
    used = {name: {m.version for found in scales.values() for m in found} for name, scales in rows.items()}
    return ({code, *used} if code is not None else used), used


def series(shelf: Shelf, newest: Instrument, scale: str | None, rows: Scales) -> Iterator[Progress]:
    """The series of an instrument's scales, in the order of its definition; empty ones too."""
    instrument = _judging(shelf, newest, scale, rows)
    versions = _comparable(shelf, instrument, rows)
    for scale_id in _scale_ids(instrument) if scale is None else [scale]:
        yield progress(instrument, scale_id, rows.get(scale_id, ()), versions=versions)


def _comparable(shelf: Shelf, judging: Instrument, rows: Scales) -> frozenset[int]:
    """Versions whose scores may be put beside those of one: itself, and each that either declares comparable.

    What is declared holds both ways, but is not carried on: a third version is comparable where one of the two says so.
    """
    used = {m.version for measurements in rows.values() for m in measurements} - {judging.version}
    found = {judging.version} | {declared.version for declared in judging.comparable_with}
    for version in used & set(shelf.versions[judging.code]):
        if any(declared.version == judging.version for declared in shelf.get(judging.code, version).comparable_with):
            found.add(version)
    return frozenset(found)


def _judging(shelf: Shelf, newest: Instrument, scale: str | None, rows: Scales) -> Instrument:
    """The definition to judge by: the version that the client's newest usable score was made by."""
    usable = [m for measurements in rows.values() for m in measurements if m.valid and m.value is not None]
    version = max(usable, key=itemgetter(0, 1, 2)).version if usable else newest.version
    if version == newest.version or version not in shelf.versions[newest.code]:
        return newest
    older = shelf.get(newest.code, version)
    return older if scale is None or scale in _scale_ids(older) else newest
