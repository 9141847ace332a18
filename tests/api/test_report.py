"""The report of a client: two pages at most, whatever there is, in plain words and nobody else's."""

from __future__ import annotations

import io
import os
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pypdfium2
import pytest

import instruments
from api.alerts.raising import meaning_of_worsening
from api.alerts.schemas import KeptAlert
from api.assignments.schemas import Adherence, AssignmentRead, TallyRead
from api.goals.schemas import GoalProgress
from api.report.gathering import Contents, joined
from api.report.sheet import written
from scoring.phrases import language
from tests.api.people import People, Person, faults, problem
from tests.api.test_progress import all_answers, answered
from tests.web.test_contract import REFERENCE

KEPT = os.environ.get("REPORTS_KEPT")
"""A folder that the pages are put into, to be looked at."""


async def printed(person: Person, client_id: str, **query: Any) -> bytes:
    answer = await person.http.get(f"/v1/clients/{client_id}/report.pdf", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["cache-control"] == "no-store"
    return answer.content


def pages(data: bytes, name: str = "") -> list[str]:
    """The text of each page."""
    with pypdfium2.PdfDocument(io.BytesIO(data)) as document:
        if KEPT:
            for number, page in enumerate(document):
                page.render(scale=1.3).to_pil().save(Path(KEPT) / f"{name}-{number + 1}.png")
        return [page.get_textpage().get_text_bounded().replace("\r\n", "\n") for page in document]


def flat(data: bytes, name: str = "") -> str:
    return " ".join(" ".join(pages(data, name)).split())


async def set_goals(person: Person, client_id: str, number: int, *, long: bool = False) -> None:
    levels = ["much less", "less", "as expected", "more", "much more"]
    for place in range(number):
        wording = f"Goal of talk {place + 1}" + (" which is told at great length" * 30 if long else "")
        body: dict[str, Any] = {"wording": wording, "set_on": "2026-01-05"}
        body |= (
            {"kind": "target", "target": 8, "baseline": 2}
            if place % 2
            else {"kind": "levels", "levels": levels, "baseline": -2, "weight": 2}
        )
        made = await person.http.post(f"/v1/clients/{client_id}/goals", json=body)
        assert made.status_code == 201, made.text
        rating = {"value": 8 if place % 2 else 0, "rated_on": "2026-02-05"}
        path = f"/v1/clients/{client_id}/goals/{made.json()['id']}/ratings"
        assert (await person.http.post(path, json=rating)).status_code == 201


async def set_work(person: Person, client_id: str, number: int) -> None:
    for place in range(number):
        body = {"kind": "sensate-focus", "set_on": "2026-01-12", "due_on": "2026-01-19", "note": f"step {place + 1}"}
        made = await person.http.post(f"/v1/clients/{client_id}/assignments", json=body)
        assert made.status_code == 201, made.text
        if place % 2:
            path = f"/v1/clients/{client_id}/assignments/{made.json()['id']}/completions"
            done = {"outcome": "done", "completed_on": "2026-01-18"}
            assert (await person.http.post(path, json=done)).status_code == 201


async def fill_in_everything(person: Person, client_id: str) -> None:
    """All instruments, twice, and as much as anybody would write."""
    catalogue = instruments.catalogue()
    for code in catalogue.codes:
        for pick in (0, -1):
            answers = {item.id: item.substantive[pick] for item in catalogue.get(code).items}
            await answered(person, client_id, (30 + 28 * pick, answers), instrument=code)


async def test_nothing_yet(ehr: Person) -> None:
    data = await printed(ehr, await ehr.client())
    assert len(pages(data, "nothing")) == 1
    said = flat(data)
    for words in (
        "Report for the session",
        "No questionnaire has been answered yet.",
        "No goal is pursued.",
        "No work has been set.",
        "Nothing is due.",
    ):
        assert words in said
    assert "Open alerts" not in said


async def test_little(ehr: Person) -> None:
    client_id = await ehr.client(external_id="Akte-4711")
    await answered(ehr, client_id, (0, all_answers(2)), (28, all_answers(5)))
    await answered(ehr, client_id, (28, {str(item): 1 for item in range(1, 10)}), instrument="phq-9")
    await set_goals(ehr, client_id, 2)
    await set_work(ehr, client_id, 3)
    data = await printed(ehr, client_id)
    assert len(pages(data, "little")) == 1
    said = flat(data)
    for words in (
        client_id,
        "Akte-4711",
        "Open alerts",
        "recovered",
        "error alone gives a change this large",
        "Goal of talk 1: level 0",
        "Goal of talk 2: 8 of 10, target 8, at the start 2, reached",
        "(step 1): to be done by 19 Jan 2026",
        "(step 2): done on 18 Jan 2026",
        "doi:10.",
        "figures derived",
    ):
        assert words in said, words
    assert "more are not shown" not in said


async def test_much_is_cut_to_two_pages_and_how_much_is_said(ehr: Person) -> None:
    client_id = await ehr.client()
    await fill_in_everything(ehr, client_id)
    await set_goals(ehr, client_id, 30, long=True)
    await set_work(ehr, client_id, 30)
    data = await printed(ehr, client_id)
    found = pages(data, "much")
    assert len(found) == 2
    assert sum(text.count("more are not shown here") for text in found) >= 4
    said = flat(data)
    for part in (
        "Open alerts",
        "Where the client stands",
        "Goals",
        "Work between sessions",
        "What is due",
        "What this rests on",
    ):
        assert part in said, part
    assert "no diagnosis and no forecast" in said
    worst, best = said.find("worse"), said.find("recovered")
    assert worst > 0
    assert best == -1 or worst < best, "who got worse is told first"


async def test_language(ehr: Person) -> None:
    client_id = await ehr.client()
    await answered(ehr, client_id, (0, all_answers(2)), (28, all_answers(5)))
    data = await printed(ehr, client_id, language="de")
    said = flat(data, "german")
    assert "Bericht für die Sitzung" in said
    assert "Genesen: " in said
    assert "noch niemand geprüft" in said
    pages(data, "german")


async def test_can_be_read_aloud(ehr: Person) -> None:
    """Language, title, an outline, and words for each picture."""
    client_id = await ehr.client()
    await answered(ehr, client_id, (0, all_answers(2)), (28, all_answers(5)))
    data = await printed(ehr, client_id, language="de")
    with pypdfium2.PdfDocument(io.BytesIO(data)) as document:
        assert document.get_metadata_dict()["Title"] == "Bericht für die Sitzung"
        assert next(iter(document.get_toc())).get_title() == "Wo die Person steht"
    assert b"/Lang (de)" in data
    assert b"/StructTreeRoot" in data
    assert b"/Alt" in data
    assert b"/DisplayDocTitle true" in data


async def test_other_scripts_are_no_empty_boxes(ehr: Person) -> None:
    client_id = await ehr.client()
    await set_goals(ehr, client_id, 1)
    body = {"kind": "target", "wording": "もっと話す العربية", "target": 8, "baseline": 2, "set_on": "2026-01-05"}
    assert (await ehr.http.post(f"/v1/clients/{client_id}/goals", json=body)).status_code == 201
    assert "もっと話す" in flat(await printed(ehr, client_id), "scripts")


async def test_a_text_does_not_turn_round_what_is_said_of_it(ehr: Person) -> None:
    client_id = await ehr.client()
    body = {"kind": "target", "wording": "\u202etalk", "target": 8, "baseline": 2, "set_on": "2026-01-05"}
    assert (await ehr.http.post(f"/v1/clients/{client_id}/goals", json=body)).status_code == 201
    assert "1. talk: not rated yet" in flat(await printed(ehr, client_id))


async def test_what_was_expected_rests_on_is_said(people: People) -> None:
    made = await people.admin.http.post("/v1/references", json=REFERENCE | {"source": "made up for a test"})
    assert made.status_code == 202, made.text
    assert (await people.admin.http.post(f"/v1/references/{made.json()['id']}/activate")).status_code == 200
    client_id = await people.ehr.client()
    fixed = {str(item): 1 for item in range(1, 10)}
    await answered(people.ehr, client_id, (0, fixed), (28, fixed), instrument=REFERENCE["instrument"])
    assert flat(await printed(people.ehr, client_id)).count("Expected courses: made up for a test") == 1


async def test_nothing_of_others(ehr: Person) -> None:
    one, other = await ehr.client(), await ehr.client(external_id="other-4712")
    await set_goals(ehr, other, 1)
    await answered(ehr, other, (0, all_answers(2)))
    said = flat(await printed(ehr, one))
    assert other not in said
    assert "4712" not in said
    assert "Goal of talk" not in said


async def test_refused(people: People, stranger: httpx.AsyncClient) -> None:
    client_id = await people.ehr.client()
    path = f"/v1/clients/{client_id}/report.pdf"
    problem(await stranger.get(path), 401, "unauthenticated")
    problem(await people.researcher.http.get(path), 403, "forbidden")
    problem(await people.elsewhere.http.get(path), 404, "not-found")
    problem(await people.ehr.http.get(f"/v1/clients/{uuid.uuid4()}/report.pdf"), 404, "not-found")
    assert faults(await people.ehr.http.get(path, params={"language": "tlh"})) == [("language", "unknown-language")]
    assert faults(await people.ehr.http.get(path, params={"width": "640"})) == [("width", "extra-forbidden")]


async def test_trail(ehr: Person, superuser: asyncpg.Connection) -> None:
    client_id = await ehr.client()
    request_id = uuid.uuid4().hex
    answer = await ehr.http.get(f"/v1/clients/{client_id}/report.pdf", headers={"X-Request-Id": request_id})
    assert answer.status_code == 200
    rows = await superuser.fetch(
        "select action, resource_id, outcome from audit_event where request_id = $1", request_id
    )
    actions = {row["action"] for row in rows}
    assert {"read-report", "list-goals", "list-assignments", "list-alerts"} <= actions
    assert {str(row["resource_id"]) for row in rows} == {client_id}


@pytest.mark.parametrize("rows", range(43, 47))
def test_a_heading_is_on_the_page_of_what_it_is_of(rows: int) -> None:
    """Wherever the foot of the page comes to lie."""
    at, day = datetime(2026, 1, 5, tzinfo=UTC), date(2026, 1, 5)
    work = [
        AssignmentRead(
            id=uuid.uuid4(), client_id=uuid.uuid4(), kind="sensate-focus", set_on=day, due_on=day, withdrawn_on=None,
            note=f"step {number}", completion=None, created_at=at, updated_at=at, version=1,
        )
        for number in range(rows)
    ]  # fmt: skip
    nothing = dict.fromkeys(("set", "done", "partly", "not_done", "overdue", "open", "late", "withdrawn", "minutes"), 0)
    tally = TallyRead(**nothing, rate=None, rate_with_partly=None)
    contents = Contents(
        client_id=uuid.uuid4(), external_id=None, day=day, scales=(), more_scales=0, without_definition=(), alerts=(),
        more_alerts=False, goals=(), goal_progress=GoalProgress.model_construct(attainment=[], goals=[]), work=work,
        adherence=Adherence(client_id=uuid.uuid4(), weeks=[], total=tally),
        due=[{"instrument": "fsfi", "status": "due", "due_on": day}], more_due=False, names={},
    )  # fmt: skip
    found = pages(written(contents, language("en")))
    assert "".join(found).count("What is due") == 1
    assert [("What is due" in text) for text in found] == [("due on 5 Jan 2026" in text) for text in found]
    assert "".join(found).count("(step ") == rows


def test_scales_that_one_form_raises_alerts_of_are_one_row() -> None:
    def alert(meaning: str | None, response: int, kind: str = "worsening") -> KeptAlert:
        response_id = uuid.UUID(int=response)
        return KeptAlert.model_construct(id=uuid.uuid4(), response_id=response_id, kind=kind, meaning=meaning)

    worse = [meaning_of_worsening(name) for name in ("Desire", "Pain", "Total: all")]
    given = [alert(worse[0], 1), alert("risk: talk", 1, "answers"), alert(worse[1], 2), alert(worse[2], 1)]
    given += [alert("risk: talk", 1, "answers"), alert(None, 1)]
    assert [(one.response_id.int, meaning) for one, meaning in joined(given)] == [
        (1, meaning_of_worsening("Desire, Total: all")),
        (1, "risk: talk"),
        (2, worse[1]),
        (1, "risk: talk"),
        (1, None),
    ]
