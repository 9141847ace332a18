"""From a request's body to a definition and its golden cases, whatever format they came in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from api.authoring.checking import LONGEST_DETAIL, Lines, Submission
from api.problems import RequestInvalid, pointer
from instruments import QuestionnaireError, Reading, from_fhir
from instruments.budget import oversized
from instruments.reading import lines_of

MEMBERS: Final = ("definition", "questionnaire", "golden")
LONGEST_EXPRESSION: Final = 50_000
MOST_TEXT: Final = 1 << 20
"""Of a Questionnaire: its expressions name every item again, with the whole path to it."""


def read_submission(given: Any, text: bytes | None = None) -> Submission:
    """Take a body apart.

    Parameters
    ----------
    given
        The body as plain data: `{definition, golden}`, `{questionnaire, golden}`, or a FHIR Questionnaire alone. Where
        there are both, members of the definition take the place of those that the Questionnaire gives: it has none for
        most of what a definition says.
    text
        The body as it came where it was YAML, for the lines of faults.

    Raises
    ------
    RequestInvalid
        It is none of these, or the Questionnaire is not one that a definition can be made of.
    """
    if isinstance(given, dict) and given.get("resourceType") == "Questionnaire":
        given = {"questionnaire": given}
    if not isinstance(given, dict):
        raise _refused("", "model-type", "has to be an object with definition or questionnaire, and golden")
    unknown = [name for name in given if name not in MEMBERS]
    if unknown:
        detail = "is not a member that this operation knows"
        raise RequestInvalid(
            errors=[{"pointer": pointer([name]), "code": "extra-forbidden", "detail": detail} for name in unknown]
        )
    if not {"definition", "questionnaire"} & given.keys():
        raise _refused("", "missing", "has a definition, a questionnaire, or both")
    golden, lines = given.get("golden", []), None if text is None else _lines(text)
    if "questionnaire" not in given:
        return Submission(given["definition"], golden, lines)
    read = _from_questionnaire(given["questionnaire"])
    more = given.get("definition", {})
    if not isinstance(more, dict):
        raise _refused("/definition", "model-type", "has to be an object")
    notes = [note for note in read.notes if note.kind == "dropped" or _member(note.pointer) not in more]
    return Submission(read.definition | more, golden, lines, tuple(map(asdict, notes)))


def _member(place: str) -> str:
    """The member of the definition that a pointer leads into."""
    return place.partition("/")[2].partition("/")[0]


def _refused(where: str, code: str, detail: str) -> RequestInvalid:
    return RequestInvalid(errors=[{"pointer": where, "code": code, "detail": detail}])


def _lines(text: bytes) -> Callable[[], Lines]:
    return lambda: {pointer(path): line for path, line in lines_of(text.decode("utf-8")).items()}


def _from_questionnaire(resource: Any) -> Reading:
    if not isinstance(resource, dict):
        raise _refused("/questionnaire", "model-type", "has to be an object")
    over = oversized(resource, longest_text=LONGEST_EXPRESSION, most_text=MOST_TEXT)
    faults = [(pointer(one.place), "limit", f"{one.message}: {one.remedy}") for one in over]
    if not faults:
        try:
            return from_fhir(resource)
        except QuestionnaireError as error:
            faults = [(fault.pointer, "questionnaire", fault.detail) for fault in error.faults]
    raise RequestInvalid(
        errors=[
            {"pointer": f"/questionnaire{where}", "code": code, "detail": detail[:LONGEST_DETAIL]}
            for where, code, detail in faults
        ]
    )
