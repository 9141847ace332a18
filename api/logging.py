"""Logs: one JSON object a line on standard error.

What may stand in one: names of events, routes, statuses, durations, ids of requests, slugs of organisations, roles.
Never a subject, a body, a query string, a token, or the message of an exception, which libraries build from values.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any, Final, TextIO

import orjson
import structlog

_QUIET: Final = ("uvicorn.access", "httpx", "httpcore", "procrastinate", "procrastinate.worker.worker")
"""Loggers that write whole URLs or arguments of jobs, with ids in them; our own line a request or run stands for it."""

_MUTE: Final = ("procrastinate.worker", "psycopg.pool")
"""Loggers that quote a failed job's arguments, and the address of a server; what failed is told by ourselves."""


logger: Any = structlog.get_logger("fathomline")
"""The service's own logger; `configure` binds it once, since finding it anew costs more than a line."""


def _dumps(value: Any, **_: Any) -> bytes:
    return orjson.dumps(value, default=repr)


def _dumps_text(value: Any, **_: Any) -> str:
    return _dumps(value).decode("utf-8")


def _without_exception(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Where it happened in place of the exception itself, which may quote a value."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event |= describe(error)
    return event


def describe(error: BaseException) -> dict[str, Any]:
    """Class and places of an exception and of those that caused it, without any message."""
    chain: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    places: list[str] = []
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        chain.append(f"{type(current).__module__}.{type(current).__qualname__}")
        frames = traceback.extract_tb(current.__traceback__)
        places.append(" < ".join(f"{frame.name} {frame.filename}:{frame.lineno}" for frame in reversed(frames)))
        current = current.__cause__ or current.__context__
    return {"exceptions": chain, "places": places}


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's logs to a stream as JSON lines. May be called again.

    ``stream`` is standard error unless given; it needs a ``buffer``.
    """
    stream = stream or sys.stderr
    least = getattr(logging, level.upper())
    before: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_exception,
    ]
    structlog.configure(
        processors=[*before, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.BytesLoggerFactory(stream.buffer),
        cache_logger_on_first_use=False,
    )
    global logger
    logger = structlog.get_logger("fathomline").bind()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps_text),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(least, logging.INFO))
    for name in ("uvicorn", "uvicorn.error"):  # uvicorn's own handlers would print each line a second time, as text
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in _QUIET:
        quiet = logging.getLogger(name)
        quiet.handlers.clear()
        quiet.setLevel(logging.WARNING)
        quiet.propagate = True
    for name in _MUTE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
