"""The rules about webhooks: where they go, secrets shown once, what is tried again. Each step is in the audit trail."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from api.conditional import etag, require_match
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid
from api.records.audit import Audit
from api.security import crypto
from api.webhooks import schemas
from api.webhooks.addresses import Reach, UrlRefused
from api.webhooks.problems import TooManyWebhooks, WebhookDisabled
from api.webhooks.repository import WebhookRepository
from api.webhooks.sending import new_secret, written
from api.webhooks.tables import WebhookDeliveryRow, WebhookRow

RESOURCE: Final = "webhook"
TEST: Final = "webhook.test"
"""Type of the message that an administrator asks for. No filter holds it back."""
MOST_WEBHOOKS: Final = 20
UNKNOWN: Final = "There is no such webhook."
UNKNOWN_DELIVERY: Final = "There is no such delivery."


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The webhooks of one organisation, for one request."""

    repository: WebhookRepository
    keys: crypto.Keys
    reach: Reach
    organisation_id: uuid.UUID
    audit: Audit

    async def create(self, body: schemas.WebhookCreate) -> schemas.WebhookWithSecret:
        """A new webhook, and its secret.

        Raises
        ------
        RequestInvalid, TooManyWebhooks
        """
        url = self._url(body.url)
        if await self.repository.count() >= MOST_WEBHOOKS:
            await self.audit.refused("create", RESOURCE, None, "too-many")
            raise TooManyWebhooks(f"There are {MOST_WEBHOOKS}, the most there may be; delete one.")
        now = datetime.now(UTC)
        webhook_id, secret = new_id(), new_secret()
        row = WebhookRow(
            organisation_id=self.organisation_id,
            id=webhook_id,
            url=url,
            description=body.description,
            types=body.types,
            enabled=body.enabled,
            disabled_because=None if body.enabled else "administrator",
            secret_sealed=self._seal(webhook_id, secret),
            created_at=now,
            updated_at=now,
            version=1,
        )
        await self.repository.add(row)
        self._record("create", webhook_id)
        return _with_secret(row, secret)

    async def page(self, cursor: str | None, limit: int) -> tuple[list[schemas.WebhookRead], str | None]:
        """A page of webhooks and the cursor of the next."""
        rows = await self.repository.page(None if cursor is None else decode_cursor(cursor)[1], limit + 1)
        self._record("list", None)
        more = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
        return [_read(row) for row in rows[:limit]], more

    async def get(self, webhook_id: uuid.UUID) -> schemas.WebhookRead:
        """One webhook.

        Raises
        ------
        NotFound
        """
        row = await self._known("read", webhook_id)
        self._record("read", webhook_id)
        return _read(row)

    async def change(
        self, webhook_id: uuid.UUID, body: schemas.WebhookPatch, if_match: str | None
    ) -> schemas.WebhookRead:
        """Merge changes into a webhook. What changes nothing makes no new version.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, RequestInvalid
        """
        given: dict[str, Any] = body.model_dump(exclude_unset=True)
        if "url" in given:
            given["url"] = self._url(given["url"])
        row = await self._changing("change", webhook_id, if_match)
        changed = {name: value for name, value in given.items() if getattr(row, name) != value}
        for name, value in changed.items():
            setattr(row, name, value)
        if "enabled" in changed:
            row.disabled_because = None if row.enabled else "administrator"
            if not row.enabled:
                await self.repository.put_off(webhook_id)
        if "url" in changed or changed.get("enabled"):
            row.failing_since = row.paused_until = None  # it starts afresh
        if changed:
            await self._new_version(row)
        self._record("change", webhook_id)
        return _read(row)

    async def rotate(
        self, webhook_id: uuid.UUID, body: schemas.Rotation, if_match: str | None
    ) -> schemas.WebhookWithSecret:
        """A new secret; for a while the former signs too. A still older one signs no more.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed
        """
        row = await self._changing("rotate-secret", webhook_id, if_match)
        secret = new_secret()
        row.previous_sealed = row.previous_until = None
        if body.overlap_hours:
            row.previous_sealed = row.secret_sealed
            row.previous_until = datetime.now(UTC) + timedelta(hours=body.overlap_hours)
        row.secret_sealed = self._seal(webhook_id, secret)
        await self._new_version(row)
        self._record("rotate-secret", webhook_id)
        return _with_secret(row, secret)

    async def delete(self, webhook_id: uuid.UUID, if_match: str | None) -> None:
        """Remove a webhook and what is kept of its deliveries.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed
        """
        row = await self._changing("delete", webhook_id, if_match)
        await self.repository.delete(row)
        self._record("delete", webhook_id)

    async def test(self, webhook_id: uuid.UUID) -> schemas.DeliveryRead:
        """A message that tells of nothing, on its way like any other.

        Raises
        ------
        NotFound, WebhookDisabled
        """
        await self._sendable("test", webhook_id)
        now = datetime.now(UTC)
        row = WebhookDeliveryRow(
            organisation_id=self.organisation_id,
            webhook_id=webhook_id,
            id=new_id(),
            type=TEST,
            resource_id=webhook_id,
            occurred_at=now,
            state="pending",
            next_attempt_at=now,
        )
        await self.repository.add(row)
        self._record("test", webhook_id)
        return _delivery(row)

    async def deliveries(
        self, webhook_id: uuid.UUID, state: str | None, cursor: str | None, limit: int
    ) -> tuple[list[schemas.DeliveryRead], str | None]:
        """A page of what became of messages, newest first, and the cursor of the next.

        Raises
        ------
        NotFound
        """
        await self._known("list-deliveries", webhook_id)
        before = None if cursor is None else decode_cursor(cursor)[1]
        rows = await self.repository.deliveries(webhook_id, state, before, limit + 1)
        self._record("list-deliveries", webhook_id)
        more = encode_cursor(rows[limit - 1].occurred_at, rows[limit - 1].id) if len(rows) > limit else None
        return [_delivery(row) for row in rows[:limit]], more

    async def delivery(self, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> schemas.DeliveryRead:
        """What became of one message.

        Raises
        ------
        NotFound
        """
        found = await self._delivery(webhook_id, delivery_id)
        self._record("read-delivery", webhook_id)
        return found

    async def replay(self, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> schemas.DeliveryRead:
        """Have one message tried again, whatever became of it, under the same id.

        Raises
        ------
        NotFound, WebhookDisabled
        """
        await self._sendable("replay", webhook_id)
        if not await self.repository.replay(webhook_id, only=delivery_id):
            raise NotFound(UNKNOWN_DELIVERY)
        self._record("replay", webhook_id)
        return await self._delivery(webhook_id, delivery_id)

    async def _delivery(self, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> schemas.DeliveryRead:
        row = await self.repository.delivery(webhook_id, delivery_id)
        if row is None:
            raise NotFound(UNKNOWN_DELIVERY)
        return _delivery(row)

    async def replay_since(self, webhook_id: uuid.UUID, since: datetime) -> int:
        """Have all that was not delivered of what happened since tried again; how many.

        Raises
        ------
        NotFound, WebhookDisabled
        """
        await self._sendable("replay", webhook_id)
        number = await self.repository.replay(webhook_id, since=since)
        self._record("replay", webhook_id)
        return number

    async def _known(self, action: str, webhook_id: uuid.UUID, *, for_update: bool = False) -> WebhookRow:
        row = await self.repository.get(webhook_id, for_update=for_update)
        if row is None:
            await self.audit.refused(action, RESOURCE, webhook_id, "not-found")
            raise NotFound(UNKNOWN)
        return row

    async def _changing(self, action: str, webhook_id: uuid.UUID, if_match: str | None) -> WebhookRow:
        row = await self._known(action, webhook_id, for_update=True)
        try:
            if if_match is None:
                raise PreconditionRequired("Send If-Match with the ETag of the webhook as you read it.")
            require_match(if_match, etag(row.version))
        except (PreconditionFailed, PreconditionRequired):
            await self.audit.refused(action, RESOURCE, webhook_id, "stale")
            raise
        return row

    async def _sendable(self, action: str, webhook_id: uuid.UUID) -> None:
        row = await self._known(action, webhook_id, for_update=True)  # it is not disabled before this has ended
        if not row.enabled:
            await self.audit.refused(action, RESOURCE, webhook_id, "disabled")
            raise WebhookDisabled("Enable it first.")

    async def _new_version(self, row: WebhookRow) -> None:
        row.version += 1
        row.updated_at = max(datetime.now(UTC), row.updated_at)  # a clock set back breaks no order
        await self.repository.save()

    def _url(self, text: str) -> str:
        try:
            return self.reach.url(text)
        except UrlRefused as error:
            raise RequestInvalid(errors=[{"pointer": "/url", "code": "url-refused", "detail": str(error)}]) from None

    def _seal(self, webhook_id: uuid.UUID, secret: bytes) -> bytes:
        return crypto.seal_webhook_secret(
            self.keys, secret, organisation_id=self.organisation_id, webhook_id=webhook_id
        )

    def _record(self, action: str, webhook_id: uuid.UUID | None) -> None:
        self.audit.record(self.repository.session, action, RESOURCE, webhook_id)


def _read(row: WebhookRow) -> schemas.WebhookRead:
    now = datetime.now(UTC)
    kept = {name: getattr(row, name) for name in schemas.WebhookRead.model_fields if name != "rotating_until"}
    rotating = row.previous_until if row.previous_until is not None and row.previous_until > now else None
    if row.paused_until is not None and row.paused_until <= now:
        kept["paused_until"] = None
    return schemas.WebhookRead(rotating_until=rotating, **kept)


def _with_secret(row: WebhookRow, secret: bytes) -> schemas.WebhookWithSecret:
    return schemas.WebhookWithSecret(secret=written(secret), **_read(row).model_dump())


def _delivery(row: WebhookDeliveryRow) -> schemas.DeliveryRead:
    return schemas.DeliveryRead(**{name: getattr(row, name) for name in schemas.DeliveryRead.model_fields})
