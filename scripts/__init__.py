"""Checks and generators that the make targets call."""
