"""From stored scores to progress: which definition they are judged by, and which series there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from api.problems import RequestInvalid
from api.progress.repository import Rows
from instruments import Catalogue, Instrument, UnknownInstrument
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


def choose(catalogue: Catalogue, code: str | None, scale: str | None) -> Choice:
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
        instrument = catalogue.get(code)
    except UnknownInstrument:
        detail = f"has to be one of {', '.join(catalogue.codes)}"
        raise _refused("instrument", "unknown-instrument", detail) from None
    if scale is not None and scale not in _scale_ids(instrument):
        detail = f"has to be one of {', '.join(_scale_ids(instrument))}"
        raise _refused("scale", "unknown-scale", detail)
    return Choice(instrument, scale)


def choose_one(catalogue: Catalogue, code: str, scale: str | None) -> tuple[Instrument, str]:
    """The same for a picture, which is of one scale: the one named, else the total, else the first.

    Raises
    ------
    RequestInvalid
        As :func:`choose`.
    """
    instrument = choose(catalogue, code, scale).instrument
    assert instrument is not None  # noqa: S101  - a code was given
    ids = _scale_ids(instrument)
    return instrument, scale or (OVERALL if OVERALL in ids else ids[0])


def _refused(parameter: str, code: str, detail: str) -> RequestInvalid:
    return RequestInvalid(errors=[{"parameter": parameter, "in": "query", "code": code, "detail": detail}])


def _scale_ids(instrument: Instrument) -> list[str]:
    return [scale.id for scale in instrument.scales]


def document(catalogue: Catalogue, choice: Choice, rows: Rows) -> dict[str, Any]:
    """The progress of a client as plain data, without the client's id."""
    codes = [choice.instrument.code] if choice.instrument is not None else sorted(rows)
    known = [code for code in codes if code in catalogue.versions]
    return {
        "series": [
            described(one)
            for code in known
            for one in series(catalogue, catalogue.get(code), choice.scale, rows.get(code, {}))
        ],
        "without_definition": [code for code in codes if code not in catalogue.versions],
    }


def described(one: Progress) -> dict[str, Any]:
    """A series as plain data, with what it says in words."""
    return {**one.document(), "headline": headline(one) or None, "summary": summary(one)}


def series(catalogue: Catalogue, newest: Instrument, scale: str | None, rows: Scales) -> Iterator[Progress]:
    """The series of an instrument's scales, in the order of its definition; empty ones too."""
    instrument = _judging(catalogue, newest, scale, rows)
    for scale_id in _scale_ids(instrument) if scale is None else [scale]:
        yield progress(instrument, scale_id, rows.get(scale_id, ()))


def _judging(catalogue: Catalogue, newest: Instrument, scale: str | None, rows: Scales) -> Instrument:
    """The definition to judge by: the version that the client's newest usable score was made by."""
    usable = [m for measurements in rows.values() for m in measurements if m.valid and m.value is not None]
    version = max(usable, key=itemgetter(0, 1, 2)).version if usable else newest.version
    if version == newest.version or version not in catalogue.versions[newest.code]:
        return newest
    older = catalogue.get(newest.code, version)
    return older if scale is None or scale in _scale_ids(older) else newest
