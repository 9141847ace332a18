"""Couples and their consents, goals and their ratings, work between sessions and what became of it

Revision: 0010
Date: 2026-11-22 10:24:31.640218
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | Sequence[str] | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
RIGHTS = {
    "couple": "select, insert",
    "couple_member": "select, insert, update (joined_on, left_on, updated_at, version)",
    "couple_consent": "select, insert",
    "goal": "select, insert, "
    "update (weight, target, baseline, words_sealed, set_on, dropped_on, drop_reason, updated_at, version)",
    "goal_rating": "select, insert",
    "assignment": "select, insert, update (due_on, withdrawn_on, note_sealed, updated_at, version)",
    "assignment_completion": "select, insert",
}
APPEND_ONLY = ("couple", "couple_consent", "goal_rating", "assignment_completion")


def _made(unit: str) -> tuple[sa.Column, ...]:
    return (
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("updated_at >= created_at", name=op.f(f"ck_{unit}_updated_after_created")),
        sa.CheckConstraint("version >= 1", name=op.f(f"ck_{unit}_version")),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f(f"pk_{unit}")),
        _refers(unit, "client"),
    )


def _ids(*names: str) -> tuple[sa.Column, ...]:
    return tuple(sa.Column(name, sa.Uuid(), nullable=False) for name in ("organisation_id", *names))


def _recorded() -> tuple[sa.Column, ...]:
    return (
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
    )


def _refers(unit: str, target: str, member: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation_id", member or f"{target}_id"],
        [f"{target}.organisation_id", f"{target}.id"],
        name=op.f(f"fk_{unit}_{target}"),
    )


def _couples() -> None:
    op.create_table(
        "couple",
        *_ids("id"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_couple")),
    )
    op.create_table(
        "couple_member",
        *_ids("id", "couple_id", "client_id"),
        sa.Column("joined_on", sa.Date(), nullable=False),
        sa.Column("left_on", sa.Date(), nullable=True),
        *_made("couple_member"),
        sa.CheckConstraint("left_on >= joined_on", name=op.f("ck_couple_member_days_in_order")),
        _refers("couple_member", "couple"),
        sa.UniqueConstraint(
            "couple_id",
            "client_id",
            "organisation_id",
            name=op.f("uq_couple_member_couple_id_client_id_organisation_id"),
        ),
    )
    op.create_index(op.f("ix_couple_member_client_id"), "couple_member", ["client_id"])
    op.create_table(
        "couple_consent",
        *_ids("member_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("stated_on", sa.Date(), nullable=False),
        *_recorded(),
        sa.CheckConstraint("version >= 2", name=op.f("ck_couple_consent_version")),
        _refers("couple_consent", "couple_member", "member_id"),
        sa.PrimaryKeyConstraint("organisation_id", "member_id", "version", name=op.f("pk_couple_consent")),
    )


def _goals() -> None:
    op.create_table(
        "goal",
        *_ids("id", "client_id"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("weight", sa.SmallInteger(), nullable=True),
        sa.Column("target", sa.SmallInteger(), nullable=True),
        sa.Column("baseline", sa.SmallInteger(), nullable=False),
        sa.Column("words_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("set_on", sa.Date(), nullable=False),
        sa.Column("dropped_on", sa.Date(), nullable=True),
        sa.Column("drop_reason", sa.Text(), nullable=True),
        *_made("goal"),
        sa.CheckConstraint("kind in ('levels', 'target')", name=op.f("ck_goal_kind")),
        sa.CheckConstraint("(kind = 'levels') = (weight is not null)", name=op.f("ck_goal_weight_of_levels")),
        sa.CheckConstraint("(kind = 'target') = (target is not null)", name=op.f("ck_goal_target_of_target")),
        sa.CheckConstraint("weight between 0 and 10", name=op.f("ck_goal_weight")),
        sa.CheckConstraint("target between 0 and 10", name=op.f("ck_goal_target")),
        sa.CheckConstraint(
            "case kind when 'levels' then baseline between -2 and 2 else baseline between 0 and 10 end",
            name=op.f("ck_goal_baseline"),
        ),
        sa.CheckConstraint("dropped_on >= set_on", name=op.f("ck_goal_days_in_order")),
        sa.CheckConstraint("(dropped_on is null) = (drop_reason is null)", name=op.f("ck_goal_drop_with_reason")),
    )
    op.create_index(op.f("ix_goal_client_id_set_on"), "goal", ["client_id", "set_on"])
    op.create_table(
        "goal_rating",
        *_ids("id", "goal_id"),
        sa.Column("corrects", sa.Uuid(), nullable=True),
        sa.Column("rated_on", sa.Date(), nullable=False),
        sa.Column("value", sa.SmallInteger(), nullable=True),
        *_recorded(),
        sa.CheckConstraint("value between -2 and 10", name=op.f("ck_goal_rating_value")),
        sa.CheckConstraint("value is not null or corrects is not null", name=op.f("ck_goal_rating_void_corrects")),
        _refers("goal_rating", "goal"),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_goal_rating")),
        _refers("goal_rating", "goal_rating", "corrects"),
        sa.UniqueConstraint("corrects", "organisation_id", name=op.f("uq_goal_rating_corrects_organisation_id")),
    )
    op.create_index(op.f("ix_goal_rating_goal_id_rated_on"), "goal_rating", ["goal_id", "rated_on"])


def _assignments() -> None:
    op.create_table(
        "assignment",
        *_ids("id", "client_id"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("set_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("withdrawn_on", sa.Date(), nullable=True),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        *_made("assignment"),
        sa.CheckConstraint("due_on >= set_on", name=op.f("ck_assignment_due_after_set")),
        sa.CheckConstraint("withdrawn_on >= set_on", name=op.f("ck_assignment_withdrawn_after_set")),
    )
    op.create_index(op.f("ix_assignment_client_id_due_on"), "assignment", ["client_id", "due_on"])
    unit = "assignment_completion"
    op.create_table(
        unit,
        *_ids("assignment_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("completed_on", sa.Date(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("distress_before", sa.SmallInteger(), nullable=True),
        sa.Column("distress_after", sa.SmallInteger(), nullable=True),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        *_recorded(),
        sa.CheckConstraint("version >= 2", name=op.f(f"ck_{unit}_version")),
        sa.CheckConstraint("outcome in ('done', 'partly', 'not-done')", name=op.f(f"ck_{unit}_outcome")),
        sa.CheckConstraint("(outcome is null) = (completed_on is null)", name=op.f(f"ck_{unit}_outcome_with_day")),
        sa.CheckConstraint("minutes between 0 and 10080", name=op.f(f"ck_{unit}_minutes")),
        sa.CheckConstraint("distress_before between 0 and 10", name=op.f(f"ck_{unit}_distress_before")),
        sa.CheckConstraint("distress_after between 0 and 10", name=op.f(f"ck_{unit}_distress_after")),
        _refers(unit, "assignment"),
        sa.PrimaryKeyConstraint("organisation_id", "assignment_id", "version", name=op.f(f"pk_{unit}")),
    )


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    _couples()
    _goals()
    _assignments()
    for table in APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    for table, rights in RIGHTS.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant on {table} "
            f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
        )
        op.execute(f"grant {rights} on {table} to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    for table in reversed(RIGHTS):
        op.drop_table(table)
