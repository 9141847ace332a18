"""Pieces of FHIRPath taken apart."""

from __future__ import annotations

from fractions import Fraction

import pytest

from instruments.fhir.answers import number
from instruments.fhir.grammar import arguments, balanced, bracketed, combined, fraction, split


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["a"]),
        ("a.combine(b)", ["a", "b"]),
        ("a.f(c).combine(b(')', 1)).combine({})", ["a.f(c)", "b(')', 1)", "{}"]),
        ("a.combine(b).first()", ["a.combine(b).first()"]),
        ("a.combine(b", ["a.combine(b"]),
    ],
)
def test_combined(text: str, parts: list[str]) -> None:
    assert combined(text) == parts


def test_split_heeds_brackets_and_quotes() -> None:
    assert split("a and (b and c) and ' and ' and {} ", " and ") == ["a", "(b and c)", "' and '", "{} "]


@pytest.mark.parametrize(
    ("text", "inside"), [("f(a, g(b, c))", ["a", "g(b, c)"]), ("f(a)(b)", None), ("f(a", None), ("g(a)", None)]
)
def test_arguments(text: str, inside: list[str] | None) -> None:
    assert arguments(text, "f") == inside


def test_bracketed() -> None:
    assert bracketed("(a (b) ')')") == "a (b) ')'"
    assert bracketed("(a) or (b)") is None
    assert not balanced("'")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(3), "3"),
        (Fraction(-3, 5), "-0.6"),
        (Fraction(1, 8), "0.125"),
        (Fraction(-1, 1000), "-0.001"),
        (Fraction(101, 40), "2.525"),
        (Fraction(100, 7), "100 / 7"),
        (Fraction(-100, 7), "-100 / 7"),
    ],
)
def test_numbers_are_written_exactly(value: Fraction, text: str) -> None:
    assert number(value) == text
    assert fraction(f"({text})") == value
