"""The jobs of references: one fits, in a process of its own; one finds those that nobody is at.

What a fit on own episodes is made of never leaves the database and this machine: the scores of closed episodes go to
the process that fits, and parameters and counts come back. A client who was erased is not among them, and so is left
out of every later fit; a fit that was made before keeps its parameters, which are nobody's.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from procrastinate import App, JobContext
from procrastinate.exceptions import AlreadyEnqueued
from psycopg.rows import dict_row

from api.catalogue.library import Library
from api.catalogue.own import OwnInstruments
from api.db import create_pool
from api.job_database import organisations, within
from api.references.repository import TASK
from api.settings import Settings
from instruments import Instrument, UnknownInstrument
from scoring.growth import weeks_between
from scoring.growth.stratum import severity
from scoring.progress_figures import figures

CONTEXT: Final = "references"
SWEEP: Final = "sweep_references"
EVERY_MINUTE: Final = "* * * * *"
AT_ONCE: Final = 1
"""Fits that a worker runs at once: each takes a processor."""
LONGEST: Final = 600.0
"""Seconds for one fit."""
STALE: Final = timedelta(seconds=LONGEST + 120)
"""After which a fit that was begun is begun anew: whoever was at it is not any more."""
MOST_PERSONS: Final = 2_000
"""Those whose episodes ended last; more make the bands no truer, and old ones are of other care."""
QUERY_LIMIT: Final = "60s"
COMMAND: Final = (sys.executable, "-m", "api.references.child")
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "HOME", "LANG", "SYSTEMROOT")
"""Of the environment; the rest of it holds keys, which fitting has no need of."""

_TAKE: Final = """
update reference_set set state = 'running', started_at = clock_timestamp()
where organisation_id = %s and id = %s
  and (state = 'queued' or (state = 'running' and started_at < clock_timestamp() - %s))
returning instrument, instrument_version, variant, scale, format, modality, severity, origin, staged
"""
_WAITING: Final = """
select id from reference_set
where organisation_id = %s and (state = 'queued' or (state = 'running' and started_at < clock_timestamp() - %s))
order by id
"""
_AGAIN: Final = "update reference_set set state = 'queued' where organisation_id = %s and id = %s and state = 'running'"
_READY: Final = """
update reference_set set state = 'ready', ended_at = clock_timestamp(), persons = %s, observations = %s, horizon = %s,
  model = %s, report = %s, staged = null
where organisation_id = %s and id = %s and state = 'running'
"""
_ENDED: Final = """
update reference_set set state = %s, failure = %s, failure_detail = %s, ended_at = clock_timestamp(), staged = null
where organisation_id = %s and id = %s and state = 'running'
"""
# The current scores: of the run of scoring anew that was applied last, among those that scored a response, else those
# that it was recorded with. As `read_progress` gives them, of all clients at once.
_COURSES: Final = """
with runs as (
  select g.id, g.to_version, a.at
  from rescoring_effect a
  join rescoring g on g.organisation_id = a.organisation_id and g.id = a.rescoring_id
  where a.organisation_id = %(own)s and a.effect = 'applied' and g.instrument = %(instrument)s and not exists (
    select from rescoring_effect w
    where w.organisation_id = a.organisation_id and w.rescoring_id = a.rescoring_id and w.effect = 'withdrawn')
), closed as (
  select e.client_id, e.id, e.ended_on from episode e
  where e.organisation_id = %(own)s and e.ended_on is not null
    and (%(format)s::text is null or e.format = %(format)s)
    and (%(modality)s::text is null or e.modality = %(modality)s)
)
select c.client_id, c.id as episode_id, c.ended_on, r.answered_at, s.value
from closed c
join response r on r.organisation_id = %(own)s and r.episode_id = c.id
  and r.instrument = %(instrument)s and r.variant = %(variant)s
left join lateral (
  select runs.id, runs.to_version from runs
  where exists (select from rescored x
                where x.organisation_id = r.organisation_id and x.response_id = r.id and x.rescoring_id = runs.id)
  order by runs.at desc, runs.id desc limit 1) run on true
join lateral (
  select o.value, o.valid from score o
  where run.id is null and o.organisation_id = r.organisation_id and o.response_id = r.id and o.scale = %(scale)s
  union all
  select x.value, x.valid from rescored x
  where x.organisation_id = r.organisation_id and x.response_id = r.id and x.rescoring_id = run.id
    and x.scale = %(scale)s) s on true
where s.valid and s.value is not null and coalesce(run.to_version, r.instrument_version) = %(version)s
  and not exists (
    select from superseded p where p.organisation_id = r.organisation_id and p.response_id = r.id)
order by c.client_id, c.ended_on desc, c.id desc, r.answered_at, r.id
"""


@dataclass(frozen=True, slots=True)
class Fitting:
    """What a worker needs to fit references."""

    url: str
    settings: Settings
    at_once: asyncio.Semaphore
    command: Sequence[str] = COMMAND


@dataclass
class Scores:
    """Scores in long form; persons are numbers."""

    ids: list[int] = field(default_factory=list)
    weeks: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


async def fit_reference(context: JobContext, organisation_id: str, reference_id: str) -> dict[str, int]:
    """Fit a reference. The table tells how it ended."""
    fitting = _fitting(context)
    own, one = uuid.UUID(organisation_id), uuid.UUID(reference_id)
    async with fitting.at_once:
        async with within(context.app, own) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(_TAKE, (own, one, STALE))
            row = await cursor.fetchone()
        if row is None:
            return {"taken": 1}
        try:
            instrument = await _definition(fitting, own, row["instrument"], row["instrument_version"])
            if instrument is None:
                return await _ended(context.app, own, one, "failed", "definition-missing", "The definition is gone.")
            known = figures(instrument, row["scale"], row["variant"])
            scores = (
                await _courses(context.app, own, row, instrument)
                if row["origin"] == "episodes"
                else Scores(**(row["staged"] if isinstance(row["staged"], dict) else orjson.loads(row["staged"])))
            )
            told = {"ids": scores.ids, "weeks": scores.weeks, "values": scores.values}
            answer = await _fitted(fitting.command, told | {"low": known.minimum, "high": known.maximum})
        except asyncio.CancelledError:  # the worker is to end: another one does it
            await asyncio.shield(_again(context.app, own, one))
            raise
        except TimeoutError:
            told_why = f"The fit took longer than {LONGEST:.0f} seconds."
            return await _ended(context.app, own, one, "failed", "took-too-long", told_why)
        except Exception:
            await _ended(context.app, own, one, "failed", "internal-error", "The fit was broken off.")
            raise
        if "refused" in answer:
            return await _ended(context.app, own, one, "refused", answer["refused"], answer["detail"])
        async with within(context.app, own) as connection:
            model, report = (orjson.dumps(answer[name]).decode() for name in ("model", "report"))
            counts = (answer["persons"], answer["observations"], answer["horizon"])
            await connection.execute(_READY, (*counts, model, report, own, one))
    return {"ready": 1}


async def _definition(fitting: Fitting, own: uuid.UUID, code: str, version: int) -> Instrument | None:
    pool = await create_pool(fitting.url, fitting.settings.model_copy(update={"write_pool_size": 1}))
    definitions = OwnInstruments(pool)
    try:
        return await Library(definitions).get(own, code, version)
    except UnknownInstrument:
        return None
    finally:
        definitions.close()
        await pool.close()


async def _courses(app: App, own: uuid.UUID, row: dict[str, Any], instrument: Instrument) -> Scores:
    """Of each client the closed episode that ended last and has two scores, in weeks from its first score."""
    asked = {
        "own": own,
        "version": row["instrument_version"],
        **{name: row[name] for name in ("instrument", "variant", "scale", "format", "modality")},
    }
    async with within(app, own) as connection:
        await connection.execute(f"set local statement_timeout = '{QUERY_LIMIT}'")
        rows = await (await connection.execute(_COURSES, asked)).fetchall()
    episodes: dict[uuid.UUID, list[tuple[datetime, float]]] = {}
    of: dict[uuid.UUID, tuple[uuid.UUID, Any]] = {}
    for client_id, episode_id, ended_on, answered_at, value in rows:
        episodes.setdefault(episode_id, []).append((answered_at, value))
        of[episode_id] = client_id, ended_on
    chosen: dict[uuid.UUID, tuple[Any, list[tuple[datetime, float]]]] = {}
    for episode_id, series in episodes.items():
        client_id, ended_on = of[episode_id]
        if client_id in chosen or series[-1][0] <= series[0][0]:
            continue
        if row["severity"] in (None, severity(instrument, row["variant"], row["scale"], series[0][1])):
            chosen[client_id] = ended_on, series
    newest = sorted(chosen.values(), key=lambda one: one[0], reverse=True)[:MOST_PERSONS]
    found = Scores()
    for number, (_, series) in enumerate(newest):
        for answered_at, value in series:
            found.ids.append(number)
            found.weeks.append(weeks_between(series[0][0], answered_at))
            found.values.append(value)
    return found


async def _fitted(command: Sequence[str], told: dict[str, Any]) -> dict[str, Any]:
    """What the process answers. It ends with its input, so also where this is cancelled.

    Raises
    ------
    TimeoutError
        It took too long.
    RuntimeError
        It failed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"OMP_NUM_THREADS": "1"},
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    try:
        async with asyncio.timeout(LONGEST):
            with suppress(ConnectionError):  # it has ended by itself: its status tells
                process.stdin.write(orjson.dumps(told) + b"\n")
                await process.stdin.drain()
            answer = await process.stdout.read()
            if await process.wait() != 0:
                raise RuntimeError("the process that fitted has failed")
    finally:
        process.stdin.close()
        await process.wait()
    found: dict[str, Any] = orjson.loads(answer)
    return found


async def _again(app: App, own: uuid.UUID, one: uuid.UUID) -> None:
    async with within(app, own) as connection:
        await connection.execute(_AGAIN, (own, one))


async def _ended(app: App, own: uuid.UUID, one: uuid.UUID, state: str, code: str, detail: str) -> dict[str, int]:
    async with within(app, own) as connection:
        await connection.execute(_ENDED, (state, code, detail, own, one))
    return {state: 1}


async def sweep_references(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Queue every fit that nobody is at. ``timestamp`` is when it was due, if it was by the clock."""
    queued = 0
    for organisation_id in await organisations(context.app):
        async with within(context.app, organisation_id) as connection:
            cursor = await connection.execute(_WAITING, (organisation_id, STALE))
            waiting = [row[0] for row in await cursor.fetchall()]
        for reference_id in waiting:
            given = {"organisation_id": str(organisation_id), "reference_id": str(reference_id)}
            with suppress(AlreadyEnqueued):
                await context.app.configure_task(TASK, queueing_lock=f"{TASK}:{reference_id}").defer_async(**given)
                queued += 1
    return {"queued": queued}


def _fitting(context: JobContext) -> Fitting:
    found = context.additional_context.get(CONTEXT)
    if not isinstance(found, Fitting):
        raise TypeError("this worker was not given what it needs to fit references")
    return found


def register(app: App) -> None:
    """Make the tasks known, and the sweep due by the clock."""
    app.task(name=TASK, pass_context=True)(fit_reference)
    app.periodic(cron=EVERY_MINUTE)(app.task(name=SWEEP, pass_context=True)(sweep_references))
