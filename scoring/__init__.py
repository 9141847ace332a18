"""Scoring, progress statistics and disclosure control: pure functions, no input or output."""
