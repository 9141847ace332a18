"""The process that fits one reference for a worker: ``python -m api.references.child``.

A fit takes a processor for seconds and loads statsmodels, which neither the service nor a worker has to hold. One line
of JSON on standard input, only its parent's to see, is the scores; one on standard output is the model, or why there is
none. Standard input stays open: when it ends, the parent has gone, and so does this.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import orjson

from api.imports.child import until_alone
from scoring.growth.adequate import Courses, reference_fit
from scoring.growth.fit import GrowthError


def fitted(told: dict[str, Any]) -> dict[str, Any]:
    """The answer to one task: what `ReferenceFit.document` gives, or `refused` with a `detail`."""
    courses = Courses.of(told["ids"], told["weeks"], told["values"])
    try:
        return reference_fit(courses, low=told["low"], high=told["high"]).document()
    except GrowthError as error:
        return {"refused": error.code, "detail": error.detail}


def task() -> bytes:
    """The line that standard input begins with; nothing follows it. By its descriptor: `sys.stdin` has a lock, which
    the thread that waits for the end of the input would hold when the interpreter ends."""
    parts: list[bytes] = []
    while not (parts and parts[-1].endswith(b"\n")) and (more := os.read(0, 1 << 16)):
        parts.append(more)
    return b"".join(parts)


def main() -> int:
    """Fit what standard input gives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent decides
    line = task()
    threading.Thread(target=until_alone, name="parent", daemon=True).start()
    try:
        answer = fitted(orjson.loads(line))
    except Exception as error:  # a traceback would show scores
        sys.stderr.write(f"the fit was broken off by {type(error).__name__}\n")
        return 1
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
