"""As whom PostgreSQL runs. It refuses root, so root gives its processes to an unprivileged account.

Where that account cannot reach the programs or the data (a virtual environment below a closed ``/root``), its
processes keep one capability, to pass through closed folders, instead of the folders being opened for everyone.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from api.embedded.errors import EmbeddedError

ACCOUNTS = ("fathomline", "postgres", "nobody")
"""Accounts that root gives the server to; the first that exists."""

ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""All that the server gets of the environment: no PG* setting that would misguide it, and no secret."""

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_CHILD_SUBREAPER, _PR_CAP_AMBIENT = 1, 8, 36, 47
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Account:
    """A user and group, and the capability its processes keep (None: no special one)."""

    uid: int
    gid: int
    capability: int | None = None

    @property
    def changes(self) -> bool:
        """Whether becoming this account is a change at all."""
        return self.uid != os.geteuid()

    def own(self, path: Path) -> None:
        """Give ``path`` to the account."""
        if self.changes:
            os.chown(path, self.uid, self.gid)

    def spawn(
        self,
        arguments: list[str],
        *,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        output: int | IO[bytes] | None = None,
        keep: tuple[int, ...] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a program as the account, in a session of its own; it is told to stop when this process dies.

        ``keep`` are the file descriptors it inherits. The parent must have one thread only.
        """
        parent = os.getpid()
        return subprocess.Popen(  # noqa: S603  - programs of the wheel, arguments of our own
            arguments,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(ENVIRONMENT),
            cwd="/",
            start_new_session=True,
            pass_fds=keep,
            preexec_fn=lambda: self._become(parent),
        )

    def _become(self, parent: int) -> None:
        if self.changes:
            if self.capability is not None:
                _prctl(_PR_SET_KEEPCAPS, 1)
                # else access(2), by which initdb looks for postgres, would leave out the capabilities of all but root
                _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
            os.setgroups([])
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
            if self.capability is not None:
                _keep_only(self.capability)
        os.umask(0o077)
        stop_with_parent(parent)


def current() -> Account:
    """This process's own user."""
    return Account(os.geteuid(), os.getegid())


def choose(cluster: Path, program: Path, folders: tuple[Path, ...]) -> Account:
    """The account for the server: this user, or for root the cluster's owner or one of `ACCOUNTS`.

    Parameters
    ----------
    cluster
        PostgreSQL's data folder; its owner, if it exists, stays.
    program, folders
        What the account must be able to execute, and to pass into.

    Raises
    ------
    EmbeddedError
        Root has no account to give the server to, or none that could reach the files.
    """
    if os.geteuid() != 0:
        return current()
    account = _owner(cluster) or _existing()
    if _reaches(account, program, folders):
        return account
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        able = Account(account.uid, account.gid, capability)
        if _reaches(able, program, folders):
            return able
    raise EmbeddedError(
        "privileges",
        f"PostgreSQL does not run as root, and user {account.uid} cannot reach {program} or {folders[0]}: "
        "start the service as an ordinary user, or put both where that user may pass",
    )


def _owner(cluster: Path) -> Account | None:
    if not cluster.exists():
        return None
    found = cluster.stat()
    return Account(found.st_uid, found.st_gid) if found.st_uid != 0 else None


def _existing() -> Account:
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "privileges",
        f"PostgreSQL does not run as root and none of the users {', '.join(ACCOUNTS)} exists: "
        "add one, or start the service as an ordinary user",
    )


def _reaches(account: Account, program: Path, folders: tuple[Path, ...]) -> bool:
    """Try it, rather than reason about modes, access lists and mounts."""
    test = 'for f in "$@"; do test -x "$f" || exit 1; done; exec "$0" --version'
    try:
        process = account.spawn(["/bin/sh", "-c", test, str(program), *map(str, folders)], output=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return False  # this kernel or container does not let us
    return process.wait() == 0


def stop_with_parent(parent: int) -> None:
    """Have the kernel interrupt this process (PostgreSQL: a fast shutdown) when its parent dies.

    Linux only; elsewhere a server whose keeper was killed has to be stopped by hand.
    """
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)


def adopt_orphans() -> None:
    """Make this process the parent of its descendants whose own parent dies, so that it can end and reap them."""
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _keep_only(capability: int) -> None:
    """Reduce this process to one capability, which also survives the start of another program."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable: low words first
    if _libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *padded) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")
