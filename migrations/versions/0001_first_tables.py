"""First tables: organisations, clients, responses and their scores, and the function that records a response

Revision: 0001
Date: 2026-11-22 06:00:45.659187

Every table is confined to one organisation by forced row-level security. What was recorded is append-only twice
over: the service role has no right to change it, and a trigger refuses everyone, the owner included.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"

TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
"""The organisation of the transaction. Unset it is null, which equals nothing: no row is seen or written."""

RIGHTS = {
    "organisation": "select, insert",
    "client": "select, insert, update",
    "response": "select, insert",
    "score": "select",
    "alert": "select, insert, update (status)",
    "audit_event": "select, insert",
    "outbox": "select, insert, update (delivered_at)",
    "idempotency_key": "select, insert, delete",
}
"""What the service may do with each table."""

APPEND_ONLY = ("response", "score", "audit_event")

REFUSE_CHANGE = """
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$
"""

# Scores are written here and nowhere else: the service has no right to insert them. So every score has its response,
# without a foreign key that would look for, and lock, that one response again for each of its scores. The function
# therefore runs as the owner of the tables, whom row-level security binds like everybody (it is forced).
# One call is one round trip and one commit. Idempotency comes first: of concurrent duplicates one inserts the key,
# the others wait at its index entry until that one has committed, then find the response it kept. No block here
# catches exceptions: each would cost a subtransaction.
RECORD_RESPONSE = """
create function record_response(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text,
  p_key text, p_request_hash bytea,
  p_id uuid, p_client_id uuid, p_instrument text, p_instrument_version integer, p_definition_checksum text,
  p_variant text, p_answers jsonb, p_setting text, p_answered_at timestamptz, p_recorded_at timestamptz,
  p_document json, p_valid boolean,
  p_scales text[], p_values double precision[], p_statuses text[], p_valids boolean[],
  p_alert_ids uuid[], p_rules text[], p_items text[], p_severities text[],
  p_event_id uuid,
  out outcome text, out response_id uuid, out document text
) language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
declare
  kept idempotency_key;
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

  perform from client where organisation_id = p_organisation_id and id = p_client_id;
  if not found then
    if p_key is not null then  -- a refused request does not use its key up
      delete from idempotency_key
      where organisation_id = p_organisation_id and subject = p_subject and key = p_key;
    end if;
    outcome := 'client_unknown';
    return;
  end if;

  insert into response (organisation_id, id, client_id, instrument, instrument_version, definition_checksum, variant,
                        answers, setting, answered_at, recorded_at, recorded_by, document, valid)
  values (p_organisation_id, p_id, p_client_id, p_instrument, p_instrument_version, p_definition_checksum, p_variant,
          p_answers, p_setting, p_answered_at, p_recorded_at, p_subject, p_document, p_valid);
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
  response_id := p_id;  -- the document is the caller's own: not sent back
end
$$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    known = op.get_bind().scalar(sa.text("select count(*) from pg_roles where rolname = :role"), {"role": SERVICE})
    if not known:
        raise CommandError(f"there is no role {SERVICE}: create it, then migrate (docs/database.md says how)")
    op.create_table(
        "audit_event",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_audit_event")),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("response_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "subject", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_table(
        "organisation",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_organisation_name")),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name=op.f("ck_organisation_slug")),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("slug", name=op.f("uq_organisation_slug")),
    )
    op.create_table(
        "outbox",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["organisation_id", "id"],
        unique=False,
        postgresql_where=sa.text("delivered_at is null"),
    )
    op.create_table(
        "client",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("external_id_hash", sa.LargeBinary(), nullable=True),
        sa.Column("external_id_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("key_wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("birth_year", sa.Integer(), nullable=True),
        sa.Column("gender", sa.Text(), nullable=True),
        sa.Column("organs", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("partnered", sa.Boolean(), nullable=True),
        sa.Column("research_consent", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "(external_id_hash is null) = (external_id_sealed is null)", name=op.f("ck_client_external_id_both")
        ),
        sa.CheckConstraint("birth_year between 1850 and 2200", name=op.f("ck_client_birth_year")),
        sa.CheckConstraint("octet_length(external_id_hash) = 32", name=op.f("ck_client_external_id_hash")),
        sa.CheckConstraint("updated_at >= created_at", name=op.f("ck_client_updated_after_created")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_client_version")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_client_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_client")),
        sa.UniqueConstraint(
            "external_id_hash", "organisation_id", name=op.f("uq_client_external_id_hash_organisation_id")
        ),
    )
    op.create_table(
        "response",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("instrument_version", sa.Integer(), nullable=False),
        sa.Column("definition_checksum", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("setting", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.CheckConstraint("jsonb_typeof(answers) = 'object'", name=op.f("ck_response_answers_object")),
        sa.ForeignKeyConstraint(
            ["organisation_id", "client_id"], ["client.organisation_id", "client.id"], name=op.f("fk_response_client")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_response")),
    )
    op.create_index(
        "ix_response_series",
        "response",
        ["client_id", "instrument", "answered_at"],
        unique=False,
    )
    op.create_table(
        "alert",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("response_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status in ('open', 'acknowledged')", name=op.f("ck_alert_status")),
        sa.ForeignKeyConstraint(
            ["organisation_id", "client_id"], ["client.organisation_id", "client.id"], name=op.f("fk_alert_client")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "response_id"],
            ["response.organisation_id", "response.id"],
            name=op.f("fk_alert_response"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_alert")),
    )
    op.create_index(op.f("ix_alert_client_id"), "alert", ["client_id"], unique=False)
    op.create_index(op.f("ix_alert_response_id"), "alert", ["response_id"], unique=False)
    op.create_table(
        "score",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("response_id", sa.Uuid(), nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(value is not null) = (status in ('complete', 'prorated'))", name=op.f("ck_score_value_by_status")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "response_id", "scale", name=op.f("pk_score")),
    )
    # A response is about 2.5 kB. Compressing it to fit below the usual 2 kB would take longer than writing it.
    op.execute("alter table response set (toast_tuple_target = 4080)")
    op.execute(REFUSE_CHANGE)
    for table in APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    op.execute(f"grant usage on schema public to {SERVICE}")
    for table, rights in RIGHTS.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant on {table} "
            f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
        )
        op.execute(f"grant {rights} on {table} to {SERVICE}")
    # An issuer's token names a slug; the id, which every other policy wants, is found by it.
    op.execute(
        "create policy tenant_by_slug on organisation for select "
        "using (slug = nullif(current_setting('fathomline.organisation_slug', true), ''))"
    )
    op.execute(RECORD_RESPONSE)
    op.execute("revoke execute on function record_response from public")
    op.execute(f"grant execute on function record_response to {SERVICE}")
    op.execute(f"grant select on alembic_version to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function record_response")
    for table in ("score", "alert", "response", "client", "outbox", "organisation", "idempotency_key", "audit_event"):
        op.drop_table(table)
    op.execute("drop function refuse_change")
    op.execute(f"revoke all on alembic_version from {SERVICE}")
    op.execute(f"revoke usage on schema public from {SERVICE}")
