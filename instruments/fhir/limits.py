"""What a Questionnaire made from an instrument does not say, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from instruments.schema import Instrument

_READ = "a renderer would show it without the validity rules, norms and sources that it is to be read with"


@dataclass(frozen=True, slots=True)
class NotExpressed:
    """Something of a definition that its Questionnaire does not hold, and why."""

    name: str
    why: str


def not_expressed(instrument: Instrument) -> tuple[NotExpressed, ...]:
    """All that the Questionnaire of an instrument leaves out. Every scale, caseness rule and skip is in it."""
    return tuple(NotExpressed(name, why) for name, why in _all(instrument))


def _all(instrument: Instrument) -> Iterator[tuple[str, str]]:
    for name in ("status", "reason", "counts"):
        yield f"{name} of each score", "an expression has one value, and is empty where there is none"
    for variant in instrument.variant_ids[1:]:
        yield f"variant {variant}", "each variant has a Questionnaire of its own"
    for form in instrument.forms:
        yield f"form {form.id}", "its choice by anatomy is made before a Questionnaire is asked for"
    for item in instrument.items:
        for option in item.not_applicable:
            means = f"item {item.id}, option {option.value}"
            if item.two_step is not None:
                yield means, "the two steps do not lead to it"
            else:
                yield means, f"that it says {option.meaning} has no place in an answer option"
    for alert in instrument.alerts:
        yield f"alert {alert.id}", "the service raises it, whatever a renderer works out or leaves out"
    for rule in instrument.validity:
        yield f"validity {rule.id}", "it qualifies scores, and a score item has no place for that"
    for cutoff in instrument.cutoffs:
        yield f"cutoff {cutoff.id}", _READ
    for bands in instrument.bands:
        yield f"bands {bands.id}", _READ
    for kind, figures in (
        ("norm", instrument.norms),
        ("reliability", instrument.reliabilities),
        ("change", instrument.changes),
    ):
        for figure in figures:
            yield f"{kind} {figure.id}", "a Questionnaire has no place for statistics"
    for parameters in instrument.progress:
        yield f"progress {parameters.scale}", "a Questionnaire is about one form, progress about several"
    for scale in instrument.scales:
        yield f"direction of {scale.id}", "whether higher is better or worse has no place in an item"
    for name in ("sources and evidence", "applicability", "population", "recall", "citation"):
        yield name, "a Questionnaire has no place for it"
