"""Start the service of the image on its embedded PostgreSQL, ask it something, and stop it.

    docker run --rm -v "$PWD/scripts/smoke.py:/tmp/smoke.py:ro" IMAGE python /tmp/smoke.py

Prints what it saw; exit status 0 if all of it was right. Only the standard library and the image are used.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PORT = "8765"
BASE = f"http://127.0.0.1:{PORT}"
SECONDS = 120.0


def ask(path: str, body: object = None, token: str | None = None) -> tuple[int, str]:
    """Status and text of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data=data)  # noqa: S310  - always http on this machine
    request.add_header("Content-Type", "application/json")
    request.add_header("Idempotency-Key", str(time.monotonic_ns()))
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  - as above
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ready(process: subprocess.Popen[bytes]) -> float:
    """Seconds until the service takes requests."""
    begun = time.monotonic()
    while time.monotonic() - begun < SECONDS and process.poll() is None:
        try:
            if ask("/health/ready")[0] == 200:
                return time.monotonic() - begun
        except OSError:
            time.sleep(0.2)
    raise SystemExit("smoke: the service was not ready")


def main() -> int:
    """Exit status: 0 if everything was as it should be."""
    print(f"user {os.getuid()}:{os.getgid()}, {sys.version.split()[0]}", flush=True)
    with tempfile.TemporaryDirectory() as data:
        environment = os.environ | {"FATHOMLINE_DATA": data}
        serve = subprocess.Popen(["fathomline", "demo", "--port", PORT], env=environment)
        try:
            print(f"ready after {ready(serve):.1f} s", flush=True)
            token = subprocess.run(
                ["fathomline", "token", "--organisation", "demo", "--role", "ehr"],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            created = ask("/v1/clients", {"partnered": True, "organs": ["vagina"]}, token)
            client = json.loads(created[1])["id"]
            answers = {str(item): 5 for item in range(1, 20)}
            body = {
                "client_id": client,
                "instrument": "fsfi",
                "answered_at": "2026-01-05T10:00:00Z",
                "answers": answers,
            }
            recorded = ask("/v1/responses", body, token)
            total = json.loads(recorded[1])["scores"]["total"]["value"]
            refused = ask(f"/v1/clients/{client}")
            print(f"client {created[0]}, response {recorded[0]}, FSFI total {total}, without a token {refused[0]}")
        finally:
            serve.send_signal(signal.SIGTERM)
            stopped = serve.wait(60)
        print(f"stopped with status {stopped}")
    return 0 if (created[0], recorded[0], total, refused[0]) == (201, 201, 36.0, 401) else 1


if __name__ == "__main__":
    sys.exit(main())
