"""The references that organisations have in use, remembered for some seconds: what a request judges a course by."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import asyncpg
import orjson
from fastapi import Request

from api.db import confine
from scoring.growth import NO_REFERENCE, GrowthModel, Origin, Reference
from scoring.growth.stratum import STRATA
from scoring.reliable import Unavailable

FRESH: Final = 5.0
"""Seconds for which a process remembers what another may have changed; its own changes hold at once."""
MOST_KEPT: Final = 1_024
"""Organisations that are remembered; the one asked for longest ago is forgotten first."""
_STAMP: Final = "select id from reference_set where organisation_id = $1 and active order by id"
_READ: Final = """
select id, number, instrument, instrument_version, variant, scale, format, modality, severity, origin, source, evidence,
       persons, observations, horizon, model::text as model, report::text as report
from reference_set where organisation_id = $1 and active order by id
"""

Key = tuple[str, int, str, str]
"""Instrument, version, variant, scale."""

ABSENT: Final = Unavailable(
    NO_REFERENCE,
    "The organisation has no reference in use for this scale of this version and variant that fits this client, so "
    "what was to be expected is not known. References are fitted or taken in at /v1/references.",
)


@dataclass(frozen=True, slots=True)
class References:
    """Those of one organisation that are in use."""

    by_scale: Mapping[Key, Sequence[Reference]] = field(default_factory=dict)

    def find(
        self, instrument: str, version: int, variant: str, scale: str, **stratum: str | None
    ) -> Reference | Unavailable:
        """The reference for one client's course on a scale.

        Parameters
        ----------
        stratum
            What is known of the client: `format`, `modality`, `severity`. Of the references that hold for such a
            client, the one that is narrowed by most; of equals the one by format before modality before severity.
        """
        fit = [one for one in self.of(instrument, version, variant, scale) if _holds(one, stratum)]
        return max(fit, key=_narrowness, default=ABSENT)

    def of(self, instrument: str, version: int, variant: str, scale: str) -> Sequence[Reference]:
        """All of a scale, for whomever they hold."""
        return self.by_scale.get((instrument, version, variant, scale), ())

    @property
    def by_care(self) -> bool:
        """Whether any holds only for a format or modality: then that of the client has to be known."""
        return any(
            "format" in one.stratum or "modality" in one.stratum for many in self.by_scale.values() for one in many
        )


def _holds(reference: Reference, stratum: Mapping[str, str | None]) -> bool:
    return all(stratum.get(name) == value for name, value in reference.stratum.items())


def _narrowness(reference: Reference) -> tuple[int, list[bool]]:
    return len(reference.stratum), [name in reference.stratum for name in STRATA]


NONE: Final = References()


class OrganisationReferences:
    """The references in use of organisations. One object a process (`app.state.references`)."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._kept: OrderedDict[uuid.UUID, tuple[float, tuple[uuid.UUID, ...], References]] = OrderedDict()
        self._changes = 0

    async def of(self, organisation_id: uuid.UUID) -> References:
        """As they were at most :data:`FRESH` seconds ago."""
        kept = self._kept.get(organisation_id)
        if kept is not None and time.monotonic() - kept[0] < FRESH:
            return kept[2]
        changes = self._changes
        async with self._pool.acquire() as connection, connection.transaction():
            await confine(connection, organisation_id)
            # A row that is in use never changes, so the ids tell whether anything has.
            ids = tuple(row[0] for row in await connection.fetch(_STAMP, organisation_id))
            if kept is not None and kept[1] == ids:
                found = kept[2]
            elif not ids:
                found = NONE
            else:
                found = references_of(await connection.fetch(_READ, organisation_id))
        if changes == self._changes:  # else something was changed meanwhile, which these rows may lack
            self._kept[organisation_id] = time.monotonic(), ids, found
            self._kept.move_to_end(organisation_id)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def changed(self, organisation_id: uuid.UUID) -> None:
        """The organisation has changed which are in use: they are asked for anew."""
        self._changes += 1
        self._kept.pop(organisation_id, None)


def organisation_references(request: Request) -> OrganisationReferences:
    """Those of the application that serves this request."""
    found: OrganisationReferences = request.app.state.references
    return found


def references_of(rows: Sequence[Mapping[str, Any]]) -> References:
    """From rows of `reference_set` that have a model."""
    by_scale: dict[Key, list[Reference]] = {}
    for row in rows:
        one = _reference(row)
        by_scale.setdefault((one.instrument, one.version, one.variant, one.scale), []).append(one)
    return References(by_scale)


def _reference(row: Mapping[str, Any]) -> Reference:
    report = orjson.loads(row["report"] or "{}")
    return Reference(
        id=str(row["id"]),
        number=row["number"],
        instrument=row["instrument"],
        version=row["instrument_version"],
        variant=row["variant"],
        scale=row["scale"],
        model=GrowthModel.of_document(orjson.loads(row["model"])),
        persons=row["persons"],
        observations=row["observations"],
        horizon=row["horizon"],
        origin=cast("Origin", row["origin"]),
        source=row["source"],
        evidence=row["evidence"],
        singular=bool(report.get("singular")),
        stratum={name: row[name] for name in STRATA if row[name] is not None},
    )
