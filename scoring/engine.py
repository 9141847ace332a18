"""Scoring one form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Rational, Real
from operator import index
from typing import Any

from instruments.schema import Instrument
from scoring.errors import Fault, InvalidAnswers
from scoring.plan import Plan, ScalePlan, plan_of
from scoring.result import Flag, Reason, Result, Score
from scoring.shortcut import write_out


def score(instrument: Instrument, answers: Mapping[str, Any], *, variant: str | None = None) -> Result:
    """Score the answers to one form.

    Parameters
    ----------
    instrument : Instrument
    answers : mapping of item id to the whole-number value of the chosen option
        An item that is absent or ``None`` is unanswered. A float without a fraction counts as the whole number.
    variant : str, optional
        A scoring variant that the definition names; its default otherwise.

    Returns
    -------
    Result
        Values in the points of each scale, with status, reason, counts, band, cutoffs and flags.

    Raises
    ------
    InvalidAnswers
        With every fault: unknown items, and answers that are no option of their item.
    UnknownVariant
        The definition has no such variant.
    """
    plan: Plan = instrument.compiled.get(variant) or plan_of(instrument, variant)
    if plan.shortcut is None:
        plan.shortcut = write_out(plan, _complete, _flagged)
    return plan.shortcut(answers) or _general(plan, checked(plan, answers))


def checked(plan: Plan, answers: Mapping[str, Any]) -> list[int | None]:
    """The answer to each item in the order of the definition, ``None`` where unanswered.

    Raises
    ------
    InvalidAnswers
        With every fault.
    """
    values: list[int | None] = [None] * len(plan.items)
    faults: list[Fault] = []
    for name, answer in answers.items():
        position = plan.position.get(name) if isinstance(name, str) else None
        pointer = f"/answers/{str(name)[:64].replace('~', '~0').replace('/', '~1')}"
        if position is None:
            faults.append(Fault(pointer, "unknown-item", f"{plan.instrument.code} has no such item"))
            continue
        if answer is None:
            continue
        value, code = whole(answer)
        options = plan.items[position].worth
        if code is None and value not in options:
            code = "not-an-option"
        if code is not None:
            allowed = ", ".join(map(str, sorted(options)))
            faults.append(Fault(pointer, code, f"item {name!r} takes one of [{allowed}]"))
            continue
        values[position] = value
    if faults:
        raise InvalidAnswers(tuple(faults))
    return values


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


def _complete(scale: ScalePlan, points: int) -> Score:
    return _interpreted(scale, points, "complete", None, (len(scale.leaves), 0, 0), ())


def _flagged(plan: Plan, values: Sequence[int], points: Sequence[int]) -> Result:
    return _general(plan, list(values))


def _general(plan: Plan, values: list[int | None]) -> Result:
    """Any form: unanswered and not-applicable items included."""
    points: list[int | None] = [None] * len(plan.scales)
    states: list[tuple[str, Reason | None]] = [("insufficient", None)] * len(plan.scales)
    for place in plan.order:
        scale = plan.scales[place]
        points[place], states[place] = _scale_points(plan, scale, values, points, states)
    flags = tuple(flag for flag, test in plan.validity if test.holds(values, points))
    scores: dict[str, Score] = {}
    for scale, value, (status, reason) in zip(plan.scales, points, states, strict=True):
        missing = sum(values[leaf] is None for leaf in scale.leaves)
        outside = sum(values[leaf] in plan.items[leaf].not_applicable for leaf in scale.leaves)
        counts = (len(scale.leaves) - missing - outside, missing, outside)
        scores[scale.id] = _interpreted(scale, value, status, reason, counts, flags)
    return _result(plan, values, points, scores, flags)


def _scale_points(
    plan: Plan,
    scale: ScalePlan,
    values: list[int | None],
    points: list[int | None],
    states: list[tuple[str, Reason | None]],
) -> tuple[int | None, tuple[str, Reason | None]]:
    """The value of one scale in units of 1/denominator, with its status and the reason for it."""
    total, present = 0, 0
    unanswered: list[str] = []
    left_out: list[str] = []
    prorated: list[str] = []
    for number, part in enumerate(scale.parts):
        if scale.of_items:
            name, answer = plan.items[part].id, values[part]
            worth = None if answer is None else plan.items[part].worth[answer]
            not_applicable = answer is not None and worth is None
            if worth is not None and scale.counted is not None:
                worth = int(answer in scale.counted[number])
        else:
            name, worth = plan.scales[part].id, points[part]
            not_applicable = states[part][0] == "not_applicable"
            if states[part][0] == "prorated":
                prorated.append(name)
        if worth is not None:
            total += worth * scale.weights[number]
            present += 1
        elif not_applicable:
            left_out.append(name)
        else:
            unanswered.append(name)
    if not scale.of_items:
        without = Reason("scales-without-value", (*unanswered, *left_out))
    elif unanswered:
        without = Reason("items-unanswered", (*unanswered, *left_out))
    else:
        without = Reason("items-not-applicable", tuple(left_out))
    if present < scale.min_parts:
        if unanswered:
            return None, ("insufficient", Reason(without.code, tuple(unanswered)))
        return None, ("not_applicable", without)
    value = scale.points(total, present)
    if present < len(scale.parts):
        return value, ("prorated", without)
    if prorated:
        return value, ("prorated", Reason("scales-prorated", tuple(prorated)))
    return value, ("complete", None)


def _interpreted(
    scale: ScalePlan,
    points: int | None,
    status: Any,
    reason: Reason | None,
    counts: tuple[int, int, int],
    flags: tuple[Flag, ...],
) -> Score:
    """The score with its band and cutoffs, held back where a validity rule says so."""
    own = tuple(flag for flag in flags if scale.id in flag.scales)
    valid = not any(flag.suppress for flag in own)
    read = points is not None and valid
    return Score(
        value=None if points is None else points / scale.denominator,
        status=status,
        reason=reason,
        answered=counts[0],
        missing=counts[1],
        not_applicable=counts[2],
        band=scale.band(points) if read and points is not None else None,
        band_set=scale.band_set,
        cutoffs=tuple(crossed if test.accepts(points) else not_crossed for test, crossed, not_crossed in scale.cutoffs)
        if read and points is not None
        else (),
        flags=tuple(flag.id for flag in own),
        valid=valid,
    )


def _result(
    plan: Plan, values: Any, points: list[int | None], scores: dict[str, Score], flags: tuple[Flag, ...]
) -> Result:
    instrument = plan.instrument
    return Result(
        instrument.code,
        instrument.version,
        plan.variant,
        scores,
        {name: test.holds(values, points) for name, test in plan.caseness} if plan.caseness else {},
        flags,
        tuple(alert for alert, test in plan.alerts if test.holds(values, points)) if plan.alerts else (),
        plan.needs_review,
    )
