"""What a command cannot work with."""

from __future__ import annotations


class UnusableInput(Exception):
    """A fault of the caller's, told in one line; the message says what would be right and never repeats an answer."""
