"""What a definition says about itself, and its figures: norms, reliabilities, cutoffs, bands, change thresholds."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from instruments.conditions import Comparison, Strict

Evidence = Literal["read", "memory", "derived"]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
PartIdentifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$")]
LANGUAGE = r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*$"
LanguageTag = Annotated[str, Field(pattern=LANGUAGE, description="BCP 47, as `en`, `pt-BR` or `sr-Latn`")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
LoincCode = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}-[0-9]$")]


class Sourced(Strict):
    """Whatever states a rule or a figure says where it comes from and how well that is known.

    ``read``: seen in the source, or in a copy or abstract of it. ``memory``: not seen, to be checked before it is
    relied on. ``derived``: computed or chosen by us, as the source says.
    """

    source: str = Field(min_length=1)
    evidence: Evidence
    note: str | None = None


class Scoped(Sourced):
    """A rule or figure that may hold for some ways to score only."""

    variants: tuple[Identifier, ...] | None = Field(
        default=None, min_length=1, description="it holds under these variants only; absent: under all"
    )

    def holds_under(self, variant: str) -> bool:
        """Whether it belongs to a variant."""
        return self.variants is None or variant in self.variants


class Citation(Strict):
    """The paper that introduced the instrument."""

    authors: str
    year: int = Field(ge=1900, le=2100)
    journal: str
    doi: str | None = Field(default=None, pattern=r"^10\.\d{4,9}/\S+$")


class Licence(Strict):
    """Who owns the wording and on what terms it may be used."""

    status: Literal["public-domain", "free-to-use", "free-with-attribution", "permission-required", "commercial"]
    holder: str
    terms: str
    url: str | None = None


class Applicability(Strict):
    """Whom the instrument was made for: by organs, partner and activity, never by gender."""

    organs: tuple[str, ...] = Field(default=(), description="at least one of these is presumed; empty: any anatomy")
    partner: Literal["needed", "presumed", "not-needed"]
    activity: Literal["needed", "presumed", "not-needed"] = Field(description="sexual activity in the recall period")
    note: str | None = None


class Cutoff(Comparison, Scoped):
    """A published threshold on a scale, with the side that counts as a case."""

    id: PartIdentifier
    scale: str
    meaning: str = Field(min_length=1, max_length=160)
    primary: bool = Field(default=True, description="reported with every result; others are listed only")
    group: str | None = Field(
        default=None, max_length=60, description="whom it holds for, where another cutoff of the scale is for others"
    )
    sensitivity: Decimal | None = Field(default=None, ge=0, le=1)
    specificity: Decimal | None = Field(default=None, ge=0, le=1)
    accuracy_evidence: Evidence | None = Field(
        default=None, description="of sensitivity and specificity, where that is not the evidence of the cutoff"
    )
    sample: str | None = None
    n: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if self.one_of is not None:
            raise ValueError("a cutoff is at_least, at_most, above or below one number")
        if self.accuracy_evidence is not None and self.sensitivity is None and self.specificity is None:
            raise ValueError("accuracy_evidence goes with sensitivity or specificity")
        return self


class Band(Strict):
    """A range of scores with a name; both ends belong to it."""

    label: str = Field(min_length=1, max_length=60)
    min: Decimal
    max: Decimal


class BandSet(Scoped):
    """Severity bands of one scale, lowest first. A value between two bands belongs to the lower one."""

    id: PartIdentifier
    scale: str
    default: bool = True
    bands: tuple[Band, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for band in self.bands:
            if band.min > band.max:
                raise ValueError(f"band {band.label!r} ends before it starts")
        for lower, upper in zip(self.bands, self.bands[1:], strict=False):
            if not lower.max < upper.min:
                raise ValueError(f"bands {lower.label!r} and {upper.label!r} overlap or are out of order")
        return self


class Norm(Scoped):
    """Mean and standard deviation of a scale in a sample, in the scale's points."""

    id: PartIdentifier
    scale: str
    sample: str
    population: Literal["functional", "clinical", "community", "mixed"]
    n: int | None = Field(default=None, ge=1)
    mean: Decimal | None = None
    sd: Decimal | None = Field(default=None, gt=0)
    language: LanguageTag | None = None
    country: Country | None = None
    organs: tuple[str, ...] = Field(
        default=(), description="the anatomy that the sample shares; empty: not known or any"
    )


class Reliability(Scoped):
    """A reliability coefficient of a scale in a sample; ``upper`` where the source gives a range."""

    id: PartIdentifier
    scale: str
    kind: Literal["cronbach-alpha", "omega", "test-retest", "icc", "spearman-brown"]
    value: Decimal = Field(ge=-1, le=1)
    upper: Decimal | None = Field(default=None, ge=-1, le=1)
    n: int | None = Field(default=None, ge=1)
    interval: str | None = None
    sample: str | None = None


class BaselineRange(Strict):
    """The scores at the start that a figure holds for, in the scale's points; both ends belong to it."""

    severity: str = Field(min_length=1, max_length=60, description="its name in the source")
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    evidence: Evidence = Field(description="of the limits, which may be known less well than the figure")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both: without a limit every score is meant")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"{self.severity!r} ends before it starts")
        return self

    def holds(self, score: float) -> bool:
        """Whether a score lies in it."""
        above = self.at_least is None or score >= float(self.at_least)
        return above and (self.at_most is None or score <= float(self.at_most))


class ChangeThreshold(Scoped):
    """A published amount of change that means something, in the scale's points."""

    id: PartIdentifier
    scale: str
    kind: Literal["reliable-change", "minimal-important-change", "minimal-detectable-change", "end-state-cutoff"]
    value: Decimal
    upper: Decimal | None = None
    baseline: BaselineRange | None = Field(default=None, description="absent: it holds for every score at the start")
    method: str


class ProgressParameters(Scoped):
    """What reliable change and the clinical cutoff of a scale are computed with by default.

    Standard deviation and reliability belong together: a coefficient taken over patients and controls fits only the
    spread of that mixture.
    """

    scale: str
    sd: Decimal = Field(gt=0, description="in points")
    sd_sample: str
    reliability: Decimal = Field(ge=0, lt=1)
    reliability_kind: Literal["cronbach-alpha", "omega", "test-retest", "icc", "spearman-brown"]
    reliability_sample: str
    clinical: str | None = Field(default=None, description="id of the norm of the clinical population")
    functional: str | None = Field(default=None, description="id of the norm of the functional population")


class Loinc(Sourced):
    """Codes of the instrument in LOINC, as far as they were looked up there."""

    panel: LoincCode | None = None
    items: dict[str, LoincCode] = Field(default_factory=dict, description="by item id")
    scales: dict[str, LoincCode] = Field(default_factory=dict, description="by scale id")

    @model_validator(mode="after")
    def _are_codes(self) -> Self:
        codes = [*([self.panel] if self.panel else []), *self.items.values(), *self.scales.values()]
        if not codes:
            raise ValueError("give a panel, items or scales: here is no code at all")
        for code in codes:
            if not _check_digit_fits(code):
                raise ValueError(f"{code} is no LOINC code: its check digit is wrong")
        return self


def _check_digit_fits(code: str) -> bool:
    """The last digit of a LOINC code follows from the others (Luhn, modulus 10)."""
    number, _, digit = code.partition("-")
    doubled = (int(figure) * (2 - place % 2) for place, figure in enumerate(reversed(number)))
    return (sum(value // 10 + value % 10 for value in doubled) + int(digit)) % 10 == 0


class Comparable(Sourced):
    """An earlier version whose scores mean the same as this one's."""

    version: int = Field(ge=1)
    why: str = Field(min_length=1)
