"""The one query behind research output. Row-level security confines it to the organisation of the session."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, cast, collate, exists, extract, func, select, union_all
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from api.clients.tables import ClientRow
from api.rescoring.tables import RescoredRow, RescoringEffectRow, RescoringRow
from api.responses.tables import ResponseRow, ScoreRow, SupersededRow


class PersonYear(NamedTuple):
    """The last valid score of a person on a scale in a calendar year.

    ``person`` numbers the people of this query and means nothing outside it. ``first`` is the person's first valid
    score of all on the scale; ``changed`` says that this one is the last of two or more.
    """

    person: int
    scale: str
    year: int
    age: int | None
    gender: str | None
    value: float
    first: float
    changed: bool


@dataclass(frozen=True, slots=True)
class ResearchRepository:
    """Scores of one organisation's consenting clients."""

    session: AsyncSession
    organisation_id: uuid.UUID

    async def person_years(
        self, *, instrument: str, version: int, variant: str, earliest: int, this_year: int
    ) -> list[PersonYear]:
        """The rows of every scale of an instrument; years before ``earliest`` count as one.

        Only versions of responses that hold, by their current scores; only of clients whose consent to research is
        recorded now, only values that no validity rule holds back, and only of this version and variant of the
        instrument. "First" and "last" are by time of answer, then of record, then by id, as in a client's progress.
        """
        runs = await self._runs(instrument)
        asked = _Asked(self.organisation_id, instrument, version, variant, earliest, this_year)
        parts: list[Any] = [_recorded(asked, [run for run, _ in runs])]
        parts += [
            _rescored(asked, run, [newer for newer, _ in runs[:place]])
            for place, (run, made_version) in enumerate(runs)
            if made_version == version
        ]
        unite: Any = union_all  # the checker ends with an error of its own over the many types that this may have
        scores: Any = (parts[0] if len(parts) == 1 else unite(*parts)).subquery()
        score = scores.c
        # One window for everything, so one sort. The collation is the cheapest; any order of scales will do.
        series: dict[str, Any] = {
            "partition_by": (score.person, collate(score.scale, "C")),
            "order_by": (score.answered_at, score.recorded_at, score.response_id),
        }
        rows = select(
            func.dense_rank().over(order_by=score.person).label("person"),
            score.scale,
            score.year,
            score.age,
            score.gender,
            score.value,
            func.first_value(score.value).over(**series).label("first"),
            func.row_number().over(**series).label("number"),
            func.lead(score.year).over(**series).label("next_year"),
        ).subquery()
        found = rows.c
        query = select(
            found.person,
            found.scale,
            found.year,
            found.age,
            found.gender,
            found.value,
            found.first,
            found.next_year.is_(None) & (found.number > 1),
        ).where(found.next_year.is_distinct_from(found.year))
        result = await (await self.session.connection()).execute(query)
        return [PersonYear._make(row) for row in result]

    async def _runs(self, instrument: str) -> list[tuple[uuid.UUID, int]]:
        """The runs of an instrument that count, with the version they scored by; of two the first goes before."""
        applied, withdrawn = aliased(RescoringEffectRow), aliased(RescoringEffectRow)
        query = (
            select(col(RescoringRow.id), col(RescoringRow.to_version))
            .join(
                applied,
                (col(applied.organisation_id) == col(RescoringRow.organisation_id))
                & (col(applied.rescoring_id) == col(RescoringRow.id))
                & (col(applied.effect) == "applied"),
            )
            .where(
                col(RescoringRow.organisation_id) == self.organisation_id,
                col(RescoringRow.instrument) == instrument,
                ~exists().where(
                    col(withdrawn.organisation_id) == col(RescoringRow.organisation_id),
                    col(withdrawn.rescoring_id) == col(RescoringRow.id),
                    col(withdrawn.effect) == "withdrawn",
                ),
            )
            .order_by(col(applied.at).desc(), col(RescoringRow.id).desc())
        )
        result = await (await self.session.connection()).execute(query)
        return [(row[0], row[1]) for row in result]


class _Asked(NamedTuple):
    organisation_id: uuid.UUID
    instrument: str
    version: int
    variant: str
    earliest: int
    this_year: int


def _recorded(asked: _Asked, runs: list[uuid.UUID]) -> Any:
    """Scores as they were recorded, of responses that no run of those that count has scored."""
    query = _scores(asked, ScoreRow).where(col(ResponseRow.instrument_version) == asked.version)
    return query.where(~_scored_by(runs)) if runs else query


def _rescored(asked: _Asked, run: uuid.UUID, newer: list[uuid.UUID]) -> Any:
    """Scores by a run, of responses that none that goes before it has scored."""
    query = _scores(asked, RescoredRow).where(col(RescoredRow.rescoring_id) == run)
    return query.where(~_scored_by(newer)) if newer else query


def _scored_by(runs: list[uuid.UUID]) -> ColumnElement[bool]:
    other = aliased(RescoredRow)
    return exists().where(
        col(other.organisation_id) == col(ResponseRow.organisation_id),
        col(other.response_id) == col(ResponseRow.id),
        col(other.rescoring_id).in_(runs),
    )


def _scores(asked: _Asked, table: type[ScoreRow] | type[RescoredRow]) -> Any:
    """What is needed of each score of a table that may be counted, whatever the version."""
    answered = cast(extract("year", func.timezone("UTC", col(ResponseRow.answered_at))), Integer)
    return (
        select(
            col(ClientRow.id).label("person"),
            col(table.scale).label("scale"),
            func.greatest(answered, asked.earliest - 1).label("year"),
            (answered - col(ClientRow.birth_year)).label("age"),
            col(ClientRow.gender).label("gender"),
            col(table.value).label("value"),
            col(ResponseRow.answered_at).label("answered_at"),
            col(ResponseRow.recorded_at).label("recorded_at"),
            col(ResponseRow.id).label("response_id"),
        )
        .join(
            ResponseRow,
            (col(ResponseRow.organisation_id) == col(ClientRow.organisation_id))
            & (col(ResponseRow.client_id) == col(ClientRow.id)),
        )
        .join(
            table,
            (col(table.organisation_id) == col(ResponseRow.organisation_id))
            & (col(table.response_id) == col(ResponseRow.id)),
        )
        .where(
            col(ClientRow.organisation_id) == asked.organisation_id,
            col(ClientRow.research_consent),
            col(ResponseRow.instrument) == asked.instrument,
            col(ResponseRow.variant) == asked.variant,
            answered <= asked.this_year,
            # as an anti-join: what was amended counts as it is now, what is void not at all
            ~exists().where(
                col(SupersededRow.organisation_id) == col(ResponseRow.organisation_id),
                col(SupersededRow.response_id) == col(ResponseRow.id),
            ),
            col(table.value).is_not(None),
            col(table.valid),
        )
    )
