"""Consent to research with a client's answers: given, withdrawn, and since when."""
