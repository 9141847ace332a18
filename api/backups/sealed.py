"""Files sealed as a stream: of any length, in bounded memory, and neither cut short nor put together anew unnoticed.

In bytes: magic (8), salt (16), then segments of `SEGMENT` bytes, each followed by its GCM tag (16); the last one is
shorter or as long, and sealed as the last. The key is derived from the given one, the salt and the purpose, so each
file has its own; a segment's nonce is its number and whether it is the last. This is the STREAM construction.

References
----------
Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.backups.errors import BackupError

MAGIC: Final = b"FLSEAL\x01\n"
SALT_BYTES: Final = 16
SEGMENT: Final = 1 << 18
TAG_BYTES: Final = 16


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
        self._file, self._number = file, 0
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self.size = 0
        """Bytes written to the file."""
        salt = secrets.token_bytes(SALT_BYTES)
        self._cipher = AESGCM(derived(key, purpose, salt))
        self._put(MAGIC + salt)

    @property
    def sha256(self) -> str:
        """Of the bytes written to the file so far, in hex."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Take more of the content."""
        self._buffer += data
        while len(self._buffer) > SEGMENT:  # never the last one: that is `close`'s
            self._seal(bytes(self._buffer[:SEGMENT]), last=False)
            del self._buffer[:SEGMENT]

    def close(self) -> None:
        """Write the last segment; without it nothing opens the file."""
        self._seal(bytes(self._buffer), last=True)
        self._buffer.clear()

    def _seal(self, segment: bytes, *, last: bool) -> None:
        self._put(self._cipher.encrypt(_nonce(self._number, last), segment, None))
        self._number += 1

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
        self._file, self._name, self._number = file, name, 0
        self._buffer = bytearray()
        head = file.read(len(MAGIC) + SALT_BYTES)
        if len(head) < len(MAGIC) + SALT_BYTES or not head.startswith(MAGIC):
            raise BackupError(f"{name} is not a file of a backup that this release can read")
        self._cipher = AESGCM(derived(key, purpose, head[len(MAGIC) :]))
        self._next = file.read(SEGMENT + TAG_BYTES)
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
        segment = self._next
        self._next = self._file.read(SEGMENT + TAG_BYTES)
        self._ended = not self._next
        try:
            self._buffer += self._cipher.decrypt(_nonce(self._number, self._ended), segment, None)
        except InvalidTag:
            raise BackupError(f"{self._name} does not open: another master key, or it was altered") from None
        self._number += 1


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
