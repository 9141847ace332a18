"""Reading a definition file strictly: every fault with its file, line and remedy."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from instruments.conditions import Strict
from instruments.consistency import Inconsistent
from instruments.reading import NotReadable, Path_, lines_of, read_yaml
from instruments.schema import Instrument, Listed

Model = TypeVar("Model", bound=Strict)
MOST_FAULTS = 1_000
"""Told of one definition: a file that is nothing but faults is not worth the time to explain them all."""
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class DefinitionFault:
    """One thing wrong in a definition file."""

    file: str
    line: int
    path: str
    message: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: {self.path or '(whole file)'}"
        return f"{where}: {self.message} ({self.remedy})" if self.remedy else f"{where}: {self.message}"


class DefinitionError(ValueError):
    """A definition that cannot be used; ``faults`` holds everything that is wrong with it."""

    def __init__(self, faults: list[DefinitionFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


def read_definition(text: str, file: str = "definition") -> Instrument:
    """Read one definition from YAML text.

    Raises
    ------
    DefinitionError
        With every fault that can be told apart: syntax first, then duplicate keys, then shape, then references.
    """
    return _checked(Instrument, _plain(text, file), file, lambda: lines_of(text))


def definition_from(value: Any, *, file: str = "definition") -> Instrument:
    """Check a definition that is already plain data (as from JSON); errors as for ``read_definition``."""
    return _checked(Instrument, value, file, lambda: dict.fromkeys(_paths(value), 1))


def read_listed(text: str, file: str = "entry") -> Listed:
    """Read the entry of a questionnaire that cannot be scored; errors as for ``read_definition``."""
    return _checked(Listed, _plain(text, file), file, lambda: lines_of(text))


def _plain(text: str, file: str) -> Any:
    try:
        value, twice = read_yaml(text)
    except NotReadable as error:
        raise DefinitionError([DefinitionFault(file, error.line, "", error.message, error.remedy)]) from None
    if twice:
        message, remedy = "the key occurs twice", "keep one of the two"
        raise DefinitionError([DefinitionFault(file, key.line, _pointer(key.path), message, remedy) for key in twice])
    return value


def _checked(model: type[Model], value: Any, file: str, lines: Callable[[], dict[Path_, int]]) -> Model:
    """Plain data as a definition; the lines are asked for only where something is wrong."""
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise DefinitionError(list(islice(_explained(error, file, lines()), MOST_FAULTS))) from None


def read_file(path: Path) -> Instrument:
    """Read one definition file; its name must be ``<code>@<version>.yaml``."""
    instrument = read_definition(_text_of(path), path.name)
    _named(path, f"{instrument.code}@{instrument.version}.yaml")
    return instrument


def read_listed_file(path: Path) -> Listed:
    """Read the file of a questionnaire that cannot be scored; its name must be ``<code>.yaml``."""
    listed = read_listed(_text_of(path), path.name)
    _named(path, f"{listed.code}.yaml")
    return listed


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        fault = DefinitionFault(path.name, line, "", "not UTF-8", "save the file as UTF-8")
        raise DefinitionError([fault]) from None


def _named(path: Path, expected: str) -> None:
    if path.name != expected:
        fault = DefinitionFault(path.name, 1, "code", f"the file defines {expected}", f"rename the file to {expected}")
        raise DefinitionError([fault])


def _explained(error: ValidationError, file: str, lines: dict[Path_, int]) -> Iterator[DefinitionFault]:
    for fault in error.errors(include_url=False, include_input=False):
        cause = fault.get("ctx", {}).get("error")
        if isinstance(cause, Inconsistent):
            for mistake in cause.mistakes:
                place = mistake.place
                yield DefinitionFault(file, _line(place, lines), _pointer(place), mistake.message, mistake.remedy)
            continue
        path = _steps(fault["loc"], lines)
        message, remedy = _in_words(fault["type"], fault["msg"], path)
        yield DefinitionFault(file, _line(path, lines), _pointer(path), message, remedy)


def _steps(loc: Path_, lines: dict[Path_, int]) -> Path_:
    """Pydantic's location without the names of a condition's kind that it puts between the keys of the file."""
    path: Path_ = ()
    for index, part in enumerate(loc):
        rest = loc[index + 1 : index + 2]
        skipped = (*path, *rest) in lines and (*path, part, *rest) not in lines
        if not rest or ((*path, part) in lines and not skipped):
            path = (*path, part)
    return path


def _in_words(kind: str, message: str, path: Path_) -> tuple[str, str]:
    name = str(path[-1])[:LONGEST_NAME] if path else ""
    match kind:
        case "extra_forbidden":
            close = difflib.get_close_matches(name, _known_names(), n=1)
            return f"unknown key {name!r}", f"did you mean {close[0]!r}?" if close else "remove it"
        case "missing":
            return f"{name!r} is missing", "add it"
        case "string_type":
            return "must be text", "put it in quotes"
        case "int_type" | "int_parsing" | "int_from_float":
            return "must be a whole number", "write it without quotes and without a fraction"
        case "literal_error":
            return message.removeprefix("Input should be ").join(("must be ", "")), "use one of these words"
        case "value_error":
            return message.removeprefix("Value error, "), ""
        case _:
            return message[:1].lower() + message[1:], ""


@cache
def _known_names() -> tuple[str, ...]:
    names: set[str] = set()
    todo: list[Any] = [Instrument.model_json_schema(), Listed.model_json_schema()]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            names |= set(value.get("properties", ()))
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return tuple(sorted(names))


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in steps:
        yield from _paths(child, (*path, step))


def _line(path: Path_, lines: dict[Path_, int]) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _pointer(path: Path_) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
