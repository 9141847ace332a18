"""The rules about couples: nobody is seen through a partner, and everybody in it opens the joint view together.

What a client's own paths answer is made of that client's rows alone: other members' rows are neither read, counted,
changed nor locked. So nothing of a partner shows in content, versions, refusals or times. Nor have
partners' answers anything in common that others' have not: a membership has an id of its own, and neither the couple's
nor the moment of its making is told, since whoever looks through all clients would find who belong together. For the
same reason a couple may be made twice: a refusal would confirm a guess.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from api.couples import schemas
from api.couples.problems import JointViewClosed
from api.couples.repository import CoupleRepository, Seen
from api.couples.tables import ConsentRow, CoupleRow, MembershipRow
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.records.steps import UNKNOWN_CLIENT, Steps

UNKNOWN: Final = "There is no such couple."
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""For cursors, which callers can read: when a couple was made would be the same for its members."""
UNKNOWN_MEMBERSHIP: Final = "The client has no such membership."


@dataclass(frozen=True, slots=True)
class Couples:
    """The couples of one organisation, for one request."""

    repository: CoupleRepository
    steps: Steps

    async def make(self, body: schemas.CoupleCreate) -> schemas.CoupleMade:
        """A new couple; nobody in it has consented to anything.

        Raises
        ------
        RequestInvalid
            A client is unknown.
        """
        known = await self.repository.clients_known(body.clients)
        await self.steps.refuse(
            "create",
            "couple",
            None,
            [
                (f"clients/{place}", "unknown-client", "has to be the id of a client")
                for place, client_id in enumerate(body.clients)
                if client_id not in known
            ],
        )
        organisation_id, now = self.repository.organisation_id, datetime.now(UTC)
        couple = CoupleRow(organisation_id=organisation_id, id=new_id(), created_at=now)
        members = [
            MembershipRow(
                organisation_id=organisation_id,
                id=uuid.uuid4(),
                couple_id=couple.id,
                client_id=client_id,
                joined_on=body.joined_on,
                created_at=now,
                updated_at=now,
                version=1,
            )
            for client_id in body.clients
        ]
        await self.repository.add(couple)
        await self.repository.add(*members)
        self.steps.done("create", "couple", couple.id)
        return schemas.CoupleMade(
            id=couple.id,
            created_at=now,
            members=[schemas.MemberMade(client_id=row.client_id, membership_id=row.id) for row in members],
        )

    async def joint_view(self, couple_id: uuid.UUID) -> schemas.JointView:
        """The couple, seen together.

        Raises
        ------
        NotFound, JointViewClosed
        """
        view = await self.opened("read", couple_id)
        self.steps.done("read", "couple", couple_id)
        return view

    async def opened(self, action: str, couple_id: uuid.UUID) -> schemas.JointView:
        """The joint view, where at least two are in the couple and each of them consents; it is not yet told of.

        Raises
        ------
        NotFound, JointViewClosed
        """
        rows = await self.repository.seen(couple_id)
        if not rows:
            raise await self.steps.unknown(action, "couple", couple_id, UNKNOWN)
        view = _view(couple_id, rows)
        if len(view.members) < max(len(rows), 2):
            await self.steps.audit.refused(action, "couple", couple_id, "closed")
            raise JointViewClosed
        return view

    async def listed(self, cursor: str | None, limit: int) -> tuple[list[schemas.JointView], str | None]:
        """A page of the couples whose joint view is open and of whom everybody is the caller's own client.

        So whoever treats one of the two only is not led to the other. The caller is the clinician whose id is the
        token's subject; who is nobody's clinician gets none. Each couple on the page has an event of its own.
        """
        after = None if cursor is None else decode_cursor(cursor)[1]
        found = await self.repository.open_of(self.steps.audit.principal.subject, after, limit + 1)
        views = [_view(couple_id, rows) for couple_id, rows in found.items()][:limit]
        for view in views:
            self.steps.done("list", "couple", view.id)
        if not views:
            self.steps.done("list", "couple", None)
        more = encode_cursor(views[-1].created_at, views[-1].id) if len(found) > limit else None
        return views, more

    async def membership(self, client_id: uuid.UUID, membership_id: uuid.UUID) -> schemas.MembershipRead:
        """A client's own part in a couple; :class:`NotFound` where there is none."""
        row = await self._membership("read", client_id, membership_id)
        self.steps.done("read", "membership", row.id)
        return await self._read(row)

    async def memberships(
        self, client_id: uuid.UUID, cursor: str | None, limit: int
    ) -> tuple[list[schemas.MembershipRead], str | None]:
        """A page of a client's memberships and the cursor of the next; :class:`NotFound` for an unknown client."""
        after = None if cursor is None else decode_cursor(cursor)[1]
        if client_id not in await self.repository.clients_known([client_id]):
            raise await self.steps.unknown("list-couples", "client", client_id, UNKNOWN_CLIENT)
        rows = await self.repository.memberships(client_id, after, limit + 1)
        shown = rows[:limit]
        said = await self.repository.said([row.id for row in shown])
        self.steps.done("list-couples", "client", client_id)
        more = encode_cursor(_NO_TIME, shown[-1].id) if len(rows) > limit else None
        return [_membership(row, said.get(row.id)) for row in shown], more

    async def change(
        self, client_id: uuid.UUID, membership_id: uuid.UUID, body: schemas.MembershipPatch, if_match: str | None
    ) -> schemas.MembershipRead:
        """Change the days of a client in a couple. Leaving takes the consent back. No change makes no new version.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, RequestInvalid
        """
        row = await self._membership("change", client_id, membership_id, lock=True)
        await self.steps.expect("membership", row.id, row.version, if_match)
        given = body.model_dump(exclude_unset=True)
        joined_on: date = given.get("joined_on", row.joined_on)
        left_on: date | None = given.get("left_on", row.left_on)
        if left_on is not None and left_on < joined_on:
            at = "left_on" if "left_on" in given else "joined_on"
            fault = (at, "days-out-of-order", "left_on is not before joined_on")
            await self.steps.refuse("change", "membership", row.id, [fault])
        if (joined_on, left_on) != (row.joined_on, row.left_on):
            leaves = left_on if row.left_on is None else None
            row.joined_on, row.left_on = joined_on, left_on
            _next_version(row)
            if leaves is not None and (await self.repository.said([row.id])).get(row.id):
                await self.repository.add(self._consent(row, leaves, given=False))
            await self.repository.add(row)
        self.steps.done("change", "membership", row.id)
        return await self._read(row)

    async def consent(
        self, client_id: uuid.UUID, membership_id: uuid.UUID, body: schemas.ConsentCreate
    ) -> schemas.ConsentRead:
        """Record what a client said about the joint view. A withdrawal is never refused.

        Raises
        ------
        NotFound
        RequestInvalid
            A consent of somebody who has left.
        """
        action = "consent" if body.given else "withdraw-consent"
        row = await self._membership(action, client_id, membership_id, lock=True)
        if body.given and row.left_on is not None:
            fault = ("given", "has-left", "is false for a client who has left the couple")
            await self.steps.refuse(action, "membership", row.id, [fault])
        _next_version(row)
        made = self._consent(row, body.stated_on, given=body.given)
        await self.repository.add(row, made)
        self.steps.done(action, "membership", row.id)
        return schemas.ConsentRead.model_validate(made, from_attributes=True)

    async def consents(
        self, client_id: uuid.UUID, membership_id: uuid.UUID, cursor: str | None, limit: int
    ) -> tuple[list[schemas.ConsentRead], str | None]:
        """A page of what a client said, and the cursor of the next; :class:`NotFound` for an unknown membership."""
        after = 0 if cursor is None else min(decode_cursor(cursor)[1].int, 2**31 - 1)
        row = await self._membership("list-consents", client_id, membership_id)
        rows = await self.repository.consents(row.id, after, limit + 1)
        self.steps.done("list-consents", "membership", row.id)
        last = rows[limit - 1] if len(rows) > limit else None
        more = None if last is None else encode_cursor(last.recorded_at, uuid.UUID(int=last.version))
        return [schemas.ConsentRead.model_validate(one, from_attributes=True) for one in rows[:limit]], more

    async def _membership(
        self, action: str, client_id: uuid.UUID, membership_id: uuid.UUID, *, lock: bool = False
    ) -> MembershipRow:
        row = await self.repository.membership(client_id, membership_id, lock=lock)
        if row is None:
            raise await self.steps.unknown(action, "client", client_id, UNKNOWN_MEMBERSHIP)
        return row

    async def _read(self, row: MembershipRow) -> schemas.MembershipRead:
        return _membership(row, (await self.repository.said([row.id])).get(row.id))

    def _consent(self, row: MembershipRow, stated_on: date, *, given: bool) -> ConsentRow:
        return ConsentRow(
            organisation_id=row.organisation_id,
            member_id=row.id,
            version=row.version,
            given=given,
            stated_on=stated_on,
            recorded_at=datetime.now(UTC),
            recorded_by=self.steps.audit.principal.subject,
        )


def _view(couple_id: uuid.UUID, rows: Sequence[Seen]) -> schemas.JointView:
    """The couple with those who consent."""
    members = [
        schemas.JointMember(client_id=row.client_id, joined_on=row.joined_on, consent_stated_on=row.stated_on)
        for row in rows
        if row.given and row.client_id and row.joined_on and row.stated_on
    ]
    return schemas.JointView(id=couple_id, created_at=rows[0].created_at, members=members)


def _next_version(row: MembershipRow) -> None:
    row.version += 1
    row.updated_at = max(datetime.now(UTC), row.updated_at)  # a clock set back breaks no order


def _membership(row: MembershipRow, said: bool | None) -> schemas.MembershipRead:
    return schemas.MembershipRead(
        id=row.id,
        joined_on=row.joined_on,
        left_on=row.left_on,
        consent=said,
        version=row.version,
    )
