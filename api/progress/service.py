"""From stored scores to progress: which definition they are judged by, and which series there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from operator import itemgetter
from typing import Any, Final

from api.catalogue.library import Shelf
from api.problems import RequestInvalid
from api.progress.expecting import care_of, expected_of
from api.progress.repository import Episode, Found, Rows
from api.progress.schemas import ProgressQuery
from api.references.active import NONE, References
from instruments import Instrument, UnknownInstrument
from scoring.norms import role_of, usable_norms
from scoring.progress import FIRST, PARTS, Baseline, Measurement, Progress, progress, usual_variant
from scoring.progress_words import headline, summary
from scoring.reliable import ProgressMethod, Unavailable
from scoring.series import Start
from scoring.series import described as more

FIRST_USED: Final = "first"
BEFORE_EPISODE: Final = "last-before-episode"
NO_EPISODE: Final = Unavailable("no-episode", "The client has no episode, so nothing lies before one.")
Scales = Mapping[str, Sequence[Measurement]]
_WITHOUT_TREND: Final = dict.fromkeys(("trend", "non_overlap", "milestones"))


@dataclass(frozen=True)
class Choice:
    """What was asked for: one instrument or all of the client's, one scale or all, and what to judge by."""

    instrument: Instrument | None
    scale: str | None
    variant: str | None
    norm: str | None
    method: ProgressMethod | None = None
    baseline: str = FIRST_USED
    episode: str | None = None


def choose(shelf: Shelf, asked: ProgressQuery) -> Choice:
    """The instrument, scale, variant and sample that a query names.

    Raises
    ------
    RequestInvalid
        There is no such instrument, or it has no such scale, variant or sample.
    """
    named = {"scale": asked.scale, "variant": asked.variant, "norm": asked.norm}
    episode = None if asked.episode is None else str(asked.episode)
    rest = {"method": asked.method, "baseline": asked.baseline, "episode": episode}
    if asked.instrument is None:
        if asked.baseline not in (FIRST_USED, BEFORE_EPISODE):
            raise _refused("instrument", "needed-with-baseline", "say which instrument's response is the baseline")
        if extra := [name for name, value in named.items() if value is not None]:
            raise _refused("instrument", f"needed-with-{extra[0]}", f"say which instrument's {extra[0]} is meant")
        return Choice(None, **named, **rest)  # type: ignore[arg-type]  # of their types
    try:
        instrument = shelf.get(asked.instrument)
    except UnknownInstrument:
        raise _refused("instrument", "unknown-instrument", "has to be a code of /v1/instruments") from None
    scales = _scale_ids(instrument)
    variant = asked.variant or instrument.variant_ids[0]
    known = {"scale": scales, "variant": instrument.variant_ids}
    if asked.norm is not None and asked.scale in {None, *scales} and variant in instrument.variant_ids:
        known["norm"] = [norm for scale in ([asked.scale] if asked.scale else scales)
                         for norm in _norm_ids(instrument, scale, variant)]  # fmt: skip
    for name, choices in known.items():
        if named[name] is not None and named[name] not in choices:
            detail = f"has to be one of {', '.join(choices)}" if choices else f"there is no {name} to choose"
            raise _refused(name, f"unknown-{name}", detail)
    return Choice(instrument, **named, **rest)  # type: ignore[arg-type]  # of their types


def choose_one(shelf: Shelf, asked: ProgressQuery) -> tuple[Instrument, Choice]:
    """The same for a picture, which is of one scale: the one named, else the total, else the first.

    Raises
    ------
    RequestInvalid
        As :func:`choose`.
    """
    choice = choose(shelf, asked)
    instrument = choice.instrument
    assert instrument is not None  # noqa: S101  - a code was given
    return instrument, replace(choice, scale=choice.scale or instrument.overall_scale)


def _norm_ids(instrument: Instrument, scale: str, variant: str) -> list[str]:
    """Samples that a person can be held against on a scale."""
    return [norm.id for norm in usable_norms(instrument, scale, variant) if role_of(norm) is not None]


def _refused(parameter: str, code: str, detail: str) -> RequestInvalid:
    return RequestInvalid(errors=[{"parameter": parameter, "in": "query", "code": code, "detail": detail}])


def _scale_ids(instrument: Instrument) -> list[str]:
    return [scale.id for scale in instrument.scales]


def document(
    shelf: Shelf, choice: Choice, found: Found, parts: Collection[str] = PARTS, references: References = NONE
) -> dict[str, Any]:
    """The progress of a client as plain data, without the client's id.

    Parameters
    ----------
    parts
        Of those that can be left out, these are there.
    references
        What courses are held against.
    """
    rows, start = found.rows, start_of_care(found.episodes, choice.episode)
    care = care_of(found.episodes, choice.episode)
    codes = [choice.instrument.code] if choice.instrument is not None else sorted(rows)
    known = [code for code in codes if code in shelf.versions]
    return {
        "episodes": [each.document() for each in found.episodes],
        "series": [
            described(one, start, parts, expected_of(one, references, care) if "expected" in parts else None)
            for code in known
            for one in series(shelf, shelf.get(code), choice, rows.get(code, {}), found.episodes)
        ],
        "without_definition": [code for code in codes if code not in shelf.versions],
    }


def start_of_care(episodes: Sequence[Episode], episode: str | None = None) -> Start | None:
    """What divides a client's series in before and after: the start of one episode, or else of the first."""
    for one in episodes:
        if episode is None or one.id == episode:
            return Start.of(one.started_on, one.first_session)
    return None


def described(
    one: Progress,
    start: Start | None = None,
    parts: Collection[str] = PARTS,
    expectation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A series as plain data, with what it says in words; ``start``: when care started. Parts left out are None."""
    trend = more(one, start) if "trend" in parts else _WITHOUT_TREND
    said = {**one.document(parts), **trend, "expected": expectation}
    return {**said, "headline": headline(one) or None, "summary": summary(one)}


def judged(code: str | None, rows: Rows) -> tuple[Iterable[str], dict[str, set[int]]]:
    """The instruments that a document is about, and the versions that their scores were made by."""
    used = {name: {m.version for found in scales.values() for m in found} for name, scales in rows.items()}
    return ({code, *used} if code is not None else used), used


def series(
    shelf: Shelf, newest: Instrument, choice: Choice, rows: Scales, episodes: Sequence[Episode] = ()
) -> list[Progress]:
    """The series of an instrument's scales, in the order of its definition; empty ones too.

    A sample that was asked for judges its own scale; where an older version judges that does not have it, none is
    replaced.

    Raises
    ------
    RequestInvalid
        The response that is to be the baseline is none of the client's to this instrument.
    """
    instrument = _judging(shelf, newest, choice.scale, rows)
    versions = _comparable(shelf, instrument, rows)
    baseline = _baseline(choice, rows, episodes)
    found = []
    for scale_id in _scale_ids(instrument) if choice.scale is None else [choice.scale]:
        given, variant = _around(choice, rows.get(scale_id, ()), baseline), choice.variant
        if variant not in instrument.variant_ids:
            variant = usual_variant(instrument, given, versions)
        norm = choice.norm
        if norm is not None and norm not in _norm_ids(instrument, scale_id, variant):
            norm = None
        made = progress(
            instrument,
            scale_id,
            given,
            variant=variant,
            versions=versions,
            norm=norm,
            method=choice.method,
            baseline=baseline,
        )
        found.append(made)
    return found


def _baseline(choice: Choice, rows: Scales, episodes: Sequence[Episode]) -> Baseline | Unavailable:
    """What change is measured from, as it was asked for."""
    if choice.baseline == FIRST_USED:
        return FIRST
    if choice.baseline == BEFORE_EPISODE:
        asked = (one for one in reversed(episodes) if choice.episode is None or one.id == choice.episode)
        episode = next(asked, None)
        if episode is None:
            return NO_EPISODE
        return Baseline(before=datetime.combine(episode.started_on, time(0), UTC), episode_id=episode.id)
    if not any(m.response_id == choice.baseline for measurements in rows.values() for m in measurements):
        detail = "has to be the id of a response of this client to the instrument, which is not void"
        raise _refused("baseline", "unknown-response", detail)
    return Baseline(response_id=choice.baseline)


def _around(choice: Choice, given: Sequence[Measurement], baseline: Baseline | Unavailable) -> Sequence[Measurement]:
    """Of an episode that was asked for, what belongs to it, and what a baseline from elsewhere is looked for among."""
    if choice.episode is None or choice.baseline == FIRST_USED or isinstance(baseline, Unavailable):
        return given
    before, response = baseline.before, baseline.response_id
    return [
        m
        for m in given
        if m.episode_id == choice.episode
        or m.response_id == response
        or (before is not None and m.answered_at < before)
    ]


def _comparable(shelf: Shelf, judging: Instrument, rows: Scales) -> frozenset[int]:
    """Versions whose scores may be put beside those of one: itself, and each that either declares comparable.

    What is declared holds both ways, but is not carried on: a third version is comparable where one of the two says so.
    """
    used = {m.version for measurements in rows.values() for m in measurements} - {judging.version}
    found = {judging.version} | {declared.version for declared in judging.comparable_with}
    for version in used & set(shelf.versions[judging.code]):
        if any(declared.version == judging.version for declared in shelf.get(judging.code, version).comparable_with):
            found.add(version)
    return frozenset(found)


def _judging(shelf: Shelf, newest: Instrument, scale: str | None, rows: Scales) -> Instrument:
    """The definition to judge by: the version that the client's newest usable score was made by."""
    usable = [m for measurements in rows.values() for m in measurements if m.valid and m.value is not None]
    version = max(usable, key=itemgetter(0, 1, 2)).version if usable else newest.version
    if version == newest.version or version not in shelf.versions[newest.code]:
        return newest
    older = shelf.get(newest.code, version)
    return older if scale is None or scale in _scale_ids(older) else newest
