"""Re-scoring: runs, from when on they count, their scores beside the recorded ones, and progress by what is current

Revision: 0016
Date: 2026-11-22 12:30:00.000000

No recorded score changes. A run's scores lie in a table of their own and count from the row that says so, all at once;
a reader who asks as of an earlier time does not see them.
"""

from collections.abc import Sequence
from importlib import import_module

import sqlalchemy as sa
from alembic import op

import api.db

revision: str = "0016"
down_revision: str | Sequence[str] | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
RIGHTS = {
    "rescoring": "select, insert, update (state, failure, started_at, ended_at, cursor, total, done, report)",
    "rescoring_effect": "select, insert",
    "rescored": "select, insert",
}
APPEND_ONLY = ("rescoring_effect", "rescored")

# What 0011 made, by the scores that are current. Which runs count is looked up once: where none does, which is nearly
# always, the query is the one it was. Otherwise the newest of them that scored a response gives its scores and version.
READ_PROGRESS = """
create function read_progress(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text, p_event_id uuid,
  p_client_id uuid, p_instrument text, p_scale text, p_episode_id uuid, p_as_of timestamptz
) returns table (
  instrument text, scale text, answered_at timestamptz, recorded_at timestamptz, response_id text,
  instrument_version integer, variant text, value double precision, status text, valid boolean, amended boolean
) language plpgsql security invoker
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  known boolean;
  runs uuid[];
  versions integer[];
  codes text[];
begin
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true);
  known := exists (select from client where organisation_id = p_organisation_id and id = p_client_id);
  if known and p_episode_id is not null then
    known := exists (select from episode
                     where organisation_id = p_organisation_id and id = p_episode_id and client_id = p_client_id);
  end if;
  insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, outcome)
  values (p_organisation_id, p_event_id, now(), p_subject, p_role, 'read', 'progress', p_client_id, p_request_id,
          case when known then 'done' else 'not-found' end);
  if not known then
    return;
  end if;

  select array_agg(g.id order by a.at desc, g.id desc), array_agg(g.to_version order by a.at desc, g.id desc),
         array_agg(g.instrument order by a.at desc, g.id desc)
  into runs, versions, codes
  from rescoring_effect a
  join rescoring g on g.organisation_id = a.organisation_id and g.id = a.rescoring_id
  where a.organisation_id = p_organisation_id and a.effect = 'applied'
    and (p_as_of is null or a.at <= p_as_of) and (p_instrument is null or g.instrument = p_instrument)
    and not exists (
      select from rescoring_effect w
      where w.organisation_id = a.organisation_id and w.rescoring_id = a.rescoring_id and w.effect = 'withdrawn'
        and (p_as_of is null or w.at <= p_as_of));

  if runs is null then
    return query
      select r.instrument, s.scale, r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)::text,
             r.instrument_version, r.variant, s.value, s.status, s.valid, r.root_id is not null
      from (
        select r.* from response r
        where r.client_id = p_client_id and r.answered_at > '-infinity'
          and (p_instrument is null or r.instrument = p_instrument)
          and (p_episode_id is null or r.episode_id = p_episode_id)
          and (p_as_of is null or r.recorded_at <= p_as_of)
          and not exists (
            select from superseded x
            where x.organisation_id = r.organisation_id and x.response_id = r.id
              and (p_as_of is null or x.at <= p_as_of))
        offset 0  -- kept apart, or what is superseded would be looked up for each score instead of each response
      ) r
      join score s on s.organisation_id = r.organisation_id and s.response_id = r.id
      where p_scale is null or s.scale = p_scale;
  else
    return query
      select r.instrument, s.scale, r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)::text,
             coalesce(versions[r.place], r.instrument_version), r.variant, s.value, s.status, s.valid,
             r.root_id is not null
      from (
        select r.*, (
          select n.place from generate_subscripts(runs, 1) n (place)
          where codes[n.place] = r.instrument and exists (
            select from rescored x
            where x.organisation_id = r.organisation_id and x.response_id = r.id and x.rescoring_id = runs[n.place])
          order by n.place limit 1) as place
        from response r
        where r.client_id = p_client_id and r.answered_at > '-infinity'
          and (p_instrument is null or r.instrument = p_instrument)
          and (p_episode_id is null or r.episode_id = p_episode_id)
          and (p_as_of is null or r.recorded_at <= p_as_of)
          and not exists (
            select from superseded x
            where x.organisation_id = r.organisation_id and x.response_id = r.id
              and (p_as_of is null or x.at <= p_as_of))
        offset 0
      ) r
      cross join lateral (
        select s.scale, s.value, s.status, s.valid from score s
        where r.place is null and s.organisation_id = r.organisation_id and s.response_id = r.id
        union all
        select x.scale, x.value, x.status, x.valid from rescored x
        where x.organisation_id = r.organisation_id and x.response_id = r.id and x.rescoring_id = runs[r.place]
      ) s
      where p_scale is null or s.scale = p_scale;
  end if;
  if not found then
    return next;
  end if;
end
$$
"""


def _progress(function: str) -> None:
    op.execute("drop function read_progress")
    op.execute(function)
    op.execute("revoke execute on function read_progress from public")
    op.execute(f"grant execute on function read_progress to {SERVICE}")


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_table(
        "rescoring",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=True),
        sa.Column("from_version", sa.Integer(), nullable=False),
        sa.Column("from_checksum", sa.Text(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column("to_checksum", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cursor", sa.Uuid(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("report", api.db.JSONText(), nullable=True),
        sa.CheckConstraint(
            "state in ('queued', 'running', 'stopped', 'done', 'failed', 'withdrawn')",
            name=op.f("ck_rescoring_state"),
        ),
        sa.CheckConstraint("(state = 'failed') = (failure is not null)", name=op.f("ck_rescoring_failure")),
        sa.CheckConstraint("done >= 0 and total >= 0", name=op.f("ck_rescoring_counts")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_rescoring_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_rescoring")),
    )
    op.create_index(
        "ix_rescoring_unfinished",
        "rescoring",
        ["instrument", "organisation_id"],
        unique=True,
        postgresql_where=sa.text("state in ('queued', 'running', 'stopped') and not dry_run"),
    )
    op.create_table(
        "rescoring_effect",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("rescoring_id", sa.Uuid(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("effect in ('applied', 'withdrawn')", name=op.f("ck_rescoring_effect_effect")),
        sa.ForeignKeyConstraint(
            ["organisation_id", "rescoring_id"],
            ["rescoring.organisation_id", "rescoring.id"],
            name=op.f("fk_rescoring_effect_rescoring"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "rescoring_id", "effect", name=op.f("pk_rescoring_effect")),
    )
    op.create_table(
        "rescored",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("response_id", sa.Uuid(), nullable=False),
        sa.Column("rescoring_id", sa.Uuid(), nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(value is not null) = (status in ('complete', 'prorated'))", name=op.f("ck_rescored_value_by_status")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "response_id", "rescoring_id", "scale", name=op.f("pk_rescored")),
    )
    for table in APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table} "
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
    _progress(READ_PROGRESS)


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    _progress(import_module("migrations.versions.0011_corrections").READ_PROGRESS)
    for table in reversed(RIGHTS):
        op.drop_table(table)
