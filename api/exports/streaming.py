"""What a thread writes, given out by the event loop as it comes, a few parts ahead and no more."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import IO, Final

PART: Final = 1 << 16
AHEAD: Final = 16
"""Parts written and not yet taken."""
PATIENCE: Final = 60.0
"""Seconds for which a receiver may take nothing; then it is given up, and with it what the thread holds."""


class ReceiverGone(Exception):
    """Nobody takes what is written."""


class _Pipe(io.RawIOBase):
    """The thread's end."""

    def __init__(self, parts: asyncio.Queue[bytes | None], patience: float) -> None:
        self.gone = False
        self._parts, self._patience, self._loop = parts, patience, asyncio.get_running_loop()
        self._waiting = bytearray()

    def __del__(self) -> None:
        """Not closed at the end of its life, as other files are: that would give out what nobody waits for."""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer, as files take
        self._waiting += data
        if len(self._waiting) >= PART:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Give out what has been written; waits while the receiver is behind."""
        part, self._waiting = bytes(self._waiting), bytearray()
        if self.gone:
            raise ReceiverGone
        if part:
            handed = asyncio.run_coroutine_threadsafe(self._parts.put(part), self._loop)
            try:
                handed.result(self._patience)
            except TimeoutError:
                handed.cancel()
                self.gone = True
                raise ReceiverGone from None

    def filled(self, write: Callable[[IO[bytes]], object]) -> None:
        """All that ``write`` writes."""
        write(self)  # type: ignore[arg-type]  # a raw file is one for bytes
        self.flush()


async def streamed(
    run: Callable[[Callable[[], None]], Awaitable[None]],
    write: Callable[[IO[bytes]], object],
    *,
    patience: float = PATIENCE,
) -> AsyncIterator[bytes]:
    """The bytes that ``write`` writes, in parts; what it raises is raised after what it has written before.

    Parameters
    ----------
    run
        Runs a function in a thread.
    write
        Writes to the file that it is given.
    """
    parts: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)
    pipe = _Pipe(parts, patience)

    async def work() -> None:
        try:
            await run(lambda: pipe.filled(write))
        finally:
            await parts.put(None)

    working = asyncio.create_task(work())
    try:
        while (part := await parts.get()) is not None:
            yield part
        await working
    finally:
        pipe.gone = True
        working.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody is left to be told
        while not parts.empty():  # so that the thread, if it waits, sees it
            parts.get_nowait()
