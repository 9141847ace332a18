"""A folder of backups: which are whole, how files get there for good, and who may work in it at a time.

::

    FOLDER/keys.fathomline           the keys of all backups in it and of their clients: see `keyfile`
    FOLDER/20261122T121742.104512Z/  a whole backup, with its manifest; named by its time, so in order
    FOLDER/.20261122T….partial/      one that is being made, or whose making was cut short
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from api.backups.errors import BackupError, from_os

MANIFEST: Final = "manifest.json"
_PARTIAL: Final = ".partial"
_MAKING, _KEYS = ".making.lock", ".keys.lock"
_PATIENCE: Final = 60.0
"""Seconds to wait for another process that rewrites the key file, which takes well below one."""


def prepare(folder: Path) -> None:
    """Make the folder, for this user alone, unless it is there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise from_os(error, folder, "make") from None


def whole(folder: Path) -> list[Path]:
    """The whole backups in a folder, oldest first, as their names say."""
    try:
        found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise from_os(error, folder, "read") from None
    return sorted(entry for entry in found if (entry / MANIFEST).is_file())


def draft(folder: Path, name: str) -> Path:
    """Where the backup ``name`` is made, from where `publish` renames it."""
    return folder / f".{name}{_PARTIAL}"


def publish(made: Path, folder: Path, name: str) -> Path:
    """Give a whole backup its name."""
    final = folder / name
    try:
        sync_folder(made)
        made.rename(final)
        sync_folder(folder)
    except OSError as error:
        raise from_os(error, final, "write") from None
    return final


def remove(backup: Path) -> None:
    """Remove a backup; interrupted, what is left of it is none any more."""
    going = draft(backup.parent, backup.name)
    try:
        backup.rename(going)
        shutil.rmtree(going)
    except OSError as error:
        raise from_os(error, backup, "remove") from None


def clear_drafts(folder: Path) -> None:
    """Remove what interrupted backups left. Only while `making` is held."""
    for left in folder.glob(f".*{_PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """One backup at a time in a folder; the lock goes with the process."""
    with _locked(folder / _MAKING, 0.0):
        yield


@contextmanager
def changing_keys(folder: Path) -> Iterator[None]:
    """One process at a time that rewrites the key file."""
    with _locked(folder / _KEYS, _PATIENCE):
        yield


@contextmanager
def _locked(path: Path, patience: float) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise from_os(error, path, "write") from None
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    raise BackupError(f"another process is at work in {path.parent}; wait for it to end") from None
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A new file to write, on the disk for good when the block ends; faults of the file system become `BackupError`."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise from_os(error, path, "write") from None


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file written anew as a whole, in place of the one there is: at any moment one of the two is there."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        with written(new) as file:
            yield file
        new.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise from_os(error, path, "write") from None
    finally:
        new.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
