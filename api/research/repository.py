"""The one query behind research output. Row-level security confines it to the organisation of the session."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Integer, cast, collate, exists, extract, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from api.clients.tables import ClientRow
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

        Only versions of responses that hold, only of clients whose consent to research is recorded now, only values
        that no validity rule holds back, and only of this version and variant of the instrument. "First" and "last"
        are by time of answer, then of record, then by id, as in a client's progress.
        """
        answered = cast(extract("year", func.timezone("UTC", col(ResponseRow.answered_at))), Integer)
        year = func.greatest(answered, earliest - 1)
        person, scale = col(ClientRow.id), col(ScoreRow.scale)
        # One window for everything, so one sort. The collation is the cheapest; any order of scales will do.
        series: dict[str, Any] = {
            "partition_by": (person, collate(scale, "C")),
            "order_by": (col(ResponseRow.answered_at), col(ResponseRow.recorded_at), col(ResponseRow.id)),
        }
        rows = (
            select(
                func.dense_rank().over(order_by=person).label("person"),
                scale.label("scale"),
                year.label("year"),
                (answered - col(ClientRow.birth_year)).label("age"),
                col(ClientRow.gender).label("gender"),
                col(ScoreRow.value).label("value"),
                func.first_value(col(ScoreRow.value)).over(**series).label("first"),
                func.row_number().over(**series).label("number"),
                func.lead(year).over(**series).label("next_year"),
            )
            .join(
                ResponseRow,
                (col(ResponseRow.organisation_id) == col(ClientRow.organisation_id))
                & (col(ResponseRow.client_id) == person),
            )
            .join(
                ScoreRow,
                (col(ScoreRow.organisation_id) == col(ResponseRow.organisation_id))
                & (col(ScoreRow.response_id) == col(ResponseRow.id)),
            )
            .where(
                col(ClientRow.organisation_id) == self.organisation_id,
                col(ClientRow.research_consent),
                col(ResponseRow.instrument) == instrument,
                col(ResponseRow.instrument_version) == version,
                col(ResponseRow.variant) == variant,
                answered <= this_year,
                # as an anti-join: what was amended counts as it is now, what is void not at all
                ~exists().where(
                    col(SupersededRow.organisation_id) == col(ResponseRow.organisation_id),
                    col(SupersededRow.response_id) == col(ResponseRow.id),
                ),
                col(ScoreRow.value).is_not(None),
                col(ScoreRow.valid),
            )
            .subquery()
        )
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
