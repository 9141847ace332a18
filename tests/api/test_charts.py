"""Pictures over HTTP: their forms, themes and languages, and what is refused."""

from __future__ import annotations

import re
import struct
import uuid
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import httpx
import pypdfium2
import pytest

from tests.api.couples import opened, says
from tests.api.people import People, Person, faults, problem
from tests.api.test_progress import all_answers, answered

FORMS = {
    "vl.json": "application/vnd.vegalite.v6+json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
}
KINDS = {
    "progress": {"instrument": "fsfi"},
    "progress/scales": {},
    "goals/progress": {},
}


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Of a PNG, whose sums are right."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, inner = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + inner)
        yield kind, inner
        at += 12 + length


def told(data: bytes) -> dict[str, str]:
    """What a PNG says of itself."""
    found = {}
    for kind, inner in chunks(data):
        if kind == b"iTXt":
            key, _, rest = inner.partition(b"\0")
            found[key.decode()] = rest[4:].decode()
    return found


def size(data: bytes) -> tuple[int, int]:
    (head,) = [inner for kind, inner in chunks(data) if kind == b"IHDR"]
    return struct.unpack(">II", head[:8])


async def asked(person: Person, client_id: str, kind: str, form: str, **query: Any) -> httpx.Response:
    return await person.http.get(f"/v1/clients/{client_id}/{kind}.{form}", params={**KINDS[kind], **query})


@pytest.fixture
async def treated(ehr: Person) -> str:
    """Somebody with two forms and two goals."""
    client_id = await ehr.client(external_id="record-4711")
    await answered(ehr, client_id, (0, all_answers(2)), (28, all_answers(5)))
    levels = ["much less", "less", "as expected", "more", "much more"]
    common = {"wording": "talk-4711", "set_on": "2026-01-05"}
    for body in (
        {"kind": "levels", "levels": levels, "baseline": -2, "weight": 2},
        {"kind": "target", "target": 8, "baseline": 2},
    ):
        made = await ehr.http.post(f"/v1/clients/{client_id}/goals", json={**common, **body})
        assert made.status_code == 201, made.text
        value = 1 if body["kind"] == "levels" else 8
        path = f"/v1/clients/{client_id}/goals/{made.json()['id']}/ratings"
        assert (await ehr.http.post(path, json={"value": value, "rated_on": "2026-02-05"})).status_code == 201
    return client_id


@pytest.mark.parametrize("kind", KINDS)
class TestForms:
    async def test_all_say_the_same(self, ehr: Person, treated: str, kind: str) -> None:
        found = {form: await asked(ehr, treated, kind, form) for form in FORMS}
        for form, answer in found.items():
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == FORMS[form]
        spec = found["vl.json"].json()
        said, title = spec["description"], " ".join(spec["title"]["text"])
        assert re.match(r"(Recovered|Of \d+ scales|The goals in levels are at T)", said)
        root = ElementTree.fromstring(found["svg"].text)  # noqa: S314  - our own
        assert (root[0].text, root[1].text) == (title, said)
        assert told(found["png"].content) == {"Title": title, "Description": said}
        document = pypdfium2.PdfDocument(found["pdf"].content)
        assert len(document) == 1
        properties = document.get_metadata_dict()
        assert (properties["Title"], properties["Subject"]) == (title, said)
        assert title.split(":")[0] in document[0].get_textpage().get_text_bounded()

    async def test_holds_no_identifier(self, ehr: Person, treated: str, kind: str) -> None:
        for form in ("vl.json", "svg"):
            text = (await asked(ehr, treated, kind, form)).text
            assert "4711" not in text
            assert treated not in text
            assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)

    async def test_nothing_yet(self, ehr: Person, kind: str) -> None:
        spec = (await asked(ehr, await ehr.client(), kind, "vl.json")).json()
        assert spec["description"] in {"No measurement yet.", "No goal has been rated yet."}
        assert (await asked(ehr, await ehr.client(), kind, "png")).status_code == 200

    async def test_look(self, ehr: Person, treated: str, kind: str) -> None:
        plain = (await asked(ehr, treated, kind, "vl.json")).json()
        assert plain["background"] == "#FFFFFF"
        dark = (await asked(ehr, treated, kind, "vl.json", theme="dark")).json()
        assert dark["background"] == "#12171B"
        assert dark["description"] == plain["description"]
        german = (await asked(ehr, treated, kind, "vl.json", language="de")).json()
        assert german["description"] != plain["description"]
        assert german["config"]["locale"]["time"]["shortMonths"][2] == "März"

    async def test_pixels(self, ehr: Person, treated: str, kind: str) -> None:
        coarse, fine = [size((await asked(ehr, treated, kind, "png", width=320, ppi=ppi)).content) for ppi in (72, 216)]
        assert fine == pytest.approx([3 * length for length in coarse], abs=3)
        poster = size((await asked(ehr, treated, kind, "png", width=4800, ppi=72)).content)
        assert poster[0] == pytest.approx(4800, rel=0.1)
        # the usual pixels to the inch would be too many, but nobody asked for them
        assert (await asked(ehr, treated, kind, "vl.json", width=4800)).status_code == 200

    @pytest.mark.parametrize(
        ("query", "fault"),
        [
            ({"width": 319}, ("width", "greater-than-equal")),
            ({"width": 4801}, ("width", "less-than-equal")),
            ({"width": "wide"}, ("width", "int-parsing")),
            ({"theme": "sepia"}, ("theme", "literal-error")),
            ({"language": "tlh"}, ("language", "unknown-language")),
            ({"language": "../en"}, ("language", "unknown-language")),
            ({"ppi": 71}, ("ppi", "greater-than-equal")),
            ({"ppi": 601}, ("ppi", "less-than-equal")),
            ({"width": 4000, "ppi": 300}, ("ppi", "too-large")),
            ({"colour": "red"}, ("colour", "extra-forbidden")),
        ],
    )
    async def test_refused(self, ehr: Person, kind: str, query: dict[str, Any], fault: tuple[str, str]) -> None:
        client_id = str(uuid.uuid4())
        for form in ("png", "vl.json"):
            assert faults(await asked(ehr, client_id, kind, form, **query)) == [fault]

    async def test_who_may_not(self, people: People, stranger: httpx.AsyncClient, kind: str) -> None:
        client_id = await people.ehr.client()
        for form in FORMS:
            path = f"/v1/clients/{client_id}/{kind}.{form}"
            problem(await stranger.get(path, params=KINDS[kind]), 401, "unauthenticated")
            problem(await asked(people.researcher, client_id, kind, form), 403, "forbidden")
            problem(await asked(people.elsewhere, client_id, kind, form), 404, "not-found")


async def test_scales_as_of(ehr: Person, treated: str) -> None:
    spec = (await asked(ehr, treated, "progress/scales", "vl.json", as_of="2020-01-01T00:00:00Z")).json()
    assert spec["description"] == "No measurement yet."
    now = (await asked(ehr, treated, "progress/scales", "vl.json")).json()
    at = datetime.now(UTC).isoformat()
    assert (await asked(ehr, treated, "progress/scales", "vl.json", as_of=at)).json() == now


async def test_scales_of_one_instrument(ehr: Person, treated: str) -> None:
    spec = (await asked(ehr, treated, "progress/scales", "vl.json", instrument="fsfi")).json()
    assert len(spec["concat"]) == 7
    assert spec["title"]["text"] == ["Female Sexual Function Index"]
    assert faults(await asked(ehr, treated, "progress/scales", "svg", instrument="nonsense")) == [
        ("instrument", "unknown-instrument")
    ]


async def test_goals_are_told_by_number(ehr: Person, treated: str) -> None:
    spec = (await asked(ehr, treated, "goals/progress", "vl.json")).json()
    assert spec["description"].endswith("The target from 0 to 10 is reached.")
    assert "goal 2 → 8" in str(spec)


async def test_sessions_are_drawn_by_shape(ehr: Person, treated: str) -> None:
    episode = await ehr.http.post(
        f"/v1/clients/{treated}/episodes", json={"started_on": "2026-01-01", "format": "individual"}
    )
    assert episode.status_code == 201, episode.text
    path = f"/v1/clients/{treated}/episodes/{episode.json()['id']}/sessions"
    for day, modality in (("2026-01-05", "in-person"), ("2026-01-12", "telehealth")):
        body = {"held_at": f"{day}T10:00:00Z", "modality": modality, "attendance": "attended"}
        assert (await ehr.http.post(path, json=body)).status_code == 201
    missed = {"held_at": "2026-01-19T10:00:00Z", "modality": "telehealth", "attendance": "missed"}
    assert (await ehr.http.post(path, json=missed)).status_code == 201
    spec = (await asked(ehr, treated, "progress", "vl.json")).json()
    (ticks,) = [layer for layer in spec["layer"] if layer["mark"]["type"] == "tick"]
    (diamonds,) = [
        layer for layer in spec["layer"] if layer["mark"].get("shape") == "diamond" and not layer["mark"]["filled"]
    ]
    assert [len(layer["data"]["values"]) for layer in (ticks, diamonds)] == [1, 1]


async def test_couple(ehr: Person) -> None:
    couple, clients = await opened(ehr)
    for client_id, start, end in ((clients[0], 2, 5), (clients[1], 4, 4)):
        await answered(ehr, client_id, (0, all_answers(start)), (28, all_answers(end)))
    for form, media_type in FORMS.items():
        answer = await ehr.http.get(f"/v1/couples/{couple}/progress.{form}", params={"instrument": "fsfi"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == media_type
    spec = (await ehr.http.get(f"/v1/couples/{couple}/progress.vl.json", params={"instrument": "fsfi"})).json()
    assert spec["description"].startswith("Partner A: Recovered: ")
    assert " points apart (2 Feb 2026), closer than " in spec["description"]
    assert not [name for name in (*clients, couple) if name in str(spec)]
    for query, fault in (
        ({"instrument": "fsfi", "pair": 2}, ("pair", "no-such-pair")),
        ({"instrument": "fsfi", "pair": 0}, ("pair", "greater-than-equal")),
        ({"instrument": "nonsense"}, ("instrument", "unknown-instrument")),
        ({}, ("instrument", "missing")),
        ({"instrument": "fsfi", "theme": "sepia"}, ("theme", "literal-error")),
    ):
        assert faults(await ehr.http.get(f"/v1/couples/{couple}/progress.svg", params=query)) == [fault]
    await says(ehr, clients[1], couple, False)
    closed = await ehr.http.get(f"/v1/couples/{couple}/progress.svg", params={"instrument": "fsfi"})
    problem(closed, 403, "joint-view-closed")


async def test_couple_of_whom_one_has_not_answered(ehr: Person) -> None:
    couple, clients = await opened(ehr)
    await answered(ehr, clients[0], (0, all_answers(2)))
    answer = await ehr.http.get(f"/v1/couples/{couple}/progress.vl.json", params={"instrument": "fsfi"})
    assert answer.json()["description"].endswith(
        "Partner B: No measurement yet. There is no day on which both can be compared."
    )


async def test_caseload(people: People, treated: str) -> None:
    body = {"started_on": "2026-01-01", "format": "individual", "clinician": "clinician-77"}
    made = await people.ehr.http.post(f"/v1/clients/{treated}/episodes", json=body)
    assert made.status_code == 201, made.text
    for form, media_type in FORMS.items():
        answer = await people.ehr.http.get(f"/v1/caseload.{form}", params={"clinician": "clinician-77"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == media_type
    spec = (await people.ehr.http.get("/v1/caseload.vl.json", params={"clinician": "clinician-77"})).json()
    assert spec["description"].startswith("Of 1 client: ")
    assert "1 recovered" in spec["description"]
    assert treated not in str(spec)
    (change,) = [v["to"] for layer in spec["layer"] for v in layer["data"]["values"] if "to" in v]
    assert change > 1, "to the right is better"
    assert faults(await people.ehr.http.get("/v1/caseload.svg", params={"language": "tlh"})) == [
        ("language", "unknown-language")
    ]
    problem(await people.researcher.http.get("/v1/caseload.png"), 403, "forbidden")
