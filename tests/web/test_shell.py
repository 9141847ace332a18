"""What every answer has in common: problems, headers, request ids, log lines, metrics; and what none may contain."""

from __future__ import annotations

import gc
import io
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

import api.logging
from api.problems import MEDIA_TYPE, Problem, catalogue
from tests.web.probe import SENTINEL, Probe

THING = "/v1/things/00000000-0000-0000-0000-000000000001"


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The log lines written since the last call, as objects; every line has to be one."""
    written = io.BytesIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with io.TextIOWrapper(written, write_through=True) as stream:
        api.logging.configure("info", stream)

        def read() -> list[dict[str, Any]]:
            text = written.getvalue()
            written.seek(0)
            written.truncate()
            return [json.loads(line) for line in text.splitlines()]

        yield read
        structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


class TestProblems:
    async def test_no_token(self, stranger: httpx.AsyncClient) -> None:
        answer = await stranger.get(THING)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="fathomline"'
        assert answer.json() == {
            "type": "/problems/unauthenticated",
            "title": "A valid bearer token is needed",
            "status": 401,
            "detail": "Send the token as: Authorization: Bearer <token>",
            "instance": f"urn:fathomline:request:{answer.headers['x-request-id']}",
        }

    async def test_wrong_role(self, probe: Probe) -> None:
        async with probe.client(**probe.bearer("researcher")) as client:
            answer = await client.get(THING)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
        assert answer.json()["detail"] == "The role 'researcher' does not have the scope 'clients:read'."

    @pytest.mark.parametrize("path", ["/", "/nope", "/v1/nope", "/v1/things/", "/docs", "/redoc", "/problems/nope"])
    async def test_unknown_path(self, clinician: httpx.AsyncClient, path: str) -> None:
        answer = await clinician.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [("DELETE", "/v1/things", "GET, POST"), ("PATCH", THING, "GET, PUT"), ("POST", "/metrics", "GET")],
    )
    async def test_wrong_method(self, clinician: httpx.AsyncClient, method: str, path: str, allowed: str) -> None:
        answer = await clinician.request(method, path)
        assert (answer.status_code, answer.json()["type"]) == (405, "/problems/method-not-allowed")
        assert answer.headers["allow"] == allowed

    async def test_status_of_the_framework(self, stranger: httpx.AsyncClient) -> None:
        answer = await stranger.get("/fails/status")
        assert answer.status_code == 418
        assert {name: answer.json()[name] for name in ("type", "title", "status")} == {
            "type": "about:blank",
            "title": "I'm a Teapot",
            "status": 418,
        }

    async def test_database_gone(self, stranger: httpx.AsyncClient) -> None:
        answer = await stranger.get("/fails/connection")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/service-unavailable")
        assert answer.headers["retry-after"] == "5"

    async def test_nobody_foresaw(self, stranger: httpx.AsyncClient) -> None:
        answer = await stranger.get("/fails/somehow")
        assert answer.status_code == 500
        assert answer.json() == {
            "type": "/problems/internal-error",
            "title": "The service failed",
            "status": 500,
            "instance": f"urn:fathomline:request:{answer.headers['x-request-id']}",
        }

    async def test_half_an_answer_is_cut_off(self, probe: Probe) -> None:
        transport = httpx.ASGITransport(app=probe.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            with pytest.raises(ValueError, match=SENTINEL):  # the server sees it and closes the connection
                await client.get("/fails/midway")

    async def test_too_many_requests(self, tmp_path: Any) -> None:
        probe = Probe(tmp_path, rate_limit=0.01, rate_burst=2)
        async with probe.client(**probe.bearer()) as client:
            assert [(await client.get("/v1/things")).status_code for _ in range(2)] == [200, 200]
            answer = await client.get("/v1/things")
            assert (answer.status_code, answer.json()["type"]) == (429, "/problems/too-many-requests")
            assert 95 <= int(answer.headers["retry-after"]) <= 100
            assert (await client.post("/v1/things", json={"name": "a"})).status_code == 429
            assert (await client.get("/health/live")).status_code == 200


class TestFaults:
    async def test_every_fault_by_pointer_and_none_quoted(self, clinician: httpx.AsyncClient) -> None:
        body = {
            "answers": {"1": SENTINEL, "a/b": SENTINEL},
            "ids": [str(uuid.UUID(int=1)), SENTINEL],
            "one": {"kind": "small", "size": SENTINEL, "more": SENTINEL},
            "either": SENTINEL,
            "surname": SENTINEL,
        }
        answer = await clinician.post("/v1/things", json=body)
        assert answer.status_code == 422
        assert SENTINEL not in answer.text
        assert sorted({(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]}) == [
            ("/answers/1", "int-parsing"),
            ("/answers/a~1b", "int-parsing"),
            ("/either", "bool-parsing"),
            ("/either", "int-parsing"),
            ("/ids/1", "uuid-parsing"),
            ("/name", "missing"),
            ("/one/more", "extra-forbidden"),
            ("/one/size", "int-parsing"),
            ("/surname", "extra-forbidden"),
        ]
        details = {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}
        assert details["/ids/1"] == "has to be a UUID", "pydantic's own words quote a character of what was sent"

    @pytest.mark.parametrize(
        ("body", "pointer", "code"),
        [
            ({"name": SENTINEL * 5}, "/name", "string-too-long"),
            ({"name": "a", "one": {"kind": SENTINEL}}, "/one", "union-tag-invalid"),
            ({"name": "a", "one": {}}, "/one", "union-tag-not-found"),
            ({"name": "a", "one": {"kind": "large"}}, "/one/id", "missing"),
            ({"name": "a", "one": {"kind": "large", "id": SENTINEL}}, "/one/id", "uuid-parsing"),
            ([SENTINEL], "", "model-attributes-type"),
            (SENTINEL, "", "model-attributes-type"),
        ],
    )
    async def test_of_the_body(self, clinician: httpx.AsyncClient, body: object, pointer: str, code: str) -> None:
        answer = await clinician.post("/v1/things", json=body)
        assert answer.status_code == 422
        assert SENTINEL not in answer.text
        assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [(pointer, code)]

    async def test_of_parameters(self, clinician: httpx.AsyncClient) -> None:
        query = await clinician.get("/v1/things", params={"limit": SENTINEL})
        path = await clinician.get(f"/v1/things/{SENTINEL}")
        assert SENTINEL not in query.text + path.text
        found = [answer.json()["errors"][0] for answer in (query, path)]
        assert [(fault["parameter"], fault["in"], fault["code"]) for fault in found] == [
            ("limit", "query", "int-parsing"),
            ("thing_id", "path", "uuid-parsing"),
        ]
        assert all("pointer" not in fault for fault in found)

    async def test_at_most_a_hundred(self, clinician: httpx.AsyncClient) -> None:
        body = {"name": "a", "answers": {str(at): SENTINEL for at in range(250)}}
        found = (await clinician.post("/v1/things", json=body)).json()
        assert (len(found["errors"]), found["errors_total"]) == (100, 250)


class TestHeaders:
    @pytest.mark.parametrize("path", ["/health/live", "/metrics", "/openapi.json", "/nope", "/fails/x", THING])
    async def test_on_every_answer(self, stranger: httpx.AsyncClient, path: str) -> None:
        headers = (await stranger.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["referrer-policy"] == "no-referrer"
        assert re.fullmatch(r"[0-9a-f]{32}", headers["x-request-id"])

    async def test_callers_request_id_is_kept(self, stranger: httpx.AsyncClient) -> None:
        answer = await stranger.get("/nope", headers={"X-Request-Id": "visit.2026-11_a"})
        assert answer.headers["x-request-id"] == "visit.2026-11_a"
        assert answer.json()["instance"] == "urn:fathomline:request:visit.2026-11_a"

    @pytest.mark.parametrize(
        "given", ["short", "a" * 65, 'a"quote-id', "spaces in it", "-leading-hyphen", "ünicode-ids"]
    )
    async def test_unfit_request_id_is_replaced(self, stranger: httpx.AsyncClient, given: str) -> None:
        answer = await stranger.get("/nope", headers=[(b"x-request-id", given.encode("latin-1"))])
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


class TestLog:
    async def test_one_line_a_request(self, probe: Probe, lines: Lines) -> None:
        async with probe.client(**probe.bearer()) as client:
            answer = await client.get(f"/v1/things/{uuid.uuid4()}", params={"q": SENTINEL})
        assert answer.status_code == 200
        (line,) = [line for line in lines() if line["event"] == "request"]
        assert line.pop("milliseconds") > 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
        assert line == {
            "event": "request",
            "level": "info",
            "method": "GET",
            "route": "/v1/things/{thing_id}",
            "status": 200,
            "request_id": answer.headers["x-request-id"],
            "organisation": "demo",
            "role": "clinician",
        }

    async def test_nothing_of_the_request_is_in_it(self, probe: Probe, lines: Lines) -> None:
        token = probe.bearer()
        async with probe.client(**token) as client:
            for method, path in (
                ("GET", f"/{SENTINEL}"),
                ("GET", f"/v1/things/{SENTINEL}?q={SENTINEL}"),
                ("GET", f"/v1/things?limit={SENTINEL}"),
                (SENTINEL, "/v1/things"),
                ("GET", "/fails/somehow"),
                ("GET", "/fails/connection"),
            ):
                await client.request(method, path, headers={"Cookie": SENTINEL, "X-Request-Id": f"! {SENTINEL}"})
            await client.post("/v1/things", json={"name": SENTINEL, SENTINEL: SENTINEL})
            await client.post("/v1/things", json={"name": SENTINEL})
            await client.get(THING, headers={"Authorization": f"Bearer {SENTINEL}"})
        text = json.dumps(written := lines())
        assert len([line for line in written if line["event"] == "request"]) == 9
        assert SENTINEL not in text
        assert token["Authorization"].removeprefix("Bearer ") not in text

    async def test_failure_says_where_and_not_what(self, stranger: httpx.AsyncClient, lines: Lines) -> None:
        answer = await stranger.get("/fails/somehow")
        failed, request = lines()
        assert failed["event"] == "failed"
        assert failed["level"] == "error"
        assert failed["request_id"] == request["request_id"] == answer.headers["x-request-id"]
        assert failed["exceptions"] == ["builtins.ValueError", "builtins.KeyError"]
        assert failed["places"][0].startswith("fail ")
        assert request["status"] == 500

    async def test_probes_of_machines_are_not_logged(self, stranger: httpx.AsyncClient, lines: Lines) -> None:
        await stranger.get("/health/live")
        await stranger.get("/metrics")
        assert lines() == []
        await stranger.post("/metrics")
        assert [line["status"] for line in lines()] == [405]

    def test_libraries_write_objects_too_and_no_exception_texts(self, lines: Lines) -> None:
        try:
            raise ValueError(SENTINEL)
        except ValueError:
            logging.getLogger("some.library").exception("it %s", "failed")
        logging.getLogger("httpx").info("GET https://issuer.example/?q=%s", SENTINEL)
        logging.getLogger("uvicorn.access").info(SENTINEL)
        (line,) = lines()
        assert (line["event"], line["exceptions"]) == ("it failed", ["builtins.ValueError"])


class TestMetrics:
    async def test_counts_by_route(self, own_probe: Probe) -> None:
        async with own_probe.client(**own_probe.bearer()) as client:
            for _ in range(3):
                await client.get(f"/v1/things/{uuid.uuid4()}")
            await client.get(f"/{SENTINEL}")
            await client.request(SENTINEL, "/v1/things")
            text = (await client.get("/metrics")).text
        assert SENTINEL not in text
        found = {
            (sample.name, sample.labels.get("method"), sample.labels.get("route"), sample.labels.get("status")): sample
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        route = "/v1/things/{thing_id}"
        assert found["fathomline_requests_total", "GET", route, "200"].value == 3
        assert found["fathomline_request_seconds_count", "GET", route, None].value == 3
        assert found["fathomline_requests_total", "GET", "unmatched", "404"].value == 1
        assert found["fathomline_requests_total", "other", "/v1/things", "405"].value == 1
        assert found["fathomline_requests_running", None, None, None].value == 1

    async def test_invented_methods_leave_no_trace(self, own_probe: Probe) -> None:
        async with own_probe.client() as client:
            for at in range(50):
                await client.request(f"M{at}", "/v1/things")
        assert len(own_probe.app.state.metrics._children) == 0


class TestPages:
    @pytest.mark.parametrize("slug", sorted(catalogue()))
    async def test_type_of_every_problem_resolves(self, stranger: httpx.AsyncClient, slug: str) -> None:
        kind = catalogue()[slug]
        answer = await stranger.get(kind.type_uri())
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        title, *_ = answer.text.splitlines()
        assert title == f"# {kind.title}"
        assert f"- Type: `{kind.type_uri()}`" in answer.text
        assert f"- Status: {kind.status}" in answer.text

    @pytest.mark.parametrize("slug", ["..", "../settings", "%2e%2e%2fsettings", "not-found.md", "a" * 65, ""])
    async def test_nothing_else_is_served(self, stranger: httpx.AsyncClient, slug: str) -> None:
        assert (await stranger.get(f"/problems/{slug}")).status_code in (404, 422)

    async def test_without_the_docs_folder(
        self, stranger: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        monkeypatch.setattr("api.health.router.PAGES", tmp_path)
        assert (await stranger.get("/problems/not-found")).text.startswith("# There is no such thing here")


async def test_development_key_is_published_without_its_secret(own_probe: Probe) -> None:
    async with own_probe.client() as client:
        (key,) = (await client.get("/.well-known/jwks.json")).json()["keys"]
        assert sorted(key) == ["alg", "crv", "kid", "kty", "use", "x", "y"]
        own_probe.app.state.development_issuer = None
        assert (await client.get("/.well-known/jwks.json")).json() == {"keys": []}


def test_problem_without_a_slug_of_its_own_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def kinds() -> list[type[Problem]]:
        return [type("Twin", (Problem,), {"slug": "twin"}), type("Twin", (Problem,), {"slug": "twin"})]

    made = kinds()
    try:
        with pytest.raises(TypeError, match="slug of its own"):
            catalogue()
    finally:
        made.clear()
        gc.collect()
    assert "twin" not in catalogue()


def test_media_type() -> None:
    answer = catalogue()["not-found"]().response("an-id-of-a-request")
    assert answer.media_type == MEDIA_TYPE
