"""What can be wrong with answers, and with a definition that cannot be compiled."""

from __future__ import annotations

from dataclasses import dataclass

OF_STEPS = frozenset({"given-twice", "gate-unanswered", "contradiction"})
"""Codes of faults that lie between the two steps of an item, and not in one cell."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one answer. It never repeats the answer: that is health data."""

    pointer: str
    """JSON Pointer to the answer, such as ``/answers/3``."""
    code: str
    """``unknown-item``, ``not-a-number``, ``not-finite``, ``not-whole`` or ``not-an-option``.

    Of an item in two steps also ``given-twice``, ``gate-unanswered`` (a rating alone) or ``contradiction`` (a no with a
    rating).
    """
    detail: str
    """What would have been right."""


class InvalidAnswers(ValueError):
    """Answers that do not fit the instrument; ``faults`` lists every one of them."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))


@dataclass(frozen=True, slots=True)
class CellFault:
    """One thing wrong with one cell of a frame. ``row`` is the position in the frame, from 0."""

    row: int
    column: str
    code: str
    detail: str


class InvalidFrame(ValueError):
    """A frame with cells that are no answers; ``faults`` lists every one of them."""

    def __init__(self, faults: tuple[CellFault, ...]) -> None:
        self.faults = faults
        shown = "; ".join(f"row {fault.row}, column {fault.column!r}: {fault.detail}" for fault in faults[:5])
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        super().__init__(shown + more)


class UnknownVariant(ValueError):
    """The instrument has no scoring variant of that name."""

    def __init__(self, code: str, variant: str, known: tuple[str, ...]) -> None:
        self.variant, self.known = variant, known
        super().__init__(f"{code} has no scoring variant {variant!r}; it has {', '.join(known)}")


class PlanError(ValueError):
    """A definition whose rules contradict one another; scoring it would give wrong numbers."""
