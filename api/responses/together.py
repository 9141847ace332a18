"""Responses of one organisation that arrive at the same time, recorded by one call, one transaction and one commit.

Nobody waits for others to come: those that arrive while a call is under way gather, and the next call takes them. Each
is answered after the commit that keeps it, as if it had been recorded alone.

What is not as usual about a response is not decided here, and costs the others nothing: where its key was used before,
its client or episode does not fit, it may be worse than the client's baseline, or the database refuses one of them, it
is recorded by itself, by `recording.record`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg
import orjson
from fastapi import Request

from api.responses.recording import EPISODE_MARGIN, Recorded, ResponseToRecord, record

MOST_TOGETHER: Final = 32
"""Responses in one call, so that its transaction stays short."""
MOST_CALLS: Final = 3
"""Calls under way at once for an organisation: the more, the fewer gather; with one, all would wait where it waits."""
PATIENCE: Final = "100ms"
"""How long a call waits for a lock, which keeps all of its responses waiting, before each is recorded by itself."""

_Waiting = tuple[ResponseToRecord, "asyncio.Future[Recorded | None]"]


class _Organisation:
    """What is under way for one organisation, and who waits."""

    def __init__(self) -> None:
        self.waiting: list[_Waiting] = []
        self.clients: set[uuid.UUID] = set()
        """Whose responses are being recorded."""
        self.calls = 0


class Recorder:
    """Records responses over a pool. One object a process (`app.state.recorder`)."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._organisations: dict[uuid.UUID, _Organisation] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, response: ResponseToRecord) -> Recorded:
        """Record it durably: when this returns, the transaction has been committed."""
        decided: asyncio.Future[Recorded | None] = asyncio.get_running_loop().create_future()
        there = self._organisations.get(response.organisation_id)
        if there is None:
            there = self._organisations[response.organisation_id] = _Organisation()
        there.waiting.append((response, decided))
        if there.calls < MOST_CALLS:
            there.calls += 1
            task = asyncio.create_task(self._work_off(response.organisation_id, there))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await decided or await record(self._pool, response)

    async def _work_off(self, organisation_id: uuid.UUID, there: _Organisation) -> None:
        """One call after the other until nobody of the organisation waits any more."""
        batch: list[_Waiting] = []
        try:
            while batch := _next(there):
                try:
                    outcomes = await self._together([response for response, _ in batch])
                except Exception as error:
                    for _, decided in batch:
                        if not decided.done():
                            decided.set_exception(error)
                else:
                    for (_, decided), outcome in zip(batch, outcomes, strict=True):
                        if not decided.done():  # else its caller has given up
                            decided.set_result(outcome)
                finally:
                    there.clients.difference_update(response.client_id for response, _ in batch)
        finally:
            there.calls -= 1
            if not there.calls:
                del self._organisations[organisation_id]
                batch += there.waiting
            for _, decided in batch:  # there are none, unless this was cancelled
                decided.cancel()

    async def _together(self, responses: Sequence[ResponseToRecord]) -> Sequence[Recorded | None]:
        """What became of each; None where nothing was kept and it is to be recorded by itself."""
        async with self._pool.acquire() as connection:
            try:
                row = await connection.fetchrow(_CALL, *_arguments(responses))
            except asyncpg.PostgresError as error:
                # The server's word that nothing was kept, or the driver's that nothing was sent. Any other ends the
                # connection, maybe after the commit.
                if error.severity_en != "ERROR" and not isinstance(error, asyncpg.DataError):
                    raise
                return [None] * len(responses)
        documents = row["documents"] or [None] * len(responses)
        return [
            Recorded("created", one.id, document or one.document) if kept else None
            for one, kept, document in zip(responses, row["recorded"], documents, strict=True)
        ]


def recorder_of(request: Request) -> Recorder:
    """That of the application that serves this request."""
    found: Recorder = request.app.state.recorder
    return found


def _next(there: _Organisation) -> list[_Waiting]:
    """Take the next ones out of those that wait: one of each client, for each is held against those before it."""
    taken: list[_Waiting] = []
    left: list[_Waiting] = []
    for one in there.waiting:
        response, decided = one
        if decided.cancelled():
            continue
        if len(taken) < MOST_TOGETHER and response.client_id not in there.clients:
            there.clients.add(response.client_id)
            taken.append(one)
        else:
            left.append(one)
    there.waiting[:] = left
    return taken


_WRITTEN: Final = {30: "integer[]", 31: "text[]", 32: "double precision[]", 33: "text[]", 34: "boolean[]"}
"""Arguments that are written as PostgreSQL writes arrays, by place: those of the scores, by far the most elements.

asyncpg asks of each element of a list, through an abstract base class, whether it is a list: that took almost as long
as scoring the form.
"""
_PLACES: Final = [f"${n}::text::{_WRITTEN[n]}" if n in _WRITTEN else f"${n}" for n in range(1, 46)]
_CALL: Final = f"select * from record_responses({', '.join(_PLACES)})"  # noqa: S608  - only numbered placeholders


def _arguments(responses: Sequence[ResponseToRecord]) -> tuple[object, ...]:
    """Arrays with an element for each response, then those for each score, alert and scale with its response's place.

    An array cannot hold arrays of several lengths: lists within are JSON, or joined with commas where no name has one.
    """
    scores = [(place, score) for place, one in enumerate(responses, 1) for score in one.scores]
    alerts = [(place, alert) for place, one in enumerate(responses, 1) for alert in one.alerts]
    worse = [(place, scale) for place, one in enumerate(responses, 1) for scale in one.worse]
    return (
        responses[0].organisation_id,
        EPISODE_MARGIN,
        PATIENCE,
        [one.id for one in responses],
        [one.event_id for one in responses],
        [one.subject for one in responses],
        [one.role for one in responses],
        [one.request_id for one in responses],
        [one.idempotency_key for one in responses],
        [one.request_hash for one in responses],
        [one.client_id for one in responses],
        [one.episode_id for one in responses],
        [one.instrument for one in responses],
        [one.instrument_version for one in responses],
        [one.definition_checksum for one in responses],
        [one.variant for one in responses],
        [one.answers for one in responses],
        [one.setting for one in responses],
        [one.answered_at for one in responses],
        [one.recorded_at for one in responses],
        [one.document for one in responses],
        [one.valid for one in responses],
        [None if one.organs is None else orjson.dumps(one.organs).decode("utf-8") for one in responses],
        [one.partner for one in responses],
        *([one.outside[n] for one in responses] for n in range(3)),
        [",".join(map(str, one.comparable.versions)) for one in responses],
        [",".join(one.comparable.variants) for one in responses],
        _written(str(place) for place, _ in scores),
        _written(f'"{score.scale}"' for _, score in scores),
        _written("NULL" if score.value is None else str(score.value) for _, score in scores),
        _written(score.status for _, score in scores),
        _written("t" if score.valid else "f" for _, score in scores),
        [place for place, _ in alerts],
        [alert.id for _, alert in alerts],
        [alert.kind for _, alert in alerts],
        [alert.rule for _, alert in alerts],
        [alert.item for _, alert in alerts],
        [alert.scale for _, alert in alerts],
        [alert.severity for _, alert in alerts],
        [place for place, _ in worse],
        [scale.scale for _, scale in worse],
        [scale.value for _, scale in worse],
        [scale.beyond for _, scale in worse],
    )


def _written(elements: Iterable[str]) -> str:
    """An array of numbers and words; a name, which might be `null`, comes in quotes, and none has one within."""
    return f"{{{','.join(elements)}}}"
