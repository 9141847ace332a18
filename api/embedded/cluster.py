"""PostgreSQL itself: its data folder is made, its server started, awaited and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from api.embedded.account import Account
from api.embedded.errors import EmbeddedError, from_os_error, from_output
from api.embedded.layout import MAJOR, PORT, Layout, tools

DATABASE = "fathomline"
OWNER = "fathomline_owner"
SERVICE = "fathomline_service"

BOOTSTRAP = f"""\
create role {OWNER} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
create role {SERVICE} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
create database {DATABASE} owner {OWNER};
revoke all on database {DATABASE} from public;
grant connect on database {DATABASE} to {SERVICE};
"""
"""One statement a line, as PostgreSQL's single-user mode wants it."""

SERVER_SETTINGS = {
    # Durable: what was acknowledged is on the disk. On the command line, so no file can say otherwise.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Reached through a socket in a folder that only this user enters.
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "cluster_name": "fathomline",
    # A week of logs, and no health data in them: no statement, no parameter, no DETAIL with a row's values.
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_truncate_on_rotation": "on",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_file_mode": "0600",
}

_ROOM_FOR_A_REASON = 64 * 1024
"""Bytes; with less the disk is full to PostgreSQL."""

STOP_SECONDS = 60.0
"""A fast shutdown writes a checkpoint; after this long it is cut short, and the next start replays the log instead."""


def check_version(cluster: Path) -> None:
    """Raise `EmbeddedError` unless the data folder is of the version whose programs we have."""
    try:
        found = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise EmbeddedError(
            "failed", f"{cluster} is not a PostgreSQL data folder (no PG_VERSION); move it away, or restore a backup"
        ) from None
    except OSError as error:
        raise from_os_error(error, "read the database's version") from error
    if found != str(MAJOR):
        raise EmbeddedError(
            "version",
            f"{cluster} was made by PostgreSQL {found} and this release brings {MAJOR}: "
            f"dump it with the release that made it, move the folder away, and restore the dump here",
        )


def initialise(layout: Layout, account: Account) -> None:
    """Make the data folder, the roles and the database; whole or not at all, for it is renamed into place.

    Raises
    ------
    EmbeddedError
        The disk is full, a permission is missing, or a program failed.
    """
    try:
        shutil.rmtree(layout.draft, ignore_errors=True)
        layout.draft.mkdir(mode=0o700)
        account.own(layout.draft)
    except OSError as error:
        raise from_os_error(error, "make the database") from error
    where = str(layout.draft)
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    access = ["--username=postgres", "--auth=trust", "--data-checksums", "--no-sync", "--no-instructions"]
    postgres, initdb = str(tools() / "postgres"), str(tools() / "initdb")
    _run(layout, account, [initdb, f"--pgdata={where}", *locale, *access])
    single = [postgres, "--single", "-D", where, "-c", "exit_on_error=on", "-c", "log_min_messages=error", "postgres"]
    _run(layout, account, single, BOOTSTRAP)
    # One call for the file system, where there is such a call, instead of one for each of a thousand files.
    sync_method = ["--sync-method=syncfs"] if sys.platform == "linux" else []
    _run(layout, account, [initdb, f"--pgdata={where}", *sync_method, "--sync-only"])
    try:
        layout.draft.rename(layout.cluster)
        _sync_folder(layout.root)
    except OSError as error:
        raise from_os_error(error, "make the database") from error


def _run(layout: Layout, account: Account, arguments: list[str], script: str = "") -> None:
    process = account.spawn(arguments, stdin=subprocess.PIPE, output=subprocess.PIPE)
    output = process.communicate(script.encode())[0].decode(errors="replace")
    with layout.log.open("a", encoding="utf-8") as log, suppress(OSError):
        log.write(output)
    if process.returncode != 0:
        raise from_output(output, "make the database", layout.log)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def launch(layout: Layout, account: Account, life_lock: int) -> subprocess.Popen[bytes]:
    """Start the server; `is_ready` tells when it takes connections. The caller holds the life lock.

    Raises
    ------
    EmbeddedError
        Another server listens on the socket, or the start cannot be tried at all.
    """
    _clear_sockets(layout)
    _clear_stale_pid(layout)
    settings = SERVER_SETTINGS | {
        "unix_socket_directories": str(layout.run),
        "log_directory": str(layout.server_logs),
    }
    arguments = [str(tools() / "postgres"), "-D", str(layout.cluster)]
    for name, value in settings.items():
        arguments += ["-c", f"{name}={value}"]
    try:
        layout.server_logs.mkdir(mode=0o700, exist_ok=True)
        account.own(layout.server_logs)
        account.own(layout.run)
        with layout.log.open("wb") as log:
            return account.spawn(arguments, output=log, keep=(life_lock,))
    except OSError as error:
        raise from_os_error(error, "start the database") from error


def _clear_sockets(layout: Layout) -> None:
    """Remove a dead server's socket. Its lock file names a process id that another process may have by now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(layout.server_socket))
        except OSError:
            layout.server_socket.unlink(missing_ok=True)
            layout.server_socket.with_name(layout.server_socket.name + ".lock").unlink(missing_ok=True)
            return
    raise EmbeddedError("socket", f"{layout.server_socket} is taken by another PostgreSQL server; stop that one")


def _clear_stale_pid(layout: Layout) -> None:
    """Remove ``postmaster.pid`` where its process id now is some other process, on which PostgreSQL would refuse.

    The life lock is ours, so no process of the old server is left; process ids come again soon in a container.
    """
    pid = _postmaster_status(layout)[0]
    if pid is not None:
        with suppress(ProcessLookupError):
            with suppress(PermissionError):
                os.kill(pid, 0)
            (layout.cluster / "postmaster.pid").unlink(missing_ok=True)


def _postmaster_status(layout: Layout) -> tuple[int | None, str]:
    try:
        lines = (layout.cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (OSError, ValueError, IndexError):
        return None, ""


def is_ready(layout: Layout, server: subprocess.Popen[bytes]) -> bool:
    """Whether this server has recovered what there was to recover, and takes connections."""
    return _postmaster_status(layout) == (server.pid, "ready")


def failure(layout: Layout) -> EmbeddedError:
    """Why the server ended before it was ready, from its last words."""
    output = ""
    newest = sorted(layout.server_logs.glob("*.log"), key=lambda file: file.stat().st_mtime)[-1:]
    for file in (*newest, layout.log):
        with suppress(OSError), file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - 8192))
            output += log.read().decode(errors="replace")
    with suppress(OSError):
        if shutil.disk_usage(layout.root).free < _ROOM_FOR_A_REASON:
            output += "No space left on device"  # then neither could it write down its reason
    return from_output(output, "start the database", layout.log)


def stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server: fast (it ends sessions, writes a checkpoint), then harder if it does not go."""
    for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        with suppress(ProcessLookupError):
            server.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
            return


def end_orphans(layout: Layout, patience: float) -> None:
    """End processes of a server whose postmaster was killed and that have not noticed yet (Linux).

    They would leave by themselves; one amid a long computation may take its time, and no new server may start before.
    They are known by their working folder, which is the cluster's, and by having no parent from the same folder.
    """
    deadline = time.monotonic() + patience
    how = signal.SIGQUIT
    while orphans := [pid for pid in _in_folder(layout.cluster) if _is_orphan(pid)]:
        for pid in orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        _reap()
        if time.monotonic() > deadline:
            how = signal.SIGKILL
        time.sleep(0.02)


def _in_folder(folder: Path) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink() == folder:
                found[int(entry.name)] = entry
    return found


def _is_orphan(pid: int) -> bool:
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return False
    if not title.startswith(b"postgres:"):  # a postmaster shows its program's path instead
        return False
    with suppress(OSError):
        return Path(f"/proc/{parent}/cwd").readlink() != Path(f"/proc/{pid}/cwd").readlink()
    return True


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
