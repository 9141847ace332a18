"""Taking an archive in: into an empty organisation of another installation, whole and proved equal, or not at all.

It runs as the role that owns the tables, as migrations do: the role of the service cannot write scores and
corrections other than by the functions for it, and no right is given to it for this. Row-level security is forced, so
the owner too sees and writes one organisation only. Everything is one transaction: whatever goes wrong, even the loss
of the database, leaves nothing, and the same command may simply be run again.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, LiteralString

import orjson
import psycopg
from psycopg import sql

from api.db import ORGANISATION_SETTING, ORGANISATION_SLUG_SETTING
from api.exports.archive import Archive, ArchiveError, Checksum, Checksums, Manifest, Summing, Told, checksums, untold
from api.exports.columns import EVIDENCE, ORGANISATION, Plan, carried, owner_of, plan_of
from api.exports.rows import Connection, Reader, tell
from api.ids import new_id
from api.security import crypto
from api.tables import CLIENT_TABLES

BATCH: Final = 2_000
"""Rows written at once; where texts have to be sealed, each with its client's key."""
TRAIL: Final = frozenset({"audit_event", "audit_client"})
"""What an organisation may hold already, and still be empty: that somebody looked."""
ERASED: Final = "FL410"
"""What the database says of a client who was erased (SQLSTATE)."""
_OURS: Final = "row_.xmin = pg_current_xact_id()::xid"
"""The rows that this transaction has written."""

CLIENT: Final = "client"

Row = dict[str, Any]


@dataclass(frozen=True)
class Taken:
    """What was taken in."""

    manifest: Manifest
    organisation_id: uuid.UUID
    """That of this installation."""
    checksums: Checksums


def take_in(connection: Connection, keys: crypto.Keys, slug: str, archive: Archive, *, told: Told = untold) -> Taken:
    """Take an archive into the organisation ``slug``, which is empty, or made here; ``connection`` is the owner's.

    Raises
    ------
    ArchiveError
        The archive cannot be taken in, or the organisation is not empty. Nothing was stored.
    EnvelopeError
        The archive was altered or cut off. Nothing was stored.
    """
    manifest = archive.manifest()
    with connection.transaction():
        organisation_id = _organisation(connection, slug, manifest.name)
        _require_empty(connection, organisation_id)
        writer = _Writer(connection, keys, organisation_id)
        found: Checksums = {}
        for table in carried():
            found[table] = writer.table(table, archive.lines("tables", table), told)
        with _refused("a row"):
            connection.execute("set constraints all immediate")
        for table in EVIDENCE:
            found[table] = _summed(archive.lines("evidence", table))
        _compare(found, archive.checksums())
        # The proof: everything read again from the tables, opened with the new keys.
        kept = checksums(Reader(connection, keys, organisation_id), further=_OURS, told=told)
        for table, checksum in kept.items():
            if checksum != found[table]:
                raise ArchiveError(f"table {table} is not what the archive has once it is stored; nothing was kept")
        tell(connection, organisation_id, "take-in")
    return Taken(manifest, organisation_id, kept)


def _organisation(connection: Connection, slug: str, name: str) -> uuid.UUID:
    """The id of the organisation, made with ``name`` if it is not there; the transaction is within it from then on."""
    # one at a time: two that saw the same organisation empty would fill it twice
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"take-in {slug}",))
    connection.execute("select set_config(%s, %s, true)", (ORGANISATION_SLUG_SETTING, slug))
    found = connection.execute("select organisation_id from organisation where slug = %s", (slug,)).fetchone()
    organisation_id: uuid.UUID = new_id() if found is None else found[0]
    connection.execute("select set_config(%s, %s, true)", (ORGANISATION_SETTING, str(organisation_id)))
    if found is None:
        with _refused("the organisation"):
            connection.execute(
                "insert into organisation (organisation_id, slug, name) values (%s, %s, %s)",
                (organisation_id, slug, name),
            )
    return organisation_id


def _summed(lines: Iterator[bytes]) -> Checksum:
    summing = Summing()
    for line in lines:
        summing.add(line)
    return summing.sum()


def _require_empty(connection: Connection, organisation_id: uuid.UUID) -> None:
    full = [table for table in carried() if table not in TRAIL and _any(connection, organisation_id, table)]
    if full:
        raise ArchiveError(f"the organisation is not empty: there are rows in {', '.join(full)}")


def _any(connection: Connection, organisation_id: uuid.UUID, table: str) -> bool:
    query = sql.SQL("select exists (select from {} where organisation_id = %s)").format(sql.Identifier(table))
    found = connection.execute(query, (organisation_id,)).fetchone()
    return found is not None and bool(found[0])


def _compare(found: Checksums, written: dict[str, Any]) -> None:
    for table, checksum in found.items():
        if written.get(table) != checksum.document():
            raise ArchiveError(f"table {table} is not what it was when the archive was written")


class _Writer:
    """Writes rows of one organisation, sealed under the keys of this installation."""

    def __init__(self, connection: Connection, keys: crypto.Keys, organisation_id: uuid.UUID) -> None:
        self._connection, self._keys, self._organisation_id = connection, keys, organisation_id
        self._hashing = self._lookup_key()

    def table(self, table: str, lines: Iterator[bytes], told: Told) -> Checksum:
        """All rows of a table."""
        plan, summing = plan_of(table), Summing()

        def read() -> Iterator[Row]:
            for line in lines:
                number = summing.add(line)
                told(table, number)
                yield _row(plan, line, number)

        with _refused(f"table {table} has a row that"):
            # COPY takes no table with row-level security, so not the table itself. And of one statement, a row may
            # refer to another of the same table that comes after it.
            self._execute("create temporary table {staging} (like {table} including defaults) on commit drop", plan)
            for batch in _batches(read()):
                if plan.sealed:
                    self._seal(plan, batch)
                self._copy(plan, batch)
            self._execute("insert into {table} ({names}) select {names} from {staging}", plan)
            self._execute("drop table {staging}", plan)
        return summing.sum()

    def _execute(self, statement: LiteralString, plan: Plan) -> None:
        self._connection.execute(_statement(statement, plan))

    def _copy(self, plan: Plan, rows: Iterable[Row]) -> None:
        names = _names(plan)
        with (
            self._connection.cursor() as cursor,
            cursor.copy(_statement("copy {staging} ({names}) from stdin", plan)) as copy,
        ):
            for row in rows:
                copy.write_row([self._organisation_id if name == ORGANISATION else row[name] for name in names])

    def _seal(self, plan: Plan, rows: Sequence[Row]) -> None:
        keys = self._new_keys(rows) if plan.table == CLIENT else self._keys_of(plan.table, rows)
        for row, (client_id, key) in zip(rows, keys, strict=True):
            for name, how in plan.sealed:
                text = row[how.opened]
                row[name] = None if text is None else how.seal(key, text, self._organisation_id, client_id, row)
            if plan.table == CLIENT:
                text = row["external_id"]
                row["external_id_hash"] = (
                    None if text is None else crypto.external_id_hash(self._hashing, self._organisation_id, text)
                )

    def _lookup_key(self) -> bytes:
        """What external identifiers are hashed with here: made now, where the organisation has none."""
        row = self._connection.execute(
            "select lookup_wrapped from organisation_key where organisation_id = %s", (self._organisation_id,)
        ).fetchone()
        if row is not None:
            return crypto.unwrap_lookup_key(self._keys, bytes(row[0]), organisation_id=self._organisation_id)
        made = secrets.token_bytes(crypto.KEY_BYTES)
        wrapped = crypto.wrap_lookup_key(self._keys, made, organisation_id=self._organisation_id)
        self._connection.execute(
            "insert into organisation_key (organisation_id, lookup_wrapped) values (%s, %s)",
            (self._organisation_id, wrapped),
        )
        return made

    def _new_keys(self, rows: Sequence[Row]) -> list[tuple[uuid.UUID, bytes]]:
        found = []
        for row in rows:
            key = crypto.new_client_key()
            row["key_wrapped"] = crypto.wrap_client_key(
                self._keys, key, organisation_id=self._organisation_id, client_id=row["id"]
            )
            found.append((row["id"], key))
        return found

    def _keys_of(self, table: str, rows: Sequence[Row]) -> list[tuple[uuid.UUID, bytes]]:
        """The client of each row, and that client's key, as they have been written before."""
        owned = CLIENT_TABLES[table]
        named = list({row[owned.column] for row in rows})
        if not owned.parents:
            owners = {one: one for one in named}
        else:
            (parent,) = owned.parents
            query = (
                f"select row_.{owned.parent_key}, {owner_of(parent)} from {parent} row_ "  # noqa: S608  - names of tables
                f"where row_.organisation_id = %s and row_.{owned.parent_key} = any(%s)"
            )
            owners = dict(self._connection.execute(query, (self._organisation_id, named)).fetchall())
        keys = {
            client_id: crypto.unwrap_client_key(
                self._keys, bytes(wrapped), organisation_id=self._organisation_id, client_id=client_id
            )
            for client_id, wrapped in self._connection.execute(
                "select id, key_wrapped from client where organisation_id = %s and id = any(%s)",
                (self._organisation_id, list(set(owners.values()))),
            ).fetchall()
        }
        try:
            return [(owners[row[owned.column]], keys[owners[row[owned.column]]]) for row in rows]
        except KeyError:
            raise ArchiveError(f"table {table} has a row of no client") from None


def _names(plan: Plan) -> list[str]:
    """The columns that are written."""
    names = [ORGANISATION, *(name for name, _ in (*plan.columns, *plan.sealed))]
    return [*names, "external_id_hash", "key_wrapped"] if plan.table == CLIENT else names


def _statement(text: LiteralString, plan: Plan) -> sql.Composed:
    return sql.SQL(text).format(
        table=sql.Identifier(plan.table),
        staging=sql.Identifier("pg_temp", f"taken_in_{plan.table}"),
        names=sql.SQL(", ").join(map(sql.Identifier, _names(plan))),
    )


@contextmanager
def _refused(words: str) -> Iterator[None]:
    """A row that the database refuses; its own message would quote the row."""
    try:
        yield
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        broken = error.diag.constraint_name or type(error).__name__
        raise ArchiveError(f"{words} breaks {broken}") from None
    except psycopg.DatabaseError as error:
        if error.sqlstate != ERASED:
            raise
        raise ArchiveError(f"{words} is of a client who was erased, and whom nothing brings back") from None


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _row(plan: Plan, line: bytes, number: int) -> Row:
    """A line, checked member by member; :class:`ArchiveError` says which."""
    try:
        given = orjson.loads(line)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise ArchiveError(f"table {plan.table}, line {number}: is no JSON object")
    if sorted(given) != plan.members:
        odd = next((name for name in sorted(given) if name not in plan.members), None)
        fault = "lacks a member" if odd is None else "has a member that this release does not know"
        raise ArchiveError(f"table {plan.table}, line {number}: {fault}")
    row: Row = {}
    for name, form in plan.columns:
        try:
            row[name] = None if given[name] is None else form.read(given[name])
        except ValueError:
            raise ArchiveError(f"table {plan.table}, line {number}: {name} has a value of another type") from None
    for _, how in plan.sealed:
        if not isinstance(given[how.opened], str | None):
            raise ArchiveError(f"table {plan.table}, line {number}: {how.opened} has a value of another type")
        row[how.opened] = given[how.opened]
    return row
