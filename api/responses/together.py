"""Responses of one organisation that arrive at the same time, recorded by one call, one transaction and one commit.

Nobody waits for others to come: those that arrive while a call is under way gather, and the next call takes them. Each
is answered after the commit that keeps it, as if it had been recorded alone. A call that takes long is not waited for
either: another one begins beside it.

What is not as usual about a response is not decided here, and costs the others nothing: where its key was used before,
its client or episode does not fit, it may be worse than the client's baseline, or the database refuses one of them, it
is recorded by itself, by `recording.record`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import asyncpg
import orjson
from fastapi import Request

from api.responses.recording import EPISODE_MARGIN, Recorded, ResponseToRecord, record

MOST_TOGETHER: Final = 32
"""Responses in one call, so that its transaction stays short."""
MOST_CALLS: Final = 3
"""Calls under way at once for an organisation."""
LONG: Final = 0.01
"""Seconds that a call may take before another begins beside it: with more at once fewer gather, and this process has
nothing to do while all that came is with the database; with one alone, all would wait where it waits for a lock."""
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
        self.long = 0
        """Calls of these that have taken long."""

    @property
    def takes_more(self) -> bool:
        """Whether another call may begin."""
        return self.calls == self.long < MOST_CALLS


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
        if there.takes_more:
            self._begin(response.organisation_id, there)
        return await decided or await record(self._pool, response)

    def _begin(self, organisation_id: uuid.UUID, there: _Organisation) -> None:
        there.calls += 1
        task = asyncio.create_task(self._work_off(organisation_id, there))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work_off(self, organisation_id: uuid.UUID, there: _Organisation) -> None:
        """One call after the other until nobody of the organisation waits any more, or another task does this."""
        batch: list[_Waiting] = []
        try:
            while there.calls - there.long == 1 and (batch := _next(there)):
                try:
                    with self._watched(organisation_id, there):
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

    @contextmanager
    def _watched(self, organisation_id: uuid.UUID, there: _Organisation) -> Iterator[None]:
        """A call, beside which another begins once it has taken long and somebody waits."""
        is_long = False

        def long() -> None:
            nonlocal is_long
            is_long = True
            there.long += 1
            if there.waiting and there.takes_more:
                self._begin(organisation_id, there)

        timer = asyncio.get_running_loop().call_later(LONG, long)
        try:
            yield
        finally:
            timer.cancel()
            there.long -= is_long

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


_WRITTEN: Final = {
    4: "uuid[]", 5: "uuid[]", 7: "text[]", 8: "text[]", 11: "uuid[]", 12: "uuid[]", 13: "text[]", 14: "integer[]",
    15: "text[]", 16: "text[]", 22: "boolean[]", 24: "boolean[]", 28: "text[]", 29: "text[]",
    30: "integer[]", 31: "text[]", 32: "double precision[]", 33: "text[]", 34: "boolean[]",
    42: "integer[]", 43: "text[]", 44: "double precision[]", 45: "double precision[]",
}  # fmt: skip
"""Arguments that are written as PostgreSQL writes arrays, by place: those of numbers, ids and names.

asyncpg asks of each element of a list, through an abstract base class, whether it is a list: for all of a response that
took almost as long as scoring it. Texts that anybody may write are left to it.
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
        _written([one.id.hex for one in responses]),
        _written([one.event_id.hex for one in responses]),
        [one.subject for one in responses],
        _names([one.role for one in responses]),
        _names([one.request_id for one in responses]),
        [one.idempotency_key for one in responses],
        [one.request_hash for one in responses],
        _written([one.client_id.hex for one in responses]),
        _written(["NULL" if one.episode_id is None else one.episode_id.hex for one in responses]),
        _names([one.instrument for one in responses]),
        _written([str(one.instrument_version) for one in responses]),
        _names([one.definition_checksum for one in responses]),
        _names([one.variant for one in responses]),
        [one.answers for one in responses],
        [one.setting for one in responses],
        [one.answered_at for one in responses],
        [one.recorded_at for one in responses],
        [one.document for one in responses],
        _written(["t" if one.valid else "f" for one in responses]),
        [None if one.organs is None else orjson.dumps(one.organs).decode("utf-8") for one in responses],
        _written(["t" if one.partner else "f" for one in responses]),
        *([one.outside[n] for one in responses] for n in range(3)),
        _names([",".join(map(str, one.comparable.versions)) for one in responses]),
        _names([",".join(one.comparable.variants) for one in responses]),
        _written([str(place) for place, _ in scores]),
        _names([score.scale for _, score in scores]),
        _written(["NULL" if score.value is None else str(score.value) for _, score in scores]),
        _written([score.status for _, score in scores]),
        _written(["t" if score.valid else "f" for _, score in scores]),
        [place for place, _ in alerts],
        [alert.id for _, alert in alerts],
        [alert.kind for _, alert in alerts],
        [alert.rule for _, alert in alerts],
        [alert.item for _, alert in alerts],
        [alert.scale for _, alert in alerts],
        [alert.severity for _, alert in alerts],
        _written([str(place) for place, _ in worse]),
        _names([scale.scale for _, scale in worse]),
        _written([str(scale.value) for _, scale in worse]),
        _written([str(scale.beyond) for _, scale in worse]),
    )


def _written(elements: Sequence[str]) -> str:
    """An array of numbers, ids or words that are none of the language's own."""
    return f"{{{','.join(elements)}}}"


def _names(elements: Sequence[str]) -> str:
    """An array of names, which may be `null` or have commas: in quotes, and none has one within."""
    return '{"' + '","'.join(elements) + '"}' if elements else "{}"
