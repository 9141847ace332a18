"""Outcomes of an organisation: what became of the people whose episodes have ended."""
