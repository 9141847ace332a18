"""The rules of references: what may be one, its versions, and which one is in use."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from api.catalogue.library import Library
from api.clients.codes import EPISODE_FORMATS, MODALITIES
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import NotFound, RequestInvalid
from api.records.audit import Audit
from api.references import schemas
from api.references.active import OrganisationReferences
from api.references.problems import ReferenceState, TooManyReferences
from api.references.reading import Columns, Fault, read
from api.references.repository import ReferenceRepository
from api.references.tables import ReferenceRow, ReferenceUseRow
from instruments import Instrument, NotScorable
from scoring.growth import MIN_PERSONS, GrowthModel
from scoring.growth.stratum import STRATA, severities
from scoring.progress_figures import Figures, figures

RESOURCE: Final = "reference"
UNKNOWN: Final = "There is no such reference."
MOST_WAITING: Final = 8
"""Fits of one organisation that wait or run; each takes a processor for seconds."""
LEAST_RESIDUAL: Final = 1e-6
"""Points squared: with less, nothing that a person scores could be told from certainty, nor from errors of rounding."""
OWN_SOURCE: Final = "the organisation's own closed episodes"
_NEEDED: Final = {
    "episodes": (),
    "data": ("source", "evidence", "data"),
    "parameters": ("source", "evidence", "parameters", "persons", "observations", "horizon_weeks"),
}
_OPTIONAL: Final = ("source", "evidence", "data", "parameters", "persons", "observations", "horizon_weeks")


@dataclass(frozen=True, slots=True)
class ReferenceService:
    """References of one organisation, for one request."""

    repository: ReferenceRepository
    audit: Audit
    library: Library
    in_use: OrganisationReferences

    async def create(self, body: schemas.ReferenceCreate) -> schemas.ReferenceRead:
        """Take parameters in, or queue a fit. Nobody is held against it before it is activated.

        Raises
        ------
        RequestInvalid
            With every fault of the body, or of the data.
        TooManyReferences
            Too many fits wait already.
        """
        instrument = await self._instrument(body)
        variant = body.variant or instrument.variant_ids[0]
        data: Columns | None = None
        faults = list(_faults(body, instrument, variant))
        if not faults and body.data is not None:
            known = figures(instrument, body.scale, variant)
            data = read(body.data, low=known.minimum, high=known.maximum)
            faults += data.faults
        model = None if faults or body.parameters is None else _model(body.parameters, faults)
        if faults:
            await self.audit.refused("create", RESOURCE, None, "refused")
            raise RequestInvalid(
                errors=[{"pointer": f"/{at}", "code": code, "detail": told} for at, code, told in faults]
            )
        row = self._row(body, instrument, variant, model)
        await self.repository.alone()
        if model is None:
            if await self.repository.waiting() >= MOST_WAITING:
                await self.audit.refused("create", RESOURCE, None, "too-many")
                raise TooManyReferences(f"At most {MOST_WAITING} may wait at once; GET /v1/references tells.")
            row.staged = None if data is None else _staged(data)
        row.number = await self.repository.next_number(row)
        await self.repository.add(row)
        if model is None:
            await self.repository.queue(row.id)
        self._record("create", row.id)
        return read_of(row)

    async def _instrument(self, body: schemas.ReferenceCreate) -> Instrument:
        try:
            return await self.library.of_body(self.repository.organisation_id, body.instrument, body.version)
        except NotScorable:
            detail = "is one that can be scored; its entry in /v1/instruments says which facts are missing"
            fault = {"pointer": "/instrument", "code": "instrument-not-scorable", "detail": detail}
            await self.audit.refused("create", RESOURCE, None, "refused")
            raise RequestInvalid(errors=[fault]) from None
        except RequestInvalid:
            await self.audit.refused("create", RESOURCE, None, "refused")
            raise

    def _row(
        self, body: schemas.ReferenceCreate, instrument: Instrument, variant: str, model: GrowthModel | None
    ) -> ReferenceRow:
        now = datetime.now(UTC)
        return ReferenceRow(
            organisation_id=self.repository.organisation_id,
            id=new_id(),
            instrument=instrument.code,
            instrument_version=instrument.version,
            variant=variant,
            scale=body.scale,
            **body.stratum.model_dump(),
            number=1,
            origin=body.origin,
            source=body.source or OWN_SOURCE,
            evidence=body.evidence or "derived",
            requested_by=self.audit.principal.subject,
            created_at=now,
            state="queued" if model is None else "ready",
            ended_at=None if model is None else now,
            persons=body.persons,
            observations=body.observations,
            horizon=body.horizon_weeks,
            model=None if model is None else orjson.dumps(model.document()).decode(),
        )

    async def page(
        self, instrument: str | None, active: bool | None, cursor: str | None, limit: int
    ) -> tuple[list[schemas.ReferenceRead], str | None]:
        """A page of references, newest first, and the cursor of the next."""
        before = None if cursor is None else decode_cursor(cursor)
        rows = await self.repository.page(instrument, before, limit + 1, active=active)
        self._record("list", None)
        more = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
        return [read_of(row) for row in rows[:limit]], more

    async def get(self, reference_id: uuid.UUID) -> schemas.ReferenceDetail:
        """One reference; :class:`NotFound` where there is none."""
        row = await self._known("read", reference_id)
        self._record("read", reference_id)
        return await self._detail(row)

    async def activate(self, reference_id: uuid.UUID) -> schemas.ReferenceDetail:
        """Take a reference into use, in place of the one that is. Twice is as once.

        Raises
        ------
        NotFound, ReferenceState
        """
        await self.repository.alone()
        row = await self._known("activate", reference_id, for_update=True)
        if row.state != "ready":
            await self.audit.refused("activate", RESOURCE, reference_id, "state")
            raise ReferenceState(f"The reference is {row.state}; only one that is ready can be used.", state=row.state)
        if not row.active:
            before = await self.repository.active(row)
            if before is not None:
                before.active = False
                await self.repository.save()  # before the other is in use: two cannot be
                await self._use(before, "replaced")
            row.active = True
            await self.repository.save()
            await self._use(row, "activated")
        return await self._changed("activate", row)

    async def withdraw(self, reference_id: uuid.UUID) -> schemas.ReferenceDetail:
        """Let a reference be used no more, for good. Without another, nothing is expected of clients like these.

        Raises
        ------
        NotFound, ReferenceState
        """
        await self.repository.alone()
        row = await self._known("withdraw", reference_id, for_update=True)
        if row.state not in ("ready", "withdrawn"):
            await self.audit.refused("withdraw", RESOURCE, reference_id, "state")
            raise ReferenceState(f"The reference is {row.state} and has no model to withdraw.", state=row.state)
        if row.state == "ready":
            used, row.active, row.state = row.active, False, "withdrawn"
            await self.repository.save()
            if used:
                await self._use(row, "withdrawn")
        return await self._changed("withdraw", row)

    async def _use(self, row: ReferenceRow, effect: str) -> None:
        await self.repository.add(
            ReferenceUseRow(
                organisation_id=row.organisation_id,
                id=new_id(),
                reference_id=row.id,
                effect=effect,
                at=datetime.now(UTC),
                by=self.audit.principal.subject,
            )
        )

    async def _changed(self, action: str, row: ReferenceRow) -> schemas.ReferenceDetail:
        self._record(action, row.id)
        found = await self._detail(row)
        await self.repository.session.commit()  # others are told of it only once it is so
        self.in_use.changed(row.organisation_id)
        return found

    async def _detail(self, row: ReferenceRow) -> schemas.ReferenceDetail:
        uses = [schemas.Use(effect=use.effect, at=use.at, by=use.by) for use in await self.repository.uses(row.id)]
        return schemas.ReferenceDetail(**read_of(row).model_dump(), uses=uses)

    async def _known(self, action: str, reference_id: uuid.UUID, *, for_update: bool = False) -> ReferenceRow:
        row = await self.repository.get(reference_id, for_update=for_update)
        if row is None:
            await self.audit.refused(action, RESOURCE, reference_id, "not-found")
            raise NotFound(UNKNOWN)
        return row

    def _record(self, action: str, reference_id: uuid.UUID | None) -> None:
        self.audit.record(self.repository.session, action, RESOURCE, reference_id)


def _faults(body: schemas.ReferenceCreate, instrument: Instrument, variant: str) -> Iterator[Fault]:
    """What is wrong with what was asked for, data and parameters aside."""
    needed = _NEEDED[body.origin]
    for name in _OPTIONAL:
        if getattr(body, name) is None and name in needed:
            yield name, "missing", f"is needed where the origin is {body.origin}"
        elif getattr(body, name) is not None and name not in needed:
            yield name, "not-of-this-origin", f"is left out where the origin is {body.origin}"
    stratum = body.stratum
    for name, given, codes in (
        ("format", stratum.format, EPISODE_FORMATS),
        ("modality", stratum.modality, MODALITIES),
    ):
        if given is not None and given not in codes:
            yield f"stratum/{name}", "unknown-code", f"has to be one of {', '.join(codes)}"
    if body.origin == "parameters" and body.persons is not None and body.persons < MIN_PERSONS:
        yield (
            "persons",
            "too-few-persons",
            f"has to be {MIN_PERSONS} at least: bands of fewer are not to be relied on",
        )
    if variant not in instrument.variant_ids:
        yield "variant", "unknown-variant", f"has to be one of {', '.join(instrument.variant_ids)}"
        return
    scales = [scale.id for scale in instrument.scales]
    if body.scale not in scales:
        yield "scale", "unknown-scale", f"has to be one of {', '.join(scales)}"
        return
    known: Figures = figures(instrument, body.scale, variant)
    if known.higher_is == "neither":
        yield "scale", "no-direction", "is one on which higher is better or worse; here it is neither"
    labels = severities(instrument, variant, body.scale)
    if stratum.severity is not None and stratum.severity not in labels:
        detail = f"has to be one of {', '.join(labels)}" if labels else "is left out: the scale has no severity bands"
        yield "stratum/severity", "unknown-severity", detail


def _model(given: schemas.Parameters, faults: list[Fault]) -> GrowthModel | None:
    if given.residual_variance < LEAST_RESIDUAL:
        faults.append(("parameters/residual_variance", "too-small", f"is {LEAST_RESIDUAL:g} at least"))
        return None
    try:
        return GrowthModel(**given.model_dump())
    except ValueError as error:
        faults.append(("parameters", "not-a-model", str(error)))
        return None


def _staged(data: Columns) -> str:
    return orjson.dumps({"ids": data.ids, "weeks": data.weeks, "values": data.scores}).decode()


def read_of(row: ReferenceRow) -> schemas.ReferenceRead:
    """A row on the wire."""
    kept: dict[str, Any] = {
        name: getattr(row, name) for name in schemas.ReferenceRead.model_fields if hasattr(ReferenceRow, name)
    }
    return schemas.ReferenceRead.model_validate(
        kept
        | {
            "version": row.instrument_version,
            "stratum": {name: getattr(row, name) for name in STRATA},
            "horizon_weeks": row.horizon,
            "parameters": None if row.model is None else GrowthModel.of_document(orjson.loads(row.model)).document(),
            "fit": None if row.report is None else orjson.loads(row.report),
        }
    )
