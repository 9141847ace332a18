"""Random instruments and random answers, for laws that must hold for every definition that can be written.

The definitions are valid by construction: ``min`` and ``max`` of each scale are worked out with the reference, apart
from the code under test. They use all that the schema knows: gaps and negative options, reversing, score maps,
not-applicable options that are scored or left out, sums, means, counts, weights, factors, offsets, rescaling,
clamping, prorating, required parts, what applies only, weighted T scores, scales over scales in several levels,
variants of items, scales and rules, items in two steps, skips, bands, cutoffs, rules, validity and alerts.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

import instruments
from instruments.loader import definition_from
from instruments.schema import Instrument, Item, Scale, ScaleRule
from scoring.errors import PlanError
from scoring.plan import plan_of
from tests.scoring.reference_ranges import raw_range, removable, spans, sums, t_limits, transformed
from tests.scoring.strategies_items import Draw, Form, items, steps_of

# ids that the schema allows and that would hurt if they ever became code
ITEM_IDS = ("1", "2", "10", "003", "a.b", "Q-7", "x_1", "import", "None", "answers", "w0", "K0", "p0", "A", "a", "1e3")
WEIGHT_IDS = ("w.1", "w.2")
SCALE_IDS = ("total", "sub-1", "p1", "w1", "return", "lambda", "0", "set", "plan", "s0", "len", "tuple")
FACTORS = ("1", "0.6", "0.3", "2", "-1", "0.125", "-0.4", "10", "0.07")
SOURCED = {"source": "invented", "evidence": "derived"}


def terminating(value: Fraction) -> bool:
    """Whether a fraction can be written as a decimal."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def text(value: Fraction) -> str:
    """A fraction as the decimal that it is."""
    assert terminating(value)
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
    return format(Decimal((value * 10**places).numerator).scaleb(-places), "f")


def limits(draw: Draw, rule: dict[str, Any], low: Fraction, high: Fraction, *, must_clamp: bool) -> None:
    """Give a rule its ``min``, ``max`` and, where it is needed or wanted, ``clamp``."""
    assume(low < high)
    ends = terminating(low) and terminating(high)
    if must_clamp or not ends or draw(st.integers(0, 4)) == 0:
        step = (high - low) / draw(st.sampled_from((4, 7, 100)))
        inner_low = low if ends else Fraction(math.ceil((low + step / 3) * 1000), 1000)
        inner_high = high if ends else Fraction(math.floor((high - step / 3) * 1000), 1000)
        if ends and draw(st.booleans()):
            inner_low = Fraction(math.ceil((low + step) * 1000), 1000)
        assume(low <= inner_low < inner_high <= high)
        rule |= {"clamp": True, "min": text(inner_low), "max": text(inner_high)}
    else:
        rule |= {"clamp": False, "min": text(low), "max": text(high)}


def ranged(
    draw: Draw, rule: dict[str, Any], made: list[dict[str, Any]], item_models: list[Item], variant: str
) -> dict[str, Any]:
    """A rule with its limits, from the limits of its parts."""
    shape = ScaleRule.model_validate(rule | {"min": -1, "max": 1})
    world = Instrument.model_construct(
        items=tuple(item_models), scales=tuple(Scale.model_validate(scale) for scale in made)
    )
    ends = spans(world, shape, variant)
    raw_low, raw_high = raw_range(shape, ends)
    assume(raw_low < raw_high)
    not_enlarged = shape.missing.rule == "applicable" and shape.method != "mean"
    if not_enlarged:
        raw_low, raw_high = sums(shape, ends, removable(world, shape, variant))
    low, high = sorted((transformed(shape, raw_low, ends), transformed(shape, raw_high, ends)))
    strict = shape.missing.rule == "all" or shape.missing.min_answered == len(shape.parts) or not_enlarged
    limits(draw, rule, low, high, must_clamp=not strict and len(set(ends)) > 1)
    return rule


def missing_rule(draw: Draw, parts: list[str], *, may_apply: bool) -> dict[str, Any]:
    kind = draw(st.sampled_from(("all", "all", "prorate", "prorate", *(["applicable"] if may_apply else []))))
    if kind == "all":
        return {"rule": "all"}
    rule = {"rule": kind, "min_answered": draw(st.integers(1, len(parts)))}
    if kind == "prorate" and draw(st.integers(0, 3)) == 0:
        rule["required"] = draw(st.lists(st.sampled_from(parts), min_size=1, max_size=2, unique=True))
    return rule


def comparison(draw: Draw, near: st.SearchStrategy[Any]) -> dict[str, Any]:
    kind = draw(st.sampled_from(("at_least", "at_most", "above", "below", "one_of")))
    return {kind: draw(st.lists(near, min_size=1, max_size=3)) if kind == "one_of" else draw(near)}


def answer_near(given: list[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Numbers on and beside options."""
    values = sorted({value for item in given for value in item["options"]})
    return st.sampled_from([*values, *[f"{value}.5" for value in values], values[0] - 1, values[-1] + 1])


@st.composite
def scales(
    draw: Draw, scale_id: str, item_dicts: list[dict[str, Any]], made: list[dict[str, Any]], variants: list[str]
) -> dict[str, Any]:
    """One scale over items, or over scales that were made before."""
    models = [Item.model_validate(item) for item in item_dicts]
    over_scales = bool(made) and draw(st.booleans())
    pool = [part["id"] for part in (made if over_scales else item_dicts)]
    parts = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=len(pool), unique=True))
    rule: dict[str, Any] = {"scales" if over_scales else "items": parts}
    rule["method"] = draw(st.sampled_from(("sum", "sum", "mean") if over_scales else ("sum", "sum", "mean", "count")))
    change = draw(st.sampled_from(("none", "none", "factor", "affine", "rescale")))
    may_apply = change != "rescale" or rule["method"] == "mean"
    rule["missing"] = missing_rule(draw, parts, may_apply=may_apply)
    if rule["method"] == "count":
        rule["counts"] = comparison(draw, answer_near(item_dicts))
    if rule["method"] == "sum" and rule["missing"]["rule"] == "all" and draw(st.integers(0, 3)) == 0:
        rule["weights"] = {name: draw(st.sampled_from(("1", "2", "0.5", "-1", "0.25", "3.3"))) for name in parts}
    if change in ("factor", "affine"):
        rule["factor"] = draw(st.sampled_from(FACTORS))
    if change == "affine":
        rule["offset"] = draw(st.sampled_from(("1", "-3", "0.5", "100", "-0.05")))
    if change == "rescale":
        rule["rescale"] = draw(st.sampled_from((["0", "100"], ["1.2", "6"], ["-1", "1"])))
    head = {"id": scale_id, "name": "A scale", "higher_is": draw(st.sampled_from(("better", "worse", "neither")))}
    base = ranged(draw, dict(rule), made, models, variants[0])
    scale = head | SOURCED | base | {"variants": {}}
    for variant in variants[1:]:
        own = dict(rule)
        if "weights" not in rule and draw(st.booleans()):
            own["missing"] = missing_rule(draw, parts, may_apply=may_apply)
        if "rescale" not in rule and draw(st.integers(0, 2)) == 0:
            own["factor"] = draw(st.sampled_from(FACTORS))
        own = ranged(draw, own, made, models, variant)
        scale["variants"][variant] = {
            key: own[key] for key in ("missing", "factor", "clamp", "min", "max") if key in own
        }
    return scale


@st.composite
def goal_scales(draw: Draw, scale_id: str, item_dicts: list[dict[str, Any]], variants: list[str]) -> dict[str, Any]:
    """One weighted T score. Ratings far apart would need more than 53 bits; those of other items are small."""
    small = [item["id"] for item in item_dicts if max(map(abs, item["options"])) <= 40]
    weights = draw(st.sampled_from((WEIGHT_IDS[:1], WEIGHT_IDS)))
    pool = [name for name in small if name not in weights]
    assume(pool)
    ratings = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4, unique=True))
    goals: list[dict[str, str]] = []
    for rating in ratings:
        goal = {"rating": rating, "weight": draw(st.sampled_from(weights))}
        others = [name for name in pool if name != rating]
        if others and draw(st.booleans()):
            more = draw(st.lists(st.sampled_from(others), min_size=1, max_size=2, unique=True))
            goal |= dict(zip(draw(st.permutations(("minus", "needs"))), more, strict=False))
        goals.append(goal)
    rule: dict[str, Any] = {
        "method": "weighted-t",
        "goals": goals,
        "correlation": draw(st.sampled_from(("0.3", "0", "1", "0.25"))),
        "factor": draw(st.sampled_from(("10", "1", "-2.5"))),
        "offset": draw(st.sampled_from(("50", "0", "-0.5"))),
        "missing": {"rule": "prorate", "min_answered": draw(st.integers(1, len(goals)))},
    }
    world = Instrument.model_construct(items=tuple(Item.model_validate(item) for item in item_dicts))
    shape = ScaleRule.model_validate(rule | {"min": -1, "max": 1})
    scale = {"id": scale_id, "name": "A scale", "higher_is": "better", "variants": {}} | SOURCED | rule
    for variant in reversed(variants):
        low, high = t_limits(world, shape, variant)
        ends = {"min": str(low), "max": str(high)}
        if variant == variants[0]:
            return scale | ends
        scale["variants"][variant] = ends
    raise AssertionError("there is always a first variant")


def conditions(
    draw: Draw, given: list[dict[str, Any]], made: list[dict[str, Any]], depth: int, *, raw: bool
) -> dict[str, Any]:
    """A condition over items, counts and, unless ``raw``, scales."""
    kinds = ["item", "count", *([] if raw else ["scale"]), *(["all", "any", "not"] if depth else [])]
    kind = draw(st.sampled_from(kinds))
    if kind == "item":
        item = draw(st.sampled_from(given))
        return {"item": item["id"], **comparison(draw, answer_near([item]))}
    if kind == "count":
        chosen = draw(st.lists(st.sampled_from(given), min_size=1, max_size=len(given), unique_by=lambda i: i["id"]))
        return {
            "count": [item["id"] for item in chosen],
            "needed": draw(st.integers(1, len(chosen))),
            "or_missing": draw(st.booleans()),
            **comparison(draw, answer_near(chosen)),
        }
    if kind == "scale":
        scale = draw(st.sampled_from(made))
        return {"scale": scale["id"], **comparison(draw, value_near(scale))}
    if kind == "not":
        return {"not": conditions(draw, given, made, depth - 1, raw=raw)}
    return {kind: [conditions(draw, given, made, depth - 1, raw=raw) for _ in range(draw(st.integers(1, 3)))]}


def value_near(scale: dict[str, Any]) -> st.SearchStrategy[str]:
    """Numbers in and beside the range of a scale."""
    low, high = Fraction(scale["min"]), Fraction(scale["max"])
    steps = [low + (high - low) * k / 16 for k in range(-2, 19)]
    return st.sampled_from([text(Fraction(round(step * places), places)) for step in steps for places in (1, 10, 100)])


def scope(draw: Draw, variants: list[str]) -> dict[str, Any]:
    """The variants that a rule holds under; mostly all."""
    if len(variants) == 1 or draw(st.integers(0, 2)):
        return {}
    return {"variants": draw(st.lists(st.sampled_from(variants), min_size=1, unique=True))}


@st.composite
def skips(draw: Draw, number: int, given: list[dict[str, Any]], variants: list[str]) -> dict[str, Any]:
    """One skip, with an answer that all its items have under every variant."""
    answer = draw(st.sampled_from(sorted({value for item in given for value in item["options"]})))
    able = [item["id"] for item in given if answer in item["options"]]
    head = {"id": f"skip-{number}", "meaning": "something", "when": conditions(draw, given, [], 2, raw=True)}
    chosen = draw(st.lists(st.sampled_from(able), min_size=1, unique=True))
    return head | {"items": chosen, "answer": answer} | SOURCED | scope(draw, variants)


@st.composite
def band_sets(draw: Draw, scale: dict[str, Any], number: int, *, default: bool) -> dict[str, Any]:
    cuts = sorted({Fraction(value) for value in draw(st.lists(value_near(scale), min_size=4, max_size=8))})
    assume(len(cuts) >= 4)
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    bands = [{"label": f"band {k}", "min": text(low), "max": text(high)} for k, (low, high) in enumerate(pairs)]
    return {"id": f"set-{number}", "scale": scale["id"], "default": default, "bands": bands} | SOURCED


@st.composite
def definitions(draw: Draw) -> dict[str, Any]:
    """A definition as plain data."""
    ids = draw(st.lists(st.sampled_from(ITEM_IDS), min_size=1, max_size=6, unique=True))
    variants = draw(st.sampled_from((["standard"], ["strict", "other"])))
    given = [draw(items(item_id, variants)) for item_id in ids]
    has_goals = draw(st.integers(0, 3)) == 0
    if has_goals:
        weights = draw(st.sampled_from(([0, 1], [1, 2, 9], [0, 3, 2, 1])))
        given += [{"id": name, "topic": "a weight", "options": weights} for name in WEIGHT_IDS]
    names = [name for name in draw(st.permutations(SCALE_IDS)) if name not in ids]
    made: list[dict[str, Any]] = []
    for name in names[: draw(st.integers(1, 5))]:
        made.append(draw(scales(name, given, made, variants)))
    if has_goals:
        made.append(draw(goal_scales("t-score", given, variants)))
    rules = {
        kind: [
            {
                "id": f"{kind}-{number}",
                "meaning": "something",
                "when": conditions(draw, given, made, 3, raw=False),
            }
            | SOURCED
            | scope(draw, variants)
            for number in range(draw(st.integers(0, 2)))
        ]
        for kind in ("caseness", "validity", "alerts")
    }
    for rule in rules["validity"]:
        chosen = st.lists(st.sampled_from([scale["id"] for scale in made]), min_size=1, unique=True)
        rule |= {"scales": draw(chosen), "suppress": draw(st.booleans())}
    for rule in rules["alerts"]:
        rule["severity"] = "urgent"
    rules["skips"] = [draw(skips(number, given, variants)) for number in range(draw(st.integers(0, 2)))]
    sets = []
    for number, scale in enumerate(made):
        if draw(st.integers(0, 2)) == 0:
            if len(variants) > 1 and draw(st.booleans()):  # each variant with a default of its own
                own = [draw(band_sets(scale, number + 100 * k, default=True)) for k in range(len(variants))]
                sets += [bands | {"variants": [name]} for bands, name in zip(own, variants, strict=True)]
                continue
            sets.append(draw(band_sets(scale, number, default=True)))
            if draw(st.booleans()):
                sets.insert(draw(st.integers(0, len(sets))), draw(band_sets(scale, number + 50, default=False)))
    cutoffs = []
    for number in range(draw(st.integers(0, 3))):
        scale = draw(st.sampled_from(made))
        side = draw(st.sampled_from(("at_least", "at_most", "above", "below")))
        cutoff = {"id": f"cut-{number}", "scale": scale["id"], "meaning": "something", side: draw(value_near(scale))}
        cutoffs.append(cutoff | {"primary": draw(st.integers(0, 3)) > 0} | SOURCED | scope(draw, variants))
    made = draw(st.permutations(made))  # a scale may stand before those that it is made of
    declared = [] if variants == ["standard"] else [{"id": v, "name": "a way"} | SOURCED for v in variants]
    return plain(items=given, scales=made, variants=declared, bands=sets, cutoffs=cutoffs, **rules)


def plain(**parts: Any) -> dict[str, Any]:
    """A definition with the members that every one needs; ``items`` and ``scales`` must be given."""
    return {
        "code": "lamp",
        "version": 1,
        "name": "Lamplight Ease Scale (invented)",
        "measures": "nothing",
        "concerns": ["nothing"],
        "population": "nobody",
        "applicability": {"partner": "not-needed", "activity": "not-needed"},
        "recall": "none",
        "citation": {"authors": "nobody", "year": 2000, "journal": "none"},
        "licence": {"status": "public-domain", "holder": "nobody", "terms": "none"},
    } | parts


def compiles(instrument: Instrument) -> bool:
    """Whether its numbers fit 53 bits: a scale of rescaled scales may need more, and is refused for that."""
    try:
        for variant in instrument.variant_ids:
            plan_of(instrument, variant)
    except PlanError as error:
        if "53 bits" in str(error):
            return False
        raise
    return True


def invented() -> st.SearchStrategy[Instrument]:
    """Random instruments, read as a definition file is."""
    return definitions().map(definition_from).filter(compiles)


CATALOGUE = [instruments.load(code) for code in instruments.catalogue().codes]


def any_instrument() -> st.SearchStrategy[Instrument]:
    """Those of the catalogue, and random ones."""
    return st.one_of(invented(), st.sampled_from(CATALOGUE))


@st.composite
def forms(draw: Draw, instrument: Instrument, *, variant: str | None = None, complete: bool | None = None) -> Form:
    """Valid answers. ``complete``: every item answered with an option that applies (None: mostly, or by chance)."""
    kind = draw(st.sampled_from(("complete", "gaps", "any", "empty"))) if complete is None else ""
    if kind == "empty":
        return {}
    answers: Form = {}
    for item in instrument.items_under(variant or instrument.variant_ids[0]):
        substantive = complete or (kind in ("complete", "gaps") and draw(st.integers(0, 9)) > 0)
        options = item.substantive if substantive else item.options
        value = draw(st.sampled_from(options))
        if complete or kind == "complete" or draw(st.integers(0, 9 if kind == "gaps" else 1)) > 0:
            in_steps = item.two_step is not None and not complete and draw(st.booleans())
            answers |= steps_of(item, value) if in_steps else {item.id: value}
        elif draw(st.booleans()):
            answers[item.id] = None
        elif item.two_step is not None:
            answers |= {f"{item.id}.gate": 1, f"{item.id}.rating": None}
    return answers


WRONG: tuple[tuple[Any, str], ...] = (
    (True, "not-a-number"),
    (False, "not-a-number"),
    ("3", "not-a-number"),
    ("", "not-a-number"),
    ([], "not-a-number"),
    ({}, "not-a-number"),
    (1j, "not-a-number"),
    (math.inf, "not-finite"),
    (-math.inf, "not-finite"),
    (0.5, "not-whole"),
    (2.0000000000000004, "not-whole"),
    (99_999, "not-an-option"),
    (-99_999, "not-an-option"),
    (65_536, "not-an-option"),
    (65_537.0, "not-an-option"),
    (2**63, "not-an-option"),
    (10**400, "not-an-option"),
    (1e300, "not-an-option"),
)
"""Answers that no item takes, with the code of the fault; those that would wrap around in 16 bits among them."""
