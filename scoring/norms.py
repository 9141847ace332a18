"""Which sample a person is held against, chosen by one rule wherever a definition has several.

A definition may name the samples itself, where a standard deviation and a reliability belong together. Otherwise, and
among samples that have a mean and a standard deviation and hold under the variant, the first of

1. one that was read or derived before one from memory,
2. for the clinical side a clinical sample; for the functional side a functional one before a community one,
3. one whose anatomy is the instrument's, or is not stated, before another,
4. one in the language of the original (or the one asked for), then one whose language is not stated,
5. the larger one,

and of equals the one with the first id. A sample that mixes patients and others is never chosen by the rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from instruments.parts import Norm, ProgressParameters
from instruments.schema import Instrument

Role = Literal["clinical", "functional"]
By = Literal["definition", "rule", "caller"]
ROLES: Final[dict[Role, tuple[str, ...]]] = {"clinical": ("clinical",), "functional": ("functional", "community")}
_WHY: Final[dict[By, str]] = {
    "definition": "named by the definition, beside the standard deviation and reliability that belong to it",
    "rule": "read before memory, then population, anatomy, language, and the larger sample",
    "caller": "asked for",
}


@dataclass(frozen=True, slots=True)
class NormChoice:
    """The sample of one role, who chose it, and the ids of those that could have been chosen."""

    role: Role
    norm: Norm
    by: By
    others: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "role": self.role,
            "norm": self.norm.id,
            "chosen_by": self.by,
            "why": _WHY[self.by],
            "others": list(self.others),
        }


def role_of(norm: Norm) -> Role | None:
    """What a sample can serve as; None for one that mixes populations."""
    return next((role for role, populations in ROLES.items() if norm.population in populations), None)


def usable_norms(instrument: Instrument, scale_id: str, variant: str) -> tuple[Norm, ...]:
    """The samples of a scale that a person can be held against, in the order of the definition."""
    return tuple(
        norm
        for norm in instrument.norms
        if norm.scale == scale_id and norm.holds_under(variant) and norm.mean is not None and norm.sd is not None
    )


def choose_norms(
    instrument: Instrument,
    scale_id: str,
    variant: str,
    parameters: ProgressParameters | None,
    *,
    asked: str | None = None,
    language: str | None = None,
) -> dict[Role, NormChoice]:
    """The sample of each role that there is one for.

    Parameters
    ----------
    parameters
        What the definition says of progress on this scale; its samples go before the rule's.
    asked
        Id of a sample that a caller wants: it takes the place of its role's.
    language
        BCP 47; the instrument's own first language unless given.

    Raises
    ------
    KeyError
        No usable sample of that id that serves a role.
    """
    usable = usable_norms(instrument, scale_id, variant)
    wanted = None
    if asked is not None:
        wanted = next((norm for norm in usable if norm.id == asked and role_of(norm) is not None), None)
        if wanted is None:
            raise KeyError(asked)
    tongue = language or (instrument.languages[0] if instrument.languages else None)
    found: dict[Role, NormChoice] = {}
    for role in ROLES:
        fit = [norm for norm in usable if role_of(norm) == role]
        named = None if parameters is None else getattr(parameters, role)
        by: By = "rule"
        choice = min(fit, key=lambda norm: _rank(norm, instrument, tongue), default=None)
        if named is not None:
            by, choice = "definition", next(norm for norm in usable if norm.id == named)
        if wanted is not None and role_of(wanted) == role:
            by, choice = "caller", wanted
        if choice is not None:
            others = tuple(norm.id for norm in fit if norm.id != choice.id)
            found[role] = NormChoice(role, choice, by, others)
    return found


def _rank(norm: Norm, instrument: Instrument, language: str | None) -> tuple[Any, ...]:
    """The smaller, the rather."""
    organs = set(instrument.applicability.organs)
    population = next(list(names).index(norm.population) for names in ROLES.values() if norm.population in names)
    other_anatomy = bool(norm.organs) and bool(organs) and not organs & set(norm.organs)
    tongue = 1 if norm.language is None else 0 if _primary(norm.language) == _primary(language) else 2
    return norm.evidence == "memory", population, other_anatomy, tongue, -(norm.n or 0), norm.id


def _primary(language: str | None) -> str | None:
    return None if language is None else language.partition("-")[0]
