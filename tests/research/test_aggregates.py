"""What the answers say: equal to a plain computation on the same rows, suppressed where groups are small."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from typing import Any

import asyncpg
import numpy as np
import pytest

from instruments import load
from scoring.change import reliable_change_threshold
from scoring.progress_figures import figures
from scoring.proportions import wilson
from scoring.reliable import ReliableChange
from tests.conftest import Tenant
from tests.research.conftest import Asks, Stores
from tests.research.populations import NAMES, Person, chosen, frame_of, people

EMPTY_CELL = {"n_people": 0, "n_scores": 0, "mean": None, "sd": None, "rounded_to": None}
NULLS = ("n_people", "n_scores", "mean", "sd", "rounded_to")


def cell_of(answer: dict[str, Any], **levels: str) -> dict[str, Any]:
    (found,) = (cell for cell in answer["cells"] if cell["levels"] == levels)
    return dict(found)


def threshold_of_change() -> float:
    reliable = figures(load("phq-9"), "total", "prorated").reliable_change
    assert isinstance(reliable, ReliableChange)
    return reliable_change_threshold(reliable.sd, reliable.reliability)


def assert_rounded(given: float | None, exact: float, step: float) -> None:
    assert given is not None
    assert abs(given - exact) <= step / 2 + 1e-9
    assert given / step == pytest.approx(round(given / step), abs=1e-6)


def large_population() -> list[Person]:
    """Enough people that most groups are shown, with everything that a row can lack."""
    draw = np.random.default_rng(5)
    found = []
    for number in range(900):
        start = int(draw.integers(2024, 2026))
        years = sorted(int(start + step) for step in draw.integers(0, 2, draw.integers(1, 4)))
        values = [None if draw.random() < 0.05 else float(draw.integers(0, 28)) for _ in years]
        found.append(
            Person(
                list(zip(years, values, strict=True)),
                gender=("woman", "man")[number % 2],
                born=(1999, 1990)[number // 2 % 2],
                consent=bool(draw.random() < 0.9),
                valid=bool(draw.random() < 0.95),
            )
        )
    return found


async def test_figures_are_those_of_a_plain_computation(stored: Stores, ask: Asks) -> None:
    persons = large_population()
    await stored(persons)
    frame, critical = frame_of(persons), threshold_of_change()
    shown = 0
    for size in range(4):
        for names in itertools.combinations(NAMES, size):
            for measure in ("level", "change", "reliable_change"):
                answer = await ask(*names, measure=measure)
                assert len(answer["cells"]) == np.prod([len(one["levels"]) for one in answer["group_by"]], dtype=int)
                for cell in answer["cells"]:
                    rows = chosen(frame, cell["levels"])
                    if measure != "level":
                        rows = rows[rows["changed"]]
                    if cell["suppressed"]:
                        assert [cell[name] for name in NULLS] == [None] * 5
                        assert cell["reason"] == "disclosure-control"
                        continue
                    assert (cell["n_people"], cell["n_scores"]) == (rows["person"].nunique(), len(rows))
                    assert cell["n_people"] == 0 or cell["n_people"] >= 11
                    assert cell["reason"] is None
                    if not len(rows):
                        assert {name: cell[name] for name in NULLS} == EMPTY_CELL
                        assert cell["categories"] is None
                        continue
                    shown += 1
                    values = rows["value" if measure == "level" else "change"]
                    assert_rounded(cell["mean"], values.mean(), cell["rounded_to"])
                    assert_rounded(cell["sd"], values.std(ddof=1), cell["rounded_to"])
                    width = 27 if measure == "level" else 54
                    assert width / cell["n_people"] <= cell["rounded_to"] < 2.5 * width / cell["n_people"] + 1e-9
                    if measure == "reliable_change":
                        counts = {
                            "improved": int((values < -critical).sum()),
                            "no_reliable_change": int((values.abs() <= critical).sum()),
                            "deteriorated": int((values > critical).sum()),
                        }
                        for name, count in counts.items():
                            rate, expected = cell["categories"][name], wilson(count, len(rows))
                            if rate["suppressed"]:
                                assert (rate["n"], rate["rate"], rate["low"], rate["high"]) == (None,) * 4
                                assert rate["reason"] == "disclosure-control"
                            else:
                                assert count == 0 or count >= 11
                                assert expected is not None
                                assert (rate["n"], rate["rate"]) == (count, expected.rate)
                                assert (rate["low"], rate["high"]) == (expected.low, expected.high)
                    else:
                        assert cell["categories"] is None
    assert shown > 60


@pytest.mark.parametrize(("number", "shown"), [(10, False), (11, True), (12, True)])
async def test_the_threshold(stored: Stores, ask: Asks, number: int, shown: bool) -> None:
    await stored(people(number, Person([(2025, 9.0)])))
    (cell,) = (await ask())["cells"]
    assert cell["suppressed"] == (not shown)
    assert cell["n_people"] == (number if shown else None)
    assert cell["mean"] == (9.0 if shown else None) or cell["rounded_to"] > 2


async def test_one_small_group_hides_a_second(stored: Stores, ask: Asks) -> None:
    small, middle, large = Person([(2025, 5.0)], "agender"), Person([(2025, 5.0)], "man"), Person([(2025, 5.0)])
    await stored([*people(4, small), *people(20, middle), *people(40, large)])
    answer = await ask("gender_group")
    shown = {cell["levels"]["gender_group"]: cell["n_people"] for cell in answer["cells"]}
    assert shown == {"gender-diverse": None, "men": None, "women": 40, "not-stated": 0}
    hidden = [cell for cell in answer["cells"] if cell["suppressed"]]
    assert len({json.dumps(cell | {"levels": {}}, sort_keys=True) for cell in hidden}) == 1, "nothing tells them apart"
    assert (await ask())["cells"][0]["n_people"] == 64


async def test_a_person_with_many_scores_counts_once_a_year(stored: Stores, ask: Asks) -> None:
    often = Person([(2025, float(value)) for value in (20, 22, 24, 26)])
    await stored([*people(11, Person([(2025, 4.0)])), *people(11, often)])
    (cell,) = (await ask())["cells"]
    assert (cell["n_people"], cell["n_scores"], cell["rounded_to"]) == (22, 22, 2.0)
    assert_rounded(cell["mean"], 15.0, 2.0)


async def test_years_share_people_and_add_up_in_scores(stored: Stores, ask: Asks) -> None:
    await stored(people(30, Person([(2024, 10.0), (2025, 4.0)])))
    (total,) = (await ask())["cells"]
    assert (total["n_people"], total["n_scores"]) == (30, 60)
    answer = await ask("calendar_year")
    assert [cell_of(answer, calendar_year=year)["n_people"] for year in ("2024", "2025")] == [30, 30]
    assert cell_of(answer, calendar_year="before-2020")["n_people"] == 0


async def test_everybody_before_the_earliest_year_is_one_group(stored: Stores, ask: Asks) -> None:
    await stored([*people(20, Person([(2015, 8.0), (2018, 6.0)])), *people(25, Person([(2019, 6.0)]))])
    answer = await ask("calendar_year")
    assert cell_of(answer, calendar_year="before-2020")["n_people"] == 45
    assert cell_of(answer, calendar_year="before-2020")["n_scores"] == 45


@pytest.mark.parametrize(
    ("born", "band"),
    [
        (2025, "under-30"),
        (1996, "under-30"),
        (1995, "30-39"),
        (1986, "30-39"),
        (1985, "40-49"),
        (1966, "50-59"),
        (1965, "60-and-over"),
        (1905, "60-and-over"),
        (1904, "not-stated"),
        (2026, "not-stated"),
        (None, "not-stated"),
    ],
)
async def test_age_is_the_year_of_the_answer_minus_that_of_birth(
    stored: Stores, ask: Asks, born: int | None, band: str
) -> None:
    await stored(people(11, Person([(2025, 8.0)], born=born)))
    answer = await ask("age_band")
    assert {cell["levels"]["age_band"]: cell["n_people"] for cell in answer["cells"] if cell["n_people"]} == {band: 11}


async def test_genders_are_shown_in_groups(stored: Stores, ask: Asks) -> None:
    genders = ["nonbinary"] * 6 + ["agender"] * 6 + [None] * 6 + ["undisclosed"] * 6
    await stored([Person([(2025, 8.0)], gender=gender) for gender in genders])
    answer = await ask("gender_group")
    assert {cell["levels"]["gender_group"]: cell["n_people"] for cell in answer["cells"]} == {
        "women": 0,
        "men": 0,
        "gender-diverse": 12,
        "not-stated": 12,
    }
    assert "nonbinary" not in json.dumps(answer)


@pytest.mark.parametrize(
    "change", [{"valid": False}, {"version": 2}, {"variant": "strict"}, {"instrument": "gad-7"}, {"scale": "other"}]
)
async def test_only_valid_scores_of_one_version_and_variant_count(
    stored: Stores, ask: Asks, change: dict[str, Any]
) -> None:
    good = Person([(2025, 8.0)])
    if change == {"scale": "other"}:
        await stored([*people(12, good), *people(20, Person([(2025, None)]))])
    else:
        await stored([*people(12, good), *people(20, replace(good, **change))])
    answer = await ask()
    assert answer["cells"][0]["n_people"] == 12
    assert (answer["version"], answer["variant"]) == (1, "prorated")


async def test_change_is_of_people_with_two_scores_or_more(stored: Stores, ask: Asks) -> None:
    twice = Person([(2024, 20.0), (2024, 25.0), (2025, 8.0)])
    await stored([*people(30, Person([(2025, 9.0)])), *people(40, twice)])
    (cell,) = (await ask(measure="change"))["cells"]
    assert (cell["n_people"], cell["n_scores"]) == (40, 40)
    assert_rounded(cell["mean"], -12.0, cell["rounded_to"])
    years = await ask("calendar_year", measure="change")
    assert cell_of(years, calendar_year="2024")["n_people"] == 0
    assert cell_of(years, calendar_year="2025")["n_people"] == 40


async def test_the_few_without_a_change_are_not_told_by_the_others(stored: Stores, ask: Asks) -> None:
    # 40 people, 38 of them with a change: level and change together would say that 2 have none.
    await stored([*people(2, Person([(2025, 9.0)])), *people(38, Person([(2025, 20.0), (2025, 8.0)]))])
    level, change = (await ask())["cells"][0], (await ask(measure="change"))["cells"][0]
    assert level["n_people"] == 40
    assert change["n_people"] is None


async def test_a_small_category_is_hidden_with_another(stored: Stores, ask: Asks) -> None:
    better, same, worse = ([(2025, 14.0), (2025, last)] for last in (2.0, 14.0, 26.0))
    groups = ((25, better), (30, same), (3, worse))
    await stored([one for number, scores in groups for one in people(number, Person(scores))])
    (cell,) = (await ask(measure="reliable_change"))["cells"]
    assert cell["n_people"] == 58
    shown = {name: rate["n"] for name, rate in cell["categories"].items()}
    assert shown["deteriorated"] is None
    assert sum(count is None for count in shown.values()) == 2


async def test_that_all_are_of_one_category_is_not_told(stored: Stores, ask: Asks) -> None:
    await stored(people(40, Person([(2025, 26.0), (2025, 2.0)])))
    (cell,) = (await ask(measure="reliable_change"))["cells"]
    assert cell["n_people"] == 40
    assert all(rate["suppressed"] for rate in cell["categories"].values())


async def test_nothing_recorded(ask: Asks) -> None:
    for measure in ("level", "change", "reliable_change"):
        (cell,) = (await ask(measure=measure))["cells"]
        assert {name: cell[name] for name in NULLS} == EMPTY_CELL
        assert (cell["suppressed"], cell["categories"]) == (False, None)
        everything = await ask(*NAMES, measure=measure)
        assert all(cell["n_people"] == 0 for cell in everything["cells"])


async def test_what_a_scale_has_no_parameters_for(stored: Stores, ask: Asks) -> None:
    await stored(
        people(20, Person([(2025, 30.0), (2025, 40.0)], instrument="fsds-r", variant=load("fsds-r").variant_ids[0]))
    )
    query = {"instrument": "fsds-r"}
    answer = await ask(measure="reliable_change", **query)
    assert (answer["available"], answer["cells"]) == (False, [])
    assert answer["unavailable"]["code"] == "no-parameters"
    assert answer["provenance"]["reliable_change"] is None
    change = await ask(measure="change", **query)
    assert (change["available"], change["unavailable"], change["cells"][0]["n_people"]) == (True, None, 20)


async def test_provenance(stored: Stores, ask: Asks) -> None:
    answer = await ask("age_band", measure="reliable_change")
    assert answer["disclosure"]["threshold"] == 11
    assert answer["provenance"]["definition"] == load("phq-9").checksum
    parameters = answer["provenance"]["reliable_change"]
    assert parameters["source"]
    assert parameters["evidence"] in ("read", "memory", "derived")
    assert parameters["threshold"] == pytest.approx(threshold_of_change())
    assert answer["provenance"]["confidence"] == 0.95
    assert answer["group_by"][0]["levels"][-1] == "not-stated"
    assert (await ask())["provenance"]["reliable_change"] is None


async def test_nothing_of_a_person_is_in_an_answer(stored: Stores, ask: Asks) -> None:
    ids = await stored(people(12, Person([(2025, 9.0), (2025, 3.0)])))
    for measure in ("level", "change", "reliable_change"):
        text = json.dumps(await ask(*NAMES, measure=measure))
        assert not any(str(one) in text for one in ids)
        assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)
        assert not re.search(r"\d{4}-\d{2}-\d{2}", text)


async def test_what_was_amended_counts_as_it_is_and_what_is_void_not_at_all(
    ask: Asks, stored: Stores, owner: asyncpg.Connection, tenant: Tenant
) -> None:
    """A second row of each of some people stands for the amendment of their first; others are void."""
    await stored(people(30, Person([(2024, 4.0), (2024, 10.0)])))
    await stored(people(12, Person([(2024, 7.0)])))
    async with owner.transaction():
        await owner.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
        await owner.execute(
            "insert into superseded select organisation_id, id, id, null, 'another', null, now(), 'x' from response r"
            " where not exists"
            " (select from response o where o.client_id = r.client_id and o.answered_at < r.answered_at)"
        )
    (overall,) = (await ask())["cells"]
    assert (overall["n_people"], overall["n_scores"]) == (30, 30)
    assert_rounded(overall["mean"], 10.0, overall["rounded_to"])
