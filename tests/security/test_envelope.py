"""Files sealed under a passphrase: whole or refused, and refused with the right words."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.security import envelope
from api.security.envelope import CHUNK, MAGIC, EnvelopeError, Opening, PassphraseWeak, PassphraseWrong, Sealing

WORDS = "a lamp by the window"
CHEAP = 4
"""log2 of scrypt's cost: these tests are not about how long guessing takes."""
HEAD = len(MAGIC) + 16 + 1 + 16
CHUNK_SEALED = CHUNK + 16


def sealed(data: bytes, passphrase: str = WORDS, step: int = 50_000) -> bytes:
    file = io.BytesIO()
    sealing = Sealing(file, passphrase, cost=CHEAP)
    for start in range(0, len(data), step):
        sealing.write(data[start : start + step])
    sealing.finish()
    return file.getvalue()


def opened(data: bytes, passphrase: str = WORDS) -> bytes:
    return io.BufferedReader(Opening(io.BytesIO(data), passphrase)).read()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5])
def test_what_was_sealed_is_opened_again(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    assert opened(sealed(data[:size])) == data[:size]


@settings(max_examples=20)
@given(size=st.integers(0, 3 * CHUNK), step=st.integers(1_000, 2 * CHUNK), limit=st.integers(1_000, CHUNK))
def test_it_does_not_matter_in_which_parts_it_is_written_and_read(size: int, step: int, limit: int) -> None:
    class Slow(io.BytesIO):
        def read(self, wanted: int | None = -1) -> bytes:
            return super().read(min(wanted or 0, limit) if wanted and wanted > 0 else limit)

    data = bytes(size)
    assert io.BufferedReader(Opening(Slow(sealed(data, step=step)), WORDS)).read() == data


def test_nothing_of_it_can_be_read_and_no_two_are_alike() -> None:
    first, second = sealed(b"secret " * 9), sealed(b"secret " * 9)
    assert b"secret" not in first
    assert first[len(MAGIC) :] != second[len(MAGIC) :]


def test_a_passphrase_is_the_same_however_its_letters_are_composed() -> None:
    assert opened(sealed(b"x", "caf\u00e9 au lait, s'il"), "cafe\u0301 au lait, s'il") == b"x"


def test_another_passphrase_is_told_as_that() -> None:
    with pytest.raises(PassphraseWrong, match="not the one"):
        opened(sealed(b"x"), WORDS + ".")


@pytest.mark.parametrize("short", ["", "eleven char"])
def test_a_short_passphrase_seals_nothing(short: str) -> None:
    file = io.BytesIO()
    with pytest.raises(PassphraseWeak, match="at least 12"):
        Sealing(file, short)
    assert file.getvalue() == b""


@pytest.mark.parametrize("chunks", [1, 2])
def test_a_file_cut_off_between_chunks_is_told_as_that(chunks: int) -> None:
    whole = sealed(bytes(2 * CHUNK + 9))
    with pytest.raises(EnvelopeError, match=f"cut off after {chunks} "):
        opened(whole[: HEAD + chunks * CHUNK_SEALED])


def test_a_file_without_its_last_chunk_is_refused_also_where_nothing_was_left_to_write() -> None:
    file = io.BytesIO()
    Sealing(file, WORDS, cost=CHEAP).write(b"x")
    with pytest.raises(EnvelopeError, match="cut off"):
        opened(file.getvalue())


@given(at=st.integers(0, 10_000))
@settings(max_examples=60)
def test_a_file_cut_off_anywhere_is_refused(at: int) -> None:
    whole = sealed(bytes(9_000))
    if at < len(whole):
        with pytest.raises(EnvelopeError):
            opened(whole[:at])


@given(at=st.integers(0, HEAD + 200), bit=st.integers(0, 7))
@settings(max_examples=150)
def test_any_altered_bit_is_noticed(at: int, bit: int) -> None:
    whole = bytearray(sealed(b"7" * 150))
    if at >= len(whole) or at == len(MAGIC) + 16:  # the cost: the next test's
        return
    whole[at] ^= 1 << bit
    with pytest.raises(EnvelopeError):
        opened(bytes(whole))


@pytest.mark.parametrize("cost", [0, 21, 255])
def test_a_cost_that_would_take_all_memory_is_refused(cost: int) -> None:
    whole = bytearray(sealed(b"x"))
    whole[len(MAGIC) + 16] = cost
    with pytest.raises(EnvelopeError, match="head"):
        opened(bytes(whole))


def test_chunks_that_changed_places_or_were_added_are_noticed() -> None:
    whole = sealed(bytes(3 * CHUNK))
    first, second = whole[HEAD : HEAD + CHUNK_SEALED], whole[HEAD + CHUNK_SEALED : HEAD + 2 * CHUNK_SEALED]
    rest = whole[HEAD + 2 * CHUNK_SEALED :]
    for other in (second + first + rest, first + first + rest, second + rest, first + second + rest + b"more"):
        with pytest.raises(EnvelopeError, match="altered or cut off"):
            opened(whole[:HEAD] + other)


def test_another_file_is_told_as_that() -> None:
    with pytest.raises(EnvelopeError, match="no sealed file"):
        opened(b"PK\x03\x04 an ordinary archive of something, long enough to have had a head")
    assert envelope.is_sealed(sealed(b"")[: len(MAGIC)])
    assert not envelope.is_sealed(b"PK\x03\x04")
