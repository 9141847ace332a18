"""Corrections: responses amended or void, and the history of each."""
