"""Recording a form, and reading what was recorded."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

import scoring
from api.alerts.raising import SEVERITY_OF_WORSENING, MakeId, Raised, fresh, may_be_worse, raised
from api.alerts.settings import NOTHING, AlertSettings
from api.catalogue import service as catalogue
from api.catalogue.library import Library
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import NotFound, Problem
from api.protocols.following import standing
from api.protocols.repository import ProtocolRepository
from api.records.audit import Audit
from api.responses import rescored
from api.responses.recording import Comparable, ResponseToRecord, ScoreToRecord
from api.responses.repository import Kept, ResponseRepository, Wanted
from api.responses.rescored import Rescored, Stored
from api.responses.schemas import ResponseCreate
from api.responses.situation import situation_of
from api.responses.versions import Reasons, as_it_stands, as_void, with_schedule
from api.security import crypto
from api.security.principal import Principal
from instruments import Instrument, UnknownInstrument
from scoring.worsening import alike

UNKNOWN = "There is no such response."
UNKNOWN_CLIENT = "There is no such client."
UNKNOWN_EPISODE = "The client has no such episode."
_JSON = orjson.OPT_UTC_Z


class ResponseIsVoid(Problem):
    """The response was entered in error: it cannot be corrected, and there is nothing to explain."""

    status, slug, title = 409, "response-void", "The response was entered in error"


def prepare(
    principal: Principal,
    body: ResponseCreate,
    instrument: Instrument,
    *,
    key: str | None,
    request_hash: bytes,
    request_id: str,
    amends: Kept | None = None,
    settings: AlertSettings = NOTHING,
    versions: Sequence[int] | None = None,
    make_id: MakeId = fresh,
) -> ResponseToRecord:
    """Score a form by the definition that it names, and make all that is to be written of it.

    One that ``amends`` a version keeps the public id, and is later even if a clock was set back.

    Parameters
    ----------
    settings
        The organisation's thresholds and guidance.
    versions
        Those of the instrument whose scores may be put beside this one's; by default its own version alone.

    Raises
    ------
    AnswersInvalid
        With every fault.
    RequestInvalid
        No such variant.
    """
    result = catalogue.score(instrument, body.answers, body.variant)
    response_id, now = new_id(), datetime.now(UTC)
    if amends is not None:
        now = max(now, amends.recorded_at + timedelta(microseconds=1))
    found = raised(settings, instrument, result, body.answers, make_id=make_id)
    worse = may_be_worse(settings, instrument, result, make_id=make_id)
    document = document_of(body, result, instrument, response_id if amends is None else amends.id, now, found)
    outside = situation_of(instrument, body.partnered, body.active)
    return ResponseToRecord(
        organisation_id=principal.organisation_id,
        subject=principal.subject,
        role=principal.role,
        request_id=request_id,
        idempotency_key=key,
        request_hash=request_hash,
        id=response_id,
        event_id=new_id(),
        client_id=body.client_id,
        instrument=instrument.code,
        instrument_version=instrument.version,
        definition_checksum=instrument.checksum,
        variant=result.variant,
        answers=orjson.dumps(body.answers).decode("utf-8"),
        setting=body.setting,
        answered_at=body.answered_at,
        recorded_at=now,
        document=orjson.dumps(document, default=str, option=_JSON).decode("utf-8"),
        valid=result.valid,
        scores=[ScoreToRecord(scale, score.value, score.status, score.valid) for scale, score in result.scores.items()],
        alerts=found.alerts,
        organs=outside.organs,
        partner=outside.partner,
        outside=outside.flags,
        episode_id=body.episode_id,
        worse=worse,
        worse_severity=SEVERITY_OF_WORSENING,
        comparable=Comparable(versions or (instrument.version,), alike(instrument, result.variant)),
        tail=len(orjson.dumps(document["flags"]).decode("utf-8")) + len('],"flags":}') if worse else 0,
    )


def document_of(
    body: ResponseCreate,
    result: scoring.Result,
    instrument: Instrument,
    response_id: uuid.UUID,
    recorded_at: datetime,
    found: Raised | None = None,
) -> dict[str, Any]:
    """What is kept of a response as a whole, and answered.

    Alerts and flags come last: the database adds to both, by what there is of the client. Without alerts that were
    ``found`` they are those by the definition's rules, with new ids.
    """
    if found is None:
        found = raised(NOTHING, instrument, result, body.answers)
    made = result.document()
    flags = made.pop("flags")
    del made["alerts"]
    return {
        "id": response_id,
        "client_id": body.client_id,
        "episode_id": body.episode_id,
        "outside_episode": body.episode_id is None,
        "setting": body.setting,
        "partnered": body.partnered,
        "active": body.active,
        "answered_at": body.answered_at,
        "recorded_at": recorded_at,
        **made,
        "provenance": catalogue.provenance(instrument),
        "alerts_undecided": found.undecided,
        "alerts": found.told,
        "flags": flags,
    }


@dataclass(frozen=True, slots=True)
class Responses:
    """The responses of one organisation, for one request that reads."""

    repository: ResponseRepository
    audit: Audit
    library: Library
    keys: crypto.Keys

    async def document(self, response_id: uuid.UUID) -> tuple[str, str]:
        """The JSON text of what a response says now, and what its entity tag holds.

        Raises
        ------
        NotFound
            No such response in this organisation.
        """
        kept = await self.repository.last(response_id)
        if kept is None:
            raise await self._unknown("read", response_id)
        self.audit.record(self.repository.session, "read", "response", response_id)
        if kept.void:
            return as_void(kept, await self.reasons(kept.client_id)), kept.tag
        (current,) = await self._scored([kept])
        protocols = ProtocolRepository(self.repository.session, self.audit.principal.organisation_id)
        held = await standing(protocols, kept.client_id, kept.instrument, kept.id)
        text = as_it_stands(current, None)
        return text if held is None else with_schedule(text, [one.model_dump_json() for one in held]), kept.tag

    async def version(self, response_id: uuid.UUID, revision: int, rescoring: uuid.UUID | None = None) -> str:
        """The JSON text of one version, with its answers; of the void one without.

        With its recorded scores, or with those of a run.

        Raises
        ------
        NotFound
            No such response in this organisation, or no such version of it, or it was not scored by such a run.
        """
        versions = await self.repository.versions(response_id)
        kept = next((one for one in versions if one.revision == revision), None)
        void = kept is None and bool(versions) and versions[-1].void and revision == versions[-1].revision + 1
        run = None
        if kept is not None and rescoring is not None:
            run = next((one for one in await self.repository.runs(kept.row_id) if one.id == rescoring), None)
        if (kept is None and not void) or (rescoring is not None and run is None):
            raise await self._unknown("read-version", response_id)
        self.audit.record(self.repository.session, "read-version", "response", response_id)
        if kept is None:
            return as_void(versions[-1], await self.reasons(versions[-1].client_id))
        (shown,) = await self._scored([kept._replace(rescored=run)])
        return with_answers(shown, None if kept.superseded is None else await self.reasons(kept.client_id))

    async def _scored(self, rows: Sequence[Kept]) -> list[Kept]:
        """Versions with the document that the run has made of each that names one."""
        pairs = [(row.row_id, row.rescored.id) for row in rows if row.rescored is not None]
        stored = await self.repository.scores_by(pairs)
        return [row if row.rescored is None else await self._by(row, row.rescored, stored) for row in rows]

    async def _by(self, kept: Kept, run: Rescored, stored: Mapping[uuid.UUID, Mapping[str, Stored]]) -> Kept:
        try:
            own = self.audit.principal.organisation_id
            instrument = await self.library.get(own, kept.instrument, run.version)
        except UnknownInstrument:
            instrument = None
        made = rescored.document(kept.document, kept.answers, kept.variant, run, stored[kept.row_id], instrument)
        return kept._replace(document=made)

    async def reasons(self, client_id: uuid.UUID) -> Reasons:
        """What opens and seals the texts about corrections of a client."""
        wrapped = await self.repository.key_wrapped(client_id)
        return Reasons(self.keys, wrapped, self.audit.principal.organisation_id, client_id)

    async def _unknown(self, action: str, response_id: uuid.UUID) -> NotFound:
        await self.audit.refused(action, "response", response_id, "not-found")
        return NotFound(UNKNOWN)

    async def explanation(self, response_id: uuid.UUID, revision: int | None = None) -> dict[str, Any]:
        """The arithmetic from the stored answers, by the definition of the scores that hold, or of a recorded version.

        Raises
        ------
        NotFound
            No such response in this organisation, or no such version of it.
        ResponseIsVoid
            It was entered in error, and no version was named.
        """
        if revision is None:
            kept = await self.repository.last(response_id)
        else:
            versions = await self.repository.versions(response_id)
            kept = next((one for one in versions if one.revision == revision), None)
        if kept is None:
            raise await self._unknown("explain", response_id)
        if kept.void and revision is None:
            await self.audit.refused("explain", "response", response_id, "void")
            raise ResponseIsVoid("Name the revision whose scores are meant.")
        self.audit.record(self.repository.session, "explain", "response", response_id)
        run = kept.rescored if revision is None else None
        basis = orjson.loads(kept.document)["provenance"]
        version = kept.instrument_version if run is None else run.version
        instrument = await self.library.get(self.audit.principal.organisation_id, kept.instrument, version)
        if run is not None:
            basis = catalogue.provenance(instrument) | {"definition": run.checksum}
        explanation = scoring.explain(instrument, orjson.loads(kept.answers), variant=kept.variant)
        identity = {"id": kept.id, "revision": kept.revision, "provenance": basis}
        return identity | explanation.document()

    async def page(
        self, client_id: uuid.UUID, wanted: Wanted, cursor: str | None, limit: int
    ) -> tuple[bytes, str | None]:
        """JSON text of a page of a client's responses with their answers, newest first, and the next page's cursor.

        Raises
        ------
        NotFound
            No such client in this organisation, or the client has no such episode.
        """
        before = None if cursor is None else decode_cursor(cursor)
        if not await self.repository.client_exists(client_id):
            await self.audit.refused("list-responses", "client", client_id, "not-found")
            raise NotFound(UNKNOWN_CLIENT)
        if wanted.episode_id is not None and not await self.repository.episode_exists(client_id, wanted.episode_id):
            await self.audit.refused("list-responses", "client", client_id, "not-found")
            raise NotFound(UNKNOWN_EPISODE)
        rows = await self.repository.newest(client_id, wanted, before, limit + 1)
        self.audit.record(self.repository.session, "list-responses", "client", client_id)
        more = encode_cursor(rows[limit - 1].answered_at, rows[limit - 1].row_id) if len(rows) > limit else None
        reasons = await self.reasons(client_id) if any(row.superseded for row in rows[:limit]) else None
        shown = await self._scored(rows[:limit])
        items = [orjson.Fragment(with_answers(row, reasons)) for row in shown]
        return orjson.dumps({"items": items, "next": more}), more


def with_answers(kept: Kept, reasons: Reasons | None) -> str:
    """The JSON text of a version with its answers; ``reasons`` are needed where it was superseded."""
    return f'{as_it_stands(kept, reasons)[:-1]},"answers":{kept.answers}}}'
