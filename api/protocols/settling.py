"""What is known to be answered: a mark on slots, so that what is due is not looked for among them.

The mark is only ever a reason not to look: a slot without it is looked at. It is set here, by a job, and by no request.
It stays right by itself when responses come in, as a further one never empties a slot. What may empty one takes it
away in the same transaction: a response that no longer holds (the database's `look_again`), and slots that are made,
moved or cancelled (`api.protocols.keeping`). All of them hold the assignment's lock, so no mark is set by what was.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import date, timedelta
from typing import Final

from api.protocols.matching import match
from api.protocols.store import Statements, slots_and_responses

BATCH: Final = 200
"""Assignments that are looked at in one transaction."""
LOOK_BACK: Final = timedelta(days=100)
"""Slots that closed longer ago are left alone: what is due does not go back further unless it is asked to."""

# Nearly the condition of `read_due`: what is found too much is told apart by `match`. The look-up is a scalar subquery,
# by the key of the index for each slot: a join may be planned to read all responses, by statistics that are old.
_ANSWERED: Final = """
select distinct s.episode_protocol_id
from protocol_slot s
where s.organisation_id = :organisation_id and not s.answered and not s.cancelled and s.last_on >= :since
  and s.opens_on <= :today and (
    select true from response r
    where r.client_id = s.client_id and r.instrument = s.instrument
      and r.answered_at >= cast(s.opens_on as timestamp) at time zone 'UTC'
      and r.answered_at < cast(least(s.last_on, :today) + 1 as timestamp) at time zone 'UTC'
      and (r.episode_id is null or r.episode_id = s.episode_id)
    limit 1
  )
"""
_LOCK: Final = """
select id, client_id from episode_protocol where organisation_id = :organisation_id and id = any(:followed)
order by id for no key update skip locked
"""
_TODAY: Final = "select cast(now() at time zone 'UTC' as date)"
_INSTRUMENTS: Final = "select distinct instrument from protocol_slot where episode_protocol_id = any(:followed)"
_MARK: Final = """
update protocol_slot set answered = true
where organisation_id = :organisation_id and id = any(:filled) and episode_protocol_id = any(:followed) and not answered
returning id
"""


async def unmarked(statements: Statements, organisation_id: uuid.UUID) -> list[uuid.UUID]:
    """Assignments with slots that may have been answered, and are not marked."""
    day = await _today(statements)
    asked = {"organisation_id": organisation_id, "today": day, "since": day - LOOK_BACK}
    return [row[0] for row in await statements.rows(_ANSWERED, **asked)]


async def mark(statements: Statements, organisation_id: uuid.UUID, followed: Collection[uuid.UUID]) -> int:
    """Mark the slots of some assignments that are filled by now; how many. Those that are locked are left alone.

    The transaction has to be one in which each statement sees what was committed before it.
    """
    locked = await statements.rows(_LOCK, organisation_id=organisation_id, followed=list(followed))
    held = [row[0] for row in locked]
    if not held:
        return 0
    named = [row[0] for row in await statements.rows(_INSTRUMENTS, followed=held)]
    found = await slots_and_responses(statements, {row[1] for row in locked}, named, await _today(statements))
    filled = [slot_id for pair in found.values() for slot_id in match(*pair).filled]
    return len(await statements.rows(_MARK, organisation_id=organisation_id, filled=filled, followed=held))


async def _today(statements: Statements) -> date:
    """The database's, which `read_due` goes by as well."""
    ((day,),) = await statements.rows(_TODAY)
    return day  # type: ignore[no-any-return]  # a date
