"""The statements of a run. What each asks for is within one organisation, which row-level security sees to."""

from __future__ import annotations

import uuid
from typing import Final

NIL: Final = uuid.UUID(int=0)
LAST: Final = uuid.UUID(int=2**128 - 1)
RUN: Final = "select * from rescoring where organisation_id = $1 and id = $2 for update skip locked"
APPLIED: Final = """
select g.id, g.to_version, g.to_checksum
from rescoring g
join rescoring_effect a on a.organisation_id = g.organisation_id and a.rescoring_id = g.id and a.effect = 'applied'
where g.organisation_id = $1 and g.instrument = $2 and not exists (
  select from rescoring_effect w
  where w.organisation_id = g.organisation_id and w.rescoring_id = g.id and w.effect = 'withdrawn')
order by a.at desc, g.id desc
"""
"""The runs of an instrument whose scores count, the one first that goes before the others."""
WINDOW: Final = """
select id from (select id from response where organisation_id = $1 and id > $2 order by id limit $3) looked_at
order by id desc limit 1
"""
CURRENT: Final = """
select r.*, (
  select n.place from generate_subscripts($9::uuid[], 1) n (place)
  where exists (
    select from rescored x
    where x.organisation_id = r.organisation_id and x.response_id = r.id and x.rescoring_id = ($9::uuid[])[n.place])
  order by n.place limit 1) as place
from response r
where r.organisation_id = $1 and r.id > $12 and r.id <= $13 and r.instrument = $2
  and ($3::text is null or r.variant = $3) and r.recorded_at <= $8
  and not exists (
    select from superseded s where s.organisation_id = r.organisation_id and s.response_id = r.id)
offset 0
"""
SCORED_BY: Final = (
    f"from ({CURRENT}) c"  # noqa: S608  - nothing but the constant above
    """
cross join lateral (
  select coalesce(($10::integer[])[c.place], c.instrument_version) as version,
         coalesce(($11::text[])[c.place], c.definition_checksum) as checksum) d
where d.version = $4 and ($5::text is null or d.checksum = $5) and (d.version, d.checksum) is distinct from ($6, $7)
"""
)
"""Responses that hold and whose current scores were made by the version, and not by the definition to score by."""
COUNT: Final = f"select count(*) {SCORED_BY}"
STORED: Final = (
    "select c.id, c.variant, c.answers::text, o.scales, o.points, o.statuses, o.valids "  # noqa: S608  - as above
    f"from (select c.* {SCORED_BY} offset 0) c"
    """
cross join lateral (
  select coalesce(array_agg(s.scale order by s.scale), '{}') as scales, array_agg(s.value order by s.scale) as points,
         array_agg(s.status order by s.scale) as statuses, array_agg(s.valid order by s.scale) as valids
  from (
    select scale, value, status, valid from score
    where c.place is null and organisation_id = c.organisation_id and response_id = c.id
    union all
    select scale, value, status, valid from rescored
    where organisation_id = c.organisation_id and response_id = c.id and rescoring_id = ($9::uuid[])[c.place]
  ) s) o
order by c.id
"""
)
HOLD: Final = """
select from client c where c.organisation_id = $1 and c.id in (
  select r.client_id from response r
  where r.organisation_id = $1 and r.id > $2 and r.id <= $3 and r.instrument = $4
    and ($5::text is null or r.variant = $5)
  offset 0)
order by c.id for key share
"""
"""Who is not erased until the batch has been stored. Scores name a response by its id, and nothing else would stop an
erasure from removing that in between: its new scores would be left behind."""
ALERTS: Final = "select response_id, rule from alert where organisation_id = $1 and response_id = any($2)"
KEEP: Final = """
insert into rescored (organisation_id, response_id, rescoring_id, scale, value, status, valid)
select $1, s.id, $2, $3, nullif(s.value, 'NaN'), ($8::text[])[s.status + 1], s.valid
from unnest($4::uuid[], $5::float8[], $6::int2[], $7::boolean[]) as s (id, value, status, valid)
"""
PROGRESSED: Final = """
update rescoring set state = $3, started_at = $4, cursor = $5, total = $6, done = $7, report = $8
where organisation_id = $1 and id = $2
"""
ENDED: Final = "update rescoring set ended_at = $3 where organisation_id = $1 and id = $2"
FAILED: Final = """
update rescoring set state = 'failed', failure = $3, ended_at = $4
where organisation_id = $1 and id = $2 and state in ('queued', 'running')
"""
APPLY: Final = """
insert into rescoring_effect (organisation_id, rescoring_id, effect, at, by) values ($1, $2, 'applied', $3, $4)
"""
EVENT: Final = """
insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, outcome)
values ($1, $2, $3, $4, 'admin', $5, 'rescoring', $6, $7, 'done')
"""
MESSAGE: Final = """
insert into outbox (organisation_id, id, topic, resource_id, created_at) values ($1, $2, $3, $4, $5)
"""
