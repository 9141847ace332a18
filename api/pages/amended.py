"""What is otherwise in a version of a response than in an earlier one: what it was answered, and what it scores."""

from __future__ import annotations

from typing import Any, NamedTuple

from api.pages.names import meaning
from api.pages.render import moment
from instruments import Instrument
from instruments.items import GATE, RATING
from scoring.progress_words import number

_SAID = {True: "yes", False: "no", None: "not said"}
_STEPS = {GATE: " (yes or no)", RATING: " (how much)"}


class Difference(NamedTuple):
    """One thing that was put right."""

    about: str
    before: str
    now: str


class Rescored(NamedTuple):
    """One scale before and after."""

    name: str
    before: float | None
    now: float | None
    standing: str

    @property
    def change(self) -> float | None:
        """In points; None where one of them has no value."""
        return None if self.before is None or self.now is None else self.now - self.before


def differences(instrument: Instrument, before: dict[str, Any], now: dict[str, Any]) -> list[Difference]:
    """What was answered otherwise, in the order of the form, and what else was said otherwise of it."""
    found = []
    if before["answered_at"] != now["answered_at"]:
        found.append(Difference("Answered", moment(before["answered_at"]), moment(now["answered_at"])))
    if before["variant"] != now["variant"]:
        names = {one.id: one.name for one in instrument.variants}
        found.append(Difference("Way to score", *(names.get(one["variant"], one["variant"]) for one in (before, now))))
    if before["setting"] != now["setting"]:
        words = [meaning("setting", one["setting"]) or "not said" for one in (before, now)]
        found.append(Difference("Where it was filled in", *words))
    if before["episode_id"] != now["episode_id"]:
        words = ["none" if one["episode_id"] is None else "an episode" for one in (before, now)]
        found.append(Difference("Episode", words[0], "another episode" if words[0] == words[1] else words[1]))
    for name, about in (("partnered", "Has a partner"), ("active", "Sexual activity in that time")):
        if before[name] != now[name]:
            found.append(Difference(about, _SAID[before[name]], _SAID[now[name]]))
    for item in instrument.items:
        for name, step in ((item.id, ""), *((f"{item.id}.{one}", words) for one, words in _STEPS.items())):
            was, is_now = before["answers"].get(name), now["answers"].get(name)
            if was != is_now:
                about = f"{item.id}: {item.topic}{step}"
                found.append(Difference(about, _answer(was), _answer(is_now)))
    return found


def _answer(given: int | None) -> str:
    return "not answered" if given is None else number(given)


def rescored(instrument: Instrument, before: dict[str, Any], now: dict[str, Any]) -> list[Rescored]:
    """Every scale of the later version, with what it was."""
    names = {scale.id: scale.name for scale in instrument.scales}
    return [
        Rescored(
            names.get(name, name),
            (before["scores"].get(name) or {}).get("value"),
            score["value"],
            score["band"] or score["status"].replace("_", " "),
        )
        for name, score in now["scores"].items()
    ]
