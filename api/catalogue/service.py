"""Instruments and results as documents, made from definitions in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from importlib.metadata import version as installed
from typing import Any, Final

import orjson

import instruments
import scoring
from api.catalogue import schemas
from api.problems import AnswersInvalid, RequestInvalid
from instruments import Instrument

PATH: Final = "/v1/instruments"
SOFTWARE: Final = f"fathomline {installed('fathomline')}"
MOST_PROVENANCES: Final = 4_096
"""Kept by checksum; then they are made anew, so that own instruments which come and go do not fill the memory."""


def definition_url(code: str, version: int) -> str:
    """Where the definition of a version is served."""
    return f"{PATH}/{code}/versions/{version}"


def provenance(instrument: Instrument) -> dict[str, str]:
    """What a result rests on. One dictionary an instrument, not to be changed."""
    found = _PROVENANCE.get(instrument.checksum)
    if found is None:
        if len(_PROVENANCE) >= MOST_PROVENANCES:
            _PROVENANCE.clear()
        found = _PROVENANCE[instrument.checksum] = {
            "definition": instrument.checksum,
            "definition_url": definition_url(instrument.code, instrument.version),
            "software": SOFTWARE,
        }
    return found


_PROVENANCE: Final[dict[str, dict[str, str]]] = {}


def score(instrument: Instrument, answers: Mapping[str, Any], variant: str | None) -> scoring.Result:
    """Score a form.

    Raises
    ------
    AnswersInvalid
        With every fault.
    RequestInvalid
        The instrument has no such variant.
    """
    try:
        return scoring.score(instrument, answers, variant=variant)
    except scoring.InvalidAnswers as error:
        raise AnswersInvalid(errors=[asdict(fault) for fault in error.faults]) from None
    except scoring.UnknownVariant as error:
        detail = f"has to be one of {', '.join(error.known)}"
        raise RequestInvalid(errors=[{"pointer": "/variant", "code": "unknown-variant", "detail": detail}]) from None


def summary(instrument: Instrument) -> schemas.InstrumentSummary:
    """The instrument as lists show it."""
    return schemas.InstrumentSummary(
        code=instrument.code,
        version=instrument.version,
        name=instrument.name,
        measures=instrument.measures,
        concerns=list(instrument.concerns),
        licence=schemas.LicenceSummary(status=instrument.licence.status, holder=instrument.licence.holder),
        applicability=schemas.ApplicabilityRead.model_validate(instrument.applicability.model_dump()),
        minutes=instrument.minutes,
        recall_days=instrument.recall_days,
        items=len(instrument.items),
        scales=[scale.id for scale in instrument.scales],
        variants=list(instrument.variant_ids),
        needs_review=list(instrument.needs_review),
        definition_url=definition_url(instrument.code, instrument.version),
    )


def select(
    *, concern: str | None, anatomy: str | None, licence: str | None, q: str | None
) -> list[schemas.InstrumentSummary]:
    """The newest version of each instrument that meets every condition given.

    ``anatomy`` is an organ that somebody has: instruments for any anatomy fit as well. ``q`` is words that all have to
    occur in code, name, measures, population or concerns.
    """
    return [summary(instrument) for instrument in _newest() if _fits(instrument, concern, anatomy, licence, q)]


def _newest() -> Iterator[Instrument]:
    catalogue = instruments.catalogue()
    return (catalogue.get(code) for code in catalogue.codes)


def _fits(instrument: Instrument, concern: str | None, anatomy: str | None, licence: str | None, q: str | None) -> bool:
    organs = instrument.applicability.organs
    text = " ".join(
        (instrument.code, instrument.name, instrument.measures, instrument.population, *instrument.concerns)
    ).casefold()
    return (
        (concern is None or concern in instrument.concerns)
        and (anatomy is None or not organs or anatomy in organs)
        and (licence is None or licence == instrument.licence.status)
        and (q is None or all(word in text for word in q.casefold().split()))
    )


def detail(instrument: Instrument, versions: Sequence[tuple[int, str]]) -> schemas.InstrumentRead:
    """The instrument with its scales and every version, each with its checksum."""
    return schemas.InstrumentRead(
        **summary(instrument).model_dump(),
        population=instrument.population,
        recall=instrument.recall,
        scale_details=[
            schemas.ScaleSummary(
                id=scale.id, name=scale.name, min=float(scale.min), max=float(scale.max), higher_is=scale.higher_is
            )
            for scale in instrument.scales
        ],
        versions=[
            schemas.VersionRead(
                version=number,
                definition=checksum,
                definition_url=definition_url(instrument.code, number),
            )
            for number, checksum in versions
        ],
    )


def definition(instrument: Instrument) -> bytes:
    """JSON text of a whole definition, with its sources and evidence; decimals are exact numbers."""
    document = _plain(instrument.model_dump(by_alias=True))
    document |= {"checksum": instrument.checksum, "needs_review": list(instrument.needs_review)}
    return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    """Decimals as numbers: a double's shortest text is the decimal again, as none here has more than 15 digits."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
