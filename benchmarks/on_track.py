"""``python -m benchmarks.on_track [--quick] [--svg FILE]``: how far the bands and the signal can be believed.

References are fitted on invented clients of worlds in which the truth is known (`benchmarks.trajectories`), and new
clients of the same world, whom no fit has seen, are held against them by the code that the service runs. Printed are
the coverage of the bands, how often clients are flagged who are doing well, and how many of those who truly get worse.
Everything is seeded: the same figures come out each time.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.judged import Judged, mean
from benchmarks.on_track_picture import draw
from benchmarks.trajectories import HIGHEST, LOWEST, NOISE, WORLDS, Clients, Floats
from scoring.change import reliable_change_threshold
from scoring.growth.fit import Fit, Series, fit_by_clock
from scoring.growth.model import GrowthModel
from scoring.growth.trajectory import Z_68, Z_80

SEED: Final = 20_260_105
REFERENCE: Final = 400
"""Persons that a reference is fitted on."""
NEW: Final = 2_000
"""Clients held against it."""
FITS: Final = 10
SIZES: Final = (25, 50, 100, 200, 400)
QUICK_FITS, QUICK_NEW = 2, 500
Bools = npt.NDArray[np.bool_]


def later(model: GrowthModel, clients: Clients) -> tuple[Floats, Floats]:
    """How far each later score is from what the first predicts, in SD (below 0 is worse), and the SD in points."""
    known = model.from_baseline
    weeks = np.arange(1.0, clients.scores.shape[1])
    lines = np.array([known.line(score) for score in clients.scores[:, 0].tolist()])
    sd = np.array([known.observed_sd(week) for week in weeks.tolist()])
    time = np.array([known.time(week) for week in weeks.tolist()])
    predicted = np.clip(lines[:, :1] + lines[:, 1:] * time, LOWEST, HIGHEST)
    return (predicted - clients.scores[:, 1:]) / sd, sd


def judge(model: GrowthModel, clients: Clients) -> Judged:
    """Hold clients against a model, all scores of each."""
    z, _ = later(model, clients)
    taken: Bools = ~np.isnan(z)
    benefit = clients.scores[:, :1] - clients.scores[:, 1:]
    reliable = benefit > reliable_change_threshold(NOISE, 0.0)  # of scores that are all noise: 1.96 sqrt(2) NOISE
    flagged: Bools = taken & (z < -Z_80) & ~reliable
    gained: Floats = clients.true[:, 0] - clients.true[:, -1]
    well: Bools = gained >= gained.mean()
    worse: Bools = gained < 0
    twice = _in_a_row(flagged, taken)
    first = np.argmax(flagged, axis=1) + 1.0
    found: Bools = np.asarray(flagged.any(axis=1))
    return Judged(
        scores=int(taken.sum()),
        within_68=_share(np.abs(z[taken]) < Z_68),
        within_80=_share(np.abs(z[taken]) < Z_80),
        by_week=tuple(_share(np.abs(z[taken[:, week], week]) < Z_80) for week in range(z.shape[1])),
        flagged_scores=_share(flagged[taken]),
        flagged_well=_share(found[well]),
        flagged_well_twice=_share(twice[well]),
        flagged_worse=_share(found[worse]),
        flagged_worse_twice=_share(twice[worse]),
        weeks_to_flag=float(np.median(first[worse & found])) if (worse & found).any() else float("nan"),
    )


def _share(of: Bools) -> float:
    return float(of.mean()) if len(of) else float("nan")


def _in_a_row(flagged: Bools, taken: Bools) -> Bools:
    """Clients flagged at two scores one after the other, whatever weeks lie between them."""
    before = np.zeros(len(flagged), bool)
    found = np.zeros(len(flagged), bool)
    for week in range(flagged.shape[1]):
        here = taken[:, week]
        found |= here & flagged[:, week] & before
        before = np.where(here, flagged[:, week], before)
    return found


def fitted(clients: Clients) -> Fit:
    """The model of a reference."""
    return fit_by_clock(Series.of(*clients.columns()), cross_check=False)[0]


def study(world: str, *, fits: int, persons: int = REFERENCE, new: int = NEW, seed: int = SEED) -> list[Judged]:
    """References fitted one after the other in one world, each with its own new clients."""
    made: list[Judged] = []
    for number in range(fits):
        random = np.random.default_rng((seed, number, persons, list(WORLDS).index(world)))
        model = fitted(WORLDS[world](random, persons)).model
        made.append(judge(model, WORLDS[world](random, new)))
    return made


def worlds_table(studies: Mapping[str, Sequence[Judged]]) -> str:
    """Coverage and signal by world, as a table of the docs."""
    lines = [
        "| Invented clients | 68 % band | 80 % band | 80 %, worst week | scores flagged | doing well: flagged once "
        "| in two scores running | truly worse: flagged once | in two scores running | median week |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for world, of in studies.items():
        weeks = np.mean([one.by_week for one in of], axis=0)
        worst = float(weeks[np.argmax(np.abs(weeks - 0.8))])
        shares = (mean(of, lambda o: o.within_68), mean(of, lambda o: o.within_80), worst)
        signal = [
            mean(of, what)
            for what in (
                lambda o: o.flagged_scores,
                lambda o: o.flagged_well,
                lambda o: o.flagged_well_twice,
                lambda o: o.flagged_worse,
                lambda o: o.flagged_worse_twice,
            )
        ]
        cells = [f"{100 * share:.1f}" for share in (*shares, *signal)]
        lines.append(f"| {world} | {' | '.join(cells)} | {mean(of, lambda o: o.weeks_to_flag):.0f} |")
    return "\n".join(lines)


def sizes_table(fits: int, new: int) -> str:
    """How much the bands of one reference may be off, by the persons that it was fitted on."""
    lines = [
        "| Persons | 80 % band, mean of fits | lowest to highest of fits | flagged scores, lowest to highest |",
        "| --: | --: | --: | --: |",
    ]
    for persons in SIZES:
        of = study("as modelled", fits=fits, persons=persons, new=new)
        held, flags = [100 * one.within_80 for one in of], [100 * one.flagged_scores for one in of]
        lines.append(
            f"| {persons} | {np.mean(held):.1f} | {min(held):.1f} to {max(held):.1f} "
            f"| {min(flags):.1f} to {max(flags):.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the tables, and draw the picture where a file is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.on_track", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer fits and clients")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also draw what the docs show")
    chosen = parser.parse_args()
    fits, new = (QUICK_FITS, QUICK_NEW) if chosen.quick else (FITS, NEW)
    studies = {world: study(world, fits=fits, new=new) for world in WORLDS}
    print(worlds_table(studies), sizes_table(2 * fits, new), sep="\n\n")
    if chosen.svg is not None:
        chosen.svg.write_text(draw(studies), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
