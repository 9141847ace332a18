"""The short way for the common case: every item answered by a plain whole number, none of them "not applicable".

A plan's arithmetic is written out as one straight Python function, because interpreting the plan item by item costs
several times the arithmetic itself. The source text consists of positions and whole numbers only: ids, tables and tests
are handed in as objects, so nothing that a definition says can become code. The function returns None for any other
form, which then takes the general way; both give the same (a property test holds them equal). All forms of an
instrument with weighted goals take the general way.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from scoring.result import Result, Score

if TYPE_CHECKING:
    from scoring.plan import Plan
    from scoring.scales import ScalePlan

Shortcut = Callable[[Mapping[str, Any]], Result | None]
MOST_KEPT = 4096
"""Scores that a plan keeps, of all its scales: a definition with a hundred of them must not fill the memory either."""


class ScoresByPoints(dict[int, Score]):
    """Scores of one scale by their points: complete forms with the same points have the same score."""

    def __init__(self, make: Callable[[int], Score], most: int) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, points: int) -> Score:
        score = self._make(points)
        if len(self) < self._most:
            self[points] = score
        return score


def write_out(plan: Plan, complete: Callable[[ScalePlan, int], Score], flagged: Callable[..., Result]) -> Shortcut:
    """Write a plan out as one function of the answers.

    Parameters
    ----------
    complete : the score of a scale at some points, in a form without flags
    flagged : the result of a form in which a validity rule holds, from (plan, answers, points)
    """
    text, names = source_of(plan, complete, flagged)
    namespace: dict[str, Any] = {"__builtins__": {}} | names
    exec(text, namespace)  # noqa: S102  positions and whole numbers only, see the module's docstring
    function: Shortcut = namespace.pop("shortcut")  # else it would hold itself, and stay until the next full collection
    return function


def source_of(
    plan: Plan, complete: Callable[[ScalePlan, int], Score], flagged: Callable[..., Result]
) -> tuple[str, dict[str, Any]]:
    """The text of the function, and the objects that its names stand for."""
    if any(scale.goals is not None for scale in plan.scales):
        return "def shortcut(answers): return None", {}  # which goals are in use is different in each form
    names: dict[str, Any] = {
        "INTEGERS": {int},
        "Result": Result,
        "PLAN": weakref.ref(plan),
        "flagged": flagged,
        "set": set,
        "map": map,
        "type": type,
        "len": len,
        "dict": dict,
        "tuple": tuple,
        "KeyError": KeyError,
        "min": min,
        "max": max,
    }
    lines = [
        "def shortcut(answers):",
        # a mapping with values for absent keys, such as a Counter, would answer for the client
        f" if type(answers) is not dict or len(answers) != {len(plan.items)}: return None",
        " if set(map(type, answers.values())) != INTEGERS: return None",
        " try:",
    ]
    for number, item in enumerate(plan.items):
        # options that do not apply are left out of the tables, so that they leave this way
        names[f"W{number}"] = {a: w for a, w in item.worth.items() if a not in item.not_applicable}
        names[f"K{number}"] = item.id
        lines.append(f"  w{number} = W{number}[answers[K{number}]]")
    lines.append(" except KeyError: return None")
    for place in plan.order:
        lines.append(f" p{place} = {_points(plan, plan.scales[place], names)}")
    points = "(" + "".join(f"p{place}, " for place in range(len(plan.scales))) + ")"

    validity = [test for _, test in plan.validity if test.possible(plan.not_applicable_of)]
    alerts = [(alert, test) for alert, test in plan.alerts if test.possible(plan.not_applicable_of)]
    if validity or alerts or plan.caseness:
        names["PICK"] = plan.pick
        lines.append(" given = PICK(answers)")
        lines.append(f" points = {points}")
    for number, test in enumerate(validity):
        names[f"V{number}"] = test.holds
        lines.append(f" if V{number}(given, points): return flagged(PLAN(), given, points)")
    caseness = []
    for number, (name, test) in enumerate(plan.caseness):
        names[f"C{number}"], names[f"CK{number}"] = test.holds, name
        caseness.append(f"CK{number}: C{number}(given, points)")
    raised = []
    for number, (alert, test) in enumerate(alerts):
        names[f"A{number}"], names[f"AV{number}"] = test.holds, (alert,)
        raised.append(f"(AV{number} if A{number}(given, points) else ())")
    scores = []
    for place, scale in enumerate(plan.scales):
        names[f"S{place}"] = ScoresByPoints(partial(complete, scale), MOST_KEPT // len(plan.scales))
        names[f"SK{place}"] = scale.id
        scores.append(f"SK{place}: S{place}[p{place}]")
    names |= {
        "CODE": plan.instrument.code,
        "VERSION": plan.instrument.version,
        "VARIANT": plan.variant,
        "REVIEW": plan.needs_review,
    }
    lines.append(
        f" return Result(CODE, VERSION, VARIANT, {{{', '.join(scores)}}}, {{{', '.join(caseness)}}}, (), "
        f"{' + '.join(raised) or '()'}, REVIEW)"
    )
    return "\n".join(lines), names


def _points(plan: Plan, scale: ScalePlan, names: dict[str, Any]) -> str:
    """The arithmetic of one scale, in whole numbers."""
    terms = []
    for number, part in enumerate(scale.parts):
        if scale.counted is not None:
            name = f"N{len(names)}"
            names[name] = scale.counted[number]
            term = f"(answers[K{part}] in {name})"
        else:
            term = f"{'w' if scale.of_items else 'p'}{part}"
        weight = scale.weights[number]
        terms.append(term if weight == 1 else f"{term} * {weight}")
    text = f"({' + '.join(terms)})"
    multiplier = scale.multiplier[len(scale.parts)]
    if multiplier != 1:
        text += f" * {multiplier}"
    if scale.offset:
        text += f" + {scale.offset}"
    if scale.clamp is not None:
        text = f"min(max({text}, {scale.clamp[0]}), {scale.clamp[1]})"
    return text
