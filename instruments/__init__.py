"""Instruments as data: the definition schema, its loader and the definitions."""

from instruments.catalogue import Catalogue, NotScorable, UnknownInstrument, catalogue, load
from instruments.concerns import Concern, vocabulary
from instruments.fhir import Note, QuestionnaireError, Reading, from_fhir, not_expressed, to_fhir
from instruments.loader import DefinitionError, DefinitionFault, read_definition
from instruments.schema import Instrument, Listed

__all__ = [
    "Catalogue",
    "Concern",
    "DefinitionError",
    "DefinitionFault",
    "Instrument",
    "Listed",
    "NotScorable",
    "Note",
    "QuestionnaireError",
    "Reading",
    "UnknownInstrument",
    "catalogue",
    "from_fhir",
    "load",
    "not_expressed",
    "read_definition",
    "to_fhir",
    "vocabulary",
]
