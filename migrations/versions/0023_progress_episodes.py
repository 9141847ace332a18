"""Progress says in which episode each answer lies, and which episodes and sessions a client has had

Revision: 0023
Date: 2026-11-22 16:20:00.000000

Still one call: the first row is about the client and holds the episodes, each other is a response with its scores in
arrays. A row a score, as before, took thrice the time to be read by the service, most of it for times told again.
"""

from collections.abc import Sequence
from importlib import import_module

from alembic import op

revision: str = "0023"
down_revision: str | Sequence[str] | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"

# What 0016 made, with a first row that is always there where the client is known: episodes with their sessions that
# took place, as JSON. ``p_around``: what lies outside the episode as well, for a baseline from before it.
READ_PROGRESS = """
create function read_progress(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text, p_event_id uuid,
  p_client_id uuid, p_instrument text, p_scale text, p_episode_id uuid, p_as_of timestamptz, p_around boolean
) returns table (
  instrument text, answered_at timestamptz, recorded_at timestamptz, response_id text, instrument_version integer,
  variant text, amended boolean, episode_id text,
  scales text[], scored double precision[], statuses text[], validities boolean[], episodes text
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

  return query
    select null::text, null::timestamptz, null::timestamptz, null::text, null::integer, null::text, null::boolean,
           null::text, null::text[], null::double precision[], null::text[], null::boolean[], coalesce(json_agg(
             json_build_object(
               'id', e.id, 'started_on', e.started_on, 'ended_on', e.ended_on, 'format', e.format,
               'modality', e.modality, 'sessions', coalesce((
                 select json_agg(
                   json_build_object('held_at', s.held_at, 'modality', coalesce(s.modality, e.modality))
                   order by s.held_at, s.id)
                 from care_session s
                 where s.organisation_id = e.organisation_id and s.episode_id = e.id and s.attendance = 'attended'
                   and (p_as_of is null or s.created_at <= p_as_of)), '[]'::json))
             order by e.started_on, e.id), '[]'::json)::text
    from episode e
    where e.organisation_id = p_organisation_id and e.client_id = p_client_id
      and (p_as_of is null or e.created_at <= p_as_of);

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
      select r.instrument, r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)::text, r.instrument_version,
             r.variant, r.root_id is not null, r.episode_id::text, s.scales, s.scored, s.statuses, s.validities,
             null::text
      from (
        select r.* from response r
        where r.client_id = p_client_id and r.answered_at > '-infinity'
          and (p_instrument is null or r.instrument = p_instrument)
          and (p_episode_id is null or p_around or r.episode_id = p_episode_id)
          and (p_as_of is null or r.recorded_at <= p_as_of)
          and not exists (
            select from superseded x
            where x.organisation_id = r.organisation_id and x.response_id = r.id
              and (p_as_of is null or x.at <= p_as_of))
        offset 0  -- kept apart, or what is superseded would be looked up for each score instead of each response
      ) r
      cross join lateral (
        select array_agg(s.scale) scales, array_agg(s.value) scored, array_agg(s.status) statuses,
               array_agg(s.valid) validities
        from score s
        where s.organisation_id = r.organisation_id and s.response_id = r.id and (p_scale is null or s.scale = p_scale)
      ) s
      where s.scales is not null;
  else
    return query
      select r.instrument, r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)::text,
             coalesce(versions[r.place], r.instrument_version), r.variant, r.root_id is not null, r.episode_id::text,
             s.scales, s.scored, s.statuses, s.validities, null::text
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
          and (p_episode_id is null or p_around or r.episode_id = p_episode_id)
          and (p_as_of is null or r.recorded_at <= p_as_of)
          and not exists (
            select from superseded x
            where x.organisation_id = r.organisation_id and x.response_id = r.id
              and (p_as_of is null or x.at <= p_as_of))
        offset 0
      ) r
      cross join lateral (
        select array_agg(s.scale) scales, array_agg(s.value) scored, array_agg(s.status) statuses,
               array_agg(s.valid) validities
        from (
          select s.scale, s.value, s.status, s.valid from score s
          where r.place is null and s.organisation_id = r.organisation_id and s.response_id = r.id
          union all
          select x.scale, x.value, x.status, x.valid from rescored x
          where x.organisation_id = r.organisation_id and x.response_id = r.id and x.rescoring_id = runs[r.place]
        ) s
        where p_scale is null or s.scale = p_scale
      ) s
      where s.scales is not null;
  end if;
end
$$
"""


def _progress(function: str) -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function read_progress")
    op.execute(function)
    op.execute("revoke execute on function read_progress from public")
    op.execute(f"grant execute on function read_progress to {SERVICE}")


def upgrade() -> None:
    _progress(READ_PROGRESS)


def downgrade() -> None:
    _progress(import_module("migrations.versions.0016_rescoring").READ_PROGRESS)
