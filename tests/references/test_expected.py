"""What was to be expected of a client, in the progress that is read: which reference, and which signal."""

from __future__ import annotations

import time
from typing import Any

import pytest

from api.references import active
from api.references.active import NONE, References, references_of
from tests.references.practice import TAKEN_IN, Practice

ANSWERS = {str(number): 1 for number in range(1, 10)}
AT = ("2026-03-02T10:00:00Z", "2026-03-16T10:00:00Z")


async def client_of(practice: Practice, *totals: int, **episode: Any) -> str:
    """A client in an episode whose PHQ-9 was so, two weeks apart."""
    ehr = practice.people.ehr
    client_id = await ehr.client()
    made = await ehr.http.post(
        f"/v1/clients/{client_id}/episodes", json={"started_on": "2026-03-01", "format": "individual"} | episode
    )
    assert made.status_code == 201, made.text
    for at, total in zip(AT, totals, strict=False):
        answers = {str(n): min(3, max(0, total - 3 * (n - 1))) for n in range(1, 10)}
        answer = await ehr.respond(client_id, instrument="phq-9", answers=answers, answered_at=at)
        assert answer.json()["scores"]["total"]["value"] == total
    return client_id


async def expected(practice: Practice, client_id: str, **query: Any) -> Any:
    given = {"instrument": "phq-9", "scale": "total"} | query
    answer = await practice.people.clinician.http.get(f"/v1/clients/{client_id}/progress", params=given)
    assert answer.status_code == 200, answer.text
    (series,) = answer.json()["series"]
    return series["expected"]


async def test_without_a_reference_it_is_said_that_there_is_none(practice: Practice) -> None:
    client_id = await client_of(practice, 12, 20)
    await practice.taken_in()  # not in use
    found = await expected(practice, client_id)
    assert (found["available"], found["code"]) == (False, "no-reference")
    assert await expected(practice, client_id, include="points") is None


async def test_a_client_is_held_against_the_reference_in_use_at_once(practice: Practice) -> None:
    """By hand: of a first score of 12, 16/(16 + 6) of what it is off counts: 15 - 3 x 0.7273 - 0.5 x 2 = 11.818."""
    client_id = await client_of(practice, 12, 20)
    await expected(practice, client_id)
    made = await practice.taken_in()
    await practice.act(made["id"], "activate")
    found = await expected(practice, client_id)
    assert found["available"], found
    assert (found["status"], found["since"]) == ("not-on-track", AT[1])
    assert (found["reference"]["id"], found["reference"]["version"], found["reference"]["n"]) == (made["id"], 1, 300)
    (point,) = found["points"]
    assert point["predicted"] == pytest.approx(11.818, abs=5e-4)
    assert point["z"] < -1.28
    assert (await expected(practice, await client_of(practice, 12, 11)))["status"] == "on-track"
    assert (await expected(practice, await client_of(practice, 12)))["code"] == "one-measurement"
    await practice.act(made["id"], "withdraw")
    assert (await expected(practice, client_id))["code"] == "no-reference"


async def test_the_narrowest_that_holds_for_the_client_is_taken(practice: Practice) -> None:
    strata: list[dict[str, Any]] = [
        {}, {"severity": "moderate"}, {"modality": "telehealth"}, {"format": "couple"},
        {"format": "couple", "severity": "moderate"},
    ]  # fmt: skip
    ids = []
    for stratum in strata:
        made = await practice.taken_in(stratum=stratum)
        await practice.act(made["id"], "activate")
        ids.append(made["id"])

    async def taken(first: int, **episode: Any) -> int:
        found = await expected(practice, await client_of(practice, first, first, **episode))
        return ids.index(found["reference"]["id"])

    assert await taken(20) == 0
    assert await taken(12) == 1
    assert await taken(12, modality="telehealth") == 2, "of equals modality before severity"
    assert await taken(20, format="couple", modality="telehealth") == 3, "and format before modality"
    assert await taken(12, format="couple") == 4


async def test_another_organisation_is_not_held_against_it(practice: Practice) -> None:
    made = await practice.taken_in()
    await practice.act(made["id"], "activate")
    elsewhere = practice.people.elsewhere
    client_id = await elsewhere.client()
    await elsewhere.respond(client_id, instrument="phq-9", answers=ANSWERS, answered_at=AT[0])
    await elsewhere.respond(client_id, instrument="phq-9", answers=ANSWERS, answered_at=AT[1])
    answer = await elsewhere.http.get(f"/v1/clients/{client_id}/progress", params={"instrument": "phq-9"})
    assert answer.json()["series"][0]["expected"]["code"] == "no-reference"


async def test_what_another_process_changes_is_seen_within_seconds(
    practice: Practice, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = app.state.references
    assert await known.of(practice.tenant.id) is NONE
    made = await practice.taken_in()
    await practice.superuser.execute("update reference_set set active = true where id = $1", made["id"])
    assert await known.of(practice.tenant.id) is NONE, "remembered"
    later = time.monotonic() + active.FRESH + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    found = await known.of(practice.tenant.id)
    assert found.find("phq-9", 1, made["variant"], "total").id == made["id"]
    known._kept[practice.tenant.id] = (0.0, *known._kept[practice.tenant.id][1:])
    assert await known.of(practice.tenant.id) is found, "what has not changed is not made anew"
    kept = len(known._kept)
    monkeypatch.setattr(active, "MOST_KEPT", kept - 1)
    known.changed(practice.tenant.id)
    assert isinstance(await known.of(practice.tenant.id), References)
    assert len(known._kept) == kept - 1


def test_nothing_in_use_needs_nothing_of_the_care() -> None:
    assert not references_of([]).by_care
    assert TAKEN_IN["origin"] == "parameters"
