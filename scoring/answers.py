"""What counts as an answer: whole numbers among the options, questions in two steps, and questions passed over."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from numbers import Rational, Real
from operator import index
from typing import Any

from instruments.items import GATE, RATING
from scoring.errors import Fault, InvalidAnswers
from scoring.plan import Plan, SkipPlan


def checked(plan: Plan, answers: Mapping[str, Any]) -> list[int | None]:
    """The answer to each item in the order of the definition, ``None`` where unanswered.

    A yes or no and the rating that follows it are put together. What a skip would answer is still unanswered.

    Raises
    ------
    InvalidAnswers
        With every fault.
    """
    values: list[int | None] = [None] * len(plan.items)
    steps: dict[str, int] = {}
    refused: set[int] = set()
    faults: list[Fault] = []
    for name, answer in answers.items():
        taken = plan.takes.get(name) if isinstance(name, str) else None
        if taken is None:
            faults.append(Fault(_pointer(name), "unknown-item", f"{plan.instrument.code} has no such item"))
            continue
        if answer is None:
            continue
        value, code = whole(answer)
        if value is None or value not in taken.options:
            allowed = ", ".join(map(str, sorted(taken.options)))
            faults.append(Fault(_pointer(name), code or "not-an-option", f"item {name!r} takes one of [{allowed}]"))
            refused.add(taken.item)
        elif taken.step:
            steps[name] = value
        else:
            values[taken.item] = value
    if steps:
        faults += _put_together(plan, steps, values, refused)
    if faults:
        raise InvalidAnswers(tuple(faults))
    return values


def _put_together(plan: Plan, steps: dict[str, int], values: list[int | None], refused: set[int]) -> Iterator[Fault]:
    """Turn each yes or no, and its rating, into the answer that they stand for, or into a fault."""
    for place, item in enumerate(plan.items):
        gate, rating = steps.get(f"{item.id}.{GATE}"), steps.get(f"{item.id}.{RATING}")
        if item.two_step is None or place in refused or (gate is None and rating is None):
            continue
        whole_pointer, rating_pointer = _pointer(item.id), _pointer(f"{item.id}.{RATING}")
        if values[place] is not None:
            detail = f"item {item.id!r} is answered in one step and in two; give one of them"
            yield Fault(whole_pointer, "given-twice", detail)
        elif gate is None:
            yield Fault(rating_pointer, "gate-unanswered", f"item {item.id!r} has a rating, but neither yes nor no")
        elif gate == 0 and rating is not None:
            yield Fault(rating_pointer, "contradiction", f"item {item.id!r} has a no, and a rating that needs a yes")
        elif gate == 0:
            values[place] = item.two_step.no
        elif rating is not None:
            values[place] = item.two_step.yes[rating]


def _pointer(name: Any) -> str:
    return f"/answers/{str(name)[:64].replace('~', '~0').replace('/', '~1')}"


def whole(answer: Any) -> tuple[int, None] | tuple[None, str]:
    """An answer as a whole number, or the code of what is wrong with it."""
    if type(answer) is int:
        return answer, None
    if isinstance(answer, bool):
        return None, "not-a-number"
    if isinstance(answer, Real) and not isinstance(answer, Rational):  # a float of any precision, NumPy's included
        number = float(answer)
        if not math.isfinite(number):
            return None, "not-finite"
        return (int(number), None) if number.is_integer() else (None, "not-whole")
    try:
        return index(answer), None
    except TypeError:
        return None, "not-a-number"


def skip(plan: Plan, values: list[int | None]) -> list[tuple[SkipPlan, tuple[int, ...]]]:
    """Answer what an earlier answer lets a person pass over, in place; which skip answered which items."""
    taken = []
    for rule in plan.skips:
        unanswered = tuple(item for item in rule.items if values[item] is None)
        if unanswered and rule.test.holds(values, ()):
            for item in unanswered:
                values[item] = rule.answer
            taken.append((rule, unanswered))
    return taken
