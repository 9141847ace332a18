"""Trend, non-overlap and milestones of a client over HTTP; what they are is tested in tests/scoring/series."""

from __future__ import annotations

from typing import Any

import pytest

from api.progress.trend_schemas import MilestonesRead, NonOverlapRead, SeriesUnavailable, TrendRead
from tests.api.people import Person
from tests.api.test_episodes import MATCH, begun
from tests.api.test_progress import answered, path
from tests.api.test_sessions import held, sessions


async def total(person: Person, client_id: str, **query: Any) -> dict[str, Any]:
    answer = await person.http.get(path(client_id, instrument="phq-9", scale="total", **query))
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["series"]
    made: dict[str, Any] = found
    return made


def sum_of(points: int) -> dict[str, int]:
    """Answers to the PHQ-9 with a total."""
    return {str(item): min(3, max(0, points - 3 * (item - 1))) for item in range(1, 10)}


async def weekly(person: Person, client_id: str, *values: int, **members: Any) -> None:
    """A PHQ-9 a week, from 5 January 2026 on."""
    forms = [(7 * week, sum_of(value)) for week, value in enumerate(values)]
    await answered(person, client_id, *forms, instrument="phq-9", **members)


class TestSeries:
    async def test_before_and_after_the_first_session_that_took_place(self, ehr: Person) -> None:
        client = await ehr.client()
        await weekly(ehr, client, 20, 21, 19, 20, 12, 9, 6, 4)
        assert (await total(ehr, client))["non_overlap"]["code"] == "no-start-of-care"
        episode = await begun(ehr, client, started_on="2026-01-14")
        by_day = (await total(ehr, client))["non_overlap"]
        # the day of the episode's start still is before; the second form is of 12 January, the third of 19 January
        assert (by_day["start"], by_day["before"]) == ({"at": "2026-01-15T00:00:00Z", "by": "episode"}, 2)
        missed = await held(ehr, episode, "2026-01-16T10:00:00Z", attendance="missed")
        await held(ehr, episode, "2026-01-29T10:00:00Z", attendance="attended")
        found = (await total(ehr, client))["non_overlap"]
        NonOverlapRead.model_validate(found)
        assert (found["start"], found["before"]) == ({"at": "2026-01-29T10:00:00Z", "by": "session"}, 4)
        assert (found["after"], found["nap"]["value"], found["tau"]["value"]) == (4, 1, 1)
        assert {one["variant"] for one in found["tau_u"]} >= {"parker-minus-trend-a", "tau-b-minus-trend-a"}
        assert found["baseline_corrected"]["code"] == "short-baseline"
        answer = await ehr.http.patch(sessions(episode, missed["id"]), json={"attendance": "attended"}, headers=MATCH)
        assert answer.status_code == 200
        assert (await total(ehr, client))["non_overlap"]["before"] == 2

    async def test_of_an_episode_that_is_asked_for(self, ehr: Person) -> None:
        client = await ehr.client()
        earlier = await begun(ehr, client, started_on="2025-09-10", ended_on="2025-11-20", end_reason="completed")
        second = await begun(ehr, client, started_on="2026-01-14")
        await weekly(ehr, client, 20, 21, 12, 9, episode_id=second["id"])
        assert (await total(ehr, client))["non_overlap"]["code"] == "none-before"
        assert (await total(ehr, client, episode=second["id"]))["non_overlap"]["before"] == 2
        assert (await total(ehr, client, episode=earlier["id"]))["non_overlap"]["code"] == "no-measurement"

    async def test_trend_and_milestones(self, ehr: Person) -> None:
        client = await ehr.client()
        await weekly(ehr, client, 20, 18, 16, 14, 12, 10, 8, 15)
        found = await total(ehr, client)
        MilestonesRead.model_validate(found["milestones"])
        TrendRead.model_validate(found["trend"])
        assert found["trend"]["theil_sen"]["slope"] == pytest.approx(-2)
        assert found["trend"]["direction"] == "better"
        reached = found["milestones"]["reliable_improvement"]
        # beyond 6.43 points: 20 - 12 on the fourth form after the first; 15 is within again
        assert (reached["days"], reached["measurements"], reached["stability"]) == (28, 4, "lost")
        assert reached["lost"]["days"] == 49

    async def test_nothing_answered(self, ehr: Person) -> None:
        found = await total(ehr, await ehr.client())
        for part in (found["trend"], found["non_overlap"], *found["milestones"].values()):
            SeriesUnavailable.model_validate(part)
        assert found["trend"]["code"] == "no-measurement"
