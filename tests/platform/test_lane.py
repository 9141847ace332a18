"""One thread, a bounded queue before it, and nobody who fills it alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from api.lane import Lane
from api.problems import ServiceUnavailable


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane("test", most=4, most_of_one=2)
    yield made
    made.close()


async def test_it_runs_one_at_a_time_in_a_thread_of_its_own(lane: Lane) -> None:
    threads = await asyncio.gather(*(lane.run(of, threading.get_ident) for of in "abcd"))
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


async def test_what_goes_wrong_reaches_the_caller_and_holds_up_nobody(lane: Lane) -> None:
    with pytest.raises(ZeroDivisionError):
        await lane.run("a", lambda: 1 // 0)
    assert await lane.run("a", lambda: 7) == 7


async def test_nobody_fills_it_alone_and_all_together_no_more_than_it_holds(lane: Lane) -> None:
    gate = threading.Event()
    waiting = [asyncio.create_task(lane.run(of, gate.wait)) for of in "aabb"]
    await asyncio.sleep(0)
    for of in "abc":
        with pytest.raises(ServiceUnavailable) as refused:
            await lane.run(of, gate.wait)
        assert refused.value.headers["Retry-After"] == "2"
    gate.set()
    await asyncio.gather(*waiting)
    await asyncio.sleep(0.05)
    assert await lane.run("c", lambda: 7) == 7
    assert await lane.run("a", lambda: 7) == 7


async def test_a_caller_who_hangs_up_keeps_his_place_until_the_work_has_ended(lane: Lane) -> None:
    gate = threading.Event()
    running = asyncio.create_task(lane.run("a", gate.wait))
    queued = asyncio.create_task(lane.run("a", gate.wait))
    await asyncio.sleep(0.05)
    for task in (running, queued):
        task.cancel()
    await asyncio.gather(running, queued, return_exceptions=True)
    await asyncio.sleep(0.05)  # what had not begun is taken out; what runs cannot be stopped
    other = asyncio.create_task(lane.run("a", gate.wait))
    await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailable):
        await lane.run("a", gate.wait)
    gate.set()
    assert await other
