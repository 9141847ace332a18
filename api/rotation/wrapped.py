"""Everything that lies under the master key directly; all else is sealed with keys that are among this.

A column of bytes that is not here has to be in `OTHERS`, which says what it is; a test fails for one that is in none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A column of things wrapped under the master key, each bound to its row and to what it is."""

    table: str
    column: str
    purpose: bytes
    """As `api.security.crypto` binds it."""
    row: str = "id"
    """The column by which a row is known within its organisation, and which the wrapped thing is bound to."""

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"


WRAPPED: Final = (
    Wrapped("organisation_key", "lookup_wrapped", b"lookup-key", row="organisation_id"),
    Wrapped("audit_key", "private_sealed", b"audit-key"),
    Wrapped("webhook", "secret_sealed", b"webhook-secret"),
    Wrapped("webhook", "previous_sealed", b"webhook-secret"),
    Wrapped("import_run", "key_wrapped", b"import-key"),
    Wrapped("client", "key_wrapped", b"client-key"),
)
"""In the order in which they are moved. An organisation's key comes first: where there is none it is made of the master
key that the clients are under, which can be told only while they are."""

CLIENTS: Final = "sealed with the client's key"
OTHERS: Final = {
    "client.external_id_hash": "a hash with the organisation's key, which is wrapped",
    "client.external_id_sealed": CLIENTS,
    "superseded.reason_sealed": CLIENTS,
    "goal.words_sealed": CLIENTS,
    "assignment.note_sealed": CLIENTS,
    "assignment_completion.note_sealed": CLIENTS,
    "alert_acknowledgement.note_sealed": CLIENTS,
    "idempotency_key.request_hash": "a hash",
    "page_session.secret_hash": "a hash",
    "import_chunk.sealed": "sealed with the import's key, which is wrapped",
    "audit_key.public_key": "public",
    "audit_seal.hash": "a hash",
    "audit_head.hash": "a hash",
    "audit_head.signature": "public",
    "erasure.key_fingerprint": "a hash",
    "erasure_certificate.signature": "public",
}
"""Columns of bytes that another master key does not concern, and why."""
