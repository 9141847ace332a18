"""A thread for work that would hold up all other requests, with a bounded queue before it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from api.problems import ServiceUnavailable

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """One thread, one call at a time. The interpreter still serves requests in between, every few milliseconds.

    Parameters
    ----------
    name
        Of the thread.
    most
        Calls taken on and not finished; further ones are refused at once rather than kept for minutes.
    most_of_one
        The same of one caller, so that none fills the lane.
    """

    def __init__(self, name: str, *, most: int, most_of_one: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._most, self._most_of_one = most, most_of_one
        self._taken: Counter[Hashable] = Counter()

    async def run(self, of: Hashable, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result, worked out in the thread.

        Parameters
        ----------
        of
            Whose call it is.

        Raises
        ------
        ServiceUnavailable
            Too much is waiting, of this caller or in all.
        """
        if self._taken.get(of, 0) >= self._most_of_one or self._taken.total() >= self._most:
            raise ServiceUnavailable("Earlier work of this kind has not been finished yet.", retry_after=2)
        self._taken[of] += 1
        loop = asyncio.get_running_loop()
        future = self._pool.submit(function, *args, **kwargs)
        # Counted until it has really ended: a caller who hangs up does not stop a thread.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._finished, of))
        return await asyncio.wrap_future(future)

    def _finished(self, of: Hashable) -> None:
        self._taken[of] -= 1
        if not self._taken[of]:
            del self._taken[of]

    def close(self) -> None:
        """Take no more; what runs is waited for."""
        self._pool.shutdown(wait=True, cancel_futures=True)
