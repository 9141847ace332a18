"""Files that come in parts, break off, are too large, or of somebody else; lists, reports and cancelling."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from api.imports import service
from api.settings import Settings
from tests.api.people import faults, problem, web
from tests.conftest import Tenant
from tests.imports.conftest import Importer, wide
from tests.imports.test_imports import body, forms

PARTIAL = {"Content-Type": "application/partial-upload"}


async def part(importer: Importer, path: str, content: bytes, at: int, *, last: bool = False) -> httpx.Response:
    headers = PARTIAL | {"Upload-Offset": str(at), "Upload-Complete": "?1" if last else "?0"}
    return await importer.http.patch(f"{path}/content", content=content, headers=headers)


async def opened(importer: Importer, **parameters: Any) -> str:
    """An import that waits for its file; its path."""
    answer = await importer.send(b"", headers={"Upload-Complete": "?0"}, **parameters)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "uploading"
    return answer.headers["location"]


async def test_a_file_may_come_in_parts(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PART", 64)
    client_id = await importer.person.client()
    content = wide(forms(client_id)).encode()
    path = await opened(importer)
    first = await part(importer, path, content[:1000], 0)
    assert (first.status_code, first.headers["upload-offset"]) == (200, "1000")
    assert first.json()["bytes_received"] == 1000
    last = await part(importer, path, content[1000:], 1000, last=True)
    assert (last.json()["state"], last.json()["bytes_received"]) == ("queued", len(content))
    state = await importer.run(path.rpartition("/")[2])
    assert (state["state"], state["rows"]["written"], state["bytes_read"]) == ("finished", 9, len(content))


async def test_a_part_begins_where_the_upload_stands(importer: Importer) -> None:
    path = await opened(importer)
    await part(importer, path, b"client_id,", 0)
    for at in (0, 9, 11, 1 << 40):
        refused = await part(importer, path, b"answered_at", at)
        assert problem(refused, 409, "upload-conflict")["offset"] == 10
        assert refused.headers["upload-offset"] == "10"
    missing = await importer.http.patch(f"{path}/content", content=b"x", headers=PARTIAL)
    assert faults(missing) == [("upload-offset", "missing")]
    assert (await importer.http.get(path)).headers["upload-offset"] == "10"


async def test_what_came_before_a_connection_broke_is_kept(importer: Importer) -> None:
    path = await opened(importer)
    sent = [b"client_id,answered_at", b",instrument"]

    async def receive() -> dict[str, Any]:
        if sent:
            return {"type": "http.request", "body": sent.pop(0), "more_body": True}
        return {"type": "http.disconnect"}

    async def nobody(message: Any) -> None:
        raise AssertionError(message)

    request = importer.http.build_request("PATCH", f"{path}/content", headers=PARTIAL | {"Upload-Offset": "0"})
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    scope = {
        "type": "http",
        "method": "PATCH",
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": b"",
        "headers": [*headers, (b"transfer-encoding", b"chunked")],
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "client": None,
        "server": None,
    }
    await importer.app(scope, receive, nobody)
    assert (await importer.read(path.rpartition("/")[2]))["bytes_received"] == 32
    again = await part(importer, path, b",x\n", 32, last=True)
    assert again.json()["state"] == "queued"


async def test_a_silent_connection_is_given_up(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BODY_TIMEOUT", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b"client_id,"
        await asyncio.sleep(1)
        yield b"never"

    path = await opened(importer)
    answer = await importer.http.patch(f"{path}/content", content=slow(), headers=PARTIAL | {"Upload-Offset": "0"})
    problem(answer, 408, "request-timeout")
    assert (await importer.read(path.rpartition("/")[2]))["bytes_received"] == 10


@pytest.fixture
def small(app: FastAPI, settings: Settings) -> Iterator[None]:
    """Files have at most 2,000 bytes."""
    app.state.settings = settings.model_copy(update={"import_max_bytes": 2_000})
    yield
    app.state.settings = settings


@pytest.mark.usefixtures("small")
async def test_a_file_that_is_too_large_is_refused(importer: Importer) -> None:
    problem(await importer.send(b"x" * 2_001), 413, "body-too-large")
    path = await opened(importer)
    await part(importer, path, b"x" * 1_500, 0)
    problem(await part(importer, path, b"x" * 501, 1_500), 413, "body-too-large")
    state = await importer.take(gzip.compress(b"a" * 5_000), headers={"Content-Encoding": "gzip"})
    assert (state["state"], state["failure"]["code"]) == ("failed", "grows-too-large")


async def test_larger_bodies_than_elsewhere_pass(importer: Importer, settings: Settings) -> None:
    answer = await importer.send(b"x" * (settings.max_body + 1))
    assert answer.json()["bytes_received"] == settings.max_body + 1


async def test_compressed_files_are_read(importer: Importer) -> None:
    client_id = await importer.person.client()
    content = gzip.compress(wide(forms(client_id)[:4]).encode()) + gzip.compress(b"")
    state = await importer.take(content, headers={"Content-Encoding": "gzip"})
    assert (state["compressed"], state["rows"]["written"], state["bytes_read"]) == (True, 4, len(content))
    broken = await importer.take(content[:100], headers={"Content-Encoding": "gzip"})
    assert (broken["state"], broken["failure"]["code"]) == ("failed", "broken-off")
    other = await importer.take(b"client_id", headers={"Content-Encoding": "gzip"})
    assert other["failure"]["code"] == "not-gzip"


@pytest.mark.parametrize(
    ("parameters", "headers", "status", "slug"),
    [
        ({"format": "xlsx"}, {}, 422, "request-invalid"),
        ({"on_error": "ignore"}, {}, 422, "request-invalid"),
        ({"layout": "long", "format": "ndjson"}, {}, 422, "request-invalid"),
        ({"instrument": "FSFI'"}, {}, 422, "request-invalid"),
        ({"unknown": "1"}, {}, 422, "request-invalid"),
        ({}, {"Upload-Complete": "yes"}, 422, "request-invalid"),
        ({}, {"Content-Type": "application/json"}, 415, "media-type-unsupported"),
        ({}, {"Content-Encoding": "br"}, 415, "media-type-unsupported"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    importer: Importer, parameters: dict[str, Any], headers: dict[str, str], status: int, slug: str
) -> None:
    problem(await importer.send(b"x", headers=headers, **parameters), status, slug)
    assert (await importer.http.get("/v1/imports")).json()["items"] == []


async def test_only_some_roles_import(app: FastAPI, tenant: Tenant) -> None:
    for role in ("clinician", "researcher"):
        async with web(app, tenant.slug, role) as http:
            answer = await http.post("/v1/imports?format=csv", content=b"x", headers={"Content-Type": "text/csv"})
            problem(answer, 403, "forbidden")
            problem(await http.get("/v1/imports"), 403, "forbidden")
    async with web(app, None, None) as http:
        problem(await http.post("/v1/imports?format=csv", content=b"x"), 401, "unauthenticated")


async def test_imports_of_another_organisation_are_unknown(
    importer: Importer, app: FastAPI, other_tenant: Tenant
) -> None:
    path = await opened(importer)
    async with web(app, other_tenant.slug, "ehr") as http:
        assert (await http.get("/v1/imports")).json()["items"] == []
        headers = PARTIAL | {"Upload-Offset": "0"}
        for answer in (
            await http.get(path),
            await http.get(f"{path}/errors"),
            await http.post(f"{path}/cancel"),
            await http.patch(f"{path}/content", content=b"x", headers=headers),
        ):
            problem(answer, 404, "not-found")


async def test_imports_are_listed_by_page(importer: Importer) -> None:
    made = [(await opened(importer)).rpartition("/")[2] for _ in range(3)]
    page = await importer.http.get("/v1/imports", params={"limit": 2})
    assert [item["id"] for item in page.json()["items"]] == made[:0:-1]
    following = await importer.http.get(page.links["next"]["url"])
    assert [item["id"] for item in following.json()["items"]] == made[:1]
    assert following.json()["next"] is None


async def test_an_import_that_has_not_ended_can_be_cancelled(importer: Importer, superuser: asyncpg.Connection) -> None:
    client_id = await importer.person.client()
    sent = (await importer.send(wide([body(client_id)]))).json()
    path = f"/v1/imports/{sent['id']}"
    cancelled = await importer.http.post(f"{path}/cancel")
    assert (cancelled.json()["state"], cancelled.json()["failure"]) == ("cancelled", None)
    query = "select count(*) from import_chunk where organisation_id = $1"
    assert await superuser.fetchval(query, importer.tenant.id) == 0
    assert (await importer.run(sent["id"]))["state"] == "cancelled"
    assert await importer.responses(client_id) == []
    problem(await importer.http.post(f"{path}/cancel"), 409, "import-ended")
    problem(await part(importer, path, b"x", sent["bytes_received"]), 409, "import-ended")


async def test_no_more_imports_are_under_way_than_may_be(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_UNDER_WAY", 1)
    path = await opened(importer)
    problem(await importer.send(b""), 409, "too-many-imports")
    await importer.http.post(f"{path}/cancel")
    assert (await importer.send(b"")).status_code == 202


async def test_the_report_is_csv_or_ndjson_and_names_no_value(importer: Importer) -> None:
    client_id = await importer.person.client()
    state = await importer.take(
        wide([body(client_id, answers={"1": 4711, "2": "secret"}), body("4711", setting="secret")])
    )
    answer = await importer.http.get(f"/v1/imports/{state['id']}/errors", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["faults-total"] == "4"
    rows = answer.text.splitlines()
    assert rows[0] == "row,line,pointer,code,detail"
    assert [row.split(",")[:4] for row in rows[1:3]] == [
        ["1", "2", "/answers/1", "not-an-option"], ["1", "2", "/answers/2", "not-a-number"],
    ]  # fmt: skip
    other = await importer.http.get(f"/v1/imports/{state['id']}/errors")
    assert other.headers["content-type"] == "application/x-ndjson"
    assert len(other.content.splitlines()) == 4
    for report in (answer.text, other.text):
        assert "secret" not in report
        assert "4711" not in report
