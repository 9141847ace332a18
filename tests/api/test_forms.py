"""Forms and licences over HTTP."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from fastapi import FastAPI

from api.wordings.service import state_of
from api.wordings.tables import WordingPackRow
from tests.api.packs import FORM, LADDER_1, LICENCES, PATH, WHO_5, body, day, put
from tests.api.people import People, Person, faults, problem
from tests.invented import make_pack


class TestForm:
    async def test_without_wording(self, people: People) -> None:
        found = problem(await people.ehr.http.get(f"{FORM}?language=en"), 409, "wording-missing")
        own = WHO_5.licence
        assert found["licence"] == own.model_dump()
        assert found["languages"] == []
        assert found["wording_url"] == "/v1/instruments/who-5/versions/1/wordings/{language}"
        answers = {"answers": {item.id: 3 for item in WHO_5.items}}
        assert (await people.ehr.http.post("/v1/instruments/who-5/score", json=answers)).status_code == 200

    async def test_everything_that_is_printed(self, people: People, ladder: str) -> None:
        sent = body(make_pack(LADDER_1), valid_until=day(3), holder="The Attested")
        await put(people.admin, f"{ladder}/wordings/en", sent)
        answer = await people.ehr.http.get(f"{ladder}/form?form=indoors")
        assert answer.headers["content-language"] == "en"
        found = answer.json()
        options = [{"value": value, "label": f"A line about choice {value}", "not_applicable": None}
                   for value in range(5)]  # fmt: skip
        assert found.pop("items") == [
            {"id": "1", "text": "A line about 1", "options": options, "gate": None, "rating": None},
            {"id": "2", "text": "A line about 2, indoors", "options": options, "gate": None, "rating": None},
            {
                "id": "3",
                "text": "A line about 3",
                "options": [],
                "gate": {
                    "id": "3.gate",
                    "text": "A line about whether",
                    "options": [
                        {"value": 0, "label": "Nay", "not_applicable": None},
                        {"value": 1, "label": "Aye", "not_applicable": None},
                    ],
                },
                "rating": {
                    "id": "3.rating",
                    "text": "A line about how much",
                    "options": [
                        {"value": value, "label": f"A line about rating {value}", "not_applicable": None}
                        for value in range(3)
                    ],
                },
            },
            {
                "id": "4",
                "text": "A line about 4",
                "options": [
                    *(
                        {"value": value, "label": f"A line about choice {value}", "not_applicable": None}
                        for value in (4, 2, 0)
                    ),
                    {"value": 9, "label": "A line about choice 9", "not_applicable": "not-relevant"},
                ],
                "gate": None,
                "rating": None,
            },
        ]
        assert found == {
            "instrument": "own-ladder",
            "version": 1,
            "variant": "five",
            "form": "indoors",
            "language": "en",
            "direction": "ltr",
            "pack_version": 1,
            "title": "A line about nothing",
            "instructions": "A line about how.\nThen go on.",
            "skips": [
                {
                    "id": "not-calm",
                    "meaning": "who is not calm is not asked for rungs",
                    "when": {"item": "1", "at_most": "0"},
                    "items": ["4"],
                    "answer": 0,
                }
            ],
            "licence": {
                "status": "commercial",
                "holder": "Ladder House",
                "terms": "a fee for each form",
                "url": "https://ladder.invalid/fees",
                "licence_reference": "letter of 3 March",
                "attested_holder": "The Attested",
                "valid_until": day(3),
                "days_left": 3,
            },
        }
        given = {"1": 4, "2": 0, "3.gate": 1, "3.rating": 2, "4": 2}
        scored = await people.ehr.http.post(f"{ladder}/score", json={"answers": given})
        assert scored.json()["scores"]["total"]["value"] == 10, "the ids in the form are those that answers take"

    async def test_variant(self, admin: Person, ladder: str) -> None:
        await put(admin, f"{ladder}/wordings/en", body(make_pack(LADDER_1)))
        assert (await admin.http.get(f"{ladder}/form?form=indoors&variant=strict")).json()["variant"] == "strict"
        problem(await admin.http.get(f"{ladder}/form?form=indoors&variant=seven"), 409, "wording-missing")
        await put(admin, f"{ladder}/wordings/en?variant=seven", body(make_pack(LADDER_1, variant="seven")))
        found = (await admin.http.get(f"{ladder}/form?form=indoors&variant=seven")).json()
        assert (len(found["items"][0]["options"]), found["skips"]) == (7, [])

    async def test_form(self, admin: Person, ladder: str) -> None:
        await put(admin, f"{ladder}/wordings/en", body(make_pack(LADDER_1)))
        await put(admin)
        assert faults(await admin.http.get(f"{ladder}/form")) == [("form", "missing")]
        assert faults(await admin.http.get(f"{ladder}/form?form=upstairs")) == [("form", "unknown-form")]
        assert faults(await admin.http.get(f"{FORM}?form=indoors")) == [("form", "unknown-form")]
        assert (await admin.http.get(FORM)).json()["form"] is None

    async def test_right_to_left(self, admin: Person) -> None:
        await put(admin, "/v1/instruments/who-5/wordings/fa", body(make_pack(WHO_5, say="\u202bخط\u202c")))
        found = (await admin.http.get(f"{FORM}?language=fa-IR")).json()
        assert (found["direction"], found["language"]) == ("rtl", "fa")
        assert found["items"][0]["text"] == "\u202bخط\u202c 1"


class TestLanguages:
    @pytest.mark.parametrize(
        ("held", "wanted", "used"),
        [
            (["fr"], "fr-CA", "fr"),
            (["fr", "fr-CA"], "FR-ca", "fr-CA"),
            (["zh-Hant", "zh"], "zh-Hant-TW", "zh-Hant"),
            (["he"], "iw", "he"),
            (["de", "sv"], None, "de"),
        ],
    )
    async def test_fallback(self, admin: Person, held: list[str], wanted: str | None, used: str) -> None:
        for language in held:
            await put(admin, f"/v1/instruments/who-5/wordings/{language}")
        answer = await admin.http.get(FORM, params={} if wanted is None else {"language": wanted})
        assert (answer.headers["content-language"], answer.json()["language"]) == (used, used)

    async def test_the_original_language_unless_told_otherwise(self, admin: Person, ladder: str) -> None:
        for language in ("de", "en"):
            await put(admin, f"{ladder}/wordings/{language}", body(make_pack(LADDER_1)))
        assert (await admin.http.get(f"{ladder}/form?form=indoors")).json()["language"] == "en"
        await put(admin, f"{ladder}/wordings/fr", body(make_pack(LADDER_1)))
        assert (await admin.http.get(f"{ladder}/form?form=indoors")).json()["language"] == "fr"

    @pytest.mark.parametrize(("held", "wanted"), [("fr-CA", "fr"), ("en", "de"), ("en-US", "en-GB")])
    async def test_what_is_there_is_told(self, admin: Person, held: str, wanted: str) -> None:
        await put(admin, f"/v1/instruments/who-5/wordings/{held}")
        found = problem(await admin.http.get(f"{FORM}?language={wanted}"), 409, "wording-missing")
        assert found["languages"] == [held]


class TestExpiry:
    async def test_an_expired_licence_stops_forms_and_nothing_else(self, people: People) -> None:
        await put(people.admin, sent=body(valid_until=day(-1)))
        found = problem(await people.ehr.http.get(FORM), 409, "licence-expired")
        assert (found["valid_until"], found["language"], found["languages"]) == (day(-1), "en", [])
        assert found["licence"]["holder"] == WHO_5.licence.holder
        answers = {item.id: 3 for item in WHO_5.items}
        scored = await people.ehr.http.post("/v1/instruments/who-5/score", json={"answers": answers})
        assert scored.status_code == 200
        client_id = await people.ehr.client()
        recorded = await people.ehr.respond(client_id, instrument="who-5", answers=answers)
        assert recorded.status_code == 201
        assert (await people.ehr.http.get(f"/v1/responses/{recorded.json()['id']}/explain")).status_code == 200
        assert (await people.admin.http.get(PATH)).json()["state"] == "expired"
        assert len((await people.admin.http.get(f"{PATH}/versions")).json()["items"]) == 1
        await put(people.admin, sent=body(valid_until=day(1)), tag="*", status=200)
        assert (await people.ehr.http.get(FORM)).status_code == 200

    async def test_one_that_has_not_begun(self, people: People) -> None:
        await put(people.admin, sent=body(valid_from=day(2), valid_until=day(9)))
        found = problem(await people.ehr.http.get(FORM), 409, "licence-not-yet-valid")
        assert found["valid_from"] == day(2)

    async def test_the_last_day_and_the_first_count(self, people: People) -> None:
        await put(people.admin, sent=body(valid_from=day(0), valid_until=day(1)))
        assert (await people.ehr.http.get(FORM)).status_code == 200

    async def test_a_language_that_may_be_used_goes_before_one_that_may_not(self, admin: Person) -> None:
        await put(admin, "/v1/instruments/who-5/wordings/fr-CA", body(valid_until=day(-1)))
        problem(await admin.http.get(f"{FORM}?language=fr-CA"), 409, "licence-expired")
        await put(admin, "/v1/instruments/who-5/wordings/fr")
        assert (await admin.http.get(f"{FORM}?language=fr-CA")).json()["language"] == "fr"
        found = problem(await admin.http.get(f"{FORM}?language=de"), 409, "wording-missing")
        assert found["languages"] == ["fr"]

    @pytest.mark.parametrize(
        ("start", "end", "withdrawn", "expected"),
        [
            (-1, None, False, ("held", None)),
            (0, 31, False, ("held", 31)),
            (0, 30, False, ("expiring", 30)),
            (0, 0, False, ("expiring", 0)),
            (-9, -1, False, ("expired", -1)),
            (1, 2, False, ("not-yet-valid", 2)),
            (-1, -1, True, ("withdrawn", -1)),
        ],
    )
    def test_states(self, start: int, end: int | None, withdrawn: bool, expected: tuple[str, int | None]) -> None:
        today = date(2026, 2, 28)
        until = None if end is None else today + timedelta(days=end)
        row = WordingPackRow(valid_from=today + timedelta(days=start), valid_until=until, withdrawn=withdrawn)
        assert state_of(row, today) == expected


class TestLicences:
    @pytest.fixture
    async def holdings(self, admin: Person) -> dict[str, str]:
        """A pack in every state: language to state."""
        for language, dates in {
            "de": {},
            "en": {"valid_until": day(300)},
            "fr": {"valid_until": day(30)},
            "it": {"valid_until": day(0)},
            "es": {"valid_until": day(-1)},
            "pt": {"valid_from": day(1), "valid_until": day(5)},
            "nl": {"valid_until": day(7)},
        }.items():
            await put(admin, f"/v1/instruments/who-5/wordings/{language}", body(**dates))
        await admin.http.delete("/v1/instruments/who-5/wordings/nl", headers={"If-Match": "*"})
        return {"de": "held", "en": "held", "fr": "expiring", "it": "expiring", "es": "expired",
                "pt": "not-yet-valid", "nl": "withdrawn"}  # fmt: skip

    async def test_all_the_soonest_first(self, people: People, holdings: dict[str, str]) -> None:
        found = (await people.clinician.http.get(LICENCES)).json()
        assert {kept["language"]: kept["state"] for kept in found["items"]} == holdings
        assert [kept["language"] for kept in found["items"]] == ["es", "it", "pt", "nl", "fr", "en", "de"]
        assert [kept["days_left"] for kept in found["items"]] == [-1, 0, 5, 7, 30, 300, None]
        assert found["next"] is None
        assert "pack" not in found["items"][0]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("expiring_within=30", ["it", "fr"]),
            ("expiring_within=29", ["it"]),
            ("expiring_within=0", ["it"]),
            ("expiring_within=400", ["it", "fr", "en"]),
            ("state=expiring", ["it", "fr"]),
            ("state=held", ["en", "de"]),
            ("state=held&expiring_within=29", ["fr", "en", "de"]),
            ("state=expired", ["es"]),
            ("state=not-yet-valid", ["pt"]),
            ("state=withdrawn", ["nl"]),
            ("state=held&instrument=who-5", ["en", "de"]),
            ("instrument=phq-9", []),
        ],
    )
    async def test_conditions(self, admin: Person, holdings: dict[str, str], query: str, expected: list[str]) -> None:
        found = (await admin.http.get(f"{LICENCES}?{query}")).json()["items"]
        assert [kept["language"] for kept in found] == expected

    async def test_pages(self, admin: Person, holdings: dict[str, str]) -> None:
        seen, path = [], f"{LICENCES}?limit=3"
        while path:
            answer = await admin.http.get(path)
            seen.append([kept["language"] for kept in answer.json()["items"]])
            path = answer.headers.get("link", "").partition(">")[0].lstrip("<")
        assert seen == [["es", "it", "pt"], ["nl", "fr", "en"], ["de"]]

    async def test_pages_of_those_without_an_end(self, admin: Person) -> None:
        for language in ("de", "en", "fr"):
            await put(admin, f"/v1/instruments/who-5/wordings/{language}")
        answer = await admin.http.get(f"{LICENCES}?limit=2&state=held&expiring_within=5")
        rest = await admin.http.get(answer.headers["link"].partition(">")[0].lstrip("<"))
        assert [kept["language"] for kept in (*answer.json()["items"], *rest.json()["items"])] == ["de", "en", "fr"]

    @pytest.mark.parametrize(
        ("query", "fault"),
        [
            ("expiring_within=-1", ("expiring_within", "greater-than-equal")),
            ("expiring_within=soon", ("expiring_within", "int-parsing")),
            ("expiring_within=99999", ("expiring_within", "less-than-equal")),
            ("state=lost", ("state", "literal-error")),
            ("instrument=A", ("instrument", "string-pattern-mismatch")),
            ("cursor=x", ("cursor", "cursor-invalid")),
            ("limit=0", ("limit", "greater-than-equal")),
            ("until=1", ("until", "extra-forbidden")),
        ],
    )
    async def test_faults(self, admin: Person, query: str, fault: tuple[str, str]) -> None:
        assert faults(await admin.http.get(f"{LICENCES}?{query}")) == [fault]


async def test_forms_are_counted_without_naming_anything(app: FastAPI, admin: Person) -> None:
    def counted(outcome: str) -> float:
        return app.state.metrics.registry.get_sample_value("fathomline_forms_total", {"outcome": outcome}) or 0.0

    before = counted("shown"), counted("wording-missing")
    await admin.http.get(FORM)
    await put(admin)
    await admin.http.get(FORM)
    assert (counted("shown"), counted("wording-missing")) == (before[0] + 1, before[1] + 1)
    assert "who-5" not in app.state.metrics.text().decode()
