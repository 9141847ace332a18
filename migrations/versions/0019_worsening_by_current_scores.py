"""Alerts of worsening go by the scores that are current, those of runs too

Revision: 0019
Date: 2026-11-22 13:08:44.518210
"""

from collections.abc import Sequence
from importlib import import_module

from alembic import op

revision: str = "0019"
down_revision: str | Sequence[str] | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# What 0013 made, by the scores that are current, as progress has them since 0016: of the runs that count for the
# instrument, the newest that scored a response gives its scores and version. Where none does, nothing more is looked up.
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
  runs uuid[];
  run_versions integer[];
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
  select array_agg(g.id order by a.at desc, g.id desc), array_agg(g.to_version order by a.at desc, g.id desc)
  into runs, run_versions
  from rescoring_effect a
  join rescoring g on g.organisation_id = a.organisation_id and g.id = a.rescoring_id
  where a.organisation_id = p_organisation_id and a.effect = 'applied' and g.instrument = p_instrument
    and not exists (
      select from rescoring_effect w
      where w.organisation_id = a.organisation_id and w.rescoring_id = a.rescoring_id and w.effect = 'withdrawn');
  loop
    if runs is null then
      select r.id, coalesce(r.root_id, r.id) as public_id, r.answered_at, r.recorded_at, null::integer as run into earlier
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
    else
      select r.id, coalesce(r.root_id, r.id) as public_id, r.answered_at, r.recorded_at, c.run into earlier
      from response r
      cross join lateral (
        select (
          select n.run from generate_subscripts(runs, 1) n (run)
          where exists (
            select from rescored x
            where x.organisation_id = p_organisation_id and x.response_id = r.id and x.rescoring_id = runs[n.run])
          order by n.run limit 1) as run
        offset 0
      ) c
      where r.client_id = p_client_id and r.instrument = p_instrument
        and r.answered_at >= since and r.answered_at <= p_answered_at
        and (r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)) > (since, since_recorded, since_id)
        and (r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)) < (p_answered_at, p_recorded_at, p_root_id)
        and coalesce(run_versions[c.run], r.instrument_version) = any (p_versions) and r.variant = any (p_variants)
        and (p_episode_id is null or r.episode_id = p_episode_id)
        and not exists (
          select from superseded x where x.organisation_id = p_organisation_id and x.response_id = r.id)
      order by r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)
      limit 1;
    end if;
    exit when earlier.id is null;
    if earlier.run is null then
      select array_agg(s.scale), array_agg(s.value) into known, points from score s
      where s.organisation_id = p_organisation_id and s.response_id = earlier.id and s.valid and s.value is not null;
    else
      select array_agg(s.scale), array_agg(s.value) into known, points from rescored s
      where s.organisation_id = p_organisation_id and s.response_id = earlier.id and s.rescoring_id = runs[earlier.run]
        and s.valid and s.value is not null;
    end if;
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


def _replace(function: str) -> None:
    op.execute("drop function find_worsening")
    op.execute(function)
    op.execute("revoke execute on function find_worsening from public")


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    _replace(FIND_WORSENING)


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    _replace(import_module("migrations.versions.0013_alerts_in_recording").FIND_WORSENING)
