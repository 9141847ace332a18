"""Laws of the contract, walked over every operation of the OpenAPI document: whatever is added is held to them.

A new operation with required parameters or a body needs a good example in `EXAMPLES`, so that a 404 is for the id and
for nothing else. A new kind of thing with an id needs a line in `things`, which makes one in the other organisation.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest

from api.problems import MEDIA_TYPE, catalogue
from api.security.principal import ROLES, SCOPES
from scripts.openapi import TARGET
from tests.web.service import ELSEWHERE, HERE, Service

TEXT: Final = TARGET.read_text(encoding="utf-8")
"""As it is committed, which takes no seconds to make; that it is the application's is a test of tests/docs."""
CONTRACT: Final[dict[str, Any]] = json.loads(TEXT)
METHODS: Final = ("get", "post", "put", "patch", "delete")
PUBLIC: Final = {
    "/health/live",
    "/health/ready",
    "/metrics",
    "/.well-known/jwks.json",
    "/problems/{slug}",
}
"""Paths that need no token. Anything else without a scope is a hole."""


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    spec: dict[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.spec.get("operationId"))

    @property
    def scope(self) -> str | None:
        return self.spec.get("x-scope")

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return list(self.spec.get("parameters", ()))

    @property
    def id_parameters(self) -> list[str]:
        """Path parameters that are ids of stored things."""
        return [
            parameter["name"]
            for parameter in self.parameters
            if parameter["in"] == "path" and parameter["schema"].get("format") == "uuid"
        ]

    def url(self, **ids: str) -> str:
        """The path with ids filled in; numbers are 1, other parameters get a word that no rule of theirs allows."""
        numbers = {
            parameter["name"]: "1" for parameter in self.parameters if parameter["schema"].get("type") == "integer"
        }
        return re.sub(r"\{(\w+)\}", lambda match: (numbers | ids).get(match[1], "nothing"), self.path)


OPERATIONS: Final = [
    Operation(method, path, item[method])
    for path, item in sorted(CONTRACT["paths"].items())
    for method in METHODS
    if method in item
]
PROTECTED: Final = [operation for operation in OPERATIONS if operation.scope]
WITH_IDS: Final = sorted(
    (operation for operation in PROTECTED if operation.id_parameters),
    key=lambda operation: operation.method == "delete" or operation.id == "cancelImport",  # last: others need it
)

ANSWERS: Final = {str(item): 5 for item in range(1, 20)}
OWN: Final = {"definition": {"code": "own-lamp", "version": 1}}
WORDING: Final = {
    "attestation": {
        "holder": "nobody",
        "licence_reference": "invented",
        "statement_accepted": True,
        "valid_from": "2026-01-01",
    },
    "pack": {"items": {}},
}
ENTRY: Final = {
    "id": "start",
    "instrument": "fsfi",
    "when": {"kind": "baseline"},
    "window": {"opens_before": 7, "overdue_after": 3, "closes_after": 7},
}
PROTOCOL: Final = {"name": "a", "entries": [ENTRY]}
RULE: Final = {"instrument": "fsfi", "name": "a", "severity": "notice", "when": {"scale": "total", "below": 10}}
REFERENCE: Final = {
    "instrument": "phq-9",
    "scale": "total",
    "origin": "parameters",
    "source": "invented",
    "evidence": "memory",
    "persons": 300,
    "observations": 1800,
    "horizon_weeks": 16.0,
    "parameters": {
        "intercept": 15.0,
        "slope": -0.5,
        "fixed_covariance": [[0.1, 0.0], [0.0, 0.001]],
        "random_covariance": [[16.0, 0.0], [0.0, 0.1]],
        "residual_variance": 6.0,
    },
}
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "exportOrganisation": {"json": {"plain": True}},
    "acknowledgeAlert": {"json": {}},
    "createAlertRule": {"json": RULE},
    "putAlertGuidance": {"json": {"entries": []}, "headers": {"If-Match": "*"}},
    "amendResponse": {"json": {"answers": ANSWERS, "reason": "invented"}, "headers": {"If-Match": "*"}},
    "assignProtocol": {"json": {"protocol": "b"}},
    "appendImport": {
        "content": b"x",
        "headers": {"Content-Type": "text/csv", "Upload-Offset": "0", "Upload-Complete": "?0"},
    },
    "changeAssignment": {"json": {"due_on": "2026-02-12"}, "headers": {"If-Match": "*"}},
    "changeClient": {"json": {"partnered": True}},
    "changeEpisode": {"json": {"concerns": ["desire"]}, "headers": {"If-Match": "*"}},
    "changeGoal": {"json": {"weight": 2}, "headers": {"If-Match": "*"}},
    "changeMembership": {"json": {"joined_on": "2026-01-12"}, "headers": {"If-Match": "*"}},
    "changeSession": {"json": {"attendance": "cancelled"}, "headers": {"If-Match": "*"}},
    "changeWebhook": {"json": {"description": "a"}, "headers": {"If-Match": "*"}},
    "createAssignment": {"json": {"kind": "reading", "set_on": "2026-01-12", "due_on": "2026-01-19"}},
    "createClient": {"json": {}},
    "createCouple": {"json": {"clients": [str(uuid.UUID(int=1)), str(uuid.UUID(int=2))], "joined_on": "2026-01-12"}},
    "createDraft": {"json": OWN},
    "createEpisode": {"json": {"started_on": "2026-03-01", "format": "couple"}},
    "createGoal": {"json": {"kind": "target", "wording": "a", "target": 8, "baseline": 2, "set_on": "2026-01-12"}},
    "createProtocol": {"json": {"code": "c", **PROTOCOL}},
    "createImport": {"params": {"format": "csv"}, "headers": {"Upload-Complete": "?0"}},
    "createSession": {"json": {"held_at": "2026-03-02T10:00:00Z"}},
    "createReference": {"json": REFERENCE},
    "startRescoring": {
        "json": {
            "instrument": "who-5",
            "from_version": 1,
            "to_version": 1,
            "from_checksum": "0" * 64,
            "reason": "invented",
            "dry_run": True,
        }
    },
    "withdrawRescoring": {"json": {"reason": "invented"}},
    "createWebhook": {"json": {"url": "https://receiver.example/"}},
    "deleteWebhook": {"headers": {"If-Match": "*"}},
    "drawCoupleProgress": {"params": {"instrument": "fsfi"}},
    "drawCoupleProgressAsPdf": {"params": {"instrument": "fsfi"}},
    "drawCoupleProgressAsPng": {"params": {"instrument": "fsfi"}},
    "drawProgress": {"params": {"instrument": "fsfi"}},
    "drawCaseload": {"params": {"clinician": "c-7"}},
    "drawCaseloadAsPdf": {"params": {"clinician": "c-7"}},
    "drawCaseloadAsPng": {"params": {"clinician": "c-7"}},
    "drawProgressAsPdf": {"params": {"instrument": "fsfi"}},
    "drawProgressAsPng": {"params": {"instrument": "fsfi"}},
    "endEpisodeProtocol": {"json": {}, "headers": {"If-Match": "*"}},
    "moveEpisodeProtocol": {"json": {}, "headers": {"If-Match": "*"}},
    "previewDraft": {"json": {"answers": {}}},
    "eraseClient": {"params": {"reason": "asked-for", "confirm": "no-duty-to-keep"}},
    "putNewestWording": {"json": WORDING},
    "putWording": {"json": WORDING},
    "rateGoal": {"json": {"value": 1, "rated_on": "2026-02-12"}},
    "readOutcomes": {"params": {"instrument": "fsfi"}},
    "readAggregates": {"params": {"instrument": "fsfi", "scale": "total"}},
    "readCoupleProgressSpecification": {"params": {"instrument": "fsfi"}},
    "readCaseload": {"params": {"clinician": "c-7"}},
    "readCaseloadSpecification": {"params": {"clinician": "c-7"}},
    "readProgressSpecification": {"params": {"instrument": "fsfi"}},
    "readWorkProgress": {"params": {"instrument": "fsfi"}},
    "recordCompletion": {"json": {"outcome": "done", "completed_on": "2026-01-19"}},
    "recordConsent": {"json": {"given": True, "stated_on": "2026-01-12"}},
    "recordResponse": {"json": {"client_id": str(uuid.UUID(int=0))}, "headers": {"Idempotency-Key": "example"}},
    "replaceDraft": {"json": OWN},
    "replaceProtocol": {"json": PROTOCOL, "headers": {"If-Match": "*"}},
    "replayDeliveries": {"json": {"since": "2026-03-01T00:00:00Z"}},
    "retireProtocol": {"headers": {"If-Match": "*"}},
    "rotateWebhookSecret": {"json": {}, "headers": {"If-Match": "*"}},
    "scoreAnswers": {"json": {"answers": ANSWERS}},
    "stateResearchConsent": {"json": {"given": True, "stated_on": "2026-01-12"}},
    "validateInstrument": {"json": OWN},
    "voidResponse": {"json": {"reason": "invented"}, "headers": {"If-Match": "*"}},
}
"""By operation id: what `httpx` takes for a request that is good but for its ids (`params`, `json`, `headers`)."""


def example(operation: Operation) -> dict[str, Any]:
    needs = operation.spec.get("requestBody", {}).get("required") or any(
        parameter.get("required") and parameter["in"] != "path" for parameter in operation.parameters
    )
    assert not needs or operation.id in EXAMPLES, f"give a good example of {operation.id} in EXAMPLES"
    return EXAMPLES.get(operation.id, {})


LAST: Final = "9999-12-31T23:59:59.999999-14:00"
"""A time that is well written and has no year in UTC."""
EMPTY: Final[tuple[dict[str, Any], ...]] = ({}, {"json": {}})


async def ask(client: httpx.AsyncClient, operation: Operation, url: str, **request: Any) -> httpx.Response:
    return await client.request(operation.method.upper(), url, **request)


def names(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


class TestDocument:
    def test_every_operation_has_a_name_of_its_own(self) -> None:
        ids = [operation.id for operation in OPERATIONS]
        assert all(re.fullmatch(r"[a-z][A-Za-z]+", name) for name in ids)
        assert len(ids) == len(set(ids))

    def test_only_the_known_paths_are_public(self) -> None:
        assert {operation.path for operation in OPERATIONS if not operation.scope} == PUBLIC

    @pytest.mark.parametrize("operation", OPERATIONS, ids=names)
    def test_scope_and_security_go_together(self, operation: Operation) -> None:
        if operation.scope is None:
            assert "security" not in operation.spec
        else:
            assert operation.scope in SCOPES
            assert operation.spec["security"] == [{"bearer": []}]
            assert {"401", "403", "429"} <= operation.spec["responses"].keys()

    @pytest.mark.parametrize("operation", OPERATIONS, ids=names)
    def test_every_error_is_a_problem(self, operation: Operation) -> None:
        known = {kind.type_uri(): kind.status for kind in catalogue().values()}
        for status, answer in operation.spec["responses"].items():
            if status.startswith(("4", "5")):
                assert answer["content"].keys() == {MEDIA_TYPE}
                assert answer["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
                examples = answer["content"][MEDIA_TYPE]["examples"].values()
                assert all(known[example["value"]["type"]] == int(status) for example in examples)

    @pytest.mark.parametrize("operation", OPERATIONS, ids=names)
    def test_inputs_are_answered_for(self, operation: Operation) -> None:
        if "requestBody" in operation.spec:
            assert {"400", "408", "413", "415", "422"} <= operation.spec["responses"].keys()
        if operation.id_parameters:
            assert {"404", "422"} <= operation.spec["responses"].keys()

    @pytest.mark.parametrize("operation", PROTECTED, ids=names)
    def test_unknown_parameters_are_answered_for(self, operation: Operation) -> None:
        assert "422" in operation.spec["responses"]

    def test_the_frameworks_own_error_is_gone(self) -> None:
        assert "ValidationError" not in TEXT

    def test_references_resolve(self) -> None:
        found = set(re.findall(r'"#/components/schemas/([^"]+)"', TEXT))
        assert found <= CONTRACT["components"]["schemas"].keys()
        assert {"Problem", "Fault"} <= found


def test_there_is_something_to_walk() -> None:
    assert PROTECTED
    assert WITH_IDS


class TestAccess:
    @pytest.mark.parametrize("operation", PROTECTED, ids=names)
    async def test_no_token(self, running: Service, operation: Operation) -> None:
        async with running.client() as client:
            for request in EMPTY:
                answer = await ask(client, operation, operation.url(), **request)
                assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")

    @pytest.mark.parametrize("operation", PROTECTED, ids=names)
    async def test_token_that_is_none(self, running: Service, operation: Operation) -> None:
        async with running.client() as client:
            bad = {"Authorization": f"Bearer {running.token('admin')[:-4]}AAAA"}
            assert (await ask(client, operation, operation.url(), headers=bad)).status_code == 401

    @pytest.mark.parametrize("operation", PROTECTED, ids=names)
    async def test_roles(self, running: Service, operation: Operation) -> None:
        """Every role without the scope is refused, whatever else is wrong; every role with it is not."""
        for role, scopes in ROLES.items():
            async with running.client(role) as client:
                for request in EMPTY:
                    answer = await ask(client, operation, operation.url(), **request)
                    if operation.scope in scopes:
                        assert answer.status_code not in (401, 403)
                    else:
                        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")

    @pytest.mark.parametrize("operation", OPERATIONS, ids=names)
    async def test_nonsense_never_makes_it_fail(self, running: Service, operation: Operation) -> None:
        """Path parameters of every sort, and parameters and bodies that fit nothing: refused, never a 500."""
        words = ("nothing", "0", "-1", "%00", "%F0%9F%98%80", "a" * 300, "..", str(uuid.UUID(int=0)), "1e999", "'")
        role = next((role for role in ROLES if operation.scope in ROLES[role]), None)
        async with running.client(role) as client:
            for number, word in enumerate(words if operation.parameters else words[:1]):
                url = operation.url(**{parameter["name"]: word for parameter in operation.parameters})
                queries = {parameter["name"]: word for parameter in operation.parameters if parameter["in"] == "query"}
                bodies = (*EMPTY, {"json": {"a": word}}, {"json": []}) if number == 0 else ()
                for request in ({"params": queries}, *bodies):
                    answer = await ask(client, operation, url, **request)
                    assert answer.status_code < 500, (url, request, answer.text)

    @pytest.mark.parametrize("operation", PROTECTED, ids=names)
    async def test_no_parameter_by_itself_makes_it_fail(self, running: Service, operation: Operation) -> None:
        """What PostgreSQL cannot hold, in a query that is good but for it."""
        role = next(role for role in ROLES if operation.scope in ROLES[role])
        url = operation.url(**dict.fromkeys(operation.id_parameters, str(uuid.uuid4())))
        request = example(operation)
        async with running.client(role) as client:
            for parameter in operation.parameters:
                for word in ("\x00", LAST) if parameter["in"] == "query" else ():
                    params = request.get("params", {}) | {parameter["name"]: word}
                    answer = await ask(client, operation, url, **request | {"params": params})
                    assert answer.status_code < 500, (url, params, answer.text)


class TestQueries:
    @pytest.mark.parametrize("operation", PROTECTED, ids=names)
    async def test_what_an_operation_does_not_know_is_refused(self, running: Service, operation: Operation) -> None:
        role = next(role for role in ROLES if operation.scope in ROLES[role])
        request = example(operation)
        params = request.get("params", {}) | {"external-id": "a", "Dry_Run": ""}
        async with running.client(role) as client:
            url = operation.url(**dict.fromkeys(operation.id_parameters, str(uuid.uuid4())))
            answer = await ask(client, operation, url, **request | {"params": params})
        found = {(fault.get("parameter"), fault["code"]) for fault in answer.json()["errors"]}
        assert answer.status_code == 422
        assert {("external-id", "extra-forbidden"), ("Dry_Run", "extra-forbidden")} <= found

    @pytest.mark.parametrize("operation", PROTECTED, ids=names)
    async def test_who_has_no_token_learns_that_first(self, running: Service, operation: Operation) -> None:
        async with running.client() as client:
            answer = await ask(client, operation, operation.url(), params={"colour": "red"})
        assert answer.status_code == 401

    @pytest.mark.parametrize(
        ("query", "faults"),
        [
            ("external_id=a&external_id=b", [("external_id", "repeated")]),
            ("limit=1&limit=1", [("limit", "repeated")]),
            ("external_id=M%FCller", [("external_id", "not-utf-8")]),
            ("external_id=a%00b", [("external_id", "nul-character")]),
            ("a=1&a=2&b", [("a", "extra-forbidden"), ("b", "extra-forbidden")]),
            ("=", [("", "extra-forbidden")]),
            ("%FF=1", [("?", "extra-forbidden")]),
        ],
    )
    async def test_what_could_be_read_in_two_ways_is_refused(
        self, running: Service, query: str, faults: list[tuple[str, str]]
    ) -> None:
        async with running.client("ehr") as client:
            answer = await client.get(f"/v1/clients?{query}")
        assert answer.status_code == 422
        assert [(fault.get("parameter"), fault["code"]) for fault in answer.json()["errors"]] == faults

    async def test_a_list_may_be_given_in_parts(self, running: Service) -> None:
        query = "instrument=fsfi&scale=total&group_by=age_band&group_by=calendar_year"
        async with running.client("researcher") as client:
            assert (await client.get(f"/v1/research/aggregates?{query}")).status_code == 200

    async def test_what_machines_add_to_public_paths_is_overlooked(self, running: Service) -> None:
        async with running.client() as client:
            assert (await client.get("/health/live?t=1&t=2")).status_code == 200


def recording(client_id: str) -> dict[str, Any]:
    """A good response of a client, as `httpx` takes it; each with a key of its own."""
    body = {
        "client_id": client_id,
        "instrument": "fsfi",
        "answered_at": "2026-03-01T12:00:00Z",
        "answers": ANSWERS,
    }
    return {"json": body, "headers": {"Idempotency-Key": str(uuid.uuid4())}}


async def things(running: Service, organisation: str) -> dict[str, str]:
    """Ids of one thing of each kind, made in an organisation, by the names of the path parameters."""
    async with running.client("ehr", organisation=organisation) as client:
        made = await client.post("/v1/clients", json={"external_id": str(uuid.uuid4())})
        assert made.status_code == 201, made.text
        found = {"client_id": made.json()["id"]}
        if "/v1/responses" in CONTRACT["paths"]:
            recorded = await client.post("/v1/responses", **recording(found["client_id"]))
            assert recorded.status_code == 201, recorded.text
            found["response_id"] = recorded.json()["id"]
            urgent = recording(found["client_id"])
            urgent["json"] |= {"instrument": "phq-9", "answers": {"9": 1}}
            found["alert_id"] = (await client.post("/v1/responses", **urgent)).json()["alerts"][0]["id"]
        path = f"/v1/clients/{found['client_id']}/episodes"
        for name, members in (
            ("episode_id", {"started_on": "2026-03-01", "format": "individual"}),
            ("session_id", {"held_at": "2026-03-01T10:00:00Z"}),
        ):
            made = await client.post(path, json=members)
            assert made.status_code == 201, made.text
            found[name] = made.json()["id"]
            path = f"{path}/{found[name]}/sessions"
        made = await client.post("/v1/imports", **EXAMPLES["createImport"])
        assert made.status_code == 202, made.text
        found["import_id"] = made.json()["id"]
        words = {"wording": "a", "levels": ["a", "b", "c", "d", "e"]}
        goal = {"kind": "levels", **words, "baseline": -1, "set_on": "2026-01-12"}
        made = await client.post(f"/v1/clients/{found['client_id']}/goals", json=goal)
        assert made.status_code == 201, made.text
        found["goal_id"] = made.json()["id"]
        work = {"kind": "reading", "set_on": "2026-01-12", "due_on": "2026-01-19"}
        made = await client.post(f"/v1/clients/{found['client_id']}/assignments", json=work)
        assert made.status_code == 201, made.text
        found["assignment_id"] = made.json()["id"]
        partner = (await client.post("/v1/clients", json={})).json()["id"]
        both = {"clients": [found["client_id"], partner], "joined_on": "2026-01-12"}
        couple = (await client.post("/v1/couples", json=both)).json()
        found |= {"couple_id": couple["id"], "membership_id": couple["members"][0]["membership_id"]}
        for member in couple["members"]:  # the joint view, which is closed until all have consented
            consents = f"/v1/clients/{member['client_id']}/couples/{member['membership_id']}/consents"
            made = await client.post(consents, json={"given": True, "stated_on": "2026-01-12"})
            assert made.status_code == 201, made.text
    async with running.client("admin", organisation=organisation) as client:
        made = await client.post("/v1/rescorings", **EXAMPLES["startRescoring"])
        assert made.status_code == 202, made.text
        found["rescoring_id"] = made.json()["id"]
        made = await client.post("/v1/references", json=REFERENCE)
        assert made.status_code == 202, made.text
        found["reference_id"] = made.json()["id"]
        made = await client.post("/v1/alert-rules", json=RULE)
        assert made.status_code == 201, made.text
        found["rule_id"] = made.json()["id"]
        made = await client.post("/v1/webhooks", json={"url": "https://receiver.example/"})
        assert made.status_code == 201, made.text
        found["webhook_id"] = made.json()["id"]
        made = await client.post(f"/v1/webhooks/{found['webhook_id']}/test")
        assert made.status_code == 202, made.text
        found["delivery_id"] = made.json()["id"]
        for code in ("a", "b"):
            made = await client.post("/v1/protocols", json={"code": code, **PROTOCOL, "name": "before"})
            assert made.status_code == 201, made.text
            found["protocol_id"] = made.json()["id"]
            path = f"/v1/protocols/{found['protocol_id']}"
            assert (await client.put(path, json=PROTOCOL, headers={"If-Match": "*"})).status_code == 200
        path = f"/v1/clients/{found['client_id']}/episodes/{found['episode_id']}/protocols"
        made = await client.post(path, json={"protocol": "a", "version": 1})
        assert made.status_code == 201, made.text
        found["episode_protocol_id"] = made.json()["id"]
        gone = (await client.post("/v1/clients", json={})).json()["id"]
        made = await client.delete(f"/v1/clients/{gone}", params=EXAMPLES["eraseClient"]["params"])
        assert made.status_code == 200, made.text
        found["erasure_id"] = made.json()["id"]
    return found


@pytest.fixture(scope="module")
async def foreign(running: Service) -> dict[str, str]:
    """One thing of each kind in the other organisation."""
    return await things(running, ELSEWHERE)


class TestOtherOrganisations:
    @pytest.mark.parametrize("operation", WITH_IDS, ids=names)
    async def test_their_ids_look_unknown(
        self, running: Service, foreign: dict[str, str], operation: Operation
    ) -> None:
        """The id of another organisation's thing gets the very answer that an id of nothing gets."""
        missing = set(operation.id_parameters) - foreign.keys()
        assert not missing, f"make one of {missing} in `things`"
        role = next(role for role in ROLES if operation.scope in ROLES[role])
        request = example(operation)
        nothing = str(uuid.uuid4())
        async with running.client(role, organisation=HERE) as client:
            url = operation.url(**dict.fromkeys(operation.id_parameters, nothing))
            unknown = await ask(client, operation, url, **request)
            assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/not-found")
            theirs = {name: foreign[name] for name in operation.id_parameters}
            for ids in (theirs, *({**dict.fromkeys(theirs, nothing), name: theirs[name]} for name in theirs)):
                answer = await ask(client, operation, operation.url(**ids), **request)
                assert comparable(answer, *ids.values()) == comparable(unknown, nothing)
        async with running.client(role, organisation=ELSEWHERE) as owner:
            url = operation.url(**foreign)
            assert (await ask(owner, operation, url, **request)).status_code < 400, "their own organisation sees it"

    @pytest.mark.long
    @pytest.mark.parametrize("operation", WITH_IDS, ids=names)
    async def test_their_ids_of_another_kind_look_unknown(
        self, running: Service, foreign: dict[str, str], operation: Operation
    ) -> None:
        role = next(role for role in ROLES if operation.scope in ROLES[role])
        request = example(operation)
        nothing = str(uuid.uuid4())
        async with running.client(role, organisation=HERE) as client:
            url = operation.url(**dict.fromkeys(operation.id_parameters, nothing))
            unknown = await ask(client, operation, url, **request)
            for theirs in foreign.values():
                url = operation.url(**dict.fromkeys(operation.id_parameters, theirs))
                answer = await ask(client, operation, url, **request)
                assert comparable(answer, theirs) == comparable(unknown, nothing)

    @pytest.mark.skipif("/v1/responses" not in CONTRACT["paths"], reason="responses are recorded at /v1/responses")
    async def test_nothing_is_recorded_for_their_clients(self, running: Service, foreign: dict[str, str]) -> None:
        nothing = str(uuid.uuid4())
        async with running.client("ehr", organisation=HERE) as client:
            unknown = await client.post("/v1/responses", **recording(nothing))
            answer = await client.post("/v1/responses", **recording(foreign["client_id"]))
        assert unknown.status_code in (404, 422)
        assert comparable(answer, foreign["client_id"]) == comparable(unknown, nothing)


def comparable(answer: httpx.Response, *asked: str) -> tuple[object, ...]:
    """All of an answer but what names the request."""
    assert not any(one in answer.text for one in asked)
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, answer.json() | {"instance": None}, headers
