"""The one read behind outcomes: a row an episode, worked out by the database, sent as columns.

A million scores become a row for each episode where they lie. What is sent is a handful of byte strings, one a column
in the machine's own numbers, which NumPy takes as they are: no loop over rows on either side.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from api.clients.codes import CODES
from instruments.concerns import vocabulary
from scoring.cutoffs import Floats

Ints = npt.NDArray[np.int64]

MODALITIES: Final = tuple(code.code for code in CODES.modality)
FORMATS: Final = tuple(code.code for code in CODES.episode_format)
END_REASONS: Final = tuple(code.code for code in CODES.end_reason)
CONCERNS: Final = tuple(vocabulary())
LEFT_OUT: Final = ("no-value", "validity-rule-failed", "other-version", "other-variant", "after-the-end")
"""Why a score is not used; the first that holds."""
MOST_ANSWERED: Final = 2_000
"""Episodes whose answers are looked at for the reliability of items: those that ended last."""
_EPOCH: Final = np.datetime64("2000-01-01")


class Measure(NamedTuple):
    """A scale, and the versions and variants whose scores of it may be compared."""

    instrument: str
    scale: str
    versions: tuple[int, ...]
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """Which episodes are meant: those that ended in a span of days, of a modality, format and concern, or of any."""

    since: date | None
    until: date | None
    modality: str | None
    format: str | None
    concern: str | None
    window: int
    """Days before the start, and after the end, whose scores still count."""


@dataclass(frozen=True)
class Series:
    """Scores of one measure, one element an episode; NaN where there is none.

    ``before`` are from before the start (the first and the last of them), the others from the episode itself;
    ``answered`` counts the latter.
    """

    first_before: Floats
    last_before: Floats
    first: Floats
    last: Floats
    answered: Ints
    times_before: Ints

    @property
    def pre(self) -> Floats:
        """The last score before the start, else the first of the episode."""
        return np.where(np.isnan(self.last_before), self.first, self.last_before)

    @property
    def post(self) -> Floats:
        """The last score of the episode, unless that is the one it began with."""
        own = self.answered - np.isnan(self.last_before)
        return np.where(own >= 1, self.last, np.nan)


@dataclass(frozen=True)
class Episodes:
    """The episodes of a selection, one element each. Codes are places in the lists above; -1 is not stated."""

    modality: Ints
    format: Ints
    end_reason: Ints
    started: npt.NDArray[np.datetime64]
    ended: npt.NDArray[np.datetime64]
    concerns: npt.NDArray[np.uint64]
    """A bit for each of ``CONCERNS``."""
    attended: Ints
    series: tuple[Series, ...]
    left_out: Ints
    """Scores of the first measure that are not used: shape (reasons, episodes)."""
    open: int
    """Episodes that have not ended, of the same kind."""

    def __len__(self) -> int:
        return len(self.modality)


@dataclass(frozen=True, slots=True)
class OutcomeRepository:
    """Ended episodes of one organisation. Row-level security confines every query to it."""

    session: AsyncSession
    organisation_id: uuid.UUID

    async def episodes(self, selection: Selection, measures: Sequence[Measure], *, by_concern: bool) -> Episodes:
        """Every ended episode of a selection with the scores that it began and ended with.

        Concerns are only read where they are asked for: otherwise the episodes have none.
        """
        connection = await self.session.connection()
        # A million scores are put in order: with the usual memory that would go by way of the disk.
        await connection.execute(text("set local work_mem = '128MB'"))
        # Whole tables are read and joined. A planner that does not know yet how large they are, as after a load, would
        # take them for empty and go through one for each row of the other.
        await connection.execute(text("set local enable_nestloop = off"))
        values = self._values(selection, measures)
        runs = (await connection.execute(text(_RUNS), values)).all()
        values |= {"runs": [run.id for run in runs]}
        found = (await connection.execute(text(_query(selection, measures, runs, by_concern=by_concern)), values)).one()
        return _decoded(dict(found._mapping), len(measures))

    async def answers(self, selection: Selection, measure: Measure) -> list[tuple[str, dict[str, Any]]]:
        """Variant and answers of the first usable form of each of the episodes that ended last."""
        values = self._values(selection, [measure])
        connection = await self.session.connection()
        rows = await connection.execute(text(_answers(selection)), values | {"most": MOST_ANSWERED})
        return [(row[0], orjson.loads(row[1])) for row in rows]

    def _values(self, selection: Selection, measures: Sequence[Measure]) -> dict[str, Any]:
        values: dict[str, Any] = {
            "organisation_id": self.organisation_id,
            "instruments": list(dict.fromkeys(measure.instrument for measure in measures)),
            "window": selection.window,
            "modalities": list(MODALITIES),
            "formats": list(FORMATS),
            "end_reasons": list(END_REASONS),
            "concerns": list(CONCERNS),
            "since": selection.since,
            "until": selection.until,
            "modality": selection.modality,
            "format": selection.format,
            "concern": selection.concern,
        }
        for place, measure in enumerate(measures):
            values |= {
                f"instrument_{place}": measure.instrument,
                f"scale_{place}": measure.scale,
                f"versions_{place}": list(measure.versions),
                f"variants_{place}": list(measure.variants),
            }
        return values


_RUNS: Final = """
select g.id, g.to_version
from rescoring g
join rescoring_effect a on a.organisation_id = g.organisation_id and a.rescoring_id = g.id and a.effect = 'applied'
where g.organisation_id = :organisation_id and g.instrument = any(cast(:instruments as text[])) and not exists (
  select from rescoring_effect w
  where w.organisation_id = g.organisation_id and w.rescoring_id = g.id and w.effect = 'withdrawn')
order by a.at desc, g.id desc
"""
"""The runs whose scores count, the one first that goes before the others."""

_KIND: Final = {
    "since": "and e.ended_on >= cast(:since as date)",
    "until": "and e.ended_on <= cast(:until as date)",
    "modality": "and e.modality = cast(:modality as text)",
    "format": "and e.format = cast(:format as text)",
    "concern": "and cast(:concern as text) = any(e.concerns)",
}

_NAN: Final = "'NaN'::float8"


def _kind(selection: Selection, *, days: bool = True) -> str:
    """The conditions on an episode that a selection makes."""
    asked = [name for name in _KIND if getattr(selection, name) is not None]
    return " ".join(_KIND[name] for name in asked if days or name not in ("since", "until"))


def _chosen(selection: Selection) -> str:
    return f"""
chosen as materialized (
  select e.id, e.client_id, e.started_on, e.ended_on, e.end_reason, e.modality, e.format, e.concerns
  from episode e
  where e.organisation_id = :organisation_id and e.ended_on is not null {_kind(selection)})"""  # noqa: S608  - our own words


def _given(selection: Selection) -> str:
    """The forms that belong to each episode: those recorded with it, and those of no episode from just before it.

    Of the table and not of what was chosen from it before, so that several processes can share the work.
    """
    columns = "r.id, r.instrument, r.instrument_version, r.variant, r.answered_at, r.recorded_at"
    kind = f"e.organisation_id = :organisation_id and e.ended_on is not null {_kind(selection)}"
    theirs = "r.organisation_id = :organisation_id and r.instrument = any(cast(:instruments as text[]))"
    return f"""
    select e.id as episode, false as early, {columns},
           r.answered_at >= e.ended_on + cast(:window as integer) + 1 as late
    from episode e join response r on r.episode_id = e.id
    where {kind} and {theirs} and not {_SUPERSEDED}
    union all
    select e.id, true, {columns}, false
    from episode e join response r on r.client_id = e.client_id
    where {kind} and {theirs} and r.episode_id is null
      and r.answered_at >= e.started_on - cast(:window as integer) and r.answered_at < e.started_on
      and not {_SUPERSEDED}"""  # noqa: S608  - our own words


_SUPERSEDED: Final = (
    "exists (select from superseded u where u.organisation_id = :organisation_id and u.response_id = r.id)"
)


def _held(runs: Sequence[Any]) -> str:
    """The scores that are current, and the version that made them where that is not the response's own."""
    scored = "exists (select from rescored n where n.organisation_id = {0}.organisation_id and n.response_id = {0}.response_id and n.rescoring_id = any({1}))"  # noqa: E501
    columns = "response_id, scale, value, valid"
    own = f"select {columns}, null::integer as version from score s where s.organisation_id = :organisation_id"  # noqa: S608  - our own words
    parts = [f"{own} and not {scored.format('s', 'cast(:runs as uuid[])')}" if runs else own]
    for place, run in enumerate(runs):
        newer = f"and not {scored.format('x', f'(cast(:runs as uuid[]))[1 : {place}]')}" if place else ""
        parts.append(
            f"select {columns}, {int(run.to_version)} from rescored x where x.organisation_id = :organisation_id "  # noqa: S608  - our own words
            f"and x.rescoring_id = (cast(:runs as uuid[]))[{place + 1}] {newer}"
        )
    return " union all ".join(parts)


def _scored(place: int, selection: Selection, runs: Sequence[Any]) -> str:
    """The scores of one measure by episode, in order of time, with why each is not used.

    Worked out apart: the columns are made of it by one process, as they have to be in one order.
    """
    usable = "why = 0 and {0} early"
    ordered = "order by answered_at, recorded_at, id"
    return f"""
scored_{place} as materialized (
  select episode,
         array_agg(value {ordered}) filter (where {usable.format("")}) as early,
         array_agg(value {ordered}) filter (where {usable.format("not")}) as own,
         (sum(1::bigint << ({_BITS_EACH} * (why - 1))) filter (where why > 0))::bigint as why
  from (
    select g.episode, g.early, g.id, g.answered_at, g.recorded_at, s.value, case
        when s.value is null then 1 when not s.valid then 2
        when coalesce(s.version, g.instrument_version) <> all(cast(:versions_{place} as integer[])) then 3
        when g.variant <> all(cast(:variants_{place} as text[])) then 4
        when g.late then 5 else 0 end as why
    from ({_given(selection)}) g join ({_held(runs)}) s on s.response_id = g.id
    where g.instrument = :instrument_{place} and s.scale = :scale_{place}) y
  group by episode)"""  # noqa: S608  - our own words and numbers of places


def _floats(expression: str) -> str:
    return f"string_agg(float8send(coalesce({expression}, {_NAN})), '')"


def _query(selection: Selection, measures: Sequence[Measure], runs: Sequence[Any], *, by_concern: bool) -> str:
    """One statement; all of its aggregates see the episodes in one order, so columns fit together."""
    places = range(len(measures))
    columns = [
        f"string_agg(int8send({_CODES}), '') as codes",
        "string_agg(date_send(c.started_on), '') as started",
        "string_agg(date_send(c.ended_on), '') as ended",
        f"string_agg(int8send({_CONCERNS if by_concern else 'null'}), '') as concerns",
        "string_agg(int8send(coalesce(x0.why, 0)), '') as why",
    ]
    for place in places:
        of = f"x{place}"
        counts = " + ".join(
            f"(coalesce(cardinality({of}.{name}), 0) << {bits})" for name, bits in (("own", 0), ("early", 16))
        )
        columns += [
            f"{_floats(f'{of}.early[1]')} as first_before_{place}",
            f"{_floats(f'{of}.early[cardinality({of}.early)]')} as last_before_{place}",
            f"{_floats(f'{of}.own[1]')} as first_{place}",
            f"{_floats(f'{of}.own[cardinality({of}.own)]')} as last_{place}",
            f"string_agg(int4send({counts}), '') as counts_{place}",
        ]
    still_open = (
        "(select count(*) from episode e where e.organisation_id = :organisation_id and e.ended_on is null "  # noqa: S608  - our own words
        f"{_kind(selection, days=False)}) as open"
    )
    parts = [_chosen(selection), *(_scored(place, selection, runs) for place in places), _ATTENDED]
    joins = " ".join(f"left join scored_{place} x{place} on x{place}.episode = c.id" for place in places)
    return (
        f"with {', '.join(parts)} select {', '.join(columns)}, {still_open} from chosen c {joins} "  # noqa: S608  - our own words
        "left join attended t on t.episode_id = c.id"
    )


_BITS_EACH: Final = 12
"""Of a count of scores that are left out for one reason: several such counts are sent as one number."""
_CODES: Final = " + ".join(
    f"(coalesce({expression}, 0)::bigint << {bits})"
    for expression, bits in (
        ("array_position(cast(:modalities as text[]), c.modality)", 0),
        ("array_position(cast(:formats as text[]), c.format)", 8),
        ("array_position(cast(:end_reasons as text[]), c.end_reason)", 16),
        ("t.attended", 24),
    )
)
"""Places in the lists of codes, a byte each, and the number of sessions attended."""
_CONCERNS: Final = (
    "(select coalesce(bit_or(1::bigint << (array_position(cast(:concerns as text[]), k) - 1)), 0)"
    " from unnest(c.concerns) k)"
)
_ATTENDED: Final = """
attended as (
  select m.episode_id, count(*) as attended from care_session m join chosen c on c.id = m.episode_id
  where m.organisation_id = :organisation_id and m.attendance = 'attended' group by m.episode_id)"""


def _answers(selection: Selection) -> str:
    return f"""
with {_chosen(selection)}, newest as (
  select * from chosen order by ended_on desc, id limit :most)
select variant, answers from (
  select distinct on (c.id) r.variant, r.answers::text as answers
  from newest c join response r on r.episode_id = c.id
  join score s on s.organisation_id = r.organisation_id and s.response_id = r.id and s.scale = :scale_0
  where r.organisation_id = :organisation_id and r.instrument = :instrument_0
    and r.instrument_version = any(cast(:versions_0 as integer[])) and r.variant = any(cast(:variants_0 as text[]))
    and s.value is not null and s.valid
    and not exists (
      select from superseded u where u.organisation_id = r.organisation_id and u.response_id = r.id)
  order by c.id, r.answered_at, r.recorded_at, r.id) y"""  # noqa: S608  - our own words


def _decoded(row: Mapping[str, Any], measures: int) -> Episodes:
    def column(name: str, kind: str) -> npt.NDArray[Any]:
        return np.frombuffer(row[name] or b"", kind)

    def days(name: str) -> npt.NDArray[np.datetime64]:
        return _EPOCH + column(name, ">i4").astype("timedelta64[D]")

    def floats(name: str) -> Floats:
        return column(name, ">f8").astype(np.float64)

    codes, why = column("codes", ">i8").astype(np.int64), column("why", ">i8").astype(np.int64)
    counts = [column(f"counts_{place}", ">i4").astype(np.int64) for place in range(measures)]
    return Episodes(
        modality=(codes & 0xFF) - 1,
        format=(codes >> 8 & 0xFF) - 1,
        end_reason=(codes >> 16 & 0xFF) - 1,
        started=days("started"),
        ended=days("ended"),
        concerns=column("concerns", ">u8").astype(np.uint64),
        attended=codes >> 24,
        series=tuple(
            Series(
                first_before=floats(f"first_before_{place}"),
                last_before=floats(f"last_before_{place}"),
                first=floats(f"first_{place}"),
                last=floats(f"last_{place}"),
                answered=counts[place] & 0xFFFF,
                times_before=counts[place] >> 16,
            )
            for place in range(measures)
        ),
        left_out=np.stack([why >> _BITS_EACH * n & (1 << _BITS_EACH) - 1 for n in range(len(LEFT_OUT))]),
        open=int(row["open"]),
    )
