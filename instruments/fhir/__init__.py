"""Instruments as FHIR R4 Questionnaires of Structured Data Capture, and Questionnaires as definitions."""

from instruments.fhir.limits import NotExpressed, not_expressed
from instruments.fhir.notes import Note, QuestionnaireError, QuestionnaireFault, Reading
from instruments.fhir.questionnaire import Unwritable, to_fhir
from instruments.fhir.reading import from_fhir

__all__ = [
    "NotExpressed",
    "Note",
    "QuestionnaireError",
    "QuestionnaireFault",
    "Reading",
    "Unwritable",
    "from_fhir",
    "not_expressed",
    "to_fhir",
]
