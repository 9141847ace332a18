"""Random instruments and random answers, for laws that must hold for every definition that can be written.

The definitions are valid by construction: ``min`` and ``max`` of each scale are worked out with the reference, apart
from the code under test. They use all that the schema knows: gaps and negative options, reversing, score maps,
not-applicable options that are scored or left out, sums, means, counts, weights, factors, offsets, rescaling,
clamping, prorating, scales over scales in several levels, variants, bands, cutoffs, rules, validity and alerts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
from tests.scoring.reference import raw_range, spans, transformed

Draw = Callable[[st.SearchStrategy[Any]], Any]
Form = dict[str, int | None]

# ids that the schema allows and that would hurt if they ever became code
ITEM_IDS = ("1", "2", "10", "003", "a.b", "Q-7", "x_1", "import", "None", "answers", "w0", "K0", "p0", "A", "a", "1e3")
SCALE_IDS = ("total", "sub-1", "p1", "w1", "return", "lambda", "0", "set", "plan", "s0", "len", "tuple")
FACTORS = ("1", "0.6", "0.3", "2", "-1", "0.125", "-0.4", "10", "0.07")
SOURCED = {"source": "invented", "evidence": "derived"}


@st.composite
def items(draw: Draw, item_id: str) -> dict[str, Any]:
    """One item with at least two different worths."""
    kind = draw(st.sampled_from(("range", "range", "range", "gaps", "far")))
    if kind == "range":
        low = draw(st.integers(-3, 3))
        options = list(range(low, low + draw(st.integers(2, 6))))
    else:
        bound = 30 if kind == "gaps" else 10_000
        options = draw(st.lists(st.integers(-bound, bound), min_size=2, max_size=6, unique=True))
    options = draw(st.permutations(options))
    item: dict[str, Any] = {"id": item_id, "topic": "something", "options": options}
    if len(options) > 2 and draw(st.booleans()):
        chosen = draw(st.lists(st.sampled_from(options), max_size=len(options) - 2, unique=True))
        item["not_applicable"] = [
            {"value": v, "meaning": "not-relevant", "scored": draw(st.booleans())} for v in chosen
        ]
    left_out = {o["value"] for o in item.get("not_applicable", ()) if not o["scored"]}
    how = draw(st.sampled_from(("plain", "plain", "reverse", "scored")))
    if how == "reverse":
        item["reverse"] = True
    elif how == "scored":
        decimals = st.sampled_from(("0", "1", "2", "3", "-1", "0.5", "1.25", "0.1", "-2.75", "7"))
        used = [value for value in options if value not in left_out]
        worths = draw(st.lists(decimals, min_size=len(used), max_size=len(used)))
        assume(len(set(worths)) > 1)
        item["scored"] = dict(zip(map(str, used), worths, strict=True))
    return item


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
    low, high = sorted((transformed(shape, raw_low, ends), transformed(shape, raw_high, ends)))
    strict = shape.missing.rule == "all" or shape.missing.min_answered == len(shape.parts)
    limits(draw, rule, low, high, must_clamp=not strict and len(set(ends)) > 1)
    return rule


def missing_rule(draw: Draw, n: int) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"rule": "all"}
    return {"rule": "prorate", "min_answered": draw(st.integers(1, n))}


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
    rule["missing"] = missing_rule(draw, len(parts))
    if rule["method"] == "count":
        rule["counts"] = comparison(draw, answer_near(item_dicts))
    if rule["method"] == "sum" and rule["missing"]["rule"] == "all" and draw(st.integers(0, 3)) == 0:
        rule["weights"] = {name: draw(st.sampled_from(("1", "2", "0.5", "-1", "0.25", "3.3"))) for name in parts}
    change = draw(st.sampled_from(("none", "none", "factor", "affine", "rescale")))
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
            own["missing"] = missing_rule(draw, len(parts))
        if "rescale" not in rule and draw(st.integers(0, 2)) == 0:
            own["factor"] = draw(st.sampled_from(FACTORS))
        own = ranged(draw, own, made, models, variant)
        scale["variants"][variant] = {
            key: own[key] for key in ("missing", "factor", "clamp", "min", "max") if key in own
        }
    return scale


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
    given = [draw(items(item_id)) for item_id in ids]
    variants = draw(st.sampled_from((["standard"], ["strict", "other"])))
    names = [name for name in draw(st.permutations(SCALE_IDS)) if name not in ids]
    made: list[dict[str, Any]] = []
    for name in names[: draw(st.integers(1, 5))]:
        made.append(draw(scales(name, given, made, variants)))
    rules = {
        kind: [
            {
                "id": f"{kind}-{number}",
                "meaning": "something",
                "when": conditions(draw, given, made, 3, raw=kind == "alerts"),
            }
            | SOURCED
            for number in range(draw(st.integers(0, 2)))
        ]
        for kind in ("caseness", "validity", "alerts")
    }
    for rule in rules["validity"]:
        chosen = st.lists(st.sampled_from([scale["id"] for scale in made]), min_size=1, unique=True)
        rule |= {"scales": draw(chosen), "suppress": draw(st.booleans())}
    for rule in rules["alerts"]:
        rule["severity"] = "urgent"
    sets = []
    for number, scale in enumerate(made):
        if draw(st.integers(0, 2)) == 0:
            sets.append(draw(band_sets(scale, number, default=True)))
            if draw(st.booleans()):
                sets.insert(draw(st.integers(0, len(sets))), draw(band_sets(scale, number + 50, default=False)))
    cutoffs = []
    for number in range(draw(st.integers(0, 3))):
        scale = draw(st.sampled_from(made))
        side = draw(st.sampled_from(("at_least", "at_most", "above", "below")))
        cutoff = {"id": f"cut-{number}", "scale": scale["id"], "meaning": "something", side: draw(value_near(scale))}
        cutoffs.append(cutoff | {"primary": draw(st.integers(0, 3)) > 0} | SOURCED)
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
def forms(draw: Draw, instrument: Instrument, *, complete: bool | None = None) -> Form:
    """Valid answers. ``complete``: every item answered with an option that applies (None: mostly, or by chance)."""
    kind = draw(st.sampled_from(("complete", "gaps", "any", "empty"))) if complete is None else ""
    if kind == "empty":
        return {}
    answers: Form = {}
    for item in instrument.items:
        substantive = complete or (kind in ("complete", "gaps") and draw(st.integers(0, 9)) > 0)
        options = item.substantive if substantive else item.options
        value = draw(st.sampled_from(options))
        if complete or kind == "complete" or draw(st.integers(0, 9 if kind == "gaps" else 1)) > 0:
            answers[item.id] = value
        elif draw(st.booleans()):
            answers[item.id] = None
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
