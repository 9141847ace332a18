"""How answers are read in FHIRPath: what they score, which option they are, and what a skip fills in.

An answer is a Coding whose code is the option's value. It has no system, on purpose: for a code of a system that has
no weight, engines ask a terminology server, and an option that is left out of scoring has none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from instruments.conditions import Comparison
from instruments.fhir.names import NO
from instruments.items import GATE, RATING, Item
from instruments.rules import Skip
from instruments.schema import Instrument


def quoted(text: str) -> str:
    """A FHIRPath string. (Ids and option values have neither quotes nor backslashes.)"""
    return f"'{text}'"


def among(what: str, texts: Collection[str]) -> str:
    """That a string is one of some."""
    names = [quoted(text) for text in texts]
    return f"{what} = {names[0]}" if len(names) == 1 else f"{what} in ({' | '.join(names)})"


def number(value: Decimal | Fraction | int) -> str:
    """A number as FHIRPath writes it: whole or decimal, and as a quotient where no decimal is exact."""
    fraction = Fraction(value)
    if fraction.denominator == 1:
        return str(fraction.numerator)
    twos, rest = 0, fraction.denominator
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
        twos = max(twos, power)
    if rest > 1:
        return f"{fraction.numerator} / {fraction.denominator}"
    digits = str(abs(fraction.numerator) * 10**twos // fraction.denominator).rjust(twos + 1, "0")
    return f"{'-' if fraction < 0 else ''}{digits[:-twos]}.{digits[-twos:]}"


def accepted(comparison: Comparison, item: Item) -> frozenset[int]:
    """The options that meet a comparison; one that is left out of scoring has no size, only ``one_of`` names it."""
    if comparison.one_of is not None:
        return frozenset(value for value in item.options if value in comparison.one_of)
    limits = (comparison.at_least, comparison.at_most, comparison.above, comparison.below)
    at_least, at_most, above, below = limits
    return frozenset(
        value
        for value in item.score_of
        if (at_least is None or value >= at_least)
        and (at_most is None or value <= at_most)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def left_out(item: Item) -> frozenset[int]:
    """The options that score nothing: answered so, an item is not in the scale."""
    return frozenset(item.options) - item.score_of.keys()


def skip_variable(place: int) -> str:
    """The name of the variable that says whether a skip holds, by its place among those of the variant."""
    return f"skip{place + 1}"


class Answers:
    """The items of an instrument under a variant, with the skips that have been taken so far."""

    def __init__(self, instrument: Instrument, variant: str, skips: int | None = None) -> None:
        self.items: Mapping[str, Item] = {item.id: item for item in instrument.items_under(variant)}
        held = [skip for skip in instrument.skips if skip.holds_under(variant)]
        self.skips: list[tuple[int, Skip]] = list(enumerate(held[:skips]))

    def skips_of(self, name: str) -> list[tuple[int, Skip]]:
        """The skips that can fill in an item, in order."""
        return [(place, skip) for place, skip in self.skips if name in skip.items]

    def worth(self, names: Iterable[str]) -> str:
        """What the answers to some items score: a collection with one number for each that scores."""
        names = list(names)
        links = [link for name in names for link in self._links(name)]
        found = f"%resource.item.where({among('linkId', links)}).answer.value.weight()"
        for name in names:
            scores = [
                None if (score := self.items[name].score_of.get(skip.answer)) is None else number(score)
                for _, skip in self.skips_of(name)
            ]
            if any(score is not None for score in scores):
                found += f".combine({self._filled(name, scores)})"
        return found

    def how_many(self, names: Iterable[str], allowed: Mapping[str, frozenset[int]]) -> str:
        """How many of some items have an answer among their allowed ones."""
        names = list(names)
        links: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for name in names:
            for link, codes in self._steps(name, allowed[name]):
                links[codes].append(link)
        terms = [
            f"%resource.item.where({among('linkId', which)} and {among('answer.value.code', codes)}).count()"
            for codes, which in links.items()
        ]
        for name in names:
            ones = ["1" if skip.answer in allowed[name] else None for _, skip in self.skips_of(name)]
            if any(ones):
                terms.append(f"{self._filled(name, ones)}.count()")
        return " + ".join(terms) or "0"

    def is_one_of(self, name: str, allowed: frozenset[int]) -> str:
        """Whether the answer to an item is one of some options; empty where it is unanswered."""
        item = self.items[name]
        if item.two_step is not None:
            no = "true" if item.two_step.no in allowed else "false"
            ratings = [str(rating) for rating, value in item.two_step.yes.items() if value in allowed]
            rating = self._code_in(f"{name}.{RATING}", ratings)
            own = f"iif({self._code(f'{name}.{GATE}')} = {quoted(NO)}, {no}, {rating})"
        else:
            own = self._code_in(name, [str(value) for value in item.options if value in allowed])
        answers = ["true" if skip.answer in allowed else "false" for _, skip in self.skips_of(name)]
        if not answers:
            return own
        return f"iif({self._unanswered(name)}, {self._chain(name, [*answers], '{}')}, {own})"

    def _links(self, name: str) -> list[str]:
        return [name] if self.items[name].two_step is None else [f"{name}.{GATE}", f"{name}.{RATING}"]

    def _steps(self, name: str, allowed: frozenset[int]) -> list[tuple[str, tuple[str, ...]]]:
        """The questions of an item with the codes by which its answer is one of the allowed ones."""
        item = self.items[name]
        if item.two_step is None:
            steps = [(name, [str(value) for value in item.options if value in allowed])]
        else:
            ratings = [str(rating) for rating, value in item.two_step.yes.items() if value in allowed]
            steps = [(f"{name}.{GATE}", [NO] if item.two_step.no in allowed else []), (f"{name}.{RATING}", ratings)]
        return [(link, tuple(codes)) for link, codes in steps if codes]

    def _unanswered(self, name: str) -> str:
        if self.items[name].two_step is None:
            return f"%resource.item.where({among('linkId', [name])}).answer.empty()"
        gate, rating = (quoted(link) for link in self._links(name))
        answered = f"linkId = {rating} or (linkId = {gate} and answer.value.code = {quoted(NO)})"
        return f"%resource.item.where({answered}).answer.empty()"

    def _filled(self, name: str, values: list[str | None]) -> str:
        """What the skips of an item fill in where it is unanswered: a value for each of them, none where it is None."""
        return f"iif({self._unanswered(name)}, {self._chain(name, values, '{}')}, {{}})"

    def _chain(self, name: str, values: list[str | None], otherwise: str) -> str:
        found = otherwise
        for (place, _), value in zip(reversed(self.skips_of(name)), reversed(values), strict=True):
            found = f"iif(%{skip_variable(place)}, {value if value is not None else '{}'}, {found})"
        return found

    @staticmethod
    def _code(link: str) -> str:
        return f"%resource.item.where({among('linkId', [link])}).answer.value.code"

    def _code_in(self, link: str, codes: list[str]) -> str:
        """Whether a question's answer has one of some codes; empty where it has no answer, also if there are none."""
        return among(self._code(link), codes) if codes else f"{self._code(link)} = ''"
