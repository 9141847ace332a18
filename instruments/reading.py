"""YAML text to plain data, strictly, with the line that each value stands on.

YAML is read as its JSON subset. What plain YAML would quietly turn into something else (``no`` into false, ``010`` into
8, ``12:30`` into 750, a second key of the same name into the only one) stays text here or is refused. The text is read
in one pass over its events, because building libyaml's nodes first takes as long again, and does so recursively in C:
deep nesting would end the process. Lines are worked out in a second pass, which only a faulty file needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Path_ = tuple[str | int, ...]
LARGEST_FILE = 1 << 20
MOST_VALUES = 100_000  # after aliases are followed, so that a small file cannot unfold into a huge one
CHARACTERS = 256  # of one text, that count as one value more: an alias of a long text stands for all of it
DEEPEST = 40
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


class NotReadable(ValueError):
    """Text that is no YAML, or not of the part that is read; ``line`` counts from 1."""

    def __init__(self, line: int, message: str, remedy: str) -> None:
        self.line, self.message, self.remedy = line, message, remedy
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class KeyTwice:
    """A key that occurs a second time in its mapping."""

    line: int
    path: Path_


@dataclass(slots=True)
class _Node:
    """A value, where it stands, and how much it adds up to: itself and all below."""

    value: Any
    line: int
    size: int = 1
    depth: int = 0
    children: list[tuple[str | int, _Node]] = field(default_factory=list)


def read_yaml(text: str) -> tuple[Any, list[KeyTwice]]:
    """Plain data: mappings, lists, text, whole numbers, booleans, None. Decimals stay text.

    They are read as exact decimals later, never as binary floats. Where a key occurs twice, the later value stands.

    Raises
    ------
    NotReadable
        No YAML, too large, too many values or levels.
    """
    reader = _Reader(text)
    return reader.root.value, reader.twice


def lines_of(text: str) -> dict[Path_, int]:
    """The line of every value in a text that :func:`read_yaml` reads; what an alias stands for, where it is written."""
    return dict(_places(_Reader(text, keep=True).root, ()))


def _places(node: _Node, path: Path_) -> Iterator[tuple[Path_, int]]:
    yield path, node.line
    for step, child in node.children:
        yield from _places(child, (*path, step))


class _Reader:
    def __init__(self, text: str, *, keep: bool = False) -> None:
        self.twice: list[KeyTwice] = []
        self._keep = keep
        self._anchors: dict[str, _Node] = {}
        if len(text) > LARGEST_FILE:
            message = f"the file has {len(text)} characters, more than {LARGEST_FILE}"
            raise NotReadable(1, message, "split the instrument")
        try:
            self._events = yaml.parse(text, Loader=yaml.CSafeLoader)
            next(self._events)  # the stream's start
            if isinstance(next(self._events), yaml.StreamEndEvent):
                raise NotReadable(1, "the file is empty", "start with code:")
            self.root = self._node(next(self._events), 0, ())
            next(self._events)  # the document's end
            if not isinstance(event := next(self._events), yaml.StreamEndEvent):
                raise NotReadable(_line(event), "a second document begins here", "one definition a file")
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "not readable"
            raise NotReadable(
                mark.line + 1 if mark else 1, f"not YAML: {problem}", "check quotes, colons and indentation"
            ) from None

    def _node(self, event: Any, depth: int, path: Path_) -> _Node:
        if depth > DEEPEST:
            raise NotReadable(_line(event), "too many values or levels", f"at most {DEEPEST} levels")
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._alias(event, depth)
        node = _Node(None, _line(event))
        if kind is yaml.ScalarEvent:
            node.value = _scalar(event.value, quoted=bool(event.style))
            node.size += len(event.value) // CHARACTERS
        elif kind is yaml.SequenceStartEvent:
            node.value = []
            while type(child := next(self._events)) is not yaml.SequenceEndEvent:
                index = len(node.value)
                node.value.append(self._into(node, index, child, depth, path))
        else:
            node.value = self._mapping(node, depth, path)
        if event.anchor is not None:
            if event.anchor in self._anchors:
                raise NotReadable(node.line, f"the anchor {event.anchor!r} is given twice", "rename one of them")
            self._anchors[event.anchor] = node
        return node

    def _mapping(self, node: _Node, depth: int, path: Path_) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while type(event := next(self._events)) is not yaml.MappingEndEvent:
            if type(event) is not yaml.ScalarEvent:
                raise NotReadable(_line(event), "a key must be a word", "write key: value")
            key = event.value
            if key in found:
                self.twice.append(KeyTwice(_line(event), (*path, key)))
            node.size += len(key) // CHARACTERS
            found[key] = self._into(node, key, next(self._events), depth, path)
        return found

    def _into(self, parent: _Node, step: str | int, event: Any, depth: int, path: Path_) -> Any:
        """The value of an event, counted into the value that it is part of."""
        node = self._node(event, depth + 1, (*path, step))
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if parent.size > MOST_VALUES:
            raise NotReadable(_line(event), "too many values or levels", f"at most {MOST_VALUES} values")
        if self._keep:
            parent.children.append((step, node))
        return node.value

    def _alias(self, event: Any, depth: int) -> _Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise NotReadable(
                _line(event), f"nothing before this has the anchor {event.anchor!r}", "write & before the value meant"
            )
        if depth + node.depth > DEEPEST:
            raise NotReadable(_line(event), "too many values or levels", f"at most {DEEPEST} levels")
        return node


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _scalar(text: str, *, quoted: bool) -> Any:
    if quoted:  # or a block: text, whatever it looks like
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= 18:
        return int(text)
    return text
