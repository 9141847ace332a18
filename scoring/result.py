"""What scoring gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Status = Literal["complete", "prorated", "insufficient", "not_applicable"]
STATUSES: tuple[Status, ...] = ("complete", "prorated", "insufficient", "not_applicable")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a score is not made of all its parts: a code, and the items or scales that it is about."""

    code: Literal["items-unanswered", "items-not-applicable", "scales-without-value", "scales-prorated"]
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CutoffResult:
    """A published cutoff and whether the score lies on its far (clinical) side."""

    id: str
    crossed: bool
    meaning: str


@dataclass(frozen=True)
class Score:
    """One scale of one form.

    ``value`` is in the scale's points, ``None`` where the status says that there is none; missing is never 0. Of the
    scale's items, ``answered`` had a substantive answer, ``not_applicable`` a not-applicable option, ``missing`` none;
    what a skip answered counts as answered. A weighted T counts its goals: rated, in use but not rated, not in use.
    ``valid`` is False where a validity rule holds back the interpretation: then there is no band and no cutoff.
    """

    value: float | None
    status: Status
    reason: Reason | None
    answered: int
    missing: int
    not_applicable: int
    band: str | None = None
    band_set: str | None = None
    cutoffs: tuple[CutoffResult, ...] = ()
    flags: tuple[str, ...] = ()
    valid: bool = True

    @cached_property
    def document(self) -> dict[str, Any]:
        """The score as plain data."""
        reason = self.reason
        return {
            "value": self.value,
            "status": self.status,
            "reason": None if reason is None else {"code": reason.code, "parts": list(reason.parts)},
            "answered": self.answered,
            "missing": self.missing,
            "not_applicable": self.not_applicable,
            "band": self.band,
            "band_set": self.band_set,
            "cutoffs": [{"id": c.id, "crossed": c.crossed, "meaning": c.meaning} for c in self.cutoffs],
            "flags": list(self.flags),
            "valid": self.valid,
        }


@dataclass(frozen=True, slots=True)
class Flag:
    """A validity rule that holds: what the scores named in it do not mean."""

    id: str
    meaning: str
    scales: tuple[str, ...]
    suppress: bool

    def document(self) -> dict[str, Any]:
        """The flag as plain data."""
        return {"id": self.id, "meaning": self.meaning, "scales": list(self.scales), "suppress": self.suppress}


@dataclass(frozen=True, slots=True)
class AlertResult:
    """An answer, or a score, that somebody has to see now; ``items`` are those that the rule looks at."""

    id: str
    meaning: str
    severity: str
    items: tuple[str, ...]
    scale: str | None = None
    """The scale that the rule looks at, if it looks at one and at nothing else."""

    def document(self) -> dict[str, Any]:
        """The alert as plain data."""
        return {"id": self.id, "meaning": self.meaning, "severity": self.severity, "items": list(self.items)}


@dataclass(slots=True)
class Result:
    """All scores of one form."""

    instrument: str
    version: int
    variant: str
    scores: dict[str, Score]
    caseness: dict[str, bool | None] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    alerts: tuple[AlertResult, ...] = ()
    needs_review: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    """Items that a skip answered, in the order of the definition."""
    undecided: tuple[AlertResult, ...] = ()
    """Alerts that the unanswered items could still raise: silence about them is no all-clear."""

    @property
    def valid(self) -> bool:
        """Whether no validity rule holds back any interpretation."""
        return not any(flag.suppress for flag in self.flags)

    def document(self) -> dict[str, Any]:
        """The result as plain data, ready for JSON."""
        return {
            "instrument": self.instrument,
            "version": self.version,
            "variant": self.variant,
            "scores": {scale: score.document for scale, score in self.scores.items()},
            "caseness": self.caseness,
            "flags": [flag.document() for flag in self.flags],
            "alerts": [alert.document() for alert in self.alerts],
            "alerts_undecided": [alert.document() for alert in self.undecided],
            "needs_review": list(self.needs_review),
            "skipped": list(self.skipped),
        }
