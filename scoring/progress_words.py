"""What a clinician should see in a series, in one or two sentences; the text alternative of its picture.

The words themselves are in :mod:`scoring.phrases`, a file a language.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from scoring.phrases import ENGLISH, Language
from scoring.progress import ONE_MEASUREMENT, Change, Point, Progress
from scoring.reliable import PublishedChange, RegressedChange, ReliableChange, Unavailable

CATEGORIES: Final = ("recovered", "improved", "unchanged", "deteriorated", "harmed")
HEADLINES: Final = {category: ENGLISH.say(f"headline.{category}") for category in CATEGORIES}
"""A category in the words of a label."""


def number(value: float) -> str:
    """At most two decimals, without trailing zeros.

    >>> number(8.3596), number(10.0), number(-0.001)
    ('8.36', '10', '0')
    """
    return ENGLISH.number(value)


def day(moment: datetime) -> str:
    """The day of a UTC time.

    >>> day(datetime(2026, 3, 1))
    '1 Mar 2026'
    """
    return ENGLISH.day(moment)


def points(value: float) -> str:
    """An amount of points.

    >>> points(1), points(2.5)
    ('1 point', '2.5 points')
    """
    return ENGLISH.points(value)


def how_often(p_value: float, language: Language = ENGLISH) -> str:
    """How often error alone gives a difference at least as large.

    >>> how_often(0.0004), how_often(0.004), how_often(0.481), how_often(1.0)
    ('less than once in 1000', 'less than once in 100', '48 times in 100', 'always')
    """
    if p_value < 0.01:
        return language.say("often.less-1000" if p_value < 0.001 else "often.less-100")
    times = round(p_value * 100)
    if times == 100:
        return language.say("often.always" if p_value == 1 else "often.more-99")
    return language.say("often.once") if times == 1 else language.say("often.times", times=times)


def direction(progress: Progress, language: Language = ENGLISH) -> str:
    """What a high score means, as a label says it."""
    return language.say(f"direction.{progress.figures.higher_is}")


def headline(progress: Progress, language: Language = ENGLISH) -> str:
    """What became of the person, in two or three words; empty where that cannot be said."""
    change = progress.from_baseline
    if isinstance(change, Unavailable) or change.category is None:
        return ""
    key = _verdict_key(change)
    if key == "harmed" and progress.side(progress.last) != "clinical":
        key = "deteriorated"  # it ended on the cutoff, which is no side
    return language.say(f"headline.{key}")


def summary(progress: Progress, language: Language = ENGLISH) -> str:
    """What a clinician should see: better, worse or no real change, and how sure that is; then what was left out."""
    said = [verdict(progress, language)]
    if unsure := unchecked(progress, language):
        said.append(language.say("memory", what=unsure))
    if why := left_out(progress, language):
        said.append(language.say("left-out", why=why))
    if count := amended(progress):
        said.append(language.say("amended", count=count))
    return " ".join(said)


def expectation(expected: Mapping[str, Any] | None, language: Language = ENGLISH) -> str:
    """Whether a client is where others like them were, in a sentence; empty where that is not known.

    ``expected`` is the member of that name of a series.
    """
    if not expected or not expected.get("available") or expected.get("status") is None:
        return ""
    return language.say(f"expected.{expected['status']}")


def amended(progress: Progress) -> int:
    """How many measurements were put right after they had been recorded."""
    return sum(point["amended"] for point in progress.points)


def unchecked(progress: Progress, language: Language = ENGLISH) -> str:
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
    found = [language.say(f"memory.{kind}") for kind in kinds]
    return ", ".join(dict.fromkeys(found))


def verdict(progress: Progress, language: Language = ENGLISH) -> str:
    """What became of the person and how sure that is, without what was left out and what needs checking."""
    change, last, baseline = progress.from_baseline, progress.last, progress.baseline
    if last is None or last["value"] is None:
        return language.say("none-usable" if progress.points else "none")
    if baseline is None or isinstance(change, Unavailable):
        alone = isinstance(change, Unavailable) and change.code == ONE_MEASUREMENT.code
        key = "one-usable" if alone else "nothing-to-compare"
        return language.say(key, reading=_reading(last, language), standing=_standing(progress, language))
    course = language.say("course", first=_reading(baseline, language), last=_reading(last, language))
    moved, reliable = _moved(progress, change, language), progress.figures.reliable_change
    if isinstance(reliable, Unavailable):
        compared = language.say("compared", moved=moved[0].upper() + moved[1:], course=course)
        return compared if change.direction is None else f"{compared} {language.say('error-unknown')}"
    category, cutoff, crossing = change.category or "unchanged", progress.figures.deciding, ""
    if cutoff is not None and category in ("recovered", "harmed"):
        crossing = language.say(_crossing_key(progress, category), cutoff=language.number(cutoff.value))
    return language.say(
        "judged",
        opening=language.say(f"opening.{_verdict_key(change)}"),
        moved=moved,
        crossing=crossing,
        course=course,
        certainty=_certainty(change, reliable, language),
    )


def _reading(point: Point, language: Language) -> str:
    key = "reading.prorated" if point["status"] == "prorated" else "reading"
    return language.say(key, value=language.number(point["value"] or 0.0), day=language.day(point["answered_at"]))


def _standing(progress: Progress, language: Language) -> str:
    cutoff, side = progress.figures.deciding, progress.side(progress.last)
    if cutoff is None or side is None:
        return ""
    return language.say(f"standing.{side}", cutoff=language.number(cutoff.value))


def _verdict_key(change: Change) -> str:
    """The category; where a method that expects regression to the mean judges against the change's own direction,
    by what: "worse" of somebody whose score got better would be read as a mistake."""
    category = change.category or "unchanged"
    if category == "improved" and change.direction != "better":
        return "better-than-expected"
    if category == "deteriorated" and change.direction != "worse":
        return "worse-than-expected"
    return category


def _crossing_key(progress: Progress, category: str) -> str:
    """A score equal to a computed cutoff is on neither side of it, and who began or ended there is told so."""
    if category == "harmed" and progress.side(progress.baseline) == "on-cutoff":
        return "crossing.from-cutoff"
    if category == "harmed" and progress.side(progress.last) == "on-cutoff":
        return "crossing.to-cutoff"
    return f"crossing.{category}"


def _moved(progress: Progress, change: Change, language: Language) -> str:
    """How far from the baseline; its day, where it is not the first measurement that is used."""
    first = next(point["answered_at"] for point in progress.points if point["used"])
    since, filled = ("", {}) if first == change.since else ("-since", {"day": language.day(change.since)})
    if change.points == 0:
        return language.say(f"moved.same{since}", **filled)
    word = change.direction or ("higher" if change.points > 0 else "lower")
    return language.say(f"moved.{word}{since}", points=language.points(abs(change.points)), **filled)


def _certainty(change: Change, reliable: ReliableChange | PublishedChange, language: Language) -> str:
    amount = language.points(reliable.threshold)
    if isinstance(reliable, PublishedChange):
        side = "less" if change.category == "unchanged" else "reached"
        return language.say(f"certainty.published-{side}", points=amount)
    side = "within" if change.category == "unchanged" else "beyond"
    if isinstance(reliable, RegressedChange):
        side = f"regressed-{side}"
    elif change.points == 0:
        return language.say("certainty.same", points=amount)
    return language.say(f"certainty.{side}", points=amount, often=how_often(change.p_value or 0.0, language))


def left_out(progress: Progress, language: Language = ENGLISH) -> str:
    """How many measurements are not used, and why; empty where all are."""
    return ", ".join(
        language.say("left-out.count", count=count, reason=language.say(f"left-out.{reason}"))
        for reason, count in progress.left_out.items()
    )
