"""The process that runs one import for a worker: ``python -m api.imports.child``.

It is told what to do by one line of JSON on standard input, which only its parent can see, and answers with the
import's state on standard output. Standard input stays open: when it ends, the parent has gone, and so does this.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import uuid
from typing import Any, Final

from api import logging
from api.imports.connecting import Connect
from api.imports.running import run
from api.security import crypto

_INPUT: Final = 0
"""The file descriptor of standard input."""


def main() -> int:
    """Run the import that standard input names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent decides
    told: dict[str, Any] = json.loads(first_line())
    threading.Thread(target=until_alone, name="parent", daemon=True).start()
    logging.configure(told["log_level"], sys.stderr)
    organisation_id, import_id = uuid.UUID(told["organisation_id"]), uuid.UUID(told["import_id"])
    present, previous = (None if text is None else crypto.parse_master_key(text) for text in told["master_keys"])
    if present is None:
        raise ValueError("no master key was handed over")
    keys = crypto.derive(present, previous)
    try:
        state = run(Connect(told["url"], organisation_id), keys, organisation_id, import_id, largest=told["largest"])
    except Exception as error:  # a traceback would show rows
        logging.logger.error("import", state="broken-off", **logging.describe(error))
        return 1
    sys.stdout.write(state + "\n")
    return 0


def first_line() -> bytes:
    """What standard input begins with, up to the end of the line.

    `sys.stdin` has a lock. The thread that waits for the end of the input would hold it when the interpreter ends,
    which then aborts: the job would count as failed, and a dump of the memory might be kept, with keys and answers.
    """
    line = b""
    while not line.endswith(b"\n") and (more := os.read(_INPUT, 1)):
        line += more
    return line


def until_alone() -> None:
    """Wait for the end of standard input, and end with it."""
    while os.read(_INPUT, 4096):
        pass
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
