"""From the bytes of a file to its lines, however it was cut into parts: decompressed, bounded, counted.

Nothing here holds more than a part of the file and one line. A compressed file may not grow beyond what a file may
have, nor by more than `MOST_GROWTH` times: so a small body cannot keep a worker busy for days.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

LONGEST_LINE: Final = 1 << 20
"""Bytes; a form with a thousand items has some ten thousand."""
MOST_GROWTH: Final = 200
"""Times that a compressed file may grow: tables of answers compress to a tenth or a fortieth of their size."""
_FREE_GROWTH: Final = 16 << 20
"""Bytes up to which growth does not matter: short files of equal rows compress to next to nothing."""
_STEP: Final = 1 << 20
GZIP: Final = 16 + zlib.MAX_WBITS


class FileUnusable(Exception):
    """The file as a whole cannot be imported, or not from here on. ``str`` says why, without quoting from it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(slots=True)
class Meter:
    """How much of a file was taken, in bytes: as it was sent, and of its lines."""

    read: int = 0
    of_lines: int = 0


def decompressed(parts: Iterable[bytes], largest: int) -> Iterator[bytes]:
    """What a gzip file holds, in pieces of at most a megabyte; several members after each other are one file.

    Raises
    ------
    FileUnusable
        Not gzip, broken off, or grown too large.
    """
    stream = zlib.decompressobj(GZIP)
    given = made = 0
    begun = False
    for part in parts:
        given += len(part)
        data = part
        while data:
            if stream.eof:
                stream = zlib.decompressobj(GZIP)
            begun = True
            try:
                piece = stream.decompress(data, _STEP)
            except zlib.error:
                raise FileUnusable("not-gzip", "the file is not gzip, or damaged") from None
            made += len(piece)
            if made > largest or (made > _FREE_GROWTH and made > MOST_GROWTH * given):
                raise FileUnusable("grows-too-large", f"it grows beyond {largest} bytes, or {MOST_GROWTH}-fold")
            if piece:
                yield piece
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
    while begun and not stream.eof and (piece := stream.decompress(b"", _STEP)):
        yield piece
    if begun and not stream.eof:
        raise FileUnusable("broken-off", "the compressed file breaks off; send it whole")


def metered(parts: Iterable[bytes], meter: Meter) -> Iterator[bytes]:
    """The same parts, counted."""
    for part in parts:
        meter.read += len(part)
        yield part


def lines(parts: Iterable[bytes], meter: Meter) -> Iterator[bytes | None]:
    """The lines of a file without what ends them; None for one that is longer than `LONGEST_LINE`.

    The mark of byte order that some programs put before UTF-8 is left out.
    """
    rest: list[bytes] = []
    held = 0
    first = True
    for part in parts:
        meter.of_lines += len(part)
        pieces = part.split(b"\n")
        for piece in pieces[:-1]:
            line = _whole(rest, held, piece)
            rest, held = [], 0
            yield line.removeprefix(b"\xef\xbb\xbf") if first and line is not None else line
            first = False
        held += len(pieces[-1])
        if held <= LONGEST_LINE:
            rest.append(pieces[-1])
        else:
            rest = []
    if held:
        line = _whole(rest, held, b"")
        yield line.removeprefix(b"\xef\xbb\xbf") if first and line is not None else line


def _whole(rest: list[bytes], held: int, last: bytes) -> bytes | None:
    if held + len(last) > LONGEST_LINE:
        return None
    return b"".join((*rest, last)).removesuffix(b"\r") if rest else last.removesuffix(b"\r")
