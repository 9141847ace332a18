"""Handing out a record or an archive: told in the trail first, then read in a thread at one moment."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

import psycopg

from api.clients.repository import ClientRepository
from api.exports import archive, record
from api.exports.rows import Reader, connected, within
from api.exports.streaming import streamed
from api.lane import Lane
from api.problems import NotFound, Problem, ServiceUnavailable
from api.records.audit import Audit
from api.records.steps import UNKNOWN_CLIENT
from api.security import crypto

MOST_RECORDS: Final = 16
MOST_RECORDS_OF_ONE: Final = 4
"""Records being made in this process: in all, and of one organisation."""
MOST_EXPORTS: Final = 2
MOST_EXPORTS_OF_ONE: Final = 1
"""Archives being written or waiting. Each holds a connection until it is written."""


class RecordTooLarge(Problem):
    """The record is larger than an answer may be."""

    status, slug, title = 422, "record-too-large", "The record is too large for one answer"


@dataclass(frozen=True, slots=True)
class Records:
    """Records of clients of one organisation, for one request."""

    audit: Audit
    keys: crypto.Keys
    lane: Lane

    async def record(self, client_id: uuid.UUID) -> record.Record:
        """Everything that is kept of a client.

        Raises
        ------
        NotFound, RecordTooLarge
        """
        organisation_id = self.audit.principal.organisation_id
        async with self.audit.database.session(organisation_id) as session:
            if await ClientRepository(session, organisation_id).get(client_id) is None:
                await self.audit.refused("read-record", "client", client_id, "not-found")
                raise NotFound(UNKNOWN_CLIENT)
            self.audit.record(session, "read-record", "client", client_id)
        try:
            with reached():
                return await self.lane.run(
                    organisation_id, record.read, url_of(self.audit), self.keys, organisation_id, client_id
                )
        except record.TooLarge:
            raise RecordTooLarge("An export of the organisation has it whole.") from None


@dataclass(frozen=True, slots=True)
class Exports:
    """Archives of one organisation, for one request."""

    audit: Audit
    keys: crypto.Keys
    lane: Lane

    async def archive(self, passphrase: str | None) -> AsyncIterator[bytes]:
        """The archive's bytes, in parts. Its first is there before this is answered, so that a fault is told."""
        organisation_id = self.audit.principal.organisation_id
        async with self.audit.database.session(organisation_id) as session:
            self.audit.record(session, "export", "organisation", organisation_id)
        parts = streamed(
            lambda work: self.lane.run(organisation_id, work),
            lambda file: self._write(file, organisation_id, passphrase),
        )
        with reached():
            first = await anext(parts)

        async def rest() -> AsyncIterator[bytes]:
            try:
                yield first
                async for part in parts:
                    yield part
            except BaseException:  # also one who hangs up: what went out is no whole archive
                await self.audit.refused("export", "organisation", organisation_id, "broken-off")
                raise

        return rest()

    def _write(self, file: IO[bytes], organisation_id: uuid.UUID, passphrase: str | None) -> None:
        with connected(url_of(self.audit)) as connection, within(connection, organisation_id, read_only=True):
            archive.write(Reader(connection, self.keys, organisation_id), file, passphrase=passphrase)


def url_of(audit: Audit) -> str:
    """Where the service's database is."""
    return audit.database.engine.url.render_as_string(hide_password=False)


@contextmanager
def reached() -> Iterator[None]:
    """A database that cannot be reached is told as for all requests; the driver's message may quote an address."""
    try:
        yield
    except psycopg.OperationalError:
        raise ServiceUnavailable("The database cannot be reached.") from None
