"""`fathomline import --url`: the file sent to a service, part by part; a part that broke off is sent again."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Final

import httpx

from api.cli.errors import UnusableInput
from api.cli.imports import Job, Told

PART: Final = 8 << 20
"""Bytes of a request."""
TRIES: Final = 8
"""Times that a part is sent, with pauses that double from half a second."""
POLL: Final = 0.5
_GONE: Final = "the service cannot be reached any more; give the same command again later: what is there is not doubled"
ENDED: Final = ("finished", "failed", "cancelled")

Bar = Callable[[Job, str], AbstractContextManager[Told]]


def there(job: Job, url: str, token: str, bar: Bar) -> dict[str, Any]:
    """Send the file and wait for the end; what the service says of the import then. Bad rows are listed in a file.

    Raises
    ------
    UnusableInput
        The service refuses, or cannot be reached for long.
    """
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=60) as http:
        query = {name: value for name, value in job.wanted.items() if value is not None}
        opening = {"Upload-Complete": "?0"} | ({"Content-Encoding": "gzip"} if job.compressed else {})
        made = _checked(http.post("/v1/imports", params=query, headers=opening))
        path = f"/v1/imports/{made['id']}"
        with bar(job, "sending") as told, job.path.open("rb") as file:
            _send(http, path, file, job.path.stat().st_size, told)
        with bar(job, "importing") as told:
            while (found := _checked(_tried(lambda: http.get(path))))["state"] not in ENDED:
                told(found["bytes_read"])
                time.sleep(POLL)
        if found["faults"]:
            with http.stream("GET", f"{path}/errors") as answer, job.errors.open("wb") as out:
                for piece in answer.iter_bytes():
                    out.write(piece)
    if found["state"] == "cancelled":
        raise UnusableInput("the import was cancelled")
    return found


def _send(http: httpx.Client, path: str, file: BinaryIO, size: int, told: Told) -> None:
    """All parts, each from where the service says that the upload stands."""
    at = failed = 0
    while True:
        file.seek(at)
        part = file.read(PART)
        last = at + len(part) >= size
        headers = {
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(at),
            "Upload-Complete": "?1" if last else "?0",
        }
        try:
            answer = http.patch(f"{path}/content", content=part, headers=headers)
        except httpx.TransportError:
            found = _checked(_tried(lambda: http.get(path)))
            if found["state"] != "uploading":
                return  # the answer was lost, not the part
            failed = failed + 1 if found["bytes_received"] == at else 0
            if failed == TRIES:
                raise UnusableInput(_GONE) from None
            at = found["bytes_received"]
            continue
        if answer.status_code == httpx.codes.CONFLICT and "upload-offset" in answer.headers:
            at = int(answer.headers["upload-offset"])
            continue
        at = _checked(answer)["bytes_received"]
        told(at)
        if last:
            return


def _tried(ask: Callable[[], httpx.Response]) -> httpx.Response:
    for number in range(TRIES):
        try:
            return ask()
        except httpx.TransportError:
            time.sleep(0.5 * 2**number)
    raise UnusableInput(_GONE)


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        found: dict[str, Any] = answer.json()
        return found
    try:
        problem = answer.json()
        faults = "; ".join(f"{one.get('parameter', '')} {one['detail']}" for one in problem.get("errors", ()))
        told = ": ".join(text for text in (problem["title"], problem.get("detail"), faults) if text)
    except (ValueError, KeyError):
        told = f"status {answer.status_code}"
    raise UnusableInput(f"the service refuses: {told}")
