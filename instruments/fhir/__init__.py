"""Instruments as FHIR R4 Questionnaires of Structured Data Capture, and Questionnaires as definitions."""

from instruments.fhir.limits import NotExpressed, not_expressed
from instruments.fhir.questionnaire import to_fhir

__all__ = ["NotExpressed", "not_expressed", "to_fhir"]
