"""Instruments and results as documents, made from definitions in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from importlib.metadata import version as installed
from typing import Any, Final

import orjson

import scoring
from api.catalogue import schemas
from api.catalogue.own import OwnVersion
from api.problems import AnswersInvalid, NotFound, RequestInvalid
from instruments import Instrument, Listed
from instruments.fhir import Unwritable, to_fhir

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


def prefers_yaml(accept: str | None) -> bool:
    """Whether `Accept` (RFC 9110, 12.5.1) asks for YAML rather than JSON; JSON where both are as welcome.

    >>> prefers_yaml("application/yaml"), prefers_yaml("application/json, application/yaml;q=0.5"), prefers_yaml("*/*")
    (True, False, False)
    """
    weights = {"application/yaml": 0.0, "application/json": 0.0, "application/*": 0.0, "*/*": 0.0}
    for part in (accept or "").lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        if name in weights:
            weights[name] = float(quality) if re.fullmatch(r"[01](?:\.[0-9]{0,3})?", quality) else 0.0
    wanted = weights.pop("application/yaml")
    return wanted > weights["application/json"] and wanted >= max(weights.values())


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


def detail(
    summary: schemas.InstrumentSummary, described: Instrument | Listed, versions: Sequence[OwnVersion]
) -> schemas.InstrumentRead:
    """The instrument, or the entry that cannot be scored, with its scales and every version."""
    scales = described.scales if isinstance(described, Instrument) else ()
    return schemas.InstrumentRead(
        **summary.model_dump(),
        population=described.population,
        recall=described.recall,
        languages_validated=described.languages_validated,
        terms=described.licence.terms,
        licence_url=described.licence.url,
        known=described.known if isinstance(described, Listed) else None,
        open_questions=list(described.open_questions),
        scale_details=[
            schemas.ScaleSummary(
                id=scale.id, name=scale.name, min=float(scale.min), max=float(scale.max), higher_is=scale.higher_is
            )
            for scale in scales
        ],
        versions=[
            schemas.VersionRead(
                version=one.version,
                status="retired" if one.retired else "published",
                definition=one.checksum,
                definition_url=definition_url(described.code, one.version),
            )
            for one in versions
        ],
    )


def definition(instrument: Instrument) -> bytes:
    """JSON text of a whole definition, with its sources and evidence; decimals are exact numbers."""
    document = _plain(instrument.model_dump(by_alias=True))
    document |= {"checksum": instrument.checksum, "needs_review": list(instrument.needs_review)}
    return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)


def questionnaire(instrument: Instrument, variant: str | None) -> bytes:
    """JSON text of the instrument as a FHIR Questionnaire, in our own topics.

    Raises
    ------
    RequestInvalid
        It has no such variant.
    NotFound
        It has so many skips that no Questionnaire can be made of it.
    """
    if variant is not None and variant not in instrument.variant_ids:
        detail = f"has to be one of {', '.join(instrument.variant_ids)}"
        fault = {"parameter": "variant", "in": "query", "code": "unknown-variant", "detail": detail}
        raise RequestInvalid(errors=[fault])
    try:
        return orjson.dumps(to_fhir(instrument, variant=variant))
    except Unwritable:
        raise NotFound("This instrument has too many skips to be a Questionnaire.") from None


def _plain(value: Any) -> Any:
    """Decimals as numbers: a double's shortest text is the decimal again, as none here has more than 15 digits."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
