"""The statistics of each group of episodes, worked out in a thread from columns: nothing here waits for anything.

Every figure says how many it rests on, and is refused where there are too few for it. What a figure means, and of whom
it is, is in `docs/outcomes.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np

from api.outcomes.repository import CONCERNS, END_REASONS, FORMATS, LEFT_OUT, MODALITIES, Episodes, Ints
from instruments import Instrument
from instruments.services import Service
from scoring.cutoffs import Bools, Floats, HigherIs, NotComputable
from scoring.groups import effect_sizes
from scoring.groups.attrition import kaplan_meier, stayed_against_left
from scoring.groups.items import scored_items
from scoring.groups.rates import CATEGORIES, MEASURES, Codes, category_codes, rate, rates, tally
from scoring.groups.reliability import cronbach_alpha, intraclass, omega_total
from scoring.groups.services import Measured, by_definition, by_figures, service_figures
from scoring.progress import REASONS
from scoring.progress_figures import Figures
from scoring.proportions import newcombe, wilson
from scoring.reliable import Unavailable

GroupBy = Literal["modality", "format", "concern", "year", "quarter"]

NOT_STATED: Final = "not-stated"
NOT_TAKEN_UP: Final = "not-taken-up"
DROPPED_OUT: Final = "dropped-out"
AS_AGREED: Final = ("completed", "goals-met-early")
WEEKS: Final = (4, 8, 12, 16, 26, 39, 52)
"""At which retention is told."""
_WEEK: Final = np.timedelta64(7, "D")
_LEFT_OUT: Final[dict[str, str]] = {
    **dict(REASONS.items()),
    "after-the-end": "Answered later after the end of the episode than the window allows.",
}
_WITHOUT_CUTOFF: Final = Unavailable("no-cutoff", "The scale has no cutoff that decides, so nobody is a case.")


class _Document(Protocol):
    def document(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Asked:
    """What is computed: of which scale, by which figures and definitions, divided by what."""

    instrument: Instrument
    figures: Figures
    variant: str
    services: tuple[tuple[Service, tuple[int, ...]], ...]
    """Each with the places of its measures among the series."""
    group_by: GroupBy | None
    smallest: int
    """Below this many episodes a group is marked as small."""

    @property
    def higher_is(self) -> HigherIs:
        """For the sign of effects; without a direction they are change as it is."""
        return "better" if self.figures.higher_is == "neither" else self.figures.higher_is


def groups(asked: Asked, episodes: Episodes) -> dict[str, Any]:
    """All episodes together, each group, and each group against the largest."""
    pre, post = episodes.series[0].pre, episodes.series[0].post
    people = _People(asked, episodes, pre, post, _codes(asked, pre, post), _measured(asked, episodes))
    everybody = np.ones(len(episodes), np.bool_)
    divided = list(_levels(asked.group_by, episodes))
    return {
        "total": people.group({}, everybody),
        "groups": [people.group(levels, members) for levels, members in divided],
        "contrasts": people.contrasts(divided) if asked.group_by in ("modality", "format") else [],
    }


def own_sample(asked: Asked, episodes: Episodes, forms: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Reliability of the scale in this sample: of its items at the start, and of repeated scores before it."""
    own = [answers for variant, answers in forms if asked.instrument.scored_alike(variant, asked.variant)]
    scale, series = asked.figures.scale.id, episodes.series[0]
    twice = series.times_before >= 2
    pairs = np.column_stack((series.first_before[twice], series.last_before[twice]))

    def items() -> Floats:
        return scored_items(asked.instrument, scale, asked.variant, own)

    return {
        "alpha": _figure(lambda: cronbach_alpha(items())),
        "omega": _figure(lambda: omega_total(items())),
        "retest": _figure(lambda: intraclass(pairs)),
    }


def _figure(make: Callable[[], _Document]) -> dict[str, Any]:
    try:
        return make().document()
    except NotComputable as error:
        return Unavailable(error.reason, str(error)).document


def _codes(asked: Asked, pre: Floats, post: Floats) -> Codes | None:
    """What became of each; None where change cannot be told from error."""
    reliable, cutoff = asked.figures.reliable_change, asked.figures.deciding
    if isinstance(reliable, Unavailable):
        return None
    return category_codes(
        pre,
        post,
        reliable.index(pre, post),
        higher_is=reliable.higher_is,
        critical=reliable.critical,
        cutoff=None if cutoff is None else cutoff.value,
        on_cutoff="neither" if cutoff is None else cutoff.on_cutoff,
    )


def _measured(asked: Asked, episodes: Episodes) -> list[list[Measured] | Unavailable]:
    """The measures of each definition of services, over all episodes."""
    found: list[list[Measured] | Unavailable] = []
    reliable, cutoff = asked.figures.reliable_change, asked.figures.deciding
    for service, places in asked.services:
        of = [(episodes.series[place].pre, episodes.series[place].post) for place in places]
        if service.measures != "asked":
            found.append([by_definition(m, *both) for m, both in zip(service.measures, of, strict=True)])
        elif isinstance(reliable, Unavailable):
            found.append(reliable)
        elif cutoff is None:
            found.append(_WITHOUT_CUTOFF)
        else:
            found.append([by_figures(reliable, cutoff.value, cutoff.on_cutoff, reliable.higher_is, *of[0])])
    return found


@dataclass(frozen=True)
class _People:
    """Everything that groups are cut out of."""

    asked: Asked
    episodes: Episodes
    pre: Floats
    post: Floats
    codes: Codes | None
    measured: list[list[Measured] | Unavailable]

    def group(self, levels: dict[str, str], members: Bools) -> dict[str, Any]:
        """One group. Who was only assessed has not started, and counts in nothing but ``not_taken_up``."""
        episodes = self.episodes
        started = members & (episodes.end_reason != END_REASONS.index(NOT_TAKEN_UP))
        pre, post = self.pre[started], self.post[started]
        n, both = int(started.sum()), ~(np.isnan(pre) | np.isnan(post))
        return {
            "levels": levels,
            "n": {
                "ended": int(members.sum()),
                "not_taken_up": int(members.sum()) - n,
                "started": n,
                "with_first_score": int((~np.isnan(pre)).sum()),
                "completers": int(both.sum()),
            },
            "small": n < self.asked.smallest,
            "scores": {
                "first_of_all": _moments(pre),
                "first_of_completers": _moments(pre[both]),
                "last_of_completers": _moments(post[both]),
                "change": _moments((post[both] - pre[both]).round(10)),
            },
            "effect_sizes": self._effects(pre, post),
            "rates": self._rates(started),
            "attrition": _attrition(episodes.end_reason[started], self._weeks(started), pre),
            "services": [
                self._service(service, measured, started)
                for (service, _), measured in zip(self.asked.services, self.measured, strict=True)
            ],
            "left_out": [
                {"reason": reason, "scores": int(count), "detail": _LEFT_OUT[reason]}
                for reason, count in zip(LEFT_OUT, episodes.left_out[:, started].sum(axis=1).tolist(), strict=True)
                if count
            ],
        }

    def contrasts(self, divided: Sequence[tuple[dict[str, str], Bools]]) -> list[dict[str, Any]]:
        """Each group's completers against those of the group with the most of them."""
        both = ~(np.isnan(self.pre) | np.isnan(self.post)) & (
            self.episodes.end_reason != END_REASONS.index(NOT_TAKEN_UP)
        )
        cut = [(levels, members & both) for levels, members in divided]
        against, reference = max(cut, key=lambda one: one[1].sum(), default=({}, both))
        return [
            {
                "levels": levels,
                "against": against,
                "reliably_improved": self._difference(members, reference),
                "effect_sizes": self._between(members, reference),
            }
            for levels, members in cut
            if levels != against
        ]

    def _difference(self, members: Bools, reference: Bools) -> dict[str, Any]:
        if self.codes is None:
            return self._rates(members)
        better = [CATEGORIES.index(name) for name in MEASURES["reliably-improved"]]
        found = [wilson(int(np.isin(self.codes[who], better).sum()), int(who.sum())) for who in (members, reference)]
        if found[0] is None or found[1] is None:
            return Unavailable("too-few", "a difference of rates needs somebody in both groups").document
        return {
            "available": True,
            "measure": "reliably-improved",
            "denominator": "completers",
            "n": found[0].n,
            "n_against": found[1].n,
            **vars(newcombe(found[0], found[1])),
        }

    def _between(self, members: Bools, reference: Bools) -> list[dict[str, Any]]:
        higher_is = self.asked.higher_is

        def pairs(who: Bools) -> effect_sizes.PairedMoments:
            return effect_sizes.paired_moments(self.pre[who], self.post[who])

        def of_change() -> effect_sizes.Effect:
            first, second = pairs(members).change, pairs(reference).change
            found = effect_sizes.between(first, second)
            return effect_sizes.corrected(found, first.n + second.n - 2).towards(higher_is)

        def of_points() -> effect_sizes.Effect:
            return effect_sizes.d_ppc2(pairs(members), pairs(reference)).towards(higher_is)

        named = (("d_between", of_change), ("d_ppc2", of_points))
        return [{"effect": name, "of": "change-of-completers"} | _figure(make) for name, make in named]

    def _weeks(self, started: Bools) -> Floats:
        weeks: Floats = (self.episodes.ended[started] - self.episodes.started[started]) / _WEEK
        return weeks

    def _effects(self, pre: Floats, post: Floats) -> list[dict[str, Any]]:
        """Of completers, and once of all: there who has no later score counts as unchanged."""
        higher_is = self.asked.higher_is
        unseen = np.where(np.isnan(post), pre, post)

        def of(make: Callable[..., effect_sizes.Effect], last: Floats) -> dict[str, Any]:
            def made() -> effect_sizes.Effect:
                pairs = effect_sizes.paired_moments(pre, last)
                return effect_sizes.corrected(make(pairs), pairs.n - 1).towards(higher_is)

            return _figure(made)

        named = (
            ("d_pre", effect_sizes.d_pre),
            ("d_av_cumming", effect_sizes.d_av_cumming),
            ("d_av_lakens", effect_sizes.d_av_lakens),
            ("d_rm", effect_sizes.d_rm),
            ("d_z", effect_sizes.d_z),
        )
        found = [{"effect": name, "of": "completers"} | of(make, post) for name, make in named]
        return [*found, {"effect": "d_pre", "of": "started-unchanged-if-unseen"} | of(effect_sizes.d_pre, unseen)]

    def _rates(self, started: Bools) -> dict[str, Any]:
        reliable, cutoff = self.asked.figures.reliable_change, self.asked.figures.deciding
        if isinstance(reliable, Unavailable):
            return reliable.document
        assert self.codes is not None  # noqa: S101  - there are codes wherever there is a reliable change
        counted = tally(
            self.pre[started],
            self.codes[started],
            higher_is=reliable.higher_is,
            cutoff=None if cutoff is None else cutoff.value,
            on_cutoff="neither" if cutoff is None else cutoff.on_cutoff,
        )
        return {
            "available": True,
            "categories": counted.categories,
            "clinical_at_start": counted.clinical_at_start,
            "clinical_at_start_completers": counted.clinical_at_start_completers,
            "rates": [one.document() for one in rates(counted)],
        }

    def _service(self, service: Service, measured: list[Measured] | Unavailable, started: Bools) -> dict[str, Any]:
        if isinstance(measured, Unavailable):
            return {"id": service.id, **measured.document}
        cut = [Measured(*(column[started] for column in vars(one).values())) for one in measured]
        return service_figures(service, cut, self.episodes.attended[started]).document()


def _moments(values: Floats) -> dict[str, Any]:
    there = values[~np.isnan(values)]
    if len(there) < 2:
        return {"n": len(there), "mean": float(there[0]) if len(there) else None, "sd": None}
    return vars(effect_sizes.moments(there))


def _attrition(end_reason: Ints, weeks: Floats, pre: Floats) -> dict[str, Any]:
    """How episodes ended, who stayed how long, and whether those who dropped out began differently."""
    counts = np.bincount(end_reason + 1, minlength=len(END_REASONS) + 1)[1:].tolist()
    dropped = end_reason == END_REASONS.index(DROPPED_OUT)
    agreed = np.isin(end_reason, [END_REASONS.index(code) for code in AS_AGREED])
    steps = kaplan_meier(weeks, dropped)
    times = np.array([step.time for step in steps])
    retained = []
    for week in (week for week in WEEKS if steps and week <= times[-1]):
        last = int(np.searchsorted(times, week, side="right")) - 1
        at_risk = int((weeks >= week).sum())
        retained.append({"week": week, "at_risk": at_risk, "retention": steps[last].retention if last >= 0 else 1.0})
    return {
        "end_reasons": {code: count for code, count in zip(END_REASONS, counts, strict=True) if count},
        "dropped_out": rate("dropped-out", "started", int(dropped.sum()), len(weeks)).document(),
        "ended_as_agreed": rate("ended-as-agreed", "started", int(agreed.sum()), len(weeks)).document(),
        "retention": retained,
        "stayed_against_dropped_out": _figure(lambda: stayed_against_left(pre, ~dropped)),
    }


def _levels(group_by: GroupBy | None, episodes: Episodes) -> Iterator[tuple[dict[str, str], Bools]]:
    """The groups that occur. Those by concern overlap: an episode is in each of its concerns."""
    if group_by is None:
        return
    if group_by == "concern":
        for place, concern in enumerate(CONCERNS):
            yield from _occurring(group_by, concern, (episodes.concerns >> np.uint64(place)) & np.uint64(1) == 1)
        yield from _occurring(group_by, NOT_STATED, episodes.concerns == 0)
    elif group_by in ("modality", "format"):
        codes, names = (episodes.modality, MODALITIES) if group_by == "modality" else (episodes.format, FORMATS)
        for place, name in (*enumerate(names), (-1, NOT_STATED)):
            yield from _occurring(group_by, name, codes == place)
    else:
        months = episodes.ended.astype("datetime64[M]").astype(np.int64) + 1970 * 12
        length = 12 if group_by == "year" else 3
        for period in np.unique(months // length).tolist():
            year, part = divmod(period * length, 12)
            name = f"{year}" if group_by == "year" else f"{year}-Q{part // 3 + 1}"
            yield {group_by: name}, months // length == period


def _occurring(group_by: str, name: str, members: Bools) -> Iterator[tuple[dict[str, str], Bools]]:
    if members.any():
        yield {group_by: name}, members
