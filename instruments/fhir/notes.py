"""What reading a Questionnaire tells besides the definition: what is missing, what was assumed, what was dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["missing", "assumed", "dropped"]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a reader of the definition has to know.

    ``missing``: a member of the definition that has to be added, because a Questionnaire has no place for it.
    ``assumed``: a member of the definition that was chosen here. ``dropped``: a part of the Questionnaire that was not
    recognised, or that a definition has no place for. ``pointer`` is a JSON pointer: into the definition for the first
    two, into the Questionnaire for the last.
    """

    pointer: str
    kind: Kind
    detail: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A definition as plain data, as from a YAML file, and what is to be known about it."""

    definition: dict[str, Any]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class QuestionnaireFault:
    """One thing that makes a Questionnaire unreadable."""

    pointer: str
    detail: str


class QuestionnaireError(ValueError):
    """No Questionnaire, or none with a question that can be scored; ``faults`` says where."""

    def __init__(self, faults: list[QuestionnaireFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.pointer or '(whole resource)'}: {fault.detail}" for fault in faults))


class Notes:
    """Notes as they are made, each once."""

    def __init__(self) -> None:
        self._found: dict[Note, None] = {}

    def add(self, kind: Kind, pointer: str, detail: str) -> None:
        """Note something."""
        self._found[Note(pointer, kind, detail)] = None

    def all(self) -> tuple[Note, ...]:
        """All, in the order in which they were made."""
        return tuple(self._found)
