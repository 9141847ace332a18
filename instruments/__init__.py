"""Instruments as data: the definition schema, its loader and the definitions."""

from instruments.catalogue import Catalogue, UnknownInstrument, catalogue, load
from instruments.loader import DefinitionError, DefinitionFault, read_definition
from instruments.schema import Instrument

__all__ = [
    "Catalogue",
    "DefinitionError",
    "DefinitionFault",
    "Instrument",
    "UnknownInstrument",
    "catalogue",
    "load",
    "read_definition",
]
