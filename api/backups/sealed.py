"""Files of a backup sealed under a key, as a stream: magic (8), salt (16), then chunks as `api.security.chunks` says.

The key of a file is derived from the given one, the salt and the purpose, so each has its own.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import BinaryIO, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.backups.errors import BackupError
from api.security.chunks import Altered, ChunkWriter, open_chunks

MAGIC: Final = b"FLSEAL\x01\n"
SALT_BYTES: Final = 16
SEGMENT: Final = 1 << 18


def derived(key: bytes, purpose: bytes, salt: bytes) -> bytes:
    """A key (32 bytes) for one purpose, from another key (HKDF-SHA256)."""
    return HKDF(hashes.SHA256(), 32, salt=salt, info=b"fathomline/1/backup/" + purpose).derive(key)


class SealedWriter:
    """Seals what is written to it into a file; `close` writes the last segment and leaves the file open.

    Parameters
    ----------
    purpose
        What the file is; it opens as nothing else.
    """

    def __init__(self, file: BinaryIO, key: bytes, purpose: bytes) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0
        """Bytes written to the file."""
        salt = secrets.token_bytes(SALT_BYTES)
        self._put(MAGIC + salt)
        self._chunks = ChunkWriter(self._put, derived(key, purpose, salt), SEGMENT, b"")

    @property
    def sha256(self) -> str:
        """Of the bytes written to the file so far, in hex."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Take more of the content."""
        self._chunks.write(data)

    def close(self) -> None:
        """Write the last segment; without it nothing opens the file."""
        self._chunks.finish()

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)


class SealedReader:
    """The content of a sealed file again.

    Raises
    ------
    BackupError
        Another key or purpose, altered, cut short, or no sealed file. Content before the fault may have been given.
    """

    def __init__(self, file: BinaryIO, key: bytes, purpose: bytes, name: str) -> None:
        self._name = name
        self._buffer = bytearray()
        head = file.read(len(MAGIC) + SALT_BYTES)
        if len(head) < len(MAGIC) + SALT_BYTES or not head.startswith(MAGIC):
            raise BackupError(f"{name} is not a file of a backup that this release can read")
        self._chunks = open_chunks(file, derived(key, purpose, head[len(MAGIC) :]), SEGMENT, b"")
        self._ended = False

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer at the end."""
        while len(self._buffer) < size and not self._ended:
            self._open()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def read_exactly(self, size: int) -> bytes:
        """The next ``size`` bytes, all of them."""
        data = self.read(size)
        if len(data) < size:
            raise BackupError(f"{self._name} ends in the middle of a record")
        return data

    def read_all(self) -> bytes:
        """All that is left: for what is known to be small."""
        while not self._ended:
            self._open()
        return self.read(len(self._buffer))

    def _open(self) -> None:
        try:
            chunk = next(self._chunks, None)
        except Altered:
            raise BackupError(f"{self._name} does not open: another master key, or it was altered") from None
        if chunk is None:
            self._ended = True
        else:
            self._buffer += chunk
