"""Recording a response flags a client whose recorded situation the instrument was not made for

Revision: 0006
Date: 2026-11-22 09:30:44.510837
"""

from collections.abc import Sequence
from importlib import import_module

from alembic import op

revision: str = "0006"
down_revision: str | Sequence[str] | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"

# What 0001 made, and the client's organs and partner held against those that the instrument presumes: one round trip
# goes on being enough, and the situation is that of the moment in which the response is recorded.
RECORD_RESPONSE = """
create function record_response(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text,
  p_key text, p_request_hash bytea,
  p_id uuid, p_client_id uuid, p_instrument text, p_instrument_version integer, p_definition_checksum text,
  p_variant text, p_answers jsonb, p_setting text, p_answered_at timestamptz, p_recorded_at timestamptz,
  p_document json, p_valid boolean,
  p_scales text[], p_values double precision[], p_statuses text[], p_valids boolean[],
  p_alert_ids uuid[], p_rules text[], p_items text[], p_severities text[],
  p_event_id uuid, p_organs text[], p_partner boolean, p_outside text[],
  out outcome text, out response_id uuid, out document text
) language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
declare
  kept idempotency_key;
  person record;
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
    if p_key is not null then  -- a refused request does not use its key up
      delete from idempotency_key
      where organisation_id = p_organisation_id and subject = p_subject and key = p_key;
    end if;
    outcome := 'client_unknown';
    return;
  end if;

  -- What the instrument was not made for is told in the document's last member, which is the array of flags.
  warned := concat_ws(',', case when not person.organs && p_organs then p_outside[1] end,
                           case when p_partner and not person.partnered then p_outside[2] end);
  if warned <> '' then
    document := left(p_document::text, -2) || case when right(p_document::text, 3) = '[]}' then '' else ',' end
                || warned || ']}';
    p_document := document;
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
  response_id := p_id;  -- the document is sent back only where it is no longer the caller's own
end
$$
"""


def _replace(function: str) -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function record_response")
    op.execute(function)
    op.execute("revoke execute on function record_response from public")
    op.execute(f"grant execute on function record_response to {SERVICE}")


def upgrade() -> None:
    _replace(RECORD_RESPONSE)


def downgrade() -> None:
    _replace(import_module("migrations.versions.0001_first_tables").RECORD_RESPONSE)
