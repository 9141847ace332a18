"""A service with its embedded database that may be killed at any moment, and callers that keep posting."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import asyncpg
import httpx

from api import migrate
from api.embedded import acquire
from api.organisations.repository import ensure_organisation
from api.security import crypto, issuer
from benchmarks.processes import keepers, kill, postmaster

ROOT: Final = Path(__file__).parents[1]
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
VICTIMS: Final = ("service", "postmaster", "service and postmaster", "all")
"""What `strike` can kill; ``all`` is the keeper of the database too."""


@dataclass
class Killable:
    """The service on a data folder. After a kill, `start` starts it again on the same folder and port."""

    data: Path
    port: int
    token: str
    process: subprocess.Popen[bytes] | None = None
    more: dict[str, str] = field(default_factory=dict)
    """Further settings, by the names of their variables."""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """Processes of `fathomline worker` beside it."""
    log: Path | None = None
    """Where the processes write what they say, if not where this one does."""
    master_key: str = field(default_factory=crypto.new_master_key, repr=False)

    @classmethod
    async def prepare(cls, data: Path, port: int) -> Self:
        """A migrated database with one organisation, and a token for it; nothing is left running."""
        with await asyncio.to_thread(acquire, data) as lease:
            await asyncio.to_thread(migrate.upgrade, lease.url_owner)
            connection = await asyncpg.connect(lease.url_service)
            await ensure_organisation(connection, "demo", "Demo")
            await connection.close()
        return cls(data, port, issuer.load(data, create=True).token(organisation="demo", role="ehr"))

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, role: str = "ehr") -> httpx.AsyncClient:
        """An HTTP client of the service, with a token."""
        token = self.token
        if role != "ehr":
            token = issuer.load(self.data, create=False).token(organisation="demo", role=role)
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=self.address, headers=headers, timeout=20, trust_env=False)

    async def start(self) -> None:
        """Start the service; returns when it is ready."""
        self.process = self._run("serve", "--port", str(self.port))
        await self.ready()

    def start_worker(self) -> None:
        """Start a worker in a process of its own."""
        self.workers.append(self._run("worker"))

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        kept = {name: value for name, value in os.environ.items() if not re.match("FATHOMLINE_|DATABASE_", name)}
        own = {
            "FATHOMLINE_DATA": str(self.data),
            "FATHOMLINE_MASTER_KEY": self.master_key,
            "FATHOMLINE_DEVELOPMENT_ISSUER": "true",
            "FATHOMLINE_LOG_LEVEL": "error",
        }
        command = [sys.executable, "-X", "faulthandler", "-c", "from api.cli import main; main()", *arguments]
        if self.log is None:
            return subprocess.Popen(command, cwd=ROOT, env=kept | own | self.more)
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=kept | own | self.more, stdout=log, stderr=log)

    async def ready(self, seconds: float = 90.0) -> None:
        """Wait until the service says that it can answer."""
        deadline = time.monotonic() + seconds
        async with self.client() as http:
            while True:
                try:
                    if (await http.get("/health/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                assert time.monotonic() < deadline, f"the service did not become ready\n{self._last_words()}"
                await asyncio.sleep(0.1)

    def _last_words(self) -> str:
        """The end of the log, with where each thread of the service is (the fault handler's answer to SIGABRT)."""
        if self.process is None or self.log is None:
            return ""
        self.process.send_signal(signal.SIGABRT)
        self.process.wait()
        return self.log.read_text(encoding="utf-8", errors="replace")[-8000:]

    def replace_workers(self, number: int) -> None:
        """Start as many workers as have ended, as whoever runs them does: one whose database is gone gives up."""
        self.workers[:] = [worker for worker in self.workers if worker.poll() is None]
        for _ in range(number - len(self.workers)):
            self.start_worker()

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def kill_worker(self, which: int) -> None:
        """kill -9 of a worker."""
        worker = self.workers.pop(which)
        worker.kill()
        worker.wait()

    async def hurry(self) -> None:
        """Half a minute passes: the lease of a worker that was killed runs out, and the next attempts are due."""
        with await asyncio.to_thread(acquire, self.data) as lease:
            connection = await asyncpg.connect(lease.url("postgres"))
            await connection.execute("update webhook set busy_until = null, paused_until = null")
            await connection.execute("update webhook_delivery set next_attempt_at = now() where state = 'pending'")
            await connection.close()

    def stop(self) -> None:
        """End it and its workers in good order, if they run. One that does not go is killed, and that is an error."""
        running = [each for each in (self.process, *self.workers) if each is not None and each.poll() is None]
        for each in running:
            each.terminate()
        try:
            for each in running:
                each.wait(60)
        finally:
            for each in running:
                each.kill()  # nothing, where it has ended
                each.wait()
            self.workers.clear()


def strike(service: Killable, victim: str) -> None:
    """Kill what is named (see `VICTIMS`), without warning."""
    pids = [postmaster(service.data)] if "postmaster" in victim or victim == "all" else []
    if victim == "all":
        pids += keepers(service.data)
    if "service" in victim or victim == "all":
        service.kill()
    kill(*pids)


@dataclass
class Load:
    """Forms that were posted: those acknowledged with the answer's text, and those whose fate nobody knows."""

    client_id: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    """By the key of the request: the answer's text, or what `note` makes of it."""
    uncertain: dict[str, dict[str, Any]] = field(default_factory=dict)
    count: int = 0
    stopping: bool = False
    note: Callable[[str], str] = str

    def form(self) -> dict[str, Any]:
        """The next form; no two have the same time, so a duplicate would show."""
        self.count += 1
        answered_at = (START + timedelta(seconds=self.count)).isoformat()
        answers = {str(item): 5 for item in range(1, 20)}
        return {"client_id": self.client_id, "instrument": "fsfi", "answered_at": answered_at, "answers": answers}

    async def post(self, http: httpx.AsyncClient, key: str, body: dict[str, Any]) -> None:
        """Post once and note what became of it."""
        try:
            answer = await http.post("/v1/responses", json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            self.uncertain[key] = body
            return
        if answer.status_code == 201:
            noted = self.note(answer.text)
            assert self.acknowledged.setdefault(key, noted) == noted
            self.uncertain.pop(key, None)
        else:
            assert answer.status_code == 503, answer.text
            self.uncertain[key] = body

    async def insist(self, http: httpx.AsyncClient, key: str, body: dict[str, Any]) -> None:
        """Post until it is acknowledged, as a caller does that wants to be sure."""
        await self.post(http, key, body)
        while key in self.uncertain:
            await asyncio.sleep(0.1)
            await self.post(http, key, body)

    async def run(self, service: Killable, callers: int) -> None:
        """Keep posting until told to stop."""

        async def caller() -> None:
            async with service.client() as http:
                while not self.stopping:
                    failed = len(self.uncertain)
                    await self.post(http, uuid.uuid4().hex, self.form())
                    if len(self.uncertain) > failed:
                        await asyncio.sleep(0.05)  # nobody is there: no need to fill the list

        await asyncio.gather(*(caller() for _ in range(callers)))
