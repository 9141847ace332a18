"""What can go wrong with the embedded server, as one line that says what to do."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Literal

Kind = Literal["permission", "disk-full", "version", "socket", "privileges", "timeout", "failed"]


class EmbeddedError(Exception):
    """The embedded server cannot be had. The message is one line: what is wrong, and the remedy."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind


def from_os_error(error: OSError, doing: str) -> EmbeddedError:
    """The error of a system call, told as the fault of disk, permissions or something else."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EmbeddedError("disk-full", f"cannot {doing}{where}: the disk is full; free some space and start again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return EmbeddedError(
            "permission",
            f"cannot {doing}{where}: {error.strerror}; run as the user who owns the data folder, "
            "or choose another folder with FATHOMLINE_DATA",
        )
    return EmbeddedError("failed", f"cannot {doing}{where}: {error.strerror}")


def from_output(output: str, doing: str, log: Path) -> EmbeddedError:
    """The last words of a PostgreSQL program, told as one line. ``log`` is where the reader finds the rest."""
    lines = [line for line in output.splitlines() if re.search(r"\b(FATAL|PANIC|ERROR|error|fatal):", line)]
    said = re.sub(r"^.*?\b(?:FATAL|PANIC|ERROR|error|fatal):\s*", "", lines[-1]) if lines else "it gave no reason"
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return EmbeddedError("disk-full", f"cannot {doing}: the disk is full ({said}); free some space and start again")
    if "could not look up effective user ID" in output:
        return EmbeddedError(
            "privileges", f"cannot {doing}: {said}; PostgreSQL needs an account, add the user to /etc/passwd"
        )
    if "Address already in use" in output or ".s.PGSQL" in said:
        return EmbeddedError("socket", f"cannot {doing}: its socket is taken ({said}); stop the server that uses it")
    if "Permission denied" in output or "has wrong ownership" in output or "invalid permissions" in output:
        return EmbeddedError(
            "permission", f"cannot {doing}: {said}; run as the user who owns the data folder and keep its modes"
        )
    return EmbeddedError("failed", f"cannot {doing}: {said}; see {log}")
