"""The change of every person of a sample, by a named method, with what it was computed with.

Moments that are not given are those of the sample's complete pairs; a person without one of the scores is left out and
counted, never carried forward. Cutoffs are those of :mod:`scoring.cutoffs`; with Hageman and Arrindell's method theirs:
from error-free standard deviations, and functional is who lies beyond the cutoff by more than error.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from scoring.change import (
    Categories,
    ChangeCategory,
    change_category,
    critical_value,
    joint_category,
    paired,
    reliable_change_index,
    standard_error_of_difference,
    standard_error_of_measurement,
)
from scoring.change_methods import (
    Method,
    Moments,
    change_index,
    functional_index,
    reliability_of_difference,
    sample_moments,
)
from scoring.cutoffs import (
    Cutoff,
    CutoffKind,
    Floats,
    HigherIs,
    NotComputable,
    cutoff,
    direction,
    error_free_sd,
    is_clinical,
    spread,
)

FORMULAS: Final[dict[Method, str]] = {
    "jacobson-truax": "(post - pre) / (S1 sqrt(2 (1 - r)))",
    "gulliksen-lord-novick": "((post - M1) - r (pre - M1)) / (S1 sqrt(1 - r^2))",
    "hsu-linn-nord": "((post - M2) - r (pre - M1)) / (S1 sqrt(1 - r^2))",
    "edwards-nunnally": "(post - (r (pre - M1) + M1)) / (S1 sqrt(1 - r))",
    "nunnally-kotsch": "(post - (r (pre - M1) + M1)) / sqrt(r^2 S1^2 (1 - r) + S1^2 (1 - r_post))",
    "hageman-arrindell": "((post - pre) R_dd + (M2 - M1) (1 - R_dd)) / (sqrt(R_dd) sqrt(2) S1 sqrt(1 - r))",
}
"""The index of each method. M1 and S1: mean and standard deviation before; M2: mean after; r: reliability."""

ERROR_FREE: Final = "hageman-arrindell"


@dataclass(frozen=True)
class Norms:
    """Means and standard deviations of both populations, in points; None where not given."""

    mean_clinical: float | None = None
    sd_clinical: float | None = None
    mean_functional: float | None = None
    sd_functional: float | None = None


@dataclass(frozen=True)
class SampleChange:
    """What became of every person of a sample.

    ``change`` is post minus pre in points, rounded to ten decimals, which takes away what the binary form of decimals
    adds; ``rci`` is signed alike. Both are NaN and ``category`` is None for a person without one of the scores.
    ``sample`` is None where fewer than two pairs are complete. ``norms`` are those that the cutoff was made of.
    """

    method: Method
    higher_is: HigherIs
    change: Floats
    rci: Floats
    category: Categories
    used: int
    without_pre: int
    without_post: int
    without_both: int
    sample: Moments | None
    sd: float
    reliability: float
    reliability_post: float | None
    significance: float
    critical: float
    cutoff: Cutoff | None
    norms: Norms

    @property
    def rows(self) -> int:
        """Persons in all."""
        return len(self.change)

    @property
    def counts(self) -> dict[ChangeCategory, int]:
        """Persons by category, every category named."""
        found = Counter(self.category.tolist())
        return {category: found[category] for category in ChangeCategory}

    def document(self) -> dict[str, Any]:
        """All but the persons, as plain data."""
        one_sided = self.method == ERROR_FREE
        error = standard_error_of_difference(self.sd, self.reliability)
        return {
            "method": self.method,
            "formula": FORMULAS[self.method],
            "higher_is": self.higher_is,
            "parameters": {
                "reliability": self.reliability,
                "reliability_post": self.reliability_post,
                "significance": self.significance,
                "sided": "one" if one_sided else "two",
                "critical": self.critical,
                "sd": self.sd,
                "standard_error_of_measurement": standard_error_of_measurement(self.sd, self.reliability),
                "standard_error_of_difference": error,
                "threshold": self.critical * error if self.method == "jacobson-truax" else None,
                "reliability_of_difference": self._reliability_of_difference() if one_sided else None,
            },
            "moments": None if self.sample is None else {
                "n": self.sample.n,
                "mean_pre": self.sample.mean_pre,
                "sd_pre": self.sample.sd_pre,
                "mean_post": self.sample.mean_post,
                "sd_post": self.sample.sd_post,
                "correlation": self.sample.correlation,
            },
            "cutoff": None if self.cutoff is None else {
                "kind": self.cutoff.kind,
                "value": self.cutoff.value,
                "error_free": one_sided,
                "mean_clinical": self.norms.mean_clinical,
                "sd_clinical": self.norms.sd_clinical,
                "mean_functional": self.norms.mean_functional,
                "sd_functional": self.norms.sd_functional,
                "warnings": list(self.cutoff.warnings),
            },
            "pairs": {
                "rows": self.rows,
                "used": self.used,
                "excluded": self.rows - self.used,
                "without_pre": self.without_pre,
                "without_post": self.without_post,
                "without_both": self.without_both,
            },
            "categories": {category.value: count for category, count in self.counts.items()},
        }  # fmt: skip

    def _reliability_of_difference(self) -> float:
        known = _whole(self.sample)
        return reliability_of_difference(
            reliability=self.reliability, sd_pre=self.sd, sd_post=known.sd_post, correlation=known.correlation or 0.0
        )


def change_of_sample(
    pre: npt.ArrayLike,
    post: npt.ArrayLike,
    *,
    method: Method,
    higher_is: HigherIs,
    reliability: float,
    reliability_post: float | None = None,
    significance: float = 0.05,
    sd: float | None = None,
    cutoff_kind: CutoffKind | None = None,
    norms: Norms = Norms(),
) -> SampleChange:
    """Change, index and category of every person.

    Parameters
    ----------
    pre, post : array_like, shape (n,)
        Scores in points; NaN stands for a missing one.
    method
        One of :data:`scoring.change_methods.METHODS`.
    higher_is
        What a high score means.
    reliability, reliability_post
        Of the scale, 0..1; of the second occasion for Nunnally and Kotsch's method, otherwise that of the first.
    significance
        Two-sided, of Hageman and Arrindell's test one-sided.
    sd
        In the place of the standard deviation before (S1), in points.
    cutoff_kind
        The cutoff that the category goes by; None for reliable change alone.
    norms
        Moments of the populations for the cutoff. A clinical one that is not given is the sample's before.

    Raises
    ------
    NotComputable
        ``no-pairs`` where nobody has both scores, ``too-few-pairs`` where moments are needed and only one has, and
        those of the method and of the cutoff.
    ValueError
        An input out of range.

    >>> found = change_of_sample(
    ...     [20.0, 8.0], [10.0, 9.0], method="jacobson-truax", higher_is="worse", reliability=0.8, sd=5
    ... )
    >>> found.category.tolist()
    [<ChangeCategory.IMPROVED: 'improved'>, <ChangeCategory.UNCHANGED: 'unchanged'>]
    """
    direction(higher_is)
    before, after = paired(pre, post)
    no_pre, no_post = np.isnan(before), np.isnan(after)
    used = int(np.count_nonzero(~(no_pre | no_post)))
    if used == 0:
        raise NotComputable("no-pairs", "nobody has both scores")
    sample = sample_moments(before, after) if used > 1 else None
    s1 = _whole(sample).sd_pre if sd is None else spread(sd, "sd")
    if method == "jacobson-truax":  # alone needs no moments where the standard deviation is given
        rci = reliable_change_index(before, after, sd=s1, reliability=reliability)
        critical = critical_value(significance)
    else:
        found = change_index(
            method,
            before,
            after,
            reliability=reliability,
            moments=replace(_whole(sample), sd_pre=s1),
            reliability_post=reliability_post,
            significance=significance,
        )
        rci, critical = found.rci, found.critical
    limit = None
    if cutoff_kind is not None:
        norms = _with_sample(norms, cutoff_kind, sample)
        limit = _cutoff(cutoff_kind, higher_is, norms, method, standard_error_of_measurement(s1, reliability))
    if limit is None or method != ERROR_FREE:
        value = None if limit is None else limit.value
        category = change_category(before, after, rci, higher_is=higher_is, critical=critical, cutoff=value)
    else:
        category = _error_free_category(before, after, rci, limit.value, critical, higher_is, reliability, s1, sample)
    return SampleChange(
        method=method,
        higher_is=higher_is,
        change=(after - before).round(10),
        rci=rci,
        category=category,
        used=used,
        without_pre=int(np.count_nonzero(no_pre & ~no_post)),
        without_post=int(np.count_nonzero(no_post & ~no_pre)),
        without_both=int(np.count_nonzero(no_pre & no_post)),
        sample=sample,
        sd=s1,
        reliability=reliability,
        reliability_post=_later(method, reliability, reliability_post),
        significance=significance,
        critical=critical,
        cutoff=limit,
        norms=norms,
    )


def _whole(sample: Moments | None) -> Moments:
    if sample is None:
        raise NotComputable("too-few-pairs", "moments need two complete pairs, and there is one")
    return sample


def _later(method: Method, reliability: float, reliability_post: float | None) -> float | None:
    """The reliability afterwards, where the method has one."""
    if method != "nunnally-kotsch":
        return None
    return reliability if reliability_post is None else reliability_post


def _with_sample(norms: Norms, kind: CutoffKind, sample: Moments | None) -> Norms:
    """What the cutoff is made of: only the moments that its kind uses, clinical ones of the sample where not given."""
    mean = sd = None
    if kind != "b" and kind != "b-clinical-sd":
        mean = _whole(sample).mean_pre if norms.mean_clinical is None else norms.mean_clinical
    if kind != "b":
        sd = _whole(sample).sd_pre if norms.sd_clinical is None else norms.sd_clinical
    return Norms(
        mean_clinical=mean,
        sd_clinical=sd,
        mean_functional=None if kind == "a" else norms.mean_functional,
        sd_functional=None if kind in ("a", "b-clinical-sd") else norms.sd_functional,
    )


def _cutoff(kind: CutoffKind, higher_is: HigherIs, norms: Norms, method: Method, error: float) -> Cutoff:
    sds = [norms.sd_clinical, norms.sd_functional]
    if method == ERROR_FREE:
        sds = [None if sd is None else error_free_sd(sd, error) for sd in sds]
    return cutoff(
        kind,
        higher_is=higher_is,
        mean_clinical=norms.mean_clinical,
        sd_clinical=sds[0],
        mean_functional=norms.mean_functional,
        sd_functional=sds[1],
    )


def _error_free_category(
    before: Floats,
    after: Floats,
    rci: Floats,
    limit: float,
    critical: float,
    higher_is: HigherIs,
    reliability: float,
    sd: float,
    sample: Moments | None,
) -> Categories:
    """Hageman and Arrindell's: functional afterwards is who lies beyond the cutoff by more than measurement error."""
    sign, known = direction(higher_is), _whole(sample)
    beyond = functional_index(
        after, limit, reliability=reliability, sd_pre=sd, mean_post=known.mean_post, sd_post=known.sd_post
    )
    return joint_category(
        sign * rci > critical,
        sign * rci < -critical,
        (is_clinical(before, limit, higher_is=higher_is), sign * beyond > critical),
        missing=np.isnan(rci),
    )
