"""What tests of caseloads usually do, and what each row has to be by what other operations tell."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.api.people import Person

PATH: Final = "/v1/caseload"
ME: Final = "clinician-1"
"""The subject of the clinician's token, and the id of the clinician in episodes."""
NOW: Final = datetime.now(UTC)
WORST_FIRST: Final = ("harmed", "deteriorated", "unchanged", "improved", "recovered", None)
ITEMS: Final = {"fsfi": 19, "phq-9": 9, "gad-7": 7}


async def begun(person: Person, client_id: str | None = None, **members: Any) -> str:
    """A client with an open episode of the clinician."""
    client_id = client_id or await person.client()
    given = {"started_on": "2026-01-12", "format": "individual", "clinician": ME, "concerns": ["desire"]} | members
    answer = await person.http.post(f"/v1/clients/{client_id}/episodes", json=given)
    assert answer.status_code == 201, answer.text
    return client_id


async def answered(person: Person, client_id: str, instrument: str, *values: int, **members: Any) -> list[str]:
    """Forms with the same answer to each item, one a week, the last of them yesterday; their ids."""
    ids = []
    for weeks, value in zip(range(len(values) - 1, -1, -1), values, strict=True):
        at = NOW - timedelta(days=1 + 7 * weeks)
        form = {
            "instrument": instrument,
            "answered_at": at.isoformat(),
            "answers": {str(item): value for item in range(1, ITEMS[instrument] + 1)},
        }
        answer = await person.respond(client_id, **form | members)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
    return ids


async def page(person: Person, **query: Any) -> dict[str, Any]:
    answer = await person.http.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def rows(person: Person, **query: Any) -> dict[str, dict[str, Any]]:
    """All rows of all pages by client, in order."""
    answer = await person.http.get(PATH, params=query)
    found: list[dict[str, Any]] = []
    while True:
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next"] is None:
            assert "Link" not in answer.headers
            break
        answer = await person.http.get(answer.headers["Link"].split(">")[0][1:])
    by_client = {row["client_id"]: row for row in found}
    assert len(by_client) == len(found), "nobody is there twice"
    return by_client


def attention_of(row: dict[str, Any]) -> list[str]:
    """Why a row needs attention, by its own members."""
    tracks = [one["on_track"].get("status") for one in row["measures"]]
    holds = {
        "urgent-alert": row["alerts"]["severity"] == "urgent",
        "alert": row["alerts"]["open"] > 0,
        "harmed": row["category"] == "harmed",
        "deteriorated": row["category"] == "deteriorated",
        "not-on-track": "not-on-track" in tracks,
        "overdue": row["overdue"] > 0,
    }
    return [reason for reason, so in holds.items() if so]


ORDER: Final = ("urgent-alert", "alert", "harmed", "deteriorated", "not-on-track", "overdue")


def in_order(found: list[dict[str, Any]]) -> list[str]:
    """The clients in the order that is documented."""
    return [
        row["client_id"]
        for row in sorted(
            found, key=lambda row: ([reason not in row["attention"] for reason in ORDER], row["client_id"])
        )
    ]


async def check_against_others(person: Person, by_client: dict[str, dict[str, Any]]) -> None:
    """Each row says what progress, alerts and due say of the same client."""
    for client_id, row in by_client.items():
        changes = []
        for one in row["measures"]:
            query = {"instrument": one["instrument"], "scale": one["scale"]}
            answer = await person.http.get(f"/v1/clients/{client_id}/progress", params=query)
            (series,) = answer.json()["series"]
            for name in ("version", "variant", "baseline", "last", "needs_review", "higher_is", "scale_name"):
                assert one[name] == series[name], (client_id, name)
            told = series["change"]["from_baseline"]
            assert one["change"] == {name: told[name] for name in one["change"]}
            if "expected" in series:
                told = series["expected"]
                assert one["on_track"]["available"] == told["available"]
                assert one["on_track"].get("status") == told.get("status")
            changes.append(series["change"]["from_baseline"].get("category"))
        assert row["category"] == next((category for category in WORST_FIRST if category in changes), None)
        alerts = (await person.http.get(f"/v1/clients/{client_id}/alerts", params={"status": "open"})).json()["items"]
        severities = {alert["severity"] for alert in alerts}
        severity = "urgent" if "urgent" in severities else "notice" if severities else None
        assert row["alerts"] == {"open": len(alerts), "severity": severity}
        due = (await person.http.get("/v1/due", params={"client_id": client_id, "limit": 200})).json()["items"]
        counted = Counter(slot["status"] for slot in due)
        assert (row["due"], row["overdue"]) == (counted["due"], counted["overdue"])
        assert row["attention"] == attention_of(row)
    assert list(by_client) == in_order([*by_client.values()])


def totals_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What the totals have to be by all rows."""
    counted = Counter(row["category"] for row in found)
    return {
        "clients": len(found),
        "by_category": {name: counted[name] for name in reversed(WORST_FIRST) if name}
        | {"not_available": counted[None]},
        "with_alerts": sum(row["alerts"]["open"] > 0 for row in found),
        "overdue": sum(row["overdue"] > 0 for row in found),
        "not_on_track": sum("not-on-track" in row["attention"] for row in found),
    }
