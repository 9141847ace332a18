"""Rows in the files of a backup: in blocks, each of one client, or of none.

The content of a table's file is a sequence of blocks. In bytes: kind (1), organisation (16), client (16), rows (4),
length (4), sum (16), then the rows as COPY writes them, deflated. Those of a client are sealed with AES-GCM under a key
that is derived from the client's data key, the backup and the table; what stands before them is bound to them, and so
is how many blocks of that client came before.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.backups.contents import SUM_BYTES, Row, Sum, SumKeys, Table
from api.backups.errors import BackupError
from api.backups.sealed import SealedReader, SealedWriter, derived

MOST_ROWS_BYTES: Final = 1 << 20
"""Bytes of rows after which a block is closed; a block has one row at least."""

_HEAD: Final = struct.Struct(f">c16s16sII{SUM_BYTES}s")
_COMMON, _CLIENT, _END = b"N", b"C", b"E"
_NOBODY: Final = uuid.UUID(int=0)
_FASTEST: Final = 1
Client = tuple[uuid.UUID, uuid.UUID]


@dataclass(frozen=True)
class Block:
    """Some rows of a table, not opened yet."""

    organisation: uuid.UUID | None
    client: uuid.UUID | None
    sum: Sum
    number: int
    """How many blocks of the same client came before."""
    head: bytes
    body: bytes

    @property
    def owner(self) -> Client | None:
        """The client whose key is needed; None: it is nobody's."""
        return None if self.organisation is None or self.client is None else (self.organisation, self.client)


class BlockWriter:
    """Writes a table's rows, which come ordered by client, and sums them up.

    Rows of a client without a key (erased, or about to be) are left out, and counted in ``left_out``.
    """

    def __init__(
        self, out: SealedWriter, table: Table, backup_id: uuid.UUID, clients: dict[Client, bytes], sums: SumKeys
    ) -> None:
        self._out, self._table, self._backup_id, self._clients, self._sums = out, table, backup_id, clients, sums
        self._of: tuple[uuid.UUID | None, uuid.UUID | None] = (None, None)
        self._rows: list[bytes] = []
        self._size = self._number = 0
        self._sum = Sum()
        self.sum = Sum()
        self.left_out = 0

    def write(self, row: Row) -> None:
        """Take one row."""
        organisation, client, line = row
        if client is not None and (organisation, client) not in self._clients:
            self.left_out += 1
            return
        if (organisation, client) != self._of:
            self._flush()
            self._of, self._number = (organisation, client), 0
        elif self._size >= MOST_ROWS_BYTES:
            self._flush()
        self._rows.append(line)
        self._size += len(line)
        self._sum.add(line, self._table, self._sums.of(organisation, client))

    def close(self) -> None:
        """Write what is left, and the end."""
        self._flush()
        self._out.write(_HEAD.pack(_END, _NOBODY.bytes, _NOBODY.bytes, 0, 0, bytes(SUM_BYTES)))

    def _flush(self) -> None:
        if not self._rows:
            return
        organisation, client = self._of
        body = zlib.compress(b"".join(self._rows), _FASTEST)
        total = self._sum.total.to_bytes(SUM_BYTES, "big")
        ids = (organisation or _NOBODY).bytes, (client or _NOBODY).bytes
        if organisation is not None and client is not None:
            head = _HEAD.pack(_CLIENT, *ids, self._sum.rows, len(body) + 16, total)
            key = _block_key(self._clients[organisation, client], self._backup_id, self._table.label)
            body = AESGCM(key).encrypt(_nonce(self._number), body, head)
        else:
            head = _HEAD.pack(_COMMON, *ids, self._sum.rows, len(body), total)
        self._out.write(head + body)
        self.sum += self._sum
        self._rows, self._size, self._sum = [], 0, Sum()
        self._number += 1


def read_blocks(reader: SealedReader) -> Iterator[Block]:
    """The blocks of a table's file."""
    before: tuple[bytes, bytes] | None = None
    number = 0
    while True:
        head = reader.read_exactly(_HEAD.size)
        kind, organisation, client, rows, length, total = _HEAD.unpack(head)
        if kind == _END:
            return
        number = number + 1 if before == (organisation, client) else 0
        before = (organisation, client)
        of_organisation = uuid.UUID(bytes=organisation)
        yield Block(
            None if of_organisation == _NOBODY else of_organisation,
            uuid.UUID(bytes=client) if kind == _CLIENT else None,
            Sum(rows, int.from_bytes(total, "big")),
            number,
            head,
            reader.read_exactly(length),
        )


def opened(block: Block, table: Table, backup_id: uuid.UUID, clients: dict[Client, bytes]) -> bytes:
    """The rows of a block, as COPY takes them.

    Raises
    ------
    BackupError
        The client's key does not open it.
    """
    body = block.body
    if block.owner is not None:
        key = _block_key(clients[block.owner], backup_id, table.label)
        try:
            body = AESGCM(key).decrypt(_nonce(block.number), body, block.head)
        except InvalidTag:
            raise BackupError(f"rows of {table.label} do not open with their client's key: they were altered") from None
    return zlib.decompress(body)


def _block_key(client_key: bytes, backup_id: uuid.UUID, label: str) -> bytes:
    return derived(client_key, b"block " + label.encode(), backup_id.bytes)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
