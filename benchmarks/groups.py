"""Statistics of groups over a million scores: against a bare GROUP BY of the same rows, and against NumPy's sums."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from contextlib import ExitStack

import asyncpg
import numpy as np

from benchmarks.recording import _clinic
from benchmarks.report import Outcome, in_turn, outcome
from benchmarks.server import ORGANISATION, Service, service
from instruments import load as definition
from scoring.groups import effect_sizes
from scoring.groups.rates import category_codes, rates, tally
from scoring.progress_figures import figures
from scoring.reliable import Unavailable

EPISODES, TIMES = 250_000, 4
"""Together a million scores."""
PAIRS = 1_000_000
INSTRUMENT, SCALE = "pss-10", "total"


def organisation_outcomes() -> list[Outcome]:
    """``GET /v1/organisation/outcomes`` over a million scores, by modality.

    The floor pairs first and last score of each episode by hand and gives means and standard deviations, without asking
    who asks. What is measured also looks for scores before the start, counts what is left out and why, hides other
    organisations, sends every pair, and works out sixty figures a group: twice the floor's time is the goal.
    """
    with ExitStack() as stack:
        data, lease = stack.enter_context(_clinic())
        asyncio.run(_fill(lease.url("postgres", "fathomline")))
        running = stack.enter_context(service(data, role="admin"))
        url = lease.url("postgres", "fathomline")
        pairs = in_turn(lambda: asyncio.run(_grouped(url)), lambda: _asked(running), rounds=5)
    name = f"GET /v1/organisation/outcomes, {EPISODES * TIMES:,} scores"
    return [outcome(name, pairs, goal=2.0, higher_is="worse", unit="s")]


def group_statistics() -> list[Outcome]:
    """Moments, effect sizes and rates of a million pairs, against the sums that moments cannot be had without.

    The floor adds up three columns and their squares once. What is measured checks for missing scores, takes spreads
    around means instead of squares, and puts each person on the sides of a cutoff twice: some sixty passes over
    columns to the floor's seven, which is what the goal allows.
    """
    draw = np.random.default_rng(5)
    pre = draw.integers(0, 41, PAIRS).astype(np.float64)
    post = np.clip(pre - draw.integers(-8, 20, PAIRS), 0, 40)
    known = figures(definition("phq-9"), "total", "strict")
    reliable, cutoff = known.reliable_change, known.deciding
    assert not isinstance(reliable, Unavailable)
    assert cutoff is not None

    def bare() -> float:
        start = time.perf_counter()
        change = post - pre
        for column in (pre, post, change):
            column.mean(), (column @ column)
        float(pre @ post)
        return time.perf_counter() - start

    def whole() -> float:
        start = time.perf_counter()
        pairs = effect_sizes.paired_moments(pre, post)
        for make in (effect_sizes.d_pre, effect_sizes.d_av_cumming, effect_sizes.d_rm, effect_sizes.d_z):
            effect_sizes.corrected(make(pairs), pairs.n - 1)
        codes = category_codes(
            pre,
            post,
            reliable.index(pre, post),
            higher_is=reliable.higher_is,
            critical=reliable.critical,
            cutoff=cutoff.value,
            on_cutoff=cutoff.on_cutoff,
        )
        list(rates(tally(pre, codes, higher_is=reliable.higher_is, cutoff=cutoff.value, on_cutoff=cutoff.on_cutoff)))
        return time.perf_counter() - start

    pairs = in_turn(bare, whole, rounds=9)
    return [outcome(f"statistics of {PAIRS:,} pairs", pairs, goal=10.0, higher_is="worse", unit="s")]


def _asked(running: Service) -> float:
    path = f"/v1/organisation/outcomes?instrument={INSTRUMENT}&scale={SCALE}&group_by=modality&reliability=false"
    request = urllib.request.Request(f"http://127.0.0.1:{running.port}{path}", headers=running.headers())
    start = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as reply:
        reply.read()
    return time.perf_counter() - start


async def _grouped(url: str) -> float:
    connection = await asyncpg.connect(url, server_settings={"jit": "off"})
    try:
        start = time.perf_counter()
        found = await connection.fetch(_GROUPED, INSTRUMENT, SCALE)
        taken = time.perf_counter() - start
    finally:
        await connection.close()
    assert sum(row["n"] for row in found) == EPISODES
    return taken


_GROUPED = """
select e.modality, count(*) as n, avg(x.first), stddev(x.first), avg(x.last), stddev(x.last), avg(x.last - x.first),
       stddev(x.last - x.first)
from episode e join (
  select r.episode_id, (array_agg(s.value order by r.answered_at, r.recorded_at, r.id))[1] as first,
         (array_agg(s.value order by r.answered_at desc, r.recorded_at desc, r.id desc))[1] as last
  from response r join score s on s.organisation_id = r.organisation_id and s.response_id = r.id
  where r.instrument = $1 and s.scale = $2 and s.valid and s.value is not null
    and not exists (
      select from superseded u where u.organisation_id = r.organisation_id and u.response_id = r.id)
  group by r.episode_id) x on x.episode_id = e.id
where e.ended_on is not null group by e.modality
"""


async def _fill(url: str) -> None:
    """As the superuser, and without triggers: a million scores of ended episodes, with nothing that is not read."""
    connection = await asyncpg.connect(url, command_timeout=1800)
    try:
        organisation_id = await connection.fetchval(
            "select organisation_id from organisation where slug = $1", ORGANISATION
        )
        await connection.execute("set session_replication_role = replica")
        await connection.execute(
            "create temporary table made as select n, uuidv7() as client_id, uuidv7() as episode_id,"
            " date '2024-01-01' + n % 600 as started from generate_series(1, $1::integer) n",
            EPISODES,
        )
        for statement in _ROWS:
            await connection.execute(statement, organisation_id, *([TIMES, INSTRUMENT] if "$2" in statement else []))
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()


_ROWS = (
    """
insert into client (organisation_id, id, key_wrapped, created_at, updated_at)
select $1::uuid, client_id, '', now(), now() from made
""",
    """
insert into episode (organisation_id, id, client_id, started_on, ended_on, end_reason, modality, format, concerns,
                     created_at, updated_at)
select $1::uuid, episode_id, client_id, started, started + 120,
       (array['completed', 'completed', 'dropped-out'])[1 + n % 3],
       (array['in-person', 'telehealth', 'hybrid'])[1 + n % 3], 'individual', '{}', now(), now()
from made
""",
    """
insert into response (organisation_id, id, client_id, instrument, instrument_version, definition_checksum, variant,
                      answers, answered_at, recorded_at, recorded_by, document, valid, episode_id)
select $1::uuid, uuidv7(), client_id, $3, 1, '', 'standard', '{}', started + k * 30 + interval '12 hours', now(), '',
       '{}', true, episode_id
from made, generate_series(0, $2::integer - 1) k order by k, n
""",
    """
insert into score (organisation_id, response_id, scale, value, status, valid)
select organisation_id, id, 'total', 10 + get_byte(uuid_send(id), 15) % 28, 'complete', true from response
where organisation_id = $1::uuid
""",
)
