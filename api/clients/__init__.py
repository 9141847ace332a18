"""Clients: the people whose outcomes are measured."""
