"""The right of access: one client's whole record, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import asyncpg
import pypdfium2
import pytest
from fastapi import FastAPI

from api.catalogue.library import Shelf
from api.exports import pdf, record
from api.exports.columns import OMITTED, plan_of
from api.tables import CLIENT_TABLES
from instruments import load
from tests.api.people import People, problem, web
from tests.conftest import Tenant
from tests.exports.practice import ALERTED, EXTERNAL_ID, GOAL, NOTE, REASON, Practice, filled, lived


def path(client_id: str, suffix: str = "") -> str:
    return f"/v1/clients/{client_id}/record{suffix}"


async def read(people: People, client_id: str) -> dict[str, Any]:
    answer = await people.ehr.http.get(path(client_id))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def printed(data: bytes) -> tuple[str, int]:
    """What can be read on the pages, in one line, and how many there are."""
    with pypdfium2.PdfDocument(data) as document:
        texts = []
        for page in document:
            texts.append(page.get_textpage().get_text_bounded())
        return " ".join(" ".join(texts).split()), len(texts)


@pytest.fixture
async def practice(people: People, tenant: Tenant, service: asyncpg.Connection) -> Practice:
    made = await lived(people)
    await filled(service, tenant, made)
    return made


async def test_every_table_with_rows_of_clients_is_in_it_or_stands_with_a_reason(
    people: People, practice: Practice
) -> None:
    assert set(CLIENT_TABLES) == record.MEMBERS.keys() | record.NOT_IN_RECORD.keys()
    assert not record.MEMBERS.keys() & record.NOT_IN_RECORD.keys()
    found = await read(people, practice.client)
    for table, member in record.MEMBERS.items():
        rows = [found[member]] if table == "client" else found[member]
        assert rows, f"{table} has no row of the client in the record"
        hidden = {"couple_member": {"couple_id"}, "goal": {"words"}}.get(table, set())
        assert set(plan_of(table).members) - hidden <= rows[0].keys(), table


async def test_it_says_what_was_said_opened_and_with_what_it_rests_on(people: People, practice: Practice) -> None:
    found = await read(people, practice.client)
    assert found["client"]["external_id"] == EXTERNAL_ID
    assert found["client_id"] == found["client"]["id"] == practice.client
    assert found["goals"][0]["wording"] == GOAL
    assert found["assignments"][0]["note"] == NOTE
    assert {one["reason"] for one in found["corrections"]} == {REASON, "Sentinel: a trial"}
    assert found["alert_acknowledgements"][0]["note"] == ALERTED
    versions = [one for one in found["responses"] if practice.response in (one["id"], one["root_id"])]
    assert [(one["revision"], one["answers"]["1"]) for one in versions] == [(1, 5), (2, 3)]
    checksum = load("fsfi").checksum
    for one in versions:
        assert (one["instrument"], one["instrument_version"], one["definition_checksum"]) == ("fsfi", 1, checksum)
        assert one["document"]["provenance"]["definition"] == checksum
        scores = {score["scale"]: score["value"] for score in found["scores"] if score["response_id"] == one["id"]}
        assert scores == {name: score["value"] for name, score in one["document"]["scores"].items()}


async def test_nothing_of_the_partner_is_in_it(people: People, practice: Practice, app: FastAPI) -> None:
    await people.ehr.http.get(f"/v1/clients/{practice.partner}")
    await people.ehr.http.get(f"/v1/couples/{practice.couple}")
    answer = await people.ehr.http.get(path(practice.client))
    partner = (await people.ehr.http.get(path(practice.partner))).json()
    for foreign in (practice.partner, practice.couple, EXTERNAL_ID + "-partner"):
        assert foreign not in answer.text
    own = answer.json()
    for member in (set(own) & set(partner)) - {"form", "client_id", "written_at", "client", "seen"}:
        ids = [{row["id"] for row in one[member] if row.get("id")} for one in (own, partner)]
        assert not ids[0] & ids[1], member
    assert [one["given"] for one in own["couple_consents"]] == [True]
    assert [one["given"] for one in partner["couple_consents"]] == [False]
    assert all(row[name] is None for row in own["seen"] if row["resource"] == "couple" for name in ["resource_id"])


async def test_it_says_who_has_seen_it_sealed_or_not_and_that_all_was_exported(
    people: People, practice: Practice, app: FastAPI, tenant: Tenant
) -> None:
    async with web(app, tenant.slug, "clinician", "curious") as curious:
        await curious.get(f"/v1/clients/{practice.client}")
        await curious.get(f"/v1/clients/{practice.partner}")
    exported = await people.admin.http.post("/v1/exports", json={"plain": True})
    assert exported.status_code == 200
    seen = (await read(people, practice.client))["seen"]
    done = [(one["subject"], one["action"], one["resource"]) for one in seen]
    assert done.count(("curious", "read", "client")) == 1
    assert done.count(("ehr-1", "read-record", "client")) == 1
    assert done.count(("admin-1", "export", "organisation")) == 1
    again = (await read(people, practice.client))["seen"]
    assert len(again) == len(seen) + 1
    assert all(one["resource_id"] != practice.partner for one in again)


async def test_who_may_not_have_it(people: People, practice: Practice) -> None:
    for suffix in ("", ".pdf"):
        problem(await people.researcher.http.get(path(practice.client, suffix)), 403, "forbidden")
        problem(await people.elsewhere.http.get(path(practice.client, suffix)), 404, "not-found")
        problem(await people.ehr.http.get(path(str(uuid.uuid4()), suffix)), 404, "not-found")
        problem(await people.ehr.http.get(path("nobody", suffix)), 422, "request-invalid")
    trail = (await people.admin.http.get("/v1/audit?action=read-record&outcome=not-found")).json()["items"]
    assert len(trail) == 2


async def test_a_record_that_is_too_large_is_refused_with_a_reason(
    people: People, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "LARGEST", 5_000)
    problem(await people.ehr.http.get(path(practice.client)), 422, "record-too-large")


async def test_a_client_of_whom_nothing_is_known_has_a_record(people: People) -> None:
    client = await people.ehr.client()
    found = await read(people, client)
    assert found["client"]["external_id"] is None
    assert found["responses"] == []
    answer = await people.ehr.http.get(path(client, ".pdf"))
    assert "About you" in printed(answer.content)[0]


async def test_on_paper_it_is_in_plain_words_with_numbered_pages(people: People, practice: Practice) -> None:
    answer = await people.ehr.http.get(path(practice.client, ".pdf"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    text, pages = printed(answer.content)
    for number in range(1, pages + 1):
        assert f"Page {number} of {pages}" in text
    for words in (EXTERNAL_ID, GOAL, NOTE, REASON, ALERTED, "Female Sexual Function Index, 1 March 2026"):
        assert words in text
    for words in (
        "how often desire was felt",
        "This no longer counts",
        "2 to 36",
        "You agreed",
        "read record",
        "planned for you",
        "worked out again",
    ):
        assert words in text
    for clumsy in ("None", "True", "{", "null", "not_applicable", practice.partner, practice.couple):
        assert clumsy not in text.replace("None of those asked about", ""), clumsy


async def test_words_of_any_script_are_on_paper(people: People, practice: Practice) -> None:
    found = await read(people, practice.client)
    found["goals"][0]["wording"] = "Večer Ελλάδα Юлия ערב مساء सप्ताह 一緒の夜"
    text, _ = printed(await asyncio.to_thread(pdf.written, found, Shelf({})))
    for words in ("Večer", "Ελλάδα", "Юлия", "一緒の夜"):
        assert words in text
    assert any("\u0900" <= char <= "\u097f" for char in text)
    assert any("\u0590" <= char <= "\u05ff" for char in text)


async def test_what_no_part_is_about_is_printed_too(people: People, practice: Practice) -> None:
    found = await read(people, practice.client)
    found["forgotten_things"] = [{"id": "x", "colour": "sentinel-green", "noted_at": found["written_at"]}]
    text, _ = printed(pdf.written(found, Shelf({})))
    assert "Forgotten things" in text
    assert "sentinel-green" in text


def test_what_is_kept_of_a_key_is_in_no_record() -> None:
    assert {("client", "key_wrapped"), ("client", "external_id_hash")} <= OMITTED.keys()
    assert "key_wrapped" not in json.dumps(plan_of("client").members)
