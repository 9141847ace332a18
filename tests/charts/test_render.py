"""Drawing in another process: kept, shared, restarted, ended; and never in the way of others."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from api.charts import render
from api.charts.draw import pdf, png, svg
from api.charts.render import DrawingFailed, Renderer
from api.charts.series import series_chart
from api.problems import ServiceUnavailable
from tests.charts.test_series import fsfi


def spec(value: float) -> dict[str, Any]:
    return series_chart(fsfi(value))


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[Renderer]:
    """Its process takes most of a second to start, and another takes its place where a test kills it."""
    async with Renderer(most_kept=2) as made:
        yield made


@pytest.fixture
def renderer(shared: Renderer) -> Renderer:
    """One that keeps nothing as yet."""
    shared._kept.clear()
    shared._size = 0
    return shared


def process_of(renderer: Renderer) -> asyncio.subprocess.Process:
    process = renderer._process
    assert process is not None
    return process


async def test_same_as_here(renderer: Renderer) -> None:
    assert await renderer.svg(spec(16.2)) == svg(spec(16.2))


async def test_kept(renderer: Renderer) -> None:
    first, second, third = [await renderer.svg(spec(value)) for value in (1.0, 2.0, 3.0)]
    process_of(renderer).kill()
    await process_of(renderer).wait()
    assert await renderer.svg(spec(3.0)) is third, "no other process is needed for what is kept"
    assert await renderer.svg(spec(2.0)) is second
    again = await renderer.svg(spec(1.0))
    assert again == first
    assert again is not first, "only two are kept, and the one used longest ago went"


async def test_drawn_once_for_all_who_wait(renderer: Renderer) -> None:
    drawn = await asyncio.gather(*(renderer.svg(spec(16.2)) for _ in range(5)))
    assert all(one is drawn[0] for one in drawn)


async def test_many_at_once_get_their_own(renderer: Renderer) -> None:
    values = [float(value) for value in range(3, 15)]
    drawn = await asyncio.gather(*(renderer.svg(spec(value)) for value in values))
    assert all(f"usable measurement: {value:g} on" in one for value, one in zip(values, drawn, strict=True))


async def test_process_that_died_is_replaced(renderer: Renderer) -> None:
    await renderer.svg(spec(1.0))
    died = process_of(renderer)
    died.kill()
    await died.wait()
    assert "<svg" in await renderer.svg(spec(2.0))
    assert process_of(renderer).pid != died.pid


async def test_caller_that_hangs_up_does_not_mix_up_the_answers(renderer: Renderer) -> None:
    await renderer.svg(spec(1.0))
    hung_up = asyncio.ensure_future(renderer.svg(spec(2.0)))
    await asyncio.sleep(0.005)
    hung_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hung_up
    assert "usable measurement: 3 on" in await renderer.svg(spec(3.0))


async def test_what_cannot_be_drawn(renderer: Renderer) -> None:
    with pytest.raises(DrawingFailed, match="ValueError"):
        await renderer.svg({"mark": "secret-4711", "title": {"text": []}, "description": ""})
    with pytest.raises(DrawingFailed, match="KeyError"):
        await renderer.svg({"mark": "point"})
    assert "<svg" in await renderer.svg(spec(1.0)), "it goes on with the next"


async def test_characters_that_cannot_be_drawn_do_not_end_the_process(renderer: Renderer) -> None:
    asked = spec(1.0)
    asked["title"]["text"] = ["a\x01b\ufffec\\u0001"]
    drawn = await renderer.svg(asked)
    assert ">a\ufffdb\ufffdc\\u0001</title>" in drawn
    assert process_of(renderer).returncode is None


async def test_too_slow() -> None:
    sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
    async with Renderer(command=sleeper, longest=0.2) as slow:
        with pytest.raises(ServiceUnavailable):
            await slow.svg(spec(1.0))
        assert slow._process is None, "what hangs is ended"


async def test_pixels_and_pages_are_drawn_there_too(renderer: Renderer) -> None:
    assert await renderer.png(spec(16.2), ppi=144) == png(spec(16.2), 144)
    there, here = await renderer.pdf(spec(16.2)), pdf(spec(16.2))
    assert len(there) == len(here), "the order of its parts is another in each process"
    process_of(renderer).kill()
    await process_of(renderer).wait()
    assert (await renderer.png(spec(2.0))).startswith(b"\x89PNG"), "one that was killed is replaced"


async def test_forms_and_finenesses_are_kept_apart() -> None:
    async with Renderer() as made:
        drawn = [await made.png(spec(16.2), ppi=ppi) for ppi in (72, 144)]
        assert len(drawn[0]) < len(drawn[1])
        assert [await made.png(spec(16.2), ppi=ppi) for ppi in (72, 144)] == drawn
        assert "<svg" in await made.svg(spec(16.2))


async def test_what_is_kept_is_bounded_by_its_size() -> None:
    async with Renderer(most_bytes=20_000) as made:
        first = await made.svg(spec(1.0))
        for value in range(2, 6):
            await made.svg(spec(float(value)))
            assert made._size == sum(len(kept) for kept in made._kept.values()) <= 20_000
        assert await made.svg(spec(1.0)) is not first


async def test_nobody_waits_for_all_that_another_asks_for(renderer: Renderer) -> None:
    ended: list[str] = []

    async def ask(of: str, value: float) -> None:
        await renderer.svg(spec(value), of=of)
        ended.append(of)

    asked = [ask("busy", float(value)) for value in range(3, 10)]
    await asyncio.gather(*asked, ask("other", 2.0))
    assert ended.index("other") <= 1
    assert not renderer._lines, "nothing is remembered of whom nothing is drawn for"


async def test_one_alone_does_not_fill_the_place() -> None:
    sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
    async with Renderer(command=sleeper, longest=0.3, most_waiting=4, most_waiting_of_one=2) as slow:
        asked = [asyncio.ensure_future(slow.svg(spec(float(value)), of=value // 3)) for value in range(3, 12)]
        refused = [asked[2], asked[5], *asked[6:]]
        await asyncio.wait(refused)
        assert not any(task.done() for task in asked if task not in refused)
        for task in asked:
            with pytest.raises(ServiceUnavailable):
                await task


async def test_too_many_at_once() -> None:
    sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
    async with Renderer(command=sleeper, longest=1.0, most_waiting=3) as slow:
        asked = [asyncio.ensure_future(slow.svg(spec(float(value)))) for value in range(3, 9)]
        done, waiting = await asyncio.wait(asked, timeout=0.5)
        assert len(done) == len(waiting) == 3, "those beyond are refused at once"
        assert all(isinstance(task.exception(), ServiceUnavailable) for task in done)
        for task in waiting:
            with pytest.raises(ServiceUnavailable):
                await task
        with pytest.raises(ServiceUnavailable):
            await slow.svg(spec(1.0))  # there is room again


@pytest.mark.parametrize("command", [(sys.executable, "-c", "pass"), ("/nowhere/python",)])
async def test_no_process_to_draw(command: tuple[str, ...]) -> None:
    async with Renderer(command=command) as broken:
        with pytest.raises(ServiceUnavailable):
            await broken.svg(spec(1.0))


async def test_ends_with_the_renderer() -> None:
    async with Renderer() as made:
        await made.svg(spec(1.0))
        process = process_of(made)
    assert process.returncode is not None


async def test_gets_no_keys(monkeypatch: pytest.MonkeyPatch, renderer: Renderer) -> None:
    monkeypatch.setenv("FATHOMLINE_MASTER_KEY", "secret-4711")
    await renderer.svg(spec(1.0))
    assert b"4711" not in Path(f"/proc/{process_of(renderer).pid}/environ").read_bytes()


def test_ends_with_its_parent() -> None:
    """Also where the parent is killed: its end of the pipe closes, and the input ends."""
    code = (
        "import subprocess, sys, time; child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE); "
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, *render.COMMAND], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while time.monotonic() < until and _runs(child):
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


async def test_others_are_answered_meanwhile(renderer: Renderer) -> None:
    """Drawing takes tens of milliseconds of a processor, and none of the event loop's."""
    await renderer.svg(spec(1.0))
    drawing = [asyncio.ensure_future(renderer.svg(spec(float(value)))) for value in range(3, 9)]
    turns = 0
    while not all(task.done() for task in drawing):
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


def test_program() -> None:
    """Lines in, lines out, and a fault is one of them."""
    given = [orjson.dumps({"form": "svg", "spec": spec(1.0)}), b"{}", b"nonsense"]
    ran = subprocess.run(render.COMMAND, input=b"\n".join(given), capture_output=True, check=True)
    assert ran.stderr == b""
    answers = [orjson.loads(line) for line in ran.stdout.splitlines()]
    assert answers == [{"text": svg(spec(1.0))}, {"error": "KeyError"}, {"error": "JSONDecodeError"}]
