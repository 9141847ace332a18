"""Background jobs: what is done beside requests, with procrastinate on the same database.

They are run by `fathomline worker`, and inside `fathomline serve` unless that is told not to.

A job may run twice (a worker was killed) and beside another of its kind, so each is written to be harmless then. Its
arguments are ids, never what they stand for: they lie in tables without row-level security, in the schema `jobs`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import psycopg
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Status
from procrastinate.worker import Worker

from api import logging
from api.audit import jobs as audit
from api.db import CONNECT_TIMEOUT, driver_url
from api.erasure import jobs as erasure
from api.imports import jobs as imports
from api.job_database import connector_of
from api.metrics import Metrics
from api.protocols import jobs as protocols
from api.references import jobs as references
from api.rescoring import jobs as rescoring
from api.security import crypto
from api.settings import Settings
from api.startup import StartupError, checked_url, derived_keys
from api.webhooks import jobs as webhooks
from api.webhooks.addresses import Reach
from api.webhooks.sending import Sender

HOURLY: Final = "17 * * * *"
EVERY_TEN_MINUTES: Final = "*/10 * * * *"
BATCH: Final = 1_000
"""Keys forgotten in one transaction: some milliseconds, in which a request with one of them would wait."""

GRACE: Final = 20.0
"""Seconds that jobs may still take once the worker is told to stop; then they are cancelled, and run again later."""

GRACE_INSIDE: Final = 5.0
"""The same inside the service, whose own requests have been waited for by then."""
CONCURRENCY: Final = 12
"""Jobs that a worker runs at once; they mostly wait for others. Some of them are deliveries, but never all (`Room`)."""
INSIDE: Final = 8
"""The same inside the service."""
PAUSE: Final = 10.0
"""Seconds after which a worker inside the service that has failed is started again."""

_SETTINGS: Final = "settings"


async def forget_idempotency_keys(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Forget the idempotency keys of all organisations that are older than the setting says.

    In batches, each a transaction of its own. Where another worker is at it, the rest is left to that one.
    ``timestamp`` is when it was due, if it was by the clock.
    """
    settings: Settings = context.additional_context[_SETTINGS]
    forgotten = 0
    while True:
        async with connector_of(context.app).pool.connection() as connection:
            cursor = await connection.execute(
                "select forget_idempotency_keys(%s, %s)", (settings.idempotency_days, BATCH)
            )
            row = await cursor.fetchone()
        number: int = row[0] or 0 if row is not None else 0
        forgotten += number
        if number < BATCH:
            return {"forgotten": forgotten}


async def resume_jobs(context: JobContext, timestamp: int | None = None) -> dict[str, int]:
    """Queue again what a worker was at when it was killed: it has not given a sign of life for half a minute.

    Where the same has been queued since, that one does it.
    """
    manager = context.app.job_manager
    resumed = 0
    for job in await manager.get_stalled_jobs():
        with _seen_to_by_another():
            try:
                await manager.retry_job(job)
                resumed += 1
            except UniqueViolation:
                await manager.finish_job(job, Status.ABORTED, delete_job=True)
    return {"resumed": resumed}


@contextmanager
def _seen_to_by_another() -> Iterator[None]:
    """Overlook that a job is no longer as it was: two workers may look at the same time."""
    try:
        yield
    except ConnectorException as error:
        if not isinstance(error.__cause__, psycopg.errors.RaiseException):
            raise


def application(
    url: str, settings: Settings, delivering: webhooks.Delivering | None = None, *, inside: bool = False
) -> App:
    """The jobs, on the database of ``url`` (the role of the service); opened by ``async with app.open_async()``.

    ``inside`` the service a worker takes less: connections, jobs at once, time to end. Without ``delivering`` no
    webhook is sent.
    """
    milliseconds = int(settings.statement_timeout * 1000)
    server_settings = {
        "application_name": "fathomline-worker",
        "search_path": "jobs,public",
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
    }
    connector = PsycopgConnector(
        conninfo=driver_url(url, "psycopg").set(drivername="postgresql").render_as_string(hide_password=False),
        kwargs={
            "connect_timeout": round(CONNECT_TIMEOUT),
            "options": " ".join(f"-c {name}={value}" for name, value in server_settings.items()),
        },
        min_size=1,
        max_size=4 if inside else 6,  # jobs hold one for a transaction at a time; one is for notifications
        timeout=5,  # nobody else waits for these connections: none within this time means no database
    )
    app = App(
        connector=connector,
        worker_defaults={
            "additional_context": {
                _SETTINGS: settings,
                webhooks.CONTEXT: delivering,
                audit.CONTEXT: settings,
                erasure.CONTEXT: settings,
                rescoring.CONTEXT: rescoring.Means(url, settings),
                references.CONTEXT: references.Fitting(url, settings, asyncio.Semaphore(references.AT_ONCE)),
                imports.CONTEXT: imports.Importing(url, settings, asyncio.Semaphore(imports.AT_ONCE)),
            },
            "concurrency": INSIDE if inside else CONCURRENCY,
            "delete_jobs": "successful",
            "install_signal_handlers": False,
            "shutdown_graceful_timeout": GRACE_INSIDE if inside else GRACE,
            "worker_middleware": [_told],
        },
    )
    for task, cron in ((forget_idempotency_keys, HOURLY), (resume_jobs, EVERY_TEN_MINUTES)):
        app.periodic(cron=cron)(app.task(name=task.__name__, pass_context=True)(task))
    audit.register(app)
    erasure.register(app)
    rescoring.register(app)
    references.register(app)
    protocols.register(app)
    imports.register(app)
    webhooks.register(app)
    return app


async def work(settings: Settings) -> None:
    """Run jobs until cancelled; what is under way then ends first. A worker that starts forgets old keys at once.

    Raises
    ------
    StartupError
        The database must not be worked on (see `api.startup`), or it went away.
    EmbeddedError
        The embedded server cannot be had.
    SettingsError
        There is no master key, or it cannot be used.
    """
    keys = derived_keys(settings)
    async with checked_url(settings) as url, _reached(), delivering(settings, keys) as means:
        await _run(application(url, settings, means))
    raise StartupError(_GONE)  # it ends of itself only when a part of it has failed


async def beside(url: str, settings: Settings, keys: crypto.Keys, metrics: Metrics) -> None:
    """Run jobs beside the service, in its process, until cancelled. A worker that fails is started again after a while.

    Whatever happens here, the service goes on: its own database tells whether that is well.
    """
    while True:
        try:
            async with delivering(settings, keys, metrics) as means:
                await _run(application(url, settings, means, inside=True))
        except Exception as error:  # the messages of these may quote an address
            logging.logger.error("worker", state="failed", **logging.describe(error))
        else:
            logging.logger.error("worker", state="lost")
        await asyncio.sleep(PAUSE)


async def _run(app: App) -> None:
    """Work until cancelled. Before Python 3.12 a wait with a timeout, as of a pool that opens, can swallow that."""
    asyncio.get_running_loop().set_exception_handler(_overlook)
    async with app.open_async():
        sweeps = (audit.SWEEP, rescoring.SWEEP, references.SWEEP, protocols.PLAN)
        for task in (resume_jobs.__name__, forget_idempotency_keys.__name__, *sweeps):
            await app.configure_task(task).defer_async()
        if (running := asyncio.current_task()) is not None and running.cancelling():
            raise asyncio.CancelledError  # that the waits above swallowed, or this would run for ever
        logging.logger.info("worker", state="ready")
        watching = asyncio.gather(webhooks.watch(app), imports.watch(app))
        try:
            await app.run_worker_async()
        finally:
            while not watching.done():  # what is swallowed here is not the end of it
                watching.cancel()
                await asyncio.wait([watching], timeout=1)
            if not watching.cancelled():
                watching.exception()  # asked for, or it is told of at the end as one that nobody asked for


def _overlook(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Do not tell of jobs that could not be noted as ended: the worker tells once that its database is gone."""
    if not isinstance(context.get("exception"), ConnectorException):
        loop.default_exception_handler(context)


@asynccontextmanager
async def delivering(
    settings: Settings, keys: crypto.Keys, metrics: Metrics | None = None
) -> AsyncIterator[webhooks.Delivering]:
    """What it takes to deliver webhooks, closed at the end."""
    reach = Reach(tuple(settings.webhook_networks), settings.webhook_loopback)
    async with Sender.open(reach) as sender:
        yield webhooks.Delivering(sender, keys, metrics)


_GONE: Final = "the worker has lost its database: start it again when that is back"


@asynccontextmanager
async def _reached() -> AsyncIterator[None]:
    try:
        yield
    except (ConnectorException, psycopg.Error):  # their messages may quote an address
        raise StartupError(_GONE) from None


async def _told(call_next: Callable[[], Awaitable[Any]], context: JobContext, _: Worker) -> Any:
    """Log one line for each run: which task, how it ended, and the counts it returned; never its arguments."""
    begun = time.perf_counter()
    line: dict[str, Any] = {"task": context.job.task_name, "outcome": "failed"}
    try:
        result = await call_next()
        line |= {"outcome": "done"} | result
        return result
    except asyncio.CancelledError:
        line["outcome"] = "cancelled"
        raise
    except Exception as error:
        line |= logging.describe(error)
        raise
    finally:
        line["milliseconds"] = round((time.perf_counter() - begun) * 1000, 1)
        (logging.logger.error if line["outcome"] == "failed" else logging.logger.info)("job", **line)
