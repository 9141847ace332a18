"""What of a database a backup holds: which tables, whose each row is, and how rows are read and summed up.

Rows are read with COPY, as the role that owns the tables, one organisation after the other: row-level security binds
that role as well. Read twice, at whatever time and in whatever order, the same rows have the same sum.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from api.backups.errors import BackupError
from api.backups.sealed import derived
from api.db import ORGANISATION_SETTING
from api.rotation.wrapped import WRAPPED
from api.tables import CLIENT_TABLES, SHARED, SYSTEM

Connection = psycopg.Connection[tuple[Any, ...]]

SUM_BYTES: Final = 16
_SUM_MODULUS: Final = 1 << (8 * SUM_BYTES)

ELSEWHERE: Final = {"client": frozenset({"key_wrapped"})}
"""Columns that are in no backup, by table: clients' keys are in the key file alone."""

UNDER_WAY: Final = {"import_chunk": None, "import_run": frozenset({"key_wrapped"}), "page_session": None}
"""What is there only while work is under way, and in no backup: tables (None), or columns of them. A file that waits to
be imported may hold what is erased before it is; an import whose file is not there is told as interrupted. Who has
signed out must not be signed in again by a restoration."""

UNDER_MASTER_KEY: Final = {
    table: frozenset(one.column for one in WRAPPED if one.table == table)
    - ELSEWHERE.get(table, frozenset())
    - (UNDER_WAY.get(table) or frozenset())
    for table in {one.table for one in WRAPPED}
}
"""Columns that are wrapped under the master key, by table. Another master key changes them and not what they stand for,
so they are kept, and left out of the sums."""

REVISION: Final = "alembic_version"
"""Written last when a backup is restored: until then nothing serves from the database."""

SCHEMAS: Final = ("public", "jobs")
"""Those of the service."""

# Rows are compared as text, so everything that a row's text depends on is settled here.
SESSION: Final = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "client_encoding": "UTF8",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "10s",
    "jit": "off",
}


@dataclass(frozen=True)
class Table:
    """A table as it is in a backup."""

    schema: str
    name: str
    columns: tuple[str, ...]
    """Those that count for the sum by name, then those that do not."""
    summed: int
    """How many of them count."""

    @property
    def label(self) -> str:
        """Its name, with its schema where that is not the usual one."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def of_clients(self) -> bool:
        """Whether its rows are clients', and go when the client is erased."""
        owned = CLIENT_TABLES.get(self.name) if self.schema == "public" else None
        return owned is not None and owned.kept is None

    @property
    def of_organisations(self) -> bool:
        """Whether each row is one organisation's."""
        return self.schema == "public" and self.name not in SYSTEM

    @property
    def identifier(self) -> sql.Identifier:
        """For statements."""
        return sql.Identifier(self.schema, self.name)


def counted(line: bytes, table: Table) -> bytes:
    """What of a row, as COPY writes it, counts for the sum."""
    uncounted = len(table.columns) - table.summed
    return line.rstrip(b"\n").rsplit(b"\t", uncounted)[0] if uncounted else line.rstrip(b"\n")


@dataclass
class Sum:
    """How many rows, and the sum of their hashes, which no order of the rows changes."""

    rows: int = 0
    total: int = 0

    def add(self, line: bytes, table: Table, key: bytes) -> None:
        """Count one row, as COPY writes it. The hash is keyed, so a sum tells nothing once the key is gone."""
        digest = hashlib.blake2b(counted(line, table), key=key, digest_size=SUM_BYTES).digest()
        self.rows += 1
        self.total = (self.total + int.from_bytes(digest, "big")) % _SUM_MODULUS

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.rows + other.rows, (self.total + other.total) % _SUM_MODULUS)

    def __sub__(self, other: Sum) -> Sum:
        return Sum(self.rows - other.rows, (self.total - other.total) % _SUM_MODULUS)

    @property
    def hex(self) -> str:
        """The sum of hashes as text."""
        return f"{self.total:0{2 * SUM_BYTES}x}"


class SumKeys:
    """The keys under which rows are summed up: of each client its own, made from its data key; one for the rest."""

    def __init__(
        self, backup_id: uuid.UUID, backup_key: bytes, clients: dict[tuple[uuid.UUID, uuid.UUID], bytes]
    ) -> None:
        self._id, self._clients = backup_id, clients
        self._common = derived(backup_key, b"sum", backup_id.bytes)
        self._last: tuple[tuple[uuid.UUID, uuid.UUID] | None, bytes] = (None, self._common)

    def of(self, organisation: uuid.UUID | None, client: uuid.UUID | None) -> bytes:
        """The key for a client's rows, or for those of nobody; a client without a key counts as nobody."""
        if organisation is None or client is None:
            return self._common
        if self._last[0] != (organisation, client):  # rows come ordered by client
            key = self._clients.get((organisation, client))
            made = self._common if key is None else derived(key, b"sum", self._id.bytes)
            self._last = ((organisation, client), made)
        return self._last[1]


def connect(url: str) -> Connection:
    """A connection whose rows read the same everywhere. The caller closes it.

    Raises
    ------
    BackupError
        The server cannot be reached. The driver's message may quote the URL, and is not repeated.
    """
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10, row_factory=tuple_row)
    except psycopg.Error as error:
        raise BackupError(f"cannot connect to the database ({type(error).__name__})") from None
    for name, value in SESSION.items():
        connection.execute("select set_config(%s, %s, false)", (name, value))
    return connection


_TABLES: Final = """
  select n.nspname, c.relname, array_agg(a.attname::text order by a.attname)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  where n.nspname = any (%s) and c.relkind = 'r'
  group by 1, 2 order by 1, 2
"""


def tables(connection: Connection) -> list[Table]:
    """The tables of the database that hold rows of the service's.

    Raises
    ------
    BackupError
        There is a table of which nobody said whose its rows are.
    """
    found = []
    for schema, name, columns in connection.execute(_TABLES, (list(SCHEMAS),)):
        if schema == "public" and name not in CLIENT_TABLES and name not in SHARED and name not in SYSTEM:
            raise BackupError(f"table {name} is none of this release's: move it to a schema of its own")
        own = schema == "public"
        if own and (name == REVISION or (name in UNDER_WAY and UNDER_WAY[name] is None)):
            continue
        uncounted = UNDER_MASTER_KEY.get(name, frozenset()) if own else frozenset()
        absent = ELSEWHERE.get(name, frozenset()) | (UNDER_WAY.get(name) or frozenset()) if own else frozenset()
        counted = [column for column in columns if column not in uncounted and column not in absent]
        rest = [column for column in columns if column in uncounted]
        found.append(Table(schema, name, (*counted, *rest), len(counted)))
    return found


def others(connection: Connection) -> list[str]:
    """Schemas that are not the service's."""
    query = "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> all (%s) order by 1"
    return [row[0] for row in connection.execute(query, (["information_schema", *SCHEMAS],))]


def revision(connection: Connection) -> str | None:
    """The schema's revision; None where there is no schema."""
    row = connection.execute("select to_regclass('public.alembic_version')").fetchone()
    if row is None or row[0] is None:
        return None
    row = connection.execute("select version_num from alembic_version").fetchone()
    return None if row is None else str(row[0])


def organisations(connection: Connection) -> list[uuid.UUID]:
    """The ids of all organisations."""
    return [row[0] for row in connection.execute("select * from organisation_ids()")]


def enter(connection: Connection, organisation: uuid.UUID) -> None:
    """Confine the transaction to an organisation."""
    connection.execute("select set_config(%s, %s, true)", (ORGANISATION_SETTING, str(organisation)))


Row = tuple[uuid.UUID | None, uuid.UUID | None, bytes]
"""A row's organisation and client, and the row as COPY writes it, with the line's end."""


def rows(connection: Connection, table: Table, of: list[uuid.UUID]) -> Iterator[Row]:
    """All rows of a table, within the connection's transaction, ordered by organisation and client."""
    if not table.of_organisations:
        yield from _copied(connection, table, None)
        return
    for organisation in of:
        enter(connection, organisation)
        yield from _copied(connection, table, organisation)


def _copied(connection: Connection, table: Table, organisation: uuid.UUID | None) -> Iterator[Row]:
    names = sql.SQL(", ").join(sql.Identifier("t", column) for column in table.columns)
    client = sql.SQL(client_of(table.name, "t")) if table.of_clients else sql.SQL("null::uuid")
    query = sql.SQL("select {}, {} from {} t").format(client, names, table.identifier)
    if organisation is not None:
        query += sql.SQL(" where t.organisation_id = {}").format(sql.Literal(organisation))
    if table.of_clients:
        query += sql.SQL(" order by 1")
    known: tuple[bytes, uuid.UUID | None] = (b"\\N", None)
    with connection.cursor().copy(sql.SQL("copy ({}) to stdout").format(query)) as copy:
        for data in copy:
            head, _, line = bytes(data).partition(b"\t")
            if head != known[0]:
                known = (head, None if head == b"\\N" else uuid.UUID(head.decode()))
            yield organisation, known[1], line


def client_of(table: str, alias: str) -> str:
    """SQL for the client that a row of a table belongs to; null for a row of nobody's.

    Examples
    --------
    >>> client_of("episode", "t")
    't.client_id'
    >>> client_of("care_session", "t")[:50]
    '(select t0.client_id from episode t0 where t0.orga'
    """
    owned = CLIENT_TABLES[table]
    column = f"{alias}.{owned.column}"
    if not owned.parents:
        return column
    found = [
        f"(select {client_of(parent, inner)} from {parent} {inner} "  # noqa: S608  - names of the registry
        f"where {inner}.organisation_id = {alias}.organisation_id and {inner}.{owned.parent_key} = {column} limit 1)"
        for number, parent in enumerate(owned.parents)
        for inner in (f"{alias}{number}",)
    ]
    return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"
