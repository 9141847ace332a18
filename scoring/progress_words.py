"""What a clinician should see in a series, in one or two sentences; the text alternative of its picture."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from scoring.progress import Change, Point, Progress, Reason
from scoring.reliable import PublishedChange, ReliableChange, Unavailable

HEADLINES: Final = {
    "recovered": "recovered",
    "improved": "improved",
    "unchanged": "no reliable change",
    "deteriorated": "worse",
    "harmed": "worse, now clinical",
}
"""A category in the words of a label."""

_OPENINGS: Final = {
    "recovered": "Recovered",
    "improved": "Improved",
    "unchanged": "No reliable change",
    "deteriorated": "Worse",
    "harmed": "Worse",
}
_CROSSINGS: Final = {
    "recovered": ", and from the clinical to the functional side of the cutoff {cutoff}",
    "harmed": ", and from the functional to the clinical side of the cutoff {cutoff}",
}
_LEFT_OUT: Final[dict[Reason, str]] = {
    "no-value": "no score",
    "validity-rule-failed": "validity rule failed",
    "other-version": "another version",
    "other-variant": "another variant",
}


_FROM_MEMORY: Final = {
    "variant": "the way to score",
    "prorating": "how unanswered items are made up for",
    "scale": "how the scale is scored",
    "skip": "what unanswered items count with after a skip",
    "reliable-change": "the measurement error",
    "cutoff": "the cutoff",
}
"""What needs review, by the first word of its name."""


def number(value: float) -> str:
    """At most two decimals, without trailing zeros.

    >>> number(8.3596), number(10.0), number(-0.001)
    ('8.36', '10', '0')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def day(moment: datetime) -> str:
    """The day of a UTC time.

    >>> day(datetime(2026, 3, 1))
    '1 Mar 2026'
    """
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def points(value: float) -> str:
    """An amount of points.

    >>> points(1), points(2.5)
    ('1 point', '2.5 points')
    """
    return f"{number(value)} point" if number(value) == "1" else f"{number(value)} points"


def how_often(p_value: float) -> str:
    """How often error alone gives a difference at least as large.

    >>> how_often(0.0004), how_often(0.004), how_often(0.481), how_often(1.0)
    ('less than once in 1000', 'less than once in 100', '48 times in 100', 'always')
    """
    if p_value < 0.01:
        return "less than once in 1000" if p_value < 0.001 else "less than once in 100"
    times = round(p_value * 100)
    if times == 100:
        return "always" if p_value == 1 else "more than 99 times in 100"
    return "once in 100" if times == 1 else f"{times} times in 100"


def direction(progress: Progress) -> str:
    """What a high score means, as a label says it."""
    return {
        "better": "higher is better",
        "worse": "lower is better",
        "neither": "higher is neither better nor worse",
    }[progress.figures.higher_is]


def headline(progress: Progress) -> str:
    """What became of the person, in two or three words; empty where that cannot be said."""
    change = progress.from_baseline
    if isinstance(change, Unavailable) or change.category is None:
        return ""
    return HEADLINES[change.category]


def summary(progress: Progress) -> str:
    """What a clinician should see: better, worse or no real change, and how sure that is; then what was left out."""
    said = [_main(progress)]
    if unsure := unchecked(progress):
        said.append(f"From memory, to be checked: {unsure}.")
    if why := left_out(progress):
        said.append(f"Not used: {why}.")
    if count := amended(progress):
        said.append(f"Amended after recording: {count}.")
    return " ".join(said)


def amended(progress: Progress) -> int:
    """How many measurements were put right after they had been recorded."""
    return sum(point["amended"] for point in progress.points)


def unchecked(progress: Progress) -> str:
    """What the judgement of a series rests on that is from memory; empty without a measurement to judge.

    A variant that only treats unanswered items otherwise counts where it made a score up for some: otherwise it changes
    nothing in what is seen.
    """
    if progress.last is None:
        return ""
    kinds = [name.partition(" ")[0] for name in progress.figures.needs_review]
    if progress.instrument.only_missing_differs(progress.variant):
        prorated = any(point["used"] and point["status"] == "prorated" for point in progress.points)
        instead = ["prorating"] if prorated else []
        kinds = [other for kind in kinds for other in (instead if kind == "variant" else [kind])]
    found = [_FROM_MEMORY[kind] for kind in kinds]
    return ", ".join(dict.fromkeys(found))


def _main(progress: Progress) -> str:
    change, last, baseline = progress.from_baseline, progress.last, progress.baseline
    if last is None or baseline is None or last["value"] is None or baseline["value"] is None:
        return "No usable measurement yet." if progress.points else "No measurement yet."
    if isinstance(change, Unavailable):
        return f"One usable measurement: {_reading(last)}{_standing(progress)}. Change needs a second one."
    course = f"{_reading(baseline)}, {_reading(last)}"
    reliable = progress.figures.reliable_change
    if isinstance(reliable, Unavailable):
        why = " Whether that is more than measurement error is not known for this scale."
        return f"{_moved(change)} ({course}).{'' if change.direction is None else why}"
    return f"{_judged(progress, change)} ({course}). {_certainty(change, reliable)}"


def _reading(point: Point) -> str:
    prorated = " prorated" if point["status"] == "prorated" else ""
    return f"{number(point['value'] or 0.0)}{prorated} on {day(point['answered_at'])}"


def _standing(progress: Progress) -> str:
    cutoff, side = progress.figures.deciding, progress.side(progress.last)
    if cutoff is None or side is None:
        return ""
    where = "exactly on" if side == "on-cutoff" else f"on the {side} side of"
    return f", {where} the cutoff {number(cutoff.value)}"


def _moved(change: Change) -> str:
    if change.points == 0:
        return "The same as at the start"
    amount = points(abs(change.points))
    word = change.direction or ("higher" if change.points > 0 else "lower")
    return f"{amount} {word} than at the start"


def _judged(progress: Progress, change: Change) -> str:
    category = change.category or "unchanged"
    moved = _moved(change)
    crossing, cutoff = _CROSSINGS.get(category, ""), progress.figures.deciding
    if cutoff is not None:
        crossing = crossing.format(cutoff=number(cutoff.value))
    return f"{_OPENINGS[category]}: {moved[0].lower()}{moved[1:]}{crossing}"


def _certainty(change: Change, reliable: ReliableChange | PublishedChange) -> str:
    if isinstance(reliable, PublishedChange):
        side = "less than" if change.category == "unchanged" else "at least"
        return f"That is {side} the published reliable change ({points(reliable.threshold)})."
    if change.points == 0:
        return f"Only more than {points(reliable.threshold)} would be a reliable change."
    verdict = "within" if change.category == "unchanged" else "more than"
    return (
        f"That is {verdict} measurement error ({points(reliable.threshold)}); "
        f"error alone gives a change this large {how_often(change.p_value or 0.0)}."
    )


def left_out(progress: Progress) -> str:
    """How many measurements are not used, and why; empty where all are."""
    return ", ".join(f"{count} ({_LEFT_OUT[reason]})" for reason, count in progress.left_out.items())
