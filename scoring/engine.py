"""Scoring one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from instruments.schema import Instrument
from scoring.answers import checked, skip
from scoring.goals import TPlan
from scoring.plan import Plan, plan_of
from scoring.result import Flag, Reason, Result, Score
from scoring.scales import ScalePlan
from scoring.shortcut import write_out


def score(instrument: Instrument, answers: Mapping[str, Any], *, variant: str | None = None) -> Result:
    """Score the answers to one form.

    Parameters
    ----------
    instrument : Instrument
    answers : mapping of item id to the whole-number value of the chosen option
        An item that is absent or ``None`` is unanswered. A float without a fraction counts as the whole number. An item
        that is printed as a yes/no question and a rating may be given as these two, ``<id>.gate`` and ``<id>.rating``.
    variant : str, optional
        A scoring variant that the definition names; its default otherwise.

    Returns
    -------
    Result
        Values in the points of each scale, with status, reason, counts, band, cutoffs and flags.

    Raises
    ------
    InvalidAnswers
        With every fault: unknown items, answers that are no option of their item (under the variant), and steps of one
        item that do not go together.
    UnknownVariant
        The definition has no such variant.
    """
    plan: Plan = instrument.compiled.get(variant) or plan_of(instrument, variant)
    if plan.shortcut is None:
        plan.shortcut = write_out(plan, _complete, _flagged)
    return plan.shortcut(answers) or _general(plan, checked(plan, answers))


def _complete(scale: ScalePlan, points: int) -> Score:
    return _interpreted(scale, points, "complete", None, (len(scale.leaves), 0, 0), ())


def _flagged(plan: Plan, values: Sequence[int], points: Sequence[int]) -> Result:
    return _general(plan, list(values))


def _general(plan: Plan, values: list[int | None]) -> Result:
    """Any form: unanswered and not-applicable items included, with skips still to be taken."""
    passed = {item for _, items in skip(plan, values) for item in items} if plan.skips else ()
    points: list[int | None] = [None] * len(plan.scales)
    states: list[tuple[str, Reason | None]] = [("insufficient", None)] * len(plan.scales)
    counted: dict[str, tuple[int, int, int]] = {}
    for place in plan.order:
        scale = plan.scales[place]
        if scale.goals is not None:
            points[place], states[place], counted[scale.id] = _goal_points(plan, scale, scale.goals, values)
        else:
            points[place], states[place] = _scale_points(plan, scale, values, points, states)
    flags = tuple(flag for flag, test in plan.validity if test.holds(values, points))
    scores: dict[str, Score] = {}
    for scale, value, (status, reason) in zip(plan.scales, points, states, strict=True):
        counts = counted.get(scale.id) or _counts(plan, scale, values)
        scores[scale.id] = _interpreted(scale, value, status, reason, counts, flags)
    skipped = tuple(item.id for place, item in enumerate(plan.items) if place in passed)
    return _result(plan, values, points, scores, flags, skipped)


def _counts(plan: Plan, scale: ScalePlan, values: Sequence[int | None]) -> tuple[int, int, int]:
    """How many of the items below a scale are answered, missing and not applicable."""
    missing = sum(values[leaf] is None for leaf in scale.leaves)
    outside = sum(values[leaf] in plan.items[leaf].not_applicable for leaf in scale.leaves)
    return len(scale.leaves) - missing - outside, missing, outside


def _goal_points(
    plan: Plan, scale: ScalePlan, goals: TPlan, values: list[int | None]
) -> tuple[int | None, tuple[str, Reason | None], tuple[int, int, int]]:
    """The points of a weighted T score, its status with the reason, and its goals: rated, not rated, not in use."""
    read = goals.read(plan.items, values)
    counts = (read.rated, read.dropped, len(read.unused))
    unrated = Reason("items-unanswered", tuple(plan.items[item].id for item in read.open))
    if read.rated < scale.min_parts:
        unused = Reason("items-not-applicable", tuple(plan.items[item].id for item in read.unused))
        return None, ("insufficient", unrated) if read.dropped else ("not_applicable", unused), counts
    points = goals.points(read.total, read.squares, read.weight) + scale.offset
    return points, ("prorated", unrated) if read.dropped else ("complete", None), counts


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
    lacking = False
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
            continue
        lacking = lacking or number in scale.required
        (left_out if not_applicable else unanswered).append(name)
    if not scale.of_items:
        without = Reason("scales-without-value", (*unanswered, *left_out))
    elif unanswered:
        without = Reason("items-unanswered", (*unanswered, *left_out))
    else:
        without = Reason("items-not-applicable", tuple(left_out))
    if present < scale.min_parts or lacking or (scale.applicable and unanswered):
        if unanswered:
            return None, ("insufficient", Reason(without.code, tuple(unanswered)))
        return None, ("not_applicable", without)
    value = scale.points(total, present)
    if present < len(scale.parts) and not scale.applicable:
        return value, ("prorated", without)
    if prorated:
        return value, ("prorated", Reason("scales-prorated", tuple(prorated)))
    return value, ("complete", without if left_out else None)


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
    plan: Plan,
    values: Any,
    points: list[int | None],
    scores: dict[str, Score],
    flags: tuple[Flag, ...],
    skipped: tuple[str, ...],
) -> Result:
    instrument = plan.instrument
    alerts = [(alert, test.holds(values, points)) for alert, test in plan.alerts]
    return Result(
        instrument.code,
        instrument.version,
        plan.variant,
        scores,
        {name: test.holds(values, points) for name, test in plan.caseness} if plan.caseness else {},
        flags,
        tuple(alert for alert, raised in alerts if raised),
        plan.needs_review,
        skipped,
        tuple(alert for alert, raised in alerts if raised is None),
    )
