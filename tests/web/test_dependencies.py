"""What a request needs before its endpoint runs is found where the request is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.inline import inline
from tests.web.probe import Probe


def routes(among: list[Any]) -> Iterator[APIRoute]:
    """Those of routers that are included in others too."""
    for route in among:
        if isinstance(route, APIRoute):
            yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from routes(included.routes)


def calls(dependant: Dependant) -> Iterator[Any]:
    for one in dependant.dependencies:
        yield one.call
        yield from calls(one)


def waits_for_a_thread(call: Any) -> bool:
    held = call if inspect.isfunction(call) or inspect.ismethod(call) else type(call).__call__
    return not (inspect.iscoroutinefunction(held) or inspect.isasyncgenfunction(held))


def test_no_dependency_is_sent_through_a_thread(probe: Probe) -> None:
    """One costs more than the token, the audit event and the route together; `api.inline` says what to do instead."""
    found = {call for route in routes(probe.app.router.routes) for call in calls(route.dependant)}
    assert len(found) > 40
    assert sorted(f"{c.__module__}.{c.__qualname__}" for c in found if waits_for_a_thread(c)) == []


async def test_a_function_that_is_made_inline_takes_and_gives_the_same() -> None:
    def twice(of: int, more: str = "x") -> str:
        return more * of * 2

    made = inline(twice)
    assert inspect.signature(made) == inspect.signature(twice, eval_str=True)
    assert await made(of=1, more="ab") == "abab"
    assert inline(twice) is made
