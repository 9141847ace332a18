"""The rules about episodes and sessions: what lies in an episode stays in it, and each step is in the audit trail."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from api.care import schemas
from api.care.repository import CANCELLED, CareRepository
from api.care.tables import EpisodeRow, SessionRow
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.protocols.keeping import replan
from api.protocols.store import OfSession
from api.records.steps import UNKNOWN_CLIENT, Fault, Steps
from api.responses.recording import EPISODE_MARGIN
from api.times import today

UNKNOWN_EPISODE: Final = "The client has no such episode."
UNKNOWN_SESSION: Final = "The episode has no such session."
ATTENDED: Final = "attended"
_MARGIN: Final = timedelta(days=EPISODE_MARGIN)


@dataclass(frozen=True, slots=True)
class Care:
    """The episodes and sessions of one organisation, for one request."""

    repository: CareRepository
    steps: Steps

    async def begin(self, client_id: uuid.UUID, body: schemas.EpisodeCreate) -> EpisodeRow:
        """A new episode of a client.

        Raises
        ------
        NotFound, RequestInvalid
        """
        if not await self.repository.client_exists(client_id, lock=True):
            raise await self.steps.unknown("create", "client", client_id, UNKNOWN_CLIENT)
        now = datetime.now(UTC)
        row = EpisodeRow(
            organisation_id=self.repository.organisation_id,
            id=new_id(),
            client_id=client_id,
            created_at=now,
            updated_at=now,
            version=1,
            **body.model_dump(),
        )
        await self.steps.refuse("create", "episode", None, [*_own_faults(row), *await self._overlap(row)])
        await self.repository.add(row)
        self.steps.done("create", "episode", row.id)
        return row

    async def episode(self, client_id: uuid.UUID, episode_id: uuid.UUID) -> EpisodeRow:
        """One episode of a client; :class:`NotFound` where there is none."""
        row = await self._episode("read", client_id, episode_id)
        self.steps.done("read", "episode", episode_id)
        return row

    async def episodes(
        self, client_id: uuid.UUID, cursor: str | None, limit: int
    ) -> tuple[list[EpisodeRow], str | None]:
        """A page of a client's episodes and the cursor of the next; :class:`NotFound` for an unknown client."""
        place = None if cursor is None else decode_cursor(cursor)
        if not await self.repository.client_exists(client_id):
            raise await self.steps.unknown("list-episodes", "client", client_id, UNKNOWN_CLIENT)
        after = None if place is None else (place[0].date(), place[1])
        rows = await self.repository.episodes(client_id, after, limit + 1)
        self.steps.done("list-episodes", "client", client_id)
        last = rows[limit - 1] if len(rows) > limit else None
        began = None if last is None else datetime.combine(last.started_on, time(), UTC)
        return [*rows[:limit]], encode_cursor(began, last.id) if last is not None and began is not None else None

    async def change(
        self, client_id: uuid.UUID, episode_id: uuid.UUID, body: schemas.EpisodePatch, if_match: str | None
    ) -> EpisodeRow:
        """Merge changes into an episode. What changes nothing makes no new version.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, RequestInvalid
        """
        # The client first, and always: of two episodes that are changed at once, one would not see the other's days.
        if not await self.repository.client_exists(client_id, lock=True):
            raise await self.steps.unknown("change", "episode", episode_id, UNKNOWN_EPISODE)
        row = await self._episode("change", client_id, episode_id, lock="change")
        await self.steps.expect("episode", row.id, row.version, if_match)
        given = body.model_dump(exclude_unset=True)
        if given.get("concerns", ()) is None:
            given["concerns"] = []
        if _merge(row, given):
            faults = [*_own_faults(row), *await self._overlap(row), *await self._left_out(row)]
            await self.steps.refuse("change", "episode", episode_id, faults)
            await self.repository.save()
            await self._replan(episode_id)
        self.steps.done("change", "episode", episode_id)
        return row

    async def plan(self, client_id: uuid.UUID, episode_id: uuid.UUID, body: schemas.SessionCreate) -> SessionRow:
        """A new session of an episode.

        Raises
        ------
        NotFound, RequestInvalid
        """
        episode = await self._episode("create-session", client_id, episode_id, lock="share")
        now = datetime.now(UTC)
        row = SessionRow(
            organisation_id=episode.organisation_id,
            id=new_id(),
            episode_id=episode_id,
            created_at=now,
            updated_at=now,
            version=1,
            **_with_day(body.model_dump()),
        )
        await self.steps.refuse("create", "session", None, _session_faults(row, episode, "held_at"))
        await self.repository.add(row)
        if row.attendance == ATTENDED:
            await self._replan(episode_id)
        self.steps.done("create", "session", row.id)
        return row

    async def session(self, client_id: uuid.UUID, episode_id: uuid.UUID, session_id: uuid.UUID) -> SessionRow:
        """One session; :class:`NotFound` where there is none."""
        await self._episode("read-session", client_id, episode_id)
        row = await self.repository.held(episode_id, session_id)
        if row is None:
            raise await self.steps.unknown("read", "session", session_id, UNKNOWN_SESSION)
        self.steps.done("read", "session", session_id)
        return row

    async def sessions(
        self, client_id: uuid.UUID, episode_id: uuid.UUID, cursor: str | None, limit: int
    ) -> tuple[list[SessionRow], str | None]:
        """A page of an episode's sessions and the cursor of the next; :class:`NotFound` for an unknown episode."""
        after = None if cursor is None else decode_cursor(cursor)
        await self._episode("list-sessions", client_id, episode_id)
        rows = await self.repository.sessions(episode_id, after, limit + 1)
        self.steps.done("list-sessions", "episode", episode_id)
        more = encode_cursor(rows[limit - 1].held_at, rows[limit - 1].id) if len(rows) > limit else None
        return [*rows[:limit]], more

    async def change_session(
        self,
        client_id: uuid.UUID,
        episode_id: uuid.UUID,
        session_id: uuid.UUID,
        body: schemas.SessionPatch,
        if_match: str | None,
    ) -> SessionRow:
        """Merge changes into a session. What changes nothing makes no new version.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, RequestInvalid
        """
        episode = await self._episode("change-session", client_id, episode_id, lock="share")
        row = await self.repository.held(episode_id, session_id, lock=True)
        if row is None:
            raise await self.steps.unknown("change", "session", session_id, UNKNOWN_SESSION)
        await self.steps.expect("session", row.id, row.version, if_match)
        given = _with_day(body.model_dump(exclude_unset=True))
        if _merge(row, given):
            at = "held_at" if "held_at" in given else "attendance"
            await self.steps.refuse("change", "session", session_id, _session_faults(row, episode, at))
            await self.repository.save()
            await self._replan(episode_id)
        self.steps.done("change", "session", session_id)
        return row

    async def _replan(self, episode_id: uuid.UUID) -> None:
        """What falls due follows from the days of the episode and of its attended sessions."""
        await replan(OfSession(self.repository.session), self.repository.organisation_id, episode_id)

    async def _episode(self, action: str, client_id: uuid.UUID, episode_id: uuid.UUID, **lock: Any) -> EpisodeRow:
        row = await self.repository.episode(client_id, episode_id, **lock)
        if row is None:
            raise await self.steps.unknown(action, "episode", episode_id, UNKNOWN_EPISODE)
        return row

    async def _overlap(self, row: EpisodeRow) -> list[Fault]:
        if not await self.repository.overlapped(row):
            return []
        detail = (
            "the client has another episode of this format then; "
            "two of one format share no more than a last and a first day"
        )
        return [("started_on", "overlapping-episode", detail)]

    async def _left_out(self, row: EpisodeRow) -> list[Fault]:
        """What lies in the episode and would not any more."""
        faults: list[Fault] = []
        held = await self.repository.session_days(row.id)
        if held is not None:
            if row.ended_on is not None and row.ended_on < held[1]:
                detail = f"is not before {held[1]}, the day of the last session that was not cancelled"
                faults.append(("ended_on", "before-last-session", detail))
            if row.started_on > held[0]:
                detail = f"is not after {held[0]}, the day of the first session that was not cancelled"
                faults.append(("started_on", "after-first-session", detail))
        answered = await self.repository.answer_days(row.client_id, row.id)
        if answered is not None:
            if row.ended_on is not None and row.ended_on + _MARGIN < answered[1]:
                detail = f"is not before {answered[1] - _MARGIN}: {EPISODE_MARGIN} days before its last answers"
                faults.append(("ended_on", "before-last-answers", detail))
            if row.started_on - _MARGIN > answered[0]:
                detail = f"is not after {answered[0] + _MARGIN}: {EPISODE_MARGIN} days after its first answers"
                faults.append(("started_on", "after-first-answers", detail))
        return faults


def _merge(row: EpisodeRow | SessionRow, given: dict[str, Any]) -> bool:
    """Whether anything is another than before; then it is a version further."""
    changed = {name: value for name, value in given.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        row.version += 1
        row.updated_at = max(datetime.now(UTC), row.updated_at)  # a clock set back breaks no order
    return bool(changed)


def _with_day(given: dict[str, Any]) -> dict[str, Any]:
    """A session's members, with the day of its time where that was sent, before the offset is lost."""
    moment = given.get("held_at")
    return given if moment is None else given | {"held_on": moment.date(), "held_at": moment.astimezone(UTC)}


def _own_faults(row: EpisodeRow) -> Iterator[Fault]:
    if row.ended_on is not None and row.end_reason is None:
        yield "end_reason", "missing", "is required with ended_on"
    if row.ended_on is None and row.end_reason is not None:
        yield "ended_on", "missing", "is required with end_reason; an episode that goes on has neither"
    if row.ended_on is not None and row.ended_on < row.started_on:
        yield "ended_on", "days-out-of-order", "is not before started_on"


def _session_faults(row: SessionRow, episode: EpisodeRow, member: str) -> list[Fault]:
    """``member``: the one of those sent that the session's day hangs on."""
    faults: list[Fault] = []
    if row.attendance in ("attended", "missed") and row.held_on > today():
        faults.append(("attendance", "in-the-future", "is told once the day has come; until then null or cancelled"))
    last = episode.ended_on
    if row.attendance != CANCELLED and not (
        episode.started_on <= row.held_on and (last is None or row.held_on <= last)
    ):
        until = f"from {episode.started_on} on" if last is None else f"from {episode.started_on} to {last}"
        faults.append((member, "outside-episode", f"a session that is not cancelled is held on a day {until}"))
    return faults
