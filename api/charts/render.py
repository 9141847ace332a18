"""Drawing for requests: in another process (see :mod:`api.charts.draw`), with a small cache of what was drawn last."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import orjson

from api.problems import ServiceUnavailable

MOST_KEPT: Final = 256
"""Pictures kept, of about 15 kB each. They hold dates and scores, as the answers that they were sent in did."""
LONGEST: Final = 20.0
"""Seconds for one picture; the first waits for the other process to start."""
LARGEST: Final = 16 * 1024 * 1024
"""Bytes of one picture."""

COMMAND: Final = (sys.executable, "-m", "api.charts.draw")
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "HOME", "LANG", "SYSTEMROOT")
"""Of the environment; the rest of it holds keys, which drawing has no need of."""


class DrawingFailed(RuntimeError):
    """The specification could not be drawn: a fault of the service."""


class Renderer:
    """Draws one picture at a time. The other process starts with the first, and ends when this one does or is closed.

    Pictures are kept by the hash of their specification.
    """

    def __init__(
        self, *, most_kept: int = MOST_KEPT, longest: float = LONGEST, command: Sequence[str] = COMMAND
    ) -> None:
        self._most_kept = most_kept
        self._longest = longest
        self._command = tuple(command)
        self._kept: OrderedDict[bytes, str] = OrderedDict()
        self._turn = asyncio.Lock()
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._turn:
            await self._end()

    async def svg(self, spec: dict[str, Any]) -> str:
        """The picture of a specification.

        Raises
        ------
        ServiceUnavailable
            It took too long, or the other process cannot be kept alive.
        DrawingFailed
            It is not a specification that can be drawn.
        """
        text = orjson.dumps(spec)
        key = hashlib.sha256(text).digest()
        kept = self._kept.get(key)
        if kept is None:
            # Shielded: a caller that hangs up midway would leave an answer in the pipe, for the next to take as theirs.
            return await asyncio.shield(asyncio.ensure_future(self._draw(key, text)))
        self._kept.move_to_end(key)
        return kept

    async def _draw(self, key: bytes, text: bytes) -> str:
        async with self._turn:
            if (kept := self._kept.get(key)) is not None:
                return kept  # drawn for another request while this one waited
            answer = await self._ask(text)
        if "svg" not in answer:
            raise DrawingFailed(f"the picture could not be drawn: {answer.get('error')}")
        drawn = self._kept[key] = str(answer["svg"])
        if len(self._kept) > self._most_kept:
            self._kept.popitem(last=False)
        return drawn

    async def _ask(self, text: bytes) -> dict[str, Any]:
        """The answer of the other process; once more where that one has died since it was last asked."""
        fresh = False
        while not fresh:
            fresh = self._process is None
            try:
                line = await asyncio.wait_for(self._exchange(text), self._longest)
            except TimeoutError:
                await self._end()
                raise ServiceUnavailable("The picture took too long to draw.") from None
            except OSError:
                line = b""
            if line:
                answer: dict[str, Any] = orjson.loads(line)
                return answer
            await self._end()
        raise ServiceUnavailable("Pictures cannot be drawn at the moment.")

    async def _exchange(self, text: bytes) -> bytes:
        if self._process is None:
            environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, limit=LARGEST, env=environment, start_new_session=True
            )
        writer, reader = self._process.stdin, self._process.stdout
        assert writer is not None  # noqa: S101  - both are pipes, by the arguments above
        assert reader is not None  # noqa: S101  - as above
        writer.write(text + b"\n")
        await writer.drain()
        return await reader.readline()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.communicate()
