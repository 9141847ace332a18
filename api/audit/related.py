"""Which clients an event concerns: the one that it names, or those to whom the thing belongs that it names.

A new kind of resource that belongs to a client gets a line in `OWNERS`; a test walks over every operation and asks
whether the client's own trail tells of it.
"""

from __future__ import annotations

from typing import Final

OWNERS: Final = {
    # of the client itself: the event's resource_id is the client's
    "client": "select e.resource_id",
    "progress": "select e.resource_id",
    # of something of the client's
    "response": "select o.client_id from response o where {row}",
    "alert": "select o.client_id from alert o where {row}",
    "episode": "select o.client_id from episode o where {row}",
    "session": "select p.client_id from care_session o join episode p "
    "on p.organisation_id = o.organisation_id and p.id = o.episode_id where {row}",
    "couple": "select p.client_id from couple o join couple_member p "
    "on p.organisation_id = o.organisation_id and p.couple_id = o.id where {row}",
    "membership": "select o.client_id from couple_member o where {row}",
    "goal": "select o.client_id from goal o where {row}",
    "assignment": "select o.client_id from assignment o where {row}",
}
"""By resource: the query for the clients' ids, of the event ``e``. Each looks one row up by its key."""

_ROW: Final = "o.organisation_id = e.organisation_id and o.id = e.resource_id"
_OWNED: Final = " union all ".join(
    f"select * from ({query.format(row=_ROW)}) of_{resource} where e.resource = '{resource}'"  # noqa: S608  - nothing but the constants above
    for resource, query in OWNERS.items()
)

CLIENTS_OF: Final = f"""
select c.id from ({_OWNED}) owned (client_id)
join lateral (
  select o.id from client o where o.organisation_id = e.organisation_id and o.id = owned.client_id
  union all
  select o.client_id from erasure o where o.organisation_id = e.organisation_id and o.client_id = owned.client_id
) c on true
"""  # noqa: S608  - nothing but the constants above
"""SQL of the ids of the clients whom the event ``e`` (a row of `audit_event`) concerns; an id of nobody is none."""
