"""`fathomline worker`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

import typer

from api import jobs, logging
from api.settings import Settings

STOPPING = (signal.SIGTERM, signal.SIGINT)


def worker() -> None:
    """Run background jobs until stopped, on the embedded database unless DATABASE_URL names another.

    As many as you like may run beside each other and beside the service.
    """
    settings = Settings()
    logging.configure(settings.log_level)
    asyncio.run(_until_stopped(settings))


async def _until_stopped(settings: Settings) -> None:
    """Work until the first signal, then end in good order. A second one is not caught."""
    loop = asyncio.get_running_loop()
    working = asyncio.create_task(jobs.work(settings))

    def stop() -> None:
        for each in STOPPING:
            loop.remove_signal_handler(each)
        working.cancel()
        # before Python 3.12 a wait with a timeout can swallow a cancellation; what is under way has had its time then
        loop.call_later(jobs.GRACE + 2, working.cancel)

    for each in STOPPING:
        loop.add_signal_handler(each, stop)
    with suppress(asyncio.CancelledError):
        await working


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(worker)
