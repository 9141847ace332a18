"""Outcomes of a clinic that can be worked out by hand: lower is better, reliable beyond 6.43, clinical above 8.6."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date
from typing import Any

import asyncpg
import httpx
import numpy as np
import pytest

from scoring.groups import effect_sizes as es
from scoring.proportions import newcombe, wilson
from tests.conftest import Tenant
from tests.factories import NOON, make_rescoring
from tests.outcomes.clinic import Course, Form, course
from tests.outcomes.conftest import Asks, Stores

CLINIC = [
    course(20, 15, 4),  # recovered
    course(18, 10, concerns=("mood", "sleep")),  # improved
    course(12, 13, modality="telehealth", reason="dropped-out", days=35),  # unchanged
    course(15, 24, modality="telehealth", format="couple", concerns=()),  # deteriorated
    course(4, 14, modality=None),  # harmed
    course(22, reason="dropped-out", days=20),  # one score
    course(reason="dropped-out", days=10),  # none
    course(19, 3, reason="not-taken-up"),  # never began
    course(21, 2, days=None),  # goes on
]


def rate_of(group: dict[str, Any], measure: str, denominator: str) -> tuple[int, int]:
    (found,) = (r for r in group["rates"]["rates"] if (r["measure"], r["denominator"]) == (measure, denominator))
    expected = wilson(found["count"], found["n"])
    if expected is not None:
        assert (found["rate"], found["low"], found["high"]) == pytest.approx(
            (expected.rate, expected.low, expected.high)
        )
    return found["count"], found["n"]


def effect_of(group: dict[str, Any], name: str, of: str = "completers") -> dict[str, Any]:
    (found,) = (e for e in group["effect_sizes"] if (e["effect"], e["of"]) == (name, of))
    return dict(found)


def service_of(group: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (s for s in group["services"] if s["id"] == name)
    return dict(found)


async def test_the_clinic_by_hand(ask: Asks, stored: Stores) -> None:
    await stored(CLINIC)
    found = await ask()
    total = found["total"]
    assert total["n"] == {"ended": 8, "not_taken_up": 1, "started": 7, "with_first_score": 6, "completers": 5}
    assert found["selection"]["still_open"] == 1
    assert (found["groups"], found["sign"], found["own_sample"]) == ([], "benefit", None)
    assert total["small"] is True
    assert total["rates"]["categories"] == {
        "recovered": 1,
        "improved": 1,
        "unchanged": 1,
        "deteriorated": 1,
        "harmed": 1,
    }
    assert rate_of(total, "recovered", "started") == (1, 7)
    assert rate_of(total, "recovered", "completers") == (1, 5)
    assert rate_of(total, "recovered", "clinical-at-start") == (1, 5)
    assert rate_of(total, "recovered", "clinical-at-start-completers") == (1, 4)
    assert rate_of(total, "reliably-improved", "started") == (2, 7)
    assert rate_of(total, "reliably-worse", "completers") == (2, 5)
    assert rate_of(total, "harmed", "completers") == (1, 5)
    assert total["left_out"] == []


async def test_effect_sizes_are_of_completers_and_once_of_all(ask: Asks, stored: Stores) -> None:
    await stored(CLINIC)
    total = (await ask())["total"]
    pre, post = [20, 18, 12, 15, 4], [4, 10, 13, 24, 14]
    for name, make in (("d_pre", es.d_pre), ("d_z", es.d_z), ("d_rm", es.d_rm), ("d_av_cumming", es.d_av_cumming)):
        expected = es.corrected(make(es.paired_moments(pre, post)), 4).towards("worse")
        given = effect_of(total, name)
        assert (given["n"], given["estimate"], given["low"], given["high"]) == pytest.approx(
            (5, expected.estimate, expected.low, expected.high)
        )
        assert given["interval_method"]
    mean, sd = np.mean([16, 8, -1, -9, -10]), np.std(pre, ddof=1)
    assert effect_of(total, "d_pre")["estimate"] == pytest.approx(mean / sd * 0.7978845608028654)
    every = effect_of(total, "d_pre", "started-unchanged-if-unseen")
    mean, sd = np.mean([16, 8, -1, -9, -10, 0]), np.std([*pre, 22], ddof=1)
    assert (every["n"], every["estimate"]) == pytest.approx((6, mean / sd * es.hedges_correction(5)))
    assert total["scores"]["first_of_all"]["mean"] == pytest.approx(91 / 6)
    assert total["scores"]["change"] == pytest.approx(
        {"n": 5, "mean": -0.8, "sd": float(np.std([16, 8, -1, -9, -10], ddof=1))}
    )


async def test_attrition_by_hand(ask: Asks, stored: Stores) -> None:
    """Two leave before week 4, one in week 5; the others end in week 12."""
    await stored(CLINIC)
    found = (await ask())["total"]["attrition"]
    assert found["end_reasons"] == {"completed": 4, "dropped-out": 3}
    assert (found["dropped_out"]["count"], found["dropped_out"]["n"]) == (3, 7)
    assert (found["ended_as_agreed"]["count"], found["ended_as_agreed"]["n"]) == (4, 7)
    told = {one["week"]: (one["at_risk"], round(one["retention"], 6)) for one in found["retention"]}
    assert told == {4: (5, round(5 / 7, 6)), 8: (4, round(4 / 7, 6)), 12: (4, round(4 / 7, 6))}
    compared = found["stayed_against_dropped_out"]
    assert (compared["n_stayed"], compared["n_left"]) == (4, 2)
    assert (compared["mean_stayed"], compared["mean_left"]) == (14.25, 17)


async def test_groups_divide_the_episodes(ask: Asks, stored: Stores) -> None:
    await stored(CLINIC)

    async def sizes(by: str) -> dict[str, int]:
        found = await ask(group_by=by)
        assert found["total"] == (await ask())["total"]
        return {group["levels"][by]: group["n"]["ended"] for group in found["groups"]}

    assert await sizes("modality") == {"in-person": 5, "telehealth": 2, "not-stated": 1}
    assert await sizes("format") == {"individual": 7, "couple": 1}
    assert await sizes("concern") == {"mood": 7, "sleep": 1, "not-stated": 1}
    assert await sizes("year") == {"2025": 8}
    assert await sizes("quarter") == {"2025-Q1": 8}


async def test_groups_are_held_against_the_largest(ask: Asks, stored: Stores) -> None:
    ends = {
        "in-person": [(20, 4), (18, 16), (15, 14), (24, 10)],
        "telehealth": [(20, 15), (22, 6), (16, 15)],
        "hybrid": [],
    }
    courses = [course(*both, modality=modality) for modality, pairs in ends.items() for both in pairs]
    await stored([*courses, course(20, modality="hybrid"), course(25, 1, modality="telehealth", reason="not-taken-up")])
    found = (await ask(group_by="modality"))["contrasts"]
    assert [one["levels"]["modality"] for one in found] == ["telehealth", "hybrid"]
    assert {one["against"]["modality"] for one in found} == {"in-person"}
    rates = [wilson(1, 3), wilson(2, 4)]
    assert rates[0] is not None
    assert rates[1] is not None
    expected = newcombe(rates[0], rates[1])
    told = found[0]["reliably_improved"]
    assert (told["n"], told["n_against"]) == (3, 4)
    assert (told["difference"], told["low"], told["high"]) == pytest.approx(
        (expected.difference, expected.low, expected.high)
    )
    first, second = (es.paired_moments(*np.array(ends[name], float).T) for name in ("telehealth", "in-person"))
    of_change = es.corrected(es.between(first.change, second.change), 5).towards("worse")
    of_points = es.d_ppc2(first, second).towards("worse")
    given = found[0]["effect_sizes"]
    assert [one["effect"] for one in given] == ["d_between", "d_ppc2"]
    assert (given[0]["estimate"], given[0]["low"], given[0]["high"]) == pytest.approx(
        (of_change.estimate, of_change.low, of_change.high)
    )
    assert (given[1]["estimate"], given[1]["low"]) == (pytest.approx(of_points.estimate), None)
    assert found[1]["reliably_improved"]["code"] == "too-few"
    assert {one["code"] for one in found[1]["effect_sizes"]} == {"too-few"}
    for by in ({}, {"group_by": "concern"}, {"group_by": "year"}):
        assert (await ask(**by))["contrasts"] == []


async def test_periods_are_those_of_the_end(ask: Asks, stored: Stores) -> None:
    starts = (date(2024, 10, 1), date(2024, 10, 9), date(2025, 6, 1))
    await stored([course(20, 4, started=started, days=84) for started in starts])
    found = await ask(group_by="quarter")
    assert [(g["levels"], g["n"]["ended"]) for g in found["groups"]] == [
        ({"quarter": "2024-Q4"}, 1),
        ({"quarter": "2025-Q1"}, 1),
        ({"quarter": "2025-Q3"}, 1),
    ]
    years = (await ask(group_by="year"))["groups"]
    assert [(g["levels"]["year"], g["n"]["ended"]) for g in years] == [("2024", 1), ("2025", 2)]
    inside = await ask(**{"from": "2025-01-01", "to": "2025-01-01"})
    assert inside["total"]["n"]["ended"] == 1
    assert inside["selection"]["from"] == "2025-01-01"


@pytest.mark.parametrize(
    ("query", "n"),
    [({"modality": "telehealth"}, 2), ({"format": "couple"}, 1), ({"concern": "sleep"}, 1), ({"concern": "pain"}, 0)],
)
async def test_selections(ask: Asks, stored: Stores, query: dict[str, str], n: int) -> None:
    await stored(CLINIC)
    assert (await ask(**query))["total"]["n"]["ended"] == n


async def test_before_and_after_are_by_the_window(ask: Asks, stored: Stores) -> None:
    """The last score of no episode before the start goes first; what comes long before or after does not count."""
    await stored(
        [
            Course(
                [
                    Form(-40, 27, apart=True),
                    Form(-10, 25, apart=True),
                    Form(-3, 20, apart=True),
                    Form(0, 18),
                    Form(70, 6),
                    Form(90, 3),
                    Form(200, 26),
                    Form(5, 1, apart=True),
                ]
            )
        ]
    )

    async def ends(window: int) -> tuple[float, float]:
        scores = (await ask(window=window))["total"]["scores"]
        return scores["first_of_completers"]["mean"], scores["last_of_completers"]["mean"]

    assert await ends(14) == (20, 3)
    assert await ends(0) == (18, 6)
    assert await ends(92) == (20, 3)
    found = (await ask())["total"]
    assert found["left_out"] == [
        {
            "reason": "after-the-end",
            "scores": 1,
            "detail": "Answered later after the end of the episode than the window allows.",
        }
    ]


async def test_one_score_after_one_before_the_start_makes_a_pair(ask: Asks, stored: Stores) -> None:
    await stored([Course([Form(-3, 20, apart=True), Form(50, 4)]), Course([Form(-3, 20, apart=True)])])
    assert (await ask())["total"]["n"] == {
        "ended": 2,
        "not_taken_up": 0,
        "started": 2,
        "with_first_score": 2,
        "completers": 1,
    }


async def test_what_is_left_out_is_counted(ask: Asks, stored: Stores) -> None:
    forms = [
        Form(0, None),
        Form(1, 20, valid=False),
        Form(2, 20, version=99),
        Form(3, 20, variant="phq-8"),
        Form(4, 18),
        Form(30, 5),
    ]
    await stored([Course(forms)])
    total = (await ask())["total"]
    assert total["scores"]["first_of_completers"]["mean"] == 18
    assert {one["reason"]: one["scores"] for one in total["left_out"]} == {
        "no-value": 1,
        "validity-rule-failed": 1,
        "other-version": 1,
        "other-variant": 1,
    }
    eight = await ask(variant="phq-8")
    assert eight["total"]["n"]["with_first_score"] == 1
    assert eight["selection"]["comparable_variants"] == ["phq-8"]


async def test_the_order_is_time_of_answer_then_of_record_then_id(ask: Asks, stored: Stores) -> None:
    await stored([Course([Form(0, 11), Form(0, 12), Form(30, 7), Form(30, 9)])])
    scores = (await ask())["total"]["scores"]
    assert (scores["first_of_completers"]["mean"], scores["last_of_completers"]["mean"]) == (11, 9)


async def test_superseded_forms_do_not_count(
    ask: Asks, stored: Stores, owner: asyncpg.Connection, tenant: Tenant
) -> None:
    ids = await stored([course(20, 15, 4)])
    async with owner.transaction():
        await owner.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
        await owner.execute(
            "insert into superseded (organisation_id, response_id, root_id, reason_code, at, by)"
            " values ($1, $2, $2, 'another', now(), 'ehr-1')",
            tenant.id,
            ids[2],
        )
    assert (await ask())["total"]["scores"]["last_of_completers"]["mean"] == 15


async def test_scores_are_the_current_ones(
    ask: Asks, stored: Stores, owner: asyncpg.Connection, tenant: Tenant
) -> None:
    """Of two runs the one applied last goes first; of the others each counts where that has no score."""
    ids = await stored([course(20, 15), course(22, 16)])
    for also in ([ids[3]], []):
        run = await make_rescoring(owner, tenant.id, ids[1], instrument="phq-9", to_version=1, created_at=NOON)
        async with owner.transaction():
            await owner.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
            for one in also:
                await owner.execute(
                    "insert into rescored values ($1, $2, $3, 'total', 3, 'complete', true)", tenant.id, one, run
                )
    total = (await ask())["total"]  # 15 became 9 in both runs, 16 became 3 in the first
    assert total["scores"]["last_of_completers"]["mean"] == pytest.approx((9 + 3) / 2)


async def test_categories_are_those_of_each_clients_progress(
    ask: Asks, stored: Stores, admin: httpx.AsyncClient, superuser: asyncpg.Connection, tenant: Tenant
) -> None:
    """What is told of all is what is told of each: the same scores are used, and judged the same."""
    draw = np.random.default_rng(8)
    courses = [course(*draw.integers(0, 28, draw.integers(2, 5)).tolist()) for _ in range(12)]
    courses += [
        Course([Form(0, None), Form(20, 19), Form(20, 18), Form(40, 3, version=99), Form(60, 11)]),
        Course([Form(0, 24, valid=False), Form(20, 7), Form(50, 27, variant="phq-8"), Form(60, 16, variant="strict")]),
    ]
    await stored(courses)
    clients = await superuser.fetch("select id from client where organisation_id = $1", tenant.id)
    found = []
    for (client,) in clients:
        query = {"instrument": "phq-9", "scale": "total", "variant": "prorated"}
        answer = await admin.get(f"/v1/clients/{client}/progress", params=query)
        (series,) = answer.json()["series"]
        if series["change"]["from_baseline"]["available"]:
            found.append(series["change"]["from_baseline"]["category"])
    told = (await ask())["total"]["rates"]["categories"]
    assert {name: count for name, count in told.items() if count} == Counter(found)
    assert len(Counter(found)) > 2


async def test_the_english_service_by_hand(ask: Asks, stored: Stores) -> None:
    def pair(phq: tuple[int, int], gad: tuple[int, int] | None, **members: Any) -> Course:
        forms = [Form(0, phq[0]), Form(60, phq[1])]
        if gad is not None:
            forms += [Form(n * 60, v, instrument="gad-7", variant="strict") for n, v in enumerate(gad)]
        return Course(forms, **members)

    await stored(
        [
            pair((20, 9), (15, 7)),  # recovered and reliably improved
            pair((10, 9), (5, 5)),  # recovered, not reliably
            pair((20, 9), (15, 8)),  # still a case of anxiety
            pair((9, 15), (7, 7)),  # no case at start, reliably worse
            pair((20, 10), (4, 8)),  # better on one and worse on the other
            pair((20, 4), (15, 2), sessions=1, missed=4),  # one session
            pair((20, 4), None),  # no measure of anxiety
        ]
    )
    for query in ({}, {"instrument": "gad-7"}):
        found = service_of((await ask(**query))["total"], "england-talking-therapies")
        assert (found["started"], found["too_few_sessions"], found["not_measured"]) == (7, 1, 1)
        assert found["evidence"] == "memory"
        assert {one["measure"]: (one["count"], one["n"]) for one in found["rates"]} == {
            "caseness": (4, 5),
            "recovery": (2, 4),
            "reliable-improvement": (2, 5),
            "reliable-recovery": (1, 4),
            "reliable-deterioration": (1, 5),
        }
    single = service_of((await ask())["total"], "single-measure")
    assert single["evidence"] == "derived"
    assert single["started"] == 7


@pytest.mark.parametrize(
    ("instrument", "scale", "variant", "code", "sign"),
    [
        ("sis-ses-sf", "ses", "original", "no-direction", "change"),
        ("itq", "re", "standard", "no-parameters", "benefit"),
    ],
)
async def test_a_scale_without_figures_says_so(
    ask: Asks, stored: Stores, instrument: str, scale: str, variant: str, code: str, sign: str
) -> None:
    """There are effect sizes all the same; without a direction they are change as it is."""
    ends = [(4, 6), (5, 8), (6, 10)]
    given = {"instrument": instrument, "scale": scale, "variant": variant}
    places = ("in-person", "in-person", "telehealth")
    await stored(
        [
            Course([Form(60 * n, v, **given) for n, v in enumerate(both)], modality=place)
            for both, place in zip(ends, places, strict=True)
        ]
    )
    found = await ask(instrument=instrument, scale=scale, group_by="modality")
    assert found["total"]["rates"]["code"] == code
    assert [one["reliably_improved"]["code"] for one in found["contrasts"]] == [code]
    assert [(s["id"], s["code"]) for s in found["total"]["services"]] == [("single-measure", code)]
    assert found["sign"] == sign
    expected = 3 * es.hedges_correction(2) * (1 if sign == "change" else -1)
    assert effect_of(found["total"], "d_pre")["estimate"] == pytest.approx(expected)


async def test_a_scale_without_a_cutoff_has_no_cases(ask: Asks, stored: Stores) -> None:
    given = {"instrument": "pss-10", "variant": "standard"}
    await stored([Course([Form(60 * n, v, **given) for n, v in enumerate(both)]) for both in [(35, 10), (20, 21)]])
    total = (await ask(instrument="pss-10"))["total"]
    assert [(s["id"], s["code"]) for s in total["services"]] == [("single-measure", "no-cutoff")]
    assert {r["measure"] for r in total["rates"]["rates"]} == {"reliably-improved", "unchanged", "reliably-worse"}
    assert rate_of(total, "reliably-improved", "completers") == (1, 2)


async def test_small_groups_are_marked_and_told(ask: Asks, stored: Stores) -> None:
    await stored([course(20, 4, modality="telehealth") for _ in range(11)] + [course(20, 4) for _ in range(10)])
    found = await ask(group_by="modality")
    assert found["smallest_cell"] == 11
    assert {g["levels"]["modality"]: (g["small"], g["n"]["completers"]) for g in found["groups"]} == {
        "in-person": (True, 10),
        "telehealth": (False, 11),
    }


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_statistics_that_few_are_too_few_for_are_refused(ask: Asks, stored: Stores, number: int) -> None:
    await stored([course(20 - n, 4 + 3 * n) for n in range(number)])
    total = (await ask(reliability=True))["total"]
    assert {e["available"] for e in total["effect_sizes"]} == {False}
    assert {e["code"] for e in total["effect_sizes"]} <= {"too-few"}
    assert total["scores"]["change"]["n"] == number
    assert total["scores"]["change"]["sd"] is None or number == 2
    assert rate_of(total, "recovered", "started") == (number if number < 2 else 2, number)


async def test_reliability_in_the_own_sample(ask: Asks, stored: Stores) -> None:
    draw = np.random.default_rng(3)
    level = draw.integers(0, 4, 40)
    rows = np.clip(level[:, None] + draw.integers(-1, 2, (40, 9)), 0, 3)
    courses = []
    for number, row in enumerate(rows.tolist()):
        answers = {str(item + 1): value for item, value in enumerate(row)}
        forms = [Form(0, float(sum(row)), answers=answers), Form(30, 4.0, answers=dict.fromkeys(answers, 0))]
        if number < 20:
            forms += [Form(-9, sum(row) + 1.0, apart=True), Form(-2, float(sum(row)), apart=True)]
        courses.append(Course(forms))
    await stored(courses)
    own = (await ask(reliability=True))["own_sample"]
    variances = rows.var(axis=0, ddof=1).sum() / rows.sum(axis=1).var(ddof=1)
    assert own["alpha"]["alpha"] == pytest.approx(9 / 8 * (1 - variances))
    assert (own["alpha"]["n"], own["alpha"]["k"], own["alpha"]["left_out"]) == (40, 9, 0)
    assert own["alpha"]["alpha"] - 0.05 < own["omega"]["omega"] < 1
    assert own["retest"]["n"] == 20
    consistency = next(icc for icc in own["retest"]["iccs"] if icc["form"] == "(3,1)")
    assert consistency["value"] == pytest.approx(1)
    assert own["retest"]["error_agreement"] > own["retest"]["error_consistency"] == pytest.approx(0, abs=1e-6)
    assert math.isfinite(own["retest"]["error_from_icc"])


async def test_an_empty_organisation_has_an_answer(ask: Asks) -> None:
    assert (await ask(group_by="modality"))["contrasts"] == []
    found = await ask(group_by="concern", reliability=True)
    assert found["total"]["n"]["ended"] == 0
    assert found["groups"] == []
    assert found["own_sample"]["alpha"]["code"] == "too-few"
    assert found["total"]["attrition"]["retention"] == []
    assert {r["rate"] for r in found["total"]["rates"]["rates"]} == {None}
