"""The rules about goals: words are sealed, what was rated stays what it is, and a rating is corrected by another."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from api.clients.texts import Sealer
from api.goals import schemas
from api.goals.attainment import Point, Rating, Scaled, formula, timeline
from api.goals.repository import GoalRepository
from api.goals.tables import GoalRow, RatingRow
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.records.steps import UNKNOWN_CLIENT, Fault, Steps
from api.security.crypto import Keys

UNKNOWN: Final = "The client has no such goal."
LEVELS: Final = "levels"
_PURPOSE: Final = b"goal"
_RANGES: Final = {LEVELS: (-2, 2), "target": (0, 10)}
_FIXED: Final = ("wording", "levels", "weight", "target", "baseline", "set_on")
"""What a rating is about, and therefore stays once there is one."""


@dataclass(frozen=True, slots=True)
class Goals:
    """The goals of one organisation's clients, for one request."""

    repository: GoalRepository
    keys: Keys
    steps: Steps

    async def set(self, client_id: uuid.UUID, body: schemas.GoalCreate) -> schemas.GoalRead:
        """A new goal.

        Raises
        ------
        NotFound, RequestInvalid
        """
        sealer = await self._sealer("create", client_id)
        given = body.model_dump()
        if body.kind == LEVELS and body.weight is None:
            given["weight"] = 1
        await self.steps.refuse("create", "goal", None, _faults(body.kind, given))
        now, goal_id = datetime.now(UTC), new_id()
        row = GoalRow(
            organisation_id=self.repository.organisation_id,
            id=goal_id,
            client_id=client_id,
            words_sealed=_seal(sealer, goal_id, given.pop("wording"), given.pop("levels")),
            created_at=now,
            updated_at=now,
            version=1,
            **given,
        )
        await self.repository.add(row)
        self.steps.done("create", "goal", goal_id)
        return _read(row, sealer)

    async def goal(self, client_id: uuid.UUID, goal_id: uuid.UUID) -> schemas.GoalRead:
        """One goal; :class:`NotFound` where there is none."""
        row = await self._goal("read", client_id, goal_id)
        self.steps.done("read", "goal", goal_id)
        return _read(row, await self._sealer("read", client_id))

    async def goals(
        self, client_id: uuid.UUID, cursor: str | None, limit: int
    ) -> tuple[list[schemas.GoalRead], str | None]:
        """A page of a client's goals and the cursor of the next; :class:`NotFound` for an unknown client."""
        after = None if cursor is None else decode_cursor(cursor)[1]
        sealer = await self._sealer("list-goals", client_id)
        rows = await self.repository.goals(client_id, after, limit + 1)
        self.steps.done("list-goals", "client", client_id)
        last = rows[limit - 1] if len(rows) > limit else None
        more = None if last is None else encode_cursor(last.created_at, last.id)
        return [_read(row, sealer) for row in rows[:limit]], more

    async def change(
        self, client_id: uuid.UUID, goal_id: uuid.UUID, body: schemas.GoalPatch, if_match: str | None
    ) -> schemas.GoalRead:
        """Merge changes into a goal; a rated one can only be dropped, or taken up again.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, RequestInvalid
        """
        row = await self._goal("change", client_id, goal_id, lock=True)
        await self.steps.expect("goal", goal_id, row.version, if_match)
        sealer = await self._sealer("change", client_id)
        before = _read(row, sealer).model_dump()
        given = {name: value for name, value in body.model_dump(exclude_unset=True).items() if before[name] != value}
        if given:
            after = before | given
            ratings = current(await self.repository.ratings([goal_id]))
            await self.steps.refuse(
                "change", "goal", goal_id, [*_faults(row.kind, after), *_faults_of_rated(given, after, ratings)]
            )
            if {"wording", "levels"} & given.keys():
                row.words_sealed = _seal(sealer, goal_id, after["wording"], after["levels"])
            for name in given.keys() - {"wording", "levels"}:
                setattr(row, name, given[name])
            row.version += 1
            row.updated_at = max(datetime.now(UTC), row.updated_at)  # a clock set back breaks no order
            await self.repository.add(row)
        self.steps.done("change", "goal", goal_id)
        return _read(row, sealer)

    async def rate(self, client_id: uuid.UUID, goal_id: uuid.UUID, body: schemas.RatingCreate) -> schemas.RatingRead:
        """Record a rating, or what was right instead of one.

        Raises
        ------
        NotFound, RequestInvalid
        """
        goal = await self._goal("rate", client_id, goal_id, lock=True)  # of two corrections of one rating one is first
        ratings = await self.repository.ratings([goal_id])
        corrected = next((row for row in ratings if row.id == body.corrects), None)
        rated_on = body.rated_on or (None if corrected is None else corrected.rated_on)
        faults = list(_rating_faults(goal, body, corrected, ratings))
        if rated_on is None:
            if not faults:
                faults.append(("rated_on", "missing", "is required, unless an earlier rating is corrected"))
        elif rated_on < goal.set_on:
            faults.append(("rated_on", "before-set", f"is not before {goal.set_on}, the day on which the goal was set"))
        elif goal.dropped_on is not None and rated_on > goal.dropped_on and body.value is not None:
            detail = f"is not after {goal.dropped_on}, the day on which the goal was dropped"
            faults.append(("rated_on", "after-dropped", detail))
        await self.steps.refuse("rate", "goal", goal_id, faults)
        assert rated_on is not None  # noqa: S101  - missing is a fault
        row = RatingRow(
            organisation_id=goal.organisation_id,
            id=new_id(),
            goal_id=goal_id,
            corrects=body.corrects,
            rated_on=rated_on,
            value=body.value,
            recorded_at=datetime.now(UTC),
            recorded_by=self.steps.audit.principal.subject,
        )
        await self.repository.add(row)
        self.steps.done("rate", "goal", goal_id)
        return _rating(row, current=row.value is not None)

    async def ratings(
        self, client_id: uuid.UUID, goal_id: uuid.UUID, cursor: str | None, limit: int
    ) -> tuple[list[schemas.RatingRead], str | None]:
        """A page of a goal's ratings and the cursor of the next; :class:`NotFound` for an unknown goal."""
        after = None if cursor is None else decode_cursor(cursor)[1]
        await self._goal("list-ratings", client_id, goal_id)
        every = await self.repository.ratings([goal_id])
        self.steps.done("list-ratings", "goal", goal_id)
        counting = {row.id for row in current(every)}
        rows = [row for row in every if after is None or row.id > after]
        more = encode_cursor(rows[limit - 1].recorded_at, rows[limit - 1].id) if len(rows) > limit else None
        return [_rating(row, current=row.id in counting) for row in rows[:limit]], more

    async def progress(self, client_id: uuid.UUID, *, wording: bool = False) -> schemas.GoalProgress:
        """How the goals of a client have been reached over time; :class:`NotFound` for an unknown client.

        Words stay sealed unless they are asked for.
        """
        client = await self.repository.client(client_id)
        if client is None:
            raise await self.steps.unknown("read-goal-progress", "client", client_id, UNKNOWN_CLIENT)
        sealer = Sealer(self.keys, client, _PURPOSE) if wording else None
        goals = await self.repository.goals(client_id, None, None)
        rows = await self.repository.ratings([goal.id for goal in goals])
        self.steps.done("read-goal-progress", "client", client_id)
        ratings = {goal.id: [row for row in current(rows) if row.goal_id == goal.id] for goal in goals}
        scaled = [_scaled(goal, ratings[goal.id]) for goal in goals if goal.kind == LEVELS]
        return schemas.GoalProgress(
            client_id=client_id,
            formula=schemas.FormulaRead(**formula().model_dump()),
            attainment=[_attainment(point) for point in timeline(scaled)],
            goals=[_series(goal, ratings[goal.id], sealer) for goal in goals],
        )

    async def _sealer(self, action: str, client_id: uuid.UUID) -> Sealer:
        client = await self.repository.client(client_id)
        if client is None:
            raise await self.steps.unknown(action, "client", client_id, UNKNOWN_CLIENT)
        return Sealer(self.keys, client, _PURPOSE)

    async def _goal(self, action: str, client_id: uuid.UUID, goal_id: uuid.UUID, *, lock: bool = False) -> GoalRow:
        row = await self.repository.goal(client_id, goal_id, lock=lock)
        if row is None:
            raise await self.steps.unknown(action, "goal", goal_id, UNKNOWN)
        return row


def current(rows: Iterable[RatingRow]) -> list[RatingRow]:
    """The ratings that count, by their days; of one day, in the order in which they were first recorded."""
    by_id = {row.id: row for row in rows}
    corrected = {row.corrects for row in by_id.values()}

    def first(row: RatingRow) -> uuid.UUID:
        while row.corrects is not None:
            row = by_id[row.corrects]
        return row.id

    counting = [row for row in by_id.values() if row.id not in corrected and row.value is not None]
    return sorted(counting, key=lambda row: (row.rated_on, first(row)))


def _faults(kind: str, goal: dict[str, Any]) -> Iterator[Fault]:
    """What does not fit together in a goal, whole."""
    low, high = _RANGES[kind]
    for member, of in (("levels", LEVELS), ("weight", LEVELS), ("target", "target")):
        if kind == of and goal[member] is None:
            yield member, "missing", f"is required of a goal of the kind {of}"
        if kind != of and goal[member] is not None:
            yield member, "of-another-kind", f"belongs to goals of the kind {of}"
    if not low <= goal["baseline"] <= high:
        yield "baseline", "out-of-range", f"is a whole number from {low} to {high}"
    elif kind == "target" and goal["target"] == goal["baseline"]:
        yield "target", "at-the-start", "is another than the baseline, so that it is known which way leads there"
    dropped_on, reason = goal.get("dropped_on"), goal.get("drop_reason")
    if dropped_on is not None and reason is None:
        yield "drop_reason", "missing", "is required with dropped_on"
    if dropped_on is None and reason is not None:
        yield "dropped_on", "missing", "is required with drop_reason"
    if dropped_on is not None and dropped_on < goal["set_on"]:
        yield "dropped_on", "days-out-of-order", "is not before set_on"


def _faults_of_rated(given: dict[str, Any], after: dict[str, Any], ratings: Sequence[RatingRow]) -> Iterator[Fault]:
    if not ratings:
        return
    for member in _FIXED:
        if member in given:
            yield member, "rated", "stays as it is once the goal was rated; drop the goal and set another"
    last = ratings[-1].rated_on
    if after["dropped_on"] is not None and after["dropped_on"] < last:
        yield "dropped_on", "before-last-rating", f"is not before {last}, the day of the last rating"


def _rating_faults(
    goal: GoalRow, body: schemas.RatingCreate, corrected: RatingRow | None, ratings: Sequence[RatingRow]
) -> Iterator[Fault]:
    low, high = _RANGES[goal.kind]
    if body.value is not None and not low <= body.value <= high:
        yield "value", "out-of-range", f"is a whole number from {low} to {high}"
    if body.value is None and body.corrects is None:
        yield "value", "missing", "is required, unless an earlier rating was entered in error"
    if body.corrects is not None and corrected is None:
        yield "corrects", "unknown-rating", "has to be the id of a rating of this goal"
    elif corrected is not None and any(row.corrects == corrected.id for row in ratings):
        yield "corrects", "already-corrected", "has to be the newest of a rating's corrections"


def _seal(sealer: Sealer, goal_id: uuid.UUID, wording: str, levels: list[str] | None) -> bytes:
    return sealer.seal(orjson.dumps([wording, levels]).decode("utf-8"), goal_id)


def _read(row: GoalRow, sealer: Sealer) -> schemas.GoalRead:
    wording, levels = orjson.loads(sealer.open(row.words_sealed, row.id))
    return schemas.GoalRead(**row.model_dump(exclude={"organisation_id"}), wording=wording, levels=levels)


def _rating(row: RatingRow, *, current: bool) -> schemas.RatingRead:
    return schemas.RatingRead(**row.model_dump(exclude={"organisation_id", "goal_id"}), current=current)


def _points(rows: Iterable[RatingRow]) -> Iterator[Rating]:
    return (Rating(row.rated_on, row.value) for row in rows if row.value is not None)


def _scaled(goal: GoalRow, rows: Sequence[RatingRow]) -> Scaled:
    return Scaled(goal.id, goal.weight or 0, goal.baseline, goal.set_on, goal.dropped_on, tuple(_points(rows)))


def _attainment(point: Point) -> schemas.AttainmentPoint:
    return schemas.AttainmentPoint(
        day=point.day,
        **(dict.fromkeys(("t", "t_baseline", "change")) if point.scores is None else point.scores._asdict()),
        t_first=None if point.from_first is None else point.from_first.t_baseline,
        change_from_first=None if point.from_first is None else point.from_first.change,
        status=point.status,
        rated=[*point.rated],
        unrated=[*point.unrated],
        unweighted=[*point.unweighted],
        dropped=[*point.dropped],
    )


def _series(goal: GoalRow, rows: Sequence[RatingRow], sealer: Sealer | None) -> schemas.GoalSeries:
    wording, levels = (None, None) if sealer is None else orjson.loads(sealer.open(goal.words_sealed, goal.id))
    ratings = [schemas.SeriesPoint(rated_on=one.rated_on, value=one.value) for one in _points(rows)]
    newest = ratings[-1].value if ratings else None
    reached = way = None
    if newest is not None:
        goes_up = goal.target is None or goal.target > goal.baseline
        wanted = 0 if goal.target is None else goal.target
        reached = newest >= wanted if goes_up else newest <= wanted
        way = None if goal.target is None else (newest - goal.baseline) / (goal.target - goal.baseline)
    return schemas.GoalSeries(
        goal_id=goal.id,
        **goal.model_dump(include={"kind", "weight", "target", "baseline", "set_on", "dropped_on"}),
        wording=wording,
        levels=levels,
        ratings=ratings,
        change=None if newest is None else newest - goal.baseline,
        change_from_first=None if newest is None else newest - ratings[0].value,
        way=way,
        reached=reached,
    )
