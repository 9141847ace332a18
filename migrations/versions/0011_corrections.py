"""Corrections: amended and void responses, what is no longer current, and reading progress as it is or as it was

Revision: 0011
Date: 2026-11-22 09:58:20.174402

Nothing that was recorded is changed. An amendment is a row of `response` like any other, with scores and alerts of its
own, that names the first row of its response; `superseded` says which rows no longer hold, since when, by whom and why.
"""

from collections.abc import Sequence
from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | Sequence[str] | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"

# What an amendment and a void response have in common: idempotency as in recording, the row that is to be replaced
# taken, audit and outbox. Of those who want to replace one row at once, one inserts its key and the others wait at it
# until that one has committed, then are stale; so are those who read before somebody else's correction. `superseded`
# is written here and nowhere else. The service has no right to call it: it goes through the two functions below.
SUPERSEDE = """
create function supersede_response(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text, p_key text, p_request_hash bytea,
  p_root_id uuid, p_current_id uuid, p_by_id uuid, p_reason_code text, p_reason_sealed bytea, p_at timestamptz,
  p_event_id uuid,
  out outcome text, out response_id uuid
) language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
declare
  kept idempotency_key;
begin
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true);
  response_id := coalesce(p_by_id, p_root_id);
  if p_key is not null then
    insert into idempotency_key (organisation_id, subject, key, request_hash, response_id, created_at)
    values (p_organisation_id, p_subject, p_key, p_request_hash, response_id, p_at)
    on conflict do nothing;
    if not found then
      select * into strict kept from idempotency_key
      where organisation_id = p_organisation_id and subject = p_subject and key = p_key;
      response_id := case when kept.request_hash = p_request_hash then kept.response_id end;
      outcome := case when response_id is null then 'conflict' else 'replayed' end;
      return;
    end if;
  end if;

  insert into superseded (organisation_id, response_id, root_id, by_response_id, reason_code, reason_sealed, at, by)
  select p_organisation_id, r.id, p_root_id, p_by_id, p_reason_code, p_reason_sealed, p_at, p_subject
  from response r
  where r.organisation_id = p_organisation_id and r.id = p_current_id and coalesce(r.root_id, r.id) = p_root_id
  on conflict do nothing;
  if not found then
    if p_key is not null then  -- a refused request does not use its key up
      delete from idempotency_key
      where organisation_id = p_organisation_id and subject = p_subject and key = p_key;
    end if;
    outcome := 'stale';
    response_id := null;
    return;
  end if;
  insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, outcome)
  values (p_organisation_id, p_event_id, p_at, p_subject, p_role,
          case when p_by_id is null then 'void' else 'amend' end, 'response', p_root_id, p_request_id, 'done');
  insert into outbox (organisation_id, id, topic, resource_id, created_at)
  values (p_organisation_id, p_event_id, case when p_by_id is null then 'response.voided' else 'response.amended' end,
          p_root_id, p_at);
  outcome := 'created';
end
$$
"""

VOID = """
create function void_response(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text, p_key text, p_request_hash bytea,
  p_root_id uuid, p_current_id uuid, p_reason_code text, p_reason_sealed bytea, p_at timestamptz, p_event_id uuid,
  out outcome text, out response_id uuid
) language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  select * from supersede_response(p_organisation_id, p_subject, p_role, p_request_id, p_key, p_request_hash,
                                   p_root_id, p_current_id, null, p_reason_code, p_reason_sealed, p_at, p_event_id)
$$
"""

# The new row is the old one with what an amendment may change: whatever further columns a response has stay as they
# were. What the instrument was not made for is told as in recording, by the client's situation of now.
AMEND = """
create function amend_response(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text, p_key text, p_request_hash bytea,
  p_root_id uuid, p_current_id uuid, p_reason_code text, p_reason_sealed bytea, p_at timestamptz, p_event_id uuid,
  p_id uuid, p_instrument_version integer, p_definition_checksum text, p_variant text, p_answers jsonb, p_setting text,
  p_answered_at timestamptz, p_episode_id uuid, p_margin integer, p_document json, p_valid boolean,
  p_scales text[], p_values double precision[], p_statuses text[], p_valids boolean[],
  p_alert_ids uuid[], p_rules text[], p_items text[], p_severities text[],
  p_organs text[], p_partner boolean, p_outside text[],
  out outcome text, out response_id uuid, out document text
) language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
declare
  made record;
  fresh response;
  person record;
  within boolean;
  warned text;
begin
  select * into strict made
  from supersede_response(p_organisation_id, p_subject, p_role, p_request_id, p_key, p_request_hash,
                          p_root_id, p_current_id, p_id, p_reason_code, p_reason_sealed, p_at, p_event_id);
  outcome := made.outcome;
  response_id := made.response_id;
  if outcome <> 'created' then
    return;
  end if;

  select * into strict fresh from response r where r.organisation_id = p_organisation_id and r.id = p_current_id;
  select c.organs, c.partnered into strict person from client c
  where c.organisation_id = p_organisation_id and c.id = fresh.client_id;
  if p_episode_id is not null
     and (p_episode_id, p_answered_at) is distinct from (fresh.episode_id, fresh.answered_at) then
    select (p_answered_at at time zone 'utc')::date
           between e.started_on - p_margin and coalesce(e.ended_on, 'infinity') + p_margin into within
    from episode e
    where e.organisation_id = p_organisation_id and e.id = p_episode_id and e.client_id = fresh.client_id for share;
    if within is not true then  -- takes back what has been written, the key as well
      raise exception using errcode = case when within is null then 'FL001' else 'FL002' end, message = 'no such episode';
    end if;
  end if;
  warned := concat_ws(',', case when not person.organs && p_organs then p_outside[1] end,
                           case when p_partner and not person.partnered then p_outside[2] end, p_outside[3]);
  document := p_document::text;
  if warned <> '' then
    document := left(document, -2) || case when right(document, 3) = '[]}' then '' else ',' end || warned || ']}';
  end if;
  fresh.id := p_id;
  fresh.root_id := p_root_id;
  fresh.revision := fresh.revision + 1;
  fresh.instrument_version := p_instrument_version;
  fresh.definition_checksum := p_definition_checksum;
  fresh.variant := p_variant;
  fresh.answers := p_answers;
  fresh.setting := p_setting;
  fresh.answered_at := p_answered_at;
  fresh.episode_id := p_episode_id;
  fresh.recorded_at := p_at;
  fresh.recorded_by := p_subject;
  fresh.document := document;
  fresh.valid := p_valid;
  insert into response values (fresh.*);
  insert into score (organisation_id, response_id, scale, value, status, valid)
  select p_organisation_id, p_id, s.scale, s.value, s.status, s.valid
  from unnest(p_scales, p_values, p_statuses, p_valids) as s (scale, value, status, valid);
  insert into alert (organisation_id, id, response_id, client_id, rule, item, severity, created_at)
  select p_organisation_id, a.id, p_id, fresh.client_id, a.rule, a.item, a.severity, p_at
  from unnest(p_alert_ids, p_rules, p_items, p_severities) as a (id, rule, item, severity);
  insert into outbox (organisation_id, id, topic, resource_id, created_at)
  select p_organisation_id, a.id, 'alert.raised', a.id, p_at from unnest(p_alert_ids) as a (id);
end
$$
"""

# What 0007 made, without what is superseded, and with a time: then the rows are those recorded by it and not superseded
# by it. A response goes by the id of its first row. The planner is bound as in 0002: what is superseded is looked up by
# its key for each row, and never read as a whole.
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
  if known then
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
    if not found then
      return next;
    end if;
  end if;
end
$$
"""

FUNCTIONS = {"supersede_response": SUPERSEDE, "void_response": VOID, "amend_response": AMEND}


def _progress(function: str) -> None:
    op.execute("drop function read_progress")
    op.execute(function)
    op.execute("revoke execute on function read_progress from public")
    op.execute(f"grant execute on function read_progress to {SERVICE}")


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.add_column("response", sa.Column("root_id", sa.Uuid(), nullable=True))
    op.add_column("response", sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False))
    # Only amendments are in it: recording a new response writes no entry.
    op.create_index(
        "ix_response_root_id_revision",
        "response",
        ["root_id", "revision"],
        unique=True,
        postgresql_where=sa.text("root_id is not null"),
    )
    op.create_table(
        "superseded",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("response_id", sa.Uuid(), nullable=False),
        sa.Column("root_id", sa.Uuid(), nullable=False),
        sa.Column("by_response_id", sa.Uuid(), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=False),
        sa.Column("reason_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "response_id"],
            ["response.organisation_id", "response.id"],
            name=op.f("fk_superseded_response"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "by_response_id"],
            ["response.organisation_id", "response.id"],
            name=op.f("fk_superseded_response_by"),
            # The row that is replaced is taken first; that which replaces it is written after it, once it is ours.
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("organisation_id", "response_id", name=op.f("pk_superseded")),
    )
    op.execute(
        "create trigger append_only before update or delete or truncate on superseded "
        "for each statement execute function refuse_change()"
    )
    op.execute("alter table superseded enable row level security")
    op.execute("alter table superseded force row level security")
    op.execute(
        "create policy tenant on superseded "
        f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
    )
    op.execute(f"grant select on superseded to {SERVICE}")
    for name, function in FUNCTIONS.items():
        op.execute(function)
        op.execute(f"revoke execute on function {name} from public")
    for name in ("void_response", "amend_response"):
        op.execute(f"grant execute on function {name} to {SERVICE}")
    _progress(READ_PROGRESS)


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    _progress(import_module("migrations.versions.0007_episodes").READ_PROGRESS)
    for name in reversed(FUNCTIONS):
        op.execute(f"drop function {name}")
    op.drop_table("superseded")
    op.drop_index("ix_response_root_id_revision", table_name="response")
    op.drop_column("response", "revision")
    op.drop_column("response", "root_id")
