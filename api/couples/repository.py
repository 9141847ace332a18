"""Every query for couples. Row-level security confines each to the organisation of the session."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.clients.tables import ClientRow
from api.couples.tables import ConsentRow, CoupleRow, MembershipRow


class Seen(NamedTuple):
    """A couple and one of those who are in it, with what that client said last; Nones where there is nobody."""

    created_at: datetime
    client_id: uuid.UUID | None
    joined_on: date | None
    given: bool | None
    stated_on: date | None


_OPEN_OF: Final = sa.text("""
with own as (
  select distinct e.client_id from episode e
  where e.organisation_id = :organisation and e.clinician = :clinician and e.ended_on is null
), theirs as (
  select distinct m.couple_id from own join couple_member m
  on m.organisation_id = :organisation and m.client_id = own.client_id and m.left_on is null
  where cast(:after as uuid) is null or m.couple_id > cast(:after as uuid)
), seen as (
  select m.couple_id, m.client_id, m.joined_on, said.given, said.stated_on,
    m.client_id in (select client_id from own) as own
  from theirs join couple_member m
  on m.organisation_id = :organisation and m.couple_id = theirs.couple_id and m.left_on is null
  left join lateral (
    select c.given, c.stated_on from couple_consent c
    where c.organisation_id = m.organisation_id and c.member_id = m.id order by c.version desc limit 1
  ) said on true
), opened as (
  select couple_id from seen group by couple_id
  having count(*) >= 2 and bool_and(coalesce(given, false)) and bool_and(own)
  order by couple_id limit :limit
)
select c.id, c.created_at, s.client_id, s.joined_on, s.given, s.stated_on
from opened join couple c on c.organisation_id = :organisation and c.id = opened.couple_id
join seen s on s.couple_id = c.id order by c.id, s.client_id
""")


class CoupleRepository:
    """Couples of one organisation."""

    def __init__(self, session: AsyncSession, organisation_id: uuid.UUID) -> None:
        self.session = session
        self.organisation_id = organisation_id

    async def add(self, *rows: CoupleRow | MembershipRow | ConsentRow) -> None:
        """Insert now, so that a broken constraint is raised here."""
        self.session.add_all(rows)
        await self.session.flush()

    async def clients_known(self, client_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Those of the ids that are clients'."""
        query = select(ClientRow.id).where(
            ClientRow.organisation_id == self.organisation_id, col(ClientRow.id).in_(client_ids)
        )
        return set((await self.session.exec(query)).all())

    async def seen(self, couple_id: uuid.UUID) -> list[Seen]:
        """The couple with everybody who has not left it, and what each said last, as of one moment.

        Who has left is not among them. No row means that there is no such couple. One statement, since of two a consent
        that is withdrawn meanwhile would be seen by the one and not by the other.
        """
        last = aliased(ConsentRow)
        said = (
            sa.select(col(last.given), col(last.stated_on))
            .where(col(last.organisation_id) == MembershipRow.organisation_id, col(last.member_id) == MembershipRow.id)
            .order_by(col(last.version).desc())
            .limit(1)
            .lateral()
        )
        here = sa.and_(
            col(MembershipRow.organisation_id) == CoupleRow.organisation_id,
            col(MembershipRow.couple_id) == CoupleRow.id,
            col(MembershipRow.left_on).is_(None),
        )
        query = (
            sa.select(
                col(CoupleRow.created_at),
                col(MembershipRow.client_id),
                col(MembershipRow.joined_on),
                said.c.given,
                said.c.stated_on,
            )
            .select_from(CoupleRow)
            .outerjoin(MembershipRow, here)
            .outerjoin(said, sa.true())
            .where(col(CoupleRow.organisation_id) == self.organisation_id, col(CoupleRow.id) == couple_id)
            .order_by(col(MembershipRow.client_id))
        )
        connection = await self.session.connection()
        return [Seen(*row) for row in (await connection.execute(query)).all()]

    async def open_of(self, clinician: str, after: uuid.UUID | None, limit: int) -> dict[uuid.UUID, list[Seen]]:
        """Couples of which everybody who has not left consents, and has an open episode of this clinician.

        By id, in the order of ids, with those who are in it. One statement, for the reason of :meth:`seen`.
        """
        connection = await self.session.connection()
        values = {"organisation": self.organisation_id, "clinician": clinician, "after": after, "limit": limit}
        found: dict[uuid.UUID, list[Seen]] = {}
        for couple_id, *row in (await connection.execute(_OPEN_OF, values)).all():
            found.setdefault(couple_id, []).append(Seen(*row))
        return found

    async def membership(
        self, client_id: uuid.UUID, membership_id: uuid.UUID, *, lock: bool = False
    ) -> MembershipRow | None:
        """A client's own part in a couple. The lock is on that row alone, so nobody waits for a partner."""
        query = select(MembershipRow).where(
            MembershipRow.organisation_id == self.organisation_id,
            MembershipRow.id == membership_id,
            MembershipRow.client_id == client_id,
        )
        return (await self.session.exec(query.with_for_update() if lock else query)).one_or_none()

    async def memberships(self, client_id: uuid.UUID, after: uuid.UUID | None, limit: int) -> Sequence[MembershipRow]:
        """A client's memberships in the order of their ids, after one of them."""
        query = select(MembershipRow).where(
            MembershipRow.organisation_id == self.organisation_id, MembershipRow.client_id == client_id
        )
        if after is not None:
            query = query.where(col(MembershipRow.id) > after)
        return (await self.session.exec(query.order_by(col(MembershipRow.id)).limit(limit))).all()

    async def said(self, member_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, bool]:
        """What each of some members said last; members who said nothing are left out."""
        query = (
            select(ConsentRow.member_id, ConsentRow.given)
            .where(ConsentRow.organisation_id == self.organisation_id, col(ConsentRow.member_id).in_(member_ids))
            .order_by(col(ConsentRow.version))
        )
        return dict((await self.session.exec(query)).all())

    async def consents(self, member_id: uuid.UUID, after: int, limit: int) -> Sequence[ConsentRow]:
        """What a member said, oldest first, after a version of the membership."""
        query = select(ConsentRow).where(
            ConsentRow.organisation_id == self.organisation_id,
            ConsentRow.member_id == member_id,
            ConsentRow.version > after,
        )
        return (await self.session.exec(query.order_by(col(ConsentRow.version)).limit(limit))).all()
