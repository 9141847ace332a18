"""An instrument of the demo organisation's own, with its wording: the only text there is to show a form of."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson

from api.authoring.checking import Submission, check
from api.authoring.tables import OwnInstrumentRow
from api.demo.clinic import Clinic
from api.demo.people import made_id
from api.wordings.submission import STATEMENT, read_submission
from api.wordings.tables import WordingPackRow
from instruments import Instrument
from instruments.reading import read_yaml
from instruments.writer import plain

SUBJECT: Final = "demo-admin"
LANGUAGE: Final = "en"


def invented() -> tuple[Instrument, Any, Any]:
    """The instrument, its golden cases, and what its owner would load as wording; checked like anybody's.

    Raises
    ------
    RuntimeError
        `invented.yaml` does not pass.
    """
    given, _ = read_yaml(Path(__file__).with_name("invented.yaml").read_text(encoding="utf-8"))
    checked = check(Submission(given["definition"], given["golden"]))
    if checked.instrument is None or not checked.publishable:
        raise RuntimeError(f"the demo's own instrument cannot be published: {checked.faults or checked.failures}")
    return checked.instrument, given["golden"], given["wording"]


async def add_invented(
    connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], clinic: Clinic, organisation_id: uuid.UUID
) -> None:
    """Publish the instrument in an organisation and load its wording, unless it is there.

    The open transaction is confined to the organisation.
    """
    instrument, golden, given = invented()
    named = (organisation_id, instrument.code, instrument.version)
    known = "select exists (select from own_instrument where organisation_id = $1 and code = $2 and version = $3)"
    if await connection.fetchval(known, *named):
        return
    at = datetime.combine(clinic.first_day, time(), UTC)
    variant = instrument.variant_ids[0]
    sent = read_submission(instrument, variant, LANGUAGE, given)
    rows = (
        OwnInstrumentRow(
            organisation_id=organisation_id,
            code=instrument.code,
            version=instrument.version,
            id=made_id(at, clinic.seed, instrument.code),
            checksum=instrument.checksum,
            definition=orjson.dumps(plain(instrument)).decode(),
            golden=orjson.dumps(golden).decode(),
            published_at=at,
            published_by=SUBJECT,
        ),
        WordingPackRow(
            organisation_id=organisation_id,
            id=made_id(at, clinic.seed, instrument.code, LANGUAGE),
            instrument=instrument.code,
            instrument_version=instrument.version,
            language=LANGUAGE,
            variant=variant,
            pack_version=1,
            withdrawn=False,
            pack=orjson.dumps(sent.pack.model_dump(exclude_none=True)).decode(),
            holder=sent.attestation.holder,
            licence_reference=sent.attestation.licence_reference,
            statement=STATEMENT,
            valid_from=sent.attestation.valid_from,
            valid_until=sent.attestation.valid_until,
            recorded_at=at,
            recorded_by=SUBJECT,
        ),
    )
    for row in rows:
        columns = list(type(row).model_fields)
        places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        insert = f"insert into {row.__tablename__} ({', '.join(columns)}) values ({places})"  # noqa: S608  - names only
        await connection.execute(insert, *(getattr(row, name) for name in columns))
