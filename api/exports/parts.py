"""The parts of a record on paper, each about one thing that a person knows of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from api.clients.codes import CODES
from api.exports.sheet import Sheet, day, moment
from instruments import Instrument

MOST_FORMS: Final = 200
"""Forms that are printed with every answer, the newest; of older ones it is said where they are."""

Row = Mapping[str, Any]
Record = Mapping[str, Any]
Definitions = Mapping[tuple[str, int], Instrument | None]


def _meanings() -> dict[str, dict[str, str]]:
    lists = {name: value for name, value in dict(CODES).items() if isinstance(value, tuple)}
    return {name: {code.code: code.meaning for code in value} for name, value in lists.items()}


_MEANINGS: Final = _meanings()


def _meant(code_list: str, code: str | None) -> str | None:
    """What a code stands for, in words."""
    return None if code is None else _MEANINGS.get(code_list, {}).get(code, code)


def _all(code_list: str, codes: Iterable[str] | None) -> str | None:
    if codes is None:
        return None
    return "; ".join(_meant(code_list, code) or code for code in codes) or "None of those asked about"


def yes(value: bool | None) -> str | None:
    """In words; None where it is not known."""
    return None if value is None else "Yes" if value else "No"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}" if abs(value) < 1e6 else str(value)


def _about(sheet: Sheet, record: Record, _: Definitions) -> None:
    client = record["client"]
    sheet.chapter("About you")
    sheet.facts(
        [
            ("Number at the practice", client["external_id"]),
            ("Year of birth", str(client["birth_year"] or "")),
            ("Gender", _meant("gender", client["gender"])),
            ("Sex registered at birth", _meant("sex_registered_at_birth", client["sex_registered_at_birth"])),
            ("Organs present", _all("organs", client["organs"])),
            ("Has a partner", yes(client["partnered"])),
            ("Orientation", _meant("orientation", client["orientation"])),
            ("Relationships", _meant("relationship_structure", client["relationship_structure"])),
            ("Neurodivergence", _all("neurodivergence", client["neurodivergence"])),
            ("Menopause", _meant("menopausal_stage", client["menopausal_stage"])),
            ("Languages (codes)", ", ".join(client["languages"] or ())),
            ("Answers used for research", "Yes, without your name" if client["research_consent"] else "No"),
            ("Kept since", moment(client["created_at"])),
            ("Last changed", moment(client["updated_at"])),
        ]
    )
    if consents := record.get("research_consents"):
        sheet.part("What you said about research")
        rows = [
            (day(one["stated_on"]), "Agreed" if one["given"] else "Did not agree", one["text_version"] or "")
            for one in consents
        ]
        sheet.rows(("Day", "You", "Wording that was shown"), rows, widths=(30, 30, 40))


def _therapy(sheet: Sheet, record: Record, _: Definitions) -> None:
    if not record["episodes"]:
        return
    sheet.chapter("Your therapy", "Each course of therapy, with its appointments.")
    sessions = defaultdict(list)
    for one in record["sessions"]:
        sessions[one["episode_id"]].append(one)
    for episode in record["episodes"]:
        end = "now" if episode["ended_on"] is None else day(episode["ended_on"])
        sheet.part(f"{day(episode['started_on'])} to {end}")
        sheet.facts(
            [
                ("With", _meant("episode_format", episode["format"])),
                ("Where", _meant("modality", episode["modality"])),
                ("About", ", ".join(one.replace("-", " ") for one in episode["concerns"])),
                ("Therapist (staff code)", episode["clinician"]),
                ("Why it ended", _meant("end_reason", episode["end_reason"])),
            ]
        )
        rows = [
            (
                moment(one["held_at"]),
                _meant("attendance", one["attendance"]) or "Planned",
                _meant("modality", one["modality"]) or "",
            )
            for one in sorted(sessions[episode["id"]], key=lambda one: str(one["held_at"]))
        ]
        if rows:
            sheet.rows(("Appointment", "What became of it", "Where"), rows, widths=(32, 38, 30), small=True)


def _forms(sheet: Sheet, record: Record, definitions: Definitions) -> None:
    if not record["responses"]:
        return
    sheet.chapter(
        "Questionnaires you filled in",
        "The newest first. Scores are worked out from your answers by fixed rules. They help to see change over time; "
        "no score is a diagnosis. Questions are named here by what they are about, not by their printed wording.",
    )
    corrected = {one["response_id"]: one for one in record["corrections"]}
    newest = sorted(record["responses"], key=lambda one: (one["answered_at"], one["revision"]), reverse=True)
    for row in newest[:MOST_FORMS]:
        _form(sheet, row, corrected.get(row["id"]), definitions[row["instrument"], row["instrument_version"]])
    if len(newest) > MOST_FORMS:
        sheet.note(f"{len(newest) - MOST_FORMS} older forms are not printed. The electronic copy has them all.")


def _form(sheet: Sheet, row: Row, corrected: Row | None, definition: Instrument | None) -> None:
    document = row["document"]
    name = row["instrument"] if definition is None else definition.name
    sheet.part(f"{name}, {day(row['answered_at'][:10])}", None if definition is None else definition.measures)
    status = None
    if corrected is not None:
        why = _meant("correction", corrected["reason_code"])
        words = f' In the words of whoever did it: "{corrected["reason"]}"' if corrected["reason"] else ""
        kind = "was entered in error" if corrected["by_response_id"] is None else "was replaced by a corrected version"
        status = f"This no longer counts. It {kind} on {moment(corrected['at'])}. Reason: {why}.{words}"
    elif row["revision"] > 1:
        status = "This is a corrected version; what it said before is in this record too."
    sheet.facts(
        [
            ("Please note", status),
            ("Filled in", moment(row["answered_at"])),
            ("How", _meant("setting", row["setting"])),
            ("Stored", f"{moment(row['recorded_at'])}, by {row['recorded_by']} (code)"),
            ("Had a partner then", yes(document.get("partnered"))),
            ("Was sexually active then", yes(document.get("active"))),
            ("Rules used (codes)", f"{row['instrument']}, version {row['instrument_version']}, {row['variant']}"),
        ]
    )
    scales = {} if definition is None else {scale.id: scale for scale in definition.scales}
    rows = []
    for scale_id, score in document.get("scores", {}).items():
        scale = scales.get(scale_id)
        rows.append(
            (
                scale_id if scale is None else scale.name,
                _number(score["value"]),
                "" if scale is None else f"{_number(float(scale.min))} to {_number(float(scale.max))}",
                _STATUS[score["status"]] or ("" if scale is None else _HIGHER[scale.higher_is]),
            )
        )
    if rows:
        sheet.rows(("Score", "Yours", "Possible", "What it means"), rows, widths=(36, 12, 16, 36), small=True)
    topics = {} if definition is None else {item.id: item.topic for item in definition.items}
    sheet.rows(
        ("Question", "What it was about", "Your answer (number)"),
        [(item, topics.get(item.partition(".")[0], ""), _answer(value)) for item, value in row["answers"].items()],
        widths=(14, 64, 22),
        small=True,
    )


_STATUS: Final = {
    "complete": "",
    "prorated": "Estimated: some answers were missing",
    "insufficient": "No score: too few answers",
    "not_applicable": "Does not apply to you",
}
_HIGHER: Final = {
    "better": "Higher: things go better",
    "worse": "Higher: more difficulty",
    "neither": "Higher is neither better nor worse",
}


def _answer(value: Any) -> str:
    if value is None:
        return "Not answered"
    return _number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _alerts(sheet: Sheet, record: Record, _: Definitions) -> None:
    if not record["alerts"]:
        return
    sheet.chapter(
        "Answers that somebody was asked to look at",
        "Some answers, such as about harm to oneself, are shown to the practice at once so that nobody misses them.",
    )
    meanings = {
        (row["id"], alert.get("rule", alert["id"])): alert["meaning"]
        for row in record["responses"]
        for alert in row["document"].get("alerts", ())
        if "meaning" in alert
    }
    seen = {one["alert_id"]: one for one in record.get("alert_acknowledgements", ())}
    rows = []
    for one in record["alerts"]:
        done = seen.get(one["id"])
        what = meanings.get((one["response_id"], one["rule"]), one["rule"].replace("-", " "))
        became = "Nobody has said so yet" if done is None else f"Seen {moment(done['at'])} by {done['by']}"
        note = "" if done is None or not done.get("note") else f'. Note: "{done["note"]}"'
        rows.append((moment(one["created_at"]), what, became + note))
    sheet.rows(("When", "What about", "What was done"), rows, widths=(26, 42, 32), small=True)


def _goals(sheet: Sheet, record: Record, _: Definitions) -> None:
    if not record["goals"]:
        return
    sheet.chapter("Your goals")
    ratings = defaultdict(list)
    replaced = {one["corrects"] for one in record["goal_ratings"]}
    for one in record["goal_ratings"]:
        ratings[one["goal_id"]].append(one)
    for goal in record["goals"]:
        sheet.part(goal["wording"])
        levels = goal["kind"] == "levels"
        sheet.facts(
            [
                ("Set on", day(goal["set_on"])),
                ("At the start", _number(goal["baseline"])),
                ("Aim", None if levels else f"{_number(goal['target'])} on a scale from 0 to 10"),
                ("Weight (0 to 10)", _number(goal["weight"]) if levels else None),
                ("No longer pursued since", goal["dropped_on"] and day(goal["dropped_on"])),
                ("Why", _meant("goal_drop_reason", goal["drop_reason"])),
            ]
        )
        if goal["levels"]:
            named = zip(range(-2, 3), goal["levels"], strict=False)
            sheet.rows(
                ("Level", "What it looks like"), [(f"{n:+d}" if n else "0", t) for n, t in named], widths=(14, 86)
            )
        rows = [
            (
                day(one["rated_on"]),
                "Entered in error" if one["value"] is None else _number(one["value"]),
                "Replaced by a later entry" if one["id"] in replaced else "",
                moment(one["recorded_at"]),
            )
            for one in sorted(ratings[goal["id"]], key=lambda one: (one["rated_on"], one["recorded_at"]))
        ]
        if rows:
            sheet.rows(("Day", "Rated", "", "Stored"), rows, widths=(24, 20, 28, 28), small=True)


def _work(sheet: Sheet, record: Record, _: Definitions) -> None:
    if not record["assignments"]:
        return
    sheet.chapter("Work between sessions", "Exercises and tasks that were agreed on, and how they went.")
    done = defaultdict(list)
    for one in record["assignment_completions"]:
        done[one["assignment_id"]].append(one)
    for one in record["assignments"]:
        sheet.part(_meant("assignment_kind", one["kind"]) or "", one["note"])
        sheet.facts(
            [
                ("Agreed on", day(one["set_on"])),
                ("To be done by", day(one["due_on"])),
                ("Taken back on", one["withdrawn_on"] and day(one["withdrawn_on"])),
            ]
        )
        rows = [
            (
                "" if report["completed_on"] is None else day(report["completed_on"]),
                _meant("assignment_outcome", report["outcome"]) or "Earlier entry was an error",
                "" if report["minutes"] is None else str(report["minutes"]),
                _number(report["distress_before"]) + " / " + _number(report["distress_after"]),
                report["note"] or "",
            )
            for report in done[one["id"]]
        ]
        if rows:
            heads = ("Day", "How it went", "Minutes", "Distress before / after (0 to 10)", "Note")
            sheet.rows(heads, rows, widths=(18, 20, 11, 21, 30), small=True)


def _couples(sheet: Sheet, record: Record, _: Definitions) -> None:
    if not record["couples"]:
        return
    sheet.chapter(
        "Seen as a couple",
        "Only your own part is here. What is kept of a partner is theirs, and is not in your record.",
    )
    said = defaultdict(list)
    for one in record["couple_consents"]:
        said[one["member_id"]].append(one)
    for one in record["couples"]:
        end = "now" if one["left_on"] is None else day(one["left_on"])
        sheet.part(f"{day(one['joined_on'])} to {end}")
        rows = [
            (
                day(consent["stated_on"]),
                "You agreed" if consent["given"] else "You did not agree",
                consent["recorded_by"],
            )
            for consent in said[one["id"]]
        ]
        if rows:
            heads = ("Day", "To being looked at together", "Written down by (code)")
            sheet.rows(heads, rows, widths=(28, 40, 32), small=True)


def _seen(sheet: Sheet, record: Record, _: Definitions) -> None:
    sheet.chapter(
        "Who has looked at your record, or changed it",
        "People and programs are named by the codes that the practice gave them: ask it who they are. The electronic "
        "copy lists every single time.",
    )
    counted: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], str] = {}
    last: dict[tuple[str, str, str], str] = {}
    for one in sorted(record["seen"], key=lambda one: str(one["at"])):
        refused = "" if one["outcome"] in ("done", "created") else f" (refused: {_words(one['outcome'])})"
        key = (f"{one['subject']} ({one['role']})", _words(one["action"]) + refused, _words(one["resource"]))
        counted[key] += 1
        first.setdefault(key, one["at"])
        last[key] = one["at"]
    rows = [(*key, str(times), day(first[key][:10]), day(last[key][:10])) for key, times in sorted(counted.items())]
    heads = ("Who (as what)", "Did what", "With", "Times", "First", "Last")
    sheet.rows(heads, rows, widths=(23, 19, 14, 8, 18, 18), small=True)


def _planned(sheet: Sheet, record: Record, _: Definitions) -> None:
    if not record.get("due"):
        return
    sheet.chapter("Questionnaires that were planned for you", "Named by their codes; the days are those to answer on.")
    rows = [
        (one["instrument"], day(one["opens_on"]), day(one["due_on"]), "Called off" if one["cancelled"] else "")
        for one in sorted(record["due"], key=lambda one: (str(one["due_on"]), str(one["instrument"])))
    ]
    sheet.rows(("Questionnaire", "Open from", "Due on", ""), rows, widths=(34, 24, 24, 18), small=True)


def _anew(sheet: Sheet, record: Record, definitions: Definitions) -> None:
    if not record.get("rescored"):
        return
    sheet.chapter(
        "Scores that were worked out again",
        "The rules of a questionnaire were put right, and these scores were worked out again from the same answers. "
        "The earlier ones are kept, and stand with the questionnaire.",
    )
    forms = {row["id"]: row for row in record["responses"]}
    rows = []
    for one in record["rescored"]:
        form = forms[one["response_id"]]
        definition = definitions[form["instrument"], form["instrument_version"]]
        name = form["instrument"] if definition is None else definition.name
        scale = next((own.name for own in definition.scales if own.id == one["scale"]), None) if definition else None
        filled_in = f"{name}, {day(form['answered_at'][:10])}"
        rows.append((filled_in, scale or one["scale"], _number(one["value"]), _STATUS[one["status"]]))
    sheet.rows(("Questionnaire", "Score", "Yours", ""), rows, widths=(48, 18, 12, 22), small=True)


def _words(code: str) -> str:
    return code.replace("-", " ").replace("_", " ")


PARTS: Final[tuple[Callable[[Sheet, Record, Definitions], None], ...]] = (
    _about,
    _therapy,
    _forms,
    _anew,
    _alerts,
    _goals,
    _work,
    _planned,
    _couples,
    _seen,
)
"""In the order in which they are printed."""

TOLD: Final = frozenset(
    {"form", "client_id", "written_at", "client", "research_consents", "episodes", "sessions", "responses"}
    | {"scores", "corrections", "alerts", "alert_acknowledgements", "goals", "goal_ratings", "assignments"}
    | {"assignment_completions", "couples", "couple_consents", "seen", "due", "rescored"}
)
"""Members of the record that the parts above tell; scores are told with their forms."""
