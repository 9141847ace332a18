"""Golden cases: answers with the scores that the published rule gives, worked out outside this code.

They say that a definition means what its author means. What a case names is compared in full, and what it does not name
is not looked at, except that a score without a status has to be complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from instruments.conditions import Strict
from instruments.schema import Instrument
from scoring.engine import score
from scoring.errors import InvalidAnswers, UnknownVariant
from scoring.result import Result, Status

MOST_CASES: Final = 100
_VALUE: Final = re.compile(r"-?\d{1,15}(\.\d{1,15})?(/[1-9]\d{0,14})?")

Path = tuple[str | int, ...]


def _exact(value: Any) -> Any:
    """A number, or as text a decimal or a fraction such as 16/3 where the decimal would not end."""
    if isinstance(value, str) and _VALUE.fullmatch(value):
        top, _, bottom = value.partition("/")
        return float(Fraction(top) / Fraction(bottom or 1))
    if isinstance(value, str | bool):
        raise ValueError("must be a number, or a fraction such as 16/3")
    return value


Value = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, BeforeValidator(_exact)]


class GoldenCase(Strict):
    """One form with its scores."""

    name: str = Field(min_length=1, max_length=200)
    origin: str | None = Field(default=None, max_length=1_000, description="who worked it out, and how")
    variant: str | None = Field(default=None, max_length=40)
    answers: dict[str, Any]
    scores: dict[str, Value] = Field(min_length=1)
    statuses: dict[str, Status] = Field(default_factory=dict, description="of scores that are not complete")
    bands: dict[str, str | None] | None = None
    cutoffs: dict[str, bool | None] | None = None
    caseness: dict[str, bool | None] | None = None
    flags: tuple[str, ...] | None = None
    alerts: tuple[str, ...] | None = None
    skipped: tuple[str, ...] | None = None
    held_back: tuple[str, ...] | None = Field(default=None, description="scales whose interpretation is held back")
    counts: dict[str, tuple[int, int, int]] | None = Field(
        default=None, description="answered, missing, not applicable"
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a case and the definition disagree. ``path`` leads from the list of cases to the value."""

    path: Path
    detail: str
    expected: Any = None
    actual: Any = None


def differences(instrument: Instrument, cases: Iterable[GoldenCase]) -> Iterator[Difference]:
    """Everything in which the definition's results are not what the cases say."""
    for number, case in enumerate(cases):
        try:
            result = score(instrument, case.answers, variant=case.variant)
        except InvalidAnswers as error:
            for fault in error.faults:
                name = fault.pointer.removeprefix("/answers/").replace("~1", "/").replace("~0", "~")
                yield Difference((number, "answers", name), fault.detail)
        except UnknownVariant as error:
            yield Difference((number, "variant"), f"has to be one of {', '.join(error.known)}")
        else:
            for found in _of_case(case, result):
                yield Difference((number, *found.path), found.detail, found.expected, found.actual)


def _of_case(case: GoldenCase, result: Result) -> Iterator[Difference]:
    scores = result.scores
    values = {name: one.value for name, one in scores.items()}
    yield from _mapping("scores", case.scores, values, whole=True)
    statuses = dict.fromkeys(scores, "complete") | case.statuses
    yield from _mapping("statuses", statuses, {name: one.status for name, one in scores.items()}, whole=True)
    given: tuple[tuple[str, Mapping[str, Any] | None, Mapping[str, Any]], ...] = (
        ("bands", case.bands, {name: one.band for name, one in scores.items()}),
        ("cutoffs", case.cutoffs, {c.id: c.crossed for one in scores.values() for c in one.cutoffs}),
        ("caseness", case.caseness, result.caseness),
        ("counts", case.counts, {n: (s.answered, s.missing, s.not_applicable) for n, s in scores.items()}),
    )
    for group, expected, actual in given:
        if expected is not None:
            # a cutoff that is not read is absent from the result, and null in a case
            known = dict.fromkeys(expected) | dict(actual) if group == "cutoffs" else actual
            yield from _mapping(group, expected, known, whole=False)
    lists: tuple[tuple[str, tuple[str, ...] | None, tuple[str, ...]], ...] = (
        ("flags", case.flags, tuple(flag.id for flag in result.flags)),
        ("alerts", case.alerts, tuple(alert.id for alert in result.alerts)),
        ("skipped", case.skipped, result.skipped),
        ("held_back", case.held_back, tuple(name for name, one in scores.items() if not one.valid)),
    )
    for group, names, found in lists:
        if names is not None and set(names) != set(found):
            yield _differs((group,), list(names), list(found))


def _mapping(
    group: str, expected: Mapping[str, Any], actual: Mapping[str, Any], *, whole: bool
) -> Iterator[Difference]:
    for name, value in expected.items():
        if name not in actual:
            yield Difference((group, name), "the definition has none of that id")
        elif actual[name] != value:
            yield _differs((group, name), value, actual[name])
    for name in actual if whole else ():
        if name not in expected:
            yield Difference((group,), f"lacks {name!r}: every scale is named, with null where it has no value")


def _differs(path: Path, expected: Any, actual: Any) -> Difference:
    return Difference(path, f"expected {_shown(expected)}, the definition gives {_shown(actual)}", expected, actual)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "nothing"
    return "no value" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"[:80]


def gaps(instrument: Instrument, cases: Iterable[GoldenCase]) -> Iterator[str]:
    """What of the definition no case exercises: a variant, a scale's value, a rule that is never met."""
    given = list(cases)
    variants = {case.variant or instrument.variant_ids[0] for case in given}
    yield from (f"no case uses the variant {name!r}" for name in instrument.variant_ids if name not in variants)
    for scale in instrument.scales:
        if all(case.scores.get(scale.id) is None for case in given):
            yield f"no case has a value of the scale {scale.id!r}"
    for rule in instrument.caseness:
        if not any((case.caseness or {}).get(rule.id) for case in given):
            yield f"no case meets the caseness rule {rule.id!r}"
    for kind, rules in (("flags", instrument.validity), ("alerts", instrument.alerts)):
        for one in rules:
            if not any(one.id in (getattr(case, kind) or ()) for case in given):
                yield f"no case has {one.id!r} among its {kind}"
