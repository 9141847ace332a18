"""Every table, imported in one place so that the metadata is whole: migrations and their check read it from here."""

from api.assignments.tables import AssignmentRow, CompletionRow
from api.audit.tables import AuditClientRow, AuditHeadRow, AuditKeyRow, AuditSealRow
from api.authoring.tables import InstrumentDraftRow, OwnInstrumentRetirementRow, OwnInstrumentRow
from api.care.tables import EpisodeRow, SessionRow
from api.clients.tables import ClientRow
from api.couples.tables import ConsentRow, CoupleRow, MembershipRow
from api.goals.tables import GoalRow, RatingRow
from api.organisations.tables import OrganisationRow
from api.records.tables import AuditEventRow, OutboxRow
from api.responses.tables import AlertRow, IdempotencyKeyRow, ResponseRow, ScoreRow, SupersededRow
from api.webhooks.tables import WebhookDeliveryRow, WebhookRow
from api.wordings.tables import WordingPackRow

__all__ = [
    "AlertRow",
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
    "EpisodeRow",
    "GoalRow",
    "IdempotencyKeyRow",
    "InstrumentDraftRow",
    "MembershipRow",
    "OrganisationRow",
    "OutboxRow",
    "OwnInstrumentRetirementRow",
    "OwnInstrumentRow",
    "RatingRow",
    "ResponseRow",
    "ScoreRow",
    "SessionRow",
    "SupersededRow",
    "WebhookDeliveryRow",
    "WebhookRow",
    "WordingPackRow",
]
