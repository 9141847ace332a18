"""Small invented instruments, of which a test names only what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instruments.loader import definition_from
from instruments.schema import Instrument
from tests.scoring.strategies import SOURCED, plain


def item(item_id: str, options: Sequence[int] = (0, 1, 2), **members: Any) -> dict[str, Any]:
    """An item; 0, 1, 2 unless told otherwise."""
    return {"id": item_id, "topic": "something", "options": list(options)} | _text(members)


def scale(scale_id: str, **members: Any) -> dict[str, Any]:
    """A scale; a sum that needs all its parts unless told otherwise."""
    rule = {"name": "A scale", "method": "sum", "missing": {"rule": "all"}, "higher_is": "worse"}
    return {"id": scale_id} | rule | SOURCED | _text(members)


def sourced(**members: Any) -> dict[str, Any]:
    """A rule or figure with its source."""
    return SOURCED | _text(members)


def instrument(**parts: Any) -> Instrument:
    """An instrument, read as a definition file is."""
    return definition_from(plain(**parts))


def _text(value: Any) -> Any:
    """Numbers with a fraction as text, which is how the loader hands them on."""
    if isinstance(value, dict):
        return {key: _text(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_text(part) for part in value]
    return repr(value) if isinstance(value, float) else value
