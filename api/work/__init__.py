"""The work between sessions beside an outcome series."""
