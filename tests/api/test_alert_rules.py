"""An organisation's own thresholds and guidance over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from api.alerts.rules import MOST_IN_USE
from api.alerts.settings import FRESH
from tests.api.people import People, Person, faults, problem
from tests.conftest import Tenant

RULES = "/v1/alert-rules"
GUIDANCE = "/v1/alert-guidance"
LOW_DESIRE = {"scale": "desire", "at_most": 2.4}
RULE: dict[str, Any] = {"instrument": "fsfi", "name": "Desire is low", "severity": "notice", "when": LOW_DESIRE}
ONES = {str(item): 1 for item in range(1, 20)}


async def made(person: Person, **members: Any) -> dict[str, Any]:
    answer = await person.http.post(RULES, json=RULE | members)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def thresholds(person: Person, client_id: str | None = None, **members: Any) -> list[dict[str, Any]]:
    """The alerts by own thresholds that a form raises: all ones of the FSFI unless told otherwise."""
    answer = await person.respond(client_id or await person.client(), **({"answers": ONES} | members))
    assert answer.status_code == 201, answer.text
    return [alert for alert in answer.json()["alerts"] if alert["kind"] == "threshold"]


class TestRules:
    async def test_it_raises_alerts_under_its_id_at_once(
        self, people: People, tenant: Tenant, superuser: asyncpg.Connection
    ) -> None:
        assert await thresholds(people.ehr) == [], "remembered from here on, until something is changed"
        rule = await made(people.admin)
        assert rule == RULE | {
            "id": rule["id"],
            "created_at": rule["created_at"],
            "created_by": "admin-1",
            "retired_at": None,
            "retired_by": None,
        }
        (alert,) = await thresholds(people.ehr)
        assert (alert["rule"], alert["meaning"], alert["severity"]) == (rule["id"], "Desire is low", "notice")
        assert (alert["scale"], alert["items"]) == ("desire", ["1", "2"])
        row = await superuser.fetchrow("select * from alert where id::text = $1", alert["id"])
        assert (row["kind"], row["rule"], row["scale"], row["item"]) == ("threshold", rule["id"], "desire", "1,2")
        read = (await people.clinician.http.get(f"/v1/alerts/{alert['id']}")).json()
        assert read["meaning"] == "Desire is low"
        assert await thresholds(people.ehr, answers=ONES | {"1": 5, "2": 5}) == []

    async def test_each_sort_of_condition(self, people: People) -> None:
        when = {
            "all": [
                {"any": [{"item": "1", "one_of": [1, 2]}, {"scale": "total", "below": 3}]},
                {"not": {"item": "3", "above": 3}},
                {"count": ["4", "5", "6"], "at_most": 1, "needed": 2},
            ]
        }
        rule = await made(people.admin, when=when)
        assert rule["when"] == when
        assert (await people.admin.http.get(f"{RULES}/{rule['id']}")).json() == rule
        (alert,) = await thresholds(people.ehr)
        assert alert["scale"] is None
        assert await thresholds(people.ehr, answers=ONES | {"3": 4}) == []
        assert await thresholds(people.ehr, answers=ONES | {"4": 2, "5": 2}) == []

    async def test_an_incomplete_form_raises_what_it_decides_and_tells_what_is_open(self, people: People) -> None:
        by_item = await made(people.admin, when={"item": "1", "at_most": 1})
        by_scale = await made(people.admin)
        answer = (await people.ehr.respond(await people.ehr.client(), answers={"1": 1})).json()
        assert [alert["rule"] for alert in answer["alerts"]] == [by_item["id"]]
        assert [alert["id"] for alert in answer["alerts_undecided"]] == [by_scale["id"]]

    async def test_retired_it_raises_nothing_and_what_it_raised_stays(self, people: People) -> None:
        rule = await made(people.admin)
        (alert,) = await thresholds(people.ehr)
        path = f"{RULES}/{rule['id']}"
        first, again = [(await people.admin.http.post(f"{path}/retire")).json() for _ in range(2)]
        assert first == again
        assert (first["retired_by"], first["retired_at"] >= rule["created_at"]) == ("admin-1", True)
        assert await thresholds(people.ehr) == []
        assert (await people.ehr.http.get(f"/v1/alerts/{alert['id']}")).json()["meaning"] == "Desire is low"
        assert [one["id"] for one in (await people.ehr.http.get(RULES)).json()["items"]] == [rule["id"]]

    async def test_lists_are_paged_and_narrowed(self, people: People) -> None:
        ids = [(await made(people.admin))["id"] for _ in range(3)]
        other = await made(people.admin, instrument="gad-7", when={"scale": "total", "at_least": 15})
        found, path = [], f"{RULES}?limit=2"
        while path:
            answer = await people.ehr.http.get(path)
            found += [one["id"] for one in answer.json()["items"]]
            path = answer.links.get("next", {}).get("url", "")
        assert found == [*ids, other["id"]]
        narrowed = (await people.ehr.http.get(RULES, params={"instrument": "gad-7"})).json()["items"]
        assert [one["id"] for one in narrowed] == [other["id"]]

    @pytest.mark.parametrize(
        ("changes", "found"),
        [
            ({"instrument": "nothing"}, [("/instrument", "unknown-instrument")]),
            ({"instrument": "own-nothing"}, [("/instrument", "unknown-instrument")]),
            ({"severity": "high"}, [("/severity", "literal-error")]),
            ({"name": ""}, [("/name", "length")]),
            ({"name": "a\nb"}, [("/name", "control-character")]),
            ({"name": "x" * 161}, [("/name", "length")]),
            ({"when": {"item": "20", "at_least": 1}}, [("/when/item", "unknown-item")]),
            ({"when": {"scale": "drive", "at_least": 1}}, [("/when/scale", "unknown-scale")]),
            ({"when": {"item": "1", "at_least": 6}}, [("/when/at_least", "impossible-value")]),
            ({"when": {"item": "1", "one_of": [5, 9]}}, [("/when/one_of/1", "impossible-value")]),
            ({"when": {"scale": "total", "above": 36}}, [("/when/above", "impossible-value")]),
            ({"when": {"scale": "total", "at_most": 1.9}}, [("/when/at_most", "impossible-value")]),
            ({"when": {"item": "1", "at_least": "1e99"}}, [("/when/at_least", "impossible-value")]),
            (
                {
                    "when": {
                        "all": [{"item": "1", "at_least": 1}, {"not": {"count": ["2", "x"], "below": 2, "needed": 1}}]
                    }
                },
                [("/when/all/1/not/count/1", "unknown-item")],
            ),
            ({"when": {"count": ["2", "2"], "below": 2, "needed": 2}}, [("/when/count/1", "listed-twice")]),
            ({"when": {"any": [{"item": "1", "at_least": 1}] * 51}}, [("/when", "too-long")]),
            ({"when": {"count": ["1"] * 501, "below": 2, "needed": 2}}, [("/when", "too-long")]),
        ],
    )
    async def test_what_does_not_fit_the_definition_is_named(
        self, people: People, changes: dict[str, Any], found: list[tuple[str, str]]
    ) -> None:
        assert faults(await people.admin.http.post(RULES, json=RULE | changes)) == found
        assert (await people.admin.http.get(RULES)).json()["items"] == []

    async def test_every_fault_is_named_with_what_would_be_right(self, people: People) -> None:
        when = {"any": [{"item": "x", "at_least": 1}, {"item": "1", "above": 5}]}
        answer = await people.admin.http.post(RULES, json=RULE | {"when": when})
        first, second = problem(answer, 422, "request-invalid")["errors"]
        assert (first["pointer"], second["pointer"]) == ("/when/any/0/item", "/when/any/1/above")
        assert "1, 2, 3" in first["detail"]
        assert "takes" in second["detail"]

    async def test_there_is_room_for_so_many(self, people: People) -> None:
        for _ in range(MOST_IN_USE - 1):
            await made(people.admin)
        answers = await asyncio.gather(*(people.admin.http.post(RULES, json=RULE) for _ in range(2)))
        (refused,) = [answer for answer in answers if answer.status_code != 201]
        assert faults(refused) == [("/instrument", "too-many-rules")]
        rule_id = (await people.admin.http.get(RULES)).json()["items"][0]["id"]
        await people.admin.http.post(f"{RULES}/{rule_id}/retire")
        await made(people.admin)

    async def test_who_may_and_whose_they_are(self, people: People, elsewhere: Person) -> None:
        rule = await made(people.admin)
        for person in (people.ehr, people.clinician, people.researcher):
            problem(await person.http.post(RULES, json=RULE), 403, "forbidden")
            problem(await person.http.post(f"{RULES}/{rule['id']}/retire"), 403, "forbidden")
        problem(await people.researcher.http.get(RULES), 403, "forbidden")
        assert (await elsewhere.http.get(RULES)).json()["items"] == []
        problem(await elsewhere.http.get(f"{RULES}/{rule['id']}"), 404, "not-found")
        problem(await elsewhere.http.post(f"{RULES}/{rule['id']}/retire"), 404, "not-found")
        assert await thresholds(people.elsewhere) == []
        assert len(await thresholds(people.ehr)) == 1

    async def test_another_process_sees_it_within_seconds(
        self, people: People, app: FastAPI, tenant: Tenant, service: asyncpg.Connection
    ) -> None:
        assert await thresholds(people.ehr) == []
        async with service.transaction():
            await service.execute("select set_config('fathomline.organisation_id', $1, true)", str(tenant.id))
            await service.execute(
                "insert into alert_rule values"
                " ($1, $1, 'fsfi', 'n', 'urgent', '{\"item\": \"1\", \"at_most\": 1}', now(), 's')",
                tenant.id,
            )
        kept = app.state.alerts._kept
        asked_at, *rest = kept[tenant.id]
        kept[tenant.id] = (asked_at - FRESH, *rest)
        assert [alert["severity"] for alert in await thresholds(people.ehr)] == ["urgent"]


class TestGuidance:
    async def put(self, person: Person, *entries: dict[str, Any], match: str | None = '"0"') -> Any:
        headers = {} if match is None else {"If-Match": match}
        return await person.http.put(GUIDANCE, json={"entries": [*entries]}, headers=headers)

    async def test_none_comes_with_the_service(self, people: People) -> None:
        answer = await people.ehr.http.get(GUIDANCE)
        assert answer.json() == {"entries": [], "updated_at": None, "updated_by": None, "version": 0}
        assert answer.headers["ETag"] == '"0"'

    async def test_the_most_particular_text_is_shown_with_each_alert(self, people: People) -> None:
        rule = await made(people.admin)
        texts = [
            {"text": "any"},
            {"severity": "urgent", "text": "urgent"},
            {"kind": "worsening", "text": "worse"},
            {"instrument": "fsfi", "text": "fsfi"},
            {"instrument": "fsfi", "rule": rule["id"], "text": "Ask about it.\nThen call."},
            {"instrument": "fsfi", "rule": "reliable-change", "severity": "urgent", "text": "never"},
        ]
        answer = await self.put(people.admin, *texts)
        assert answer.status_code == 200, answer.text
        assert answer.headers["ETag"] == '"1"'
        client_id = await people.ehr.client()
        (urgent,) = (await people.ehr.respond(client_id, instrument="phq-9", answers={"9": 1})).json()["alerts"]
        assert urgent["guidance"] == "urgent"
        early = {"answered_at": "2026-01-01T10:00:00Z"}
        await people.ehr.respond(client_id, **early)
        found = (await people.ehr.respond(client_id, answers=ONES)).json()["alerts"]
        shown = {alert["kind"]: alert["guidance"] for alert in found}
        assert shown == {"threshold": "Ask about it.\nThen call.", "worsening": "fsfi"}
        items = (await people.ehr.http.get("/v1/alerts")).json()["items"]
        assert {alert["kind"]: alert["guidance"] for alert in items} == shown | {"answers": "urgent"}

    async def test_what_is_written_anew_holds_at_once(self, people: People) -> None:
        await self.put(people.admin, {"text": "first"})
        alert = (await people.ehr.respond(await people.ehr.client(), instrument="phq-9", answers={"9": 1})).json()
        problem(await self.put(people.admin, {"text": "b"}, match='"0"'), 412, "precondition-failed")
        problem(await self.put(people.admin, {"text": "b"}, match=None), 428, "precondition-required")
        assert (await self.put(people.admin, match='"1"')).json()["version"] == 2
        read = (await people.ehr.http.get(f"/v1/alerts/{alert['alerts'][0]['id']}")).json()
        assert (alert["alerts"][0]["guidance"], read["guidance"]) == ("first", None)

    @pytest.mark.parametrize(
        ("entries", "found"),
        [
            ([{"text": "x" * 2001}], [("/entries/0/text", "length")]),
            ([{"text": " "}], [("/entries/0/text", "length")]),
            ([{"text": "a\x07"}], [("/entries/0/text", "control-character")]),
            ([{"text": "a", "kind": "b"}], [("/entries/0/kind", "literal-error")]),
            ([{"text": "a", "rule": "self-harm"}], [("/entries/0", "missing-instrument")]),
            ([{"text": "a", "instrument": "nothing"}], [("/entries/0/instrument", "unknown-instrument")]),
            ([{"text": "a", "instrument": "phq-9", "rule": "b"}], [("/entries/0/rule", "unknown-rule")]),
            ([{"text": "a"}, {"text": "b"}], [("/entries/1", "duplicate")]),
            ([{"text": "a", "kind": "answers"}] * 201, [("/entries", "too-long")]),
        ],
    )
    async def test_what_is_wrong_is_named(
        self, people: People, entries: list[dict[str, Any]], found: list[tuple[str, str]]
    ) -> None:
        assert faults(await self.put(people.admin, *entries)) == found
        assert (await people.admin.http.get(GUIDANCE)).json()["version"] == 0

    async def test_who_may_and_whose_it_is(self, people: People, elsewhere: Person) -> None:
        await self.put(people.admin, {"text": "ours"})
        for person in (people.ehr, people.clinician, people.researcher):
            problem(await self.put(person, {"text": "b"}, match="*"), 403, "forbidden")
        assert (await elsewhere.http.get(GUIDANCE)).json()["entries"] == []

    async def test_of_two_first_texts_one_is_written(self, people: People) -> None:
        answers = await asyncio.gather(*(self.put(people.admin, {"text": text}) for text in "ab"))
        assert sorted(answer.status_code for answer in answers) == [200, 412]
