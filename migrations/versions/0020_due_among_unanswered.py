"""What is due is found among slots that nobody is known to have answered, and one form answers several protocols

Revision: 0020
Date: 2026-11-22 13:40:00.000000
"""

from collections.abc import Sequence
from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | Sequence[str] | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
READ_DUE_BEFORE: str = import_module("migrations.versions.0014_protocols").READ_DUE

# A response that no longer holds may empty slots, so none of its client and instrument is known to be answered until
# the job has looked again. It looks, and writes, with the assignment locked: so whichever of the two comes second sees
# what the first has done. The lock is of all assignments, as the job may be about to say `answered`.
LOOK_AGAIN = """
create function look_again() returns trigger language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  corrected response;
begin
  select r.* into strict corrected from response r
  where r.organisation_id = new.organisation_id and r.id = new.response_id;
  perform from episode_protocol a
  where a.organisation_id = new.organisation_id and a.id = any (array(
    select s.episode_protocol_id from protocol_slot s
    where s.client_id = corrected.client_id and s.instrument = corrected.instrument))
  order by a.id for no key update;
  if found then
    update protocol_slot s set answered = false
    where s.client_id = corrected.client_id and s.instrument = corrected.instrument and s.answered;
  end if;
  return null;
end
$$
"""

# What 0014 made, with four differences.
#
# Slots that are known to be answered are passed over by the index. What is known holds from the day on which it was
# found out; for an earlier day `past` looks at all of them, those too.
# One with a response is contended only by another slot of the same assignment: a response fills one of each.
# A batch is not much larger than the page, as most of what is found is shown.
# Where a range begins is one comparison of (day, id). Of two that bound the same column an index scan begins at either,
# and may so walk through all that is over, or all that is to come.
ASKED = """
        select c.*, case when exists (
            select from response r
            where r.client_id = c.client_id and r.instrument = c.instrument
              and r.answered_at >= c.opens_on::timestamp at time zone 'UTC'
              and r.answered_at < (least(c.last_on, p_date) + 1)::timestamp at time zone 'UTC'
              and (c.instrument_version is null or r.instrument_version = c.instrument_version)
              and (c.variant is null or r.variant = c.variant)
              and (r.episode_id is null or r.episode_id = c.episode_id)
              and (select u.response_id from superseded u
                   where u.organisation_id = p_organisation_id and u.response_id = r.id) is null
          ) then case when exists (
            select from protocol_slot o
            where o.client_id = c.client_id and o.instrument = c.instrument and not o.cancelled and o.id <> c.id
              and o.episode_protocol_id = c.episode_protocol_id
              and o.opens_on <= c.last_on and o.last_on >= c.opens_on
          ) then 'contended' else 'filled' end end as state
        from"""
OPEN = """
      open candidates for ASKED (
        with recursive shapes as (
          (select s.answered, s.shape from protocol_slot s
           where WHOSE and not s.cancelled and s.answered <= past order by s.answered, s.shape limit 1)
          union all
          select n.answered, n.shape from shapes, lateral (
            select s.answered, s.shape from protocol_slot s
            where WHOSE and not s.cancelled and s.answered <= past
              and (s.answered, s.shape) > (shapes.answered, shapes.shape)
            order by s.answered, s.shape limit 1) n
        )
        select c.* from (
          select n.answered, n.shape, case lower_days when 1 then p_date else p_date - n.shape % 1000 end as before
          from shapes n
        ) k, lateral (
          select s.* from protocol_slot s
          where WHOSE and s.answered = k.answered and s.shape = k.shape and not s.cancelled
            and (s.overdue_on, s.id) > (greatest(place_day, k.before),
                                        case when place_day <= k.before then last_id else place_id end)
            and s.overdue_on <= case when 'due' = any(p_statuses) then p_date + k.shape / 1000 else p_date end
            and s.last_on >= p_date
          order by s.overdue_on, s.id limit batch
        ) c order by c.overdue_on, c.id limit batch
        ) c;
"""
CLOSED = """
      open candidates for ASKED (
        select c.* from (values (false), (true)) k (answered), lateral (
          select s.* from protocol_slot s
          where WHOSE and s.answered = k.answered and not s.cancelled and s.last_on >= p_since
            and case when s.last_on < s.closes_on then 'expired' else 'missed' end = any(p_statuses)
            and (s.last_on, s.id) < (place_day, place_id)
          order by s.last_on desc, s.id desc limit batch
        ) c where k.answered <= past order by c.last_on desc, c.id desc limit batch
        ) c;
"""
OF_CLINICIAN = "s.clinician = p_clinician"
OF_ALL = "s.organisation_id = p_organisation_id"
READ_DUE = (
    """
create function read_due(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text, p_event_id uuid,
  p_clinician text, p_client_id uuid, p_date date, p_closed boolean, p_statuses text[], p_since date,
  p_day date, p_id uuid, p_limit integer
) returns table (
  id uuid, client_id uuid, episode_id uuid, episode_protocol_id uuid, clinician text, entry text, occurrence integer,
  instrument text, instrument_version integer, variant text,
  opens_on date, due_on date, overdue_on date, closes_on date, last_on date, status text, contended boolean
) language plpgsql security invoker
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  past constant boolean := p_date < (now() at time zone 'UTC')::date;
  batch constant integer := case when past then 128 else p_limit + 16 end;
  lower_days integer := case when 'overdue' = any(p_statuses) then 0 else 1 end;
  candidates refcursor;
  slot record;
  taken integer;
  found_so_far integer := 0;
  last_id constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  first_id constant uuid := '00000000-0000-0000-0000-000000000000';
  place_day date := case when p_closed then least(p_day, p_date) else p_day end;
  place_id uuid := case when p_closed and p_day >= p_date then first_id else p_id end;
begin
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true);
  if p_event_id is not null then
    insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, outcome)
    values (p_organisation_id, p_event_id, now(), p_subject, p_role, 'list-due',
            case when p_client_id is null then 'due' else 'client' end, p_client_id, p_request_id, 'done');
  end if;
  if exists (select from episode_protocol a where a.planned_until < p_date) then
    status := 'stale';
    return next;
    return;
  end if;
  loop
    taken := 0;
    if p_client_id is not null and not p_closed then
      open candidates for ASKED (
        select s.* from protocol_slot s
        where s.client_id = p_client_id and not s.cancelled and s.answered <= past
          and s.opens_on <= p_date and s.last_on >= p_date
          and case when s.overdue_on <= p_date then 'overdue' else 'due' end = any(p_statuses)
          and (s.overdue_on, s.id) > (place_day, place_id)
        order by s.overdue_on, s.id limit batch
        ) c;
    elsif p_client_id is not null then
      open candidates for ASKED (
        select s.* from protocol_slot s
        where s.client_id = p_client_id and not s.cancelled and s.answered <= past
          and s.last_on >= p_since
          and case when s.last_on < s.closes_on then 'expired' else 'missed' end = any(p_statuses)
          and (s.last_on, s.id) < (place_day, place_id)
        order by s.last_on desc, s.id desc limit batch
        ) c;
    elsif p_clinician is not null and not p_closed then
      OPEN_OF_CLINICIAN
    elsif p_clinician is not null then
      CLOSED_OF_CLINICIAN
    elsif not p_closed then
      OPEN_OF_ALL
    else
      CLOSED_OF_ALL
    end if;
    loop
      fetch candidates into slot;
      exit when not found;
      taken := taken + 1;
      place_id := slot.id;
      place_day := case when p_closed then slot.last_on else slot.overdue_on end;
      continue when p_clinician is not null and slot.clinician is distinct from p_clinician;
      continue when slot.state = 'filled';
      contended := slot.state is not null;
      id := slot.id; client_id := slot.client_id; episode_id := slot.episode_id;
      episode_protocol_id := slot.episode_protocol_id; clinician := slot.clinician;
      entry := slot.entry; occurrence := slot.occurrence;
      instrument := slot.instrument; instrument_version := slot.instrument_version; variant := slot.variant;
      opens_on := slot.opens_on; due_on := slot.due_on; overdue_on := slot.overdue_on;
      closes_on := slot.closes_on; last_on := slot.last_on;
      status := case when slot.last_on < p_date then
                       case when slot.last_on < slot.closes_on then 'expired' else 'missed' end
                     when slot.overdue_on <= p_date then 'overdue' else 'due' end;
      return next;
      found_so_far := found_so_far + 1;
      exit when found_so_far = p_limit;
    end loop;
    close candidates;
    exit when found_so_far = p_limit or taken < batch;
  end loop;
end
$$
""".replace("OPEN_OF_CLINICIAN", OPEN.strip().replace("WHOSE", OF_CLINICIAN))
    .replace("CLOSED_OF_CLINICIAN", CLOSED.strip().replace("WHOSE", OF_CLINICIAN))
    .replace("OPEN_OF_ALL", OPEN.strip().replace("WHOSE", OF_ALL))
    .replace("CLOSED_OF_ALL", CLOSED.strip().replace("WHOSE", OF_ALL))
    .replace("ASKED", ASKED.strip())
)

UNIT = "protocol_slot"
INDEXES = (
    ("open", ("organisation_id", "shape", "overdue_on", "id"), "not cancelled"),
    ("closed", ("organisation_id", "last_on", "id"), "not cancelled"),
    ("clinician_open", ("clinician", "shape", "overdue_on", "id"), "not cancelled and clinician is not null"),
    ("clinician_closed", ("clinician", "last_on", "id"), "not cancelled and clinician is not null"),
)


def _indexes(*further: str) -> None:
    """Those of 0014, with further columns after the first."""
    for name, (first, *rest), condition in INDEXES:
        op.drop_index(f"ix_{UNIT}_{name}", UNIT)
        op.create_index(f"ix_{UNIT}_{name}", UNIT, [first, *further, *rest], postgresql_where=sa.text(condition))


def _read_due(function: str) -> None:
    op.execute("drop function read_due")
    op.execute(function)
    op.execute("revoke execute on function read_due from public")
    op.execute(f"grant execute on function read_due to {SERVICE}")


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.add_column(UNIT, sa.Column("answered", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.execute(f"grant update (answered) on {UNIT} to {SERVICE}")
    _indexes("answered")
    op.execute(LOOK_AGAIN)
    op.execute("revoke execute on function look_again from public")
    op.execute("create trigger look_again after insert on superseded for each row execute function look_again()")
    _read_due(READ_DUE)


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    _read_due(READ_DUE_BEFORE)
    op.execute("drop trigger look_again on superseded")
    op.execute("drop function look_again")
    _indexes()
    op.drop_column(UNIT, "answered")
