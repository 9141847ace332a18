"""Episodes of care, their sessions, what a response says of them, and further attributes of clients

Revision: 0007
Date: 2026-11-22 09:55:20.318441
"""

from collections.abc import Sequence
from importlib import import_module

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
RIGHTS = {"episode": "select, insert, update", "care_session": "select, insert, update"}

ATTRIBUTES = {
    "sex_registered_at_birth": sa.Text(),
    "orientation": sa.Text(),
    "relationship_structure": sa.Text(),
    "neurodivergence": postgresql.ARRAY(sa.Text()),
    "languages": postgresql.ARRAY(sa.Text()),
    "menopausal_stage": sa.Text(),
}
"""What a client may say of themselves, besides what 0001 has."""

# What 0006 made, and the episode that the response belongs to, where it names one: it has to be the client's, and the
# day of the answers within it, give or take a margin of days. Without one nothing more is looked up.
RECORD_RESPONSE = """
create function record_response(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text,
  p_key text, p_request_hash bytea,
  p_id uuid, p_client_id uuid, p_instrument text, p_instrument_version integer, p_definition_checksum text,
  p_variant text, p_answers jsonb, p_setting text, p_answered_at timestamptz, p_recorded_at timestamptz,
  p_document json, p_valid boolean,
  p_scales text[], p_values double precision[], p_statuses text[], p_valids boolean[],
  p_alert_ids uuid[], p_rules text[], p_items text[], p_severities text[],
  p_event_id uuid, p_organs text[], p_partner boolean, p_outside text[], p_episode_id uuid, p_margin integer,
  out outcome text, out response_id uuid, out document text
) language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
declare
  kept idempotency_key;
  person record;
  within boolean;
  warned text;
begin
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true);
  if p_key is not null then
    insert into idempotency_key (organisation_id, subject, key, request_hash, response_id, created_at)
    values (p_organisation_id, p_subject, p_key, p_request_hash, p_id, p_recorded_at)
    on conflict do nothing;
    if not found then
      select * into strict kept from idempotency_key
      where organisation_id = p_organisation_id and subject = p_subject and key = p_key;
      if kept.request_hash <> p_request_hash then
        outcome := 'conflict';
        return;
      end if;
      outcome := 'replayed';
      response_id := kept.response_id;
      document := (select document::text from response
                   where organisation_id = p_organisation_id and id = kept.response_id);
      return;
    end if;
  end if;

  select organs, partnered into person from client where organisation_id = p_organisation_id and id = p_client_id;
  if not found then
    outcome := 'client_unknown';
  elsif p_episode_id is not null then
    -- Locked against a change of its days until this response, which such a change has to look for, can be seen.
    select (p_answered_at at time zone 'utc')::date
           between started_on - p_margin and coalesce(ended_on, 'infinity') + p_margin into within
    from episode where organisation_id = p_organisation_id and id = p_episode_id and client_id = p_client_id for share;
    outcome := case when not found then 'episode_unknown' when not within then 'outside_episode' end;
  end if;
  if outcome is not null then
    if p_key is not null then  -- a refused request does not use its key up
      delete from idempotency_key
      where organisation_id = p_organisation_id and subject = p_subject and key = p_key;
    end if;
    return;
  end if;

  -- What the instrument was not made for is told in the document's last member, which is the array of flags: by the
  -- client's row, and what the response itself says of the situation, which the caller has held against the instrument.
  warned := concat_ws(',', case when not person.organs && p_organs then p_outside[1] end,
                           case when p_partner and not person.partnered then p_outside[2] end, p_outside[3]);
  if warned <> '' then
    document := left(p_document::text, -2) || case when right(p_document::text, 3) = '[]}' then '' else ',' end
                || warned || ']}';
    p_document := document;
  end if;

  insert into response (organisation_id, id, client_id, instrument, instrument_version, definition_checksum, variant,
                        answers, setting, answered_at, recorded_at, recorded_by, document, valid, episode_id)
  values (p_organisation_id, p_id, p_client_id, p_instrument, p_instrument_version, p_definition_checksum, p_variant,
          p_answers, p_setting, p_answered_at, p_recorded_at, p_subject, p_document, p_valid, p_episode_id);
  insert into score (organisation_id, response_id, scale, value, status, valid)
  select p_organisation_id, p_id, s.scale, s.value, s.status, s.valid
  from unnest(p_scales, p_values, p_statuses, p_valids) as s (scale, value, status, valid);
  insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, outcome)
  values (p_organisation_id, p_event_id, p_recorded_at, p_subject, p_role, 'record', 'response', p_id, p_request_id,
          'created');
  insert into outbox (organisation_id, id, topic, resource_id, created_at)
  values (p_organisation_id, p_event_id, 'response.recorded', p_id, p_recorded_at);
  if cardinality(p_alert_ids) > 0 then
    insert into alert (organisation_id, id, response_id, client_id, rule, item, severity, created_at)
    select p_organisation_id, a.id, p_id, p_client_id, a.rule, a.item, a.severity, p_recorded_at
    from unnest(p_alert_ids, p_rules, p_items, p_severities) as a (id, rule, item, severity);
    insert into outbox (organisation_id, id, topic, resource_id, created_at)
    select p_organisation_id, a.id, 'alert.raised', a.id, p_recorded_at from unnest(p_alert_ids) as a (id);
  end if;
  outcome := 'created';
  response_id := p_id;  -- the document is sent back only where it is no longer the caller's own
end
$$
"""

# What 0002 made, of one episode if that is asked for. No row means then: no such client, or no such episode of theirs.
READ_PROGRESS = """
create function read_progress(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text, p_event_id uuid,
  p_client_id uuid, p_instrument text, p_scale text, p_episode_id uuid
) returns table (
  instrument text, scale text, answered_at timestamptz, recorded_at timestamptz, response_id text,
  instrument_version integer, variant text, value double precision, status text, valid boolean
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
      select r.instrument, s.scale, r.answered_at, r.recorded_at, r.id::text, r.instrument_version, r.variant,
             s.value, s.status, s.valid
      from response r
      join score s on s.organisation_id = r.organisation_id and s.response_id = r.id
      where r.client_id = p_client_id and r.answered_at > '-infinity'
        and (p_instrument is null or r.instrument = p_instrument)
        and (p_scale is null or s.scale = p_scale)
        and (p_episode_id is null or r.episode_id = p_episode_id);
    if not found then
      return next;
    end if;
  end if;
end
$$
"""


def _replace(name: str, function: str) -> None:
    op.execute(f"drop function {name}")
    op.execute(function)
    op.execute(f"revoke execute on function {name} from public")
    op.execute(f"grant execute on function {name} to {SERVICE}")


def _made(unit: str) -> tuple[sa.Column, ...]:
    return (
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("updated_at >= created_at", name=op.f(f"ck_{unit}_updated_after_created")),
        sa.CheckConstraint("version >= 1", name=op.f(f"ck_{unit}_version")),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f(f"pk_{unit}")),
    )


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    for name, kind in ATTRIBUTES.items():
        op.add_column("client", sa.Column(name, kind, nullable=True))
    op.create_table(
        "episode",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("modality", sa.Text(), nullable=True),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("concerns", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("clinician", sa.Text(), nullable=True),
        *_made("episode"),
        sa.CheckConstraint("ended_on >= started_on", name=op.f("ck_episode_days_in_order")),
        sa.CheckConstraint("(ended_on is null) = (end_reason is null)", name=op.f("ck_episode_end_with_reason")),
        sa.ForeignKeyConstraint(
            ["organisation_id", "client_id"], ["client.organisation_id", "client.id"], name=op.f("fk_episode_client")
        ),
    )
    op.create_index(op.f("ix_episode_client_id_started_on"), "episode", ["client_id", "started_on"])
    op.create_table(
        "care_session",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("episode_id", sa.Uuid(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_on", sa.Date(), nullable=False),
        sa.Column("attendance", sa.Text(), nullable=True),
        sa.Column("modality", sa.Text(), nullable=True),
        *_made("care_session"),
        sa.ForeignKeyConstraint(
            ["organisation_id", "episode_id"],
            ["episode.organisation_id", "episode.id"],
            name=op.f("fk_care_session_episode"),
        ),
    )
    op.create_index(op.f("ix_care_session_episode_id_held_at"), "care_session", ["episode_id", "held_at"])
    for table, rights in RIGHTS.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant on {table} "
            f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
        )
        op.execute(f"grant {rights} on {table} to {SERVICE}")
    op.add_column("response", sa.Column("episode_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_response_episode"), "response", "episode", ["organisation_id", "episode_id"], ["organisation_id", "id"]
    )
    _replace("record_response", RECORD_RESPONSE)
    _replace("read_progress", READ_PROGRESS)


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    _replace("read_progress", import_module("migrations.versions.0002_read_progress").READ_PROGRESS)
    _replace("record_response", import_module("migrations.versions.0006_situation_in_flags").RECORD_RESPONSE)
    op.drop_column("response", "episode_id")
    op.drop_table("care_session")
    op.drop_table("episode")
    for name in ATTRIBUTES:
        op.drop_column("client", name)
