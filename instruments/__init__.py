"""Instruments as data: the definition schema, its loader and the definitions."""
