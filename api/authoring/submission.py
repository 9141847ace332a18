"""From a request's body to a definition and its golden cases, whatever format they came in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from api.authoring.checking import Lines, Submission
from api.problems import RequestInvalid, pointer
from instruments.reading import lines_of

MEMBERS: Final = ("definition", "questionnaire", "golden")


def read_submission(given: Any, text: bytes | None = None) -> Submission:
    """Take a body apart.

    Parameters
    ----------
    given
        The body as plain data: `{definition, golden}`, `{questionnaire, golden}`, or a FHIR Questionnaire alone.
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
    if ("definition" in given) == ("questionnaire" in given):
        raise _refused("", "one-format", "has exactly one of definition and questionnaire")
    golden = given.get("golden", [])
    if "questionnaire" in given:
        definition, lost = _from_questionnaire(given["questionnaire"])
        return Submission(definition, golden, None, lost)
    return Submission(given["definition"], golden, None if text is None else _lines(text))


def _refused(where: str, code: str, detail: str) -> RequestInvalid:
    return RequestInvalid(errors=[{"pointer": where, "code": code, "detail": detail}])


def _lines(text: bytes) -> Callable[[], Lines]:
    return lambda: {pointer(path): line for path, line in lines_of(text.decode("utf-8")).items()}


def _from_questionnaire(resource: Any) -> tuple[Any, tuple[str, ...]]:
    raise _refused("/questionnaire", "not-taken", "send the definition")
