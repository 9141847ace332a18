"""A file sealed under a passphrase, written and read as a stream of bounded memory.

The bytes: ``MAGIC``, the salt (16), log2 of scrypt's cost (1), a check of the passphrase (16); then chunks of
`CHUNK` bytes, the last one shorter or as long, each with its GCM tag (16) behind it. A chunk's nonce is its number
(11 bytes, big-endian) and whether it is the last (1 byte): so none can be left out, moved or cut off unnoticed, and
each file has keys of its own, from its salt, so no nonce comes twice.

References
----------
scrypt: RFC 7914. HKDF: RFC 5869. AES-GCM: NIST SP 800-38D. The chunks: Hoang, Reyhanitabar, Rogaway, Vizár: Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015 (STREAM), as age and Tink do.
"""

from __future__ import annotations

import hmac
import io
import secrets
import unicodedata
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC: Final = b"fathomline sealed file 1\n"
CHUNK: Final = 1 << 16
LEAST_PASSPHRASE: Final = 12
"""Characters."""
_SALT, _CHECK, _TAG = 16, 16, 16
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


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


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
        self._file, self._cipher, self._number, self._waiting = file, AESGCM(key), 0, bytearray()
        self._head = MAGIC + salt + bytes([cost]) + check
        file.write(self._head)

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer, as files take
        """Seal what fills a chunk, once more comes after it."""
        self._waiting += data
        while len(self._waiting) > CHUNK:
            self._chunk(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(data)

    def finish(self) -> None:
        """Seal what is left, as the last chunk. A file without it is refused as cut off."""
        self._chunk(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _chunk(self, data: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), data, self._head))
        self._number += 1


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
        self._head = _exactly(file, len(MAGIC) + _SALT + 1 + _CHECK)
        if not self._head.startswith(MAGIC):
            raise EnvelopeError("this is no sealed file of this service")
        if len(self._head) < len(MAGIC) + _SALT + 1 + _CHECK:
            raise EnvelopeError("the file is cut off in its head")
        salt, cost = self._head[len(MAGIC) : len(MAGIC) + _SALT], self._head[len(MAGIC) + _SALT]
        if not 1 <= cost <= _MOST_COST:
            raise EnvelopeError("the head of the file is damaged")
        key, check = _keys(passphrase, salt, cost)
        if not hmac.compare_digest(check, self._head[-_CHECK:]):
            raise PassphraseWrong("the passphrase is not the one that the file was sealed under")
        self._file, self._cipher, self._number = file, AESGCM(key), 0
        self._ahead = _exactly(file, CHUNK + _TAG)
        self._plain = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer, as files take
        """Plain bytes; none at the end, which is told only of a file that is whole."""
        while not self._plain and not self._ended:
            self._next()
        taken = min(len(buffer), len(self._plain))
        buffer[:taken] = self._plain[:taken]
        self._plain = self._plain[taken:]
        return taken

    def _next(self) -> None:
        following = _exactly(self._file, CHUNK + _TAG) if len(self._ahead) == CHUNK + _TAG else b""
        last = not following
        try:
            plain = self._cipher.decrypt(_nonce(self._number, last=last), self._ahead, self._head)
        except InvalidTag:
            raise EnvelopeError(self._why(last=last)) from None
        self._plain, self._ahead, self._ended = memoryview(plain), following, last
        self._number += 1

    def _why(self, *, last: bool) -> str:
        if last:  # a whole chunk that is followed by nothing is either altered or was followed by more
            try:
                self._cipher.decrypt(_nonce(self._number, last=False), self._ahead, self._head)
            except InvalidTag:
                pass
            else:
                return f"the file is cut off after {self._number + 1} of its chunks"
        return f"the file was altered or cut off in chunk {self._number + 1}"


def _exactly(file: IO[bytes], size: int) -> bytes:
    """So many bytes, fewer only at the end: a pipe may give them in parts."""
    parts, left = [], size
    while left and (part := file.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def is_sealed(head: bytes) -> bool:
    """Whether a file that begins so (`len(MAGIC)` bytes) is a sealed one."""
    return head.startswith(MAGIC)
