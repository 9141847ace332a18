"""Recording a form, and reading what was recorded."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

import scoring
from api.catalogue import service as catalogue
from api.catalogue.library import Library
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import NotFound
from api.records.audit import Audit
from api.responses.recording import AlertToRecord, ResponseToRecord, ScoreToRecord
from api.responses.repository import ResponseRepository, Wanted
from api.responses.schemas import ResponseCreate
from api.responses.situation import situation_of
from api.security.principal import Principal
from instruments import Instrument

UNKNOWN = "There is no such response."
UNKNOWN_CLIENT = "There is no such client."
UNKNOWN_EPISODE = "The client has no such episode."
_JSON = orjson.OPT_UTC_Z


def prepare(
    principal: Principal,
    body: ResponseCreate,
    instrument: Instrument,
    *,
    key: str | None,
    request_hash: bytes,
    request_id: str,
) -> ResponseToRecord:
    """Score a form by the definition that it names, and make all that is to be written of it.

    Raises
    ------
    AnswersInvalid
        With every fault.
    RequestInvalid
        No such variant.
    """
    result = catalogue.score(instrument, body.answers, body.variant)
    response_id, now = new_id(), datetime.now(UTC)
    document = {
        "id": response_id,
        "client_id": body.client_id,
        "episode_id": body.episode_id,
        "outside_episode": body.episode_id is None,
        "setting": body.setting,
        "partnered": body.partnered,
        "active": body.active,
        "answered_at": body.answered_at,
        "recorded_at": now,
        **result.document(),
        "provenance": catalogue.provenance(instrument),
    }
    document["flags"] = document.pop("flags")  # last, where the database adds what it knows of the client's situation
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
        document=orjson.dumps(document, option=_JSON).decode("utf-8"),
        valid=result.valid,
        scores=[ScoreToRecord(scale, score.value, score.status, score.valid) for scale, score in result.scores.items()],
        alerts=[AlertToRecord(new_id(), alert.id, ",".join(alert.items), alert.severity) for alert in result.alerts],
        organs=outside.organs,
        partner=outside.partner,
        outside=outside.flags,
        episode_id=body.episode_id,
    )


@dataclass(frozen=True, slots=True)
class Responses:
    """The responses of one organisation, for one request that reads."""

    repository: ResponseRepository
    audit: Audit
    library: Library

    async def document(self, response_id: uuid.UUID) -> str:
        """The JSON text that recording it was answered with.

        Raises
        ------
        NotFound
            No such response in this organisation.
        """
        kept = await self.repository.get(response_id)
        if kept is None:
            await self.audit.refused("read", "response", response_id, "not-found")
            raise NotFound(UNKNOWN)
        self.audit.record(self.repository.session, "read", "response", response_id)
        return kept.document

    async def explanation(self, response_id: uuid.UUID) -> dict[str, Any]:
        """The arithmetic from the stored answers, by the definition they were scored with.

        Raises
        ------
        NotFound
            No such response in this organisation.
        """
        kept = await self.repository.get(response_id)
        if kept is None:
            await self.audit.refused("explain", "response", response_id, "not-found")
            raise NotFound(UNKNOWN)
        self.audit.record(self.repository.session, "explain", "response", response_id)
        instrument = await self.library.get(
            self.audit.principal.organisation_id, kept.instrument, kept.instrument_version
        )
        explanation = scoring.explain(instrument, orjson.loads(kept.answers), variant=kept.variant)
        identity = {"id": kept.id, "provenance": orjson.loads(kept.document)["provenance"]}
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
        more = encode_cursor(rows[limit - 1].answered_at, rows[limit - 1].id) if len(rows) > limit else None
        # The stored text goes out as it is, with one member more: numbers are not read and written again.
        items = [orjson.Fragment(f'{row.document[:-1]},"answers":{row.answers}}}') for row in rows[:limit]]
        return orjson.dumps({"items": items, "next": more}), more
