"""Reading a definition file strictly: every fault with its file, line and remedy.

YAML is read as its JSON subset. What plain YAML would quietly turn into something else (``no`` into false, ``010`` into
8, ``12:30`` into 750, a second key of the same name into the only one) stays text here or is refused.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from instruments.consistency import Inconsistent
from instruments.schema import Instrument

Path_ = tuple[str | int, ...]
LARGEST_FILE = 1 << 20
MOST_VALUES = 100_000  # after aliases are followed, so that a small file cannot unfold into a huge one
DEEPEST = 40
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


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
    value, lines = _Reader(file).read(text)
    return definition_from(value, file=file, lines=lines)


def definition_from(value: Any, *, file: str = "definition", lines: dict[Path_, int] | None = None) -> Instrument:
    """Check a definition that is already plain data (as from JSON); errors as for ``read_definition``."""
    lines = lines if lines is not None else dict.fromkeys(_paths(value), 1)
    try:
        return Instrument.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise DefinitionError(list(_explained(error, file, lines))) from None


def read_file(path: Path) -> Instrument:
    """Read one definition file; its name must be ``<code>@<version>.yaml``."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        fault = DefinitionFault(path.name, line, "", "not UTF-8", "save the file as UTF-8")
        raise DefinitionError([fault]) from None
    instrument = read_definition(text, path.name)
    expected = f"{instrument.code}@{instrument.version}.yaml"
    if path.name != expected:
        fault = DefinitionFault(path.name, 1, "code", f"the file defines {expected}", f"rename the file to {expected}")
        raise DefinitionError([fault])
    return instrument


class _Reader:
    """YAML text to plain data, with the line that each value stands on."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path_, int] = {}
        self.faults: list[DefinitionFault] = []
        self.values = 0

    def read(self, text: str) -> tuple[Any, dict[Path_, int]]:
        if len(text) > LARGEST_FILE:
            self._stop(1, f"the file has {len(text)} characters, more than {LARGEST_FILE}", "split the instrument")
        try:
            self._look_at_depth(text)
            node = yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None) or "not readable"
            self._stop(
                _mark_line(getattr(error, "problem_mark", None)),
                f"not YAML: {problem}",
                "check quotes, colons and indentation",
            )
        if node is None:
            raise DefinitionError([DefinitionFault(self.file, 1, "", "the file is empty", "start with code:")])
        value = self._value(node, ())
        if self.faults:
            raise DefinitionError(self.faults)
        return value, self.lines

    def _look_at_depth(self, text: str) -> None:
        """Refuse deep nesting before libyaml builds nodes: it does so recursively, in C, and would end the process."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEEPEST:
                    self._stop(_mark_line(event.start_mark), "too many values or levels", f"at most {DEEPEST} levels")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1

    def _stop(self, line: int, message: str, remedy: str) -> NoReturn:
        raise DefinitionError([DefinitionFault(self.file, line, "", message, remedy)])

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        line = node.start_mark.line + 1
        self.lines[path] = line
        self.values += 1
        if self.values > MOST_VALUES or len(path) > DEEPEST:
            self._stop(line, "too many values or levels", f"at most {MOST_VALUES} values and {DEEPEST} levels")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node.value, quoted=bool(getattr(node, "style", None)))

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, child in node.value:
            key = key_node.value
            if not isinstance(key, str):
                self._stop(key_node.start_mark.line + 1, "a key must be a word", "write key: value")
            if key in result:
                line = key_node.start_mark.line + 1
                fault = DefinitionFault(
                    self.file, line, _pointer((*path, key)), "the key occurs twice", "keep one of the two"
                )
                self.faults.append(fault)
            result[key] = self._value(child, (*path, key))
        return result

    @staticmethod
    def _scalar(text: str, *, quoted: bool) -> Any:
        if quoted:  # or a block: text, whatever it looks like
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text) and len(text) <= 18:
            return int(text)
        # decimals stay text: they are read as exact decimals, never as binary floats
        return text


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
    name = str(path[-1]) if path else ""
    match kind:
        case "extra_forbidden":
            close = difflib.get_close_matches(name, sorted(_known_names()), n=1)
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


def _known_names() -> set[str]:
    names: set[str] = set()
    todo: list[Any] = [Instrument.model_json_schema()]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            names |= set(value.get("properties", ()))
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return names


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in steps:
        yield from _paths(child, (*path, step))


def _line(path: Path_, lines: dict[Path_, int]) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _mark_line(mark: Any) -> int:
    return mark.line + 1 if mark else 1


def _pointer(path: Path_) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
