"""A FHIR R4 Questionnaire as a definition: what it holds, and a note on all that it does not.

Nothing is guessed. What a definition needs and a Questionnaire has no place for is left out and named; a calculated
expression becomes a rule only where writing that rule as an expression gives the same again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from instruments.fhir import names
from instruments.fhir.bounds import limits
from instruments.fhir.grammar import ids_of
from instruments.fhir.notes import Notes, QuestionnaireError, QuestionnaireFault, Reading
from instruments.fhir.reading_conditions import Conditions
from instruments.fhir.reading_questions import Linked, Questions, expression_of, extensions, linked, read_questions
from instruments.fhir.reading_scales import Candidate, decimal, read_scale
from instruments.fhir.reading_skips import Skips
from instruments.fhir.trial import Trial
from instruments.parts import Loinc

Json = dict[str, Any]
_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_COPYRIGHT = re.compile(r"Licence: (?P<status>[a-z-]+)\. Holder: (?P<holder>.+?)\. Terms: (?P<terms>.+)", re.DOTALL)
_NEEDED = {
    "measures": "what it measures",
    "concerns": "which concerns it is a measure for",
    "population": "whom it was made for and validated in",
    "applicability": "whom it applies to, by organs, partner and activity",
    "recall": "the time that its questions ask about",
    "citation": "the paper that introduced it",
    "licence": "who owns the wording, and its terms",
}


def from_fhir(questionnaire: Mapping[str, Any]) -> Reading:
    """Read a Questionnaire: one of ours, or another's as far as its scores are plain sums of weights.

    Returns
    -------
    Reading
        The definition as plain data, without the members that its notes call missing, and the notes.

    Raises
    ------
    QuestionnaireError
        It is no R4 Questionnaire, or it has no question with answer options.
    """
    return _Reader(questionnaire).read()


class _Reader:
    def __init__(self, questionnaire: Mapping[str, Any]) -> None:
        self.found, self.notes = questionnaire, Notes()
        self.definition: Json = {}

    def read(self) -> Reading:
        every = linked(self.found)
        self._whole()
        questions = read_questions(every, self.notes)
        if not questions.items:
            raise QuestionnaireError([QuestionnaireFault("/item", "has a question with a list of answer options")])
        self.definition["items"] = questions.items
        self._loinc(every, questions)
        trial = Trial(self.definition)
        asked = [each for each in every if each.link in questions.ids or each.link.rpartition(".")[0] in questions.ids]
        conditions = Conditions(questions.ids, {item["id"]: item for item in questions.items})
        if not trial.usable:
            for each in questions.scored:
                self.notes.add("dropped", each.pointer, "the questions are not such that rules can be read")
            self.notes.add("missing", "/scales", "no score could be read; a definition has at least one")
            return Reading(self.definition, self.notes.all())
        Skips(asked, questions, conditions, trial).read(self.found, self.source, self.notes)
        if trial.skips:
            self.definition["skips"] = trial.skips
        self._scales(questions, asked, conditions, trial)
        self._caseness(questions, conditions, trial)
        return Reading(self.definition, self.notes.all())

    def _text(self, name: str) -> str | None:
        value = self.found.get(name)
        return value if isinstance(value, str) and value.strip() else None

    def _whole(self) -> None:
        """What stands at the root."""
        url, notes = self._text("url") or "", self.notes
        self.ours = url.startswith(f"{names.QUESTIONNAIRES}:")
        code = url.split(":")[3] if self.ours and url.count(":") >= 3 else ""
        if not _CODE.fullmatch(code):
            slug = re.sub(r"[^a-z0-9]+", "-", (self._text("name") or self._text("title") or "").lower()).strip("-")
            code = slug[:40].strip("-") or "questionnaire"
            notes.add("assumed", "/code", "made of the Questionnaire's name")
        version = self._text("version") or ""
        if not re.fullmatch(r"[1-9][0-9]{0,8}", version):
            notes.add("assumed", "/version", f"versions are whole numbers; the Questionnaire's is {version[:40]!r}")
            version = "1"
        name = self._text("title") or self._text("name") or code
        if len(name) > 160:
            notes.add("assumed", "/name", "cut to 160 characters")
        self.definition |= {"code": code, "version": int(version), "name": name[:160]}
        if (measures := self._text("description")) is not None:
            self.definition["measures"] = measures
        if concerns := _concerns(self.found.get("useContext")):
            self.definition["concerns"] = concerns
        licence = _COPYRIGHT.fullmatch(self._text("copyright") or "") if self.ours else None
        if licence is not None:
            self.definition["licence"] = licence.groupdict()
        elif self._text("copyright") is not None:
            notes.add("dropped", "/copyright", "a licence is a status, a holder and terms: say them in the definition")
        for member, what in _NEEDED.items():
            if member not in self.definition:
                notes.add("missing", f"/{member}", f"{what} has no place in a Questionnaire, or is not in this one")
        self.source = f"the FHIR Questionnaire {url or name}, version {self._text('version') or 'not stated'}"[:300]

    def _loinc(self, every: list[Linked], questions: Questions) -> None:
        """Codes of LOINC, kept as such: where they were looked up is not known."""
        codes: Json = {"source": self.source, "evidence": "memory"}
        if (panel := _loinc_of(self.found)) is not None:
            codes["panel"] = panel
        for each in every:
            code = _loinc_of(each.found)
            items = ids_of([each.link], questions.ids)
            if code is not None and (items or each in questions.scored):
                kind, name = ("items", items[0]) if items else ("scales", each.link)
                codes.setdefault(kind, {})[name] = code
        if len(codes) == 2:
            return
        try:
            Loinc.model_validate_json(json.dumps(codes))
        except ValidationError:
            self.notes.add("dropped", "/code", "among the codes of LOINC is one whose check digit is wrong")
            return
        self.definition["loinc"] = codes
        self.notes.add("assumed", "/loinc/evidence", "a Questionnaire is no look-up in LOINC: to be checked")

    def _scales(self, questions: Questions, asked: list[Linked], conditions: Conditions, trial: Trial) -> None:
        """Scores whose expression is recognised, those that others are made of first."""
        waiting: list[tuple[Linked, str, dict[str, str], Candidate]] = []
        for each in questions.scored:
            text, variables = _calculated(each)
            if each.found.get("type") == "boolean":
                continue
            read = None if text is None else read_scale(text, variables, conditions, asked)
            if text is None or read is None or not _CODE.fullmatch(each.link):
                self.notes.add("dropped", each.pointer, "its expression has no form that can be read as a rule")
            else:
                waiting.append((each, text, variables, read))
        order = [each.link for each in questions.scored]
        adding = {each.link for each, _, _, read in waiting if read.adds_up}
        while True:
            ready = [w for w in waiting if set(w[3].rule.get("scales", ())) <= trial.ranges.keys()]
            if not ready:
                break
            for each, text, variables, read in ready:
                scale = self._scale(each, read, trial)
                if scale is None or not trial.keeps_scale(scale, text if read.ours else None, variables):
                    self.notes.add(
                        "dropped", each.pointer, "its expression is near to one that can be read, but differs"
                    )
            waiting = [w for w in waiting if w not in ready]
        for each, *_ in waiting:
            self.notes.add("dropped", each.pointer, "it is made of scores that could not be read")
        trial.scales.sort(key=lambda scale: order.index(scale["id"]))
        self.definition["scales"] = trial.scales
        if not trial.scales:
            del self.definition["scales"]
            self.notes.add("missing", "/scales", "no score could be read; a definition has at least one")
        for index, scale in enumerate(trial.scales):
            if scale["id"] in adding:
                detail = "the form adds up whatever is answered; here every item is needed, until the rule is published"
                self.notes.add("assumed", f"/scales/{index}/missing", detail)
            detail = "whether higher is better or worse has no place in an item"
            self.notes.add("missing", f"/scales/{index}/higher_is", detail)
            self.notes.add("assumed", f"/scales/{index}/evidence", "a Questionnaire is no publication: to be checked")

    def _scale(self, each: Linked, read: Candidate, trial: Trial) -> Json | None:
        name = each.found.get("text")
        scale: Json = {
            "id": each.link,
            "name": (name if isinstance(name, str) and name else each.link)[:80],
            **read.rule,
        }
        scale |= {"source": self.source, "evidence": "memory"}
        if read.rescaled is not None:
            low, high = trial.raw_range(read.rule)
            ends = decimal(read.rescaled[2]), decimal(read.rescaled[2] + read.rescaled[1] * (high - low))
            if None in ends:
                return None
            scale["rescale"] = list(ends)
        found = limits(scale, trial)
        if found is None and read.limits is None:
            return None
        scale["min"], scale["max"] = read.limits or found or ("", "")
        return scale

    def _caseness(self, questions: Questions, conditions: Conditions, trial: Trial) -> None:
        found: list[Json] = []
        for each in questions.scored:
            if each.found.get("type") != "boolean":
                continue
            text, variables = _calculated(each)
            when = None if text is None or variables else conditions.read(text)
            name, rule_id = each.found.get("text"), each.link.removeprefix("case.")
            if when is None or text is None or not _CODE.fullmatch(rule_id) or not trial.holds(when, text):
                self.notes.add("dropped", each.pointer, "its expression has no form that can be read as a condition")
                continue
            meaning = (name if isinstance(name, str) and name else each.link)[:160]
            found.append({"id": rule_id, "meaning": meaning, "when": when, "source": self.source, "evidence": "memory"})
        if found:
            self.definition["caseness"] = found


def _calculated(each: Linked) -> tuple[str | None, dict[str, str]]:
    """The calculated expression of an item, and its variables."""
    texts = [expression_of(extension) for extension in extensions(each.found, names.CALCULATED)]
    variables = [expression_of(extension) for extension in extensions(each.found, names.VARIABLE)]
    if len(texts) != 1 or texts[0] is None or any(each is None or each[0] is None for each in variables):
        return None, {}
    return texts[0][1], {each[0]: each[1] for each in variables if each is not None and each[0] is not None}


def _concerns(contexts: Any) -> list[str]:
    found: list[str] = []
    for context in contexts if isinstance(contexts, list) else ():
        concept = context.get("valueCodeableConcept") if isinstance(context, dict) else None
        codings = concept.get("coding") if isinstance(concept, dict) else None
        for coding in codings if isinstance(codings, list) else ():
            if (
                isinstance(coding, dict)
                and coding.get("system") == names.CONCERNS
                and isinstance(coding.get("code"), str)
            ):
                found.append(coding["code"])
    return list(dict.fromkeys(found))


def _loinc_of(element: Any) -> str | None:
    codes = element.get("code")
    for coding in codes if isinstance(codes, list) else ():
        if isinstance(coding, dict) and coding.get("system") == names.LOINC and isinstance(coding.get("code"), str):
            code: str = coding["code"]
            return code
    return None
