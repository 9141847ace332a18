"""Services for benchmarks: each a process of its own, on an embedded database of its own or on one that is given."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.security import issuer

ORGANISATION = "bench"


@dataclass(frozen=True)
class Service:
    """A running service."""

    port: int
    token: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request outside the measurement; raises ``HTTPError`` unless it succeeds."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        for name, value in {"Content-Type": "application/json", **self.headers(), **headers}.items():
            request.add_header(name, value)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read())

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"}


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def service(data: Path, role: str = "ehr") -> Iterator[Service]:
    """The service as it ships, one worker, on the embedded server under ``data``; its organisation must exist."""
    port = free_port()
    environment = {
        **os.environ,
        "FATHOMLINE_DATA": str(data),
        "FATHOMLINE_DEVELOPMENT_ISSUER": "true",
        "FATHOMLINE_MASTER_KEY": secrets.token_urlsafe(32),
        "FATHOMLINE_RATE_LIMIT": "0",
    }
    token = issuer.load(data, create=True).token(organisation=ORGANISATION, role=role)
    command = [str(Path(sys.executable).with_name("fathomline")), "serve", "--port", str(port)]
    with (data / "service.log").open("wb") as log, _process(command, environment, log):
        _wait(port, "/health/ready")
        yield Service(port, token)


@contextmanager
def floor(database_url: str) -> Iterator[int]:
    """The barest handler, on a database that is given; yields its port."""
    port = free_port()
    environment = {**os.environ, "FLOOR_DATABASE_URL": database_url, "FLOOR_PORT": str(port)}
    with _process([sys.executable, "-m", "benchmarks.floor"], environment, subprocess.DEVNULL):
        _wait(port, "/")
        yield port


@contextmanager
def _process(command: list[str], environment: dict[str, str], log: Any) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _wait(port: int, path: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).close()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:  # it listens, and has nothing at that path
                return
        except OSError:
            pass
        else:
            return
        time.sleep(0.1)
    raise RuntimeError(f"nothing became ready on port {port}")


def load(
    port: int,
    method: str,
    paths: list[str],
    *,
    headers: dict[str, str],
    bodies: list[str] | None = None,
    connections: int = 16,
    seconds: float = 3.0,
) -> float:
    """Requests per second under load from a process of its own.

    Raises
    ------
    RuntimeError
        Anything but success came back: then it was not the work that was measured.
    """
    order = {
        "host": "127.0.0.1",
        "port": port,
        "method": method,
        "paths": paths,
        "headers": {"Content-Type": "application/json", **headers},
        "bodies": bodies or [],
        "connections": connections,
        "seconds": seconds,
        "seed": secrets.randbelow(2**31),
    }
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(
        command, input=json.dumps(order) + "\n", capture_output=True, text=True, check=True, timeout=60 + seconds
    )
    reply = json.loads(done.stdout)
    if not set(reply["statuses"]) <= {"200", "201"}:
        raise RuntimeError(f"{method} {paths[0]} was answered with {reply['statuses']}")
    return float(reply["per_second"])
