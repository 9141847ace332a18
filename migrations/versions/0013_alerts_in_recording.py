"""Alerts in recording and amending: worsening beyond reliable change, and alerts of what no longer holds

Revision: 0013
Date: 2026-11-22 12:36:41.207114
"""

from collections.abc import Sequence
from importlib import import_module

from alembic import op

revision: str = "0013"
down_revision: str | Sequence[str] | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"

# The baseline of each scale that is asked about: the first usable score of the client's responses that hold, in the
# order of progress and before the response itself; and whether the score has changed from it by more than a limit,
# whose sign is the direction in which the scale gets worse. Mostly the first response that can be compared has a usable
# score on every scale, and one look-up is all; if not, responses are gone through in their order until each scale has
# had its baseline. The planner is bound as in 0002, and given a response before it is asked for scores: planned on an
# empty table, a join of the two would read each score of the organisation.
FIND_WORSENING = """
create function find_worsening(
  p_organisation_id uuid, p_client_id uuid, p_instrument text, p_versions integer[], p_variants text[],
  p_episode_id uuid, p_answered_at timestamptz, p_recorded_at timestamptz, p_root_id uuid,
  p_scales text[], p_values double precision[], p_limits double precision[], p_texts text[],
  out places integer[], out baselines uuid[], out changes double precision[], out told text
) language plpgsql security invoker
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  earlier record;
  since timestamptz := '-infinity';
  since_recorded timestamptz := '-infinity';
  since_id uuid := p_root_id;
  known text[];
  points double precision[];
  change double precision;
  place integer;
  waiting integer[] := array(select generate_subscripts(p_scales, 1));
  still integer[];
begin
  loop
    select r.id, coalesce(r.root_id, r.id) as public_id, r.answered_at, r.recorded_at into earlier
    from response r
    where r.client_id = p_client_id and r.instrument = p_instrument
      and r.answered_at >= since and r.answered_at <= p_answered_at
      and (r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)) > (since, since_recorded, since_id)
      and (r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)) < (p_answered_at, p_recorded_at, p_root_id)
      and r.instrument_version = any (p_versions) and r.variant = any (p_variants)
      and (p_episode_id is null or r.episode_id = p_episode_id)
      and not exists (
        select from superseded x where x.organisation_id = p_organisation_id and x.response_id = r.id)
    order by r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)
    limit 1;
    exit when not found;
    select array_agg(s.scale), array_agg(s.value) into known, points from score s
    where s.organisation_id = p_organisation_id and s.response_id = earlier.id and s.valid and s.value is not null;
    still := '{}';
    foreach place in array waiting loop
      change := points[array_position(known, p_scales[place])];
      if change is null then
        still := still || place;
      else
        change := p_values[place] - change;
        if change * sign(p_limits[place]) > abs(p_limits[place]) then
          change := round(change::numeric, 10);
          places := places || place;
          baselines := baselines || earlier.public_id;
          changes := changes || change;
          told := concat_ws(',', told, p_texts[place] || ',"baseline_response_id":"' || earlier.public_id
                                       || '","change":' || change || '}');
        end if;
      end if;
    end loop;
    waiting := still;
    exit when waiting = '{}';
    since := earlier.answered_at;
    since_recorded := earlier.recorded_at;
    since_id := earlier.public_id;
  end loop;
end
$$
"""

# Alerts are told in the document's last member but one, the array before the flags: so many characters stand behind it.
WITH_ALERTS = """
create function with_alerts(p_document text, p_told text, p_tail integer) returns text
language sql immutable as $$
  select left(p_document, -p_tail) || case when right(left(p_document, -p_tail), 1) = '[' then '' else ',' end
         || p_told || right(p_document, p_tail)
$$
"""

RAISE_ALERTS = """
create function raise_alerts(
  p_organisation_id uuid, p_response_id uuid, p_client_id uuid, p_at timestamptz,
  p_alert_ids uuid[], p_kinds text[], p_rules text[], p_items text[], p_scales text[], p_severities text[]
) returns void language plpgsql security invoker as $$
begin
  insert into alert (organisation_id, id, response_id, client_id, kind, rule, item, scale, severity, created_at)
  select p_organisation_id, a.id, p_response_id, p_client_id, a.kind, a.rule, a.item, a.scale, a.severity, p_at
  from unnest(p_alert_ids, p_kinds, p_rules, p_items, p_scales, p_severities) a (id, kind, rule, item, scale, severity);
  insert into outbox (organisation_id, id, topic, resource_id, created_at)
  select p_organisation_id, a.id, 'alert.raised', a.id, p_at from unnest(p_alert_ids) a (id);
end
$$
"""

RAISE_WORSENING = """
create function raise_worsening(
  p_organisation_id uuid, p_response_id uuid, p_client_id uuid, p_at timestamptz,
  p_alert_ids uuid[], p_scales text[], p_severity text,
  p_places integer[], p_baselines uuid[], p_changes double precision[]
) returns void language plpgsql security invoker as $$
begin
  insert into alert (organisation_id, id, response_id, client_id, kind, rule, item, scale, severity, created_at,
                     baseline_id, change)
  select p_organisation_id, p_alert_ids[w.place], p_response_id, p_client_id, 'worsening', 'reliable-change', '',
         p_scales[w.place], p_severity, p_at, w.baseline, w.change
  from unnest(p_places, p_baselines, p_changes) w (place, baseline, change);
  insert into outbox (organisation_id, id, topic, resource_id, created_at)
  select p_organisation_id, p_alert_ids[w.place], 'alert.raised', p_alert_ids[w.place], p_at
  from unnest(p_places) w (place);
end
$$
"""

# What 0007 made. Alerts say of which kind they are, and scales whose score can be worse than some baseline by more than
# measurement error are held against the client's: what is found is told in the document before that is written.
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
  p_kinds text[], p_alert_scales text[],
  p_worse_ids uuid[], p_worse_scales text[], p_worse_values double precision[], p_worse_limits double precision[],
  p_worse_severity text, p_worse_texts text[], p_versions integer[], p_variants text[], p_tail integer,
  out outcome text, out response_id uuid, out document text
) language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
declare
  kept idempotency_key;
  person record;
  within boolean;
  warned text;
  places integer[];
  baselines uuid[];
  changes double precision[];
  told text;
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

  if cardinality(p_worse_ids) > 0 then
    select * into places, baselines, changes, told from find_worsening(
      p_organisation_id, p_client_id, p_instrument, p_versions, p_variants, p_episode_id, p_answered_at, p_recorded_at,
      p_id, p_worse_scales, p_worse_values, p_worse_limits, p_worse_texts);
    if places is not null then
      document := with_alerts(p_document::text, told, p_tail);
      p_document := document;
    end if;
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
    perform raise_alerts(
      p_organisation_id, p_id, p_client_id, p_recorded_at, p_alert_ids, p_kinds, p_rules, p_items, p_alert_scales, p_severities);
  end if;
  if places is not null then
    perform raise_worsening(
      p_organisation_id, p_id, p_client_id, p_recorded_at, p_worse_ids, p_worse_scales, p_worse_severity,
      places, baselines, changes);
  end if;
  outcome := 'created';
  response_id := p_id;  -- the document is sent back only where it is no longer the caller's own
end
$$
"""

# What 0011 made, and the alerts of what no longer holds wait for nobody.
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
  update alert a set status = 'superseded'
  where a.organisation_id = p_organisation_id and a.response_id = p_current_id;
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

# What 0011 made, with alerts as in recording.
AMEND = """
create function amend_response(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text, p_key text, p_request_hash bytea,
  p_root_id uuid, p_current_id uuid, p_reason_code text, p_reason_sealed bytea, p_at timestamptz, p_event_id uuid,
  p_id uuid, p_instrument_version integer, p_definition_checksum text, p_variant text, p_answers jsonb, p_setting text,
  p_answered_at timestamptz, p_episode_id uuid, p_margin integer, p_document json, p_valid boolean,
  p_scales text[], p_values double precision[], p_statuses text[], p_valids boolean[],
  p_alert_ids uuid[], p_rules text[], p_items text[], p_severities text[],
  p_organs text[], p_partner boolean, p_outside text[],
  p_kinds text[], p_alert_scales text[],
  p_worse_ids uuid[], p_worse_scales text[], p_worse_values double precision[], p_worse_limits double precision[],
  p_worse_severity text, p_worse_texts text[], p_versions integer[], p_variants text[], p_tail integer,
  out outcome text, out response_id uuid, out document text
) language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
declare
  made record;
  fresh response;
  person record;
  within boolean;
  warned text;
  places integer[];
  baselines uuid[];
  changes double precision[];
  told text;
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
  if cardinality(p_worse_ids) > 0 then
    select * into places, baselines, changes, told from find_worsening(
      p_organisation_id, fresh.client_id, fresh.instrument, p_versions, p_variants, p_episode_id, p_answered_at, p_at,
      p_root_id, p_worse_scales, p_worse_values, p_worse_limits, p_worse_texts);
    if places is not null then
      document := with_alerts(document, told, p_tail);
    end if;
  end if;
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
  perform raise_alerts(
    p_organisation_id, p_id, fresh.client_id, p_at, p_alert_ids, p_kinds, p_rules, p_items, p_alert_scales,
    p_severities);
  if places is not null then
    perform raise_worsening(
      p_organisation_id, p_id, fresh.client_id, p_at, p_worse_ids, p_worse_scales, p_worse_severity,
      places, baselines, changes);
  end if;
end
$$
"""

OWN = {
    "find_worsening": FIND_WORSENING,
    "with_alerts": WITH_ALERTS,
    "raise_alerts": RAISE_ALERTS,
    "raise_worsening": RAISE_WORSENING,
}
"""Called by the functions that record and amend, and by nobody else."""


def _replace(name: str, function: str) -> None:
    op.execute(f"drop function {name}")
    op.execute(function)
    op.execute(f"revoke execute on function {name} from public")
    op.execute(f"grant execute on function {name} to {SERVICE}")


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    for name, function in OWN.items():
        op.execute(function)
        op.execute(f"revoke execute on function {name} from public")
    op.execute(SUPERSEDE.replace("create function", "create or replace function"))
    _replace("record_response", RECORD_RESPONSE)
    _replace("amend_response", AMEND)


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    corrections = import_module("migrations.versions.0011_corrections")
    _replace("amend_response", corrections.AMEND)
    _replace("record_response", import_module("migrations.versions.0007_episodes").RECORD_RESPONSE)
    op.execute(corrections.SUPERSEDE.replace("create function", "create or replace function"))
    for name in OWN:
        op.execute(f"drop function {name}")
