"""A file sealed under a passphrase, written and read as a stream of bounded memory.

The bytes: ``MAGIC``, the salt (16), log2 of scrypt's cost (1), a check of the passphrase (16); then chunks of `CHUNK`
bytes as `api.security.chunks` says. Each file has keys of its own, from its salt.

References
----------
scrypt: RFC 7914. HKDF: RFC 5869.
"""

from __future__ import annotations

import hmac
import io
import secrets
import unicodedata
from typing import IO, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from api.security.chunks import Altered, ChunkWriter, open_chunks, read_exactly

MAGIC: Final = b"fathomline sealed file 1\n"
CHUNK: Final = 1 << 16
LEAST_PASSPHRASE: Final = 12
"""Characters."""
_SALT, _CHECK = 16, 16
COST = 17
"""log2 of scrypt's N: 128 MiB and about a third of a second, once a file. Tests take less."""
_MOST_COST: Final = 20
_BLOCK: Final = 8


class EnvelopeError(Exception):
    """A sealed file that cannot be opened. The message is one line, and never has what is in it."""


class PassphraseWrong(EnvelopeError):
    """It was sealed under another passphrase, or its first bytes were altered."""


class PassphraseWeak(ValueError):
    """Too short to protect anything."""


def _keys(passphrase: str, salt: bytes, cost: int) -> tuple[bytes, bytes]:
    """The key of the chunks, and the check that tells a wrong passphrase from altered bytes."""
    text = unicodedata.normalize("NFC", passphrase).encode("utf-8")
    stretched = Scrypt(salt=salt, length=32, n=1 << cost, r=_BLOCK, p=1).derive(text)

    def key(purpose: bytes, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, salt=None, info=b"fathomline/envelope/" + purpose).derive(stretched)

    return key(b"chunks", 32), key(b"check", _CHECK)


class Sealing(io.RawIOBase):
    """Takes plain bytes and writes the sealed file to ``file``. Only `close` makes it whole: see `finish`.

    Raises
    ------
    PassphraseWeak
        Fewer than `LEAST_PASSPHRASE` characters.
    """

    def __init__(self, file: IO[bytes], passphrase: str, *, cost: int | None = None) -> None:
        if len(passphrase) < LEAST_PASSPHRASE:
            raise PassphraseWeak(f"a passphrase has at least {LEAST_PASSPHRASE} characters")
        salt, cost = secrets.token_bytes(_SALT), COST if cost is None else cost
        key, check = _keys(passphrase, salt, cost)
        head = MAGIC + salt + bytes([cost]) + check
        file.write(head)
        self._chunks = ChunkWriter(file.write, key, CHUNK, head)

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer, as files take
        """Seal what fills a chunk, once more comes after it."""
        self._chunks.write(data)
        return len(data)

    def finish(self) -> None:
        """Seal what is left, as the last chunk. A file without it is refused as cut off."""
        self._chunks.finish()


class Opening(io.RawIOBase):
    """Reads a sealed file and gives the plain bytes. Each is given only once its chunk has proved to be unaltered.

    Raises
    ------
    EnvelopeError
        No sealed file, cut off, or altered.
    PassphraseWrong
        Sealed under another passphrase.
    """

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        head = read_exactly(file, len(MAGIC) + _SALT + 1 + _CHECK)
        if not head.startswith(MAGIC):
            raise EnvelopeError("this is no sealed file of this service")
        if len(head) < len(MAGIC) + _SALT + 1 + _CHECK:
            raise EnvelopeError("the file is cut off in its head")
        salt, cost = head[len(MAGIC) : len(MAGIC) + _SALT], head[len(MAGIC) + _SALT]
        if not 1 <= cost <= _MOST_COST:
            raise EnvelopeError("the head of the file is damaged")
        key, check = _keys(passphrase, salt, cost)
        if not hmac.compare_digest(check, head[-_CHECK:]):
            raise PassphraseWrong("the passphrase is not the one that the file was sealed under")
        self._chunks = open_chunks(file, key, CHUNK, head)
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer, as files take
        """Plain bytes; none at the end, which is told only of a file that is whole."""
        try:
            while not self._plain and (chunk := next(self._chunks, None)) is not None:
                self._plain = memoryview(chunk)
        except Altered as fault:
            if fault.cut_off:
                raise EnvelopeError(f"the file is cut off after {fault.number} of its chunks") from None
            raise EnvelopeError(f"the file was altered or cut off in chunk {fault.number}") from None
        taken = min(len(buffer), len(self._plain))
        buffer[:taken] = self._plain[:taken]
        self._plain = self._plain[taken:]
        return taken


def is_sealed(head: bytes) -> bool:
    """Whether a file that begins so (`len(MAGIC)` bytes) is a sealed one."""
    return head.startswith(MAGIC)
