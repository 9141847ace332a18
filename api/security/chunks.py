"""Content of any length sealed in numbered chunks: in bounded memory, and none altered, moved or cut off unnoticed.

A chunk is its ciphertext with the GCM tag (16 bytes) behind it; its nonce is its number (11 bytes, big-endian) and
whether it is the last (1 byte). The key must be of this content alone, or nonces would come twice. What the head of a
file says is bound to every chunk. What derives the key is the caller's: a passphrase, or another key.

References
----------
AES-GCM: NIST SP 800-38D. The chunks: Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, 2015 (STREAM), as age and Tink do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG_BYTES: Final = 16


class Altered(Exception):
    """A chunk that does not open: another key, altered, moved or cut off.

    Attributes
    ----------
    number : int
        Of the chunk, from 1.
    cut_off : bool
        The chunk itself is whole, and what should follow it is not there.
    """

    def __init__(self, number: int, *, cut_off: bool) -> None:
        super().__init__(number)
        self.number, self.cut_off = number, cut_off


class ChunkWriter:
    """Seals what is written to it, `size` bytes a chunk; the last one is shorter or as long.

    Parameters
    ----------
    put
        Takes each sealed chunk.
    head
        Bound to every chunk.
    """

    def __init__(self, put: Callable[[bytes], object], key: bytes, size: int, head: bytes) -> None:
        self._put, self._cipher, self._size, self._head = put, AESGCM(key), size, head
        self._number, self._waiting = 0, bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal what fills a chunk, once more comes after it."""
        self._waiting += data
        while len(self._waiting) > self._size:  # never the last one: that is `finish`'s
            self._chunk(bytes(self._waiting[: self._size]), last=False)
            del self._waiting[: self._size]

    def finish(self) -> None:
        """Seal what is left, as the last chunk. Content without it is refused as cut off."""
        self._chunk(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _chunk(self, data: bytes, *, last: bool) -> None:
        self._put(self._cipher.encrypt(_nonce(self._number, last=last), data, self._head))
        self._number += 1


def open_chunks(file: IO[bytes], key: bytes, size: int, head: bytes) -> Iterator[bytes]:
    """The content of each chunk, given only once it has proved to be unaltered.

    Raises
    ------
    Altered
        As it says. Chunks before the fault have been given.
    """
    cipher = AESGCM(key)
    number, ahead, ended = 0, read_exactly(file, size + TAG_BYTES), False
    while not ended:
        following = read_exactly(file, size + TAG_BYTES) if len(ahead) == size + TAG_BYTES else b""
        ended = not following
        try:
            yield cipher.decrypt(_nonce(number, last=ended), ahead, head)
        except InvalidTag:
            raise Altered(number + 1, cut_off=ended and _opens(cipher, number, ahead, head)) from None
        ahead = following
        number += 1


def _opens(cipher: AESGCM, number: int, sealed: bytes, head: bytes) -> bool:
    """Whether a chunk that is followed by nothing was sealed as one that something follows."""
    try:
        cipher.decrypt(_nonce(number, last=False), sealed, head)
    except InvalidTag:
        return False
    return True


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def read_exactly(file: IO[bytes], size: int) -> bytes:
    """So many bytes, fewer only at the end: a pipe may give them in parts."""
    parts, left = [], size
    while left and (part := file.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
