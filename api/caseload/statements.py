"""SQL of a caseload: one read of where all of its clients stand, and of a page what is shown.

Rows of large tables are looked up by an index for each client or each pair of client and instrument, each in a lateral
query with a limit or an offset, which keeps the planner from joining it: planned on empty tables, as statements may be,
a join could read all that the organisation has for each row. What is asked for besides is decided in memory.

A score is **usable** that has a value, is valid, and is of a response that holds. The first and the last of a pair are
nearly always the first and the last response: these are tried by themselves, and only where one of them is not usable,
or another was answered at the same moment, are the others gone through. Each response lies on a page of its own, so
what need not be read is not. Where scores of a re-scoring count, each response is asked whose they are.
"""

from __future__ import annotations

from typing import Final

SETTINGS: Final = """
select set_config('fathomline.organisation_id', $1, true), set_config('enable_seqscan', 'off', true),
  set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true)
"""
# $1 the organisation, $2 the clinician (null: all), $3 a concern (null: any); `of` has the clinician, for an index.
MINE: Final = """
select e.client_id, coalesce(string_agg(nullif(array_to_string(e.concerns, ','), ''), ','
                                        order by e.started_on desc, e.id desc), '') as concerns
from episode e
where e.organisation_id = $1 and e.ended_on is null {of}
group by e.client_id
having $3::text is null or bool_or($3 = any (e.concerns))
order by e.client_id
"""
OF_CLINICIAN: Final = "and e.clinician = $2"
OF_ALL: Final = "and $2::text is null"

CARE: Final = """
select e.format, e.modality
from unnest($1::uuid[]) with ordinality m (client_id, place)
cross join lateral (
  select e.format, e.modality from episode e
  where e.client_id = m.client_id and e.ended_on is null and e.started_on > '-infinity'
  order by e.started_on desc, e.id desc limit 1
) e
order by m.place
"""
"""Of clients who have an open episode the newest, of any clinician: what progress goes by as well."""

RUNS: Final = """
select array_agg(g.id order by a.at desc, g.id desc), array_agg(g.to_version order by a.at desc, g.id desc),
       array_agg(g.instrument order by a.at desc, g.id desc)
from rescoring_effect a
join rescoring g on g.organisation_id = a.organisation_id and g.id = a.rescoring_id
where a.organisation_id = $1 and a.effect = 'applied'
  and not exists (
    select from rescoring_effect w
    where w.organisation_id = a.organisation_id and w.rescoring_id = a.rescoring_id and w.effect = 'withdrawn')
"""
"""The runs whose scores count, the newest first, as `read_progress` has it."""

_HOLDS: Final = (
    "(select x.response_id from superseded x where x.organisation_id = $1 and x.response_id = {row}.id) is null"
)
_ORDER: Final = "r.answered_at {way}, r.recorded_at {way}, coalesce(r.root_id, r.id) {way}"
_SCORE: Final = "s.organisation_id = $1 and s.response_id = {row}.id and s.scale = {scale}"
_USABLE: Final = "s.valid and s.value is not null"

# Of a response `r` of an instrument: version, value, status and validity of a scale's current score.
RECORDED: Final = f"""
select r.instrument_version as version, s.value, s.status, s.valid from score s
where {_SCORE.format(row="r", scale="p.scale")}
"""  # noqa: S608  - nothing but the constants above
CURRENT: Final = f"""
select case when g.run is null then r.instrument_version else ($runs_versions)[g.run] end as version,
       c.value, c.status, c.valid
from (
  select (select n.run from generate_subscripts($runs_ids, 1) n (run)
          where ($runs_codes)[n.run] = p.instrument and exists (
            select from rescored x
            where x.organisation_id = $1 and x.response_id = r.id and x.rescoring_id = ($runs_ids)[n.run])
          order by n.run limit 1) as run
  offset 0
) g
cross join lateral (
  select s.value, s.status, s.valid from score s
  where g.run is null and {_SCORE.format(row="r", scale="p.scale")}
  union all
  select s.value, s.status, s.valid from rescored s
  where {_SCORE.format(row="r", scale="p.scale")} and s.rescoring_id = ($runs_ids)[g.run]
) c
"""  # noqa: S608  - nothing but the constants above


def _scores(first_run: int | None) -> str:
    """Where scores come from; with the number of the first of three parameters, the runs that count."""
    if first_run is None:
        return RECORDED
    kinds = {"ids": "uuid[]", "versions": "integer[]", "codes": "text[]"}
    found = CURRENT
    for number, (name, kind) in enumerate(kinds.items(), first_run):
        found = found.replace(f"$runs_{name}", f"${number}::{kind}")
    return found


def _usable(way: str, scores: str, further: str = "") -> str:
    """The first (`asc`) or last (`desc`) usable score of a pair ``p``, by the order of progress."""
    return f"""
select r.id, s.version, r.variant, s.value, r.answered_at as at
from response r
cross join lateral (select * from ({scores}) s where {_USABLE} limit 1) s
where r.client_id = p.client_id and r.instrument = p.instrument and r.answered_at > '-infinity'
  and {_HOLDS.format(row="r")} {further}
order by {_ORDER.format(way=way)} limit 1
"""  # noqa: S608  - nothing but the constants above


def _tried(row: str, way: str) -> str:
    """The same where the first or last response is at hand as ``row``, unless it is one of several of that moment."""
    return f"""
select * from (
  select {row}.id, {row}.version, {row}.variant, s.value, {row}.at from score s
  where {_SCORE.format(row=row, scale="p.scale")} and {_USABLE} and {_HOLDS.format(row=row)}
    and not exists (
      select from response t
      where t.client_id = p.client_id and t.instrument = p.instrument and t.answered_at = {row}.at and t.id <> {row}.id)
  union all
  select * from ({_usable(way, RECORDED)}) u
) u limit 1
"""  # noqa: S608  - nothing but the constants above


_FIRST_OF_NEXT: Final = """
select r.instrument, r.id, r.instrument_version, r.variant, r.answered_at from response r
where r.client_id = {client}.client_id {after}
order by r.instrument, r.answered_at limit 1
"""


def standings(*, runs: bool) -> str:
    """SQL of the first and last usable scores of clients, in arrays by instrument, versions and variants.

    ``$2``, ``$3``: clients, and the concerns of each separated by commas. ``$4``, ``$5``, ``$6``: codes of instruments,
    the scale of each, and its concerns. Of a client's instruments those are left out that none of the client's concerns
    is one of, unless that leaves none. ``$7`` to ``$9``: the runs that count. Clients and instruments are told by their
    places in these lists, and times as seconds of the epoch.
    """
    if runs:
        ends = f"""
left join lateral ({_usable("asc", _scores(7))}) f on true
left join lateral ({_usable("desc", _scores(7))}) l on true
"""
    else:
        ends = f"""
cross join lateral (
  select r.id, r.instrument_version as version, r.variant, r.answered_at as at from response r
  where r.client_id = p.client_id and r.instrument = p.instrument
  order by r.answered_at desc limit 1
) n
left join lateral ({_tried("p", "asc")}) f on true
left join lateral ({_tried("n", "desc")}) l on true
"""  # noqa: S608  - nothing but the constants above
    return f"""
with recursive mine as materialized (
  select u.place::integer - 1 as place, u.client_id, string_to_array(u.concerns, ',') as concerns
  from unnest($2::uuid[], $3::text[]) with ordinality u (client_id, concerns, place)
), walk as (
  select m.place, m.client_id, m.concerns, f.* from mine m
  cross join lateral ({_FIRST_OF_NEXT.format(client="m", after="")}) f
  union all
  select w.place, w.client_id, w.concerns, f.* from walk w
  cross join lateral ({_FIRST_OF_NEXT.format(client="w", after="and r.instrument > w.instrument")}) f
), fitting as (
  select w.place, w.client_id, w.instrument, w.id, w.instrument_version as version, w.variant, w.answered_at as at,
         k.number, k.scale, k.concerns && w.concerns as fits,
         bool_or(k.concerns && w.concerns) over (partition by w.place) as some_fit
  from walk w
  join (
    select number::integer, instrument, scale, string_to_array(concerns, ',') as concerns
    from unnest($4::text[], $5::text[], $6::text[]) with ordinality u (instrument, scale, concerns, number)
  ) k on k.instrument = w.instrument
), pairs as materialized (
  select * from fitting where fits or not some_fit
)
select p.number - 1, f.version, f.variant, l.version, l.variant, f.id = l.id, array_agg(p.place), array_agg(f.value),
       array_agg(l.value), array_agg(extract(epoch from f.at)::double precision),
       array_agg(extract(epoch from l.at)::double precision)
from pairs p {ends}
group by p.number, f.version, f.variant, l.version, l.variant, f.id = l.id
"""  # noqa: S608  - nothing but the constants above


def first_among(*, runs: bool) -> str:
    """SQL of the first usable score of pairs, of given versions and variants only.

    ``$2``, ``$3``: places and ids of clients. ``$4`` the instrument, ``$5`` its scale, ``$6`` versions, ``$7``
    variants; ``$8`` to ``$10`` the runs that count.
    """
    further = "and s.version = any ($6) and r.variant = any ($7)"
    return f"""
select p.place, f.id = l.id, f.value, extract(epoch from f.at)::double precision
from (select place, client_id, $4::text as instrument, $5::text as scale
      from unnest($2::integer[], $3::uuid[]) u (place, client_id)) p
cross join lateral ({_usable("asc", _scores(8 if runs else None), further)}) f
cross join lateral ({_usable("desc", _scores(8 if runs else None), further)}) l
"""  # noqa: S608  - nothing but the constants above


def series(*, runs: bool) -> str:
    """SQL of all scores of pairs: ``$2`` clients, ``$3`` instruments, ``$4`` scales; ``$5`` to ``$7`` the runs."""
    return f"""
select p.number - 1, r.answered_at, r.recorded_at, coalesce(r.root_id, r.id)::text, s.version, r.variant, s.value,
       s.status, s.valid, r.root_id is not null, r.episode_id::text
from unnest($2::uuid[], $3::text[], $4::text[]) with ordinality p (client_id, instrument, scale, number)
cross join lateral (
  select r.* from response r
  where r.client_id = p.client_id and r.instrument = p.instrument and r.answered_at > '-infinity'
    and {_HOLDS.format(row="r")}
  offset 0
) r
cross join lateral (select * from ({_scores(5 if runs else None)}) s offset 0) s
"""  # noqa: S608  - nothing but the constants above


# A range of one client, in order: so the index by client looks better than the key where nothing is known of the table.
ALERTS: Final = """
select array_agg(m.client_id), array_agg(a.number), array_agg(a.urgent)
from unnest($1::uuid[]) m (client_id)
cross join lateral (
  select count(*) as number, count(*) filter (where a.severity = 'urgent') as urgent
  from (
    select a.severity from alert a
    where a.client_id between m.client_id and m.client_id and a.status = 'open'
    order by a.client_id offset 0
  ) a
) a
where a.number > 0
"""
"""Of clients who have open alerts: how many, and how many of these are urgent."""

DUE: Final = """
select d.client_id, d.contended, count(*) filter (where d.status = 'due'), count(*) filter (where d.status = 'overdue'),
       array_agg(d.id), array_agg(d.instrument), array_agg(d.status)
from read_due($1, '', '', '', null, $2, null, $3, false, array['due', 'overdue'], $3, '-infinity',
              '00000000-0000-0000-0000-000000000000', 2147483000) d
group by d.client_id, d.contended
"""
"""What `GET /v1/due` of the clinician gives on a day, by client; who reads it keeps the event of all."""

EPISODES: Final = """
select e.client_id, e.id, e.started_on, e.modality, e.format, e.concerns, e.clinician, l.id, l.held_at, l.attendance,
       l.modality
from unnest($4::uuid[]) m (client_id)
cross join lateral (
  select e.* from episode e
  where e.client_id = m.client_id and e.organisation_id = $1 and e.ended_on is null {of} and e.started_on > '-infinity'
  order by e.started_on desc, e.id desc limit 100
) e
left join lateral (
  select s.id, s.held_at, s.attendance, s.modality from care_session s
  where s.organisation_id = $1 and s.episode_id = e.id and s.held_at <= $3
  order by s.held_at desc, s.id desc limit 1
) l on true
order by e.client_id, e.started_on desc, e.id desc
"""
"""Of clients the open episodes, the newest first, and of each the last session that has been (by the time ``$3``)."""

LAST_ANSWERS: Final = f"""
with recursive walk as (
  select m.client_id, (select min(r.instrument) from response r where r.client_id = m.client_id) as instrument
  from unnest($2::uuid[]) m (client_id)
  union all
  select w.client_id, (select r.instrument from response r
                       where r.client_id = w.client_id and r.instrument > w.instrument
                       order by r.instrument limit 1)
  from walk w where w.instrument is not null
)
select distinct on (w.client_id) w.client_id, n.id, w.instrument, n.answered_at
from walk w
cross join lateral (
  select coalesce(r.root_id, r.id) as id, r.answered_at, r.recorded_at from response r
  where r.client_id = w.client_id and r.instrument = w.instrument and {_HOLDS.format(row="r")}
  order by {_ORDER.format(way="desc")} limit 1
) n
order by w.client_id, n.answered_at desc, n.recorded_at desc, n.id desc
"""  # noqa: S608  - nothing but the constants above
"""Of clients the newest response that holds, of any instrument."""

AUDIT: Final = """
insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, outcome)
select $1, e.id, $4, $5, $6, 'list-caseload', case when e.client_id is null then 'caseload' else 'client' end,
       e.client_id, $7, 'done'
from unnest($2::uuid[], $3::uuid[]) e (id, client_id)
"""
