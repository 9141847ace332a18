"""Amounts of change that mean something: the smallest outside measurement error, and the smallest that people notice.

A minimal important change is a published figure, often found for some severities at the start only. It knows nothing of
error: where it is smaller than the detectable change it cannot be told from error in one person, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from instruments.parts import ChangeThreshold
from instruments.schema import Instrument
from scoring.reliable import ReliableChange, Unavailable, provenance

NO_AMOUNT: Final = Unavailable(
    "no-published-amount", "The definition has no published minimal important change for this scale and variant."
)
AT_MINIMUM: Final = Unavailable(
    "baseline-at-minimum", "The baseline is the lowest score of the scale, so a percentage of it is not defined."
)


@dataclass(frozen=True)
class Amount:
    """A published minimal important change. ``detectable`` is the scale's MDC95 in points; None where not known."""

    given: ChangeThreshold
    detectable: float | None

    @property
    def value(self) -> float:
        """What a change has to reach, in points: of a range the larger end, which all of its samples support."""
        return float(self.given.value if self.given.upper is None else self.given.upper)

    def applies(self, baseline: float) -> bool:
        """Whether it holds for a score at the start."""
        return self.given.baseline is None or self.given.baseline.holds(baseline)

    def reached(self, benefit: float) -> Literal["better", "worse"] | None:
        """The direction in which a change is that large; ``benefit`` is positive where the person got better."""
        if abs(benefit) < self.value:
            return None
        return "better" if benefit > 0 else "worse"

    def document(self) -> dict[str, Any]:
        """As plain data, without what depends on the person."""
        given = self.given
        severity = given.baseline
        small = self.detectable is not None and self.value < self.detectable
        return {
            "id": given.id,
            "value": self.value,
            "range": None if given.upper is None else {"min": float(given.value), "max": float(given.upper)},
            "baseline": None if severity is None else {
                "severity": severity.severity,
                "at_least": None if severity.at_least is None else float(severity.at_least),
                "at_most": None if severity.at_most is None else float(severity.at_most),
                "evidence": severity.evidence,
            },
            "method": given.method,
            **provenance(given),
            "warnings": ["below-detectable-change"] if small else [],
        }  # fmt: skip


def amounts_of(
    instrument: Instrument, scale_id: str, variant: str, error: ReliableChange | Unavailable
) -> tuple[Amount, ...]:
    """The published minimal important changes of a scale under a variant, in the order of the definition."""
    detectable = None if isinstance(error, Unavailable) else error.mdc_95
    return tuple(
        Amount(change, detectable)
        for change in instrument.changes
        if change.scale == scale_id and change.kind == "minimal-important-change" and change.holds_under(variant)
    )


def deciding(amounts: tuple[Amount, ...], baseline: float) -> Amount | None:
    """The amount that a change from a score is held against: of those that apply, one for that severity, then known."""
    fit = [amount for amount in amounts if amount.applies(baseline)]
    return min(fit, key=lambda a: (a.given.baseline is None, a.given.evidence == "memory"), default=None)


def minimal_change(amounts: tuple[Amount, ...], baseline: float | None, benefit: float | None) -> dict[str, Any]:
    """Whether a change reaches the published amounts, as plain data.

    Parameters
    ----------
    amounts
        Those of the scale.
    baseline
        The score at the start; None: there is none, so nothing is said of whether an amount applies.
    benefit
        The change in points, positive where the person got better; None: there is none.
    """
    if not amounts:
        return NO_AMOUNT.document
    chosen = None if baseline is None else deciding(amounts, baseline)
    return {
        "available": True,
        "formula": "|last - baseline| >= value",
        "amounts": [
            {
                **amount.document(),
                "applies": None if baseline is None else amount.applies(baseline),
                "decides": amount is chosen,
                "reached": None if benefit is None else amount.reached(benefit),
            }
            for amount in amounts
        ],
    }


def detectable_change(error: ReliableChange | Unavailable) -> dict[str, Any]:
    """The smallest changes outside measurement error, as plain data."""
    if isinstance(error, Unavailable):
        return error.document
    known = error.document
    names = ("standard_error_of_measurement", "standard_error_of_difference", "sd", "reliability", "source", "evidence")
    return {
        "available": True,
        "formula": "z x sd x sqrt(2 x (1 - reliability))",
        "mdc_90": error.mdc_90,
        "mdc_95": error.mdc_95,
        **{name: known[name] for name in names},
        "note": known["note"],
        "warnings": known["warnings"],
    }


def percentage(baseline: float, points: float, minimum: float) -> dict[str, Any]:
    """Change in percent of what the baseline has above the scale's lowest score, as plain data.

    >>> percentage(20.0, -10.0, 0.0)["value"]
    -50.0
    """
    if baseline <= minimum:
        return AT_MINIMUM.document
    return {
        "available": True,
        "formula": "100 x (last - baseline) / (baseline - minimum)",
        "value": 100 * points / (baseline - minimum),
        "minimum": minimum,
    }
