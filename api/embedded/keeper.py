"""The keeper: a small process that holds the embedded server for all who use it.

Each user holds a lease, which is a connection to the keeper's socket: the kernel closes it however the user ends, so
a killed service counts as gone. With the last lease the keeper stops PostgreSQL and ends. A server that dies is
started again; when the keeper itself is killed, the kernel interrupts the server. The keeper and every process of the
server share one inherited lock, so a new keeper that gets the lock knows that nothing of the old server is left.

Protocol, one JSON object a line. The keeper says ``{"status": "ready", "run": folder}`` or
``{"status": "failed", "kind": …, "message": …}``; a user that leaves says ``release``, and is told ``released`` when
it was not the last, or when the server has stopped. A connection that closes without a word means: ask again.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from api.embedded import cluster
from api.embedded.account import Account, adopt_orphans, choose
from api.embedded.errors import EmbeddedError, from_os_error
from api.embedded.layout import Layout, tools

LOCK_SECONDS = 90.0
"""How long an earlier server may take to stop."""

ORPHAN_SECONDS = 5.0
RESTARTS, RESTART_WINDOW = 5, 60.0
"""A server that dies more often than this, within so many seconds, is given up."""

TELL_SECONDS = 2.0
"""How long a keeper that has failed waits for somebody to tell."""

TICK = 0.005
"""Seconds between two looks at a server that is starting."""


class Keeper:
    """One server and the leases on it."""

    def __init__(self, layout: Layout, listener: socket.socket, life_lock: int, account: Account) -> None:
        self._layout = layout
        self._listener = listener
        self._life_lock = life_lock
        self._account = account
        self._selector = selectors.DefaultSelector()
        self._leases: set[socket.socket] = set()
        self._server: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._stopped = False
        self._starts: deque[float] = deque(maxlen=RESTARTS)

    def run(self) -> None:
        """Serve until nobody holds a lease."""
        self._watch_children()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        try:
            if not self._layout.cluster.exists():
                cluster.initialise(self._layout, self._account)
            cluster.check_version(self._layout.cluster)
            self._launch()
            waiting_since = time.monotonic()
            while self._leases or (not self._ready and time.monotonic() - waiting_since < 1.0):
                for key, _ in self._selector.select(None if self._ready else TICK):
                    key.data(key.fileobj)
                if self._stopped:
                    break
                self._look_at_server()
        except EmbeddedError as error:
            self._tell_failure(error)
            raise
        finally:
            self._stop()

    def _tell_failure(self, error: EmbeddedError) -> None:
        """Tell all who wait why there is no server; whoever started this keeper may be about to connect."""
        deadline = time.monotonic() + TELL_SECONDS
        while not self._leases and time.monotonic() < deadline:
            for key, _ in self._selector.select(TICK):
                key.data(key.fileobj)
        self._accept_waiting()
        for lease in tuple(self._leases):
            self._tell(lease, {"status": "failed", "kind": error.kind, "message": str(error)})

    def _watch_children(self) -> None:
        adopt_orphans()
        reading, writing = socket.socketpair()
        for end in (reading, writing):
            end.setblocking(False)
        signal.set_wakeup_fd(writing.fileno())
        self._wakeup = (reading, writing)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # A terminal's or a service manager's signals are for the users; the keeper goes when they have gone.
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        self._selector.register(reading, selectors.EVENT_READ, lambda _: reading.recv(4096))

    def _launch(self) -> None:
        now = time.monotonic()
        if len(self._starts) == RESTARTS and now - self._starts[0] < RESTART_WINDOW:
            raise EmbeddedError("failed", f"the database keeps crashing; see {self._layout.server_logs}")
        self._starts.append(now)
        self._ready = False
        self._server = cluster.launch(self._layout, self._account, self._life_lock)

    def _look_at_server(self) -> None:
        assert self._server is not None  # noqa: S101  - launched before the loop
        if self._server.poll() is not None:
            if not self._ready:
                raise cluster.failure(self._layout)
            cluster.end_orphans(self._layout, ORPHAN_SECONDS)
            self._launch()
        elif not self._ready and cluster.is_ready(self._layout, self._server):
            self._ready = True
            for lease in tuple(self._leases):
                self._welcome(lease)

    def _accept(self, _: object) -> None:
        with suppress(BlockingIOError):
            lease = self._listener.accept()[0]
            lease.setblocking(False)
            self._leases.add(lease)
            self._selector.register(lease, selectors.EVENT_READ, self._hear)
            if self._ready:
                self._welcome(lease)

    def _accept_waiting(self) -> None:
        while [key for key, _ in self._selector.select(0) if key.fileobj is self._listener]:
            self._accept(self._listener)

    def _welcome(self, lease: socket.socket) -> None:
        self._tell(lease, {"status": "ready", "run": str(self._layout.run)})

    def _hear(self, lease: socket.socket) -> None:
        try:
            said = lease.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said and len(self._leases) == 1:
            self._accept_waiting()
        if said and len(self._leases) == 1:
            self._stop()
        if said:
            self._tell(lease, {"status": "released"})
        self._drop(lease)

    def _tell(self, lease: socket.socket, message: dict[str, str]) -> None:
        try:
            lease.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._drop(lease)

    def _drop(self, lease: socket.socket) -> None:
        if lease in self._leases:
            self._leases.discard(lease)
            with suppress(KeyError, ValueError):
                self._selector.unregister(lease)
            lease.close()

    def _stop(self) -> None:
        """Take no more users, then stop the server. Whoever comes now starts a keeper of his own."""
        self._stopped = True
        if self._listener.fileno() != -1:
            with suppress(KeyError, ValueError):
                self._selector.unregister(self._listener)
            self._layout.keeper_socket.unlink(missing_ok=True)
            self._listener.close()
        if self._server is not None and self._server.poll() is None:
            cluster.stop(self._server)


def _life_lock(layout: Layout) -> int:
    descriptor = os.open(layout.life_lock, os.O_RDWR)
    deadline = time.monotonic() + LOCK_SECONDS
    impatient = time.monotonic() + 1.0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    "timeout",
                    f"an earlier database server on {layout.cluster} does not end; stop its processes and start again",
                ) from None
            if time.monotonic() > impatient:
                cluster.end_orphans(layout, ORPHAN_SECONDS)
            time.sleep(0.01)


def _open(layout: Layout) -> Keeper:
    """Everything up to the point where users may connect."""
    life_lock = _life_lock(layout)
    account = choose(layout.cluster, tools() / "postgres", (layout.root,))
    try:
        account.own(layout.run)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        layout.keeper_socket.unlink(missing_ok=True)
        listener.bind(str(layout.keeper_socket))
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        raise from_os_error(error, "open the keeper's socket") from error
    return Keeper(layout, listener, life_lock, account)


def main(data: str) -> int:
    """Open, then go to the background: the starting process ends when users may connect, or says why not."""
    layout = Layout.of(Path(data))
    # Fork before the lock, the socket and the children: all of those belong to the process that stays.
    reading, writing = os.pipe()
    if os.fork() != 0:
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            verdict = pipe.read()
        sys.stdout.write(verdict)
        return 0 if verdict else 1
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as pipe:
        keeper = _report(pipe.write, lambda: _open(layout))
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(layout.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    if keeper is None:
        return 1
    try:
        keeper.run()
    except EmbeddedError as error:
        sys.stderr.write(f"{error.kind}: {error}\n")
        return 1
    return 0


def _report(write: Callable[[str], object], opening: Callable[[], Keeper]) -> Keeper | None:
    try:
        keeper = opening()
    except EmbeddedError as error:
        write(json.dumps({"status": "failed", "kind": error.kind, "message": str(error)}))
        return None
    write(json.dumps({"status": "listening"}))
    return keeper


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
