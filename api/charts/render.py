"""Drawing for requests: in another process (see :mod:`api.charts.draw`), with a small cache of what was drawn last."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import orjson

from api.problems import ServiceUnavailable

MOST_KEPT: Final = 256
"""Pictures kept, an SVG of about 15 kB. They hold dates and scores, as the answers that they were sent in did."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""Of all that are kept."""
MOST_WAITING: Final = 256
"""Pictures being drawn or waiting for it; further ones are refused at once."""
MOST_WAITING_OF_ONE: Final = 64
"""The same of one organisation, so that none fills the place."""
LONGEST: Final = 20.0
"""Seconds for one picture; the first waits for the other process to start."""
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of one picture, as the other process sends it."""

SCREEN: Final = 72
"""Pixels per inch at which a picture has the pixels that it was laid out in."""

COMMAND: Final = (sys.executable, "-m", "api.charts.draw")
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "HOME", "LANG", "SYSTEMROOT")
"""Of the environment; the rest of it holds keys, which drawing has no need of."""


class DrawingFailed(RuntimeError):
    """The specification could not be drawn: a fault of the service."""


@dataclass(slots=True)
class _Line:
    """Those of one organisation who wait: one of them at a time is among those whose turn it may be."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Renderer:
    """Draws one picture at a time. The other process starts with the first, and ends when this one does or is closed.

    Pictures are kept by the hash of their specification. Who asks is an organisation (``of``): each is drawn for in
    turn, so nobody waits for more than one picture of another, however many that one asks for.
    """

    def __init__(
        self,
        *,
        most_kept: int = MOST_KEPT,
        most_bytes: int = MOST_BYTES,
        most_waiting: int = MOST_WAITING,
        most_waiting_of_one: int = MOST_WAITING_OF_ONE,
        longest: float = LONGEST,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._most_kept, self._most_bytes = most_kept, most_bytes
        self._most_waiting, self._most_waiting_of_one = most_waiting, most_waiting_of_one
        self._longest = longest
        self._command = tuple(command)
        self._kept: OrderedDict[bytes, str | bytes] = OrderedDict()
        self._size = 0
        self._lines: dict[Hashable, _Line] = {}
        self._turn = asyncio.Lock()
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._turn:
            await self._end()

    async def svg(self, spec: dict[str, Any], *, of: Hashable = None) -> str:
        """The picture of a specification.

        Raises
        ------
        ServiceUnavailable
            It took too long, too many wait, or the other process cannot be kept alive.
        DrawingFailed
            It is not a specification that can be drawn.
        """
        return str(await self._picture({"form": "svg", "spec": spec}, of))

    async def png(self, spec: dict[str, Any], *, ppi: int = SCREEN, of: Hashable = None) -> bytes:
        """The same as pixels, ``ppi`` to the inch: at 72 as many as it was laid out in. Raises as above."""
        return self._bytes(await self._picture({"form": "png", "spec": spec, "ppi": ppi}, of))

    async def pdf(self, spec: dict[str, Any], *, of: Hashable = None) -> bytes:
        """The same on a page of its own size. Raises as above."""
        return self._bytes(await self._picture({"form": "pdf", "spec": spec}, of))

    @staticmethod
    def _bytes(found: str | bytes) -> bytes:
        return found if isinstance(found, bytes) else found.encode()

    async def _picture(self, task: dict[str, Any], of: Hashable) -> str | bytes:
        text = orjson.dumps(task)
        key = hashlib.sha256(text).digest()
        kept = self._kept.get(key)
        if kept is None:
            line = self._lines.get(of) or _Line()
            taken = sum(one.waiting for one in self._lines.values())
            if line.waiting >= self._most_waiting_of_one or taken >= self._most_waiting:
                raise ServiceUnavailable("Too many pictures are waiting to be drawn.", retry_after=2)
            self._lines[of] = line
            line.waiting += 1
            # Shielded: a caller that hangs up midway would leave an answer in the pipe, for the next to take as theirs.
            return await asyncio.shield(asyncio.ensure_future(self._draw(key, text, of, line)))
        self._kept.move_to_end(key)
        return kept

    async def _draw(self, key: bytes, text: bytes, of: Hashable, line: _Line) -> str | bytes:
        try:
            async with line.turn, self._turn:
                if (kept := self._kept.get(key)) is not None:
                    return kept  # drawn for another request while this one waited
                answer = await self._ask(text)
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[of]
        if "error" in answer:
            raise DrawingFailed(f"the picture could not be drawn: {answer['error']}")
        drawn = str(answer["text"]) if "text" in answer else base64.b64decode(answer["bytes"])
        self._keep(key, drawn)
        return drawn

    def _keep(self, key: bytes, drawn: str | bytes) -> None:
        self._kept[key] = drawn
        self._size += len(drawn)
        while len(self._kept) > self._most_kept or self._size > self._most_bytes:
            _, gone = self._kept.popitem(last=False)
            self._size -= len(gone)

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
