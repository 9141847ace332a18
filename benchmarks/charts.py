"""Pictures: drawn for the first time against the renderer alone; sent again against an endpoint with as many bytes."""

from __future__ import annotations

import asyncio
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count

import orjson
import vl_convert

import instruments
from api.charts.draw import VERSION
from api.charts.render import Renderer
from api.charts.series import series_chart
from api.charts.style import Spec
from benchmarks.progress import _form
from benchmarks.recording import _clinic
from benchmarks.report import Outcome, in_turn, outcome
from benchmarks.server import floor, load, service
from scoring.progress import Measurement, progress

ANSWERS = 20
PICTURES = 20
"""Drawn in a round, each another."""
FIRST = datetime(2025, 1, 6, 9, 0, tzinfo=UTC)
COLD, WARM, AS_DATA = 1.3, 0.1, 0.7


def charts() -> list[Outcome]:
    """An SVG of twenty answers: cold in the service's renderer, warm over HTTP with rights, scores and trail."""
    return [_cold(), *_warm()]


def _cold() -> Outcome:
    specs = _specs()
    with asyncio.Runner() as runner:
        renderer = runner.run(_started())

        def bare() -> float:
            texts = [orjson.dumps(next(specs)).decode() for _ in range(PICTURES)]
            start = time.perf_counter()
            for text in texts:
                vl_convert.vegalite_to_svg(text, vl_version=VERSION, allowed_base_urls=[])
            return (time.perf_counter() - start) / PICTURES * 1e3

        async def drawn() -> float:
            asked = [next(specs) for _ in range(PICTURES)]
            start = time.perf_counter()
            for spec in asked:
                await renderer.svg(spec)
            return (time.perf_counter() - start) / PICTURES * 1e3

        pairs = in_turn(bare, lambda: runner.run(drawn()), rounds=5)
        runner.run(renderer.__aexit__(None, None, None))
    return outcome("chart SVG, cold, against vl-convert alone", pairs, goal=COLD, higher_is="worse", unit="ms")


async def _started() -> Renderer:
    return Renderer()


def _specs() -> Iterator[Spec]:
    """Specifications of a series, each of other scores."""
    fsfi = instruments.load("fsfi")
    for number in count():
        values = [2 + (7 * answer + number / 100) % 34 for answer in range(ANSWERS)]
        given = [
            Measurement(at, at, str(answer), fsfi.version, fsfi.variant_ids[0], value, "complete", valid=True)
            for answer, value in enumerate(values)
            for at in [FIRST + timedelta(weeks=answer)]
        ]
        yield series_chart(progress(fsfi, "total", given))


def _warm() -> list[Outcome]:
    with _clinic() as (data, lease), ExitStack() as stack:
        running = stack.enter_context(service(data))
        client: str = running.call("POST", "/v1/clients", {})["id"]
        for number in range(ANSWERS):
            running.call("POST", "/v1/responses", _form(client, number), **{"Idempotency-Key": str(uuid.uuid4())})
        path = f"/v1/clients/{client}/progress.svg?instrument=fsfi&scale=total"
        asked = urllib.request.Request(f"http://127.0.0.1:{running.port}{path}", headers=running.headers())
        with urllib.request.urlopen(asked, timeout=60) as reply:
            size = len(reply.read())
        port = stack.enter_context(floor(lease.url("postgres", "fathomline")))
        bare = in_turn(
            lambda: load(port, "GET", [f"/bytes?size={size}"], headers={}),
            lambda: load(running.port, "GET", [path], headers=running.headers()),
            rounds=5,
        )
        data_alone = path.replace("progress.svg", "progress")
        as_data = in_turn(
            lambda: load(running.port, "GET", [data_alone], headers=running.headers()),
            lambda: load(running.port, "GET", [path], headers=running.headers()),
            rounds=5,
        )
    return [
        outcome("GET progress.svg, drawn before, against its bytes alone", bare, goal=WARM, higher_is="better",
                unit="requests/s"),
        outcome("GET progress.svg, drawn before, against its data", as_data, goal=AS_DATA, higher_is="better",
                unit="requests/s"),
    ]  # fmt: skip
