"""Keeping slots as the episode's facts and the protocol say: made, moved, cancelled and revived from all of them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import orjson

from api.ids import new_id
from api.protocols.planning import HORIZON, Assigned, Episode, Planned, entry_of, plan
from api.protocols.store import Statements

AHEAD: Final = timedelta(days=56)
"""How far ahead of today slots are there at least; the job that plans further sees to it."""
BATCH: Final = 200
"""Assignments planned further in one transaction."""

_FOLLOWED: Final = """
select a.id, a.client_id, a.episode_id, a.starts_on, a.follows is not null, a.ended_on, a.end_reason, a.planned_until,
       cast(v.entries as text), e.started_on, e.ended_on, e.clinician
from episode_protocol a
join protocol_version v on v.organisation_id = a.organisation_id and v.protocol_id = a.protocol_id
  and v.version = a.protocol_version
join episode e on e.organisation_id = a.organisation_id and e.id = a.episode_id
where {which}
order by a.id for update of a {locked}
"""
_OF_EPISODE: Final = _FOLLOWED.format(which="a.episode_id = :episode_id", locked="")
_SHORT: Final = _FOLLOWED.format(
    which="a.id in (select n.id from episode_protocol n where n.planned_until < :until"
    " order by n.planned_until, n.id limit :most)",
    locked="skip locked",
)
_ATTENDED: Final = """
select episode_id, held_on from care_session
where episode_id = any(:episodes) and attendance = 'attended' order by held_at, id
"""
_KEPT: Final = """
select episode_protocol_id, entry, occurrence, id, opens_on, due_on, overdue_on, closes_on, last_on, clinician,
       cancelled
from protocol_slot where episode_protocol_id = any(:followed)
"""
_INSERT: Final = """
insert into protocol_slot (organisation_id, id, client_id, episode_id, episode_protocol_id, clinician, entry,
  occurrence, instrument, instrument_version, variant, opens_on, due_on, overdue_on, closes_on, last_on, cancelled,
  shape, created_at, updated_at)
values (:organisation_id, :id, :client_id, :episode_id, :episode_protocol_id, :clinician, :entry, :occurrence,
  :instrument, :instrument_version, :variant, :opens_on, :due_on, :overdue_on, :closes_on, :last_on, false, :shape,
  :now, :now)
"""
_MOVE: Final = """
update protocol_slot set opens_on = :opens_on, due_on = :due_on, overdue_on = :overdue_on, closes_on = :closes_on,
  last_on = :last_on, clinician = :clinician, cancelled = false, updated_at = greatest(created_at, :now)
where organisation_id = :organisation_id and id = :id
"""
_CANCEL: Final = """
update protocol_slot set cancelled = true, clinician = :clinician, updated_at = greatest(created_at, :now)
where organisation_id = :organisation_id and id = :id
"""
_PLANNED: Final = """
update episode_protocol set planned_until = :planned_until where organisation_id = :organisation_id and id = :id
"""
_LOOK_AGAIN: Final = """
update protocol_slot set answered = false
where episode_protocol_id = :followed and last_on >= :since and answered
"""
_DAYS: Final = ("opens_on", "due_on", "overdue_on", "closes_on", "last_on")


async def replan(statements: Statements, organisation_id: uuid.UUID, episode_id: uuid.UUID) -> None:
    """Make the slots of an episode what they have to be now. Of several at once, one goes on after the other."""
    followed = await statements.rows(_OF_EPISODE, episode_id=episode_id)
    await _plan(statements, organisation_id, followed)


async def plan_further(statements: Statements, organisation_id: uuid.UUID, until: date) -> int:
    """Plan a batch of schedules further that are not planned until a day; how many there were."""
    followed = await statements.rows(_SHORT, until=until, most=BATCH)
    await _plan(statements, organisation_id, followed)
    return len(followed)


async def _plan(statements: Statements, organisation_id: uuid.UUID, followed: Sequence[Sequence[Any]]) -> None:
    if not followed:
        return
    attended: dict[uuid.UUID, list[date]] = defaultdict(list)
    for episode_id, held_on in await statements.rows(_ATTENDED, episodes=list({row[2] for row in followed})):
        attended[episode_id].append(held_on)
    kept: dict[uuid.UUID, dict[tuple[str, int], Sequence[Any]]] = defaultdict(dict)
    for row in await statements.rows(_KEPT, followed=[row[0] for row in followed]):
        kept[row[0]][row[1], row[2]] = row[3:]
    now, changes = datetime.now(UTC), _Changes(organisation_id)
    for row in followed:
        episode = Episode(row[9], row[10], attended[row[2]])
        assigned = Assigned(row[3], row[4], row[5], row[6] == "moved")
        horizon = max(day for day in (now.date() + HORIZON, row[9] + HORIZON, row[7]) if day is not None)
        planned, until = plan(map(entry_of, orjson.loads(row[8])), episode, assigned, horizon)
        whose = {"client_id": row[1], "episode_id": row[2], "episode_protocol_id": row[0], "clinician": row[11]}
        changes.add(whose, planned, kept[row[0]], now)
        if until != row[7]:
            changes.until.append({"organisation_id": organisation_id, "id": row[0], "planned_until": until})
    for sql, many in (
        (_CANCEL, changes.cancelled),
        (_MOVE, changes.moved),
        (_INSERT, changes.made),
        (_LOOK_AGAIN, changes.again),
        (_PLANNED, changes.until),
    ):
        await statements.each(sql, many)


class _Changes:
    """What has to be written."""

    def __init__(self, organisation_id: uuid.UUID) -> None:
        self.organisation_id = organisation_id
        self.made: list[dict[str, Any]] = []
        self.moved: list[dict[str, Any]] = []
        self.cancelled: list[dict[str, Any]] = []
        self.until: list[dict[str, Any]] = []
        self.again: list[dict[str, Any]] = []
        """Assignments, each with the first day on which another slot may be filled now than before."""

    def add(
        self,
        whose: dict[str, Any],
        planned: list[Planned],
        kept: dict[tuple[str, int], Sequence[Any]],
        now: datetime,
    ) -> None:
        """What makes the kept slots of one assignment those that are planned."""
        common = {"organisation_id": self.organisation_id, "now": now}
        opens: list[date] = []
        for slot in planned:
            row = kept.pop((slot.entry, slot.occurrence), None)
            days = {name: getattr(slot, name) for name in _DAYS}
            if row is None:
                self.made.append(common | whose | asdict(slot) | {"id": new_id()})
                opens.append(slot.opens_on)
            elif [*row[1:]] != [*days.values(), whose["clinician"], False]:
                if [*row[1:6], row[-1]] != [*days.values(), False]:
                    opens += [slot.opens_on, row[1]]
                self.moved.append(common | days | {"id": row[0], "clinician": whose["clinician"]})
        for row in kept.values():
            if not row[-1]:
                opens.append(row[1])
            if not row[-1] or row[-2] != whose["clinician"]:
                self.cancelled.append(common | {"id": row[0], "clinician": whose["clinician"]})
        if opens:
            self.again.append({"followed": whose["episode_protocol_id"], "since": min(opens)})
