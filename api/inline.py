"""Dependencies that only look something up are called where the request is, not in a thread."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any


@cache
def inline(call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """The same dependency as a coroutine function; one object for each, so that FastAPI calls it once a request.

    FastAPI sends a plain function, or a class, through a thread of its pool: for one that is over in a microsecond, a
    tenth of a millisecond of a processor goes to the two threads that wait for each other.
    """

    async def called(**given: Any) -> Any:
        return call(**given)

    called.__signature__ = inspect.signature(call, eval_str=True)  # type: ignore[attr-defined]  # what FastAPI reads
    return called
