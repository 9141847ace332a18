"""Imports: what was asked for, the file while it waits, what was wrong with rows, and writing many responses at once

Revision: 0017
Date: 2026-11-22 12:34:52.718264

Rows come by COPY, which row-level security forbids into tables that it confines. So a batch is copied into a temporary
table, and one function, which alone may write scores, takes it from there. The table is made by the owner of the
tables, in a function of its own: what the service made itself could run code of its choice with the owner's rights.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | Sequence[str] | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
RIGHTS = {
    "import_run": "select, insert, update",
    "import_chunk": "select, insert, delete",
    "import_fault": "select, insert, delete",
}

# A row is read once more and is gone: compressing its document would take longer than anything else does.
OPEN_STAGE = f"""
create function open_import_stage() returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp set client_min_messages = warning as $$
begin
  create temporary table if not exists import_stage (
    row_no bigint, id uuid, client_id uuid, instrument text, instrument_version integer, definition_checksum text,
    variant text, answers text, setting text, answered_at timestamptz, document text, valid boolean, episode_id uuid,
    scales text[], vals double precision[], statuses text[], valids boolean[],
    alert_ids uuid[], kinds text[], rules text[], items text[], alert_scales text[], severities text[]
  ) with (toast_tuple_target = 8160) on commit drop;
  grant insert on import_stage to {SERVICE};
end
$$
"""

# What is there already is left alone: ids are made of what a response says, so the same file twice adds nothing. An id
# that somebody chose and that names something else is told. Of several imports of an organisation one writes at a time,
# so what is not there now is not there when it is written either. Episodes are locked as in recording.
# The planner is bound: a stage of which it knows nothing would have it read whole tables of millions.
IMPORT_RESPONSES = """
create function import_responses(
  p_organisation_id uuid, p_import_id uuid, p_subject text, p_role text, p_request_id text, p_recorded_at timestamptz,
  p_raise boolean, p_margin integer,
  out written integer, out present integer, out taken bigint[]
) language plpgsql security definer set search_path = pg_catalog, public, pg_temp
set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  there integer;
begin
  taken := '{}';
  if not exists (select from pg_class c
                 where c.oid = to_regclass('pg_temp.import_stage') and pg_get_userbyid(c.relowner) = current_user) then
    raise exception 'the stage is not the one that was opened' using errcode = 'insufficient_privilege';
  end if;
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true);
  perform pg_advisory_xact_lock(hashtextextended('import:' || p_organisation_id, 0));

  perform from episode e
  where e.organisation_id = p_organisation_id
    and e.id in (select s.episode_id from import_stage s where s.episode_id is not null)
  order by e.id for share;
  if exists (
    select from import_stage s
    left join episode e on e.organisation_id = p_organisation_id and e.id = s.episode_id and e.client_id = s.client_id
    where s.episode_id is not null
      and ((s.answered_at at time zone 'utc')::date
           between e.started_on - p_margin and coalesce(e.ended_on, 'infinity') + p_margin) is not true
  ) then
    raise exception 'an episode has changed' using errcode = 'FL003';
  end if;

  there := (
    select count(*) from import_stage s
    where exists (select from response r where r.organisation_id = p_organisation_id and r.id = s.id));
  if there > 0 then
    taken := array(
      select s.row_no
      from import_stage s join response r on r.organisation_id = p_organisation_id and r.id = s.id
      where (r.client_id, r.instrument, r.answered_at, jsonb_strip_nulls(r.answers))
            is distinct from (s.client_id, s.instrument, s.answered_at, jsonb_strip_nulls(s.answers::jsonb))
      order by s.row_no);
  end if;
  -- One event for each client of an import, of an id that is made of both: whoever has it from an earlier batch keeps
  -- that one. The time in it is that of the import's own id.
  insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, outcome)
  select p_organisation_id,
         (substr(replace(p_import_id::text, '-', ''), 1, 12) || '7' || substr(c.digest, 1, 3) || '8'
          || substr(c.digest, 4, 15))::uuid,
         p_recorded_at, p_subject, p_role, 'import', 'client', c.client_id, p_request_id, 'done'
  from (
    select d.client_id, encode(sha256(uuid_send(p_import_id) || uuid_send(d.client_id)), 'hex') as digest
    from (select distinct s.client_id from import_stage s) d
  ) c
  on conflict do nothing;

  if there > 0 then
    delete from import_stage s
    where exists (select from response r where r.organisation_id = p_organisation_id and r.id = s.id);
  end if;
  present := there - cardinality(taken);

  insert into response (organisation_id, id, client_id, instrument, instrument_version, definition_checksum, variant,
                        answers, setting, answered_at, recorded_at, recorded_by, document, valid, episode_id)
  select p_organisation_id, s.id, s.client_id, s.instrument, s.instrument_version, s.definition_checksum, s.variant,
         s.answers::jsonb, s.setting, s.answered_at, p_recorded_at, p_subject, s.document::json, s.valid, s.episode_id
  from import_stage s;
  get diagnostics written = row_count;
  insert into score (organisation_id, response_id, scale, value, status, valid)
  select p_organisation_id, s.id, v.scale, v.value, v.status, v.valid
  from import_stage s cross join unnest(s.scales, s.vals, s.statuses, s.valids) v (scale, value, status, valid);
  insert into alert (organisation_id, id, response_id, client_id, kind, rule, item, scale, severity, created_at, origin,
                     status)
  select p_organisation_id, a.id, s.id, s.client_id, a.kind, a.rule, a.item, a.scale, a.severity, p_recorded_at,
         'import', case when p_raise then 'open' else 'historic' end
  from import_stage s
  cross join unnest(s.alert_ids, s.kinds, s.rules, s.items, s.alert_scales, s.severities)
    a (id, kind, rule, item, scale, severity)
  where s.alert_ids is not null;
  if p_raise then
    insert into outbox (organisation_id, id, topic, resource_id, created_at)
    select p_organisation_id, a.id, 'alert.raised', a.id, p_recorded_at
    from import_stage s cross join unnest(s.alert_ids) a (id) where s.alert_ids is not null;
  end if;

  truncate import_stage;
end
$$
"""

# Which imports a worker is to take, the oldest of each organisation that has none under way; and those whose worker has
# given no sign of life for half a minute. Beyond that a worker learns nothing of other organisations.
WAITING = """
create function imports_waiting(p_most integer) returns table (organisation_id uuid, id uuid)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
begin
  perform set_config('fathomline.importing', 'on', true);
  return query
    select distinct on (w.organisation_id) w.organisation_id, w.id
    from import_run w
    where w.state in ('queued', 'running') and w.spooled
      and not exists (
        select from import_run b
        where b.organisation_id = w.organisation_id and b.state = 'running' and b.spooled
          and b.changed_at > clock_timestamp() - interval '30 seconds')
    order by w.organisation_id, w.created_at, w.id
    limit p_most;
  perform set_config('fathomline.importing', '', true);
end
$$
"""

FUNCTIONS = {
    "open_import_stage": OPEN_STAGE,
    "import_responses": IMPORT_RESPONSES,
    "imports_waiting": WAITING,
}


def _count(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_table(
        "import_run",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("compressed", sa.Boolean(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=True),
        sa.Column("on_error", sa.Text(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("alerts", sa.Text(), nullable=False),
        sa.Column("create_clients", sa.Boolean(), nullable=False),
        sa.Column("spooled", sa.Boolean(), nullable=False),
        sa.Column("key_wrapped", sa.LargeBinary(), nullable=True),
        *map(
            _count,
            (
                "bytes_received",
                "bytes_read",
                "rows_read",
                "rows_bad",
                "rows_present",
                "rows_written",
                "clients_created",
                "faults",
            ),
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failure_code", sa.Text(), nullable=True),
        sa.Column("failure_detail", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('uploading', 'queued', 'running', 'finished', 'failed', 'cancelled')",
            name=op.f("ck_import_run_state"),
        ),
        sa.CheckConstraint(
            "format in ('csv', 'ndjson') and layout in ('wide', 'long')", name=op.f("ck_import_run_format")
        ),
        sa.CheckConstraint("on_error in ('all-or-nothing', 'skip-bad')", name=op.f("ck_import_run_on_error")),
        sa.CheckConstraint("alerts in ('keep', 'raise')", name=op.f("ck_import_run_alerts")),
        sa.CheckConstraint(
            "(finished_at is not null) = (state in ('finished', 'failed', 'cancelled'))",
            name=op.f("ck_import_run_finished_at_end"),
        ),
        sa.CheckConstraint(
            "(failure_code is not null) = (state = 'failed')", name=op.f("ck_import_run_failure_where_failed")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_import_run_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_import_run")),
    )
    op.create_index(
        "ix_import_run_under_way",
        "import_run",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state in ('uploading', 'queued', 'running')"),
    )
    op.create_table(
        "import_chunk",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "import_id"],
            ["import_run.organisation_id", "import_run.id"],
            name=op.f("fk_import_chunk_import_run"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "import_id", "start", name=op.f("pk_import_chunk")),
    )
    # What is sealed does not compress: trying to would only take time.
    op.execute("alter table import_chunk alter column sealed set storage external")
    op.create_table(
        "import_fault",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("pointer", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "import_id"],
            ["import_run.organisation_id", "import_run.id"],
            name=op.f("fk_import_fault_import_run"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "import_id", "number", name=op.f("pk_import_fault")),
    )
    for table, rights in RIGHTS.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant on {table} "
            f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
        )
        op.execute(f"grant {rights} on {table} to {SERVICE}")
    # So that `imports_waiting` sees those of all organisations; the setting alone gives nobody else the right.
    op.execute(
        "create policy waiting on import_run for select to current_user "
        "using (current_setting('fathomline.importing', true) = 'on')"
    )
    for name, function in FUNCTIONS.items():
        op.execute(function)
        op.execute(f"revoke execute on function {name} from public")
        op.execute(f"grant execute on function {name} to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    for name in FUNCTIONS:
        op.execute(f"drop function {name}")
    for table in ("import_fault", "import_chunk", "import_run"):
        op.drop_table(table)
