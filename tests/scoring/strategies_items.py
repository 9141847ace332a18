"""Random items: gaps, reversing, score maps, options that do not apply, two steps, and what variants change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from instruments.schema import Item

Draw = Callable[[st.SearchStrategy[Any]], Any]
Form = dict[str, int | None]


@st.composite
def items(draw: Draw, item_id: str, variants: list[str]) -> dict[str, Any]:
    """One item with at least two different worths under each variant."""
    kind = draw(st.sampled_from(("range", "range", "range", "gaps", "far")))
    if kind == "range":
        low = draw(st.integers(-3, 3))
        options = list(range(low, low + draw(st.integers(2, 6))))
    else:
        bound = 30 if kind == "gaps" else 10_000
        options = draw(st.lists(st.integers(-bound, bound), min_size=2, max_size=6, unique=True))
    options = draw(st.permutations(options))
    item: dict[str, Any] = {"id": item_id, "topic": "something", "options": options}
    if len(options) > 2 and draw(st.booleans()):
        chosen = draw(st.lists(st.sampled_from(options), max_size=len(options) - 2, unique=True))
        item["not_applicable"] = [
            {"value": v, "meaning": "not-relevant", "scored": draw(st.booleans())} for v in chosen
        ]
    left_out = {o["value"] for o in item.get("not_applicable", ()) if not o["scored"]}
    how = draw(st.sampled_from(("plain", "plain", "reverse", "scored")))
    if how == "reverse":
        item["reverse"] = True
    elif how == "scored":
        decimals = st.sampled_from(("0", "1", "2", "3", "-1", "0.5", "1.25", "0.1", "-2.75", "7"))
        used = [value for value in options if value not in left_out]
        worths = draw(st.lists(decimals, min_size=len(used), max_size=len(used)))
        assume(len(set(worths)) > 1)
        item["scored"] = dict(zip(map(str, used), worths, strict=True))
    if how != "scored" and draw(st.integers(0, 3)) == 0:
        item["variants"] = {
            name: item_variant(draw, item)
            for name in draw(st.lists(st.sampled_from(variants[1:] or [""]), max_size=1))
            if name
        }
    plain_options = sorted(set(options) - {o["value"] for o in item.get("not_applicable", ())})
    printed_alike = not any("options" in changed for changed in item.get("variants", {}).values())
    if printed_alike and len(plain_options) > 1 and draw(st.integers(0, 3)) == 0:
        no, *yes = draw(st.permutations(plain_options))
        item["two_step"] = {"no": no, "yes": {str(rating): option for rating, option in enumerate(yes, -1)}}
    return item


def item_variant(draw: Draw, item: dict[str, Any]) -> dict[str, Any]:
    """Another print of an item: other options, another direction, other worths."""
    options = item["options"]
    changed: dict[str, Any] = {}
    if draw(st.booleans()):
        new = [value for value in range(31, 41) if value not in options]
        more = draw(st.lists(st.sampled_from(new), min_size=1, max_size=3, unique=True))
        changed["options"] = [*options, *more]
    if draw(st.booleans()):
        left_out = {o["value"] for o in item.get("not_applicable", ()) if not o["scored"]}
        used = [value for value in changed.get("options", options) if value not in left_out]
        worths = draw(st.permutations([str(number) for number in range(len(used))]))
        return changed | {"reverse": False, "scored": dict(zip(map(str, used), worths, strict=True))}
    return changed | {"reverse": not item.get("reverse", False)}


def steps_of(item: Item, value: int) -> Form:
    """An answer in two steps, where it has them."""
    assert item.two_step is not None
    if value == item.two_step.no:
        return {f"{item.id}.gate": 0}
    ratings = [rating for rating, option in item.two_step.yes.items() if option == value]
    return {f"{item.id}.gate": 1, f"{item.id}.rating": ratings[0]} if ratings else {item.id: value}
