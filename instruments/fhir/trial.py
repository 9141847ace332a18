"""What has been read so far, as a definition that is whole enough to write expressions from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from pydantic import TypeAdapter, ValidationError

from instruments.conditions import Condition, ScaleCondition, leaves
from instruments.fhir.expressions import Writer
from instruments.fhir.questionnaire import enabled_by
from instruments.items import Item
from instruments.loader import DefinitionError, definition_from
from instruments.schema import STANDARD, Instrument

Json = dict[str, Any]
_CONDITION: TypeAdapter[Condition] = TypeAdapter(Condition)
_FILLED: Json = {
    "code": "trial", "version": 1, "name": "trial", "measures": "-", "concerns": ["-"], "population": "-",
    "applicability": {"partner": "not-needed", "activity": "not-needed"}, "recall": "-",
    "citation": {"authors": "-", "year": 2000, "journal": "-"},
    "licence": {"status": "permission-required", "holder": "-", "terms": "-"},
}  # fmt: skip


class Trial:
    """Rules are kept one at a time, each only if it says again what it was read from."""

    def __init__(self, definition: Json) -> None:
        self.items: dict[str, Json] = {item["id"]: item for item in definition["items"]}
        self.skips: list[Json] = []
        self.scales: list[Json] = []
        self.ranges: dict[str, tuple[Fraction, Fraction]] = {}
        self._lacking: set[str] = set()
        self._kept: tuple[tuple[int, int], Instrument | None] | None = None

    @property
    def usable(self) -> bool:
        """Whether the items can be those of a definition; no rule can be tried on others."""
        return self._so_far() is not None

    def keeps_scale(self, scale: Json, text: str | None, variables: Mapping[str, str]) -> bool:
        """Keep a scale if it is valid and its expression, where one is given, is the same."""
        instrument = self._instrument([*self.scales, scale])
        if instrument is None:
            return False
        written = Writer(instrument, STANDARD).scale(scale["id"])
        if text is not None and (written.text, dict(written.variables)) != (text, variables):
            return False
        self.scales.append(scale)
        self.ranges[scale["id"]] = Fraction(scale["min"]), Fraction(scale["max"])
        parts = scale.get("items") or scale.get("scales") or ()
        missing = scale["missing"]
        spare = len(parts) - missing.get("min_answered", len(parts))
        able = [name for name in parts if self.can_lack(scale, name)]
        if len(able) > spare or set(able) & set(missing.get("required", ())):
            self._lacking.add(scale["id"])
        return True

    def keeps_skip(self, skip: Json, text: str) -> bool:
        """Keep a skip if the expression of its condition is the same, seen with the skips before it."""
        if not self.holds(skip["when"], text) or self._instrument(self.scales, [*self.skips, skip]) is None:
            return False
        self.skips.append(skip)
        return True

    def holds(self, when: Json, text: str) -> bool:
        """Whether a condition is valid, and gives the same expression."""
        instrument = self._so_far()
        try:
            condition = _CONDITION.validate_json(json.dumps(when))
        except ValidationError:
            return False
        scales = {leaf.scale for leaf in leaves(condition) if isinstance(leaf, ScaleCondition)}
        if instrument is None or not scales <= self.ranges.keys():
            return False
        return Writer(instrument, STANDARD).condition(condition) == text

    def enabling(self, item_id: str) -> Mapping[str, Any]:
        """The members by which a Questionnaire shows or hides a question, as the skips that were kept give them."""
        instrument = self._so_far()
        return {} if instrument is None else enabled_by(Writer(instrument, STANDARD), item_id)

    def item_range(self, item_id: str) -> tuple[Fraction, Fraction]:
        """The least and the most that an item scores."""
        scores = self._item(item_id).score_of.values()
        return Fraction(min(scores)), Fraction(max(scores))

    def score(self, item_id: str, value: int) -> Fraction | None:
        """What an option of an item scores; ``None`` where it is left out, or none of its options."""
        found = self._item(item_id).score_of.get(value)
        return None if found is None else Fraction(found)

    def part(self, rule: Mapping[str, Any], name: str) -> tuple[Fraction, Fraction]:
        """The least and the most that a part of a scale adds."""
        if rule["method"] == "count":
            return Fraction(0), Fraction(1)
        low, high = self.item_range(name) if "items" in rule else self.ranges[name]
        weight = Fraction(rule["weights"][name]) if "weights" in rule else Fraction(1)
        return min(low * weight, high * weight), max(low * weight, high * weight)

    def raw_range(self, rule: Mapping[str, Any]) -> tuple[Fraction, Fraction]:
        """What the parts of a scale give at least and at most, before they are transformed."""
        ends = [self.part(rule, name) for name in rule.get("items") or rule["scales"]]
        low, high = sum((end[0] for end in ends), Fraction(0)), sum((end[1] for end in ends), Fraction(0))
        return (low / len(ends), high / len(ends)) if rule["method"] == "mean" else (low, high)

    def can_lack(self, rule: Mapping[str, Any], name: str) -> bool:
        """Whether a part of a scale can be left out because it does not apply."""
        if "scales" in rule:
            return name in self._lacking
        item = self._item(name)
        return len(item.score_of) < len(item.options)

    def _item(self, item_id: str) -> Item:
        return Item.model_validate_json(json.dumps(_with_meanings(self.items[item_id])))

    def _so_far(self) -> Instrument | None:
        size = len(self.scales), len(self.skips)
        if self._kept is None or self._kept[0] != size:
            self._kept = size, self._instrument(self.scales)
        return self._kept[1]

    def _instrument(self, scales: list[Json], skips: list[Json] | None = None) -> Instrument | None:
        items = [_with_meanings(item) for item in self.items.values()]
        spare: Json = {"id": self._free(), "name": "-", "items": [items[0]["id"]], "method": "sum", "min": 0, "max": 1}
        spare |= {"missing": {"rule": "all"}, "source": "-", "evidence": "memory"}
        every = [scale | {"higher_is": "neither"} for scale in [*scales, spare]]
        held = [{"meaning": "-", **skip} for skip in (self.skips if skips is None else skips)]
        try:
            return definition_from(_FILLED | {"items": items, "scales": every, "skips": held})
        except DefinitionError:
            return None

    def _free(self) -> str:
        """An id that nothing has, for the scale that a definition needs even while none was read."""
        number = 1
        while f"spare{number}" in self.items or f"spare{number}" in self.ranges:
            number += 1
        return f"spare{number}"


def _with_meanings(item: Json) -> Json:
    apart = [{"meaning": "not-relevant", **option} for option in item.get("not_applicable", ())]
    return item | ({"not_applicable": apart} if apart else {})
