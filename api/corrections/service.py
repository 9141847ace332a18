"""The rules of corrections: what may be put right, by whom nothing is overwritten, and the history that stays."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from api.alerts.settings import OrganisationAlerts
from api.conditional import etag, require_match
from api.corrections import repository
from api.corrections.repository import Corrected, Correction
from api.corrections.schemas import ResponseAmend, ResponseVoidRequest
from api.ids import new_id
from api.problems import IdempotencyKeyReused, NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid
from api.responses import rescored
from api.responses import service as responses
from api.responses.idempotency import fingerprint
from api.responses.recording import EPISODE_MARGIN, recorded_before
from api.responses.repository import Kept
from api.responses.schemas import ResponseCreate
from api.responses.service import Responses
from api.responses.versions import Reasons, as_recorded, as_void, status_of

PATH: Final = "/v1/responses"
_EPISODE: Final = {
    "episode_unknown": ("unknown-episode", "is the id of an episode of the response's client", "/episode_id"),
    "outside_episode": (
        "outside-episode",
        f"is from {EPISODE_MARGIN} days before the first to {EPISODE_MARGIN} days after the last day of the episode; "
        "with episode_id null the answers are kept outside of any",
        "/answered_at",
    ),
}


@dataclass(frozen=True, slots=True)
class Answered:
    """What a correction is answered with."""

    text: str
    revision: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent besides the body."""

    action: str
    response_id: uuid.UUID
    body: Any
    key: str | None
    if_match: str | None

    @property
    def hash(self) -> bytes:
        """Of all that makes a repetition one, but for the version that was meant."""
        return fingerprint([self.action, str(self.response_id), self.body])


@dataclass(frozen=True, slots=True)
class Corrections:
    """Corrections of one organisation's responses, for one request."""

    responses: Responses
    alerts: OrganisationAlerts

    async def amend(self, body: ResponseAmend, request: Request) -> Answered:
        """Put a response right: score what it should have said, and let that hold from now on.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, ResponseIsVoid, IdempotencyKeyReused, RequestInvalid
        AnswersInvalid
            With every fault.
        """
        kept = await self._to_correct(request)
        if isinstance(kept, Answered):
            return kept
        audit = self.responses.audit
        instrument = await self.responses.library.of_body(
            audit.principal.organisation_id, kept.instrument, body.version or kept.scored_version
        )
        prepared = responses.prepare(
            audit.principal,
            _amended(kept, body),
            instrument,
            key=request.key,
            request_hash=request.hash,
            request_id=audit.request_id,
            amends=kept,
            settings=await self.alerts.of(audit.principal.organisation_id),
            versions=await self.responses.library.comparable(audit.principal.organisation_id, instrument),
        )
        correction = await self._correction(kept, body, request, prepared.recorded_at)
        done = await repository.amend(audit.database.pool, correction, prepared)
        if done.outcome != "created":
            return await self._not_made(done, request)
        return Answered(as_recorded(done.document or "", kept.revision + 1), kept.revision + 1)

    async def void(self, body: ResponseVoidRequest, request: Request) -> Answered:
        """Find a response void: from now on it says that it was entered in error, and nothing else.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, ResponseIsVoid, IdempotencyKeyReused
        """
        kept = await self._to_correct(request)
        if isinstance(kept, Answered):
            return kept
        at = max(datetime.now(UTC), kept.recorded_at + timedelta(microseconds=1))
        correction = await self._correction(kept, body, request, at)
        done = await repository.void(self.responses.audit.database.pool, correction)
        if done.outcome != "created":
            return await self._not_made(done, request)
        return await self._void_document(kept.row_id)

    async def history(self, response_id: uuid.UUID) -> tuple[dict[str, Any], str]:
        """All versions of a response, without their content, and what the entity tag of the last holds.

        Raises
        ------
        NotFound
            No such response in this organisation.
        """
        audit, found = self.responses.audit, await self.responses.repository.versions(response_id)
        if not found:
            await audit.refused("read-versions", "response", response_id, "not-found")
            raise NotFound(responses.UNKNOWN)
        audit.record(self.responses.repository.session, "read-versions", "response", response_id)
        corrected = any(one.superseded for one in found)
        reasons = await self.responses.reasons(found[0].client_id) if corrected else None
        versions = [_version(one, before, reasons) for before, one in zip((None, *found), found, strict=False)]
        for entry, one in zip(versions, found, strict=True):
            runs = await self.responses.repository.runs(one.row_id)
            entry["scorings"] = [
                *rescored.scorings(one.instrument_version, one.definition_checksum, one.recorded_at, runs)
            ]
        if found[-1].void:
            versions.append(_void_version(found[-1], reasons))
        newest = {"client_id": found[-1].client_id, "instrument": found[-1].instrument, "revision": len(versions)}
        return {"id": response_id, **newest, "versions": versions}, found[-1].tag

    async def _to_correct(self, request: Request) -> Kept | Answered:
        """The version that holds and was meant; or what an earlier request with the same key was answered with."""
        audit, repository_ = self.responses.audit, self.responses.repository
        kept = await repository_.last(request.response_id)
        if kept is None:
            await audit.refused(request.action, "response", request.response_id, "not-found")
            raise NotFound(responses.UNKNOWN)
        if request.key is not None:
            principal = audit.principal
            before = await recorded_before(
                audit.database.pool, principal.organisation_id, principal.subject, request.key, request.hash
            )
            if before is not None:
                outcome: repository.Outcome = "replayed" if before.outcome == "replayed" else "conflict"
                return await self._not_made(Corrected(outcome, before.response_id, None), request)
        if request.if_match is None:
            await audit.refused(request.action, "response", request.response_id, "no-precondition")
            raise PreconditionRequired("Send If-Match with the ETag of the response that is meant.")
        try:
            require_match(request.if_match, etag(kept.tag))
        except PreconditionFailed:
            await audit.refused(request.action, "response", request.response_id, "stale")
            raise
        if kept.void:
            await audit.refused(request.action, "response", request.response_id, "void")
            raise responses.ResponseIsVoid("Record the form anew, where it is somebody's after all.")
        return kept

    async def _correction(
        self, kept: Kept, body: ResponseAmend | ResponseVoidRequest, request: Request, at: datetime
    ) -> Correction:
        audit = self.responses.audit
        reasons = await self.responses.reasons(kept.client_id)
        return Correction(
            organisation_id=audit.principal.organisation_id,
            subject=audit.principal.subject,
            role=audit.principal.role,
            request_id=audit.request_id,
            idempotency_key=request.key,
            request_hash=request.hash,
            root_id=kept.id,
            current_id=kept.row_id,
            reason_code=body.reason_code,
            reason_sealed=reasons.seal(body.reason, kept.row_id),
            at=at,
            event_id=new_id(),
        )

    async def _not_made(self, done: Corrected, request: Request) -> Answered:
        """The answer of an earlier request, or why nothing was made."""
        audit = self.responses.audit
        if done.outcome == "replayed" and done.row_id is not None:
            await audit.refused(request.action, "response", request.response_id, "replayed")
            return await self._repeated(done.row_id, request)
        if done.outcome == "conflict":
            await audit.refused(request.action, "response", request.response_id, "idempotency-key-reused")
            raise IdempotencyKeyReused("Use a new key for another request.")
        if done.outcome in _EPISODE:
            code, detail, pointer = _EPISODE[done.outcome]
            await audit.refused(request.action, "response", request.response_id, code)
            raise RequestInvalid(errors=[{"pointer": pointer, "code": code, "detail": detail}])
        await audit.refused(request.action, "response", request.response_id, "stale")
        raise PreconditionFailed("Somebody else corrected it first: read it again, and decide anew.")

    async def _repeated(self, row_id: uuid.UUID, request: Request) -> Answered:
        """What the first request with the key was answered with."""
        if request.action == "void":
            last = await self.responses.repository.last(row_id)
            assert last is not None  # noqa: S101  - rows never go away
            return replace(await self._void_document(last.row_id), replayed=True)
        kept = await self.responses.repository.row(row_id)
        assert kept is not None  # noqa: S101  - as above
        return Answered(as_recorded(kept.document, kept.revision), kept.revision, replayed=True)

    async def _void_document(self, row_id: uuid.UUID) -> Answered:
        kept = await self.responses.repository.row(row_id)
        assert kept is not None  # noqa: S101  - as above
        return Answered(as_void(kept, await self.responses.reasons(kept.client_id)), kept.revision + 1)


def _amended(kept: Kept, body: ResponseAmend) -> ResponseCreate:
    """The form as it should have been: what was sent, and for the rest what it said so far."""
    before = orjson.loads(kept.document)
    so_far: dict[str, Any] = {
        "setting": kept.setting,
        "episode_id": kept.episode_id,
        # told with the answers, so kept in the document and nowhere else
        "partnered": before.get("partnered"),
        "active": before.get("active"),
    }
    given = {name: getattr(body, name) for name in so_far if name in body.model_fields_set}
    # Checked already: those sent as parts of this body, the others when they were recorded.
    return ResponseCreate.model_construct(
        client_id=kept.client_id,
        instrument=kept.instrument,
        version=body.version or kept.scored_version,
        variant=body.variant or kept.variant,
        answered_at=body.answered_at or kept.answered_at,
        answers=orjson.loads(kept.answers) if body.answers is None else body.answers,
        **(so_far | given),
    )


def _version(kept: Kept, before: Kept | None, reasons: Reasons | None) -> dict[str, Any]:
    """An entry of the history; a version after the first was made by what superseded the one before."""
    return {
        "revision": kept.revision,
        "status": status_of(kept.revision),
        "current": kept.superseded is None,
        "at": kept.recorded_at,
        "by": kept.recorded_by,
        **_reason(before, reasons),
        "answered_at": kept.answered_at,
        "version": kept.instrument_version,
        "variant": kept.variant,
        "url": f"{PATH}/{kept.id}/versions/{kept.revision}",
    }


def _void_version(last: Kept, reasons: Reasons | None) -> dict[str, Any]:
    """The entry that says that the response is void: it has no row of its own."""
    assert last.superseded is not None  # noqa: S101  - asked for void ones only
    return _version(last._replace(revision=last.revision + 1, superseded=None), last, reasons) | {
        "status": "entered-in-error",
        "at": last.superseded.at,
        "by": last.superseded.by,
        "scorings": [],
    }


def _reason(superseded: Kept | None, reasons: Reasons | None) -> dict[str, str | None]:
    if superseded is None or superseded.superseded is None or reasons is None:
        return {"reason_code": None, "reason": None}
    found = superseded.superseded
    return {"reason_code": found.reason_code, "reason": reasons.open(found.reason_sealed, superseded.row_id)}
