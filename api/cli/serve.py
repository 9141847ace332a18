"""`fathomline serve` and `fathomline migrate`."""

from __future__ import annotations

import asyncio
import errno
import gc
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
import uvicorn
from alembic.util import CommandError
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import embedded, migrate
from api.cli import COLLECTING
from api.organisations.repository import ensure_organisation
from api.settings import Settings, SettingsError
from api.startup import DEVELOPMENT_ORGANISATION, StartupError


def settings_with(**given: Any) -> Settings:
    """The settings, those given on the command line before those of the environment."""
    return Settings(**{name: value for name, value in given.items() if value is not None})


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a port in use is told in one line and before anything is started.

    Raises
    ------
    SettingsError
        The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(f"port {port} on {host} is taken; choose another with --port or PORT=") from None
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}; choose others") from None
    return bound


class _Server(uvicorn.Server):
    """uvicorn, which says when it takes requests."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None and sockets:
            self._ready(sockets[0].getsockname()[1])


def run(
    settings: Settings,
    *,
    fill: Callable[[FastAPI], Awaitable[None]] | None = None,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Serve until interrupted. With several workers each is a process of its own; all share the socket.

    For one worker: ``fill`` is awaited once the application has started and before it takes requests, and ``ready`` is
    called with the port when it does.
    """
    bound = listen(settings.host, settings.port)
    options: dict[str, Any] = {
        "log_config": None,  # the application logs, one structured line a request
        "access_log": False,  # uvicorn's would log query strings
        "server_header": False,
        "http": "api.protocol:Protocol",
        "ws": "none",
        "proxy_headers": False,  # nothing here depends on the caller's address
        "lifespan": "on",
        "timeout_graceful_shutdown": 20,
    }
    try:
        if settings.workers == 1:
            from api.app import create_app

            server = _Server(uvicorn.Config(_telling(create_app(settings), fill), **options), ready)
            server.run(sockets=[bound])
            if not server.started:
                raise typer.Exit(3)
        else:
            from uvicorn.supervisors import Multiprocess

            config = uvicorn.Config("api.cli.serve:application", factory=True, workers=settings.workers, **options)
            # The parent holds a lease of its own, so the database outlives a worker that is replaced.
            lease = None if settings.database_url else embedded.acquire(settings.data)
            try:
                Multiprocess(config, sockets=[bound]).run()
            finally:
                if lease is not None:
                    lease.close()
    finally:
        bound.close()


def application() -> Any:
    """The application of one of several workers, which read the settings from the environment anew."""
    from api.app import create_app

    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_leave_with, args=(parent,), name="fathomline-parent", daemon=True).start()
    return _telling(create_app(Settings()))


def _leave_with(parent: Any) -> None:
    """End this worker once its parent has gone in whatever way: it would keep the port and the database."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _settle() -> None:
    """Tell the garbage collector that what start-up made is here to stay, and to look for cycles less often.

    The libraries alone are a million objects, which every full collection walks through, in the middle of a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTING)


@asynccontextmanager
async def _jobs(app: FastAPI) -> AsyncIterator[None]:
    """Background jobs beside the requests, where the settings want them here; ended before the database is left."""
    settings: Settings = app.state.settings
    if settings.worker == "none":
        yield
        return
    running = asyncio.create_task(_work_beside(app, settings), name="jobs")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _work_beside(app: FastAPI, settings: Settings) -> None:
    jobs = await asyncio.to_thread(import_module, "api.jobs")  # half a second that nobody who asks has to wait for
    url = app.state.database.engine.url.render_as_string(hide_password=False)
    await jobs.beside(url, settings, app.state.keys, app.state.metrics)


def _telling(app: FastAPI, fill: Callable[[FastAPI], Awaitable[None]] | None = None) -> ASGIApp:
    """The application, whose failure to start is told in one line where the user can do something about it."""
    opened = app.router.lifespan_context
    failure: list[str] = []

    @asynccontextmanager
    async def lifespan(started: FastAPI) -> AsyncIterator[Any]:
        try:
            async with opened(started) as state:
                if fill is not None:
                    await fill(started)
                async with _jobs(started):
                    _settle()
                    yield state
        except (SettingsError, StartupError, embedded.EmbeddedError) as error:
            failure.append(str(error))
            raise

    app.router.lifespan_context = lifespan

    async def telling(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if failure and message["type"] == "lifespan.startup.failed":
                message = {"type": message["type"], "message": failure[0]}
            await send(message)

        await app(scope, receive, told if scope["type"] == "lifespan" else send)

    return telling


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for any free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Service processes.")] = None,
) -> None:
    """Serve the API, on the embedded database unless DATABASE_URL names another."""
    settings = settings_with(host=host, port=port, workers=workers)
    settings.require_master_key()  # now, not in a worker
    run(settings, fill=_development_organisation if settings.development_issuer else None)


async def _development_organisation(app: FastAPI) -> None:
    """The development issuer speaks for any organisation; an empty service has one that it can speak for."""
    async with app.state.database.pool.acquire() as connection:
        await ensure_organisation(connection, DEVELOPMENT_ORGANISATION, DEVELOPMENT_ORGANISATION)


def upgrade(
    revision: Annotated[str, typer.Argument(help="Revision to go to; the newest if not given.")] = "head",
    back: Annotated[bool, typer.Option("--back", help="Go back to REVISION; what it lacks is dropped.")] = False,
) -> None:
    """Bring the database's schema to a revision, as the role that owns the tables (DATABASE_OWNER_URL)."""
    settings = Settings()
    if settings.database_owner_url is not None:
        _migrate(settings.database_owner_url.get_secret_value(), revision, back)
    elif settings.database_url is not None:
        raise SettingsError("DATABASE_URL is set but DATABASE_OWNER_URL is not: migrations run as the owner")
    else:
        with embedded.acquire(settings.data) as lease:
            _migrate(lease.url_owner, revision, back)


def _migrate(url: str, revision: str, back: bool) -> None:
    try:
        before = migrate.downgrade(url, revision) if back else migrate.upgrade(url, revision)
    except CommandError as error:
        raise StartupError(f"cannot migrate: {error}") from None
    except OperationalError as error:
        # Its first line only: the rest may quote the statement, and a failed connection its address.
        reason = str(error.orig).strip().splitlines()[0]
        raise StartupError(f"cannot migrate: {reason}") from None
    if back:
        typer.echo(f"the database is back at revision {revision}")
        return
    after = migrate.head() if revision == "head" else revision
    typer.echo(f"the database was {'empty' if before is None else f'at revision {before}'}, and is at {after}")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(serve)
    app.command("migrate")(upgrade)
