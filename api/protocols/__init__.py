"""Protocols: batteries with a schedule, their assignment to episodes, and what falls due."""
