"""Every table, imported in one place so that the metadata is whole, and whose each table's rows are.

Migrations and their check read the metadata from here; erasing, exporting and backing up read whose rows are whose. A
new table goes into exactly one of `CLIENT_TABLES`, `SHARED` and `SYSTEM`; a test fails for one that is in none.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Final

from sqlmodel import SQLModel

from api.alerts.tables import AcknowledgementRow, AlertGuidanceRow, AlertRuleRow
from api.assignments.tables import AssignmentRow, CompletionRow
from api.audit.tables import AuditClientRow, AuditHeadRow, AuditKeyRow, AuditSealRow
from api.authoring.tables import InstrumentDraftRow, OwnInstrumentRetirementRow, OwnInstrumentRow
from api.care.tables import EpisodeRow, SessionRow
from api.clients.tables import ClientRow, ResearchConsentRow
from api.couples.tables import ConsentRow, CoupleRow, MembershipRow
from api.erasure.tables import ErasureBackupRow, ErasureCertificateRow, ErasureRow
from api.goals.tables import GoalRow, RatingRow
from api.imports.tables import ImportChunkRow, ImportFaultRow, ImportRow
from api.organisations.tables import OrganisationKeyRow, OrganisationRow
from api.pages.tables import PageSessionRow
from api.protocols.tables import EpisodeProtocolRow, ProtocolRow, ProtocolVersionRow, SlotRow
from api.records.tables import AuditEventRow, OutboxRow
from api.references.tables import ReferenceRow, ReferenceUseRow
from api.rescoring.tables import RescoredRow, RescoringEffectRow, RescoringRow
from api.responses.tables import AlertRow, IdempotencyKeyRow, ResponseRow, ScoreRow, SupersededRow
from api.webhooks.tables import WebhookDeliveryRow, WebhookRow
from api.wordings.tables import WordingPackRow

__all__ = [
    "CLIENT_TABLES",
    "SHARED",
    "SYSTEM",
    "AcknowledgementRow",
    "AlertGuidanceRow",
    "AlertRow",
    "AlertRuleRow",
    "AssignmentRow",
    "AuditClientRow",
    "AuditEventRow",
    "AuditHeadRow",
    "AuditKeyRow",
    "AuditSealRow",
    "ClientRow",
    "CompletionRow",
    "ConsentRow",
    "CoupleRow",
    "EpisodeProtocolRow",
    "EpisodeRow",
    "ErasureBackupRow",
    "ErasureCertificateRow",
    "ErasureRow",
    "GoalRow",
    "IdempotencyKeyRow",
    "ImportChunkRow",
    "ImportFaultRow",
    "ImportRow",
    "InstrumentDraftRow",
    "MembershipRow",
    "OrganisationKeyRow",
    "OrganisationRow",
    "OutboxRow",
    "OwnInstrumentRetirementRow",
    "OwnInstrumentRow",
    "Owned",
    "PageSessionRow",
    "ProtocolRow",
    "ProtocolVersionRow",
    "RatingRow",
    "ReferenceRow",
    "ReferenceUseRow",
    "RescoredRow",
    "RescoringEffectRow",
    "RescoringRow",
    "ResearchConsentRow",
    "ResponseRow",
    "ScoreRow",
    "SessionRow",
    "SlotRow",
    "SupersededRow",
    "WebhookDeliveryRow",
    "WebhookRow",
    "WordingPackRow",
    "in_order",
    "of_client",
]


@dataclass(frozen=True)
class Owned:
    """How a table's rows belong to a client: ``column`` holds the client's id, or names a row of the client's."""

    column: str = "client_id"
    parents: tuple[str, ...] = ()
    """The tables whose rows `column` may name; none: it names the client itself."""
    parent_key: str = "id"
    """The column of the parents that `column` names."""
    kind: str | None = None
    """The column that begins with the name of the one among the parents that is meant, where rows name others too."""
    kept: str | None = None
    """Why these rows stay when the client is erased; none: they go."""


_RESOURCES: Final = ("response", "alert", "episode", "care_session", "couple_member", "goal", "assignment")
"""What a message to a webhook may name, besides the client: a row of the client's."""
_TRAIL: Final = "who did what to an erased record has to stay answerable; the ids in it are opaque"
_PROOF: Final = "that somebody was erased, so that nothing brings them back unnoticed; it names nobody"

CLIENT_TABLES: Final[dict[str, Owned]] = {
    "client": Owned("id"),
    "research_consent": Owned(),
    "episode": Owned(),
    "care_session": Owned("episode_id", ("episode",)),
    "couple_member": Owned(),
    "couple_consent": Owned("member_id", ("couple_member",)),
    "goal": Owned(),
    "goal_rating": Owned("goal_id", ("goal",)),
    "assignment": Owned(),
    "assignment_completion": Owned("assignment_id", ("assignment",)),
    "episode_protocol": Owned(),
    "protocol_slot": Owned(),
    "response": Owned(),
    "score": Owned("response_id", ("response",)),
    "superseded": Owned("response_id", ("response",)),
    "rescored": Owned("response_id", ("response",)),
    "alert": Owned(),
    "alert_acknowledgement": Owned(),
    "idempotency_key": Owned("response_id", ("response",)),
    "outbox": Owned("resource_id", ("client", *_RESOURCES), kind="topic"),
    "webhook_delivery": Owned("resource_id", ("client", *_RESOURCES), kind="type"),
    "erasure": Owned(kept=_PROOF),
    "erasure_certificate": Owned("erasure_id", ("erasure",), kept=_PROOF),
    "erasure_backup": Owned("erasure_id", ("erasure",), kept=_PROOF),
    "audit_client": Owned(kept=_TRAIL),
    "audit_event": Owned("id", ("audit_client",), "event_id", kept=_TRAIL),
    "audit_seal": Owned("event_id", ("audit_client",), "event_id", kept=_TRAIL),
}
"""Tables with rows of clients, and how each row is one client's. The others' rows in them are of no client."""

SHARED: Final = frozenset(
    {
        "alert_guidance",
        "alert_rule",
        "audit_head",
        "audit_key",
        "couple",  # the id that its members share; who they are is in `couple_member`
        "import_chunk",  # what is not imported yet may be of a client; sealed, and gone when the import ends
        "import_fault",
        "import_run",
        "instrument_draft",
        "organisation",
        "organisation_key",
        "own_instrument",
        "own_instrument_retirement",
        "page_session",
        "protocol",
        "protocol_version",
        "reference_set",  # parameters and counts of enough persons, none of them a client's own
        "reference_use",
        "rescoring",
        "rescoring_effect",
        "webhook",
        "wording_pack",
    }
)
"""Tables of an organisation with nothing of a client in them."""

SYSTEM: Final = frozenset({"alembic_version"})
"""Tables of no organisation. Those of the job queue are in a schema of their own and hold ids only."""


def of_client(table: str, *, organisation: str = "$1", client: str = "$2", alias: str | None = None) -> str:
    """The SQL condition for the rows of ``table`` that belong to one client.

    Parameters
    ----------
    organisation, client
        SQL for the two ids: placeholders, by default those of asyncpg, or variables of a function.
    alias
        What the statement calls the table, where that is not its name.

    Examples
    --------
    >>> of_client("episode")
    'episode.organisation_id = $1 and episode.client_id = $2'
    """
    owned, name = CLIENT_TABLES[table], alias or table
    column = f"{name}.{owned.column}"
    if not owned.parents:
        return f"{name}.organisation_id = {organisation} and {column} = {client}"
    rows = " union all ".join(
        f"select {parent}.{owned.parent_key} from {parent} where "  # noqa: S608  - nothing but the constants above
        + of_client(parent, organisation=organisation, client=client)
        for parent in owned.parents
    )
    return f"{name}.organisation_id = {organisation} and {column} in ({rows})"


def in_order() -> list[str]:
    """The tables of clients, a table after those that its rows refer to: to write in; reversed, to remove in."""
    before = {
        name: {key.column.table.name for key in SQLModel.metadata.tables[name].foreign_keys}
        & CLIENT_TABLES.keys() - {name}
        for name in sorted(CLIENT_TABLES)
    }
    return list(
        TopologicalSorter({name: before[name] | set(CLIENT_TABLES[name].parents) for name in before}).static_order()
    )
