"""Protocols, the episodes that follow them, their slots, and the function that reads what is due

Revision: 0014
Date: 2026-11-22 12:40:07.118263
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0014"
down_revision: str | Sequence[str] | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
RIGHTS = {
    "protocol": "select, insert, update (version, retired_at, updated_at, revision)",
    "protocol_version": "select, insert",
    "episode_protocol": "select, insert, update (ended_on, end_reason, planned_until, updated_at, version)",
    "protocol_slot": "select, insert, "
    "update (clinician, opens_on, due_on, overdue_on, closes_on, last_on, cancelled, updated_at)",
}

# One call is one round trip: the organisation, the audit event (with p_event_id), and slots that nobody has answered,
# from a place in their order on: those that are open, the longest overdue first and then what will be overdue soonest;
# or those that are closed, the last closed first.
#
# What is open on a day is for each shape of window one range of the index: its lengths say how far from the day it can
# be overdue. So neither what is over nor what is far ahead is looked at, however much of it there is. Candidates are
# taken in batches, and asked one by one whether they are answered, until there are enough.
#
# A slot without a response in its window is empty, whatever else there is. One with a response and with no other slot
# about it is filled. Of what is left, `contended`, the caller finds out: the rule for that is not written twice.
# A row whose status is `stale` says that slots have to be planned further before this day can be told of.
#
# The planner's settings: see `read_progress` (0002). Sorts are of a batch. A plan is kept from the first call on: to
# run one takes less than to make it. Whether a response still holds is a scalar subquery, which is looked up by its
# whole key; a join may be planned to read all that the organisation ever corrected.
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
              and o.opens_on <= c.last_on and o.last_on >= c.opens_on
          ) then 'contended' else 'filled' end end as state
        from"""
READ_DUE = """
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
  batch constant integer := 128;
  lower_days integer := case when 'overdue' = any(p_statuses) then 0 else 1 end;
  candidates refcursor;
  slot record;
  taken integer;
  found_so_far integer := 0;
  place_day date := p_day;
  place_id uuid := p_id;
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
        where s.client_id = p_client_id and not s.cancelled and s.opens_on <= p_date and s.last_on >= p_date
          and case when s.overdue_on <= p_date then 'overdue' else 'due' end = any(p_statuses)
          and (s.overdue_on, s.id) > (place_day, place_id)
        order by s.overdue_on, s.id limit batch
        ) c;
    elsif p_client_id is not null then
      open candidates for ASKED (
        select s.* from protocol_slot s
        where s.client_id = p_client_id and not s.cancelled and s.last_on between p_since and p_date - 1
          and (p_clinician is null or s.clinician = p_clinician)
          and case when s.last_on < s.closes_on then 'expired' else 'missed' end = any(p_statuses)
          and (s.last_on, s.id) < (place_day, place_id)
        order by s.last_on desc, s.id desc limit batch
        ) c;
    elsif p_clinician is not null and not p_closed then
      open candidates for ASKED (
        with recursive shapes as (
          (select s.shape from protocol_slot s
           where s.clinician = p_clinician and not s.cancelled order by s.shape limit 1)
          union all
          select (select s.shape from protocol_slot s
                  where s.clinician = p_clinician and not s.cancelled and s.shape > shapes.shape
                  order by s.shape limit 1)
          from shapes where shapes.shape is not null
        )
        select c.* from shapes, lateral (
          select s.* from protocol_slot s
          where s.clinician = p_clinician and s.shape = shapes.shape and not s.cancelled
            and s.overdue_on >= case lower_days when 1 then p_date + 1 else p_date - (shapes.shape % 1000 - 1) end
            and s.overdue_on <= case when 'due' = any(p_statuses) then p_date + shapes.shape / 1000 else p_date end
            and (s.overdue_on, s.id) > (place_day, place_id) and s.last_on >= p_date
          order by s.overdue_on, s.id limit batch
        ) c order by c.overdue_on, c.id limit batch
        ) c;
    elsif p_clinician is not null then
      open candidates for ASKED (
        select s.* from protocol_slot s
        where s.clinician = p_clinician and not s.cancelled and s.last_on between p_since and p_date - 1
          and case when s.last_on < s.closes_on then 'expired' else 'missed' end = any(p_statuses)
          and (s.last_on, s.id) < (place_day, place_id)
        order by s.last_on desc, s.id desc limit batch
        ) c;
    elsif not p_closed then
      open candidates for ASKED (
        with recursive shapes as (
          (select s.shape from protocol_slot s
           where s.organisation_id = p_organisation_id and not s.cancelled order by s.shape limit 1)
          union all
          select (select s.shape from protocol_slot s
                  where s.organisation_id = p_organisation_id and not s.cancelled and s.shape > shapes.shape
                  order by s.shape limit 1)
          from shapes where shapes.shape is not null
        )
        select c.* from shapes, lateral (
          select s.* from protocol_slot s
          where s.organisation_id = p_organisation_id and s.shape = shapes.shape and not s.cancelled
            and s.overdue_on >= case lower_days when 1 then p_date + 1 else p_date - (shapes.shape % 1000 - 1) end
            and s.overdue_on <= case when 'due' = any(p_statuses) then p_date + shapes.shape / 1000 else p_date end
            and (s.overdue_on, s.id) > (place_day, place_id) and s.last_on >= p_date
          order by s.overdue_on, s.id limit batch
        ) c order by c.overdue_on, c.id limit batch
        ) c;
    else
      open candidates for ASKED (
        select s.* from protocol_slot s
        where s.organisation_id = p_organisation_id and not s.cancelled and s.last_on between p_since and p_date - 1
          and case when s.last_on < s.closes_on then 'expired' else 'missed' end = any(p_statuses)
          and (s.last_on, s.id) < (place_day, place_id)
        order by s.last_on desc, s.id desc limit batch
        ) c;
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
""".replace("ASKED", ASKED.strip())


def _ids(*names: str) -> tuple[sa.Column, ...]:
    return tuple(sa.Column(name, sa.Uuid(), nullable=False) for name in ("organisation_id", *names))


def _made() -> tuple[sa.Column, ...]:
    return tuple(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in ("created_at", "updated_at"))


def _refers(unit: str, target: str, member: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation_id", member or f"{target}_id"],
        [f"{target}.organisation_id", f"{target}.id"],
        name=op.f(f"fk_{unit}_{target}"),
    )


def _days(*names: str) -> tuple[sa.Column, ...]:
    return tuple(sa.Column(name, sa.Date(), nullable=False) for name in names)


def _protocols() -> None:
    op.create_table(
        "protocol",
        *_ids("id"),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        *_made(),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("updated_at >= created_at", name=op.f("ck_protocol_updated_after_created")),
        sa.CheckConstraint("version >= 1 and revision >= version", name=op.f("ck_protocol_version")),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_protocol")),
        sa.UniqueConstraint("code", "organisation_id", name=op.f("uq_protocol_code_organisation_id")),
    )
    op.create_table(
        "protocol_version",
        *_ids("protocol_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("entries", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_protocol_version_version")),
        _refers("protocol_version", "protocol"),
        sa.PrimaryKeyConstraint("organisation_id", "protocol_id", "version", name=op.f("pk_protocol_version")),
    )


def _assigned() -> None:
    unit = "episode_protocol"
    op.create_table(
        unit,
        *_ids("id", "client_id", "episode_id", "protocol_id"),
        sa.Column("protocol_version", sa.Integer(), nullable=False),
        sa.Column("follows", sa.Uuid(), nullable=True),
        *_days("starts_on"),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("planned_until", sa.Date(), nullable=True),
        *_made(),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("(ended_on is null) = (end_reason is null)", name=op.f(f"ck_{unit}_end_with_reason")),
        sa.CheckConstraint("end_reason in ('removed', 'moved')", name=op.f(f"ck_{unit}_end_reason")),
        sa.CheckConstraint("updated_at >= created_at", name=op.f(f"ck_{unit}_updated_after_created")),
        sa.CheckConstraint("version >= 1", name=op.f(f"ck_{unit}_version")),
        _refers(unit, "client"),
        _refers(unit, "episode"),
        sa.ForeignKeyConstraint(
            ["organisation_id", "protocol_id", "protocol_version"],
            ["protocol_version.organisation_id", "protocol_version.protocol_id", "protocol_version.version"],
            name=op.f(f"fk_{unit}_protocol_version"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f(f"pk_{unit}")),
    )
    op.create_index(op.f(f"ix_{unit}_episode_id_id"), unit, ["episode_id", "id"])
    op.create_index(
        op.f(f"ix_{unit}_planned_until_id"),
        unit,
        ["planned_until", "id"],
        postgresql_where=sa.text("planned_until is not null"),
    )


def _slots() -> None:
    unit = "protocol_slot"
    op.create_table(
        unit,
        *_ids("id", "client_id", "episode_id", "episode_protocol_id"),
        sa.Column("clinician", sa.Text(), nullable=True),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("instrument_version", sa.Integer(), nullable=True),
        sa.Column("variant", sa.Text(), nullable=True),
        *_days("opens_on", "due_on", "overdue_on", "closes_on", "last_on"),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("shape", sa.Integer(), nullable=False),
        *_made(),
        sa.CheckConstraint(
            "opens_on <= due_on and due_on < overdue_on and due_on <= closes_on", name=op.f(f"ck_{unit}_days_in_order")
        ),
        sa.CheckConstraint("opens_on <= last_on and last_on <= closes_on", name=op.f(f"ck_{unit}_last_in_window")),
        _refers(unit, "client"),
        _refers(unit, "episode_protocol"),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f(f"pk_{unit}")),
        sa.UniqueConstraint(
            "episode_protocol_id",
            "entry",
            "occurrence",
            "organisation_id",
            name=op.f(f"uq_{unit}_occurrence"),
        ),
    )
    op.create_index(op.f(f"ix_{unit}_client_id_instrument_opens_on"), unit, ["client_id", "instrument", "opens_on"])
    live, of_somebody = "not cancelled", "not cancelled and clinician is not null"
    for name, columns, condition in (
        ("open", ["organisation_id", "shape", "overdue_on", "id"], live),
        ("closed", ["organisation_id", "last_on", "id"], live),
        ("clinician_open", ["clinician", "shape", "overdue_on", "id"], of_somebody),
        ("clinician_closed", ["clinician", "last_on", "id"], of_somebody),
    ):
        op.create_index(f"ix_{unit}_{name}", unit, columns, postgresql_where=sa.text(condition))


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    _protocols()
    _assigned()
    _slots()
    op.execute(
        "create trigger append_only before update or delete or truncate on protocol_version "
        "for each statement execute function refuse_change()"
    )
    for table, rights in RIGHTS.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant on {table} "
            f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
        )
        op.execute(f"grant {rights} on {table} to {SERVICE}")
    op.execute(READ_DUE)
    op.execute("revoke execute on function read_due from public")
    op.execute(f"grant execute on function read_due to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function read_due")
    for table in reversed(RIGHTS):
        op.drop_table(table)
