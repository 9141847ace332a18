"""What two people's series on one scale say together, as plain data.

Made of the two series alone, each as :mod:`scoring.progress` judges it: what it does not use is not compared either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any, Final, NamedTuple

from instruments.parts import Norm
from scoring.change import critical_value
from scoring.cutoffs import NotComputable
from scoring.dyads.discrepancy import agreement, paired_occasions, shift, standard_error, standardised
from scoring.dyads.profiles import similarity
from scoring.progress import Point, Progress
from scoring.reliable import Unavailable

DAY: Final = 86_400.0
WINDOW: Final = 14
"""Days that two occasions may lie apart unless it is said."""
FEWEST_PARTS: Final = 3
"""Scales that a profile is made of at least."""

OTHER_VARIANT: Final = Unavailable(
    "other-variant", "The two are scored by variants of the instrument that give different scores."
)
OTHER_VERSION: Final = Unavailable(
    "other-version", "The two are scored by versions of the definition that are not declared comparable."
)
NO_OCCASIONS: Final = Unavailable("no-occasions", "No two usable measurements lie within the window.")
ONE_OCCASION: Final = Unavailable("one-occasion", "There is one pair of measurements; change needs two.")
FEW_OCCASIONS: Final = Unavailable("few-occasions", "Agreement is told of from three pairs of measurements on.")
NO_ERROR: Final = Unavailable("no-error", "The measurement error of this scale is not known for both.")
NO_PROFILE: Final = Unavailable(
    "no-profile", "There are no two forms within the window that share three or more separate scales."
)


class Occasion(NamedTuple):
    """One measurement of each that belong together."""

    first: Point
    second: Point

    @property
    def scores(self) -> tuple[float, float]:
        """Of the first and of the second, in points."""
        first, second = self.first["value"], self.second["value"]
        assert first is not None  # noqa: S101  - only points with a score are used
        assert second is not None  # noqa: S101  - as above
        return first, second

    @property
    def discrepancy(self) -> float:
        """The first less the second, in points."""
        return round(self.scores[0] - self.scores[1], 10)


def not_comparable(first: Progress, second: Progress) -> Unavailable | None:
    """Why the scores of two series of one scale must not be compared; None where they may."""
    one, other = first.instrument, second.instrument
    if one.version != other.version and not any(
        declared.version == newer.version
        for this, newer in ((one, other), (other, one))
        for declared in this.comparable_with
    ):
        return OTHER_VERSION
    if first.variant == second.variant:
        return None
    known = {first.variant, second.variant} <= {*one.variant_ids}
    return None if known and one.scored_alike(first.variant, second.variant) else OTHER_VARIANT


def occasions(first: Progress, second: Progress, window: float = WINDOW) -> list[Occasion]:
    """The measurements that belong together: the nearest first, each once, in order, at most ``window`` days apart."""
    ones, others = _used(first), _used(second)
    pairs = paired_occasions(_times(ones), _times(others), window * DAY)
    return [Occasion(ones[i], others[j]) for i, j in pairs]


def _used(series: Progress) -> list[Point]:
    return [point for point in series.points if point["used"]]


def _times(points: Iterable[Point]) -> list[float]:
    return [point["answered_at"].timestamp() for point in points]


def described(first: Progress, second: Progress, window: float = WINDOW) -> dict[str, Any]:
    """How far apart two people are on one scale, and whether that changed.

    Parameters
    ----------
    first, second
        The series of each, of one scale and comparable (:func:`not_comparable`).
    window
        Days that two occasions may lie apart.
    """
    scale, higher_is = first.figures.scale, first.figures.higher_is
    found = occasions(first, second, window)
    errors, norms = errors_of(first, second), _norms(first, second)
    taken = [{id(point) for point in side} for side in zip(*found, strict=True)] if found else [set(), set()]
    return {
        "instrument": first.instrument.code,
        "scale": scale.id,
        "scale_name": scale.name,
        "higher_is": higher_is,
        "error": _error(errors),
        "norms": None if norms is None else {"first": _norm(norms[0]), "second": _norm(norms[1])},
        "occasions": [_occasion(one, higher_is, errors, norms) for one in found],
        "unpaired": {
            side: [_measurement(point) for point in _used(series) if id(point) not in there]
            for side, series, there in zip(("first", "second"), (first, second), taken, strict=True)
        },
        "change": _change(found, errors),
        "agreement": _agreement(found),
    }


def errors_of(first: Progress, second: Progress) -> tuple[float, float] | None:
    """Standard errors of measurement of both, in points; None where one is not known."""
    known = [_error_of(series) for series in (first, second)]
    return None if known[0] is None or known[1] is None else (known[0], known[1])


def _error_of(series: Progress) -> float | None:
    reliable = series.figures.reliable_change
    if isinstance(reliable, Unavailable):
        return None
    found: float | None = reliable.document["standard_error_of_measurement"]
    return found


def _error(errors: tuple[float, float] | None) -> dict[str, Any]:
    if errors is None:
        return NO_ERROR.document
    error = standard_error(*errors)
    return {
        "available": True,
        "formula": "sqrt(SEM_first^2 + SEM_second^2)",
        "standard_errors_of_measurement": list(errors),
        "standard_error": error,
        "threshold": critical_value(0.05) * error,
        "significance": 0.05,
    }


def _norms(first: Progress, second: Progress) -> tuple[Norm, Norm] | None:
    """The functional sample of each, where both have one with a mean and a spread."""
    found = []
    for series in (first, second):
        chosen = (choice.norm for choice in series.figures.norms if choice.role == "functional")
        norm = next((norm for norm in chosen if norm.mean is not None and norm.sd), None)
        if norm is None:
            return None
        found.append(norm)
    return found[0], found[1]


def _moments(norm: Norm) -> tuple[float, float]:
    return float(norm.mean or 0), float(norm.sd or 0)


def _norm(norm: Norm) -> dict[str, Any]:
    return {"id": norm.id, "sample": norm.sample, "source": norm.source, "evidence": norm.evidence}


def _measurement(point: Point) -> dict[str, Any]:
    return {"response_id": point["response_id"], "answered_at": point["answered_at"], "value": point["value"]}


def _occasion(
    one: Occasion, higher_is: str, errors: tuple[float, float] | None, norms: tuple[Norm, Norm] | None
) -> dict[str, Any]:
    apart = one.discrepancy
    better = None
    if higher_is != "neither":
        better = "same" if apart == 0 else "first" if (apart > 0) == (higher_is == "better") else "second"
    return {
        "first": _measurement(one.first),
        "second": _measurement(one.second),
        "days_apart": abs((one.first["answered_at"] - one.second["answered_at"]).total_seconds()) / DAY,
        "discrepancy": apart,
        "absolute": abs(apart),
        "standardised": None
        if norms is None
        else standardised(*one.scores, norms=(_moments(norms[0]), _moments(norms[1]))),
        "beyond_error": None if errors is None else abs(apart) > critical_value(0.05) * standard_error(*errors),
        "better_off": better,
    }


def _change(found: Sequence[Occasion], errors: tuple[float, float] | None) -> dict[str, Any]:
    if len(found) < 2:
        return (ONE_OCCASION if found else NO_OCCASIONS).document
    first, last = found[0], found[-1]
    moved = shift(first.discrepancy, last.discrepancy, errors)
    return {
        "available": True,
        "since": max(first.first["answered_at"], first.second["answered_at"]),
        "from": first.discrepancy,
        "to": last.discrepancy,
        **asdict(moved),
        "direction": "same" if moved.narrowed == 0 else "closer" if moved.narrowed > 0 else "further-apart",
    }


def _agreement(found: Sequence[Occasion]) -> dict[str, Any]:
    try:
        told = agreement([one.scores[0] for one in found], [one.scores[1] for one in found])
    except NotComputable:
        return FEW_OCCASIONS.document
    return {"available": True, **asdict(told)}


def profile(pairs: Sequence[tuple[Progress, Progress]], window: float = WINDOW) -> dict[str, Any]:
    """How alike the newest two forms of one instrument are over its separate scales, in percent of each scale's range.

    Parameters
    ----------
    pairs
        The series of both on each scale that can be compared, in the order of the definition. Scales that are made of
        others, or contain the items of others, are left out: they would count the same answers twice.
    """
    parts = _separate(pairs)
    forms: dict[tuple[str, str], list[tuple[Progress, Progress, Occasion]]] = {}
    for first, second in parts:
        for one in occasions(first, second, window):
            forms.setdefault((one.first["response_id"], one.second["response_id"]), []).append((first, second, one))
    whole = [shared for shared in forms.values() if len(shared) >= FEWEST_PARTS]
    if not whole:
        return NO_PROFILE.document
    newest = max(whole, key=lambda shared: (shared[0][2].first["answered_at"], shared[0][2].second["answered_at"]))
    a = [_percent(first, one.scores[0]) for first, _, one in newest]
    b = [_percent(second, one.scores[1]) for _, second, one in newest]
    usual = _usual(newest)
    found = similarity(a, b) if usual is None else similarity(a, b, norm_a=usual[0], norm_b=usual[1])
    return {
        "available": True,
        "first": {name: newest[0][2].first[name] for name in ("response_id", "answered_at")},
        "second": {name: newest[0][2].second[name] for name in ("response_id", "answered_at")},
        "scales": [first.figures.scale.id for first, _, _ in newest],
        "unit": "percent of the range",
        **asdict(found),
    }


def _separate(pairs: Sequence[tuple[Progress, Progress]]) -> list[tuple[Progress, Progress]]:
    """Those of scales made of items that no smaller one of them has, too."""
    items = {first.figures.scale.id: set(first.figures.scale.rule_for(first.variant).items or ()) for first, _ in pairs}
    whole = {one for one, members in items.items() if not members}
    for one, other in combinations(items, 2):
        if one not in whole and other not in whole and items[one] & items[other]:
            whole.add(one if len(items[one]) > len(items[other]) else other)
    return [pair for pair in pairs if pair[0].figures.scale.id not in whole]


def _percent(series: Progress, value: float) -> float:
    figures = series.figures
    return round(100 * (value - figures.minimum) / (figures.maximum - figures.minimum), 10)


def _usual(shared: Sequence[tuple[Progress, Progress, Occasion]]) -> tuple[list[float], list[float]] | None:
    """What functional people look like on each scale, in percent too; None where one has no such sample."""
    profiles: tuple[list[float], list[float]] = ([], [])
    for first, second, _ in shared:
        norms = _norms(first, second)
        if norms is None:
            return None
        for side, (series, norm) in enumerate(zip((first, second), norms, strict=True)):
            profiles[side].append(_percent(series, _moments(norm)[0]))
    return profiles
