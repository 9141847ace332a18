"""Episodes that follow protocols: assigned, moved to another version, ended; and their schedules as they stand."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from api.care.tables import EpisodeRow
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.protocols import schemas
from api.protocols.keeping import plan_further, replan
from api.protocols.matching import Answered, Matched, Slot, match, status
from api.protocols.repository import ProtocolRepository
from api.protocols.service import ProtocolRetired
from api.protocols.store import OfSession, Queries, Statements, slots_and_responses
from api.protocols.tables import EpisodeProtocolRow, SlotRow
from api.records.steps import Fault, Steps

UNKNOWN: Final = "The client has no such episode, or it does not follow that protocol."


def today() -> date:
    """In UTC, as the day of a response is."""
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class Following:
    """The episodes of one organisation that follow protocols, for one request."""

    repository: ProtocolRepository
    steps: Steps

    async def assign(self, client_id: uuid.UUID, episode_id: uuid.UUID, body: schemas.Assign) -> EpisodeProtocolRow:
        """Let an episode follow a protocol.

        Raises
        ------
        NotFound, ProtocolRetired, RequestInvalid
        """
        episode = await self._episode("assign-protocol", client_id, episode_id, lock=True)
        protocol = await self.repository.of_code(body.protocol)
        faults: list[Fault] = []
        if protocol is None:
            faults = [("protocol", "unknown-protocol", "is the code of one of /v1/protocols")]
        elif any(one.protocol_id == protocol.id and one.ended_on is None for one in await self._all(episode)):
            detail = "is one that the episode does not follow; an assignment is moved to another version"
            faults = [("protocol", "already-assigned", detail)]
        elif body.version is not None and body.version > protocol.version:
            faults = [("version", "unknown-version", f"is not above {protocol.version}, the newest")]
        await self.steps.refuse("assign-protocol", "episode", episode_id, faults)
        if protocol is None:
            raise AssertionError  # refused above
        if protocol.retired_at is not None:
            await self.steps.audit.refused("assign-protocol", "episode", episode_id, "retired")
            raise ProtocolRetired("Assign one that is in use.")
        row = _row(episode, protocol.id, body.version or protocol.version, body.starts_on or today())
        await self._planned(row)
        self.steps.done("assign-protocol", "episode", episode_id)
        return row

    async def one(self, client_id: uuid.UUID, episode_id: uuid.UUID, followed_id: uuid.UUID) -> EpisodeProtocolRow:
        """One assignment; :class:`NotFound` where there is none."""
        await self._episode("read-protocol", client_id, episode_id)
        row = await self._followed("read-protocol", episode_id, followed_id)
        self.steps.done("read-protocol", "episode", episode_id)
        return row

    async def listed(
        self, client_id: uuid.UUID, episode_id: uuid.UUID, cursor: str | None, limit: int
    ) -> tuple[list[EpisodeProtocolRow], str | None]:
        """A page of what an episode follows or followed, and the cursor of the next."""
        after = None if cursor is None else decode_cursor(cursor)[1]
        await self._episode("list-protocols", client_id, episode_id)
        rows = await self.repository.followed(episode_id, after, limit + 1)
        self.steps.done("list-protocols", "episode", episode_id)
        more = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
        return [*rows[:limit]], more

    async def end(
        self,
        client_id: uuid.UUID,
        episode_id: uuid.UUID,
        followed_id: uuid.UUID,
        body: schemas.EndFollowing,
        if_match: str | None,
    ) -> EpisodeProtocolRow:
        """Let an episode follow a protocol no more: what is not open by then is cancelled, what is open ends with it.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, RequestInvalid
        """
        row = await self._to_change("end-protocol", client_id, episode_id, followed_id, if_match)
        day = body.ended_on or row.ended_on or today()
        moved = [("ended_on", "already-moved", "is given where no other version was moved to")]
        await self.steps.refuse(
            "end-protocol", "episode", episode_id, moved if row.end_reason == "moved" and day != row.ended_on else []
        )
        if day != row.ended_on:
            row.ended_on, row.end_reason = day, "removed"
            _changed(row)
            await self._planned(row)
        self.steps.done("end-protocol", "episode", episode_id)
        return row

    async def move(
        self,
        client_id: uuid.UUID,
        episode_id: uuid.UUID,
        followed_id: uuid.UUID,
        body: schemas.Move,
        if_match: str | None,
    ) -> EpisodeProtocolRow:
        """Let an episode follow another version from tomorrow on: what is open by today stays as it was asked.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, RequestInvalid
        """
        row = await self._to_change("move-protocol", client_id, episode_id, followed_id, if_match)
        episode = await self._episode("move-protocol", client_id, episode_id)
        protocol = await self.repository.protocol(row.protocol_id)
        newest = 0 if protocol is None else protocol.version
        version, faults = body.version or newest, list[Fault]()
        if row.ended_on is not None:
            faults = [("version", "already-ended", "is given while the protocol is followed; assign it anew")]
        elif version > newest:
            faults = [("version", "unknown-version", f"is not above {newest}, the newest")]
        elif version == row.protocol_version:
            faults = [("version", "same-version", "is another version than the one that is followed")]
        await self.steps.refuse("move-protocol", "episode", episode_id, faults)
        row.ended_on, row.end_reason = max(today(), row.starts_on - timedelta(days=1)), "moved"
        _changed(row)
        made = _row(episode, row.protocol_id, version, row.ended_on + timedelta(days=1), follows=row.id)
        await self._planned(row, made)
        self.steps.done("move-protocol", "episode", episode_id)
        return made

    async def schedule(self, client_id: uuid.UUID, episode_id: uuid.UUID, day: date) -> schemas.Schedule:
        """All slots of an episode as they stand on a day; :class:`NotFound` for an unknown episode."""
        episode = await self._episode("read-schedule", client_id, episode_id)
        statements, followed = OfSession(self.repository.session), await self._all(episode)
        if any(one.planned_until is not None and one.planned_until < day for one in followed):
            await replan(statements, self.repository.organisation_id, episode_id)
        rows = await self.repository.slots([one.id for one in followed])
        matched, answered = await _matched(statements, client_id, {row.instrument for row in rows}, day)
        self.steps.done("read-schedule", "episode", episode_id)
        duplicates = defaultdict(list)
        for response in answered:
            for held in matched.standings[response.id]:
                if held.timing == "duplicate":
                    duplicates[held.slot_id].append(_answer(response))
        return schemas.Schedule(
            client_id=client_id,
            episode_id=episode_id,
            date=day,
            slots=[_scheduled(row, matched, duplicates[row.id], day) for row in rows],
            outside=[*_outside(rows, matched, answered, episode_id)],
        )

    async def _planned(self, *rows: EpisodeProtocolRow) -> None:
        await self.repository.add(*rows)
        await replan(OfSession(self.repository.session), self.repository.organisation_id, rows[0].episode_id)
        for row in rows:
            await self.repository.session.refresh(row)

    async def _all(self, episode: EpisodeRow) -> list[EpisodeProtocolRow]:
        return [*await self.repository.followed(episode.id)]

    async def _to_change(
        self, action: str, client_id: uuid.UUID, episode_id: uuid.UUID, followed_id: uuid.UUID, if_match: str | None
    ) -> EpisodeProtocolRow:
        await self._episode(action, client_id, episode_id, lock=True)
        row = await self._followed(action, episode_id, followed_id, lock=True)
        await self.steps.expect("episode", episode_id, row.version, if_match)
        return row

    async def _episode(
        self, action: str, client_id: uuid.UUID, episode_id: uuid.UUID, *, lock: bool = False
    ) -> EpisodeRow:
        row = await self.repository.episode(client_id, episode_id, lock=lock)
        if row is None:
            raise await self.steps.unknown(action, "episode", episode_id, UNKNOWN)
        return row

    async def _followed(
        self, action: str, episode_id: uuid.UUID, followed_id: uuid.UUID, *, lock: bool = False
    ) -> EpisodeProtocolRow:
        row = await self.repository.one_followed(episode_id, followed_id, lock=lock)
        if row is None:
            raise await self.steps.unknown(action, "episode", episode_id, UNKNOWN)
        return row


async def standing(
    repository: ProtocolRepository, client_id: uuid.UUID, instrument: str, response_id: uuid.UUID
) -> list[schemas.StandingRead] | None:
    """What a response that holds is to each protocol of its client; None where none of them has its instrument."""
    found = await slots_and_responses(OfSession(repository.session), [client_id], [instrument])
    if not found:
        return None
    slots, answered = found[client_id, instrument]
    standings = match(slots, answered).standings[response_id]
    if not standings:
        return [schemas.StandingRead(timing="outside", slot=None)]
    return [
        schemas.StandingRead(timing=held.timing, slot=_slot(await repository.slot(held.slot_id))) for held in standings
    ]


async def unfilled(queries: Queries, slots: Iterable[tuple[uuid.UUID, uuid.UUID, str]], day: date) -> set[uuid.UUID]:
    """Of slots (their ids, clients and instruments) those that no response fills that was answered by a day."""
    asked = list(slots)
    found = await slots_and_responses(queries, {one[1] for one in asked}, {one[2] for one in asked}, day)
    filled = {slot_id for pair in found.values() for slot_id in match(*pair).filled}
    return {slot_id for slot_id, _, _ in asked} - filled


async def catch_up(statements: Statements, organisation_id: uuid.UUID, until: date) -> None:
    """Plan all schedules until a day, for a reader that the job was not ahead of."""
    while await plan_further(statements, organisation_id, until):
        pass


async def _matched(
    statements: Statements, client_id: uuid.UUID, instruments: Iterable[str], day: date
) -> tuple[Matched, list[Answered]]:
    """Of a client's instruments, by what was answered until a day; the responses oldest first."""
    matched, answered = Matched(), list[Answered]()
    for pair in (await slots_and_responses(statements, [client_id], {*instruments}, day)).values():
        part = match(*pair)
        matched.filled.update(part.filled)
        matched.standings.update(part.standings)
        answered += pair[1]
    return matched, sorted(answered, key=lambda response: (response.answered_at, response.id))


def _outside(
    rows: Iterable[SlotRow], matched: Matched, answered: Iterable[Answered], episode_id: uuid.UUID
) -> Iterable[schemas.OutsideRead]:
    """Responses of the episode outside of all windows; also those of no episode, from the first window to the last."""
    spans: dict[str, tuple[date, date]] = {}
    for row in rows:
        first, last = spans.get(row.instrument, (row.opens_on, row.last_on))
        spans[row.instrument] = min(first, row.opens_on), max(last, row.last_on)
    for response in answered:
        span = spans[response.instrument]
        of_it = response.episode_id == episode_id or (
            response.episode_id is None and span[0] <= response.day <= span[1]
        )
        if of_it and not matched.standings[response.id]:
            yield schemas.OutsideRead(instrument=response.instrument, **_answer(response).model_dump())


def _row(
    episode: EpisodeRow, protocol_id: uuid.UUID, version: int, starts_on: date, follows: uuid.UUID | None = None
) -> EpisodeProtocolRow:
    now = datetime.now(UTC)
    return EpisodeProtocolRow(
        organisation_id=episode.organisation_id,
        id=new_id(),
        client_id=episode.client_id,
        episode_id=episode.id,
        protocol_id=protocol_id,
        protocol_version=version,
        follows=follows,
        starts_on=starts_on,
        created_at=now,
        updated_at=now,
        version=1,
    )


def _changed(row: EpisodeProtocolRow) -> None:
    row.version += 1
    row.updated_at = max(datetime.now(UTC), row.updated_at)  # a clock set back breaks no order


def _slot(row: SlotRow) -> schemas.SlotRead:
    return schemas.SlotRead(**_members(row))


def _members(row: SlotRow) -> Mapping[str, Any]:
    return row.model_dump() | {"version": row.instrument_version}


def _answer(response: Answered) -> schemas.AnswerRead:
    return schemas.AnswerRead(response_id=response.id, answered_at=response.answered_at)


def _scheduled(
    row: SlotRow, matched: Matched, duplicates: list[schemas.AnswerRead], day: date
) -> schemas.ScheduledSlot:
    filled = matched.filled.get(row.id)
    slot = Slot(
        row.id, row.episode_protocol_id, row.episode_id, row.instrument, row.instrument_version, row.variant,
        row.opens_on, row.due_on, row.overdue_on, row.closes_on, row.last_on, row.cancelled,
    )  # fmt: skip
    by = None
    if filled is not None:
        by = schemas.FilledBy(timing=filled.timing, **_answer(filled.response).model_dump())
    return schemas.ScheduledSlot(
        **_members(row), status=status(slot, filled is not None, day), filled_by=by, duplicates=duplicates
    )
