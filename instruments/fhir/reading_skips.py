"""Skips read back: the condition from a variable, the questions from what shows them, the answer from the scores."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from instruments.fhir import names
from instruments.fhir.answers import skip_variable
from instruments.fhir.grammar import DECIMAL, LONGEST, arguments, combined, fraction, ids_of, strings
from instruments.fhir.notes import Notes
from instruments.fhir.reading_conditions import Conditions
from instruments.fhir.reading_questions import Linked, Questions, expression_of, extensions
from instruments.fhir.trial import Trial

Json = dict[str, Any]
MOST_SKIPS = 100
_NAMES = re.compile(r"%(skip\d+)")
_SHOWN = re.compile(r"\(%skip\d+(?: or %skip\d+)*\)\.not\(\)")


class Skips:
    """Reads the skips of a Questionnaire into a trial, and notes what shows or hides a question otherwise."""

    def __init__(self, asked: list[Linked], questions: Questions, conditions: Conditions, trial: Trial) -> None:
        self.asked, self.questions, self.conditions, self.trial = asked, questions, conditions, trial
        self.filled: dict[str, dict[str, Fraction]] = defaultdict(dict)
        """Skip to item to what it then scores."""
        self.scored: set[str] = set()
        """The items that make up some score: what a skip does not fill in there, it leaves out."""
        for text in self._sums():
            first, *others = combined(text)
            self.scored |= set(ids_of(strings(first), questions.ids) or ())
            for part in others:
                self._filling(part)

    def read(self, questionnaire: Mapping[str, Any], source: str, notes: Notes) -> None:
        """Read every variable of the root as a skip; those that are none are noted."""
        for at, extension in enumerate(extensions(questionnaire, names.VARIABLE)):
            index = len(self.trial.skips)
            name, text = expression_of(extension) or (None, "")
            ours = name == skip_variable(index) and index < MOST_SKIPS and len(text) <= LONGEST
            inside = arguments(text, "iif") if ours else None
            when = inside[0] if inside is not None and inside[1:] == ["true", "false"] else ""
            skip = self._skip(skip_variable(index), when)
            if skip is None or not self.trial.keeps_skip(skip | {"source": source, "evidence": "memory"}, when):
                notes.add("dropped", f"/extension/{at}", "a variable that is no skip as it is written here")
                continue
            notes.add("missing", f"/skips/{index}/meaning", "in a sentence, what is passed over and when")
            notes.add("assumed", f"/skips/{index}/evidence", "a Questionnaire is no publication: to be checked")
        for each in self.asked:
            if not self._explained(each):
                notes.add("dropped", each.pointer, "what shows or hides this question is no skip of a definition")

    def _sums(self) -> Iterator[str]:
        for each in self.questions.scored:
            for extension in extensions(each.found, names.VARIABLE):
                _, text = expression_of(extension) or (None, "")
                if ".weight()" in text and len(text) <= LONGEST:
                    yield text

    def _filling(self, part: str) -> None:
        """Take apart what a sum is combined with: an item that is unanswered, and what each skip gives it."""
        inside = arguments(part, "iif") or []
        items = ids_of(strings(inside[0])[:1], self.questions.ids) if len(inside) == 3 else None
        chain = arguments(inside[1], "iif") if items else None
        while items and chain is not None and len(chain) == 3:
            name = _NAMES.fullmatch(chain[0])
            if name is not None and re.fullmatch(DECIMAL, chain[1]):
                self.filled[name[1]][items[0]] = fraction(chain[1])
            chain = arguments(chain[2], "iif")

    def _skip(self, name: str, text: str) -> Json | None:
        when = self.conditions.read(text)
        if when is None:
            return None
        passed = set(self.filled[name])
        for each in self.asked:
            if self._is_shown_by(each, name, when):
                passed |= set(ids_of([each.link], self.questions.ids) or ())
        found = [item for item in self.questions.items if item["id"] in passed]
        fits = [
            value
            for value in (found[0]["options"] if found else ())
            if all(value in item["options"] and self._fits(name, item["id"], value) for item in found)
        ]
        if not fits:
            return None
        return {"id": name, "when": when, "items": [item["id"] for item in found], "answer": fits[0]}

    def _fits(self, name: str, item_id: str, value: int) -> bool:
        """Whether a skip can have filled an option in, by what the scores count for it."""
        return item_id not in self.scored or self.trial.score(item_id, value) == self.filled[name].get(item_id)

    def _is_shown_by(self, each: Linked, name: str, when: Json) -> bool:
        for extension in extensions(each.found, names.ENABLE_WHEN):
            _, text = expression_of(extension) or (None, "")
            if _SHOWN.fullmatch(text) and name in _NAMES.findall(text):
                return True
        plain = each.found.get("enableWhen")
        if "item" not in when or not isinstance(plain, list):
            return False
        links = [link for link, item_id in self.questions.ids.items() if item_id == when["item"]]
        options = self.trial.items[when["item"]]["options"]
        others = [{"code": str(value)} for value in options if value not in when["one_of"]]
        unanswered = {"question": links[0], "operator": "exists", "answerBoolean": False}
        return plain == [
            unanswered,
            *({"question": links[0], "operator": "=", "answerCoding": code} for code in others),
        ]

    def _explained(self, each: Linked) -> bool:
        """Whether the skips that were kept, or the two steps of an item, show a question as the Questionnaire does."""
        (item_id,) = ids_of([each.link], self.questions.ids) or [""]
        if each.link not in self.questions.ids and each.link.endswith(".rating"):
            return True
        wanted = dict(self.trial.enabling(item_id))
        texts = [expression_of(extension) for extension in wanted.pop("extension", [])]
        has = {name: each.found[name] for name in ("enableWhen", "enableBehavior") if name in each.found}
        return has == wanted and texts == [expression_of(e) for e in extensions(each.found, names.ENABLE_WHEN)]
