"""Everything that can be wrong with a submitted definition and its golden cases, found at once.

Pure and bounded: what a definition asks for is counted (:mod:`instruments.budget`) before anything else reads it, so
this takes a known time at most. It is still long enough to be done in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

import scoring
from api.catalogue.own import OWN_CODE
from api.problems import pointer
from instruments import DefinitionError, Instrument, vocabulary
from instruments.budget import excesses
from instruments.loader import definition_from
from scoring.golden import MOST_CASES, GoldenCase, differences, gaps
from scoring.plan import plan_of
from scoring.progress import progress

Fault = dict[str, Any]
Lines = Mapping[str, int]
"""Line of each JSON Pointer, where the submission was YAML."""

MOST_FAULTS: Final = 200
LONGEST_DETAIL: Final = 300
_CASES: Final[TypeAdapter[tuple[GoldenCase, ...]]] = TypeAdapter(tuple[GoldenCase, ...])
_SCALE: Final = re.compile(r"scale '([^']+)'")
_ILLEGIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]"
)
"""Controls, marks that turn round what is printed after the text, and what is no character."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A definition and its golden cases as plain data, read from whichever format."""

    definition: Any
    golden: Any = field(default_factory=list)
    lines: Callable[[], Lines] | None = None
    """Where everything stands, asked for only when something is wrong."""
    notes: tuple[dict[str, Any], ...] = ()
    """Of a FHIR Questionnaire: what is missing, was assumed, or was dropped."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found. ``instrument`` is there when the definition has no fault of its own."""

    instrument: Instrument | None
    faults: tuple[Fault, ...]
    failures: tuple[Fault, ...] = ()
    """In what the golden cases fail; empty unless they could be tried."""

    @property
    def publishable(self) -> bool:
        """Whether nothing is wrong."""
        return self.instrument is not None and not self.faults and not self.failures


def check(given: Submission, published: Collection[int] = ()) -> Checked:
    """Check a submission as a whole.

    Parameters
    ----------
    given
    published
        Versions of the instrument that are published already.
    """
    over = [_fault(("definition", *one.place), "limit", one.message, one.remedy) for one in excesses(given.definition)]
    over += [_fault(("golden", *one.place), "limit", one.message, one.remedy) for one in excesses(given.golden)]
    if over:
        return _with_lines(Checked(None, tuple(over[:MOST_FAULTS])), given.lines)
    faults = [*_identity(given.definition, published), *_illegible(given.definition)]
    instrument = None
    try:
        instrument = definition_from(given.definition)
    except DefinitionError as error:
        faults += [
            _fault(("definition",), "definition", one.message, one.remedy, below=one.path)
            for one in error.faults[:MOST_FAULTS]
        ]
    if instrument is not None:
        contradictions = list(_compiled(instrument))
        faults += contradictions
        faults += _comparable(instrument, published)
        if contradictions:
            instrument.compiled.clear()  # see service.check
            instrument = None
    cases, wrong = _golden(given.golden)
    faults += wrong
    failures: list[Fault] = []
    if instrument is not None and not wrong:
        failures = list(islice(_failures(instrument, cases), MOST_FAULTS))
    return _with_lines(Checked(instrument, tuple(faults[:MOST_FAULTS]), tuple(failures)), given.lines)


def _fault(path: tuple[str | int, ...], code: str, detail: str, remedy: str = "", *, below: str = "") -> Fault:
    words = f"{detail}: {remedy}" if remedy else detail
    return {"pointer": pointer(path) + below, "code": code, "detail": words[:LONGEST_DETAIL]}


def _identity(definition: Any, published: Collection[int]) -> Iterator[Fault]:
    """What is asked of own instruments beyond what is asked of any."""
    if not isinstance(definition, dict):
        return
    code, version = definition.get("code"), definition.get("version")
    if isinstance(code, str) and OWN_CODE.fullmatch(code) is None:
        detail = "begins with own-, followed by a to z, 0 to 9, - and _, at most 40 characters in all"
        yield _fault(("definition", "code"), "own-code", detail)
    concerns = definition.get("concerns")
    for index, concern in enumerate(concerns if isinstance(concerns, list) else ()):
        if isinstance(concern, str) and concern not in vocabulary():
            yield _fault(("definition", "concerns", index), "unknown-concern", "is an id of /v1/concerns")
    if type(version) is int:
        if version > 2**31 - 1:
            yield _fault(("definition", "version"), "version-order", "is below 2147483648")
        elif published and version <= max(published) and version not in published:
            yield _fault(("definition", "version"), "version-order", f"is above {max(published)}, which is published")


def _illegible(definition: Any) -> Iterator[Fault]:
    """Texts that cannot be printed as they are, in pictures and reports."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [(("definition",), definition)]
    while waiting:
        path, here = waiting.pop()
        if isinstance(here, dict):
            waiting.extend(((*path, str(name)), inner) for name, inner in here.items())
        elif isinstance(here, list):
            waiting.extend(((*path, at), inner) for at, inner in enumerate(here))
        elif isinstance(here, str) and _ILLEGIBLE.search(here):
            yield _fault(path, "characters", "has no control characters, and no marks of direction")


def _comparable(instrument: Instrument, published: Collection[int]) -> Iterator[Fault]:
    for index, one in enumerate(instrument.comparable_with):
        if one.version not in published:
            path = ("definition", "comparable_with", index, "version")
            yield _fault(path, "unknown-version", "is a published version of this instrument")


def _compiled(instrument: Instrument) -> Iterator[Fault]:
    """Compile every variant, and work out every figure: what contradicts itself shows here, and not in a request."""
    seen: set[str] = set()
    for variant in instrument.variant_ids:
        try:
            plan_of(instrument, variant)
        except scoring.PlanError as error:
            words = str(error).removeprefix(f"{instrument.code}: ")
            if words not in seen:
                seen.add(words)
                yield _fault(("definition", *_place(instrument, words)), "contradiction", words)
            continue
        scoring.score(instrument, {}, variant=variant)
        for scale in instrument.scales:
            progress(instrument, scale.id, (), variant=variant)
    if not seen:
        scoring.score(instrument, {})


def _place(instrument: Instrument, message: str) -> tuple[str | int, ...]:
    """The scale that a message names."""
    named = _SCALE.search(message)
    places = {scale.id: index for index, scale in enumerate(instrument.scales)}
    return ("scales", places[named[1]]) if named is not None and named[1] in places else ()


def _golden(golden: Any) -> tuple[tuple[GoldenCase, ...], list[Fault]]:
    if not isinstance(golden, list):
        return (), [_fault(("golden",), "golden-case", "must be a list of cases")]
    if len(golden) > MOST_CASES:
        return (), [_fault(("golden",), "limit", f"there are {len(golden)} cases, more than {MOST_CASES}")]
    try:
        return _CASES.validate_python(golden), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return (), [
            _fault(("golden", *fault["loc"]), "golden-case", fault["msg"].removeprefix("Value error, "))
            for fault in found[:MOST_FAULTS]
        ]


def _failures(instrument: Instrument, cases: tuple[GoldenCase, ...]) -> Iterator[Fault]:
    for one in differences(instrument, cases):
        yield _fault(("golden", *one.path), "differs", one.detail) | {"expected": one.expected, "actual": one.actual}
    for gap in gaps(instrument, cases):
        yield _fault(("golden",), "not-exercised", gap)


def _with_lines(checked: Checked, lines: Callable[[], Lines] | None) -> Checked:
    wrong = (*checked.faults, *checked.failures)
    if lines is None or not wrong:
        return checked
    known = lines()
    for fault in wrong:
        at = fault["pointer"]
        while at and at not in known:
            at = at.rpartition("/")[0]
        fault["line"] = known.get(at, 1)
    return checked
