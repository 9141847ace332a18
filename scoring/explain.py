"""How a score came about: the arithmetic, step by step, as data and as one readable line a step.

The steps are worked out from the definition in exact fractions, apart from the compiled plan that made the score, so an
explanation is a second opinion: a test holds the two equal over every instrument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from instruments.conditions import ItemCondition, ScaleCondition, leaves
from instruments.parts import Sourced
from instruments.schema import Caseness, Instrument, Item, Scale, ScaleRule, Validity
from scoring.answers import checked, skip
from scoring.engine import score
from scoring.explain_goals import goals_told
from scoring.logic import accepted
from scoring.numbers import number
from scoring.plan import SkipPlan, plan_of
from scoring.result import Result, Score

_EVIDENCE = {"read": "read in the source", "memory": "from memory, to be checked", "derived": "derived, not published"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the scale or rule that it is about, what was done, and what came out."""

    about: str
    kind: str
    """``conversion``, ``skip``, ``answers``, ``combine``, ``transform``, ``missing``, ``status``, ``reading``, ``rule``
    or ``source``."""
    text: str
    value: float | bool | None = None
    inputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every step from the answers to the scores, in the order of the definition."""

    result: Result
    steps: tuple[Step, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """One readable line a step."""
        return tuple(f"{step.about}: {step.text}" for step in self.steps)

    def document(self) -> dict[str, Any]:
        """The explanation as plain data, ready for JSON."""
        return {
            "instrument": self.result.instrument,
            "version": self.result.version,
            "variant": self.result.variant,
            "steps": [
                {"about": s.about, "kind": s.kind, "text": s.text, "value": s.value, "inputs": s.inputs}
                for s in self.steps
            ],
        }


def explain(instrument: Instrument, answers: Mapping[str, Any], *, variant: str | None = None) -> Explanation:
    """Explain every score of one form; parameters and errors are those of ``score``."""
    result = score(instrument, answers, variant=variant)
    plan = plan_of(instrument, variant)
    filled = checked(plan, answers)
    before = [*_about_variant(instrument, result), *_about_steps(instrument, result, answers)]
    before += _about_skips(instrument, skip(plan, filled))
    given = dict(zip(plan.position, filled, strict=True))
    values: dict[str, Fraction | None] = {}
    told: dict[str, list[Step]] = {}
    for place in plan.order:  # a scale after those that it is made of
        scale = instrument.scales[place]
        told[scale.id] = _about_scale(instrument, scale, result, given, values)
    scales = [step for scale in instrument.scales for step in told[scale.id]]
    judged: tuple[Caseness | Validity, ...] = (*instrument.caseness, *instrument.validity)
    rules = [_about_rule(rule, result, given) for rule in judged if rule.holds_under(result.variant)]
    return Explanation(result, (*before, *scales, *rules))


def _about_variant(instrument: Instrument, result: Result) -> list[Step]:
    """Which of the published ways to score it is; nothing where there is only one."""
    for variant in instrument.variants:
        if variant.id == result.variant:
            inputs = {"variant": variant.id, "source": variant.source, "evidence": variant.evidence}
            return [Step("variant", "source", f"{variant.id}: {variant.name}; {_known(variant)}", None, inputs)]
    return []


def _about_steps(instrument: Instrument, result: Result, answers: Mapping[str, Any]) -> Iterator[Step]:
    """What a yes or no, and the rating after it, stand for."""
    for item in instrument.items_under(result.variant):
        gate, rating = (answers.get(name) for name in item.names[1:]) if item.two_step is not None else (None, None)
        if item.two_step is None or gate is None:
            continue
        if int(gate) == 0:
            yield Step(item.id, "conversion", f"no counts as {item.two_step.no}", float(item.two_step.no), {"gate": 0})
        elif rating is None:
            yield Step(item.id, "conversion", "yes, but not rated: unanswered", None, {"gate": 1})
        else:
            answer = item.two_step.yes[int(rating)]
            inputs = {"gate": 1, "rating": int(rating)}
            yield Step(item.id, "conversion", f"yes, rated {int(rating)}, counts as {answer}", float(answer), inputs)


def _about_skips(instrument: Instrument, taken: list[tuple[SkipPlan, tuple[int, ...]]]) -> Iterator[Step]:
    """Which questions were passed over, and the answer that they count with."""
    rules = {rule.id: rule for rule in instrument.skips}
    for plan, items in taken:
        rule, names = rules[plan.id], [instrument.items[item].id for item in items]
        many = "item" if len(names) == 1 else "items"
        text = f"{rule.meaning}: {many} {', '.join(names)} skipped, answered with {rule.answer}; {_known(rule)}"
        yield Step(rule.id, "skip", text, float(rule.answer), {"items": names})


def _known(part: Sourced) -> str:
    return f"source: {part.source} ({_EVIDENCE[part.evidence]})"


def _about_scale(
    instrument: Instrument,
    scale: Scale,
    result: Result,
    given: Mapping[str, int | None],
    values: dict[str, Fraction | None],
) -> list[Step]:
    rule, outcome = scale.rule_for(result.variant), result.scores[scale.id]
    items = {item.id: item for item in instrument.items_under(result.variant)}
    worth: dict[str, Fraction | None]
    if rule.goals is not None:
        told, values[scale.id] = goals_told(rule, items, given)
        return [*(Step(scale.id, *one) for one in told), *_outcome(instrument, scale, outcome)]
    if rule.items is not None:
        steps = _answers(scale.id, [items[name] for name in rule.items], given)
        worth = {name: _worth(items[name], given[name], rule) for name in rule.items}
        low = [min(items[name].score_of.values()) for name in rule.items]
        high = [max(items[name].score_of.values()) for name in rule.items]
    else:
        worth = {name: values[name] for name in rule.parts}
        shown = ", ".join(f"{name}: {'none' if value is None else number(value)}" for name, value in worth.items())
        inputs = {name: None if value is None else float(value) for name, value in worth.items()}
        steps = [Step(scale.id, "answers", f"scales {shown}", None, inputs)]
        parts = [instrument.scale(name).rule_for(result.variant) for name in rule.parts]
        low, high = [part.min for part in parts], [part.max for part in parts]
    present = {name: value for name, value in worth.items() if value is not None}
    absent = [part for part in rule.parts if part not in present]
    outside = [part for part in absent if _does_not_apply(part, rule, result, given)]
    why = _why_none(rule, absent, outside)
    values[scale.id] = None
    if why is not None:
        steps.append(Step(scale.id, "missing", f"no score: {why}", None, {"without": absent}))
    else:
        if outside and rule.missing.rule == "applicable":
            text = f"{', '.join(outside)} left out: the value is made of what applies"
            steps.append(Step(scale.id, "missing", text, None, {"without": outside}))
        total = _combine(steps, scale.id, rule, present)
        weights = [Fraction(rule.weights[name]) if rule.weights else Fraction(1) for name in rule.parts]
        ends = [sorted((Fraction(a) * w, Fraction(b) * w)) for a, b, w in zip(low, high, weights, strict=True)]
        span = (sum((end[0] for end in ends), Fraction(0)), sum((end[1] for end in ends), Fraction(0)))
        values[scale.id] = _transform(steps, scale.id, rule, total, span)
    return [*steps, *_outcome(instrument, scale, outcome)]


def _outcome(instrument: Instrument, scale: Scale, outcome: Score) -> list[Step]:
    """The status, how the value is read, and what the rule rests on."""
    status = Step(scale.id, "status", f"{outcome.status.replace('_', ' ')}", outcome.value)
    rests_on = {"source": scale.source, "evidence": scale.evidence}
    source = Step(scale.id, "source", f"scoring rule; {_known(scale)}", None, rests_on)
    return [status, *_readings(instrument, scale, outcome), source]


def _does_not_apply(part: str, rule: ScaleRule, result: Result, given: Mapping[str, int | None]) -> bool:
    """Whether a part without a value is one that does not apply, and not one that is unanswered."""
    return given[part] is not None if rule.items is not None else result.scores[part].status == "not_applicable"


def _why_none(rule: ScaleRule, absent: list[str], outside: list[str]) -> str | None:
    """Why there is no score; None where there is one."""
    parts, present = len(rule.parts), len(rule.parts) - len(absent)
    needed = rule.missing.min_answered or parts
    kind = "items" if rule.items is not None else "scales"
    have, are = "has" if present == 1 else "have", "is" if needed == 1 else "are"
    if present < needed:
        return f"{present} of {parts} {kind} {have} a value, {needed} {are} needed"
    lacking = [part for part in rule.missing.required if part in absent]
    if lacking:
        return f"{', '.join(lacking)} cannot be made up for"
    if rule.missing.rule == "applicable" and len(outside) < len(absent):
        return f"{', '.join(part for part in absent if part not in outside)} unanswered, all that applies is needed"
    return None


def _answers(scale: str, items: list[Item], given: Mapping[str, int | None]) -> list[Step]:
    shown = ", ".join(f"{item.id}: {'none' if given[item.id] is None else given[item.id]}" for item in items)
    steps = [Step(scale, "answers", f"items {shown}", None, {item.id: given[item.id] for item in items})]
    for item in items:
        answer = given[item.id]
        outside = next((option for option in item.not_applicable if option.value == answer), None)
        if outside is not None:
            how = f"counts {number(Fraction(item.score_of[outside.value]))}" if outside.scored else "is left out"
            text = f"item {item.id}: {answer} means {outside.meaning.replace('-', ' ')} and {how}"
            steps.append(Step(scale, "answers", text, None, {item.id: answer}))
        elif answer is not None and item.score_of[answer] != answer:
            turned = f"{min(item.substantive)} + {max(item.substantive)} - {answer} = " if item.reverse else ""
            scored = Fraction(item.score_of[answer])
            text = f"item {item.id}: {answer} scores {turned}{number(scored)}"
            steps.append(Step(scale, "answers", text, float(scored), {item.id: answer}))
    return steps


def _worth(item: Item, answer: int | None, rule: ScaleRule) -> Fraction | None:
    """What an answer is worth to a scale; None where it is missing or left out."""
    if answer is None or answer not in item.score_of:
        return None
    return (
        Fraction(answer in accepted(rule.counts, item)) if rule.counts is not None else Fraction(item.score_of[answer])
    )


def _combine(steps: list[Step], scale: str, rule: ScaleRule, present: Mapping[str, Fraction]) -> Fraction:
    weights = {name: Fraction(rule.weights[name]) if rule.weights else Fraction(1) for name in present}
    total = sum((present[name] * weights[name] for name in present), Fraction(0))
    terms = " + ".join(
        number(value) if weights[name] == 1 else f"{number(value)} x {number(weights[name])}"
        for name, value in present.items()
    )
    inputs = {name: float(value) for name, value in present.items()}
    n, k = len(rule.parts), len(present)
    steps.append(Step(scale, "combine", f"{terms} = {number(total)}", float(total), inputs))
    if rule.method == "mean":
        steps.append(Step(scale, "combine", f"mean: {number(total)} / {k} = {number(total / k)}", float(total / k)))
        return total / k
    if k < n and rule.missing.rule != "applicable":
        whole = total * n / k
        text = f"prorated: {number(total)} x {n} / {k} = {number(whole)}"
        steps.append(Step(scale, "combine", text, float(whole)))
        return whole
    return total


def _transform(
    steps: list[Step], scale: str, rule: ScaleRule, value: Fraction, span: tuple[Fraction, Fraction]
) -> Fraction:
    """Factor, offset, rescaling and limits; ``span`` is what the parts can add up to."""
    if rule.rescale is not None:
        low, high = (end / len(rule.parts) for end in span) if rule.method == "mean" else span
        if rule.method == "count":
            low, high = Fraction(0), Fraction(len(rule.parts))
        bottom, top = (Fraction(end) for end in rule.rescale)
        new = bottom + (value - low) * (top - bottom) / (high - low)
        ends = f"{number(low)}..{number(high)} onto {number(bottom)}..{number(top)}"
        steps.append(Step(scale, "transform", f"{number(value)} of {ends} = {number(new)}", float(new)))
        value = new
    if rule.factor != 1:
        new = value * Fraction(rule.factor)
        text = f"{number(value)} x {number(Fraction(rule.factor))} = {number(new)}"
        steps.append(Step(scale, "transform", text, float(new)))
        value = new
    if rule.offset != 0:
        new = value + Fraction(rule.offset)
        text = f"{number(value)} + {number(Fraction(rule.offset))} = {number(new)}"
        steps.append(Step(scale, "transform", text, float(new)))
        value = new
    if rule.clamp and not Fraction(rule.min) <= value <= Fraction(rule.max):
        new = min(max(value, Fraction(rule.min)), Fraction(rule.max))
        text = f"{number(value)} lies outside {number(Fraction(rule.min))}..{number(Fraction(rule.max))}: {number(new)}"
        steps.append(Step(scale, "transform", text, float(new)))
        value = new
    return value


def _readings(instrument: Instrument, scale: Scale, outcome: Score) -> list[Step]:
    """Bands and cutoffs, or why there are none."""
    if outcome.value is None:
        return []
    steps: list[Step] = []
    if not outcome.valid:
        why = [rule.id for rule in instrument.validity if rule.suppress and rule.id in outcome.flags]
        return [Step(scale.id, "reading", f"not interpreted: {', '.join(why)}", None, {"flags": why})]
    cutoffs = {cutoff.id: cutoff for cutoff in instrument.cutoffs}
    for crossing in outcome.cutoffs:
        cutoff = cutoffs[crossing.id]
        words = cutoff.in_words() if crossing.crossed else cutoff.in_words().replace("is ", "is not ", 1)
        crossed = "crossed" if crossing.crossed else "not crossed"
        text = f"{number(outcome.value)} {words}: cutoff {crossed} ({cutoff.meaning}); {_known(cutoff)}"
        inputs = {"cutoff": cutoff.id, "source": cutoff.source, "evidence": cutoff.evidence}
        steps.append(Step(scale.id, "reading", text, crossing.crossed, inputs))
    if outcome.band is not None:
        bands = next(bands for bands in instrument.bands if bands.id == outcome.band_set and bands.scale == scale.id)
        inputs = {"band": outcome.band, "band_set": bands.id, "source": bands.source, "evidence": bands.evidence}
        text = f"{number(outcome.value)} lies in band {outcome.band!r} ({bands.id}); {_known(bands)}"
        steps.append(Step(scale.id, "reading", text, None, inputs))
    return steps


def _about_rule(rule: Caseness | Validity, result: Result, given: Mapping[str, int | None]) -> Step:
    met: bool | None
    if isinstance(rule, Caseness):
        met, kind = result.caseness[rule.id], "caseness"
    else:
        met, kind = any(flag.id == rule.id for flag in result.flags), "validity"
    inputs: dict[str, Any] = {}
    for leaf in leaves(rule.when):
        match leaf:
            case ScaleCondition():
                inputs[leaf.scale] = result.scores[leaf.scale].value
            case ItemCondition():
                inputs[leaf.item] = given[leaf.item]
            case _:
                inputs |= {name: given[name] for name in leaf.count}
    word = {True: "met", False: "not met", None: "open, unanswered items could decide it"}[met]
    # what a rule says is put in brackets where it does not hold, so that nobody reads it as said
    said = f": {rule.meaning}" if met else f" ({rule.meaning})"
    text = f"{kind} rule {word}{said}; {_known(rule)}"
    return Step(rule.id, "rule", text, met, inputs)
