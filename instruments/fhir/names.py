"""Names that FHIR R4 and Structured Data Capture fix, and those of ours that a Questionnaire carries."""

from __future__ import annotations

from typing import Any, Final

_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
_SDC: Final = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"

ITEM_WEIGHT: Final = f"{_CORE}itemWeight"
ORDINAL_VALUE: Final = f"{_CORE}ordinalValue"
VARIABLE: Final = f"{_CORE}variable"
UNIT: Final = f"{_CORE}questionnaire-unit"
CONTROL: Final = f"{_CORE}questionnaire-itemControl"
CALCULATED: Final = f"{_SDC}calculatedExpression"
ENABLE_WHEN: Final = f"{_SDC}enableWhenExpression"
EXTRACT: Final = f"{_SDC}observationExtract"
SHORT_TEXT: Final = f"{_SDC}shortText"

FHIRPATH: Final = "text/fhirpath"
LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
CONTROLS: Final = "http://hl7.org/fhir/questionnaire-item-control"
CONTEXT_TYPES: Final = "http://terminology.hl7.org/CodeSystem/usage-context-type"
QUESTIONNAIRES: Final = "urn:fathomline:questionnaire"
SCORES: Final = "urn:fathomline:scores"
CONCERNS: Final = "urn:fathomline:concerns"
INSTRUCTIONS: Final = "instructions"
NO, YES = "0", "1"
"""The options of the first step of a two-step item."""


def expression(url: str, text: str, name: str | None = None) -> dict[str, Any]:
    """An extension that holds a FHIRPath expression, named where it is a variable."""
    named = {} if name is None else {"name": name}
    return {"url": url, "valueExpression": named | {"language": FHIRPATH, "expression": text}}


def score_unit() -> dict[str, Any]:
    """The extension that says that a decimal is a score, in UCUM."""
    return {"url": UNIT, "valueCoding": {"system": UCUM, "code": "{score}", "display": "score"}}


def canonical(code: str, variant: str | None) -> str:
    """The canonical URL of an instrument's Questionnaire: one for each variant where there are several."""
    return ":".join([QUESTIONNAIRES, code] + ([variant] if variant else []))
