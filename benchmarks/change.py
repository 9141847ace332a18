"""`fathomline change` against the same figures written out by hand with pandas and NumPy, on the same file.

Both read the file, compute and write the answer; starting the interpreter counts for neither. The command checks every
cell, keeps every column as it stands and writes a file that is whole or not there; what is by hand does none of that.
"""

from __future__ import annotations

import gc
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from api.cli import COLLECTING
from api.cli.change import change
from benchmarks.report import Outcome, in_turn, outcome

PAIRS = 100_000
RELIABILITY = 0.9
FUNCTIONAL = (8.0, 5.0)


def change_of_pairs() -> list[Outcome]:
    """100,000 pairs by Jacobson and Truax's method with cutoff c, one post score in twenty missing."""
    with tempfile.TemporaryDirectory(prefix="fathomline-bench-") as folder:
        source, out = Path(folder) / "pairs.csv", Path(folder) / "out.csv"
        _pairs(PAIRS).to_csv(source, index=False)

        def timed(function: Callable[[Path, Path], None]) -> Callable[[], float]:
            def once() -> float:
                gc.collect()
                start = time.perf_counter()
                function(source, out)
                return time.perf_counter() - start

            return once

        before = gc.get_threshold()
        gc.set_threshold(*COLLECTING)  # as the command sets them
        try:
            pairs = in_turn(timed(by_hand), timed(by_command), rounds=7)
        finally:
            gc.set_threshold(*before)
    return [outcome(f"change: {PAIRS:,} pairs", pairs, goal=1.5, higher_is="worse", unit="s")]


def by_command(source: Path, out: Path) -> None:
    """What ``fathomline change`` runs."""
    change(
        source,
        method="jacobson-truax",
        reliability=RELIABILITY,
        higher_is="worse",
        out=out,
        cutoff="c",
        functional_mean=FUNCTIONAL[0],
        functional_sd=FUNCTIONAL[1],
        quiet=True,
    )


def by_hand(source: Path, out: Path) -> None:
    """The least that gives the same columns, unchecked."""
    frame = pd.read_csv(source)
    pre, post = frame["pre"].to_numpy(), frame["post"].to_numpy()
    both = pre[~np.isnan(post)]
    mean, sd = both.mean(), both.std(ddof=1)
    rci = (post - pre) / (sd * math.sqrt(2 * (1 - RELIABILITY)))
    limit = (sd * FUNCTIONAL[0] + FUNCTIONAL[1] * mean) / (sd + FUNCTIONAL[1])
    better, worse = rci < -1.959963984540054, rci > 1.959963984540054
    category = np.where(better, "improved", np.where(worse, "deteriorated", "unchanged"))
    category = np.where(better & (pre > limit) & (post < limit), "recovered", category)
    category = np.where(worse & (pre <= limit) & (post >= limit), "harmed", category)
    frame["change"], frame["rci"], frame["category"] = post - pre, rci, np.where(np.isnan(rci), "", category)
    frame.to_csv(out, index=False)


def _pairs(rows: int) -> pd.DataFrame:
    """Scores with one decimal; the same every time."""
    random = np.random.default_rng(20_260_105)
    pre = random.normal(20, 6, rows)
    post = (0.6 * pre + random.normal(4, 5, rows)).round(1)
    post[random.random(rows) < 0.05] = np.nan
    return pd.DataFrame({"id": np.arange(rows), "pre": pre.round(1), "post": post})
