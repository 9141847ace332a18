"""Numbers as people write them."""

from __future__ import annotations

from fractions import Fraction


def number(value: Fraction | float) -> str:
    """A number as people write it: ``6``, ``3.6``, and four decimals where it does not end."""
    exact = Fraction(value)
    if exact.denominator == 1:
        return str(exact.numerator)
    short = repr(float(exact))
    return short if len(short) <= 8 else f"{float(exact):.4f}"
