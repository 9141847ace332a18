"""Scoring one form and a frame of forms, each against the same sums written out by hand."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

import instruments
from benchmarks.report import Outcome, in_turn, outcome
from scoring import score, score_frame

FORMS = 20_000
ROWS = 1_000_000
FSFI = instruments.load("fsfi")


def score_one() -> list[Outcome]:
    """``scoring.score`` of one complete form against its sums written out by hand, unchecked."""
    answers = {item.id: 3 + int(item.id) % 3 for item in FSFI.items}

    def timed(function: Callable[[], object]) -> Callable[[], float]:
        def once() -> float:
            start = time.perf_counter()
            for _ in range(FORMS):
                function()
            return (time.perf_counter() - start) / FORMS * 1e6

        return once

    floor = timed(lambda: by_hand(answers))
    complete = in_turn(floor, timed(lambda: score(FSFI, answers)), rounds=15)
    return [outcome("score: one FSFI", complete, goal=5, higher_is="worse", unit="µs")]


def score_many() -> list[Outcome]:
    """``score_frame`` with one answer in a hundred missing against NumPy written by hand, unchecked."""
    frame = forms(ROWS)

    def timed(function: Callable[[pd.DataFrame], object]) -> Callable[[], float]:
        def once() -> float:
            gc.collect()
            start = time.perf_counter()
            function(frame)
            return ROWS / (time.perf_counter() - start)

        return once

    pairs = in_turn(timed(by_numpy), timed(lambda given: score_frame(FSFI, given)), rounds=11, warm_up=3)
    return [outcome("score_frame: a million FSFI", pairs, goal=0.33, higher_is="better", unit="rows/s")]


def forms(rows: int) -> pd.DataFrame:
    """Random FSFI answers, one in a hundred missing; the same every time."""
    random = np.random.default_rng(20_260_105)
    columns = {}
    for item in FSFI.items:
        answers = random.choice(np.array(item.options, np.float64), rows)
        answers[random.random(rows) < 0.01] = np.nan
        columns[item.id] = answers
    return pd.DataFrame(columns)


def by_hand(a: dict[str, int]) -> dict[str, float]:
    """The least that could score one form: no check, no status, no reading."""
    desire = 0.6 * (a["1"] + a["2"])
    arousal = 0.3 * (a["3"] + a["4"] + a["5"] + a["6"])
    lubrication = 0.3 * (a["7"] + a["8"] + a["9"] + a["10"])
    orgasm = 0.4 * (a["11"] + a["12"] + a["13"])
    satisfaction = 0.4 * (a["14"] + a["15"] + a["16"])
    pain = 0.4 * (a["17"] + a["18"] + a["19"])
    total = desire + arousal + lubrication + orgasm + satisfaction + pain
    return {
        "desire": desire,
        "arousal": arousal,
        "lubrication": lubrication,
        "orgasm": orgasm,
        "satisfaction": satisfaction,
        "pain": pain,
        "total": total,
    }


def by_numpy(frame: pd.DataFrame) -> pd.DataFrame:
    """The least that could score a frame: NaN passes through, nothing is checked."""
    c = {name: frame[name].to_numpy() for name in frame.columns}
    desire = 0.6 * (c["1"] + c["2"])
    arousal = 0.3 * (c["3"] + c["4"] + c["5"] + c["6"])
    lubrication = 0.3 * (c["7"] + c["8"] + c["9"] + c["10"])
    orgasm = 0.4 * (c["11"] + c["12"] + c["13"])
    satisfaction = 0.4 * (c["14"] + c["15"] + c["16"])
    pain = 0.4 * (c["17"] + c["18"] + c["19"])
    return pd.DataFrame(
        {
            "desire": desire,
            "arousal": arousal,
            "lubrication": lubrication,
            "orgasm": orgasm,
            "satisfaction": satisfaction,
            "pain": pain,
            "total": desire + arousal + lubrication + orgasm + satisfaction + pain,
        }
    )
