"""Clients: the people whose answers are kept, known here by no name."""
