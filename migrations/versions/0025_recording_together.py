"""Responses that arrive together are recorded by one call

Revision: 0025
Date: 2026-11-22 16:10:12.402181
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0025"
down_revision: str | Sequence[str] | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"

# Responses of one organisation that are as most are: `record_response` for each would write the same rows. Which those
# are is told by `recorded`; of the others nothing is kept, not even the key, and the caller gives each to
# `record_response`, which alone decides what becomes of it: those of unknown clients and episodes, those whose key was
# used before, and those that may be worse than the client's baseline, unless the first comparable response has a usable
# score on every scale that is asked about and none is worse by more than its limit.
#
# Arrays have an element for each response, or one for each score, alert or scale of all of them, with the place of its
# response. Lists within are JSON or texts with commas. No lock is waited for longer than the caller's patience: all of
# them would wait. The planner is bound as in 0013, also to one plan for whatever number of responses.
RECORD_RESPONSES = """
create function record_responses(
  p_organisation_id uuid, p_margin integer, p_patience text,
  p_ids uuid[], p_event_ids uuid[], p_subjects text[], p_roles text[], p_request_ids text[],
  p_keys text[], p_request_hashes bytea[],
  p_client_ids uuid[], p_episode_ids uuid[], p_instruments text[], p_instrument_versions integer[],
  p_definition_checksums text[], p_variants text[], p_answers text[], p_settings text[],
  p_answered_at timestamptz[], p_recorded_at timestamptz[], p_documents text[], p_valid boolean[],
  p_organs json[], p_partner boolean[], p_outside_organs text[], p_outside_partner text[], p_outside text[],
  p_versions text[], p_alike text[],
  p_score_places integer[], p_scales text[], p_values double precision[], p_statuses text[], p_valids boolean[],
  p_alert_places integer[], p_alert_ids uuid[], p_kinds text[], p_rules text[], p_items text[], p_alert_scales text[],
  p_severities text[],
  p_worse_places integer[], p_worse_scales text[], p_worse_values double precision[], p_worse_limits double precision[],
  out recorded boolean[], out documents text[]
) language plpgsql security definer set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  warned text[];
  rescored text[];
  ours uuid[];
  within boolean;
  n integer;
begin
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true),
          set_config('lock_timeout', p_patience, true);

  select array_agg(g.known order by g.place), array_agg(g.warned order by g.place) into recorded, warned
  from (
    select g.place, c.known is true as known,
           concat_ws(',', case when c.organs is not null and g.organs is not null
                                    and not c.organs && array(select json_array_elements_text(g.organs))
                               then g.outside_organs end,
                          case when g.partner and not c.partnered then g.outside_partner end, g.outside) as warned
    from unnest(p_client_ids, p_organs, p_partner, p_outside_organs, p_outside_partner, p_outside)
         with ordinality g (client_id, organs, partner, outside_organs, outside_partner, outside, place)
    left join lateral (
      select true as known, organs, partnered from client where organisation_id = p_organisation_id and id = g.client_id
      offset 0
    ) c on true
  ) g;

  if cardinality(array_remove(p_episode_ids, null)) > 0 then
    for n in select generate_subscripts(p_ids, 1) loop
      if recorded[n] and p_episode_ids[n] is not null then
        -- Locked as in `record_response`.
        select (p_answered_at[n] at time zone 'utc')::date
               between started_on - p_margin and coalesce(ended_on, 'infinity') + p_margin into within
        from episode
        where organisation_id = p_organisation_id and id = p_episode_ids[n] and client_id = p_client_ids[n] for share;
        recorded[n] := found and within;
      end if;
    end loop;
  end if;

  if cardinality(p_worse_places) > 0 then
    select array_agg(g.instrument) into rescored
    from rescoring_effect a
    join rescoring g on g.organisation_id = a.organisation_id and g.id = a.rescoring_id
    where a.organisation_id = p_organisation_id and a.effect = 'applied' and g.instrument = any (p_instruments)
      and not exists (
        select from rescoring_effect w
        where w.organisation_id = a.organisation_id and w.rescoring_id = a.rescoring_id and w.effect = 'withdrawn');
    for n in
      select g.place
      from unnest(p_ids, p_client_ids, p_episode_ids, p_instruments, p_answered_at, p_recorded_at, p_versions, p_alike)
           with ordinality g (id, client_id, episode_id, instrument, answered_at, recorded_at, versions, alike, place)
      where g.place = any (p_worse_places) and (
        g.instrument = any (rescored)
        or exists (
          select from (
            select r.id from response r
            where r.client_id = g.client_id and r.instrument = g.instrument and r.answered_at <= g.answered_at
              and (r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)) < (g.answered_at, g.recorded_at, g.id)
              and r.instrument_version = any (string_to_array(g.versions, ',')::integer[])
              and r.variant = any (string_to_array(g.alike, ','))
              and (g.episode_id is null or r.episode_id = g.episode_id)
              and not exists (
                select from superseded x where x.organisation_id = p_organisation_id and x.response_id = r.id)
            order by r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)
            limit 1
          ) earlier
          cross join unnest(p_worse_places, p_worse_scales, p_worse_values, p_worse_limits)
                     w (place, scale, value, worst)
          left join score s on s.organisation_id = p_organisation_id and s.response_id = earlier.id
                           and s.scale = w.scale and s.valid and s.value is not null
          where w.place = g.place and (s.value is null or (w.value - s.value) * sign(w.worst) > abs(w.worst))))
    loop
      recorded[n] := false;
    end loop;
  end if;

  with kept as (
    insert into idempotency_key (organisation_id, subject, key, request_hash, response_id, created_at)
    select p_organisation_id, k.subject, k.key, k.request_hash, k.id, k.at
    from unnest(p_subjects, p_keys, p_request_hashes, p_ids, p_recorded_at)
         with ordinality k (subject, key, request_hash, id, at, place)
    where k.key is not null and recorded[k.place]
    on conflict do nothing
    returning response_id
  )
  select array_agg(response_id) into ours from kept;
  recorded := array(
    select recorded[k.place] and (k.key is null or k.id = any (ours))
    from unnest(p_keys, p_ids) with ordinality k (key, id, place) order by k.place);
  if not true = any (recorded) then
    return;
  end if;

  if array_remove(warned, '') <> '{}' then
    documents := array(
      select case when d.warned <> '' then
               left(d.document, -2) || case when right(d.document, 3) = '[]}' then '' else ',' end
               || d.warned || ']}' end
      from unnest(p_documents, warned) with ordinality d (document, warned, place) order by d.place);
  end if;
  insert into response (organisation_id, id, client_id, instrument, instrument_version, definition_checksum, variant,
                        answers, setting, answered_at, recorded_at, recorded_by, document, valid, episode_id)
  select p_organisation_id, r.id, r.client_id, r.instrument, r.instrument_version, r.definition_checksum, r.variant,
         r.answers::jsonb, r.setting, r.answered_at, r.recorded_at, r.subject,
         coalesce(documents[r.place], r.document)::json, r.valid, r.episode_id
  from unnest(p_ids, p_client_ids, p_instruments, p_instrument_versions, p_definition_checksums, p_variants, p_answers,
              p_settings, p_answered_at, p_recorded_at, p_subjects, p_documents, p_valid, p_episode_ids)
       with ordinality r (id, client_id, instrument, instrument_version, definition_checksum, variant, answers,
                          setting, answered_at, recorded_at, subject, document, valid, episode_id, place)
  where recorded[r.place];
  insert into score (organisation_id, response_id, scale, value, status, valid)
  select p_organisation_id, p_ids[s.place], s.scale, s.value, s.status, s.valid
  from unnest(p_score_places, p_scales, p_values, p_statuses, p_valids) s (place, scale, value, status, valid)
  where recorded[s.place];
  insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, outcome)
  select p_organisation_id, e.id, e.at, e.subject, e.role, 'record', 'response', e.response_id, e.request_id, 'created'
  from unnest(p_event_ids, p_recorded_at, p_subjects, p_roles, p_ids, p_request_ids)
       with ordinality e (id, at, subject, role, response_id, request_id, place)
  where recorded[e.place];
  insert into outbox (organisation_id, id, topic, resource_id, created_at)
  select p_organisation_id, o.id, 'response.recorded', o.response_id, o.at
  from unnest(p_event_ids, p_ids, p_recorded_at) with ordinality o (id, response_id, at, place)
  where recorded[o.place];
  if cardinality(p_alert_ids) > 0 then
    insert into alert (organisation_id, id, response_id, client_id, kind, rule, item, scale, severity, created_at)
    select p_organisation_id, a.id, p_ids[a.place], p_client_ids[a.place], a.kind, a.rule, a.item, a.scale, a.severity,
           p_recorded_at[a.place]
    from unnest(p_alert_places, p_alert_ids, p_kinds, p_rules, p_items, p_alert_scales, p_severities)
         a (place, id, kind, rule, item, scale, severity)
    where recorded[a.place];
    insert into outbox (organisation_id, id, topic, resource_id, created_at)
    select p_organisation_id, a.id, 'alert.raised', a.id, p_recorded_at[a.place]
    from unnest(p_alert_places, p_alert_ids) a (place, id)
    where recorded[a.place];
  end if;
end
$$
"""


def upgrade() -> None:
    op.execute(RECORD_RESPONSES)
    op.execute("revoke execute on function record_responses from public")
    op.execute(f"grant execute on function record_responses to {SERVICE}")


def downgrade() -> None:
    op.execute("drop function record_responses")
