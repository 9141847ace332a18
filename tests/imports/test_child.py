"""The process that runs an import ends quietly, and with its parent."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

LISTENING: Final = """
import sys, threading, time
from api.imports import child
print(child.first_line().decode().strip(), flush=True)
threading.Thread(target=child.until_alone, daemon=True).start()
time.sleep(float(sys.argv[1]))
"""


def _started(seconds: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    started = subprocess.Popen([sys.executable, "-c", LISTENING, seconds], stdin=pipe, stdout=pipe, stderr=pipe)
    assert started.stdin is not None
    started.stdin.write(b"what to do\n")
    started.stdin.flush()
    return started


def test_it_ends_quietly_while_standard_input_is_open() -> None:
    """A thread that held the lock of `sys.stdin` made the interpreter abort, with the keys in a dump of its memory."""
    with _started("0.1") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        told, complaint = child.stdout.read(), child.stderr.read()
        assert (child.wait(), told, complaint) == (0, b"what to do\n", b"")


def test_it_ends_with_its_parent() -> None:
    with _started("60") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"what to do\n"
        child.communicate()  # closes standard input, as the end of the parent does
        assert child.returncode == 3
