"""Why a backup could not be made, read or restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psycopg


class BackupError(Exception):
    """One line that says what is wrong and, where something can be done, what. It never quotes a row."""


def from_os(error: OSError, path: Path, what: str) -> BackupError:
    """A fault of the file system, as `BackupError`.

    Examples
    --------
    >>> import errno
    >>> str(from_os(OSError(errno.ENOSPC, "No space left on device"), Path("b"), "write"))
    'cannot write b: No space left on device'
    """
    return BackupError(f"cannot {what} {path}: {error.strerror or type(error).__name__}")


@contextmanager
def told_in_a_line(therefore: str) -> Iterator[None]:
    """Tell of a database that goes away, or refuses, without what was asked of it: that may quote a row, or the URL."""
    try:
        yield
    except (psycopg.OperationalError, asyncpg.InterfaceError, ConnectionError) as error:
        raise BackupError(f"the database went away or is not there ({type(error).__name__}); {therefore}") from None
    except (psycopg.Error, asyncpg.PostgresError) as error:
        if error.sqlstate is None:
            raise  # the driver's own: a mistake of ours
        raise BackupError(f"the database refuses ({type(error).__name__}); {therefore}") from None
