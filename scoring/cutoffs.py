"""Cutoffs between a clinical and a functional population, and which side of one a score lies on.

Everything is in points of one scale. ``higher_is`` says what a high score means: ``"better"`` or ``"worse"``.

References
----------
Jacobson & Truax (1991), doi:10.1037/0022-006X.59.1.12
Hageman & Arrindell (1999), doi:10.1016/S0005-7967(99)00032-7 (the error-free variant)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
HigherIs = Literal["better", "worse"]
CutoffKind = Literal["a", "b", "b-clinical-sd", "c"]
OnCutoff = Literal["neither", "clinical", "functional"]

LARGEST_SCORE = 1e100
"""Scores beyond this are refused: their squares would overflow, and no instrument comes near."""
_NOISE: Final = 5e-11
"""Points within which a score equals a cutoff: scores are decimals, and a cutoff between two means of decimals has what
their binary form adds (15.200000000000003 for 15.2)."""


class NotComputable(ValueError):
    """The input is well-formed, but the statistic does not exist for it; ``reason`` is a stable code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def direction(higher_is: HigherIs) -> int:
    """+1 where higher is better, -1 where higher is worse.

    >>> direction("worse")
    -1
    """
    if higher_is == "better":
        return 1
    if higher_is == "worse":
        return -1
    raise ValueError(f"higher_is must be 'better' or 'worse', got {higher_is!r}")


def scores(values: npt.ArrayLike, name: str) -> Floats:
    """An array of scores as float64; NaN is a missing score. Infinite and absurd ones raise ValueError."""
    array = np.asarray(values, np.float64)
    if (np.abs(array) > LARGEST_SCORE).any():
        raise ValueError(f"{name} must be finite scores (NaN for a missing one)")
    return array


def finite(value: float, name: str) -> float:
    """A finite number, or ValueError."""
    if not abs(value) <= LARGEST_SCORE:  # also refuses NaN, which `>` lets through
        raise ValueError(f"{name} must be a finite number, got {value}")
    return float(value)


def spread(value: float, name: str) -> float:
    """A standard deviation: finite and >= 0, or ValueError."""
    if not 0 <= value <= LARGEST_SCORE:
        raise ValueError(f"{name} must be >= 0 and finite, got {value}")
    return float(value)


@dataclass(frozen=True)
class Cutoff:
    """A cutoff in points, how it was made, and what is wrong with it.

    ``warnings`` holds stable codes: ``outside-scale`` (no possible score lies beyond it, so nobody can cross it, or
    nobody can be on its clinical side) and ``populations-reversed`` (the functional mean is not on the better side).
    """

    kind: CutoffKind
    value: float
    warnings: tuple[str, ...] = ()


def cutoff_a(mean_clinical: float, sd_clinical: float, *, higher_is: HigherIs) -> float:
    """Two standard deviations beyond the clinical mean, towards better. Needs no norm of the functional population.

    >>> cutoff_a(20.0, 5.0, higher_is="worse")
    10.0
    """
    return finite(mean_clinical, "mean_clinical") + direction(higher_is) * 2 * spread(sd_clinical, "sd_clinical")


def cutoff_b(mean_functional: float, sd_functional: float, *, higher_is: HigherIs) -> float:
    """Two standard deviations from the functional mean, towards worse.

    The SD is the functional population's, as the definition in words has it. Some software takes the clinical SD
    here: that is :func:`cutoff_b_clinical_sd`.

    >>> cutoff_b(8.0, 4.0, higher_is="worse")
    16.0
    """
    return finite(mean_functional, "mean_functional") - direction(higher_is) * 2 * spread(
        sd_functional, "sd_functional"
    )


def cutoff_b_clinical_sd(mean_functional: float, sd_clinical: float, *, higher_is: HigherIs) -> float:
    """The variant of b that takes the SD of the clinical population; for comparison with software that does so.

    >>> cutoff_b_clinical_sd(8.0, 5.0, higher_is="worse")
    18.0
    """
    return finite(mean_functional, "mean_functional") - direction(higher_is) * 2 * spread(sd_clinical, "sd_clinical")


def cutoff_c(mean_clinical: float, sd_clinical: float, mean_functional: float, sd_functional: float) -> float:
    """Where the two populations cross: equally many SDs from either mean. The same whichever way the scale runs.

    Raises
    ------
    NotComputable
        ``no-spread``: both SDs are 0.

    >>> cutoff_c(20.0, 5.0, 8.0, 5.0)
    14.0
    """
    clinical, functional = spread(sd_clinical, "sd_clinical"), spread(sd_functional, "sd_functional")
    weighted = clinical * finite(mean_functional, "mean_functional") + functional * finite(
        mean_clinical, "mean_clinical"
    )
    if clinical + functional == 0:
        raise NotComputable("no-spread", "cutoff c does not exist where both standard deviations are 0")
    return weighted / (clinical + functional)


def error_free_sd(sd: float, standard_error_of_measurement: float) -> float:
    """Standard deviation of the true scores, for Hageman and Arrindell's cutoffs: ``sqrt(sd^2 - SEM^2)``.

    Raises
    ------
    NotComputable
        ``error-exceeds-spread``: the population varies less than the measurement error alone would make it.

    >>> error_free_sd(5.0, 3.0)
    4.0
    """
    total, error = spread(sd, "sd"), spread(standard_error_of_measurement, "standard_error_of_measurement")
    if error > total:
        raise NotComputable("error-exceeds-spread", "the standard error of measurement exceeds the standard deviation")
    return math.sqrt(total**2 - error**2)


def cutoff(
    kind: CutoffKind,
    *,
    higher_is: HigherIs,
    mean_clinical: float | None = None,
    sd_clinical: float | None = None,
    mean_functional: float | None = None,
    sd_functional: float | None = None,
    scale: tuple[float, float] | None = None,
) -> Cutoff:
    """The cutoff of a kind, from the norms it needs, with warnings.

    Parameters
    ----------
    kind
        ``a``, ``b``, ``b-clinical-sd`` or ``c``.
    higher_is
        What a high score means.
    mean_clinical, sd_clinical, mean_functional, sd_functional
        Norms in points; those that the kind does not use may be left out.
    scale
        Lowest and highest possible score.

    Raises
    ------
    NotComputable
        ``norm-missing``: a norm that the kind needs was not given; and those of :func:`cutoff_c`.
    ValueError
        Anything out of range.

    >>> cutoff("a", higher_is="worse", mean_clinical=8.0, sd_clinical=5.0, scale=(0, 27))
    Cutoff(kind='a', value=-2.0, warnings=('outside-scale',))
    """

    def norm(value: float | None, name: str) -> float:
        if value is None:
            raise NotComputable("norm-missing", f"cutoff {kind} needs {name}")
        return value

    if kind == "a":
        value = cutoff_a(norm(mean_clinical, "mean_clinical"), norm(sd_clinical, "sd_clinical"), higher_is=higher_is)
    elif kind == "b":
        value = cutoff_b(
            norm(mean_functional, "mean_functional"), norm(sd_functional, "sd_functional"), higher_is=higher_is
        )
    elif kind == "b-clinical-sd":
        value = cutoff_b_clinical_sd(
            norm(mean_functional, "mean_functional"), norm(sd_clinical, "sd_clinical"), higher_is=higher_is
        )
    elif kind == "c":
        value = cutoff_c(
            norm(mean_clinical, "mean_clinical"),
            norm(sd_clinical, "sd_clinical"),
            norm(mean_functional, "mean_functional"),
            norm(sd_functional, "sd_functional"),
        )
    else:
        raise ValueError(f"kind must be a, b, b-clinical-sd or c, got {kind!r}")
    return Cutoff(kind, value, _warnings(value, direction(higher_is), mean_clinical, mean_functional, scale))


def _warnings(
    value: float, sign: int, clinical: float | None, functional: float | None, scale: tuple[float, float] | None
) -> tuple[str, ...]:
    found = []
    if scale is not None:
        low, high = scale
        if not low < high:
            raise ValueError(f"scale must be (lowest, highest), got {scale}")
        # At an end of the scale too: comparison is strict, so no score lies beyond it.
        if not low + _NOISE < value < high - _NOISE:
            found.append("outside-scale")
    if clinical is not None and functional is not None and sign * functional <= sign * clinical:
        found.append("populations-reversed")
    return tuple(found)


def is_clinical(values: npt.ArrayLike, cutoff: float, *, higher_is: HigherIs, on_cutoff: OnCutoff = "neither") -> Bools:
    """Which scores lie on the clinical side of a cutoff.

    Parameters
    ----------
    values : array_like
        Scores; a missing one (NaN) is on no side.
    cutoff
        In points.
    on_cutoff
        The side of a score that equals the cutoff. ``neither`` (strict both ways) suits a cutoff computed from norms;
        a published rule such as "10 or more is a case" is ``clinical``.

    >>> is_clinical([9, 10, 11], 10, higher_is="worse", on_cutoff="clinical")
    array([False,  True,  True])
    """
    sign, inclusive = direction(higher_is), _side(on_cutoff) == "clinical"
    beyond = sign * (finite(cutoff, "cutoff") - scores(values, "values"))
    return np.asarray(beyond >= -_NOISE if inclusive else beyond > _NOISE)


def is_functional(
    values: npt.ArrayLike, cutoff: float, *, higher_is: HigherIs, on_cutoff: OnCutoff = "neither"
) -> Bools:
    """Which scores lie on the functional side of a cutoff; see :func:`is_clinical`.

    >>> is_functional([9, 10, 11], 10, higher_is="worse")
    array([ True, False, False])
    """
    sign, inclusive = direction(higher_is), _side(on_cutoff) == "functional"
    beyond = sign * (scores(values, "values") - finite(cutoff, "cutoff"))
    return np.asarray(beyond >= -_NOISE if inclusive else beyond > _NOISE)


def _side(on_cutoff: OnCutoff) -> OnCutoff:
    if on_cutoff not in ("neither", "clinical", "functional"):
        raise ValueError(f"on_cutoff must be neither, clinical or functional, got {on_cutoff!r}")
    return on_cutoff
