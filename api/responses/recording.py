"""One response with all that belongs to it, by one call of the database function `record_response`.

The service asks `together.Recorder`, which comes here with what is not to be recorded together with others.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, cast

import asyncpg

from api.db import confine

Outcome = Literal["created", "replayed", "conflict", "client_unknown", "episode_unknown", "outside_episode"]

EPISODE_MARGIN: Final = 30
"""Days before the first and after the last day of an episode in which an answer still belongs to it: intake forms are
sent ahead of the first session, and the last ones come back late."""


class ScoreToRecord(NamedTuple):
    """One scale's row."""

    scale: str
    value: float | None
    status: str
    valid: bool


class AlertToRecord(NamedTuple):
    """One alert's row."""

    id: uuid.UUID
    rule: str
    item: str
    """Those that the rule looks at, separated by commas."""
    severity: str
    kind: str = "answers"
    scale: str | None = None


class MayBeWorse(NamedTuple):
    """A scale whose score is to be held against the client's baseline, and the alert if it is reliably worse."""

    make_id: Callable[[], uuid.UUID]
    """Gives the alert's id; most are never asked, for they are seen not to be worse."""
    scale: str
    value: float
    beyond: float
    """The change that has to be exceeded, in points; signed as changes for the worse are."""
    told: str
    """The alert as JSON, without its id, its last members and its braces."""


class Comparable(NamedTuple):
    """Which responses to the instrument the baseline may be one of."""

    versions: Sequence[int] = ()
    variants: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ResponseToRecord:
    """Everything that one transaction writes. Texts ``answers`` and ``document`` are JSON, kept as given."""

    organisation_id: uuid.UUID
    subject: str
    role: str
    request_id: str
    idempotency_key: str | None
    request_hash: bytes
    """SHA-256 of the request, 32 bytes; compared only where there is a key."""
    id: uuid.UUID
    event_id: uuid.UUID
    client_id: uuid.UUID
    instrument: str
    instrument_version: int
    definition_checksum: str
    variant: str
    answers: str
    setting: str | None
    answered_at: datetime
    recorded_at: datetime
    document: str
    valid: bool
    scores: Sequence[ScoreToRecord]
    alerts: Sequence[AlertToRecord] = ()
    organs: Sequence[str] | None = None
    """Of which the instrument presumes one; None: it presumes none."""
    partner: bool = False
    """Whether it presumes one."""
    outside: Sequence[str | None] = (None, None, None)
    """What is added to the document's flags, as JSON: for a client without these organs, for one without partner, and
    in any case.

    ``flags`` is the document's last member, and ``alerts`` the one before it.
    """
    episode_id: uuid.UUID | None = None
    """Which has to be the client's, and to span the day of ``answered_at`` (UTC) within a margin."""
    worse: Sequence[MayBeWorse] = ()
    worse_severity: str = "notice"
    comparable: Comparable = Comparable()  # noqa: RUF009  - it never changes
    tail: int = 0
    """How many characters the document has from the end of the array of alerts on."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of it.

    ``created`` and ``replayed`` come with the id and the document of the kept response; ``conflict`` (the key was used
    for another request), ``client_unknown`` (also: of another organisation), ``episode_unknown`` (also: of another
    client) and ``outside_episode`` (answered too early or too late for it) with neither, and nothing was stored.
    """

    outcome: Outcome
    response_id: uuid.UUID | None
    document: str | None


_CALL = f"select * from record_response({', '.join(f'${n}' for n in range(1, 44))})"  # noqa: S608  - only numbered placeholders


async def record(pool: asyncpg.Pool[asyncpg.Record], response: ResponseToRecord) -> Recorded:
    """Record it durably: when this returns, the transaction has been committed.

    The function's statement is its own transaction, so nothing needs to be begun, set or reset around it.
    """
    async with pool.acquire() as connection:
        try:
            row = await connection.fetchrow(_CALL, *_arguments(response))
        except asyncpg.ForeignKeyViolationError:  # the client was erased between the look and the writing
            return Recorded("client_unknown", None, None)
    outcome = cast(Outcome, row["outcome"])
    unchanged = outcome == "created" and row["document"] is None
    return Recorded(outcome, row["response_id"], response.document if unchanged else row["document"])


async def recorded_before(
    pool: asyncpg.Pool[asyncpg.Record], organisation_id: uuid.UUID, subject: str, key: str, request_hash: bytes
) -> Recorded | None:
    """What a key was used for, for a request that cannot be recorded any more; None where it was not used."""
    async with pool.acquire() as connection, connection.transaction():
        await confine(connection, organisation_id)
        row = await connection.fetchrow(_BEFORE, organisation_id, subject, key)
    if row is None:
        return None
    if row["request_hash"] != request_hash:
        return Recorded("conflict", None, None)
    return Recorded("replayed", row["response_id"], row["document"])


_BEFORE = """
select k.request_hash, k.response_id, r.document::text as document
from idempotency_key k join response r on r.organisation_id = k.organisation_id and r.id = k.response_id
where k.organisation_id = $1 and k.subject = $2 and k.key = $3
"""


async def record_many(connection: asyncpg.Connection[asyncpg.Record], responses: Iterable[ResponseToRecord]) -> None:
    """Record responses of known clients without waiting for each, in the transaction of ``connection`` if it has one.

    Without idempotency keys, for what became of each is not told; all are kept, or with an error none.
    """
    await connection.executemany(_CALL, map(_arguments, responses))


def _arguments(response: ResponseToRecord) -> tuple[object, ...]:
    r = response
    return (
        r.organisation_id,
        r.subject,
        r.role,
        r.request_id,
        r.idempotency_key,
        r.request_hash,
        r.id,
        r.client_id,
        r.instrument,
        r.instrument_version,
        r.definition_checksum,
        r.variant,
        r.answers,
        r.setting,
        r.answered_at,
        r.recorded_at,
        r.document,
        r.valid,
        *of_scores(r),
        r.event_id,
        r.organs,
        r.partner,
        r.outside,
        r.episode_id,
        EPISODE_MARGIN,
        *of_alerts(r),
    )


def of_scores(response: ResponseToRecord) -> tuple[object, ...]:
    """What both functions, that records and that amends, take of scores and of alerts by the definition's rules."""
    r = response
    return (
        [score.scale for score in r.scores],
        [score.value for score in r.scores],
        [score.status for score in r.scores],
        [score.valid for score in r.scores],
        [alert.id for alert in r.alerts],
        [alert.rule for alert in r.alerts],
        [alert.item for alert in r.alerts],
        [alert.severity for alert in r.alerts],
    )


def of_alerts(response: ResponseToRecord) -> tuple[object, ...]:
    """What both functions take of alerts, besides what they took before there were several kinds."""
    r, worse = response, response.worse
    ids = [one.make_id() for one in worse]
    return (
        [alert.kind for alert in r.alerts],
        [alert.scale for alert in r.alerts],
        ids,
        [one.scale for one in worse],
        [one.value for one in worse],
        [one.beyond for one in worse],
        r.worse_severity,
        [f'{{"id":"{alert_id}",{one.told}' for alert_id, one in zip(ids, worse, strict=True)],
        r.comparable.versions,
        r.comparable.variants,
        r.tail,
    )
