"""Sealed streams and the key file: what is written comes back, and nothing else opens."""

from __future__ import annotations

import io
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.backups import keyfile
from api.backups.errors import BackupError
from api.backups.sealed import SEGMENT, SealedReader, SealedWriter
from api.erasure.tombstones import Tombstone
from api.security import crypto

KEY = bytes(range(32))
OLD = crypto.derive(bytes(range(32)))
NEW = crypto.derive(bytes(range(50, 82)))
BOTH = crypto.derive(bytes(range(50, 82)), bytes(range(32)))
ORGANISATION, CLIENT, ANOTHER = (uuid.UUID(int=number) for number in (1, 2, 3))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def sealed(*parts: bytes, purpose: bytes = b"test") -> bytes:
    out = io.BytesIO()
    writer = SealedWriter(out, KEY, purpose)
    for part in parts:
        writer.write(part)
    writer.close()
    assert writer.size == len(out.getvalue())
    return out.getvalue()


def read(data: bytes, key: bytes = KEY, purpose: bytes = b"test") -> bytes:
    return SealedReader(io.BytesIO(data), key, purpose, "file").read_all()


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.integers(SEGMENT - 2, SEGMENT + 2).map(lambda size: b"x" * size)),
        max_size=4,
    )
)
def test_what_is_written_comes_back(parts: list[bytes]) -> None:
    assert read(sealed(*parts)) == b"".join(parts)


@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT])
def test_cut_short_anywhere_it_does_not_open(size: int) -> None:
    whole = sealed(b"x" * size)
    assert read(whole) == b"x" * size
    cuts = {0, 10, 24, len(whole) - 1, len(whole) - 17, 24 + SEGMENT + 16} - {len(whole)}
    for cut in (cut for cut in cuts if cut < len(whole)):
        with pytest.raises(BackupError, match=r"^file (does not open|is not a file)"):
            read(whole[:cut])


def test_segments_in_another_order_do_not_open() -> None:
    whole = sealed(b"a" * SEGMENT + b"b" * SEGMENT + b"c")
    head, piece = whole[:24], SEGMENT + 16
    first, second, last = whole[24 : 24 + piece], whole[24 + piece : 24 + 2 * piece], whole[24 + 2 * piece :]
    assert read(head + first + second + last).endswith(b"bc")
    for order in ((second, first, last), (first, last), (first, second), (first, second, last, last)):
        with pytest.raises(BackupError, match="does not open"):
            read(head + b"".join(order))


def test_another_key_or_purpose_or_one_bit_does_not_open() -> None:
    whole = sealed(b"content")
    for data, key, purpose in (
        (whole, bytes(32), b"test"),
        (whole, KEY, b"else"),
        *((whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], KEY, b"test") for place in (0, 9, 30, -1)),
    ):
        with pytest.raises(BackupError):
            read(data if len(data) >= len(whole) else data + whole[-1:], key, purpose)
    assert sealed(b"content") != whole, "never the same twice"


def test_a_record_that_ends_early_is_told() -> None:
    reader = SealedReader(io.BytesIO(sealed(b"abc")), KEY, b"test", "file")
    assert reader.read_exactly(2) == b"ab"
    with pytest.raises(BackupError, match="file ends in the middle of a record"):
        reader.read_exactly(2)


def fill(folder: Path, keys: crypto.Keys = OLD) -> None:
    with keyfile.changing(folder, keys) as ring:
        ring.learn((ORGANISATION, CLIENT), b"k" * 32)
        ring.learn((ORGANISATION, ANOTHER), b"a" * 32)
        ring.backups[uuid.UUID(int=9)] = b"b" * 32


def erased(record: bytes = b"", client: uuid.UUID = CLIENT) -> Tombstone:
    return Tombstone(ORGANISATION, client, AT, record)


def test_what_the_key_file_holds_comes_back(tmp_path: Path) -> None:
    assert keyfile.read(tmp_path, OLD) is None
    fill(tmp_path)
    assert keyfile.forget(tmp_path, OLD, [erased(b"line\nline")])
    ring = keyfile.read(tmp_path, OLD)
    assert ring is not None
    assert ring.clients == {(ORGANISATION, ANOTHER): b"a" * 32}
    assert ring.backups == {uuid.UUID(int=9): b"b" * 32}
    assert ring.erased == {(ORGANISATION, CLIENT): erased(b"line\nline")}
    assert "kkk" not in repr(ring)
    assert "aaa" not in repr(ring)


def test_an_erasure_holds_whatever_is_learnt_afterwards(tmp_path: Path) -> None:
    fill(tmp_path)
    assert keyfile.forget(tmp_path, OLD, [erased()])
    assert not keyfile.forget(tmp_path, OLD, [erased()]), "once is enough"
    fill(tmp_path)
    ring = keyfile.read(tmp_path, OLD)
    assert ring is not None
    assert set(ring.clients) == {(ORGANISATION, ANOTHER)}
    assert keyfile.forget(tmp_path, OLD, [erased(b"certificate")]), "and what is known of it can be added"


def test_a_client_that_was_never_there_is_remembered_as_erased(tmp_path: Path) -> None:
    fill(tmp_path)
    third = uuid.UUID(int=4)
    assert keyfile.forget(tmp_path, OLD, [erased(client=third)])
    with keyfile.changing(tmp_path, OLD) as ring:
        ring.learn((ORGANISATION, third), b"c" * 32)
        assert (ORGANISATION, third) not in ring.clients


def test_where_no_backups_are_there_is_nothing_to_forget(tmp_path: Path) -> None:
    assert not keyfile.forget(tmp_path / "nowhere", OLD, [erased()])
    assert not keyfile.reseal(tmp_path / "nowhere", OLD)
    assert list(tmp_path.iterdir()) == []


def test_the_bytes_of_the_key_are_gone_from_the_file(tmp_path: Path) -> None:
    fill(tmp_path)
    before = (tmp_path / keyfile.NAME).stat().st_size
    keyfile.forget(tmp_path, OLD, [erased()])
    with (tmp_path / keyfile.NAME).open("rb") as file:
        plain = SealedReader(file, OLD.backup, b"key file", "file").read_all()
    assert b"k" * 32 not in plain
    assert b"a" * 32 in plain
    assert (tmp_path / keyfile.NAME).stat().st_size < before + 60
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".new")] == []


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path)
    before = (tmp_path / keyfile.NAME).read_bytes()

    def fail() -> None:
        with keyfile.changing(tmp_path, OLD) as ring:
            ring.clients.clear()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / keyfile.NAME).read_bytes() == before


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    fill(tmp_path)

    def learn(number: int) -> None:
        with keyfile.changing(tmp_path, OLD) as ring:
            ring.learn((ORGANISATION, uuid.UUID(int=number)), bytes(32))

    threads = [threading.Thread(target=learn, args=(number,)) for number in range(100, 110)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ring = keyfile.read(tmp_path, OLD)
    assert ring is not None
    assert len(ring.clients) == 12


def test_another_master_key_does_not_open_it_and_one_that_replaces_the_other_does(tmp_path: Path) -> None:
    fill(tmp_path)
    with pytest.raises(BackupError, match=r"^keys\.fathomline does not open: another master key, or it was altered$"):
        keyfile.read(tmp_path, NEW)
    with pytest.raises(BackupError, match="does not open"):
        keyfile.reseal(tmp_path, NEW)
    assert keyfile.read(tmp_path, BOTH) == keyfile.read(tmp_path, OLD)
    assert keyfile.reseal(tmp_path, BOTH)
    assert not keyfile.reseal(tmp_path, BOTH)
    ring = keyfile.read(tmp_path, NEW)
    assert ring is not None
    assert len(ring.clients) == 2
    with pytest.raises(BackupError, match="does not open"):
        keyfile.read(tmp_path, OLD)
