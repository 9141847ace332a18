"""From a draft to a published version, to responses, and to retirement."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import yaml

from instruments.loader import definition_from, read_definition
from tests.api.people import People, Person, form, problem
from tests.authoring.definitions import GOLDEN, lamp, submission
from tests.conftest import Tenant

PATH = "/v1/instruments"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "own-home-practice.yaml"


def draft_of(code: str = "own-lamp", version: int = 1) -> str:
    return f"{PATH}/{code}/versions/{version}/draft"


async def drafted(person: Person, **changes: Any) -> httpx.Response:
    answer = await person.http.post(PATH, json=submission(**changes))
    assert answer.status_code == 201, answer.text
    return answer


async def publish(person: Person, draft: httpx.Response) -> httpx.Response:
    path = draft.headers["location"].removesuffix("draft") + "publish"
    return await person.http.post(path, headers={"If-Match": draft.headers["etag"]})


async def published(person: Person, **changes: Any) -> dict[str, Any]:
    answer = await publish(person, await drafted(person, **changes))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


class TestDraft:
    async def test_a_good_one(self, people: People) -> None:
        answer = await drafted(people.admin)
        found = answer.json()
        assert (found["code"], found["version"], found["status"]) == ("own-lamp", 1, "draft")
        assert (found["publishable"], found["faults"], found["golden_failures"], found["notes"]) == (True, [], [], [])
        assert (found["definition"], found["golden"]) == (lamp(), GOLDEN)
        assert found["checksum"] == definition_from(lamp()).checksum
        assert answer.headers["location"] == draft_of()
        again = await people.admin.http.get(draft_of())
        assert (again.json(), again.headers["etag"]) == (found, answer.headers["etag"])

    async def test_one_with_faults_is_kept_and_says_all_of_them(self, people: People) -> None:
        broken = lamp(licence=None, concerns=["nonsense"])
        broken["items"][1]["options"] = [0, 0]
        answer = await people.admin.http.post(PATH, json={"definition": broken, "golden": [{"name": "x"}]})
        assert answer.status_code == 201
        found = answer.json()
        assert (found["publishable"], found["checksum"]) == (False, None)
        assert {(fault["pointer"], fault["code"]) for fault in found["faults"]} == {
            ("/definition/licence", "definition"),
            ("/definition/concerns/0", "unknown-concern"),
            ("/definition/items/1", "definition"),
            ("/golden/0/answers", "golden-case"),
            ("/golden/0/scores", "golden-case"),
        }
        assert {fault["line"] for fault in found["faults"]} == {None}
        refused = problem(await publish(people.admin, answer), 422, "definition-invalid")
        assert [fault["pointer"] for fault in refused["errors"]] == [fault["pointer"] for fault in found["faults"]]

    async def test_yaml_has_lines(self, people: People) -> None:
        text = EXAMPLE.read_text(encoding="utf-8").replace("concerns: [functioning]", "concerns: [nonsense]")
        text = text.replace("      max: 20", "      max: 21", 1)
        answer = await people.admin.http.post(
            f"{PATH}/validate", content=text, headers={"Content-Type": "application/yaml"}
        )
        assert answer.status_code == 200, answer.text
        lines = text.splitlines()
        found = {fault["pointer"]: lines[fault["line"] - 1].strip() for fault in answer.json()["faults"]}
        assert found == {"/definition/concerns/0": "concerns: [nonsense]", "/definition/scales/0": "- id: total"}

    async def test_json_of_any_name_is_not_read_again_as_yaml(self, people: People) -> None:
        text = b'{"definition": {"name": "\\ud83d\\udd6f"}}'  # two halves of one character are no YAML
        answer = await people.admin.http.post(
            f"{PATH}/validate", content=text, headers={"Content-Type": "application/x.yaml+json"}
        )
        assert answer.status_code == 200, answer.text
        assert {fault["line"] for fault in answer.json()["faults"]} == {None}

    async def test_the_example_of_the_docs(self, people: People) -> None:
        text = EXAMPLE.read_text(encoding="utf-8")
        made = await people.admin.http.post(PATH, content=text, headers={"Content-Type": "application/yaml"})
        assert (made.status_code, made.json()["publishable"]) == (201, True), made.text
        assert (await publish(people.admin, made)).status_code == 201

    @pytest.mark.parametrize(
        ("body", "faults"),
        [
            ({}, [("", "missing")]),
            ([], [("", "model-type")]),
            (
                {"definition": [], "questionnaire": {"resourceType": "Questionnaire"}},
                [("/questionnaire/item", "questionnaire")],
            ),
            ({"questionnaire": []}, [("/questionnaire", "model-type")]),
            ({"definition": {}, "more": 1}, [("/more", "extra-forbidden")]),
        ],
    )
    async def test_what_is_no_submission(self, people: People, body: Any, faults: list[tuple[str, str]]) -> None:
        for path in (PATH, f"{PATH}/validate"):
            found = problem(await people.admin.http.post(path, json=body), 422, "request-invalid")
            assert [(fault["pointer"], fault["code"]) for fault in found["errors"]] == faults

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"code": "lamp"}, "/definition/code"),
            ({"code": "fsfi"}, "/definition/code"),
            ({"code": "own-"}, "/definition/code"),
            ({"code": "own-" + "a" * 37}, "/definition/code"),
            ({"code": "own-Lamp"}, "/definition/code"),
            ({"code": 7}, "/definition/code"),
            ({"code": None}, "/definition/code"),
            ({"version": 0}, "/definition/version"),
            ({"version": "1"}, "/definition/version"),
            ({"version": 2**31}, "/definition/version"),
            ({"version": None}, "/definition/version"),
        ],
    )
    async def test_code_and_version_are_those_of_an_own_instrument(
        self, people: People, tenant: Tenant, superuser: asyncpg.Connection, changes: dict[str, Any], pointer: str
    ) -> None:
        found = problem(await people.admin.http.post(PATH, json=submission(**changes)), 422, "definition-invalid")
        assert pointer in [fault["pointer"] for fault in found["errors"]]
        assert not await superuser.fetchval(
            "select exists (select from instrument_draft where organisation_id = $1)", tenant.id
        )

    async def test_a_second_of_the_same_version(self, people: People) -> None:
        await drafted(people.admin)
        problem(await people.admin.http.post(PATH, json=submission()), 409, "instrument-version-taken")

    async def test_of_two_at_once_one_is_kept(self, people: People) -> None:
        answers = await asyncio.gather(*(people.admin.http.post(PATH, json=submission()) for _ in range(2)))
        assert sorted(answer.status_code for answer in answers) == [201, 409]

    async def test_replace(self, people: People) -> None:
        first = await drafted(people.admin)
        changed = await people.admin.http.put(
            draft_of(), json=submission(name="Another"), headers={"If-Match": first.headers["etag"]}
        )
        assert (changed.status_code, changed.json()["definition"]["name"]) == (200, "Another")
        assert changed.headers["etag"] != first.headers["etag"]
        again = {"json": submission(), "headers": {"If-Match": first.headers["etag"]}}
        problem(await people.admin.http.put(draft_of(), **again), 412, "precondition-failed")
        problem(await people.admin.http.put(draft_of(), json=submission()), 428, "precondition-required")
        assert (await people.admin.http.get(draft_of())).json()["definition"]["name"] == "Another"

    async def test_another_instrument_cannot_take_its_place(self, people: People) -> None:
        tag = {"If-Match": (await drafted(people.admin)).headers["etag"]}
        for changes in ({"code": "own-other"}, {"version": 2}):
            answer = await people.admin.http.put(draft_of(), json=submission(**changes), headers=tag)
            assert problem(answer, 422, "definition-invalid")["errors"][0]["code"] == "other-instrument"

    async def test_delete(self, people: People) -> None:
        first = await drafted(people.admin)
        problem(await people.admin.http.delete(draft_of()), 428, "precondition-required")
        tag = {"If-Match": first.headers["etag"]}
        assert (await people.admin.http.delete(draft_of(), headers=tag)).status_code == 204
        problem(await people.admin.http.get(draft_of()), 404, "not-found")
        problem(await people.admin.http.delete(draft_of(), headers=tag), 404, "not-found")
        second = await drafted(people.admin)
        answer = await people.admin.http.delete(draft_of(), headers=tag)
        problem(answer, 412, "precondition-failed")  # another draft, although it is the first of its kind as well
        assert second.headers["etag"] != first.headers["etag"]

    async def test_preview_keeps_nothing(self, people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        await drafted(people.admin)
        answer = await people.admin.http.post(f"{draft_of()}/preview", json={"answers": {"1": 3, "2": 0, "3": 0}})
        assert (answer.status_code, answer.json()["scores"]["ease"]["value"]) == (200, 1.2)
        wrong = await people.admin.http.post(f"{draft_of()}/preview", json={"answers": {"1": 9, "7": 0}})
        found = problem(wrong, 422, "answers-invalid")
        assert [fault["pointer"] for fault in found["errors"]] == ["/answers/1", "/answers/7"]
        answer = await people.admin.http.post(f"{draft_of()}/preview", json={"answers": {}, "variant": "none"})
        problem(answer, 422, "request-invalid")
        assert not await superuser.fetchval("select count(*) from response where organisation_id = $1", tenant.id)

    async def test_preview_of_one_with_faults(self, people: People) -> None:
        await drafted(people.admin, licence=None)
        answer = await people.admin.http.post(f"{draft_of()}/preview", json={"answers": {}})
        assert problem(answer, 422, "definition-invalid")["errors"][0]["pointer"] == "/definition/licence"


class TestPublish:
    async def test_it_is_published_as_it_is(self, people: People) -> None:
        found = await published(people.admin)
        assert (found["status"], found["definition"]) == ("published", definition_from(lamp()).checksum)
        assert (found["golden"], found["retired_at"]) == (GOLDEN, None)
        problem(await people.admin.http.get(draft_of()), 404, "not-found")
        read = await people.ehr.http.get(found["definition_url"])
        assert read.json()["checksum"] == found["definition"]
        assert read.headers["etag"] == f'"{found["definition"]}"'
        problem(await people.admin.http.post(PATH, json=submission()), 409, "instrument-version-taken")
        path = f"{PATH}/own-lamp/versions/1/publish"
        problem(await people.admin.http.post(path, headers={"If-Match": "*"}), 409, "instrument-version-taken")

    async def test_as_yaml_it_can_be_made_of_again(self, people: People) -> None:
        found = await published(people.admin)
        answer = await people.ehr.http.get(found["definition_url"], headers={"Accept": "application/yaml"})
        assert answer.headers["content-type"] == "application/yaml"
        assert answer.headers["vary"] == "Accept"
        assert read_definition(answer.text).checksum == found["definition"]
        body = yaml.safe_dump({"definition": yaml.safe_load(answer.text) | {"version": 2}, "golden": GOLDEN})
        made = await people.admin.http.post(PATH, content=body, headers={"Content-Type": "application/yaml"})
        assert (made.status_code, made.json()["publishable"]) == (201, True), made.text

    async def test_golden_cases_that_fail_are_told_value_by_value(self, people: People) -> None:
        golden = deepcopy(GOLDEN)
        golden[0]["scores"]["ease"] = 1.7
        golden[2]["statuses"] = {}
        golden[2]["counts"] = {"ease": [3, 0, 0]}
        made = await people.admin.http.post(PATH, json={"definition": lamp(), "golden": golden})
        found = problem(await publish(people.admin, made), 422, "golden-cases-failed")["errors"]
        assert [(fault["pointer"], fault["expected"], fault["actual"]) for fault in found] == [
            ("/golden/0/scores/ease", 1.7, 1.8),
            ("/golden/2/statuses/ease", "complete", "prorated"),
            ("/golden/2/counts/ease", [3, 0, 0], [2, 1, 0]),
        ]
        problem(await people.ehr.http.get(f"{PATH}/own-lamp"), 404, "not-found")

    async def test_golden_cases_are_needed_and_leave_nothing_out(self, people: People) -> None:
        made = await people.admin.http.post(PATH, json={"definition": lamp()})
        found = problem(await publish(people.admin, made), 422, "golden-cases-failed")["errors"]
        assert {fault["code"] for fault in found} == {"not-exercised"}
        assert any("'ease'" in fault["detail"] for fault in found)

    async def test_it_takes_the_tag_of_what_was_read(self, people: People) -> None:
        first = await drafted(people.admin)
        path = f"{PATH}/own-lamp/versions/1/publish"
        problem(await people.admin.http.post(path), 428, "precondition-required")
        await people.admin.http.put(draft_of(), json=submission(name="B"), headers={"If-Match": first.headers["etag"]})
        problem(await publish(people.admin, first), 412, "precondition-failed")

    async def test_of_two_at_once_one_publishes(self, people: People) -> None:
        made = await drafted(people.admin)
        answers = await asyncio.gather(*(publish(people.admin, made) for _ in range(2)))
        assert sorted(answer.status_code for answer in answers)[0] == 201
        assert sorted(answer.status_code for answer in answers)[1] in (404, 409, 412)

    async def test_versions_go_up_and_name_published_ones(self, people: People) -> None:
        await published(people.admin, version=3)
        low = await people.admin.http.post(PATH, json=submission(version=2))
        assert problem(low, 422, "definition-invalid")["errors"][0]["code"] == "version-order"
        why = {"why": "the same", "source": "invented", "evidence": "derived"}
        made = await drafted(people.admin, version=4, comparable_with=[{"version": 3, **why}, {"version": 2, **why}])
        assert [(fault["pointer"], fault["code"]) for fault in made.json()["faults"]] == [
            ("/definition/comparable_with/1/version", "unknown-version")
        ]


class TestUse:
    ANSWERS = {"1": 3, "2": 3, "3": 1}  # noqa: RUF012  - never changed

    async def test_everything_that_takes_a_code_takes_it(self, people: People) -> None:
        found = await published(people.admin)
        scored = await people.clinician.http.post(f"{PATH}/own-lamp/score", json={"answers": self.ANSWERS})
        assert scored.json()["scores"]["ease"]["value"] == 1.6
        client_id = await people.ehr.client()
        made = await people.ehr.respond(client_id, instrument="own-lamp", answers=self.ANSWERS)
        assert made.status_code == 201, made.text
        assert made.json()["provenance"]["definition"] == found["definition"]
        for path in (made.headers["location"], f"{made.headers['location']}/explain"):
            assert (await people.ehr.http.get(path)).status_code == 200
        query = f"/v1/clients/{client_id}/progress"
        series = (await people.clinician.http.get(query)).json()["series"]
        assert [one["instrument"] for one in series] == ["own-lamp"]
        assert (await people.clinician.http.get(f"{query}?instrument=own-lamp&scale=ease")).status_code == 200
        for suffix in (".vl.json", ".svg"):
            answer = await people.clinician.http.get(f"{query}{suffix}?instrument=own-lamp")
            assert answer.status_code == 200, answer.text
        research = await people.researcher.http.get("/v1/research/aggregates?instrument=own-lamp&scale=ease")
        assert (research.status_code, research.json()["instrument"]) == (200, "own-lamp")
        form = (await people.ehr.http.get(f"{found['definition_url']}/questionnaire")).json()
        assert (form["resourceType"], {"1", "2", "3"} <= {one["linkId"] for one in form["item"]}) == (
            "Questionnaire",
            True,
        )
        detail = (await people.ehr.http.get(f"{PATH}/own-lamp")).json()
        assert [version["status"] for version in detail["versions"]] == ["published"]

    async def test_an_answer_that_is_none(self, people: People) -> None:
        await published(people.admin)
        answer = await people.ehr.respond(await people.ehr.client(), instrument="own-lamp", answers={"1": 4})
        assert problem(answer, 422, "answers-invalid")["errors"][0]["pointer"] == "/answers/1"

    async def test_a_draft_takes_no_responses(self, people: People) -> None:
        await drafted(people.admin)
        answer = await people.ehr.respond(await people.ehr.client(), instrument="own-lamp", answers={})
        assert problem(answer, 422, "request-invalid")["errors"][0]["code"] == "unknown-instrument"
        problem(await people.ehr.http.post(f"{PATH}/own-lamp/score", json={"answers": {}}), 404, "not-found")

    async def test_the_newest_version_in_use(self, people: People) -> None:
        client_id = await people.ehr.client()

        async def recorded(**more: Any) -> int:
            answer = await people.ehr.respond(client_id, instrument="own-lamp", answers=self.ANSWERS, **more)
            assert answer.status_code == 201, answer.text
            found: int = answer.json()["version"]
            return found

        for version in (1, 2):
            await published(people.admin, version=version)
            assert await recorded() == version
        assert await recorded(version=1) == 1
        answer = await people.ehr.respond(client_id, instrument="own-lamp", version=3, answers={})
        (fault,) = problem(answer, 422, "request-invalid")["errors"]
        assert (fault["pointer"], fault["detail"]) == ("/version", "has to be one of 1, 2")
        await people.admin.http.post(f"{PATH}/own-lamp/versions/2/retire")
        assert await recorded() == 1

    async def test_lists(self, people: People) -> None:
        await published(people.admin)
        await drafted(people.admin, version=2, name="Second")
        await drafted(people.admin, code="own-third", licence=None, items=7)

        async def listed(person: Person, query: str = "") -> list[tuple[str, int, str]]:
            items = (await person.http.get(f"{PATH}?q=own-{query}")).json()["items"]
            return [(item["code"], item["version"], item["status"]) for item in items]

        mine = [("own-lamp", 1, "published")]
        assert await listed(people.ehr) == await listed(people.clinician) == mine
        assert await listed(people.elsewhere) == []
        drafts = [("own-lamp", 2, "draft"), ("own-third", 1, "draft")]
        assert sorted(await listed(people.admin)) == sorted([*mine, *drafts])
        assert await listed(people.admin, "&status=published") == mine
        assert sorted(await listed(people.admin, "&status=draft")) == drafts
        everything = (await people.ehr.http.get(PATH)).json()["items"]
        assert {"fsfi", "own-lamp"} <= {item["code"] for item in everything}


class TestRetire:
    async def test_nothing_new_and_everything_old(self, people: People) -> None:
        await published(people.admin)
        client_id = await people.ehr.client()
        made = await people.ehr.respond(client_id, instrument="own-lamp", answers=TestUse.ANSWERS)
        first = await people.admin.http.post(f"{PATH}/own-lamp/versions/1/retire")
        assert (first.status_code, first.json()["status"]) == (200, "retired")
        for more in ({}, {"version": 1}):
            answer = await people.ehr.respond(client_id, instrument="own-lamp", answers=TestUse.ANSWERS, **more)
            problem(answer, 409, "instrument-retired")
        for path in (made.headers["location"], f"{made.headers['location']}/explain", f"{PATH}/own-lamp/versions/1"):
            assert (await people.ehr.http.get(path)).status_code == 200
        scored = await people.ehr.http.post(f"{PATH}/own-lamp/score", json={"answers": TestUse.ANSWERS, "version": 1})
        assert scored.json()["scores"]["ease"]["value"] == 1.6
        series = (await people.clinician.http.get(f"/v1/clients/{client_id}/progress")).json()["series"]
        assert series[0]["last"]["value"] == 1.6
        (item,) = (await people.ehr.http.get(f"{PATH}?q=own-lamp")).json()["items"]
        assert item["status"] == "retired"
        (version,) = (await people.ehr.http.get(f"{PATH}/own-lamp")).json()["versions"]
        assert version["status"] == "retired"

    async def test_twice_is_once(self, people: People, tenant: Tenant, superuser: asyncpg.Connection) -> None:
        await published(people.admin)
        answers = [await people.admin.http.post(f"{PATH}/own-lamp/versions/1/retire") for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        query = "select count(*) from audit_event where organisation_id = $1 and action = 'retire'"
        assert await superuser.fetchval(query, tenant.id) == 1

    @pytest.mark.parametrize(
        "path", ["fsfi/versions/1", "own-none/versions/1", "own-lamp/versions/2", "own-%00/versions/1"]
    )
    async def test_what_is_not_ours(self, people: People, path: str) -> None:
        await published(people.admin)
        problem(await people.admin.http.post(f"{PATH}/{path}/retire"), 404, "not-found")

    async def test_a_repetition_of_what_was_recorded_is_replayed(self, people: People) -> None:
        await published(people.admin)
        body = form(await people.ehr.client(), instrument="own-lamp", answers=TestUse.ANSWERS)
        key = {"Idempotency-Key": "the-same"}
        first = await people.ehr.http.post("/v1/responses", json=body, headers=key)
        await people.admin.http.post(f"{PATH}/own-lamp/versions/1/retire")
        again = await people.ehr.http.post("/v1/responses", json=body, headers=key)
        assert (again.status_code, again.text) == (201, first.text)
        assert again.headers["idempotent-replayed"] == "true"
        other = await people.ehr.http.post("/v1/responses", json=body | {"version": 1}, headers=key)
        assert other.status_code in (409, 422)
