"""A third way to score, for comparison only: slow, simple, and written from what the schema says alone.

Everything is a ``Fraction`` and every form is worked out anew. It shares no code with ``scoring``: no plan, no
denominators, no look-up tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from instruments.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    CountCondition,
    ItemCondition,
    NotOf,
    ScaleCondition,
)
from instruments.parts import Scoped
from instruments.schema import Goal, Instrument, Item, ScaleRule
from tests.scoring.reference_ranges import nearest, printed, spans, t_above, transformed, worth

Rule = TypeVar("Rule", bound=Scoped)


@dataclass(frozen=True)
class Expected:
    """What one scale must be."""

    value: Fraction | None
    status: str
    reason: tuple[str, tuple[str, ...]] | None
    answered: int
    missing: int
    not_applicable: int
    band: str | None
    cutoffs: dict[str, bool]
    flags: tuple[str, ...]
    valid: bool


@dataclass(frozen=True)
class ExpectedResult:
    """What one form must be."""

    scores: dict[str, Expected]
    caseness: dict[str, bool | None]
    flags: tuple[str, ...]
    alerts: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Value:
    """A scale before it is interpreted."""

    value: Fraction | None
    status: str
    reason: tuple[str, tuple[str, ...]] | None
    goals: tuple[int, int, int] | None = None
    """Of a weighted T: how many goals are rated, in use but not rated, and not in use."""


def meets(comparison: Comparison, value: Fraction) -> bool:
    if comparison.one_of is not None:
        return any(value == Fraction(other) for other in comparison.one_of)
    if comparison.at_least is not None:
        return value >= Fraction(comparison.at_least)
    if comparison.at_most is not None:
        return value <= Fraction(comparison.at_most)
    if comparison.above is not None:
        return value > Fraction(comparison.above)
    assert comparison.below is not None
    return value < Fraction(comparison.below)


def answer_meets(comparison: Comparison, item: Item, answer: int) -> bool:
    """A raw answer compared. An option that is left out has no size: only ``one_of`` can name it."""
    if worth(item, answer) is None and comparison.one_of is None:
        return False
    return meets(comparison, Fraction(answer))


def combined(rule: ScaleRule, parts: Mapping[str, Fraction], n: int) -> Fraction:
    """Sum, mean or count of those parts that have a value; unless only what applies counts, as if all had one."""
    total = Fraction(0)
    for name, value in parts.items():
        total += value * (Fraction(rule.weights[name]) if rule.weights is not None else 1)
    if rule.method == "mean":
        return total / len(parts)
    return total if rule.missing.rule == "applicable" else total * n / len(parts)


class Reference:
    """One instrument under one variant."""

    def __init__(self, instrument: Instrument, variant: str | None = None) -> None:
        self.instrument = instrument
        self.variant = variant or instrument.variant_ids[0]
        self.items = printed(instrument, self.variant)

    def held(self, rules: tuple[Rule, ...]) -> list[Rule]:
        """Those that hold under the variant."""
        return [rule for rule in rules if rule.variants is None or self.variant in rule.variants]

    def converted(self, given: Mapping[str, int | None]) -> dict[str, int | None]:
        """Answers by item, with each yes or no and its rating put together."""
        answers = {name: given.get(name) for name in self.items}
        for name, item in self.items.items():
            if item.two_step is not None and given.get(f"{name}.gate") is not None:
                rating = given.get(f"{name}.rating")
                yes = None if rating is None else item.two_step.yes[rating]
                answers[name] = yes if given[f"{name}.gate"] == 1 else item.two_step.no
        return answers

    def result(self, given: Mapping[str, int | None]) -> ExpectedResult:
        """Score the answers, which must be options of their items, or steps that go together."""
        answers = self.converted(given)
        unanswered = {name for name, answer in answers.items() if answer is None}
        for skip in self.held(self.instrument.skips):
            if self.holds(skip.when, answers, {}) is True:
                answers |= {name: skip.answer for name in skip.items if answers[name] is None}
        skipped = tuple(name for name in self.items if name in unanswered and answers[name] is not None)
        values: dict[str, Value] = {}
        for scale in self.instrument.scales:
            self._value(scale.id, answers, values)
        flags = [v for v in self.held(self.instrument.validity) if self.holds(v.when, answers, values) is True]
        scores = {}
        for scale in self.instrument.scales:
            own = [flag for flag in flags if scale.id in flag.scales]
            valid = not any(flag.suppress for flag in own)
            got = values[scale.id]
            leaves = self._leaves(scale.id)
            na = [
                name
                for name in leaves
                if answers.get(name) in {option.value for option in self.items[name].not_applicable}
            ]
            missing = [name for name in leaves if answers.get(name) is None]
            read = valid and got.value is not None
            scores[scale.id] = Expected(
                got.value,
                got.status,
                got.reason,
                *(got.goals or (len(leaves) - len(missing) - len(na), len(missing), len(na))),
                self.band(scale.id, got.value) if read and got.value is not None else None,
                {
                    c.id: meets(c, got.value)
                    for c in self.held(self.instrument.cutoffs)
                    if read and got.value is not None and c.primary and c.scale == scale.id
                },
                tuple(flag.id for flag in own),
                valid,
            )
        return ExpectedResult(
            scores,
            {rule.id: self.holds(rule.when, answers, values) for rule in self.held(self.instrument.caseness)},
            tuple(flag.id for flag in flags),
            tuple(a.id for a in self.held(self.instrument.alerts) if self.holds(a.when, answers, values) is True),
            skipped,
        )

    def _value(self, scale_id: str, answers: Mapping[str, int | None], values: dict[str, Value]) -> Value:
        if scale_id in values:
            return values[scale_id]
        rule = self.instrument.scale(scale_id).rule_for(self.variant)
        if rule.goals is not None:
            values[scale_id] = self._weighted_t(rule, rule.goals, answers)
            return values[scale_id]
        present: dict[str, Fraction] = {}
        unanswered, left_out, prorated = [], [], []
        for name in rule.parts:
            if rule.items is not None:
                answer = answers.get(name)
                value = None if answer is None else worth(self.items[name], answer)
                if value is not None and answer is not None and rule.counts is not None:
                    value = Fraction(int(answer_meets(rule.counts, self.items[name], answer)))
                absent = unanswered if answer is None else left_out
            else:
                part = self._value(name, answers, values)
                value = part.value
                absent = left_out if part.status == "not_applicable" else unanswered
                if part.status == "prorated":
                    prorated.append(name)
            if value is None:
                absent.append(name)
            else:
                present[name] = value
        values[scale_id] = self._settled(rule, present, unanswered, left_out, prorated)
        return values[scale_id]

    def _weighted_t(self, rule: ScaleRule, goals: tuple[Goal, ...], answers: Mapping[str, int | None]) -> Value:
        rated, open_, unused, dropped = [], [], [], 0
        for goal in goals:
            needed = [name for name in (goal.rating, goal.minus, goal.needs) if name is not None]
            scored = {name: self._worth_of(name, answers) for name in (*needed, goal.weight)}
            weight, without = scored[goal.weight], [name for name in needed if answers[name] is None]
            if weight is None or weight == 0 or any(scored[n] is None and answers[n] is not None for n in needed):
                unused.append(goal.rating)
            elif without:
                open_ += [name for name in without if name not in open_]
                dropped += 1
            else:
                less = scored[goal.minus] if goal.minus is not None else Fraction(0)
                rating = scored[goal.rating]
                assert rating is not None
                assert less is not None
                rated.append((weight, rating - less))
        counts = (len(rated), dropped, len(unused))
        assert rule.missing.min_answered is not None
        reason = ("items-unanswered", tuple(open_)) if dropped else None
        if len(rated) < rule.missing.min_answered:
            if dropped:
                return Value(None, "insufficient", reason, counts)
            return Value(None, "not_applicable", ("items-not-applicable", tuple(unused)), counts)
        value = Fraction(rule.offset) + nearest(t_above(rule, rated))
        return Value(value, "prorated" if dropped else "complete", reason, counts)

    def _worth_of(self, name: str, answers: Mapping[str, int | None]) -> Fraction | None:
        answer = answers[name]
        return None if answer is None else worth(self.items[name], answer)

    def _settled(
        self,
        rule: ScaleRule,
        present: dict[str, Fraction],
        unanswered: list[str],
        left_out: list[str],
        prorated: list[str],
    ) -> Value:
        without = "items-unanswered" if rule.items is not None else "scales-without-value"
        needed = len(rule.parts) if rule.missing.rule == "all" else rule.missing.min_answered
        assert needed is not None
        applicable = rule.missing.rule == "applicable"
        lacking = any(name not in present for name in rule.missing.required)
        if len(present) < needed or lacking or (applicable and unanswered):
            if unanswered:
                return Value(None, "insufficient", (without, tuple(unanswered)))
            outside = "items-not-applicable" if rule.items is not None else "scales-without-value"
            return Value(None, "not_applicable", (outside, tuple(left_out)))
        ends = spans(self.instrument, rule, self.variant)
        value = transformed(rule, combined(rule, present, len(rule.parts)), ends)
        if rule.clamp:
            value = min(max(value, Fraction(rule.min)), Fraction(rule.max))
        kind = without if unanswered or rule.scales is not None else "items-not-applicable"
        if (unanswered or left_out) and not applicable:
            return Value(value, "prorated", (kind, (*unanswered, *left_out)))
        if prorated:
            return Value(value, "prorated", ("scales-prorated", tuple(prorated)))
        return Value(value, "complete", (kind, tuple(left_out)) if left_out else None)

    def _leaves(self, scale_id: str) -> list[str]:
        rule = self.instrument.scale(scale_id).rule_for(self.variant)
        if rule.scales is None:
            return list(rule.parts)
        return list(dict.fromkeys(leaf for name in rule.parts for leaf in self._leaves(name)))

    def band(self, scale_id: str, value: Fraction) -> str | None:
        """A value between two bands belongs to the lower one; outside all bands there is none."""
        for bands in self.held(self.instrument.bands):
            if bands.scale == scale_id and bands.default:
                for band, following in zip(bands.bands, (*bands.bands[1:], None), strict=True):
                    inside = value <= Fraction(band.max) if following is None else value < Fraction(following.min)
                    if Fraction(band.min) <= value and inside:
                        return band.label
        return None

    def holds(
        self, condition: Condition, answers: Mapping[str, int | None], values: Mapping[str, Value]
    ) -> bool | None:
        """Kleene's three values, one connective at a time, through numbers: false 0, unknown 1/2, true 1."""
        return {0: False, 1: None, 2: True}[self._degree(condition, answers, values)]

    def _degree(self, condition: Condition, answers: Mapping[str, int | None], values: Mapping[str, Value]) -> int:
        match condition:
            case AllOf():
                return min(self._degree(part, answers, values) for part in condition.all_)
            case AnyOf():
                return max(self._degree(part, answers, values) for part in condition.any_)
            case NotOf():
                return 2 - self._degree(condition.not_, answers, values)
            case ItemCondition():
                return self._item_degree(condition, condition.item, answers)
            case ScaleCondition():
                value = values[condition.scale].value
                return 1 if value is None else 2 * int(meets(condition, value))
            case CountCondition():
                each = [self._item_degree(condition, name, answers) for name in condition.count]
                if condition.or_missing:
                    each = [2 if degree == 1 else degree for degree in each]
                # the needed-th best decides: met if it is met, open if it is open
                return sorted(each, reverse=True)[condition.needed - 1]

    def _item_degree(self, comparison: Comparison, name: str, answers: Mapping[str, int | None]) -> int:
        answer = answers.get(name)
        return 1 if answer is None else 2 * int(answer_meets(comparison, self.items[name], answer))
